"""Scenarios beside the vintage that each was made from."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Double, ScalarSelect, Select, and_, func, select
from sqlalchemy.sql import FromClause, Subquery

from demand_assets.store.dimensions import id_of
from demand_assets.store.reads.statements import Ids, Order, between, matching
from demand_assets.store.tables import forecast_totals, forecast_vintages, forecasts, scenarios

_S, _V = scenarios.c, forecast_vintages.c
SCENARIOS_ORDER = Order((_V.sequence, _S.name), descending=True)
_AMOUNTS = ("forecast", "p10", "p50", "p90")


def _chain(vintage_id: Any) -> ScalarSelect[Any]:
    """The chain's forecast of all weeks of a vintage."""
    t = forecast_totals.alias()
    of_chain = and_(t.c.vintage_id == vintage_id, t.c.level == "chain")
    return select(func.sum(t.c.forecast, type_=Double)).where(of_chain).scalar_subquery()


def scenarios_with_totals(*, name: str | None = None, origin: date | None = None) -> Select[Any]:
    """Rows of `scenarios` with their vintage, and `forecast` and `base_forecast` of the chain in all weeks together.

    Order by SCENARIOS_ORDER.
    """
    facts = (each for each in _V if each.name not in ("vintage_id", "kind", "published_at"))
    totals = (_chain(_S.vintage_id).label("forecast"), _chain(_S.base_vintage_id).label("base_forecast"))
    statement = select(*_S, *facts, *totals).join(forecast_vintages, _V.vintage_id == _S.vintage_id)
    statement = matching(statement, scenarios, {"name": name})
    return matching(statement, forecast_vintages, {"origin_week": origin})


def weeks_of(vintage_id: str, base_vintage_id: str) -> Select[Any]:
    """The chain per week, oldest first: target_week, forecast, p10, p50, p90, order_quantity, and base_ of each."""
    own, base = _weeks(vintage_id), _weeks(base_vintage_id)
    shown = (*_AMOUNTS, "order_quantity")
    columns = (*(own.c[name] for name in shown), *(base.c[name].label(f"base_{name}") for name in shown))
    joined = own.join(base, own.c.target_week == base.c.target_week)
    return select(own.c.target_week, *columns).select_from(joined).order_by(own.c.target_week)


def _weeks(vintage_id: str) -> Subquery:
    t, f = forecast_totals.c, forecasts.c
    # Once per vintage: a subquery per week would read all its series for each.
    orders = (
        select(f.target_week, func.sum(f.order_quantity, type_=Double).label("order_quantity"))
        .where(f.vintage_id == vintage_id)
        .group_by(f.target_week)
        .subquery()
    )
    amounts = (t[name] for name in _AMOUNTS)
    return (
        select(t.target_week, *amounts, orders.c.order_quantity)
        .join(orders, orders.c.target_week == t.target_week)
        .where(t.vintage_id == vintage_id, t.level == "chain")
        .subquery()
    )


def beside(vintage_id: str, base_vintage_id: str) -> tuple[FromClause, FromClause, Select[Any]]:
    """The forecasts of a scenario and of its base, and a statement without columns over each pair of them."""
    own, base = forecasts.alias("own"), forecasts.alias("base")
    keys = ("store_key", "dept_key", "target_week")
    same = and_(base.c.vintage_id == base_vintage_id, *(own.c[name] == base.c[name] for name in keys))
    pairs = select().select_from(own.join(base, same)).where(own.c.vintage_id == vintage_id)
    return own, base, pairs


def differences_of(
    vintage_id: str,
    base_vintage_id: str,
    *,
    store_id: Ids = None,
    dept_id: Ids = None,
    horizon: int | None = None,
    start: date | None = None,
    end: date | None = None,
) -> tuple[Select[Any], Order]:
    """Rows of `forecasts` of a scenario with base_forecast, base_order_quantity and difference; and the order."""
    own, base, pairs = beside(vintage_id, base_vintage_id)
    o, b = own.c, base.c
    statement = pairs.add_columns(
        id_of(o.store_key), id_of(o.dept_key), o.target_week, o.horizon, o.forecast, o.p10, o.p50, o.p90,
        o.order_quantity, b.forecast.label("base_forecast"), b.order_quantity.label("base_order_quantity"),
        (o.forecast - b.forecast).label("difference"),
    )  # fmt: skip
    filters = {"store_id": store_id, "dept_id": dept_id, "horizon": horizon}
    statement = between(matching(statement, own, filters), o.target_week, start, end)
    return statement, Order((o.store_key, o.dept_key, o.target_week))


def movers(vintage_id: str, base_vintage_id: str, most: int) -> Select[Any]:
    """The series that a scenario moves most: store_id, dept_id; forecast, base_forecast, difference of all weeks."""
    own, base, pairs = beside(vintage_id, base_vintage_id)
    forecast, was = func.sum(own.c.forecast, type_=Double), func.sum(base.c.forecast, type_=Double)
    keys = (own.c.store_key, own.c.dept_key)
    return (
        pairs.add_columns(
            id_of(keys[0]), id_of(keys[1]), forecast.label("forecast"), was.label("base_forecast"),
            (forecast - was).label("difference"),
        )
        .where(own.c.forecast != base.c.forecast)
        .group_by(*keys)
        .order_by(func.abs(forecast - was).desc(), *keys)
        .limit(most)
    )  # fmt: skip
