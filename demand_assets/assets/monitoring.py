"""Actuals against the vintages that forecast them."""

from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import pandas as pd

from demand_assets.adapters.parquet import PARTITION_COLUMN, LakeTable, ParquetLake
from demand_assets.adapters.table_refs import TableRef
from demand_assets.assets.describe import frame_markdown, plot_markdown, schema_of
from demand_assets.assets.outages import retry_on_store_outage
from demand_assets.assets.plots import accuracy_plot
from demand_assets.assets.rows import ABSENT_TABLES, MEMBER_TABLES, absent_rows, lake_frame, member_keys, store_table
from demand_assets.contract.store import ACTUALS as STORE_ACTUALS
from demand_assets.contract.store import BACKTEST_KIND, FORECAST_ACCURACY, FORECAST_EXCEPTIONS
from demand_assets.forecasting.baselines import BASELINES
from demand_assets.partitions import run_weeks, week_key, weeks_partitions
from demand_assets.recipes import PAST_FORECASTS, scoring_recipes
from demand_assets.resources import ForecastStore, OrderCosts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

OWNERS = ["team:forecasting"]
TOP = 10
# By reference: of years of sales few weeks are read together, and no vintage forecast most of them.
WEEKS_OF_SALES = dg.AssetIn(input_manager_key="table_refs")
ACTUALS = ["store_id", "dept_id", "week", "sales", "is_holiday"]
# The store keeps them series by series: more weeks at once touch each series less often.
ACTUALS_AT_ONCE = 4_000_000


def _scored(lake: ParquetLake, table: str, frame: pd.DataFrame, weeks: pd.DatetimeIndex) -> LakeTable:
    """The frame with, for each week, what it was made from."""
    recipes = scoring_recipes(lake, table, [week_key(week) for week in weeks])
    return LakeTable(frame, {key: recipe.metadata for key, recipe in recipes.items()})


# Those of earlier weeks, that forecast the week.
VINTAGES = [
    dg.AssetDep(name, partition_mapping=dg.AllPartitionMapping()) for name in ("published_forecast", PAST_FORECASTS)
]


@dg.asset(
    group_name="monitoring",
    owners=OWNERS,
    kinds={"sql", "parquet"},
    partitions_def=weeks_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[*ABSENT_TABLES, *VINTAGES],
    metadata={PARTITION_COLUMN: "week", "dagster/column_schema": schema_of(FORECAST_ACCURACY)},
    ins={"raw_sales": WEEKS_OF_SALES},
)
@retry_on_store_outage
def forecast_accuracy(
    context: dg.AssetExecutionContext, lake: ParquetLake, store: ForecastStore, raw_sales: TableRef
) -> dg.MaterializeResult:
    """Publishes the actuals of the week and scores each earlier vintage that forecast it, beside its baselines.

    One row per vintage x model x horizon x total (stores, departments, the chain). The final numbers of a vintage
    are a model of their own.
    """
    from demand_assets.monitoring.realised import ACCURACY_TYPES, TRACKING_WEEKS, realised_accuracy
    from demand_assets.store.publish import publish_accuracy, publish_actuals
    from demand_assets.store.queries import errors_before, realised_wmae

    engine = store.engine()
    weeks = run_weeks(context)
    members = member_keys(lake)
    changed = sum(
        publish_actuals(engine, store_table(rows.rename(columns={"sales": "actual"}), STORE_ACTUALS, members))
        for rows in raw_sales.parts(ACTUALS_AT_ONCE, ACTUALS)
    )
    scored: list[pd.DataFrame] = []
    # In order of time, each week published before the next: a tracking signal reads the weeks before its own.
    for week in weeks:
        with engine.connect() as connection:
            points = _points(connection, lake, week, raw_sales)
            earlier = lake_frame(errors_before(connection, week.date(), TRACKING_WEEKS - 1), members)
        if points is None:
            continue
        table = realised_accuracy(points, earlier)
        table.insert(0, "week", week)
        publish_accuracy(engine, store_table(table, FORECAST_ACCURACY, members))
        scored.append(table)
    report: dict[str, Any] = {"accuracy": dg.MetadataValue.md("no vintage forecast this week")}
    if scored:
        with engine.connect() as connection:
            own = pd.DataFrame(realised_wmae(connection))
            naive = pd.DataFrame(realised_wmae(connection, model="seasonal_naive"), columns=own.columns)
            newest = _newest_vintages(connection, scored[-1])
        report = _report(newest, own, naive)
    table = pd.concat(scored, ignore_index=True) if scored else _empty(ACCURACY_TYPES)
    return dg.MaterializeResult(
        value=_scored(lake, "forecast_accuracy", table, weeks),
        metadata={
            "actuals changed": changed,
            "vintages scored": int(table["vintage_id"].nunique()),
            **report,
        },
    )


@dg.asset(
    group_name="monitoring",
    owners=OWNERS,
    kinds={"sql", "parquet"},
    partitions_def=weeks_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[*MEMBER_TABLES, *VINTAGES],
    metadata={PARTITION_COLUMN: "week", "dagster/column_schema": schema_of(FORECAST_EXCEPTIONS)},
    ins={"raw_sales": WEEKS_OF_SALES},
)
@retry_on_store_outage
def forecast_exceptions(
    context: dg.AssetExecutionContext,
    lake: ParquetLake,
    store: ForecastStore,
    order_costs: OrderCosts,
    raw_sales: TableRef,
) -> dg.MaterializeResult:
    """The series that a planner should look at: sales outside p10 to p90 of the newest vintage, most money first."""
    from demand_assets.monitoring.realised import EXCEPTION_TYPES, exceptions, outside_band
    from demand_assets.store.publish import publish_exceptions
    from demand_assets.store.queries import forecasts_for, vintages_covering

    engine = store.engine()
    weeks = run_weeks(context)
    members = member_keys(lake)
    listed: list[pd.DataFrame] = []
    report: dict[str, Any] = {"exceptions": dg.MetadataValue.md("no vintage forecast this week")}
    for week in weeks:
        with engine.connect() as connection:
            newest = next(iter(vintages_covering(connection, week.date())), None)
            rows = [] if newest is None else forecasts_for(connection, newest["vintage_id"], week.date())
        forecasts = lake_frame(rows, members)
        if newest is None or forecasts.empty:
            continue
        actuals = raw_sales.only([week_key(week)]).read(ACTUALS)
        outside = outside_band(forecasts, actuals, order_costs.underage, order_costs.overage)
        table = exceptions(outside).assign(week=week, vintage_id=newest["vintage_id"])[list(FORECAST_EXCEPTIONS.names)]
        publish_exceptions(engine, week.date(), store_table(table, FORECAST_EXCEPTIONS, members))
        listed.append(table)
        report = _exception_report(table, outside, forecasts, actuals) | {"week": week_key(week)}
    table = pd.concat(listed, ignore_index=True) if listed else _empty(EXCEPTION_TYPES)
    return dg.MaterializeResult(
        value=_scored(lake, "forecast_exceptions", table[list(FORECAST_EXCEPTIONS.names)], weeks), metadata=report
    )


def _points(connection: "Connection", lake: ParquetLake, week: pd.Timestamp, sales: TableRef) -> pd.DataFrame | None:
    """Forecasts of the week by every vintage that covers it, with their baselines and actuals; None without any.

    Where a planner's number was in force when the week ended, the final numbers of each vintage are scored as well.
    """
    from demand_assets.monitoring.realised import realised_points
    from demand_assets.store.queries import final_numbers, forecasts_for, vintages_covering

    points: list[pd.DataFrame] = []
    vintages = vintages_covering(connection, week.date())
    if not vintages:
        return None
    actuals = sales.only([week_key(week)]).read(ACTUALS)
    absent, members = absent_rows(lake, [week_key(week)]), member_keys(lake)
    numbers = lake_frame(final_numbers(connection, week.date()), members)
    for vintage in vintages:
        forecasts = lake_frame(forecasts_for(connection, vintage["vintage_id"], week.date()), members)
        if not forecasts.empty:
            # Sales of a series that was out of stock are not what was asked for.
            ids = forecasts["store_id"].to_numpy(), forecasts["dept_id"].to_numpy()
            out = absent.ran_out(pd.DatetimeIndex([week] * len(forecasts)), *ids)
            stored = _with_baselines(lake, vintage, week, forecasts[~out].reset_index(drop=True))
            if not numbers.empty:
                given = numbers["sequence"] <= vintage["sequence"]
                stored = _with_finals(stored, numbers[given & (vintage["kind"] != BACKTEST_KIND)])
            made_by = vintage["vintage_id"], vintage["method"]
            points.append(realised_points(stored, actuals, *made_by, absent.missing, absent.stores_shut(week)))
    found = pd.concat(points, ignore_index=True) if points else None
    return None if found is None or found.empty else found


def _with_finals(forecasts: pd.DataFrame, numbers: pd.DataFrame) -> pd.DataFrame:
    """`forecasts` of one week with `FINALS`: a planner's number and the interval moved with it, else its own.

    `numbers`: [store_id, dept_id, override].
    """
    from demand_assets.monitoring.realised import FINALS, OWN
    from demand_assets.store.finals import final_quantile

    keys = ["store_id", "dept_id"]
    given = forecasts[keys].merge(numbers[[*keys, "override"]], on=keys, how="left", validate="many_to_one")
    number = given["override"].to_numpy(dtype=float)
    at = np.flatnonzero(~np.isnan(number))
    columns: dict[str, Any] = {}
    for own, final in zip(OWN, FINALS, strict=True):
        values = forecasts[own].to_numpy(dtype=float, copy=True)
        # One rule of what moves how, and few numbers of planners.
        values[at] = [
            final_quantile(value, forecast, override)
            for value, forecast, override in zip(
                values[at], forecasts["forecast"].to_numpy()[at], number[at], strict=True
            )
        ]
        columns[final] = values
    return forecasts.assign(**columns)


def _with_baselines(
    lake: ParquetLake, vintage: "Mapping[str, Any]", week: pd.Timestamp, forecasts: pd.DataFrame
) -> pd.DataFrame:
    """The forecasts and the baselines in the vintage's file; one made before baselines were stored has none."""
    origin = str(vintage["origin_week"])
    if vintage["kind"] == BACKTEST_KIND:
        file = lake.read(PAST_FORECASTS, [origin])
    else:
        file = lake.read(f"published_forecast/{origin}", [vintage["vintage_id"]])
    held = [] if file is None else [name for name in BASELINES if name in file.columns]
    if file is None or not held:
        return forecasts
    keys = ["store_id", "dept_id"]
    ahead = file.loc[file["target_week"] == week, [*keys, *held]]
    return forecasts.merge(ahead, on=keys, how="left", validate="one_to_one")


def _newest_vintages(connection: "Connection", table: pd.DataFrame) -> pd.DataFrame:
    """Rows of one week by the newest vintage of each origin; `is_published`: of the method that made it."""
    from demand_assets.store.queries import vintages_covering

    newest: dict[Any, str] = {}
    methods: dict[str, str] = {}
    for vintage in vintages_covering(connection, table["week"].iloc[0].date()):
        methods[vintage["vintage_id"]] = vintage["method"]
        if vintage["vintage_id"] in set(table["vintage_id"]):
            newest.setdefault(vintage["origin_week"], vintage["vintage_id"])
    is_published = table["model"] == table["vintage_id"].map(methods)
    return table.assign(is_published=is_published)[table["vintage_id"].isin(newest.values())]


def _report(table: pd.DataFrame, own: pd.DataFrame, naive: pd.DataFrame) -> dict[str, Any]:
    """Metadata about the newest scored week, and the losses of all scored weeks."""
    from demand_assets.forecasting.totals import CHAIN
    from demand_assets.monitoring.realised import loss_history, pooled_accuracy

    chain = table[table["level"] == CHAIN]
    models = pooled_accuracy(chain)
    published = pooled_accuracy(chain[chain["is_published"]].assign(model="published")).iloc[0]
    by_horizon = chain.pivot_table(index="horizon", columns="model", values="wmae").reset_index()
    signals = table[table["is_published"] & table["tracking_signal"].notna()]
    # Among signals of one size, the total that was missed by the most money first.
    size = signals.assign(size=signals["tracking_signal"].abs(), missed=signals["total_error"].abs())
    signals = size.sort_values(["size", "missed"], ascending=False, kind="stable")
    worst = signals.drop_duplicates(["level", "store_id", "dept_id"]).head(TOP)
    losses = loss_history(own).merge(
        naive[["week", "wmae"]].rename(columns={"wmae": "seasonal_naive"}), on="week", how="left"
    )
    picture = accuracy_plot(losses.assign(week=pd.to_datetime(losses["week"])))
    shown = ["level", "store_id", "dept_id", "horizon", "tracking_signal", "bias"]
    figures = {
        "WMAE": published["wmae"],
        "bias": published["bias"],
        "p10-p90 coverage": published["coverage"],
        "FVA": published["fva"],
    }
    return {
        "week": f"{table['week'].iloc[0]:%Y-%m-%d}",
        "chain, all horizons": frame_markdown(models, 2),
        "WMAE by horizon": frame_markdown(by_horizon),
        "WMAE by week": plot_markdown(picture, "WMAE by week"),
        "worst tracking signals": frame_markdown(worst[shown], 2)
        if len(worst)
        else dg.MetadataValue.md("fewer than 4 weeks scored"),
        **{name: float(value) for name, value in figures.items() if pd.notna(value)},
    }


def _exception_report(
    table: pd.DataFrame, outside: pd.DataFrame, forecasts: pd.DataFrame, actuals: pd.DataFrame
) -> dict[str, Any]:
    keys = ["store_id", "dept_id"]
    unforeseen = actuals.merge(forecasts[keys], on=keys, how="left", indicator="found")
    unforeseen = unforeseen[unforeseen["found"] == "left_only"]
    shown = ["rank", *keys, "forecast", "order_quantity", "actual", "at_risk", "reason"]
    return {
        "exceptions": frame_markdown(table[shown].head(TOP), 0),
        "series outside p10-p90": len(outside),
        "of them without a sales row": int(outside["is_missing"].sum()),
        "share outside p10-p90": len(outside) / len(forecasts),
        "at risk, listed series": float(table["at_risk"].sum()),
        "at risk, all series outside": float(outside["at_risk"].sum()),
        "series sold without a forecast": len(unforeseen),
        "their sales": float(unforeseen["sales"].sum()),
    }


def _empty(types: "Mapping[str, str]") -> pd.DataFrame:
    """No rows, with the types that rows have: files of a table are read together."""
    given = {"week": "datetime64[ns]", "vintage_id": "object", **types}
    # An empty column of objects would have the type of nothing in Parquet, not that of text.
    return pd.DataFrame(
        {name: pd.Series(dtype="string[python]" if dtype == "object" else dtype) for name, dtype in given.items()}
    )
