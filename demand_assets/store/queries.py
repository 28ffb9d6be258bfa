"""What the pipeline reads of the store; each takes a connection, so that a caller chooses what is read together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from demand_assets.store.dimensions import id_of, shown
from demand_assets.store.reads import forecasts as reads
from demand_assets.store.reads.accuracy import newest_scored, same_scoring
from demand_assets.store.reads.overrides import numbers_at_end
from demand_assets.store.tables import forecast_accuracy, forecast_vintages, forecasts, metadata


def newest_vintage(conn: Connection) -> Mapping[str, Any] | None:
    """The row of `forecast_vintages` of the newest origin, published last; None in an empty store."""
    row = conn.execute(reads.NEWEST_VINTAGE).mappings().first()
    return None if row is None else dict(row)


def vintages_of(conn: Connection, origin_week: date) -> list[Mapping[str, Any]]:
    """Vintages of one origin, newest first; scenarios are left out."""
    return _vintages(conn, forecast_vintages.c.origin_week == origin_week)


def forecasts_of(conn: Connection, vintage_id: str) -> list[tuple[Any, ...]]:
    """Every forecast of one vintage, its columns but the id, by store, department and target week."""
    statement = reads.FORECASTS_ORDER.page(reads.forecasts_of(vintage_id), None, None)
    return [tuple(row) for row in conn.execute(statement)]


def first_forecast(conn: Connection, vintage_id: str) -> tuple[str, str, date]:
    """Store, department and target week of the first forecast of a vintage."""
    first = conn.execute(reads.FORECASTS_ORDER.page(reads.forecasts_of(vintage_id), None, 1)).mappings().one()
    return first["store_id"], first["dept_id"], first["target_week"]


def rows_of(conn: Connection, vintage_id: str) -> int:
    """How many forecasts a vintage has."""
    counted = select(func.count()).select_from(forecasts).where(forecasts.c.vintage_id == vintage_id)
    return int(conn.execute(counted).scalar_one())


def vintages_covering(conn: Connection, week: date) -> list[Mapping[str, Any]]:
    """Vintages that forecast `week`, newest first: origin week < `week` <= origin week + horizon; no scenarios."""
    found = _vintages(conn, forecast_vintages.c.origin_week < week)
    # Date arithmetic differs between the two databases, and vintages are few.
    return [row for row in found if week <= row["origin_week"] + timedelta(weeks=row["horizon_weeks"])]


def _vintages(conn: Connection, *wanted: ColumnElement[bool]) -> list[Mapping[str, Any]]:
    statement = select(forecast_vintages).where(reads.IS_FORECAST, *wanted).order_by(*reads.NEWEST_FIRST)
    return [dict(row) for row in conn.execute(statement).mappings()]


def forecasts_for(conn: Connection, vintage_id: str, target_week: date) -> list[Mapping[str, Any]]:
    """Rows of `forecasts` of one vintage and target week, by store and department."""
    found = conn.execute(
        select(*shown(forecasts))
        .where(forecasts.c.vintage_id == vintage_id, forecasts.c.target_week == target_week)
        .order_by(forecasts.c.store_key, forecasts.c.dept_key)
    ).mappings()
    return [dict(row) for row in found]


def final_numbers(conn: Connection, week: date) -> list[Mapping[str, Any]]:
    """(store_id, dept_id, override, sequence) of planners' numbers in force when `week` ended.

    `sequence` is that of the vintage that each was given beside; no earlier vintage is changed by it.
    """
    return [dict(row) for row in conn.execute(numbers_at_end(week)).mappings()]


def realised_wmae(conn: Connection, level: str = "chain", model: str | None = None) -> list[Mapping[str, Any]]:
    """(week, store_id, dept_id, wmae, bias, points) per week and total of `level`, oldest week first.

    Pooled over horizons, each by its points, from the newest scored vintage of each origin. The published method unless
    a `model` (a baseline) is named; weeks in which that was not scored are left out.
    """
    newest, scored = newest_scored(), forecast_accuracy.c
    points = func.sum(scored.points)
    found = conn.execute(
        select(
            scored.week,
            id_of(scored.store_key),
            id_of(scored.dept_key),
            (func.sum(scored.wmae * scored.points) / points).label("wmae"),
            (func.sum(scored.bias * scored.points) / points).label("bias"),
            points.label("points"),
        )
        .join(newest, same_scoring(newest))
        .where(scored.level == level, scored.model == (newest.c.method if model is None else model))
        .group_by(scored.week, scored.store_key, scored.dept_key)
        .order_by(scored.week, scored.store_key, scored.dept_key)
    ).mappings()
    return [{**row, "points": int(row["points"])} for row in found]


def errors_before(conn: Connection, week: date, weeks: int) -> list[Mapping[str, Any]]:
    """(week, model, horizon, level, store_id, dept_id, total_error) of the last `weeks` scored weeks before `week`.

    One row per week and key, from the newest scored vintage of each origin.
    """
    scored = forecast_accuracy.c
    last = select(scored.week).where(scored.week < week).distinct().order_by(scored.week.desc()).limit(weeks)
    known = list(conn.execute(last).scalars())
    if not known:
        return []
    newest = newest_scored(known[-1], week)
    found = conn.execute(
        select(
            scored.week,
            scored.model,
            scored.horizon,
            scored.level,
            id_of(scored.store_key),
            id_of(scored.dept_key),
            scored.total_error,
        )
        .join(newest, same_scoring(newest))
        .where(scored.week >= known[-1], scored.week < week)
    ).mappings()
    return [dict(row) for row in found]


def counts(conn: Connection, *tables: str) -> dict[str, int]:
    """Rows of each table, by its name; of all tables unless some are named."""
    return {
        table.name: conn.execute(select(func.count()).select_from(table)).scalar_one()
        for table in metadata.sorted_tables
        if not tables or table.name in tables
    }
