"""What the store says about the health of the forecasts; each takes a connection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, and_, func, select

from demand_assets.store.tables import drift_reports, forecast_accuracy, forecast_vintages, promotions

CHAIN = "chain"


def vintages_of(conn: Connection, origin_week: date) -> int:
    """How many vintages have that origin."""
    found = select(func.count()).select_from(forecast_vintages).where(forecast_vintages.c.origin_week == origin_week)
    return int(conn.execute(found).scalar_one())


def severe_drift(conn: Connection) -> list[Mapping[str, Any]]:
    """Severe rows of `drift_reports` of the newest week that was reported, largest effect first."""
    newest = select(func.max(drift_reports.c.week)).scalar_subquery()
    found = conn.execute(
        select(drift_reports).where(drift_reports.c.week == newest, drift_reports.c.severity == "severe")
    ).mappings()

    def effect(row: Mapping[str, Any]) -> tuple[float, ...]:
        return tuple(-abs(row[name] or 0.0) for name in ("psi", "mean_shift", "missing_shift"))

    keys = ("variable", "group_kind", "group_id", "reference")
    return sorted((dict(row) for row in found), key=lambda row: (*effect(row), *(row[name] for name in keys)))


def chain_wmae(conn: Connection) -> dict[date, float]:
    """WMAE in USD of the published forecasts of each scored week, in order of time.

    Over the whole chain, pooled over horizons by their points; of each origin the vintage published last.
    """
    of_published_model = and_(
        forecast_vintages.c.vintage_id == forecast_accuracy.c.vintage_id,
        forecast_vintages.c.model_name == forecast_accuracy.c.model,
    )
    found = conn.execute(
        select(*(forecast_accuracy.c[name] for name in ("week", "horizon", "points", "wmae")))
        .join(forecast_vintages, of_published_model)
        .where(forecast_accuracy.c.level == CHAIN, forecast_accuracy.c.points > 0)
        .order_by(forecast_accuracy.c.week, forecast_vintages.c.published_at, forecast_vintages.c.vintage_id)
    )
    # A week and a horizon name an origin; the last published comes last.
    last = {(week, horizon): (points, wmae) for week, horizon, points, wmae in found}
    weeks: dict[date, list[tuple[int, float]]] = {}
    for (week, _), scored in last.items():
        weeks.setdefault(week, []).append(scored)
    return {
        week: sum(points * wmae for points, wmae in scored) / sum(points for points, _ in scored)
        for week, scored in weeks.items()
    }


def refusals_in_a_row(conn: Connection, limit: int = 100) -> list[Mapping[str, Any]]:
    """Rows of `promotions` the gate has refused since it last promoted, newest first; people's requests apart."""
    found = conn.execute(
        select(promotions)
        .where(promotions.c.action == "promote", promotions.c.decision_key.is_not(None))
        .order_by(promotions.c.promotion_id.desc())
        .limit(limit)
    ).mappings()
    return [dict(row) for row in takewhile(lambda row: row["outcome"] == "refused", found)]
