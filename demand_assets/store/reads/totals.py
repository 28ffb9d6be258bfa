"""Totals: what was sold, beside what was forecast, of the chain, stores, departments, or groups of either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Double,
    Integer,
    Select,
    String,
    and_,
    case,
    func,
    literal_column,
    select,
    union,
)
from sqlalchemy.sql import FromClause

from demand_assets.contract.columns import SPANS_ALL, key_name
from demand_assets.store.dimensions import attributes_of, id_of
from demand_assets.store.reads.forecasts import newest_of_origin, newest_vintage_id
from demand_assets.store.reads.groups import beside, spread
from demand_assets.store.reads.overrides import adjustments
from demand_assets.store.reads.statements import Ids, Order, between, matching
from demand_assets.store.tables import actuals, forecast_totals, forecasts, holidays, store_conditions

KEYS: Mapping[str, str] = {"store": "store_id", "department": "dept_id"}
"""Level -> the column of ids that its totals differ in; the chain has none."""
_TOTAL = ("store_key", "dept_key", "group")
_KEY = (*_TOTAL, "week")
_SPANS_ALL, NO_GROUP = literal_column(str(SPANS_ALL), Integer), literal_column("''", String)


@dataclass(frozen=True)
class Level:
    """What totals are of: the chain, each store or department, or with an `attribute` all of one value together."""

    of: str
    attribute: str | None = None

    @classmethod
    def parsed(cls, text: str) -> Level:
        """`store` is each store, `store.region` the stores of each region."""
        of, dot, attribute = text.partition(".")
        return cls(of, attribute if dot else None)

    @property
    def own_key(self) -> str | None:
        """Name of the column of keys that its totals differ in, or are groups of."""
        return key_name(KEYS[self.of]) if self.of in KEYS else None

    def grouped(self, rows: FromClause) -> tuple[FromClause, ColumnElement[str]]:
        """Those rows of stores or departments beside their attributes; and the group of each, "" without a value."""
        if self.own_key is None or self.attribute is None:
            return rows, NO_GROUP
        known = attributes_of(KEYS[self.of])
        facts = select(known).where(known.c.attribute == self.attribute).subquery()
        joined = rows.outerjoin(facts, facts.c[self.own_key] == rows.c[self.own_key])
        return joined, func.coalesce(facts.c.value, NO_GROUP)


def totals(
    level: Level,
    now: datetime,
    *,
    store_id: Ids = None,
    dept_id: Ids = None,
    horizon: int | None = None,
    start: date | None = None,
    end: date | None = None,
) -> tuple[Select[Any], Order]:
    """Sales of each total and week beside the forecast of the newest vintage that covers it; and the order.

    (store_id, dept_id, group, week, actual, forecast, p10, p50, p90, origin_week, horizon, vintage_id, is_holiday,
    holiday, adjustment); ids are null where the total spans all, figures where a week was only sold, or only forecast.
    `group` is the value of the attribute, "" for those without it, and "" at a level that has none; a level that has
    one has what `groups.quantiles_of` makes quantiles from in place of them. `adjustment`: what planners' numbers in
    force at `now` add to the forecast of the newest vintage. With a `horizon` forecasts are those made so many weeks
    before.
    """
    filters = {
        name: value for name, value in (("store_id", store_id), ("dept_id", dept_id)) if KEYS.get(level.of) == name
    }
    sold = _actual_totals(level, filters, start, end).subquery()
    foreseen = _newest_totals(level, {**filters, "horizon": horizon}, start, end).subquery()
    keys = union(*(select(*(part.c[name] for name in _KEY)) for part in (sold, foreseen))).subquery()
    k, s, f = keys.c, sold.c, foreseen.c
    planned = _adjustments(level, filters, now).subquery()
    a = planned.c
    h = store_conditions.c
    marked = select(h.week, func.max(case((h.is_holiday, 1), else_=0)).label("marked")).group_by(h.week).subquery()

    def same(other: Any) -> ColumnElement[bool]:
        return and_(*(other[name] == k[name] for name in _KEY))

    statement = (
        select(
            id_of(k.store_key), id_of(k.dept_key), k.group, k.week, s.actual,
            *(column for column in f if column.name not in _KEY), (marked.c.marked == 1).label("is_holiday"),
            holidays.c.holiday,
            case((f.vintage_id == newest_vintage_id(), func.coalesce(a.adjustment, 0.0)), else_=0.0).label(
                "adjustment"
            ),
        )
        .outerjoin(sold, same(s))
        .outerjoin(foreseen, same(f))
        .outerjoin(planned, same(a))
        .outerjoin(marked, marked.c.week == k.week)
        .outerjoin(holidays, holidays.c.week == k.week)
    )  # fmt: skip
    return statement, Order((k.group, k.store_key, k.dept_key, k.week))


def _actual_totals(level: Level, filters: Mapping[str, Any], start: date | None, end: date | None) -> Select[Any]:
    a = actuals.c
    columns, group = _totalled(a, level)
    statement = select(*columns, a.week, func.sum(a.actual).label("actual"))
    found = between(matching(statement, actuals, filters), a.week, start, end).group_by(*group, a.week)
    return _together(found, level, "actual")


def _adjustments(level: Level, filters: Mapping[str, Any], now: datetime) -> Select[Any]:
    each = adjustments(forecasts, newest_vintage_id(), now)
    columns, group = _totalled(each.c, level)
    amount = func.sum(each.c.adjustment, type_=Double).label("adjustment")
    statement = select(*columns, each.c.target_week.label("week"), amount)
    return _together(matching(statement, each, filters).group_by(*group, each.c.target_week), level, "adjustment")


def _newest_totals(level: Level, filters: Mapping[str, Any], start: date | None, end: date | None) -> Select[Any]:
    newest, t = newest_of_origin(), forecast_totals.c
    columns, _ = _totalled(t, level)
    each = select(
        *columns, t.target_week.label("week"), t.horizon, t.vintage_id, newest.c.origin_week, t.forecast, t.p10, t.p50,
        t.p90,
    ).join(newest, newest.c.vintage_id == t.vintage_id)  # fmt: skip
    each = between(matching(each, forecast_totals, {"level": level.of, **filters}), t.target_week, start, end)
    of = _together(each, level, "forecast", "horizon", "vintage_id", "origin_week").subquery()
    latest = of.c.origin_week.desc()
    age = func.row_number().over(partition_by=[of.c[name] for name in _KEY], order_by=latest).label("age")
    ranked = select(*of.c, age).subquery()
    found = select(*(column for column in ranked.c if column.name != "age")).where(ranked.c.age == 1)
    if level.attribute is None:
        return found
    others = beside(level.of)
    same = and_(others.c.vintage_id == ranked.c.vintage_id, others.c.week == ranked.c.week)
    return found.add_columns(*(column for column in others.c if column.name not in ("vintage_id", "week"))).join(
        others, same
    )


def _together(statement: Select[Any], level: Level, amount: str, *kept: str) -> Select[Any]:
    """Totals of each store or department put together by the attribute of the level, if it has one.

    `kept`: columns that stay apart. Of quantiles, which are no sums, there is what those of a group are made from.
    """
    if level.attribute is None:
        return statement
    each = statement.subquery()
    grouped, group = level.grouped(each)
    columns = [each.c.week, *(each.c[name] for name in kept)]
    spreads = spread("group", each.c) if "p10" in each.c else []
    amounts = func.sum(each.c[amount], type_=Double).label(amount)
    summed = select(*_labelled(_SPANS_ALL, _SPANS_ALL, group), *columns, amounts, *spreads)
    return summed.select_from(grouped).group_by(group, *columns)


def _totalled(c: Any, level: Level) -> tuple[list[ColumnElement[Any]], list[ColumnElement[Any]]]:
    """(store_key, dept_key, group) of the total that a row is in, without an attribute, and what differs of them."""
    own = level.own_key
    keys = [c[name] if name == own else _SPANS_ALL for name in ("store_key", "dept_key")]
    return _labelled(*keys, NO_GROUP), [] if own is None else [c[own]]


def _labelled(*columns: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    return [column.label(name) for column, name in zip(columns, _TOTAL, strict=True)]
