"""What the retailer's data are, and what stores and departments are called."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select

from demand_assets.errors import StoreError
from demand_assets.store.dataset import (
    Dataset,
    Member,
    known_dataset,
    publish_dataset,
    publish_holidays,
    publish_members,
)
from demand_assets.store.publish import VintageRecord, publish_actuals, publish_vintage
from demand_assets.store.tables import departments, holidays, stores

NOW = datetime(2012, 11, 5, 6, tzinfo=UTC)
LATER = NOW + timedelta(days=7)
SUNDAY, FRIDAY = date(2012, 10, 28), date(2012, 10, 26)
GIVEN = Dataset("EUR", 6, "Shop", "Article", has_departments=False)
ZURICH = Member("ZRH-01", "Zürich HB", {"size": 120.5, "region": "ZH", "open": True})


def row(engine: Engine) -> Any:
    with engine.connect() as connection:
        return known_dataset(connection)


def members(engine: Engine, table: Any) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(each) for each in connection.execute(select(table).order_by(table.c[0]))]


def test_a_dataset_is_one_row_that_changes_only_when_it_differs(engine: Engine) -> None:
    assert row(engine) is None
    assert publish_dataset(engine, GIVEN, NOW) is True
    assert publish_dataset(engine, GIVEN, LATER) is False
    assert row(engine) == {
        "unit": "EUR", "week_ends": 6, "store_label": "Shop", "dept_label": "Article", "has_stores": True,
        "has_departments": False, "updated_at": NOW,
    }  # fmt: skip
    assert publish_dataset(engine, replace(GIVEN, unit="CHF"), LATER) is True
    assert (row(engine)["unit"], row(engine)["updated_at"]) == ("CHF", LATER)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"unit": ""}, "expected unit to be a text of 1 to 200 characters"),
        ({"store_label": " "}, "expected store_label to be"),
        ({"dept_label": "a\nb"}, "none of them a control character, got 'a\\\\nb'"),
        ({"week_ends": 7}, r"expected week_ends from 0 \(Monday\) to 6 \(Sunday\), got 7"),
    ],
)
def test_a_dataset_that_is_none_is_refused(engine: Engine, change: dict[str, Any], said: str) -> None:
    with pytest.raises(StoreError, match=said):
        publish_dataset(engine, replace(GIVEN, **change), NOW)
    assert row(engine) is None


def test_weeks_of_another_weekday_than_the_datasets_are_refused(engine: Engine) -> None:
    publish_dataset(engine, GIVEN, NOW)
    publish_actuals(engine, [("1", "3", SUNDAY, 1.0, False)])
    said = "actuals: expected week to be a Sunday as in the store's dataset, got 2012-10-26, a Friday"
    with pytest.raises(StoreError, match=said):
        publish_actuals(engine, [("1", "3", FRIDAY, 1.0, False)])
    record = VintageRecord(FRIDAY, 1, "xgboost", "7", "data-1", "0.1.0", NOW, "EUR")
    row = ("1", "3", FRIDAY + timedelta(weeks=1), 1, 1.0, 1.0, 1.0, 1.0, None)
    with pytest.raises(StoreError, match="forecasts: expected target_week to be a Sunday"):
        publish_vintage(engine, record, [row])
    assert publish_vintage(engine, replace(record, origin_week=SUNDAY), [(*row[:2], date(2012, 11, 4), *row[3:])]).rows


def test_a_store_keeps_its_weekday(engine: Engine) -> None:
    publish_actuals(engine, [("1", "3", FRIDAY, 1.0, False)])
    said = "weeks that end on Friday, as the store holds 2012-10-26, got a dataset whose weeks end on Sunday"
    with pytest.raises(StoreError, match=said):
        publish_dataset(engine, GIVEN, NOW)
    assert publish_dataset(engine, replace(GIVEN, week_ends=4), NOW)


def test_members_get_names_and_keep_their_keys(engine: Engine) -> None:
    publish_dataset(engine, GIVEN, NOW)
    publish_actuals(engine, [("ZRH-01", "10", SUNDAY, 1.0, False)])
    given = [Member("S10"), ZURICH, Member("S2", "Basel")]
    assert publish_members(engine, given, [Member("10", "Food"), Member("007", "Bond"), Member("7")], LATER) == 6
    assert members(engine, stores) == [
        (1, "ZRH-01", "Zürich HB", ZURICH.attributes), (2, "S2", "Basel", None), (3, "S10", None, None),
    ]  # fmt: skip
    assert members(engine, departments) == [(1, "10", "Food", None), (2, "007", "Bond", None), (3, "7", None, None)]
    assert row(engine)["updated_at"] == LATER


def test_members_given_again_change_nothing(engine: Engine) -> None:
    publish_dataset(engine, GIVEN, NOW)
    assert publish_members(engine, [ZURICH], [], NOW) == 1
    again = replace(ZURICH, attributes=dict(reversed(ZURICH.attributes.items())))  # type: ignore[union-attr]
    assert publish_members(engine, [again], [], LATER) == 0
    assert row(engine)["updated_at"] == NOW
    assert publish_members(engine, [replace(ZURICH, attributes=None)], [], LATER) == 1
    assert members(engine, stores) == [(1, "ZRH-01", "Zürich HB", None)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([Member("a\tb")], "store_id: expected a text of 1 to 200 characters, none of them a control character"),
        ([Member("x" * 201)], "store_id: expected a text of 1 to 200 characters"),
        ([Member("1"), Member("1")], "store_id: expected each id once, got '1' more than once"),
        ([Member("1", None, {"size": float("nan")})], "expected attributes of text, number or flag"),
        ([Member("1", "a\0b")], "store_id 1: expected a name without the character 0"),
    ],
)
def test_members_that_are_wrong_change_nothing(engine: Engine, given: list[Member], said: str) -> None:
    with pytest.raises(StoreError, match=said):
        publish_members(engine, [*given, ZURICH], [], NOW)
    assert members(engine, stores) == []


def test_the_names_of_holidays_are_those_given_last(engine: Engine) -> None:
    publish_dataset(engine, Dataset("pieces", 4), NOW)
    assert publish_holidays(engine, {date(2012, 11, 23): "Thanksgiving", date(2012, 12, 28): "Christmas"})
    assert publish_holidays(engine, {date(2012, 11, 23): "Black Friday"})
    assert not publish_holidays(engine, {date(2012, 11, 23): "Black Friday"})
    with engine.connect() as connection:
        assert connection.execute(select(holidays)).all() == [(date(2012, 11, 23), "Black Friday")]
    with pytest.raises(StoreError, match="expected weeks that end on Friday, got 2012-11-24"):
        publish_holidays(engine, {date(2012, 11, 24): "Black Friday"})
