"""`demand watch` sees absence, and a store, a sensor or a daemon that is down."""

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from demand_assets.adapters.dagster_internals import TickStatus
from demand_assets.commands.watch import _verdict
from tests.wiring.conftest import demand
from tests.wiring.ticks import Ticks


@pytest.fixture
def watched(finished: tuple[Path, dict[str, object]], tmp_path: Path) -> tuple[Path, datetime]:
    """A copy of a finished workspace's store and Dagster, and the end of the week it forecast from."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(finished[0] / "store.db", home)
    shutil.copytree(finished[0] / "dagster", home / "dagster", ignore=shutil.ignore_patterns("*-wal", "*-shm"))
    return home, datetime.fromisoformat(f"{finished[1]['origin_week']}T00:00+00:00") + timedelta(days=1)


def test_a_forecast_is_missed_at_its_deadline_and_not_before(watched: tuple[Path, datetime]) -> None:
    home, end = watched
    following = end + timedelta(weeks=1)
    before = demand(home, "watch", "--now", (following + timedelta(hours=71)).isoformat())
    assert before.returncode == 0, before.stderr
    assert f"forecast of week {end - timedelta(days=1):%Y-%m-%d}" in before.stdout
    assert "All is well" in before.stdout
    for new in (True, False):
        after = demand(home, "watch", "--now", (following + timedelta(hours=72)).isoformat(), "--json")
        assert after.returncode == 1
        (alert,) = json.loads(after.stdout)["alerts"]
        assert (alert["kind"], alert["new"]) == ("forecast_missing", new)
        assert alert["week"] == f"{following - timedelta(days=1):%Y-%m-%d}"
        assert alert["figures"]["newest week"] == f"{end - timedelta(days=1):%Y-%m-%d}"
    assert (home / "logs" / "alerts.log").read_text().count("critical alert forecast_missing") == 1


def test_nothing_is_due_before_the_first_forecast(watched: tuple[Path, datetime]) -> None:
    home, _ = watched
    with closing(sqlite3.connect(home / "store.db")) as connection:
        for table in ("forecast_accuracy", "forecasts", "forecast_vintages"):
            connection.execute(f"delete from {table}")
        connection.commit()
    ended = demand(home, "watch")
    assert ended.returncode == 0, ended.stderr
    assert "none was ever published" in ended.stdout


def test_a_store_that_is_gone_a_sensor_that_fails_and_a_silent_daemon_are_seen(
    watched: tuple[Path, datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, _ = watched
    (home / "store.db").unlink()
    monkeypatch.setenv("DAGSTER_HOME", str(home / "dagster"))
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        Ticks(instance, "sensor_of_the_test").add(TickStatus.FAILURE, "no such file")
    ended = demand(home, "watch", "--daemon", "--json")
    assert ended.returncode == 1
    report = json.loads(ended.stdout)
    assert [alert["kind"] for alert in report["alerts"]] == ["store_unreachable", "sensor_failed", "daemon_silent"]
    assert "1 of them fail" in report["looked_at"][1]


def test_a_time_that_cannot_be_read_is_one_line(watched: tuple[Path, datetime]) -> None:
    ended = demand(watched[0], "watch", "--now", "monday")
    assert ended.returncode == 1
    assert ended.stderr == "demand: --now is 'monday'; expected an ISO time such as 2012-07-10T00:30 (UTC)\n"


def test_one_thing_is_told_in_the_singular() -> None:
    said = [_verdict(wrong) for wrong in (0, 1, 2)]
    assert said == ["All is well.", "1 thing is wrong.", "2 things are wrong."]
