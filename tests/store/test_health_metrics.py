"""Metrics of the newest forecast and of the newest scored week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.metrics import Metric, health_metrics
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.store.migrations import migrate
from tests.api.stores import ORIGIN, fill_full

NOW = datetime.combine(ORIGIN, datetime.min.time(), UTC) + timedelta(hours=60)


def ledger(url: str, folder: Path) -> PromotionLedger:
    return PromotionLedger(store_url=url, tracking_uri="", artifact_uri=str(folder), model_name="m")


def test_the_newest_forecast_and_the_newest_scored_week_are_measured(empty_store: str, tmp_path: Path) -> None:
    fill_full(empty_store)
    found = health_metrics(ParquetLake(uri=str(tmp_path)), ledger(empty_store, tmp_path), NOW)
    assert found[0] == Metric("ForecastAgeHours", 60.0, "None")
    assert [metric.name for metric in found[1:]] == ["ForecastRows", "RealisedWmae"]
    # (3 x 10 + 1 x 20) / 4, the published method's
    assert found[2].value == 12.5


def test_what_there_is_none_of_yet_is_left_out(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    migrate(url)
    assert health_metrics(ParquetLake(uri=str(tmp_path / "lake")), ledger(url, tmp_path), NOW) == []
