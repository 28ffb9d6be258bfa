"""Views of the forecast store for people who write SQL: text ids, names and the unit, nothing to join."""

from __future__ import annotations

from dataclasses import replace

from demand_assets.contract.columns import Column, Table, Type
from demand_assets.contract.store import (
    ACTUAL,
    DEPT_ID,
    FORECAST,
    FORECAST_ACCURACY,
    FORECAST_VINTAGES,
    HORIZON,
    IS_HOLIDAY,
    MODEL_VERSION,
    ORDER_QUANTITY,
    ORIGIN_WEEK,
    P10,
    P50,
    P90,
    STORE_ID,
    TARGET_WEEK,
    WEEK,
    amount,
)

_VINTAGE = FORECAST_VINTAGES.column
_KIND, _METHOD, _UNIT = (_VINTAGE(name) for name in ("kind", "method", "unit"))
_ID = replace(_VINTAGE("vintage_id"), text="The published forecast")
_PUBLISHED_AT = _VINTAGE("published_at")
_NAMES = (
    Column("store_name", Type.TEXT, "What the store is called; its id where it has no name"),
    Column("dept_name", Type.TEXT, "What the department is called; its id where it has no name"),
)
_SCORES = ("points", "wmae", "bias", "coverage", "fva")

LATEST_FORECAST = Table(
    "latest_forecast",
    "The newest forecast of each series and week.",
    (
        STORE_ID, DEPT_ID, TARGET_WEEK, HORIZON, FORECAST, P10, P50, P90, ORDER_QUANTITY, _UNIT, ORIGIN_WEEK, _ID,
        _METHOD, MODEL_VERSION, _PUBLISHED_AT, _KIND, *_NAMES,
        amount("override", "The planner's number in force; null without one", nullable=True),
        amount("final", "What counts: the override in force, else the forecast"),
    ),
)  # fmt: skip
FORECAST_VS_ACTUAL = Table(
    "forecast_vs_actual",
    "What was forecast at each origin, of its newest vintage, beside the sales that came.",
    (
        STORE_ID, DEPT_ID, WEEK, replace(ORIGIN_WEEK, key=True), HORIZON, FORECAST, P10, P50, P90, ACTUAL,
        amount("error", "Forecast less actual"), IS_HOLIDAY, _UNIT, _ID, _METHOD, MODEL_VERSION, _KIND, *_NAMES,
    ),
)  # fmt: skip
ACCURACY_BY_WEEK = Table(
    "accuracy_by_week",
    "Scores of the chain per week and model, pooled over the newest vintages of all origins, each by its points.",
    (WEEK, FORECAST_ACCURACY.column("model"), *map(FORECAST_ACCURACY.column, _SCORES), replace(_UNIT, key=True)),
)
VIEWS = (LATEST_FORECAST, FORECAST_VS_ACTUAL, ACCURACY_BY_WEEK)
