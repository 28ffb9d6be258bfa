from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text

from demand_assets.store import queries
from demand_assets.store.publish import VintageRecord, publish_vintage

ORIGIN = date(2012, 1, 6)
RECORD = VintageRecord(ORIGIN, 2, "demand_forecaster", "7", "data-1", "0.1.0", datetime(2012, 1, 7, tzinfo=UTC))
ORIGINS = 10
SERIES = [(store, dept) for store in range(1, 21) for dept in range(1, 26)]


@pytest.fixture
def history(engine: Engine) -> Engine:
    """500 series, ten origins, two weeks each: enough that a scan would cost more than an index."""
    for ago in range(ORIGINS):
        origin = ORIGIN + timedelta(weeks=ago)
        rows = [
            (store, dept, origin + timedelta(weeks=ahead), ahead, 3.0, 1.0, 3.0, 5.0, None)
            for store, dept in SERIES
            for ahead in (1, 2)
        ]
        publish_vintage(engine, replace(RECORD, origin_week=origin), rows)
    with engine.begin() as connection:
        connection.execute(text("ANALYZE"))
    return engine


def plan(connection: Connection, query: Callable[[Connection], Any]) -> str:
    """How the database would run the one statement that `query` sends."""
    sent: list[tuple[str, Any]] = []

    def note(conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        sent.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    query(connection)
    event.remove(connection, "before_cursor_execute", note)
    [(statement, parameters)] = [each for each in sent if not each[0].startswith("BEGIN")]
    explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
    return "\n".join(str(line) for line in connection.exec_driver_sql(explain + statement, parameters))


WEEK = ORIGIN + timedelta(weeks=3)


@pytest.mark.parametrize(
    "query",
    [
        lambda conn: queries.latest_forecast(conn, 7, 3, WEEK),
        lambda conn: queries.weeks_forecast(conn, 7, 3),
        lambda conn: queries.series_exists(conn, 7, 3),
    ],
    ids=["latest_forecast", "weeks_forecast", "series_exists"],
)
def test_a_read_of_one_series_goes_by_its_index(history: Engine, query: Callable[[Connection], Any]) -> None:
    with history.connect() as connection:
        steps = plan(connection, query)
    assert "ix_forecasts_series_week" in steps
    assert "Seq Scan on forecasts" not in steps
    assert "SCAN forecasts" not in steps


def test_a_week_of_a_vintage_goes_by_the_primary_key(history: Engine) -> None:
    with history.connect() as connection:
        newest = queries.newest_vintage(connection)
        assert newest is not None
        target = newest["origin_week"] + timedelta(weeks=1)
        steps = plan(connection, lambda conn: queries.forecasts_for(conn, newest["vintage_id"], target))
        rows = queries.forecasts_for(connection, newest["vintage_id"], target)
    assert "forecasts_pkey" in steps or "USING PRIMARY KEY" in steps
    assert [(row["store_id"], row["dept_id"]) for row in rows] == SERIES


def test_a_vintage_covers_the_weeks_after_its_origin_up_to_its_horizon(history: Engine) -> None:
    with history.connect() as connection:
        covering = [vintage["origin_week"] for vintage in queries.vintages_covering(connection, WEEK)]
        assert queries.vintages_covering(connection, ORIGIN) == []
        assert queries.vintages_covering(connection, ORIGIN + timedelta(weeks=ORIGINS + 2)) == []
        assert queries.counts(connection, "forecasts") == {"forecasts": ORIGINS * 2 * len(SERIES)}
    assert covering == [WEEK - timedelta(weeks=1), WEEK - timedelta(weeks=2)]


def test_an_empty_store_answers_none(engine: Engine) -> None:
    with engine.connect() as connection:
        assert queries.newest_vintage(connection) is None
        assert queries.latest_forecast(connection, 1, 3, WEEK) is None
        assert queries.weeks_forecast(connection, 1, 3) == []
        assert not queries.series_exists(connection, 1, 3)
