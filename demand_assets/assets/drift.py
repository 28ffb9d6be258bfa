"""demand_features, weekly_forecast -> drift_report: what a week's inputs and predictions differ in from before."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import pandas as pd

from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.parquet import PARTITION_COLUMN, LakeTable, ParquetLake, content_version
from demand_assets.adapters.registry import ModelRegistry, RegisteredVersion
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
    from numpy.typing import NDArray

    from demand_assets.forecasting.model import Forecaster

PAGE_TABLE = "drift_report_html"
PREDICTIONS_TABLE = "drift_predictions"
CHAMPION_NOTE = "model_version"
WEEKS_SHOWN = 26
ROWS_SHOWN = 20
# Origins read at once: all horizons of them are in memory for a moment, of which one is kept.
ORIGINS_READ = 8
_TYPES = {
    **dict.fromkeys(("points", "reference_points"), "int64"),
    **dict.fromkeys(("reference", "group_kind", "group_id", "variable", "kind", "severity", "by", "words"), "str"),
}
_READ = ["store_id", "dept_id", "origin_week", "target_week", "base_usd", "scale_usd", *FEATURE_COLUMNS]


class Predictions:
    """The champion's forecasts of stored origins at horizon 1, kept from report to report in one file of the lake.

    They are good for as long as champion and features are what they were; `versions` are those of the features now.
    """

    def __init__(self, lake: ParquetLake, champion: RegisteredVersion, versions: dict[str, str]) -> None:
        self._lake, self._versions = lake, versions
        self._made_by = fingerprint([champion.version, champion.fingerprint, code_version()])
        self._known: dict[str, NDArray[np.float64]] = {}
        note = lake.notes(PREDICTIONS_TABLE, [None]).get(None, {})
        if note.get(CHAMPION_NOTE) == self._made_by:
            held = json.loads(note[INPUT_NOTE])
            stored = lake.read(PREDICTIONS_TABLE, None)
            if stored is not None:
                for key, rows in stored.groupby("origin_week", sort=False)["forecast_usd"]:
                    if str(key) in versions and held.get(key) == versions[str(key)]:
                        self._known[str(key)] = rows.to_numpy()

    def of(self, near: pd.DataFrame, forecaster: "Forecaster") -> "NDArray[np.float64]":
        """(n,) forecasts in USD of rows of demand_features, all the rows of horizon 1 of each of their origins."""
        keys = near["origin_week"].dt.strftime("%Y-%m-%d")
        new = ~keys.isin(list(self._known)).to_numpy()
        if new.any():
            predicted = forecaster.predict(near[new])["forecast_usd"]
            for key, rows in predicted.groupby(keys[new].to_numpy(), sort=False):
                self._known[str(key)] = rows.to_numpy()
        return np.concatenate([self._known[key] for key in keys.unique()])

    def keep(self) -> None:
        """Put them into the lake, for the reports to come."""
        if not self._known:
            return
        kept = dict(sorted(self._known.items()))
        frame = pd.DataFrame(
            {
                "origin_week": np.repeat(list(kept), [len(rows) for rows in kept.values()]),
                "forecast_usd": np.concatenate(list(kept.values())),
            }
        )
        held = json.dumps({key: self._versions[key] for key in kept})
        self._lake.write(PREDICTIONS_TABLE, None, frame, {CHAMPION_NOTE: self._made_by, INPUT_NOTE: held})


def past_rows(
    lake: ParquetLake, keys: list[str], forecaster: "Forecaster", predictions: Predictions
) -> Iterator[pd.DataFrame]:
    """`measured` rows of stored origins, the champion's predictions among them."""
    from demand_assets.forecasting.drift import measured

    for start in range(0, len(keys), ORIGINS_READ):
        features = lake.read("demand_features", keys[start : start + ORIGINS_READ], _READ)
        if features is not None:
            near = features[features["horizon"] == 1]
            yield measured(near, predictions.of(near, forecaster))


@dg.asset(
    group_name="monitoring",
    owners=["team:forecasting"],
    kinds={"sql", "parquet"},
    partitions_def=weeks_partitions,
    code_version=code_version(),
    metadata={PARTITION_COLUMN: "week", "dagster/column_schema": columns_from(REPORT_COLUMNS, **_TYPES)},
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
    """Every feature and the prediction against the champion's training and last season, per group; rows and a page.

    Unchanged features, forecast, champion and code give the stored report.
    """
    from demand_assets.assets.drift_page import drift_page, worst_by_kind
    from demand_assets.forecasting.drift import drift_report as report_of
    from demand_assets.forecasting.drift import drift_verdict, measured
    from demand_assets.store.publish import publish_drift
    from demand_assets.store.rows import DRIFT

    week = run_weeks(context)[0]
    key = week_key(week)
    champion = champion_of(ledger)
    earliest = week_key(add_weeks(week, -PAST_WEEKS))
    keys = [origin for origin in lake.partitions("demand_features") if earliest <= origin < key]
    versions = lake.versions_of("demand_features", [*keys, key])
    shown = [one for one in lake.partitions("drift_report") if one < key][-WEEKS_SHOWN + 1 :]
    made_from = fingerprint(
        {
            "features": versions,
            "forecast": lake.versions_of("weekly_forecast", [key]),
            "champion": [champion.version, champion.fingerprint],
            "weeks before": lake.versions_of("drift_report", shown),
            "code": code_version(),
        }
    )
    note = lake.notes("drift_report", [key]).get(key, {})
    stored = lake.read("drift_report", [key]) if note.get(INPUT_NOTE) == made_from else None
    if stored is not None:
        report, verdict = stored, drift_verdict(stored)
    else:
        as_of = pd.Timestamp(champion.as_of)
        names = ["store_id", "dept_id", "target_week"]
        forecast = demand_features[names].merge(weekly_forecast, on=names, how="left", validate="one_to_one")
        now = measured(demand_features, forecast["forecast_usd"].to_numpy())
        predictions = Predictions(lake, champion, versions)
        past = pd.concat(
            [now.iloc[:0], *past_rows(lake, keys, registry.load(champion), predictions)], ignore_index=True
        )
        predictions.keep()
        report = report_of(now, past, as_of, demand_features[["target_week", "is_holiday"]])
        verdict = drift_verdict(report)
        recent = {
            **{origin: worst_by_kind(rows, drift_verdict(rows)) for origin, rows in _reports(lake, shown)},
            key: worst_by_kind(report, verdict),
        }
        rows = pd.concat([past, now], ignore_index=True)
        lake.write_page(PAGE_TABLE, key, drift_page(report, verdict, rows, as_of, recent))
    publish_drift(store.engine(), week.date(), store_rows(report[list(DRIFT)]))
    page = f"{lake.address(PAGE_TABLE)}/{key}.html"
    notes = {INPUT_NOTE: made_from, CHAMPION_NOTE: champion.version}
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
            "reused": stored is not None,
        },
    )


def _reports(lake: ParquetLake, keys: list[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """The reports of weeks that have one."""
    for origin in keys:
        rows = lake.read("drift_report", [origin])
        if rows is not None:
            yield origin, rows
