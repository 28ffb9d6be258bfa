from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text

from demand_assets.store import queries
from demand_assets.store.publish import VintageRecord, publish_accuracy, publish_drift, publish_vintage
from demand_assets.store.reads import accuracy as accuracy_reads
from demand_assets.store.reads import forecasts as reads
from tests.store.conftest import latest_forecast

ORIGIN = date(2012, 1, 6)
RECORD = VintageRecord(ORIGIN, 2, "demand_forecaster", "7", "data-1", "0.1.0", datetime(2012, 1, 7, tzinfo=UTC), "USD")
ORIGINS = 10
SERIES = [(str(store), str(dept)) for store in range(1, 21) for dept in range(1, 26)]


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
        lambda conn: latest_forecast(conn, "7", "3", WEEK),
        lambda conn: conn.execute(reads.weeks_forecast("7", "3")).all(),
        lambda conn: conn.execute(reads.store_exists("7", "3")).all(),
    ],
    ids=["latest_forecast", "weeks_forecast", "store_exists"],
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
        assert latest_forecast(connection, "1", "3", WEEK) is None
        assert connection.execute(reads.weeks_forecast("1", "3")).all() == []
        assert not connection.execute(reads.store_exists("1", "3")).all()


def accuracy(week: date, vintage: str, model: str, horizon: int, points: int, wmae: float, **total: Any) -> Any:
    """A row of forecast_accuracy whose bias is -1 and whose error is the loss."""
    place = (total.get("level", "chain"), total.get("store_id"), None)
    return (week, vintage, model, horizon, *place, points, wmae, wmae, wmae, -1.0, 9.0, wmae, None, None, None)


@pytest.fixture
def scored(engine: Engine) -> Engine:
    """Week 2 foreseen from two origins, one of them forecast again; week 1 by the older origin alone."""
    weeks = [ORIGIN + timedelta(weeks=ahead) for ahead in (1, 2)]

    def vintage(origin: date, hours: int, forecast: float) -> str:
        record = replace(RECORD, origin_week=origin, method="xgboost")
        record = replace(record, published_at=RECORD.published_at + timedelta(hours=hours))
        row = ("1", "1", origin + timedelta(weeks=1), 1, forecast, 1.0, 1.0, 1.0, None)
        return publish_vintage(engine, record, [row]).vintage_id

    old, again, new = vintage(ORIGIN, 0, 1.0), vintage(ORIGIN, 5, 2.0), vintage(weeks[0], 1, 3.0)
    rows = [
        accuracy(weeks[0], old, "xgboost", 1, 2, 99.0),
        accuracy(weeks[0], again, "xgboost", 1, 2, 10.0),
        accuracy(weeks[0], again, "seasonal_naive", 1, 2, 30.0),
        accuracy(weeks[1], old, "xgboost", 2, 2, 99.0),
        accuracy(weeks[1], again, "xgboost", 2, 1, 8.0),
        accuracy(weeks[1], new, "xgboost", 1, 3, 4.0),
        accuracy(weeks[1], new, "xgboost", 1, 3, 7.0, level="store", store_id="1"),
    ]
    publish_accuracy(engine, rows)
    return engine


def test_realised_wmae_is_pooled_over_the_newest_vintage_of_each_origin(scored: Engine) -> None:
    weeks = [ORIGIN + timedelta(weeks=ahead) for ahead in (1, 2)]
    total = {"store_id": None, "dept_id": None, "bias": -1.0}
    with scored.connect() as connection:
        chain = queries.realised_wmae(connection)
        naive = queries.realised_wmae(connection, model="seasonal_naive")
        stores = queries.realised_wmae(connection, "store")
    assert chain == [
        {"week": weeks[0], **total, "wmae": 10.0, "points": 2},
        {"week": weeks[1], **total, "wmae": (8.0 + 3 * 4.0) / 4, "points": 4},
    ]
    assert naive == [{"week": weeks[0], **total, "wmae": 30.0, "points": 2}]
    assert stores == [{"week": weeks[1], **total, "store_id": "1", "wmae": 7.0, "points": 3}]


def test_realised_wmae_of_stores_comes_week_by_week(engine: Engine) -> None:
    weeks = [ORIGIN + timedelta(weeks=ahead) for ahead in (1, 2)]
    rows = [("1", "1", week, ahead, 1.0, 1.0, 1.0, 1.0, None) for ahead, week in enumerate(weeks, start=1)]
    made = publish_vintage(engine, RECORD, rows).vintage_id
    # The first store's later week is stored before the second store's earlier week.
    for ahead, week in reversed(list(enumerate(weeks, start=1))):
        scored = [accuracy(week, made, RECORD.method, ahead, 2, 9.0)]
        scored += [
            accuracy(week, made, RECORD.method, ahead, 1, 9.0, level="store", store_id=store) for store in ("1", "2")
        ]
        publish_accuracy(engine, scored)
    with engine.connect() as connection:
        found = [(row["week"], row["store_id"]) for row in queries.realised_wmae(connection, "store")]
    assert found == [(weeks[0], "1"), (weeks[0], "2"), (weeks[1], "1"), (weeks[1], "2")]


def test_earlier_errors_are_those_of_the_last_scored_weeks(scored: Engine) -> None:
    third = ORIGIN + timedelta(weeks=3)
    with scored.connect() as connection:
        everything = queries.errors_before(connection, third, 7)
        last = queries.errors_before(connection, third, 1)
        assert queries.errors_before(connection, ORIGIN, 7) == []
        earlier = queries.errors_before(connection, ORIGIN + timedelta(weeks=2), 1)
    assert sorted((row["horizon"], row["level"], row["model"], row["total_error"]) for row in last) == [
        (1, "chain", "xgboost", 4.0),
        (1, "store", "xgboost", 7.0),
        (2, "chain", "xgboost", 8.0),
    ]
    assert sorted((row["week"], row["horizon"], row["model"], row["total_error"]) for row in earlier) == [
        (ORIGIN + timedelta(weeks=1), 1, "seasonal_naive", 30.0),
        (ORIGIN + timedelta(weeks=1), 1, "xgboost", 10.0),
    ]
    assert len(everything) == 5
    assert {row["week"] for row in everything} == {ORIGIN + timedelta(weeks=1), ORIGIN + timedelta(weeks=2)}


def test_vintages_of_an_origin_come_newest_first_with_their_own_rows(engine: Engine) -> None:
    def publish(origin: date, hours: int, *depts: int) -> str:
        at = RECORD.published_at + timedelta(hours=hours)
        rows = [("1", str(dept), origin + timedelta(weeks=1), 1, float(dept), 1.0, 2.0, 3.0, None) for dept in depts]
        return publish_vintage(engine, replace(RECORD, origin_week=origin, published_at=at), rows).vintage_id

    first, second = publish(ORIGIN, 0, 4), publish(ORIGIN, 5, 9, 2)
    # As published, whatever the clock said.
    third = publish(ORIGIN, 3, 6)
    other = publish(ORIGIN + timedelta(weeks=1), 0, 8)
    with engine.connect() as connection:
        of_origin = [row["vintage_id"] for row in queries.vintages_of(connection, ORIGIN)]
        rows = {each: queries.forecasts_of(connection, each) for each in (first, second, third, other)}
        assert {each: queries.rows_of(connection, each) for each in rows} == {first: 1, second: 2, third: 1, other: 1}
        newest = queries.newest_vintage(connection)
    assert of_origin == [third, second, first]
    assert newest is not None
    assert newest["vintage_id"] == other
    assert rows[second] == [
        ("1", str(dept), ORIGIN + timedelta(weeks=1), 1, dept, 1.0, 2.0, 3.0, None) for dept in (2, 9)
    ]


def comparison(variable: str, severity: str, psi: float | None, **more: Any) -> tuple[Any, ...]:
    """A row of drift_reports, of the chain against training unless said otherwise."""
    place = (more.get("reference", "training"), more.get("kind", "chain"), more.get("group", "all"))
    return (ORIGIN, *place, variable, "feature", 9, 90, psi, 0.1, 0.2, 0.3, more.get("missing"), severity)


def test_the_worst_comparison_of_a_variable_is_the_most_severe_then_the_largest(engine: Engine) -> None:
    store = {"kind": "store"}
    rows = [
        # By severity before size, by size among the severe, by the group's name among equals.
        comparison("a", "none", 9.0), comparison("a", "warn", 8.0, **store, group="1"),
        comparison("a", "severe", 0.3, **store, group="2"), comparison("a", "severe", 0.5, **store, group="4"),
        comparison("a", "severe", 0.5, **store, group="3"),
        # Without psi by what is missing, in either direction.
        comparison("b", "warn", None, missing=0.4), comparison("b", "warn", None, missing=-0.6, **store, group="5"),
        # The chain where nothing warns, however large another one is.
        comparison("c", "none", 0.05), comparison("c", "none", 0.09, **store, group="6"),
        comparison("c", "few", 0.01, reference="last_season"),
    ]  # fmt: skip
    publish_drift(engine, ORIGIN, rows)
    statement, order = accuracy_reads.drift_weeks(None, None)
    with engine.connect() as connection:
        found = connection.execute(order.page(statement, None, None))
        assert tuple(found.keys()) == (
            "week", "variable", "kind", "severity", "warn", "severe", "worst_group_kind", "worst_group_id",
            "worst_reference", "psi", "ks", "mean_shift", "missing_shift",
        )  # fmt: skip
        assert [tuple(row) for row in found] == [
            (ORIGIN, "a", "feature", "severe", 1, 3, "store", "3", "training", 0.5, 0.1, 0.3, None),
            (ORIGIN, "b", "feature", "warn", 2, 0, "store", "5", "training", None, 0.1, 0.3, -0.6),
            (ORIGIN, "c", "feature", "none", 0, 0, "chain", "all", "training", 0.05, 0.1, 0.3, None),
        ]


def test_an_unscored_store_has_no_losses(engine: Engine) -> None:
    with engine.connect() as connection:
        assert queries.realised_wmae(connection) == []
        assert queries.errors_before(connection, WEEK, 7) == []


def test_a_scenario_never_stands_for_a_forecast(engine: Engine) -> None:
    week = ORIGIN + timedelta(weeks=1)

    def row(forecast: float) -> tuple[Any, ...]:
        return ("A-1", "0", week, 1, forecast, 1.0, 1.0, 1.0, None)

    forecast = publish_vintage(engine, RECORD, [row(1.0)]).vintage_id
    scenario = publish_vintage(engine, replace(RECORD, kind="scenario"), [row(2.0)]).vintage_id
    with engine.connect() as connection:
        newest, latest = queries.newest_vintage(connection), latest_forecast(connection, "A-1", "0", week)
        assert newest is not None
        assert latest is not None
        assert (newest["vintage_id"], latest["forecast"], latest["store_id"]) == (forecast, 1.0, "A-1")
        assert [row["vintage_id"] for row in queries.vintages_of(connection, ORIGIN)] == [forecast]
        batch = connection.execute(reads.latest_forecasts([("A-1", "0", week), ("A-1", "1", week)])).mappings().all()
        assert [(row["store_id"], row["dept_id"], row["forecast"]) for row in batch] == [("A-1", "0", 1.0)]
        of_all, _ = reads.forecasts_of_all()
        assert [row["forecast"] for row in connection.execute(of_all).mappings()] == [1.0]
        named = connection.execute(reads.forecast_of("A-1", "0", week, vintage_id=scenario)).mappings().one()
        assert (named["forecast"], named["kind"], named["sequence"]) == (2.0, "scenario", 2)


def test_pages_go_on_after_a_key_of_text_ids(scored: Engine) -> None:
    order = accuracy_reads.ACCURACY_ORDER
    with scored.connect() as connection:
        statement = accuracy_reads.accuracy({}, None, None)
        everything = connection.execute(order.page(statement, None, None)).mappings().all()
        keys = [[row[name] for name in order.names] for row in everything]
        pages = [connection.execute(order.page(statement, key, 1)).mappings().first() for key in keys]
        store = connection.execute(accuracy_reads.accuracy({"store_id": "1"}, None, None)).mappings().all()
    assert {row["store_id"] for row in everything} == {None, "1"}
    assert pages == [*everything[1:], None]
    assert [row["level"] for row in store] == ["store"]


def test_a_corrected_vintage_is_the_newest_though_the_clock_stepped_back(engine: Engine) -> None:
    week = ORIGIN + timedelta(weeks=1)

    def publish(value: float, at: datetime) -> None:
        publish_vintage(engine, replace(RECORD, published_at=at), [("1", "1", week, 1, value, 1.0, 3.0, 9.0, None)])

    publish(3.0, datetime(2012, 1, 7, 10, tzinfo=UTC))
    publish(4.0, datetime(2012, 1, 7, 9, tzinfo=UTC))
    with engine.connect() as connection:
        found = latest_forecast(connection, "1", "1", week)
        assert found is not None
        assert found["forecast"] == 4.0
        newest = queries.newest_vintage(connection)
        assert newest is not None
        assert newest["vintage_id"] == found["vintage_id"] == queries.vintages_of(connection, ORIGIN)[0]["vintage_id"]
        viewed = connection.execute(text("SELECT forecast FROM latest_forecast")).scalars().all()
        assert viewed == [4.0]
