"""Series and totals: what was sold, beside what was forecast."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Double, Integer, Select, and_, case, func, literal_column, select, union

from demand_assets.contract.columns import SPANS_ALL
from demand_assets.store.dimensions import id_of
from demand_assets.store.reads.forecasts import newest_of_origin, newest_vintage_id
from demand_assets.store.reads.overrides import adjustments
from demand_assets.store.reads.statements import Ids, Order, between, matching
from demand_assets.store.tables import actuals, forecast_totals, forecasts, store_conditions

_A = actuals.c
SERIES_ORDER = Order((_A.store_key, _A.dept_key))


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
    """(week, is_holiday, markdown, temperature_f) of one store, oldest first."""
    c = store_conditions.c
    statement = select(c.week, c.is_holiday, c.markdown, c.temperature_f)
    return between(matching(statement, store_conditions, {"store_id": store_id}), c.week, start, end).order_by(c.week)


def totals(
    level: str,
    now: datetime,
    *,
    store_id: Ids = None,
    dept_id: Ids = None,
    start: date | None = None,
    end: date | None = None,
) -> tuple[Select[Any], Order]:
    """Sales of each total and week beside the forecast of the newest vintage that covers it; and the order.

    (store_id, dept_id, week, actual, forecast, p10, p50, p90, origin_week, horizon, vintage_id,
    is_holiday, adjustment); ids are null where the total spans all, figures where a week was only sold, or only
    forecast. `adjustment`: what planners' numbers in force at `now` add to the forecast of the newest vintage.
    """
    filters = {
        "store_id": store_id if level == "store" else None,
        "dept_id": dept_id if level == "department" else None,
    }
    sold = _actual_totals(level, filters, start, end).subquery()
    foreseen = _newest_totals(level, filters, start, end).subquery()
    keys = union(
        select(sold.c.store_key, sold.c.dept_key, sold.c.week),
        select(foreseen.c.store_key, foreseen.c.dept_key, foreseen.c.week),
    ).subquery()
    k, s, f = keys.c, sold.c, foreseen.c
    planned = _adjustments(level, filters, now).subquery()
    a = planned.c
    h = store_conditions.c
    marked = select(h.week, func.max(case((h.is_holiday, 1), else_=0)).label("marked")).group_by(h.week).subquery()
    statement = (
        select(
            id_of(k.store_key), id_of(k.dept_key), k.week, s.actual, f.forecast, f.p10, f.p50, f.p90, f.origin_week,
            f.horizon, f.vintage_id, (marked.c.marked == 1).label("is_holiday"),
            case((f.vintage_id == newest_vintage_id(), func.coalesce(a.adjustment, 0.0)), else_=0.0).label(
                "adjustment"
            ),
        )
        .outerjoin(sold, and_(s.store_key == k.store_key, s.dept_key == k.dept_key, s.week == k.week))
        .outerjoin(foreseen, and_(f.store_key == k.store_key, f.dept_key == k.dept_key, f.week == k.week))
        .outerjoin(planned, and_(a.store_key == k.store_key, a.dept_key == k.dept_key, a.week == k.week))
        .outerjoin(marked, marked.c.week == k.week)
    )  # fmt: skip
    return statement, Order((k.store_key, k.dept_key, k.week))


def _newest_totals(level: str, filters: Mapping[str, Any], start: date | None, end: date | None) -> Select[Any]:
    newest, t = newest_of_origin(), forecast_totals.c
    ranked = select(
        t.store_key, t.dept_key, t.target_week.label("week"), t.horizon, t.vintage_id, t.forecast, t.p10,
        t.p50, t.p90, newest.c.origin_week,
        func.row_number()
        .over(partition_by=[t.store_key, t.dept_key, t.target_week], order_by=newest.c.origin_week.desc())
        .label("age"),
    ).join(newest, newest.c.vintage_id == t.vintage_id)  # fmt: skip
    ranked = matching(ranked, forecast_totals, {"level": level, **filters})
    inner = between(ranked, t.target_week, start, end).subquery()
    return select(*(column for column in inner.c if column.name != "age")).where(inner.c.age == 1)


def _adjustments(level: str, filters: Mapping[str, Any], now: datetime) -> Select[Any]:
    each = adjustments(forecasts, newest_vintage_id(), now)
    columns, group = _totalled(each.c, level)
    amount = func.sum(each.c.adjustment, type_=Double).label("adjustment")
    statement = select(*columns, each.c.target_week.label("week"), amount)
    return matching(statement, each, filters).group_by(*group, each.c.target_week)


def _totalled(c: Any, level: str) -> tuple[list[ColumnElement[int]], list[ColumnElement[int]]]:
    """(store_key, dept_key) of the total that a row of series is in, and those of them that differ between totals."""
    spans_all = literal_column(str(SPANS_ALL), Integer)
    own = {"store": "store_key", "department": "dept_key"}.get(level)
    columns = [(c[name] if name == own else spans_all).label(name) for name in ("store_key", "dept_key")]
    return columns, [] if own is None else [c[own]]


def _actual_totals(level: str, filters: Mapping[str, Any], start: date | None, end: date | None) -> Select[Any]:
    a = actuals.c
    columns, group = _totalled(a, level)
    statement = select(*columns, a.week, func.sum(a.actual).label("actual"))
    return between(matching(statement, actuals, filters), a.week, start, end).group_by(*group, a.week)
