"""A step whose store goes away in the middle of it."""

import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest

from demand_assets.assets.outages import retry_on_store_outage
from demand_assets.errors import StoreError, StoreUnavailableError
from demand_assets.resources import ForecastStore
from demand_assets.store.engine import await_store
from demand_assets.store.migrations import migrate, opened
from demand_assets.store.publish import VintageRecord, publish_vintage
from tests.waiting import until
from tests.wiring import commands
from tests.wiring.conftest import environment_of

RECORD = VintageRecord(date(2012, 10, 26), 1, "m", "7", "data-1", "0.1.0", datetime(2012, 10, 27, tzinfo=UTC), "USD")
ROWS: list[tuple[Any, ...]] = [("1", "3", date(2012, 11, 2), 1, 100.0, 80.0, 99.0, 130.0, 120.0)]
WHY: list[tuple[Any, ...]] = [("1", "3", date(2012, 11, 2), 90.0, 4.0, 3.0, 2.0, 1.0, 0.0, 0.0)]
NOWHERE = "postgresql://127.0.0.1:1/demand"


def run(body: Callable[..., Any], url: str, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    asset = dg.asset(name="published", required_resource_keys=set())(retry_on_store_outage(body))
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    resources = {"store": ForecastStore(store_url=url)}
    return dg.materialize([asset], quiet, instance, resources, raise_on_error=False)


def retries_of(result: dg.ExecuteInProcessResult) -> int:
    return sum(event.event_type == dg.DagsterEventType.STEP_UP_FOR_RETRY for event in result.all_events)


def test_a_vintage_whose_connection_was_lost_is_published_once(postgres_url: str, instance: dg.DagsterInstance) -> None:
    migrate(postgres_url)
    ended: list[dg.ExecuteInProcessResult] = []

    def body(store: ForecastStore) -> None:
        with opened(store.address) as engine:
            publish_vintage(engine, RECORD, ROWS, attributions=WHY)

    with (
        closing(psycopg.connect(postgres_url, autocommit=True)) as admin,
        closing(psycopg.connect(postgres_url)) as other,
    ):
        # Vintage and forecasts are written when its attributions meet the lock.
        other.execute("LOCK TABLE forecast_attributions IN SHARE MODE")
        thread = threading.Thread(target=lambda: ended.append(run(body, postgres_url, instance)))
        thread.start()
        waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        until(lambda: admin.execute(waiting).fetchall() != [])
        admin.execute(f"SELECT pg_terminate_backend(pid) FROM ({waiting})")
        other.rollback()
        thread.join()
        assert ended[0].success
        assert retries_of(ended[0]) == 1
        for table in ("forecast_vintages", "forecasts", "forecast_attributions"):
            assert admin.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)


def test_data_that_the_store_refuses_fails_at_once(postgres_url: str, instance: dg.DagsterInstance) -> None:
    migrate(postgres_url)

    def body(store: ForecastStore) -> None:
        with opened(store.address) as engine:
            publish_vintage(engine, RECORD, [])

    result = run(body, postgres_url, instance)
    assert not result.success
    assert retries_of(result) == 0


def test_a_store_that_does_not_come_back_is_one_line() -> None:
    with pytest.raises(StoreUnavailableError, match=r"^PostgreSQL 127\.0\.0\.1:1/demand cannot be used: [^\n]+$"):
        await_store(NOWHERE, 1.0)


def test_a_store_that_is_behind_is_not_away(postgres_url: str) -> None:
    with pytest.raises(StoreError, match="run `demand migrate`") as raised, opened(postgres_url):
        pass
    assert not isinstance(raised.value, StoreUnavailableError)


def test_a_wrong_address_of_the_store_fails_a_run_before_it_starts(csv_folder: Path, tmp_path: Path) -> None:
    environment = {**environment_of(tmp_path / "home"), "DEMAND_STORE_URL": NOWHERE}
    ended = commands.forked(commands.demand, ("run", "--raw-dir", str(csv_folder)), environment, tmp_path)
    assert ended.returncode == 1
    (line,) = ended.stderr.strip().splitlines()
    assert "127.0.0.1:1/demand cannot be used" in line
