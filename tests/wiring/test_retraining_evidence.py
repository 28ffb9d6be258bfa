"""What a retraining is decided on, read from a real store and lake."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from demand_assets.adapters.evidence import chain_losses, gather_evidence
from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.registry import RegisteredVersion
from demand_assets.monitoring.retraining import Evidence
from demand_assets.store.engine import create_engine_for
from demand_assets.store.ledger import PromotionRecord, record_decision
from demand_assets.store.migrations import migrate
from demand_assets.store.publish import VintageRecord, publish_accuracy, publish_vintage

NOW = datetime(2012, 7, 9, 6, tzinfo=UTC)
BACKTESTED = [date(2012, 6, 8), date(2012, 6, 15), date(2012, 6, 22)]
SCORED = {date(2012, 6, 22): 30.0, date(2012, 6, 29): 40.0, date(2012, 7, 6): 50.0}


class _Registry:
    """Of three versions; the backtest of each is off by a hundred times its number, that of its baselines by one."""

    def newest(self, trained: bool = False) -> RegisteredVersion:
        return replace(self.version("3"), as_of="2012-06-22", judged_to="2012-05-25")

    def version(self, version: str) -> RegisteredVersion:
        return RegisteredVersion(version, "xgboost", "run", "made from", "2012-06-01", "2012-05-04", "", "", (), 0, {})

    def backtest_of(self, version: RegisteredVersion) -> pd.DataFrame:
        weeks = pd.DataFrame({"target_week": pd.DatetimeIndex(BACKTESTED), "actual": 1000.0, "is_holiday": False})
        off = 100.0 * int(version.version)
        own = weeks.assign(model="xgboost", forecast=1000.0 + off)
        return pd.concat([own, weeks.assign(model="seasonal_naive", forecast=1001.0)])


class _Ledger(PromotionLedger):
    """A ledger over those versions."""

    @property
    def registry(self) -> Any:
        return _Registry()

    def champion(self) -> RegisteredVersion:
        return _Registry().version("2")


@pytest.fixture
def ledger(tmp_path: Path) -> _Ledger:
    """Version 1 was refused, 2 promoted, and 3 after it."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    migrate(url)
    ledger = _Ledger(store_url=url, tracking_uri="", artifact_uri="", model_name="m")
    engine = create_engine_for(url)
    for version, over, outcome in (("1", None, "refused"), ("2", None, "promoted"), ("3", "2", "promoted")):
        record_decision(engine, PromotionRecord("m", "promote", outcome, over, version, "gate", NOW, (), {}, "d", "c"))
    engine.dispose()
    return ledger


def score_weeks(ledger: PromotionLedger) -> None:
    """Publish a vintage before each of the scored weeks, and its loss."""
    engine = create_engine_for(ledger.address)
    for week, loss in SCORED.items():
        record = VintageRecord(week - timedelta(weeks=1), 1, "xgboost", "2", "data", "0.1.0", NOW, "USD")
        vintage = publish_vintage(engine, record, [("1", "1", week, 1, 3.0, 1.0, 3.0, 5.0, None)]).vintage_id
        rest = (1, loss, loss, loss, -1.0, 9.0, loss, None, None, None)
        publish_accuracy(engine, [(week, vintage, "xgboost", 1, "chain", None, None, *rest)])
    engine.dispose()


def test_losses_are_those_realised_and_before_them_those_of_the_first_champions_backtest(ledger: _Ledger) -> None:
    backtested = [("2012-06-08", 200.0), ("2012-06-15", 200.0), ("2012-06-22", 200.0)]
    assert chain_losses(ledger.registry, ledger) == tuple(backtested)
    assert chain_losses(ledger.registry, ledger, "2012-06-15") == tuple(backtested[:2])
    score_weeks(ledger)
    known = (*backtested[:2], ("2012-06-22", 30.0), ("2012-06-29", 40.0), ("2012-07-06", 50.0))
    assert chain_losses(ledger.registry, ledger) == known
    assert chain_losses(ledger.registry, ledger, "2012-06-29") == known[:4]


def test_evidence_is_what_was_known_in_its_week(ledger: _Ledger, tmp_path: Path) -> None:
    score_weeks(ledger)
    lake = ParquetLake(uri=str(tmp_path / "lake"))
    weeks = [f"{date(2012, 4, 27) + timedelta(weeks=number):%Y-%m-%d}" for number in range(11)]
    for number, week in enumerate(weeks):
        row = {
            "week": pd.Timestamp(week), "reference": "training", "group_kind": "chain", "group_id": "all",
            "variable": "lag_0", "severity": "severe" if number % 2 else "none", "score": 9.0, "sales_share": 1.0,
            "words": "chain: lag_0 up",
        }  # fmt: skip
        lake.write("drift_report", week, pd.DataFrame([row]))
    assert gather_evidence(lake, ledger.registry, ledger, "2012-06-29") == Evidence(
        week=pd.Timestamp("2012-06-29"),
        champion="2",
        champion_as_of=pd.Timestamp("2012-06-01"),
        trained_as_of=pd.Timestamp("2012-06-22"),
        judged_to=pd.Timestamp("2012-05-25"),
        losses=(("2012-06-08", 200.0), ("2012-06-15", 200.0), ("2012-06-22", 30.0), ("2012-06-29", 40.0)),
        drift=tuple((week, "severe" if number % 2 else "none") for number, week in enumerate(weeks))[2:10],
        methods_judged=pd.Timestamp("2012-06-22"),
    )
