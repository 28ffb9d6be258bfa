"""Bodies and parameters of the service."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, Field

from api.problems import ProblemError

# What the store's integer columns hold; a larger number would be an error of the database, not of the request.
_MAX_ID = 2**31 - 1

StoreId = Annotated[int, Query(ge=1, le=_MAX_ID, description="Store number.", examples=[1])]
DeptId = Annotated[int, Query(ge=1, le=_MAX_ID, description="Department number.", examples=[3])]
WeekText = Annotated[
    str,
    Query(
        alias="week",
        # Years within reach of date arithmetic; the pattern also keeps out other spellings that parse as dates.
        pattern=r"^(19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}$",
        max_length=10,
        description="The Friday that ends the week to forecast, YYYY-MM-DD.",
        examples=["2012-11-02"],
    ),
]
Usd = Annotated[float, Field(description="USD per week.", examples=[13740.12])]


def friday(week: WeekText) -> date:
    """The target week; 422 for a day that does not exist or is no Friday."""
    try:
        day = date.fromisoformat(week)
    except ValueError:
        raise ProblemError(422, f"week: expected a date of the calendar as YYYY-MM-DD, got {week}") from None
    since = (day.weekday() - 4) % 7
    if since:
        before, after = day - timedelta(days=since), day + timedelta(days=7 - since)
        raise ProblemError(
            422,
            f"week: expected the Friday that ends the week, got {week} ({day:%A}); nearest: {before} and {after}",
            nearest=[before.isoformat(), after.isoformat()],
        )
    return day


class Forecast(BaseModel):
    """Newest forecast of one store, department and week."""

    store_id: Annotated[int, Field(examples=[1])]
    dept_id: Annotated[int, Field(examples=[3])]
    week: Annotated[date, Field(description="Target week: the Friday that ends it.", examples=["2012-11-02"])]
    origin_week: Annotated[date, Field(description="Last week whose sales were known.", examples=["2012-10-26"])]
    horizon: Annotated[int, Field(description="Weeks from origin to target.", examples=[1])]
    forecast_usd: Usd
    p10_usd: Annotated[float, Field(description="10th percentile, USD per week.", examples=[11021.5])]
    p50_usd: Annotated[float, Field(description="Median, USD per week.", examples=[13740.12])]
    p90_usd: Annotated[float, Field(description="90th percentile, USD per week.", examples=[17003.9])]
    order_usd: Annotated[
        float | None, Field(description="Suggested order, USD per week; null if none was made.", examples=[15210.0])
    ]
    unit: Literal["USD per week"] = "USD per week"
    vintage_id: Annotated[str, Field(description="Published run this comes from.", examples=["2012-10-26-0f3a9c"])]
    model_name: Annotated[str, Field(examples=["demand_forecaster"])]
    model_version: Annotated[str, Field(examples=["7"])]
    data_version: Annotated[str, Field(examples=["5be1d2"])]
    code_version: Annotated[str, Field(examples=["0.1.0"])]
    published_at: Annotated[datetime, Field(description="UTC.", examples=["2012-10-27T06:00:00Z"])]


class Health(BaseModel):
    """The store answers and is at the revision the service was written for."""

    status: Literal["ok"] = "ok"
    store: Literal["reachable"] = "reachable"
    newest_origin_week: Annotated[
        date | None, Field(description="Origin of the newest vintage; null before the first.", examples=["2012-10-26"])
    ]
    vintages: Annotated[int, Field(description="Published vintages.", examples=[12])]
