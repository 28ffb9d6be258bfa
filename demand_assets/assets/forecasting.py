"""production model x demand_features -> weekly_forecast, its totals and attributions -> published_forecast."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd

from demand_assets.adapters.arrow_frames import content_version
from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.manifests import MANIFEST_KEY
from demand_assets.adapters.parquet import HISTORY, PARTITION_COLUMN, VERSION_KEY, LakeTable, ParquetLake
from demand_assets.adapters.registry import ModelRegistry, RegisteredVersion
from demand_assets.assets.describe import columns_from, frame_markdown, plot_markdown, schema_of
from demand_assets.assets.outages import retry_on_store_outage
from demand_assets.assets.plots import forecast_plot
from demand_assets.assets.rows import MEMBER_TABLES, Keys, member_keys, store_table
from demand_assets.assets.training import promoted_model
from demand_assets.contract import lake as lake_tables
from demand_assets.contract.columns import texts
from demand_assets.contract.store import (
    CODE_VERSION,
    DATA_VERSION,
    DEPT_ID,
    FORECAST,
    FORECAST_ATTRIBUTIONS,
    FORECAST_TOTALS,
    FORECASTS,
    HORIZON,
    MODEL_VERSION,
    ORDER_QUANTITY,
    ORIGIN_WEEK,
    P10,
    P50,
    P90,
    STORE_ID,
    TARGET_WEEK,
)
from demand_assets.errors import ModelError
from demand_assets.forecasting.attributions import attributions
from demand_assets.forecasting.baselines import BASELINES
from demand_assets.forecasting.features import ATTRIBUTION_GROUPS, IN_SALES_UNIT
from demand_assets.forecasting.forecaster import ROWS_PER_PIECE, predict_pieces
from demand_assets.forecasting.methods import METHODS, method_of
from demand_assets.forecasting.weeks import WEEKS_PER_YEAR, add_weeks
from demand_assets.ingestion.dataset import Dataset
from demand_assets.partitions import run_weeks, week_key, weeks_partitions
from demand_assets.provenance import code_version, environment
from demand_assets.recipes import champion_recipe, forecast_recipe, reusable, totals_recipe
from demand_assets.resources import Clock, Compute, ForecastStore, OrderCosts, Training

if TYPE_CHECKING:
    import pyarrow as pa

    from demand_assets.forecasting.forecaster import Forecaster

GROUP = "forecasting"
OWNERS = ["team:forecasting"]
_KEYS = texts(STORE_ID, DEPT_ID, ORIGIN_WEEK, TARGET_WEEK, HORIZON)
FORECAST_COLUMNS = {
    **_KEYS,
    **texts(FORECAST, P10, P50, P90),
    "method": "What the forecast starts from: full history, no last year, dormant, single week",
    **texts(ORDER_QUANTITY),
    **{name: IN_SALES_UNIT[name] for name in BASELINES},
    **texts(MODEL_VERSION, DATA_VERSION, CODE_VERSION),
}
ATTRIBUTION_COLUMNS = {**_KEYS, **ATTRIBUTION_GROUPS, **texts(MODEL_VERSION)}
# Columns of the asset -> columns of the store's table.
_ATTRIBUTIONS = {
    "last year": "last_year",
    "recent trend": "recent_trend",
    "weather and economy": "weather_economy",
}
UNDERAGE_KEY, OVERAGE_KEY, ENVIRONMENT_KEY = "underage_cost", "overage_cost", "environment"
PUBLISHED = FORECASTS.without("vintage_id")
RECENT_SALES = dg.AssetIn(
    partition_mapping=dg.AllPartitionMapping(), metadata={**HISTORY, "columns": ["week", "sales"]}
)


def champion_of(ledger: PromotionLedger) -> RegisteredVersion:
    """The version in production; ModelError when there is none."""
    champion = ledger.champion()
    if champion is None:
        raise ModelError("no model is in production: the gate refused every challenger; see promoted_model's reasons")
    return champion


def forecast_with(
    forecaster: "Forecaster",
    features: pd.DataFrame,
    costs: OrderCosts,
    *,
    model_version: str,
    data_version: str,
    code: str,
    predict: "Callable[[Forecaster, pd.DataFrame], pd.DataFrame] | None" = None,
) -> pd.DataFrame:
    """`FORECAST_COLUMNS` of each row of demand_features: the one place where forecasts are made.

    `predict` makes those of the model elsewhere than here.
    """
    from demand_assets.forecasting.orders import order_quantities

    predicted = predict(forecaster, features) if predict else forecaster.predict(features)
    return predicted.assign(
        method=method_of(features),
        order_quantity=order_quantities(predicted, costs.underage, costs.overage),
        **{name: features[name].to_numpy() for name in BASELINES},
        model_version=model_version,
        data_version=data_version,
        code_version=code,
    )


def totals_of(
    forecast: pd.DataFrame, features: pd.DataFrame, registry: ModelRegistry, horizon_weeks: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Totals of a forecast, and the errors of such sums in the backtest of the model that made it: their intervals.

    ModelError when that version was registered without a backtest.
    """
    from demand_assets.adapters.promotion import backtest_kept
    from demand_assets.forecasting.totals import calibrate_totals, total, total_points

    # Not the champion of this moment: another may have been promoted since the forecast was made.
    past = total_points(backtest_kept(registry, registry.version(str(forecast["model_version"].iloc[0]))))
    keys = ["store_id", "dept_id", "origin_week", "target_week"]
    scaled = forecast.merge(features[[*keys, "scale", "is_holiday"]], on=keys, how="left", validate="one_to_one")
    return total(scaled, calibrate_totals(past, horizon_weeks)), past


def attributions_table(attributions: pd.DataFrame, members: Keys) -> "pa.Table":
    """Attributions as the store takes them."""
    renamed = attributions.rename(columns=_ATTRIBUTIONS)
    return store_table(renamed, FORECAST_ATTRIBUTIONS.without("vintage_id"), members)


def require_attributions_of(forecast: pd.DataFrame, attributions: pd.DataFrame) -> None:
    """ModelError unless one model version made the forecast and its attributions."""
    made = sorted(set(forecast["model_version"]))
    asked = sorted(set(attributions["model_version"])) if "model_version" in attributions.columns else ["unknown"]
    if made != asked:
        raise ModelError(
            f"the forecast is of model version {', '.join(made)}, its attributions are of version {', '.join(asked)}: "
            "another model was promoted between them; materialise weekly_forecast and forecast_attributions again"
        )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    partitions_def=weeks_partitions,
    code_version=code_version("forecast"),
    deps=[promoted_model],
    ins={"raw_sales": RECENT_SALES},
    metadata={PARTITION_COLUMN: "origin_week", "dagster/column_schema": columns_from(FORECAST_COLUMNS)},
)
@retry_on_store_outage
def weekly_forecast(
    context: dg.AssetExecutionContext,
    lake: ParquetLake,
    registry: ModelRegistry,
    ledger: PromotionLedger,
    order_costs: OrderCosts,
    compute: Compute,
    demand_features: pd.DataFrame,
    raw_sales: pd.DataFrame,
) -> dg.MaterializeResult:
    """One row per active series x horizon: forecast, quantiles and order quantity of the production model.

    The baselines stand beside them, as they were known at the origin, so that later scores use no hindsight. Sales are
    only shown in the plot.
    """
    from demand_assets.forecasting.orders import service_level

    origin = run_weeks(context)[0]
    key = week_key(origin)
    champion = champion_of(ledger)
    features_footer = lake.metadata("demand_features", [key])[key]
    forecast = forecast_with(
        registry.load(champion),
        demand_features,
        order_costs,
        model_version=champion.version,
        data_version=features_footer[VERSION_KEY],
        code=code_version("forecast"),
        predict=partial(predict_pieces, workers=compute.workers_for(len(demand_features) // ROWS_PER_PIECE + 1)),
    )
    made_with = {
        **forecast_recipe(lake, champion, key, order_costs).metadata,
        MANIFEST_KEY: features_footer[MANIFEST_KEY],
        UNDERAGE_KEY: repr(order_costs.underage),
        OVERAGE_KEY: repr(order_costs.overage),
        ENVIRONMENT_KEY: environment(),
    }
    recent = raw_sales[raw_sales["week"] > add_weeks(origin, -WEEKS_PER_YEAR)]
    totals = forecast.groupby("target_week")["forecast"].sum().reset_index()
    picture = forecast_plot(recent.groupby("week")["sales"].sum().reset_index(), totals)
    return dg.MaterializeResult(
        value=LakeTable(forecast, {key: made_with}),
        data_version=dg.DataVersion(content_version(forecast)),
        metadata={
            "chain total": plot_markdown(picture, "chain total"),
            "model version": int(champion.version),
            "method": champion.method,
            **{f"forecasts, {method}": int((forecast["method"] == method).sum()) for method in METHODS},
            "service level": service_level(order_costs.underage, order_costs.overage),
            "series": int(forecast[["store_id", "dept_id"]].drop_duplicates().shape[0]),
            **{
                f"total {week:%Y-%m-%d}": total
                for week, total in zip(totals["target_week"], totals["forecast"], strict=True)
            },
        },
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    partitions_def=weeks_partitions,
    code_version=code_version("attributions"),
    deps=[promoted_model],
    metadata={PARTITION_COLUMN: "origin_week", "dagster/column_schema": columns_from(ATTRIBUTION_COLUMNS)},
)
@retry_on_store_outage
def forecast_attributions(
    context: dg.AssetExecutionContext,
    lake: ParquetLake,
    registry: ModelRegistry,
    ledger: PromotionLedger,
    demand_features: pd.DataFrame,
) -> dg.MaterializeResult:
    """One row per active series x horizon: what moved its forecast, in a planner's words; they sum to it.

    Unchanged features, champion and code give the stored attributions.
    """

    key = week_key(run_weeks(context)[0])
    champion = champion_of(ledger)
    features = lake.versions_of("demand_features", [key])[key]
    recipe = champion_recipe(champion, features, "attributions")
    stored = reusable(lake, "forecast_attributions", key, recipe)
    if stored is not None:
        why = stored
    else:
        why = attributions(registry.load(champion), demand_features).assign(model_version=champion.version)
    return dg.MaterializeResult(
        value=LakeTable(why, {key: recipe.metadata}),
        data_version=dg.DataVersion(content_version(why)),
        metadata={
            "model version": int(champion.version),
            "reused": stored is not None,
            **{f"mean size of {group}": float(why[group].abs().mean()) for group in ATTRIBUTION_GROUPS},
        },
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    partitions_def=weeks_partitions,
    code_version=code_version("totals"),
    ins={
        "demand_features": dg.AssetIn(
            metadata={"columns": ["store_id", "dept_id", "origin_week", "target_week", "scale", "is_holiday"]}
        ),
        "raw_sales": RECENT_SALES,
    },
    metadata={PARTITION_COLUMN: "origin_week", "dagster/column_schema": schema_of(lake_tables.FORECAST_TOTALS)},
)
def forecast_totals(
    context: dg.AssetExecutionContext,
    lake: ParquetLake,
    training: Training,
    registry: ModelRegistry,
    weekly_forecast: pd.DataFrame,
    demand_features: pd.DataFrame,
    raw_sales: pd.DataFrame,
) -> dg.MaterializeResult:
    """Forecasts of stores, departments and the chain, one row per total x target week.

    A total is the sum of its series' forecasts; its quantiles come from the errors of such sums in the
    backtest of the model that made them.
    """
    from demand_assets.forecasting.totals import CHAIN, rolling_coverage

    origin = run_weeks(context)[0]
    totals, past = totals_of(weekly_forecast, demand_features, registry, training.horizon_weeks)
    covered = rolling_coverage(past, training.horizon_weeks)
    chain = totals[totals["level"] == CHAIN]
    recent = raw_sales[raw_sales["week"] > add_weeks(origin, -WEEKS_PER_YEAR)]
    picture = forecast_plot(recent.groupby("week")["sales"].sum().reset_index(), chain)
    shown = ["target_week", "forecast", "p10", "p50", "p90"]
    key = week_key(origin)
    return dg.MaterializeResult(
        value=LakeTable(totals, {key: totals_recipe(lake, key, training.horizon_weeks).metadata}),
        data_version=dg.DataVersion(content_version(totals)),
        metadata={
            "chain total with p10 to p90": plot_markdown(picture, "chain total with p10 to p90"),
            "chain total": frame_markdown(chain[shown].assign(target_week=chain["target_week"].dt.date), 0),
            "errors per level": frame_markdown(past.groupby("level", sort=False).size().rename("errors").reset_index()),
            "coverage out of sample": frame_markdown(covered, 3)
            if len(covered)
            else dg.MetadataValue.md("too few origins to calibrate on some and score others"),
            **{
                f"p10-p90 coverage, {level}": share
                for level, share in zip(covered["level"], covered["coverage"], strict=True)
            },
        },
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"sql", "parquet"},
    partitions_def=weeks_partitions,
    deps=[*MEMBER_TABLES],
)
@retry_on_store_outage
def published_forecast(
    context: dg.AssetExecutionContext,
    lake: ParquetLake,
    store: ForecastStore,
    registry: ModelRegistry,
    clock: Clock,
    dataset: pd.DataFrame,
    weekly_forecast: pd.DataFrame,
    forecast_totals: pd.DataFrame,
    forecast_attributions: pd.DataFrame,
) -> dg.MaterializeResult:
    """A vintage in the SQL store with its totals and attributions, in one transaction; its rows as Parquet, by its id.

    Vintages are never changed. The same forecast published again is the vintage that is there.
    """
    from demand_assets.store.publish import VintageRecord, publish_vintage

    origin = run_weeks(context)[0]
    first = weekly_forecast.iloc[0]
    require_attributions_of(weekly_forecast, forecast_attributions)
    record = VintageRecord(
        origin_week=origin.date(),
        horizon_weeks=int(weekly_forecast["horizon"].max()),
        method=registry.version(str(first["model_version"])).method,
        model_version=str(first["model_version"]),
        data_version=str(first["data_version"]),
        code_version=str(first["code_version"]),
        published_at=clock.now(),
        unit=Dataset.read(dataset).unit,
    )
    members = member_keys(lake)
    rows = store_table(weekly_forecast, PUBLISHED, members)
    totals = store_table(forecast_totals, FORECAST_TOTALS.without("vintage_id"), members)
    attributions = attributions_table(forecast_attributions, members)
    published = publish_vintage(store.engine(), record, rows, totals, attributions)
    file = f"{week_key(origin)}/{published.vintage_id}"
    # A vintage's file stays as it was first written, with what it was made from, of which rows alone do not tell.
    if not lake.metadata("published_forecast", [file]):
        made_with = lake.metadata("weekly_forecast", [week_key(origin)])[week_key(origin)]
        metadata = {name: note for name, note in made_with.items() if name != VERSION_KEY}
        lake.write("published_forecast", file, weekly_forecast, metadata)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(published.vintage_id),
        metadata={
            "vintage": published.vintage_id,
            "new": published.inserted,
            "dagster/row_count": len(rows),
            "totals": len(totals),
            "attributions": len(attributions),
            "file": dg.MetadataValue.path(lake.path("published_forecast", file)),
        },
    )


def expected_weekly(published: dg.AssetsDefinition, deadline_hours: int) -> dg.AssetsDefinition:
    """The asset of vintages, late when a week and the hours of the deadline have passed since the last one.

    A vintage comes within those hours after the end of each week, so two are never further apart.
    """
    late = timedelta(weeks=1, hours=deadline_hours)
    policy = dg.FreshnessPolicy.time_window(fail_window=late, warn_window=timedelta(weeks=1, hours=deadline_hours / 2))
    return published.map_asset_specs(lambda spec: dg.apply_freshness_policy(spec, policy))
