"""Two vintages beside each other: what changed from the one to the other, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Date, Double, Integer, Select, and_, case, func, literal, literal_column, select
from sqlalchemy.sql import FromClause, Subquery

from demand_assets.contract.columns import SPANS_ALL
from demand_assets.store.dimensions import id_of
from demand_assets.store.reads.statements import Ids, Order, between, matching
from demand_assets.store.reads.totals import NO_GROUP, Level
from demand_assets.store.tables import forecast_attributions, forecasts

_OWN_KEYS = {
    "series": ("store_key", "dept_key"),
    "store": ("store_key",),
    "department": ("dept_key",),
    "chain": (),
}
_GROUPS = tuple(each.name for each in forecast_attributions.c if not each.primary_key)
ATTRIBUTED = ("left_attributed", "right_attributed")
"""Columns that say whether a vintage has attributions of a row."""


def changes(
    left: str,
    right: str,
    level: Level,
    *,
    together: bool = False,
    store_id: Ids = None,
    dept_id: Ids = None,
    start: date | None = None,
    end: date | None = None,
) -> tuple[Select[Any], Order]:
    """Forecasts of two vintages per series or total, the largest change first; and the order.

    (store_id, dept_id, group, target_week, left_forecast, right_forecast, difference, size, ATTRIBUTED, and per group
    of attributions what it moved the difference by). A forecast is null where a vintage has none, and counts as 0 in
    the difference, so that series sum to their totals. `group` is that of totals. `together`: all weeks as one row,
    whose week is null.
    """
    own = _OWN_KEYS[level.of] if level.attribute is None else ("group",)
    keys = own if together else (*own, "target_week")
    filters = {"store_id": store_id, "dept_id": dept_id}

    def summed(table: FromClause, *columns: ColumnElement[Any]) -> Subquery:
        rows, group = level.grouped(table)
        each = {name: group if name == "group" else table.c[name] for name in keys}
        statement = select(*_grouping(each), *columns).select_from(rows)
        chosen = matching(statement.where(table.c.vintage_id.in_((left, right))), table, filters)
        return between(chosen, table.c.target_week, start, end).group_by(*each.values()).subquery()

    of, why = forecasts.c, forecast_attributions.c
    amounts = summed(
        forecasts,
        func.sum(case((of.vintage_id == left, of.forecast)), type_=Double).label("left_forecast"),
        func.sum(case((of.vintage_id == right, of.forecast)), type_=Double).label("right_forecast"),
    )
    sides = dict(zip(ATTRIBUTED, (left, right), strict=True))
    signed = {name: case((why.vintage_id == right, why[name]), else_=-why[name]) for name in _GROUPS}
    moved = summed(
        forecast_attributions,
        *(func.max(case((why.vintage_id == each, 1))).label(name) for name, each in sides.items()),
        *(func.sum(each, type_=Double).label(name) for name, each in signed.items()),
    )
    rows = _beside(amounts, moved, keys).subquery()
    r = rows.c
    order = [r.size, r.group, r.store_key, r.dept_key, *([] if together else [r.target_week])]
    shown = (each for each in r if each.name not in ("store_key", "dept_key"))
    return select(id_of(r.store_key), id_of(r.dept_key), *shown), Order(tuple(order), descending=True)


def _grouping(keys: Mapping[str, ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    """store_key, dept_key, group and target_week, each of the row or what stands for all of them."""
    spans_all, no_week = literal_column(str(SPANS_ALL), Integer), literal(None, Date)
    others: dict[str, ColumnElement[Any]] = {
        "store_key": spans_all,
        "dept_key": spans_all,
        "group": NO_GROUP,
        "target_week": no_week,
    }
    return [keys.get(name, other).label(name) for name, other in others.items()]


def _beside(amounts: Subquery, moved: Subquery, keys: Sequence[str]) -> Select[Any]:
    a, m = amounts.c, moved.c
    difference = func.coalesce(a.right_forecast, 0.0) - func.coalesce(a.left_forecast, 0.0)
    same = and_(a.store_key == m.store_key, a.dept_key == m.dept_key, *(a[name] == m[name] for name in keys))
    why = (m[name] for name in (*ATTRIBUTED, *_GROUPS))
    size = func.abs(difference, type_=Double).label("size")
    return select(*a, difference.label("difference"), size, *why).select_from(amounts.outerjoin(moved, same))
