"""Drivers are published as a whole, and written where they differ."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from demand_assets.errors import StoreError
from demand_assets.store.publish import publish_drivers
from demand_assets.store.reads.drivers import DRIVERS_ORDER, drivers_of

ORIGIN = date(2012, 10, 26)
WEEKS = [ORIGIN + timedelta(weeks=ahead) for ahead in (1, 2)]
DRIVERS = [(1, "price", "number", True), (2, "promo", "flag", True)]
VALUES: list[tuple[Any, ...]] = [
    ("1", "3", 1, WEEKS[0], WEEKS[1], 2.5, True),
    ("1", None, 2, ORIGIN, ORIGIN, 1.0, False),
    ("2", "3", 1, ORIGIN, ORIGIN, 2.0, False),
]


def drivers_in(engine: Engine) -> list[tuple[Any, ...]]:
    statement = drivers_of()
    with engine.connect() as connection:
        rows = connection.execute(DRIVERS_ORDER.page(statement, None, None)).mappings().all()
    return [tuple(row[name] for name in ("store_id", "dept_id", "driver", "first_week", "value")) for row in rows]


def test_drivers_are_all_that_was_published_last_and_only_what_differs_is_written(engine: Engine) -> None:
    assert publish_drivers(engine, DRIVERS, VALUES) == 3
    assert publish_drivers(engine, DRIVERS, VALUES[::-1]) == 0
    assert drivers_in(engine) == [
        ("1", None, "promo", ORIGIN, 1.0),
        ("1", "3", "price", WEEKS[0], 2.5),
        ("2", "3", "price", ORIGIN, 2.0),
    ]
    # Another value takes one away and adds one; a stretch that is gone is one less.
    assert publish_drivers(engine, DRIVERS, [(*VALUES[0][:5], 1.99, True), VALUES[1]]) == 3
    assert [row[2:] for row in drivers_in(engine)] == [("promo", ORIGIN, 1.0), ("price", WEEKS[0], 1.99)]
    assert publish_drivers(engine, [], []) == 2
    assert drivers_in(engine) == []


def test_a_driver_keeps_its_key_however_the_data_number_it(engine: Engine) -> None:
    publish_drivers(engine, DRIVERS, VALUES)
    now = [(1, "discount", "number", True), (2, "price", "number", False)]
    own = [(*row[:2], 2, *row[3:]) for row in VALUES if row[2] == 1]
    assert publish_drivers(engine, now, own) == 1
    assert [row[2:] for row in drivers_in(engine)] == [("price", WEEKS[0], 2.5), ("price", ORIGIN, 2.0)]
    with engine.connect() as connection:
        found = connection.execute(text("SELECT driver_key, driver, known_ahead FROM drivers ORDER BY 1")).all()
    assert [(key, name, bool(known)) for key, name, known in found] == [(1, "price", False), (3, "discount", True)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([(*VALUES[0][:2], 3, *VALUES[0][3:])], "expected values of the drivers price, promo, got those of another"),
        ([VALUES[0], VALUES[0]], "more than once"),
        ([(*VALUES[0][:5], float("nan"), True)], "value must be a finite number"),
    ],
)
def test_drivers_that_are_wrong_are_refused_whole(engine: Engine, values: list[Any], message: str) -> None:
    publish_drivers(engine, DRIVERS, VALUES)
    with pytest.raises(StoreError, match=message):
        publish_drivers(engine, DRIVERS, values)
    assert len(drivers_in(engine)) == 3
