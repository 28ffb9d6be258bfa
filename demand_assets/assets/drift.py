"""demand_features, weekly_forecast -> drift_report: what a week's inputs and predictions differ in from before."""

from collections.abc import Iterable, Iterator

import dagster as dg
import pandas as pd

from demand_assets.adapters.arrow_frames import content_version
from demand_assets.adapters.drift_rows import (
    PREDICTIONS_TABLE,
    DriftRows,
    predictions_table,
    stored_predictions,
    stored_report,
)
from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.parquet import PARTITION_COLUMN, LakeTable, ParquetLake
from demand_assets.adapters.registry import ModelRegistry, RegisteredVersion
from demand_assets.adapters.table_refs import TableRef
from demand_assets.assets.describe import columns_from, frame_markdown
from demand_assets.assets.drift_page import drift_page, worst_by_kind
from demand_assets.assets.forecasting import champion_of
from demand_assets.assets.outages import retry_on_store_outage
from demand_assets.assets.rows import MEMBER_TABLES, member_keys, store_table
from demand_assets.contract import distributions
from demand_assets.contract.store import DRIFT_REPORTS
from demand_assets.forecasting.features import features_of
from demand_assets.forecasting.weeks import WEEKS_PER_YEAR, add_weeks
from demand_assets.monitoring.distributions import WEEK, histograms, quantiles
from demand_assets.monitoring.drift import REPORT_COLUMNS, ROW_KEYS, JudgedWeek, drift_verdict
from demand_assets.monitoring.drift_metrics import LAST_SEASON, NEAREST, PREDICTION, SEASON_WEEKS
from demand_assets.partitions import run_weeks, week_key, weeks_partitions
from demand_assets.provenance import code_version
from demand_assets.recipes import DriftInputs, champion_recipe, drift_recipe, outdated, reusable
from demand_assets.resources import Compute, ForecastStore

PAGE_TABLE = "drift_report_html"
DISTRIBUTIONS = (distributions.QUANTILES, distributions.HISTOGRAMS)
# Beside the features: what is published of a week, in the unit of sales, and over the scale of its series.
FORECAST_VARIABLES = ("forecast", "p10", "p50", "p90", PREDICTION)
CHAMPION_KEY = "model_version"
ROWS_SHOWN = 20
_TYPES = {
    **dict.fromkeys(("points", "reference_points"), "int64"),
    **dict.fromkeys(("reference", "group_kind", "group_id", "variable", "kind", "severity", "by", "words"), "str"),
}
_READ = [*ROW_KEYS, "target_week", "horizon", "scale", "store_type", "is_holiday"]


def keep_predictions(
    lake: ParquetLake, compute: Compute, champion: RegisteredVersion, registry: ModelRegistry, versions: dict[str, str]
) -> int:
    """Have the champion's predictions of stored origins at horizon 1 in the lake; how many of them were made.

    Made are those without any, and those whose champion, features (`versions` by origin) or code were others.
    """
    wanted = {key: champion_recipe(champion, version, "drift") for key, version in versions.items()}
    due = outdated(lake, PREDICTIONS_TABLE, wanted)
    features = TableRef(lake.table_uri("demand_features"), "demand_features", tuple(due))
    if due:
        made = compute.workers_for(len(due)).map(stored_predictions, due, features, registry.load(champion))
        for key, predictions in zip(due, made, strict=True):
            lake.write(PREDICTIONS_TABLE, key, predictions, wanted[key].metadata)
    return len(due)


@dg.asset(
    group_name="monitoring",
    owners=["team:forecasting"],
    kinds={"sql", "parquet"},
    partitions_def=weeks_partitions,
    code_version=code_version("drift"),
    deps=["promoted_model", *MEMBER_TABLES],
    metadata={PARTITION_COLUMN: "week", "dagster/column_schema": columns_from(REPORT_COLUMNS, **_TYPES)},
    ins={"demand_features": dg.AssetIn(metadata={"columns": _READ})},
)
@retry_on_store_outage
def drift_report(
    context: dg.AssetExecutionContext,
    lake: ParquetLake,
    store: ForecastStore,
    registry: ModelRegistry,
    ledger: PromotionLedger,
    compute: Compute,
    demand_features: pd.DataFrame,
    weekly_forecast: pd.DataFrame,
    holiday_calendar: pd.DataFrame,
) -> dg.MaterializeResult:
    """Every feature and the prediction against the champion's training and last season, per group; rows and a page.

    Unchanged features, forecast, champion and code give the stored report.
    """
    from demand_assets.store.publish import publish_distributions, publish_drift

    week = run_weeks(context)[0]
    key = week_key(week)
    champion = champion_of(ledger)
    read = DriftInputs.of(lake, key)
    keys, versions = list(read.origins), read.features
    recipe = drift_recipe(lake, champion, key, read)
    stored = reusable(lake, "drift_report", key, recipe)
    if stored is not None:
        report, verdict = stored, drift_verdict(stored)
    else:
        as_of = pd.Timestamp(champion.as_of)
        now = demand_features.loc[demand_features["horizon"] == 1]
        keep_predictions(lake, compute, champion, registry, {one: versions[one] for one in keys})
        names = ["store_id", "dept_id", "target_week"]
        forecast = now[names].merge(weekly_forecast, on=names, how="left", validate="one_to_one")
        predictions = predictions_table(forecast["forecast"].to_numpy(), now)
        # Another model may have been promoted since the week's forecast was made.
        own = set(forecast["model_version"]) == {champion.version}
        made = champion_recipe(champion, versions[key], "drift").metadata if own else {}
        lake.write(PREDICTIONS_TABLE, key, predictions, made)
        rows = DriftRows(
            *(TableRef(lake.table_uri(table), table, (*keys, key)) for table in ("demand_features", PREDICTIONS_TABLE))
        )
        now_made = forecast.assign(**{PREDICTION: predictions[PREDICTION]})
        keep_distributions(lake, registry, champion, week, now_made, keys)
        report = stored_report(
            rows,
            JudgedWeek.of(now, as_of),
            demand_features[["target_week", "is_holiday"]],
            holiday_calendar,
            compute.workers_for,
        )
        verdict = drift_verdict(report)
        recent = {
            **{origin: worst_by_kind(past, drift_verdict(past)) for origin, past in _reports(lake, read.shown)},
            key: worst_by_kind(report, verdict),
        }
        lake.write_page(PAGE_TABLE, key, drift_page(report, verdict, rows.read, as_of, recent))
    engine, members = store.engine(), member_keys(lake)
    publish_drift(engine, week.date(), store_table(report, DRIFT_REPORTS, members))
    kept = [(table, lake.read(table.name, [key])) for table in DISTRIBUTIONS]
    told = [store_table(rows, table, members) for table, rows in kept if rows is not None]
    if len(told) == len(DISTRIBUTIONS):
        publish_distributions(engine, week.date(), *told)
    page = f"{lake.address(PAGE_TABLE)}/{key}.html"
    metadata = {**recipe.metadata, CHAMPION_KEY: champion.version}
    counts = report["severity"].value_counts()
    return dg.MaterializeResult(
        value=LakeTable(report, {key: metadata}),
        data_version=dg.DataVersion(content_version(report)),
        metadata={
            "verdict": verdict.severity,
            "what drifted": frame_markdown(pd.DataFrame({"drift": verdict.named[:ROWS_SHOWN]}))
            if verdict.named
            else dg.MetadataValue.md("nothing"),
            "page": dg.MetadataValue.path(page) if "://" in page else dg.MetadataValue.url(f"file://{page}"),
            "share of sales with a severe drift": verdict.sales_share,
            **{f"comparisons, {name}": int(count) for name, count in counts.items()},
            "model version": int(champion.version),
            "origins compared with": len(keys),
            "reused": stored is not None,
        },
    )


def keep_distributions(
    lake: ParquetLake,
    registry: ModelRegistry,
    champion: RegisteredVersion,
    week: pd.Timestamp,
    forecast: pd.DataFrame,
    earlier: list[str],
) -> None:
    """Write the week's quantiles and histograms to the lake, and under the champion's run in MLflow.

    Beside them those of the same season last year, as far as these weeks are among the `earlier` ones.
    """
    key = week_key(week)
    features = TableRef(lake.table_uri("demand_features"), "demand_features", (key, *earlier))
    names = [*features_of(features.only([key]).columns())]
    values = features.only([key]).read(names, NEAREST)
    samples = {WEEK: values.assign(**{name: forecast[name].to_numpy() for name in FORECAST_VARIABLES})}
    season = [week_key(add_weeks(week, weeks - WEEKS_PER_YEAR)) for weeks in range(-SEASON_WEEKS, SEASON_WEEKS + 1)]
    before = [one for one in season if one in earlier]
    if before:
        predicted = TableRef(lake.table_uri(PREDICTIONS_TABLE), PREDICTIONS_TABLE, tuple(before)).read([PREDICTION])
        of_season = features.only(before).read(names, NEAREST)
        samples[LAST_SEASON] = of_season.assign(**{PREDICTION: predicted[PREDICTION].to_numpy()})
    for table, made in zip(DISTRIBUTIONS, (quantiles, histograms), strict=True):
        rows = pd.concat([made(week, sample, name) for name, sample in samples.items()], ignore_index=True)
        lake.write(table.name, key, rows)
        registry.log_table(champion, f"{table.name}/{key}.csv", rows)


def _reports(lake: ParquetLake, keys: Iterable[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """The reports of weeks that have one."""
    for origin in keys:
        rows = lake.read("drift_report", [origin])
        if rows is not None:
            yield origin, rows
