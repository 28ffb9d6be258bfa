"""Reads of the forecast store; each takes a connection, so that a caller chooses what is read together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, exists, func, select

from demand_assets.store.tables import forecast_vintages, forecasts, metadata

_NEWEST_FIRST = (
    forecast_vintages.c.origin_week.desc(),
    forecast_vintages.c.published_at.desc(),
    forecast_vintages.c.vintage_id.desc(),
)
_LATEST = select(
    *forecast_vintages.c,
    *(column for column in forecasts.c if column.name != "vintage_id"),
).join(forecasts, forecasts.c.vintage_id == forecast_vintages.c.vintage_id)


def latest_forecast(conn: Connection, store_id: int, dept_id: int, target_week: date) -> Mapping[str, Any] | None:
    """Columns of `forecasts` and `forecast_vintages` of the newest forecast of that week; None if there is none.

    Newest: by origin week, then by time of publishing, then by vintage id.
    """
    found = conn.execute(
        _LATEST.where(
            forecasts.c.store_id == store_id,
            forecasts.c.dept_id == dept_id,
            forecasts.c.target_week == target_week,
        )
        .order_by(*_NEWEST_FIRST)
        .limit(1)
    ).mappings()
    row = found.first()
    return None if row is None else dict(row)


def weeks_forecast(conn: Connection, store_id: int, dept_id: int) -> list[date]:
    """Target weeks, ascending, that any vintage forecasts for the series."""
    found = conn.execute(
        select(forecasts.c.target_week)
        .where(forecasts.c.store_id == store_id, forecasts.c.dept_id == dept_id)
        .distinct()
        .order_by(forecasts.c.target_week)
    )
    return list(found.scalars())


def series_exists(conn: Connection, store_id: int, dept_id: int) -> bool:
    """Whether any vintage forecasts the series."""
    return bool(
        conn.execute(
            select(exists().where(forecasts.c.store_id == store_id, forecasts.c.dept_id == dept_id))
        ).scalar_one()
    )


def newest_vintage(conn: Connection) -> Mapping[str, Any] | None:
    """The row of `forecast_vintages` of the newest origin, then time of publishing; None in an empty store."""
    row = conn.execute(select(forecast_vintages).order_by(*_NEWEST_FIRST).limit(1)).mappings().first()
    return None if row is None else dict(row)


def vintages_covering(conn: Connection, week: date) -> list[Mapping[str, Any]]:
    """Vintages that forecast `week`, newest first: origin week < `week` <= origin week + horizon."""
    found = conn.execute(
        select(forecast_vintages).where(forecast_vintages.c.origin_week < week).order_by(*_NEWEST_FIRST)
    ).mappings()
    # Date arithmetic differs between the two databases, and vintages are few.
    return [dict(row) for row in found if week <= row["origin_week"] + timedelta(weeks=row["horizon_weeks"])]


def forecasts_for(conn: Connection, vintage_id: str, target_week: date) -> list[Mapping[str, Any]]:
    """Rows of `forecasts` of one vintage and target week, by store_id and dept_id."""
    found = conn.execute(
        select(forecasts)
        .where(forecasts.c.vintage_id == vintage_id, forecasts.c.target_week == target_week)
        .order_by(forecasts.c.store_id, forecasts.c.dept_id)
    ).mappings()
    return [dict(row) for row in found]


def counts(conn: Connection, *tables: str) -> dict[str, int]:
    """Rows of each table, by its name; of all tables unless some are named."""
    return {
        table.name: conn.execute(select(func.count()).select_from(table)).scalar_one()
        for table in metadata.sorted_tables
        if not tables or table.name in tables
    }
