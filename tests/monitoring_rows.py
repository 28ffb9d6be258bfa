"""Rows of the monitoring tables, one function per table."""

from datetime import UTC, date, datetime
from typing import Any

WEEK = date(2012, 6, 29)


def drift(week: date, variable: str, psi: float | None, severity: str) -> dict[str, Any]:
    return {
        "week": week, "reference": "training", "group_kind": "chain", "group_id": "all", "variable": variable,
        "kind": "feature", "points": 100, "reference_points": 100, "psi": psi, "severity": severity,
    }  # fmt: skip


def decision(outcome: str, key: str | None, action: str = "promote") -> dict[str, Any]:
    return {
        "decision_key": key, "decided_at": datetime(2012, 7, 2, tzinfo=UTC), "model_name": "m", "action": action,
        "outcome": outcome, "to_version": "2", "forced": False, "requested_by": "x", "reasons": ["r"], "figures": {},
        "data_version": "d", "code_version": "c",
    }  # fmt: skip


def vintage(vintage_id: str, origin: date, published: datetime) -> dict[str, Any]:
    return {
        "vintage_id": vintage_id, "origin_week": origin, "horizon_weeks": 4, "model_name": "xgboost",
        "model_version": "1", "data_version": "d", "code_version": "c", "published_at": published,
    }  # fmt: skip


def accuracy(vintage_id: str, horizon: int, points: int, wmae: float, model: str = "xgboost") -> dict[str, Any]:
    return {
        "week": WEEK, "vintage_id": vintage_id, "model": model, "horizon": horizon, "level": "chain", "store_id": 0,
        "dept_id": 0, "points": points, "wmae": wmae, "mae": 1.0, "rmse": 1.0, "bias": 0.0, "actual_usd": 1.0,
        "error_usd": 1.0,
    }  # fmt: skip
