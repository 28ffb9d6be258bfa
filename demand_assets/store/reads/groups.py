"""Intervals of groups of stores or departments, from those of each member, of all members, and of the chain.

The run calibrates stores, departments and the chain on their own errors. A group is any part of the members of one
level: of one value of an attribute, as a filter leaves them. Between a member and the chain its interval follows from
how far the members' errors go together, which the published intervals tell: with distances d of a quantile from the
median, the chain's squared distance is sum(d^2) if the members' errors are independent and sum(d)^2 if they are one
error. What the chain has beyond sum(d^2) is shared out over the pairs of members, d_i d_j each:

    distance(group)^2 = sum_group(d^2) + max(distance(chain)^2 - sum_all(d^2), 0) x pairs(group) / pairs(all)

with pairs = sum(d)^2 - sum(d^2). So one member alone has its own interval, and all together have the chain's. The
median is the sum of the members' medians, plus the same share of what the chain's lies beside that sum.
Source: the variance of a sum of errors that share one correlation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Double, Select, Subquery, and_, case, func, select

from demand_assets.store.reads.forecasts import newest_of_origin
from demand_assets.store.tables import forecast_totals


class Quantiles(NamedTuple):
    """The interval of one total."""

    p10: float
    p50: float
    p90: float


class Spread(NamedTuple):
    """Sums over members of one level: their number, medians, distances below and above these, and the squares."""

    members: int
    p50: float
    below: float
    below_squares: float
    above: float
    above_squares: float


def group_quantiles(group: Spread, every: Spread, chain: Quantiles) -> Quantiles:
    """The interval of a group of the members `every` of a level, whose total has that of the `chain`."""
    if group.members == every.members:
        return chain
    below, fewer = _distance(group.below, group.below_squares, every.below, every.below_squares, chain.p50 - chain.p10)
    above, more = _distance(group.above, group.above_squares, every.above, every.above_squares, chain.p90 - chain.p50)
    p50 = group.p50 + (chain.p50 - every.p50) * (fewer + more) / 2
    return Quantiles(p50 - below, p50, p50 + above)


def _distance(own: float, own_squares: float, of_all: float, all_squares: float, chain: float) -> tuple[float, float]:
    """Distance of a group's quantile from its median, and the group's share of the pairs of members."""
    pairs = of_all**2 - all_squares
    # Rounding may leave a little less than nothing.
    share = max(own**2 - own_squares, 0.0) / pairs if pairs > 0 else 0.0
    return math.sqrt(own_squares + max(chain**2 - all_squares, 0.0) * share), share


def quantiles_of(row: Mapping[str, Any]) -> Mapping[str, float | None]:
    """p10, p50 and p90 of a row that has the columns of `spread` and `beside`; None where a part of it has none."""
    group, every = (Spread(*(row[f"{of}_{name}"] for name in Spread._fields)) for of in ("group", "every"))
    chain = Quantiles(*(row[f"chain_{name}"] for name in Quantiles._fields))
    if None in (*group, *every, *chain):
        return dict.fromkeys(Quantiles._fields)
    return group_quantiles(group, every, chain)._asdict()


def spread(of: str, c: Any) -> list[ColumnElement[Any]]:
    """The sums of `Spread` over rows with the columns p10, p50 and p90, named `of`_members and so on.

    All but the number are null where a row has no interval.
    """
    below, above = c.p50 - c.p10, c.p90 - c.p50
    each = {
        "p50": c.p50, "below": below, "below_squares": below * below, "above": above, "above_squares": above * above,
    }  # fmt: skip
    is_known = func.count(c.p10) == func.count()
    sums = [case((is_known, func.sum(value, type_=Double))).label(f"{of}_{name}") for name, value in each.items()]
    return [func.count().label(f"{of}_members"), *sums]


def beside(level: str) -> Subquery:
    """(vintage_id, week, every_members ..., chain_p10 ...) of the newest vintage of each origin.

    The sums over all stores or departments, and the quantiles of the chain.
    """
    newest, t, chain = newest_of_origin(), forecast_totals.c, forecast_totals.alias("chain")
    every = (
        select(t.vintage_id, t.target_week.label("week"), *spread("every", t))
        .join(newest, newest.c.vintage_id == t.vintage_id)
        .where(t.level == level)
        .group_by(t.vintage_id, t.target_week)
        .subquery()
    )
    same = and_(chain.c.vintage_id == every.c.vintage_id, chain.c.target_week == every.c.week)
    quantiles = (chain.c[name].label(f"chain_{name}") for name in Quantiles._fields)
    statement: Select[Any] = select(*every.c, *quantiles).join(chain, and_(same, chain.c.level == "chain"))
    return statement.subquery()
