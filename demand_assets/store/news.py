"""What a published forecast is news of: what changed since the one before, how good it was lately, and exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, select

from demand_assets.store.reads.accuracy import accuracy_weeks
from demand_assets.store.reads.forecasts import NEWEST_VINTAGE
from demand_assets.store.tables import departments, forecast_exceptions, forecast_totals, forecast_vintages, stores

MOST_SHOWN = 5
_STORE = func.coalesce(stores.c.name, stores.c.store_id)
_DEPARTMENT = func.coalesce(departments.c.name, departments.c.dept_id)
_NOW, _THEN = forecast_totals.alias("now"), forecast_totals.alias("then")


def vintage_before(connection: Connection, origin_week: date) -> Mapping[str, Any] | None:
    """The newest vintage of an earlier origin; None for the first one."""
    earlier = NEWEST_VINTAGE.where(forecast_vintages.c.origin_week < origin_week)
    row = connection.execute(earlier).mappings().first()
    return None if row is None else dict(row)


def changed_weeks(connection: Connection, vintage_id: str, before: str) -> list[Mapping[str, Any]]:
    """(target_week, forecast, forecast_before) of the chain, of each week that both vintages forecast."""
    weeks = select(_NOW.c.target_week, _NOW.c.forecast, _THEN.c.forecast.label("forecast_before"))
    of_both = weeks.select_from(_both(before)).where(_NOW.c.vintage_id == vintage_id, _NOW.c.level == "chain")
    return _rows(connection, of_both.order_by(_NOW.c.target_week))


def changed_most(connection: Connection, vintage_id: str, before: str) -> list[Mapping[str, Any]]:
    """(level, name, forecast, forecast_before) of stores and departments, summed over the weeks that both forecast.

    Those whose sums differ most, the largest difference first.
    """
    name: ColumnElement[Any] = case((_NOW.c.level == "store", _STORE), else_=_DEPARTMENT)
    now, then = func.sum(_NOW.c.forecast), func.sum(_THEN.c.forecast)
    named = _both(before).outerjoin(stores, stores.c.store_key == _NOW.c.store_key)
    named = named.outerjoin(departments, departments.c.dept_key == _NOW.c.dept_key)
    members = (
        select(_NOW.c.level, name.label("name"), now.label("forecast"), then.label("forecast_before"))
        .select_from(named)
        .where(_NOW.c.vintage_id == vintage_id, _NOW.c.level != "chain")
        .group_by(_NOW.c.level, _NOW.c.store_key, _NOW.c.dept_key, name)
        .order_by(func.abs(now - then).desc(), _NOW.c.level, name)
    )
    return _rows(connection, members.limit(MOST_SHOWN))


def newest_accuracy(connection: Connection, until: date) -> Mapping[str, Any] | None:
    """The chain's row of `accuracy_weeks` of the newest scored week up to `until`; None where none is scored."""
    weeks, order = accuracy_weeks("chain", end=until)
    found = _rows(connection, replace(order, descending=True).page(weeks, None, 1))
    return found[0] if found else None


def exceptions_of(connection: Connection, week: date) -> tuple[int, list[Mapping[str, Any]]]:
    """How many exceptions a week has, and (store, department, actual, p10, p90, reason) of the first by rank."""
    e = forecast_exceptions.c
    names = (_STORE.label("store"), _DEPARTMENT.label("department"))
    first = (
        select(*names, e.actual, e.p10, e.p90, e.reason)
        .join(stores, stores.c.store_key == e.store_key)
        .join(departments, departments.c.dept_key == e.dept_key)
        .where(e.week == week)
        .order_by(e.rank)
    )
    counted = select(func.count()).select_from(forecast_exceptions).where(e.week == week)
    return int(connection.execute(counted).scalar_one()), _rows(connection, first.limit(MOST_SHOWN))


def _both(before: str) -> Any:
    keys = ("level", "store_key", "dept_key", "target_week")
    same = and_(_THEN.c.vintage_id == before, *(_NOW.c[key] == _THEN.c[key] for key in keys))
    return _NOW.join(_THEN, same)


def _rows(connection: Connection, query: Select[Any]) -> list[Mapping[str, Any]]:
    return [dict(row) for row in connection.execute(query).mappings()]
