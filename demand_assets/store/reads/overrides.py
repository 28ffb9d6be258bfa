"""Planners' overrides, how they stand, and what they were worth."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Double, Select, and_, case, func, literal_column, or_, select, type_coerce

from demand_assets.store.dimensions import shown
from demand_assets.store.reads.statements import Order, matching
from demand_assets.store.tables import overrides

OVERRIDES_ORDER = Order((overrides.c.override_id,), descending=True)


def overrides_of(filters: Mapping[str, Any]) -> Select[Any]:
    """Rows of `overrides`, and as `newest` whether no later version of the same forecast exists."""
    return matching(select(*shown(overrides), _is_newest_version().label("newest")), overrides, filters)


def override_of_key(idempotency_key: str) -> Select[Any]:
    """(override_id) of the override made by the request of that key."""
    return select(overrides.c.override_id).where(overrides.c.idempotency_key == idempotency_key)


def _is_newest_version() -> ColumnElement[bool]:
    o, later = overrides.c, overrides.alias()
    same = (later.c.store_key == o.store_key, later.c.dept_key == o.dept_key, later.c.target_week == o.target_week)
    return ~select(literal_column("1")).where(*same, later.c.version > o.version).exists()


def override_is(status: str, now: datetime) -> ColumnElement[bool]:
    """Whether a row of `overrides_of` stands like this at `now`: active, superseded, withdrawn or expired."""
    o = overrides.c
    given = o.override.is_not(None)
    live = or_(o.expires_at.is_(None), o.expires_at > now)
    return {
        "superseded": ~_is_newest_version(),
        "withdrawn": and_(_is_newest_version(), ~given),
        "expired": and_(_is_newest_version(), given, ~live),
        "active": and_(_is_newest_version(), given, live),
    }[status]


def scores_and_summary(scored: Select[Any]) -> tuple[Select[Any], Order, Select[Any]]:
    """Of `override_scores` the columns shown, their order, and (overrides, fva, better) over all of them."""
    s = scored.subquery().c
    fva = type_coerce(s.fva, Double).label("fva")  # abs() has no type of its own
    columns = (s.override_id, s.store_id, s.dept_id, s.target_week, s.author, s.override, s.forecast, s.actual, fva)
    summary = select(
        func.count().label("overrides"),
        func.sum(s.fva).label("fva"),
        func.sum(case((s.fva > 0, 1), else_=0)).label("better"),
    )
    return select(*columns), Order((s.override_id,), descending=True), summary
