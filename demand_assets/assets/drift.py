"""demand_features, weekly_forecast -> drift_report: what a week's inputs and predictions differ in from before."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd

from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.parquet import PARTITION_COLUMN, LakeTable, ParquetLake, content_version
from demand_assets.adapters.registry import ModelRegistry
from demand_assets.assets.describe import columns_from, frame_markdown
from demand_assets.assets.features import INPUT_NOTE
from demand_assets.assets.forecasting import champion_of
from demand_assets.assets.outages import outlasting
from demand_assets.assets.rows import store_rows
from demand_assets.forecasting.drift import PAST_WEEKS, REPORT_COLUMNS
from demand_assets.forecasting.features import FEATURE_COLUMNS
from demand_assets.forecasting.weeks import add_weeks
from demand_assets.partitions import run_weeks, week_key, weeks_partitions
from demand_assets.provenance import code_version, fingerprint
from demand_assets.resources import ForecastStore

if TYPE_CHECKING:
    from demand_assets.forecasting.model import Forecaster

PAGE_TABLE = "drift_report_html"
CHAMPION_NOTE = "model_version"
WEEKS_SHOWN = 26
ROWS_SHOWN = 20
# Origins read at once: all horizons of them are in memory for a moment, of which one is kept.
ORIGINS_READ = 8
_READ = ["store_id", "dept_id", "origin_week", "target_week", "base_usd", "scale_usd", *FEATURE_COLUMNS]


def past_rows(lake: ParquetLake, keys: list[str], champion: "Forecaster") -> Iterator[pd.DataFrame]:
    """`measured` rows of stored origins, the champion's predictions among them."""
    from demand_assets.forecasting.drift import measured

    for start in range(0, len(keys), ORIGINS_READ):
        features = lake.read("demand_features", keys[start : start + ORIGINS_READ], _READ)
        if features is not None:
            near = features[features["horizon"] == 1]
            yield measured(near, champion.predict(near)["forecast_usd"].to_numpy())


@dg.asset(
    group_name="monitoring",
    owners=["team:forecasting"],
    kinds={"sql", "parquet"},
    partitions_def=weeks_partitions,
    code_version=code_version(),
    metadata={PARTITION_COLUMN: "week", "dagster/column_schema": columns_from(REPORT_COLUMNS)},
)
@outlasting
def drift_report(
    context: dg.AssetExecutionContext,
    lake: ParquetLake,
    store: ForecastStore,
    registry: ModelRegistry,
    ledger: PromotionLedger,
    demand_features: pd.DataFrame,
    weekly_forecast: pd.DataFrame,
) -> dg.MaterializeResult:
    """Every feature and the prediction against the champion's training and last season, per group; rows and a page."""
    from demand_assets.assets.drift_page import drift_page, worst_by_kind
    from demand_assets.forecasting.drift import drift_report as report_of
    from demand_assets.forecasting.drift import drift_verdict, measured
    from demand_assets.store.publish import publish_drift
    from demand_assets.store.rows import DRIFT

    week = run_weeks(context)[0]
    key = week_key(week)
    champion = champion_of(ledger)
    as_of = pd.Timestamp(champion.as_of)
    earliest = week_key(add_weeks(week, -PAST_WEEKS))
    keys = [origin for origin in lake.partitions("demand_features") if earliest <= origin < key]
    forecaster = registry.load(champion)

    names = ["store_id", "dept_id", "target_week"]
    forecast = demand_features[names].merge(weekly_forecast, on=names, how="left", validate="one_to_one")
    now = measured(demand_features, forecast["forecast_usd"].to_numpy())
    past = pd.concat([now.iloc[:0], *past_rows(lake, keys, forecaster)], ignore_index=True)
    report = report_of(now, past, as_of, demand_features[["target_week", "is_holiday"]])
    verdict = drift_verdict(report)
    publish_drift(store.engine(), week.date(), store_rows(report[list(DRIFT)]))
    recent = {
        **{origin: worst_by_kind(rows, drift_verdict(rows)) for origin, rows in _earlier(lake, key)},
        key: worst_by_kind(report, verdict),
    }
    rows = pd.concat([past, now], ignore_index=True)
    page = lake.write_page(PAGE_TABLE, key, drift_page(report, verdict, rows, as_of, recent))
    made_from = lake.versions_of("demand_features", [*keys, key])
    notes = {INPUT_NOTE: fingerprint(made_from), CHAMPION_NOTE: champion.version}
    counts = report["severity"].value_counts()
    return dg.MaterializeResult(
        value=LakeTable(report, {key: notes}),
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
        },
    )


def _earlier(lake: ParquetLake, key: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """The reports of the weeks before, as far as they were made."""
    for origin in [one for one in lake.partitions("drift_report") if one < key][-WEEKS_SHOWN + 1 :]:
        rows = lake.read("drift_report", [origin])
        if rows is not None:
            yield origin, rows
