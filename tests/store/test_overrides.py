"""Overrides of forecasts and what they were worth, on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Engine, select

from demand_assets.errors import IdempotencyConflictError, UnknownForecastError
from demand_assets.store.overrides import OverrideRequest, record_override
from demand_assets.store.publish import VintageRecord, publish_actuals, publish_vintage
from demand_assets.store.queries import counts, final_numbers
from demand_assets.store.reads.overrides import active_overrides, override_scores
from demand_assets.store.tables import forecast_vintages

ORIGIN, WEEK = date(2012, 10, 26), date(2012, 11, 2)
NOW = datetime(2012, 10, 29, 9, 30, tzinfo=UTC)
WEEK_END = datetime(2012, 11, 3, tzinfo=UTC)
RECORD = VintageRecord(ORIGIN, 1, "m", "1", "d", "c", datetime(2012, 10, 27, 6, tzinfo=UTC), "USD")
REQUEST = OverrideRequest("1", "3", WEEK, 120.0, "ann", "local fair", None, "key-1")


@pytest.fixture
def vintage(engine: Engine) -> str:
    """A forecast of 100 for store 1, departments 3 and 4."""
    rows = [("1", dept, WEEK, 1, 100.0, 80.0, 99.0, 130.0, None) for dept in ("3", "4")]
    return publish_vintage(engine, RECORD, rows).vintage_id


def again(**changes: Any) -> OverrideRequest:
    return replace(REQUEST, idempotency_key=f"key-{changes!r}", **changes)


def rows(engine: Engine, statement: Any, *names: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row[name] for name in names) for row in connection.execute(statement).mappings()]


def test_an_override_keeps_the_forecast_it_was_made_against(engine: Engine, vintage: str) -> None:
    row, is_new = record_override(engine, REQUEST, NOW)
    assert is_new
    assert {name: row[name] for name in ("version", "override", "forecast", "vintage_id", "created_at")} == {
        "version": 1,
        "override": 120.0,
        "forecast": 100.0,
        "vintage_id": vintage,
        "created_at": NOW,
    }


def test_a_request_sent_twice_counts_once_and_a_key_serves_one_request(engine: Engine, vintage: str) -> None:
    first, _ = record_override(engine, REQUEST, NOW)
    same = replace(REQUEST, override=120)
    assert record_override(engine, same, NOW + timedelta(days=9)) == (first, False)
    with pytest.raises(IdempotencyConflictError, match="'key-1' belongs to override 1"):
        record_override(engine, replace(REQUEST, override=121.0), NOW)
    assert rows(engine, active_overrides(NOW), "override_id") == [(1,)]


def test_the_same_moment_in_another_zone_is_the_same_request(engine: Engine, vintage: str) -> None:
    end = datetime(2012, 11, 1, 12, tzinfo=UTC)
    in_india = end.astimezone(timezone(timedelta(hours=5, minutes=30)))
    first, _ = record_override(engine, replace(REQUEST, expires_at=end), NOW)
    assert record_override(engine, replace(REQUEST, expires_at=in_india), NOW) == (first, False)
    # The same hands of the clock in another zone are another moment.
    for other in (end.replace(tzinfo=in_india.tzinfo), end + timedelta(microseconds=1), None):
        with pytest.raises(IdempotencyConflictError, match="'key-1' belongs to override 1"):
            record_override(engine, replace(REQUEST, expires_at=other), NOW)


def test_every_part_of_a_request_but_its_key_makes_another_request() -> None:
    changes: list[dict[str, Any]] = [
        {}, {"store_id": "3"}, {"dept_id": "1"}, {"target_week": WEEK + timedelta(weeks=1)}, {"override": 120.5},
        {"override": None}, {"override": 0.0}, {"author": "local fair"}, {"reason": "ann"},
        {"expires_at": WEEK_END},
    ]  # fmt: skip
    hashes = [replace(REQUEST, **each).content_hash for each in changes]
    assert len(set(hashes)) == len(changes)
    assert replace(REQUEST, idempotency_key="other").content_hash == hashes[0]
    assert replace(REQUEST, override=-0.0).content_hash == replace(REQUEST, override=0).content_hash


def test_versions_are_counted_per_series_and_week(engine: Engine) -> None:
    weeks = (WEEK, WEEK + timedelta(weeks=1))
    keys = [(store, dept, week) for store in ("1", "2") for dept in ("3", "4") for week in weeks]
    rows = [(*key, weeks.index(key[2]) + 1, 100.0, 80.0, 99.0, 130.0, None) for key in keys]
    publish_vintage(engine, replace(RECORD, horizon_weeks=2), rows)
    wanted = [dict(zip(("store_id", "dept_id", "target_week"), key, strict=True)) for key in keys]
    for version in (1, 2):
        made = [record_override(engine, again(**key, override=float(version)), NOW)[0] for key in wanted]
        assert [row["version"] for row in made] == [version] * len(keys)
        with engine.connect() as connection:
            assert sorted(map(tuple, connection.execute(active_overrides(NOW)))) == [
                tuple(row.values()) for row in made
            ]


def test_what_nothing_forecasts_cannot_be_overridden(engine: Engine, vintage: str) -> None:
    with pytest.raises(UnknownForecastError, match="store 1, department 9 in week 2012-11-02"):
        record_override(engine, again(dept_id="9"), NOW)


def test_the_newest_version_is_in_force_until_withdrawn_or_expired(engine: Engine, vintage: str) -> None:
    record_override(engine, REQUEST, NOW)
    record_override(engine, again(dept_id="4", override=7.0), NOW)
    record_override(engine, again(override=130.0, expires_at=NOW + timedelta(hours=5)), NOW)
    columns = ("dept_id", "version", "override")
    assert sorted(rows(engine, active_overrides(NOW), *columns)) == [("3", 2, 130.0), ("4", 1, 7.0)]
    # An expired version does not bring the one before back.
    assert rows(engine, active_overrides(NOW + timedelta(hours=5)), *columns) == [("4", 1, 7.0)]
    withdrawn, _ = record_override(engine, again(dept_id="4", override=None), NOW)
    assert withdrawn["version"] == 2
    assert rows(engine, active_overrides(NOW), *columns) == [("3", 2, 130.0)]


def test_one_key_sent_a_hundred_times_at_once_is_one_row(engine: Engine, vintage: str) -> None:
    answers: list[tuple[int, bool]] = []
    start = threading.Barrier(100)

    def send() -> None:
        start.wait()
        row, is_new = record_override(engine, REQUEST, NOW)
        answers.append((row["override_id"], is_new))

    threads = [threading.Thread(target=send) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [(1, False)] * 99 + [(1, True)]
    with engine.connect() as connection:
        assert counts(connection, "overrides") == {"overrides": 1}


def test_versions_at_once_are_numbered_without_gaps(engine: Engine, vintage: str) -> None:
    versions: list[int] = []

    def send(number: int) -> None:
        versions.append(record_override(engine, again(override=float(number)), NOW)[0]["version"])

    threads = [threading.Thread(target=send, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(versions) == list(range(1, 21))


def test_the_version_in_force_at_the_end_of_the_week_is_scored(engine: Engine, vintage: str) -> None:
    record_override(engine, REQUEST, NOW)
    record_override(engine, again(override=140.0), WEEK_END - timedelta(microseconds=1))
    record_override(engine, again(override=150.0), WEEK_END)
    assert rows(engine, override_scores(), "dept_id") == []  # no sales yet
    publish_actuals(engine, [("1", "3", WEEK, 150.0, False), ("1", "4", WEEK, 150.0, False)])
    columns = ("version", "override", "actual", "fva")
    assert rows(engine, override_scores(), *columns) == [(2, 140.0, 150.0, 40.0)]
    assert rows(engine, override_scores(dept_id="4"), *columns) == []
    assert rows(engine, override_scores(store_id="1", dept_id="3"), "fva") == [(40.0,)]


def test_the_numbers_in_force_at_the_end_of_a_week_know_the_vintage_beside_which_they_were_given(
    engine: Engine, vintage: str
) -> None:
    record_override(engine, REQUEST, NOW)
    record_override(engine, again(override=140.0), WEEK_END - timedelta(microseconds=1))
    record_override(engine, again(override=150.0), WEEK_END)
    with engine.connect() as connection:
        (sequence,) = connection.execute(select(forecast_vintages.c.sequence)).scalars()
        found = final_numbers(connection, WEEK)
    assert found == [{"store_id": "1", "dept_id": "3", "override": 140.0, "sequence": sequence}]


@pytest.mark.parametrize(
    ("last", "scored"),
    [
        ({"override": None}, []),
        ({"override": 90.0, "expires_at": WEEK_END - timedelta(seconds=1)}, []),
        ({"override": 90.0, "expires_at": WEEK_END}, [(-10.0,)]),
    ],
)
def test_an_override_that_ended_before_its_week_is_not_scored(
    engine: Engine, vintage: str, last: dict[str, Any], scored: list[tuple[float]]
) -> None:
    record_override(engine, REQUEST, NOW)
    record_override(engine, again(**last), NOW)
    publish_actuals(engine, [("1", "3", WEEK, 150.0, False)])
    assert rows(engine, override_scores(), "fva") == scored


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"override": float("nan")}, "a finite number"), ({"expires_at": datetime(2012, 11, 2)}, "a time zone")],
)
def test_a_request_without_meaning_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        again(**changes)
