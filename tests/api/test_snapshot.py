"""What the service keeps in memory, and what it says of a store that fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api.database import PostgresDatabase
from api.names import Names
from api.snapshot import Snapshot, State
from demand_assets.errors import StoreError
from demand_assets.store.engine import create_engine_for
from demand_assets.store.migrations import migrate
from demand_assets.store.publish import publish_vintage
from tests.api.conftest import application, problem, serving
from tests.api.stores import ASKED, NOW, ORIGIN, RECORD, WEEK, fill
from tests.waiting import until

# Takes a store away from one that has it open, and gives it back.
AWAY = "ALTER TABLE forecast_vintages RENAME TO elsewhere"
BACK = "ALTER TABLE elsewhere RENAME TO forecast_vintages"
KEYS = [("1", "3", "2012-11-02"), ("1", "3", "2012-11-09")]


@contextmanager
def looking(url: str, now: Callable[[], datetime] = lambda: NOW, **settings: Any) -> Iterator[FastAPI]:
    """An application that looks at its store only when it is told to."""
    app = application(url, now, **settings)
    yield app
    asyncio.run(app.state.service.stop())


def refresh(app: FastAPI, times: int = 1) -> State:
    """What the service knows after it has looked."""

    async def look() -> None:
        for _ in range(times):
            await app.state.service.refresher.refresh()

    asyncio.run(look())
    return app.state.service.state


def execute(url: str, *statements: str) -> None:
    engine = create_engine_for(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize(("most", "kept"), [(0, None), (1, None), (2, KEYS), (3, KEYS)])
def test_a_vintage_is_kept_in_memory_up_to_so_many_rows_and_answered_beyond(
    tmp_path: Path, most: int, kept: list[tuple[int, int, str]] | None
) -> None:
    url = fill(tmp_path)
    with looking(url, memory_rows=most) as app:
        rows = refresh(app).snapshot.rows
        assert (None if rows is None else sorted(rows)) == kept
    with serving(url, memory_rows=most) as client:
        assert client.get("/forecast", params=ASKED).json()["forecast"] == 100.5
        metrics = client.get("/metrics").text
    assert f"\ndemand_api_memory_forecasts {len(kept or ())}.0\n" in metrics


@pytest.fixture(params=["sqlite", "postgresql"])
def own_store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a migrated store, on each database."""
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'store.db'}" if sqlite else str(request.getfixturevalue("postgres_url"))
    migrate(url)
    return url


def test_a_vintage_of_several_parts_is_kept_whole(own_store: str) -> None:
    # Read 2,000 rows at a time.
    rows = [(str(store), "3", WEEK, 1, float(store), 1.0, 2.0, 3.0, None) for store in range(1, 4002)]
    engine = create_engine_for(own_store)
    publish_vintage(engine, RECORD, rows)
    engine.dispose()
    with looking(own_store) as app:
        kept = refresh(app).snapshot.rows
    with looking(own_store, memory_rows=4000) as app:
        assert refresh(app).snapshot.rows is None
    assert kept == {(store, dept, week.isoformat()): (store, dept, week, *rest) for store, dept, week, *rest in rows}


def test_a_vintage_is_read_once_however_often_it_is_looked_for(tmp_path: Path) -> None:
    with looking(fill(tmp_path)) as app:
        first = refresh(app).snapshot
        state = refresh(app, times=3)
        # The very same, with the answers that were made of it.
        assert state.snapshot is first
        assert (state.vintage_loads, state.vintages, state.problem, state.refreshed_at) == (1, 2, None, NOW)


def test_a_forecast_goes_stale_while_the_store_is_down(tmp_path: Path) -> None:
    clock, url = [NOW], fill(tmp_path)
    with looking(url, lambda: clock[0]) as app:
        before = refresh(app).snapshot
        execute(url, AWAY)
        for now, stale in (
            (datetime(2012, 11, 5, 23, 59, 59, tzinfo=UTC), False),
            (datetime(2012, 11, 6, tzinfo=UTC), True),
        ):
            clock[0] = now
            with pytest.raises(StoreError, match="no such table: forecast_vintages"):
                refresh(app)
            after = app.state.service.state.snapshot
            assert (after.is_stale, after.vintage, after.rows, after.overrides) == (
                stale, before.vintage, before.rows, before.overrides,
            )  # fmt: skip
            assert b'"is_stale":' + (b"true" if stale else b"false") in after.encoded_forecast(KEYS[0])[0]
        assert app.state.service.state.refreshed_at == NOW


def test_a_store_that_is_down_is_logged_once_and_its_return_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "api.snapshot")
    url = fill(tmp_path)
    with looking(url) as app:
        refresh(app)
        caplog.clear()
        execute(url, AWAY)
        for _ in range(3):
            with pytest.raises(StoreError):
                refresh(app)
        said = app.state.service.state.problem
        execute(url, BACK)
        refresh(app, times=2)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("ERROR", said), ("INFO", "the store is read"),
    ]  # fmt: skip


def test_a_store_that_comes_back_with_another_schema_is_refused(tmp_path: Path) -> None:
    url = fill(tmp_path)
    with looking(url) as app:
        refresh(app)
        execute(url, AWAY)
        with pytest.raises(StoreError):
            refresh(app)
        execute(url, BACK, "UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(StoreError, match="revision 9999, code expects"):
            refresh(app)


def test_a_row_that_cannot_be_read_is_told_in_the_log_and_gone_over_when_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = fill(tmp_path)
    key = "INSERT INTO api_keys VALUES ('k', 'n', 'h', {}, '2012-10-01 00:00:00.000000', NULL, NULL)"
    with serving(url, refresh_seconds=0.02) as client:
        assert client.get("/ready").status_code == 200
        execute(url, key.format("'7'"))
        until(lambda: client.get("/ready").status_code == 503)
        assert problem(client.get("/ready"), 503) == "the store could not be read; the log says why"
        assert client.get("/forecast", params=ASKED).status_code == 200
        execute(url, "UPDATE api_keys SET scopes = '[]'")
        until(lambda: client.get("/ready").status_code == 200)
    [first, *_] = [record for record in caplog.records if record.name == "api.snapshot" and record.exc_info]
    assert "unexpected error" in first.message


def vintage(origin: date, sequence: int) -> dict[str, Any]:
    return {"origin_week": origin, "sequence": sequence}


def test_vintages_are_ordered_by_origin_then_sequence() -> None:
    newest = vintage(ORIGIN, 5)
    older = [vintage(ORIGIN, 4), vintage(ORIGIN, 1), vintage(ORIGIN - timedelta(weeks=1), 9)]
    newer = [vintage(ORIGIN, 6), vintage(ORIGIN, 9), vintage(ORIGIN + timedelta(weeks=1), 2)]
    state = State(lambda: NOW, 72, Snapshot(newest, False, None, {}, Names()))
    unread = State(lambda: NOW, 72)

    def placed(state: State) -> list[tuple[bool, bool, bool]]:
        return [(state.is_past(each), state.is_ahead(each), state.is_stale(each)) for each in (*older, newest, *newer)]

    assert placed(state) == [(True, False, True)] * 3 + [(False, False, False)] + [(False, True, False)] * 3
    assert placed(unread) == [(False, True, False)] * 7


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (asyncpg.UndefinedTableError("no table"), "no table"),
        (asyncpg.UndefinedColumnError("no column"), "no column"),
        (asyncpg.InsufficientPrivilegeError("no right"), "no right"),
        (asyncpg.ConnectionDoesNotExistError("gone"), "gone"),
        (asyncpg.TooManyConnectionsError("full"), "full"),
        (asyncpg.AdminShutdownError("shutdown"), "shutdown"),
        (asyncpg.QueryCanceledError("too slow"), "too slow"),
        (asyncpg.InvalidPasswordError("wrong hunter2secret"), "wrong ***"),
        (asyncpg.InvalidCatalogNameError("no database"), "no database"),
        (asyncpg.LockNotAvailableError("locked"), "locked"),
        (asyncpg.InterfaceError("closed"), "closed"),
        (ConnectionRefusedError("refused"), "refused"),
        (TimeoutError(), "no answer after 20 s"),
    ],
)
def test_what_is_the_stores_state_is_told_as_such(error: Exception, said: str) -> None:
    told = PostgresDatabase("postgresql://demand:hunter2secret@db:5433/d", 1, 5.0)._translated(error, 20.0)
    assert (type(told), str(told)) == (StoreError, f"PostgreSQL db:5433/d cannot be used: {said}")


@pytest.mark.parametrize("error", [asyncpg.PostgresSyntaxError("x"), asyncpg.DivisionByZeroError("x")])
def test_what_is_wrong_with_a_query_is_an_error_of_the_service(error: Exception) -> None:
    assert PostgresDatabase("postgresql://demand@db/d", 1, 5.0)._translated(error, 20.0) is error


def test_a_point_read_from_the_store_is_the_newest_there_is(tmp_path: Path) -> None:
    url = fill(tmp_path)
    with looking(url) as app:
        refresh(app)
        engine = create_engine_for(url)
        publish_vintage(
            engine,
            replace(RECORD, model_version="8", published_at=NOW),
            [("1", "3", WEEK, 1, 7.0, 6.0, 7.0, 8.0, None)],
        )
        engine.dispose()
        points = app.state.service.points
        read: Callable[..., Awaitable[Any]] = points.from_store
        body, _ = asyncio.run(read(KEYS[0], WEEK))
        assert b'"forecast":7.0' in body
        assert asyncio.run(read(("1", "4", KEYS[0][2]), WEEK)) is None
        assert points.from_memory(("1", "4", KEYS[0][2])) is None
