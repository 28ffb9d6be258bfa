"""Series: what was sold, and under which conditions."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Double, Select, case, func, select

from demand_assets.store.dimensions import id_of
from demand_assets.store.reads.statements import Ids, Order, between, matching
from demand_assets.store.tables import actuals, holidays, store_conditions

_A = actuals.c
SERIES_ORDER = Order((_A.store_key, _A.dept_key))


def holidays_between(start: date, end: date) -> Select[Any]:
    """(week, holiday) of the weeks whose holidays have a name."""
    return between(select(holidays), holidays.c.week, start, end)


def series_of(*, store_id: Ids = None, dept_id: Ids = None, since: date | None = None) -> Select[Any]:
    """(store_id, dept_id, weeks, first_week, last_week, mean since `since`) of each series that ever sold."""
    recent = _A.actual if since is None else case((_A.week >= since, _A.actual))
    statement = select(
        id_of(_A.store_key),
        id_of(_A.dept_key),
        func.count().label("weeks"),
        func.min(_A.week).label("first_week"),
        func.max(_A.week).label("last_week"),
        func.avg(recent, type_=Double).label("mean_52"),
    )
    filters = {"store_id": store_id, "dept_id": dept_id}
    return matching(statement, actuals, filters).group_by(_A.store_key, _A.dept_key)


LAST_ACTUAL_WEEK: Select[Any] = select(func.max(_A.week))
"""The newest week with sales."""


def history_of(store_id: str, dept_id: str, start: date) -> Select[Any]:
    """(week, actual, is_holiday) of one series from `start` on, oldest first."""
    statement = select(_A.week, _A.actual, _A.is_holiday).where(_A.week >= start)
    return matching(statement, actuals, {"store_id": store_id, "dept_id": dept_id}).order_by(_A.week)


def conditions_of(store_id: str, start: date, end: date) -> Select[Any]:
    """(week, is_holiday, temperature_f) of one store, oldest first."""
    c = store_conditions.c
    statement = select(c.week, c.is_holiday, c.temperature_f)
    return between(matching(statement, store_conditions, {"store_id": store_id}), c.week, start, end).order_by(c.week)
