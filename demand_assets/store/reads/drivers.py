"""Drivers: prices, promotions and others, as they were and as they are planned."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Select, or_, select

from demand_assets.contract.columns import SPANS_ALL
from demand_assets.store.dimensions import id_of
from demand_assets.store.reads.statements import Ids, Order, between, equals, matching
from demand_assets.store.tables import driver_values, drivers

_V = driver_values.c
DRIVERS_ORDER = Order((_V.store_key, _V.dept_key, _V.driver_key, _V.first_week))


def drivers_of(
    *,
    store_id: Ids = None,
    dept_id: Ids = None,
    driver: str | None = None,
    start: date | None = None,
    end: date | None = None,
) -> Select[Any]:
    """(store_id, dept_id, driver_key, driver, kind, known_ahead, first_week, last_week, value, is_planned) by stretch.

    Of departments also the values of their whole stores, whose `dept_id` is null. A stretch that lies partly from
    `start` to `end` is there whole.
    """
    d = drivers.c
    statement = select(
        id_of(_V.store_key), id_of(_V.dept_key), _V.driver_key, d.driver, d.kind, d.known_ahead, _V.first_week,
        _V.last_week, _V.value, _V.is_planned,
    ).join(drivers, d.driver_key == _V.driver_key)  # fmt: skip
    if dept_id is not None:
        statement = statement.where(or_(_V.dept_key == SPANS_ALL, equals(driver_values, "dept_id", dept_id)))
    if driver is not None:
        statement = statement.where(d.driver == driver)
    found = matching(statement, driver_values, {"store_id": store_id})
    return between(between(found, _V.last_week, start, None), _V.first_week, None, end)


def is_driver(driver: str) -> Select[Any]:
    """A row if there is a driver of that name."""
    return select(drivers.c.driver_key).where(drivers.c.driver == driver)
