"""What the store says about the health of the forecasts; each takes a connection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, func, select

from demand_assets.store.tables import forecast_vintages, promotions


def vintages_of(conn: Connection, origin_week: date) -> int:
    """How many vintages have that origin."""
    found = select(func.count()).select_from(forecast_vintages).where(forecast_vintages.c.origin_week == origin_week)
    return int(conn.execute(found).scalar_one())


def refusals_in_a_row(conn: Connection, limit: int = 100) -> list[Mapping[str, Any]]:
    """Rows of `promotions` the gate has refused since it last promoted, newest first; people's requests apart."""
    found = conn.execute(
        select(promotions)
        .where(promotions.c.action == "promote", promotions.c.decision_key.is_not(None))
        .order_by(promotions.c.promotion_id.desc())
        .limit(limit)
    ).mappings()
    return [dict(row) for row in takewhile(lambda row: row["outcome"] == "refused", found)]
