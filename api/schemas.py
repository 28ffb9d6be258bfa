"""Bodies that the service answers. Rows have the contract's columns; what only the service knows is added here."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from api.bodies import SeriesKey
from api.override_schemas import ActiveOverride, Override
from api.people import Kind, Role
from api.row_models import with_columns
from api.schema_parts import (
    FINAL,
    QUANTILES,
    SERIES,
    Envelope,
    Listing,
    Stale,
    Vintage,
    named,
    nullable,
    of_final,
    some,
)
from demand_assets.contract import drivers, store
from demand_assets.contract.columns import Column, Table, Type
from demand_assets.contract.store import amount

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_FACTS = Field(description="Static facts, by name; null without any.", examples=[{"region": "north", "size": 1200}])
_HOLIDAY = replace(store.HOLIDAYS.column("holiday"), text="What the week's holidays are called; null without a name")


@with_columns(
    *named(*store.FORECASTS.without("vintage_id").columns),
    FINAL,
    *of_final(*QUANTILES, store.ORDER_QUANTITY),
    *store.FORECAST_VINTAGES.without("sequence", "horizon_weeks", "kind").columns,
)
class Forecast(BaseModel):
    """One forecast of one store, department and week, what it was made from, and the number that counts."""

    is_stale: Stale
    override: Annotated[
        ActiveOverride | None,
        Field(description="A planner's number in force; only beside the newest vintage.", examples=[None]),
    ]


class BatchResponse(Envelope):
    """The newest forecast of each key, in their order, and the keys that have none."""

    items: list[Forecast]
    missing: list[SeriesKey]


@with_columns(
    *SERIES,
    Column("weeks", Type.INTEGER, "Weeks with sales"),
    replace(store.WEEK, name="first_week", text="First week with sales, by the day that ends it"),
    replace(store.WEEK, name="last_week", text="Last week with sales, by the day that ends it"),
    amount("mean_52", "Mean sales of the last 52 weeks", nullable=True),
)
class Series(BaseModel):
    """One store x department."""


@with_columns(
    store.WEEK,
    *nullable(store.ACTUAL),
    amount("last_year", "Sales 52 weeks before", nullable=True),
    *nullable(store.IS_HOLIDAY, _HOLIDAY),
    *some(store.STORE_CONDITIONS, "temperature_f"),
)
class HistoryWeek(BaseModel):
    """One week of a series."""


@with_columns(store.VINTAGE_ID, store.ORIGIN_WEEK, store.TARGET_WEEK, store.HORIZON, store.FORECAST, *QUANTILES)
class EarlierForecast(BaseModel):
    """A forecast of an earlier vintage."""


@with_columns(*SERIES)
class SeriesDetail(Envelope):
    """One series: sales, the newest forecast, earlier forecasts, overrides."""

    history: list[HistoryWeek]
    forecasts: list[Forecast]
    earlier: list[EarlierForecast]
    overrides: list[Override]


GroupOfLevel = Annotated[
    str, Field(description="Value of the level's attribute; empty for those without it, and at other levels.")
]


@with_columns(
    *named(*some(drivers.DRIVER_VALUES, "store_id", "dept_id")),
    *some(drivers.DRIVERS, "driver", "kind", "known_ahead"),
    *some(drivers.DRIVER_VALUES, "first_week", "last_week", "value", "is_planned"),
)
class DriverValue(BaseModel):
    """Weeks that follow each other, in which a driver of a store or series had one value, or is planned to."""

    kind: Annotated[Literal["number", "flag"], Field(description=drivers.DRIVERS.column("kind").text)]


@with_columns(
    store.WEEK,
    store.LEVEL,
    *named(store.TOTAL_STORE_ID, store.TOTAL_DEPT_ID),
    *nullable(
        store.ACTUAL, store.FORECAST, *QUANTILES, store.ORIGIN_WEEK, store.HORIZON, store.VINTAGE_ID,
        store.IS_HOLIDAY, _HOLIDAY, FINAL, *of_final(*QUANTILES),
    ),
)  # fmt: skip
class Total(BaseModel):
    """Sales and forecast of a store, a department, the chain, or of those having one value of an attribute."""

    level: Annotated[str, Field(description="What is summed up.", examples=["store"])]
    group: GroupOfLevel


@with_columns(
    Column("rows", Type.INTEGER, "Forecasts in it"),
    Column("series", Type.INTEGER, "Series in it"),
    amount("forecast", "Sum of its forecasts"),
)
class VintageSize(Vintage):
    """A vintage and how much is in it."""


class VintageResponse(VintageSize, Envelope):
    """One vintage."""


@with_columns(*store.PROMOTIONS.columns)
class Promotion(BaseModel):
    """One row of the ledger of what was and was not put into production."""

    reasons: Annotated[list[str], Field(description="Why, in words.")]
    figures: Annotated[dict[str, Any], Field(description="What was measured, by name.")]


@with_columns(
    *some(store.PROMOTIONS, "model_name"),
    replace(store.PROMOTIONS.column("to_version"), name="version"),
    Column("in_production", Type.FLAG, "Whether it is the champion"),
    *some(store.PROMOTIONS, "outcome", "decided_at", "as_of"),
    amount("wmae", "WMAE in its backtest", nullable=True),
    amount("seasonal_naive_wmae", "WMAE of seasonal naive there", nullable=True),
    amount("champion_wmae", "WMAE of the champion of that time", nullable=True),
    *some(store.PROMOTIONS, "data_version", "code_version"),
    Column("vintages", Type.INTEGER, "Vintages it has made"),
)
class Model(BaseModel):
    """One version that was judged for production, by its newest decision."""

    reasons: Annotated[list[str], Field(description="Why, in words.")]


@with_columns(
    *SERIES,
    store.TARGET_WEEK,
    store.ORIGIN_WEEK,
    store.HORIZON,
    Column("service_level", Type.NUMBER, "Share of weeks in which the stock should suffice"),
    replace(store.ORDER_QUANTITY, nullable=False),
    store.FORECAST,
    store.P50,
    store.P90,
    FINAL,
    *of_final(store.P50, store.P90),
)
class OrderQuantity(BaseModel):
    """How much to have in stock for one week at a service level, for the final number."""


class Attribution(BaseModel):
    """What one group of features moved a forecast by."""

    group: Annotated[str, Field(description="The group of features.", examples=["recent trend"])]
    amount: Annotated[float, Field(description="What it moved the forecast by, in `unit`.", examples=[420.5])]


@with_columns(
    *named(store.TOTAL_STORE_ID, store.TOTAL_DEPT_ID),
    *nullable(
        replace(store.TARGET_WEEK, text="Week forecast, by the day that ends it; null: all weeks together"),
        replace(store.FORECAST, name="left_forecast", text="Forecast of the left vintage; null without one"),
        replace(store.FORECAST, name="right_forecast", text="Forecast of the right vintage; null without one"),
    ),
    amount("difference", "The right forecast less the left one; a forecast that is not there counts as 0"),
)
class Change(BaseModel):
    """What a forecast became in another vintage, and why."""

    level: Annotated[str, Field(description="What is compared.", examples=["series"])]
    group: GroupOfLevel
    reasons: Annotated[
        list[Attribution] | None,
        Field(
            description="What each group of features moved the difference by, the largest first; they sum to it. "
            "Null where a vintage has no attributions, as a scenario."
        ),
    ]


class Changes(Listing[Change]):
    """Changes, and the two vintages."""

    left: Vintage
    right: Vintage


@with_columns(*SERIES, store.TARGET_WEEK, store.HORIZON, store.FORECAST)
class Explanation(Envelope):
    """Why a forecast is what it is: attributions that sum to it, the largest first."""

    attributions: list[Attribution]


@with_columns(*store.DATASET.without("dataset_key", "unit", "week_ends", "updated_at").columns)
class DatasetResponse(Envelope):
    """What the data are."""

    unit: Annotated[str | None, Field(description="What sales count; null before it is known.", examples=["USD"])]
    week_ends: Annotated[
        Weekday | None, Field(description="Weekday that ends a week; null before it is known.", examples=["friday"])
    ]
    updated_at: Annotated[datetime | None, Field(description="When it last changed; null before it was written.")]
    reason_codes: Annotated[
        list[str], Field(description="Codes of which a planner's number has to name one; empty: none.", examples=[[]])
    ]


@with_columns(
    *store.SCENARIOS.without("money").columns,
    *store.FORECAST_VINTAGES.without("vintage_id", "sequence", "kind", "published_at").columns,
    amount("forecast", "The chain's forecast on the changed plans, all weeks together", nullable=True),
    amount("base_forecast", "The same of the base vintage", nullable=True),
)
class Scenario(BaseModel):
    """A what-if: a vintage on changed plans, beside the published forecast it was made from."""


def _beside_base(*columns: Column) -> list[Column]:
    """The columns, then the same of the base vintage."""
    return [*columns, *(replace(each, name=f"base_{each.name}", text=f"{each.text}, base vintage") for each in columns)]


@with_columns(
    store.TARGET_WEEK,
    *_beside_base(store.FORECAST, *nullable(*QUANTILES), store.ORDER_QUANTITY),
    *_beside_base(amount("money", "The forecast at its prices; null where no price is known", nullable=True)),
)
class ScenarioWeek(BaseModel):
    """The chain in one week of a scenario, beside its base vintage."""


@with_columns(
    *SERIES,
    amount("forecast", "Forecast of all weeks together"),
    amount("base_forecast", "The same of the base vintage"),
    amount("difference", "The scenario's less the base's"),
)
class ScenarioMover(BaseModel):
    """A series that a scenario moves."""


class ScenarioResponse(Scenario, Envelope):
    """One scenario, week by week, and the series that it moves most."""

    weeks: list[ScenarioWeek]
    movers: list[ScenarioMover]


@with_columns(
    *named(*store.FORECASTS.without("vintage_id").columns),
    replace(store.FORECAST, name="base_forecast", text="Forecast of the base vintage"),
    replace(store.ORDER_QUANTITY, name="base_order_quantity", text="Order quantity of the base vintage"),
    amount("difference", "The scenario's forecast less the base's"),
)
class ScenarioForecast(BaseModel):
    """One forecast of a scenario, beside that of its base vintage."""


def _member(name: str, table: Table) -> list[Column]:
    return [*named(replace(table.column(name), type=Type.ID)), table.column("attributes")]


@with_columns(*_member("store_id", store.STORES))
class Store(BaseModel):
    """One store."""

    attributes: Annotated[dict[str, Any] | None, _FACTS]


@with_columns(*_member("dept_id", store.DEPARTMENTS))
class Department(BaseModel):
    """One department."""

    attributes: Annotated[dict[str, Any] | None, _FACTS]


@with_columns(
    Column("attribute", Type.TEXT, "Name of the attribute"),
    Column("value", Type.TEXT, "A value that it has; numbers and flags as JSON writes them"),
    Column("members", Type.INTEGER, "Stores or departments that have it"),
)
class AttributeValue(BaseModel):
    """One value of a static fact of stores or departments: a level of totals, and a filter of lists."""

    level: Annotated[Literal["store", "department"], Field(description="Whose fact it is.")]


class Word(BaseModel):
    """What people call something of the data."""

    name: Annotated[str, Field(description="Its name; {store} and {department} stand for the labels of /v1/dataset.")]
    text: Annotated[str, Field(description="What it means.", examples=["Sales one week before the newest week"])]


class Words(BaseModel):
    """Words for people, by the name that the data have."""

    variables: Annotated[dict[str, Word], Field(description="Features and drift variables; # stands for a number.")]
    parts: Annotated[dict[str, Word], Field(description="Parts of a retailer's own column, {driver}.")]
    drivers: Annotated[dict[str, Word], Field(description="Drivers that are no column of the retailer's own.")]
    groups: Annotated[dict[str, Word], Field(description="Groups of attributions.")]
    methods: Annotated[dict[str, Word], Field(description="Methods and baselines.")]
    figures: Annotated[dict[str, Word], Field(description="Figures of a promotion.")]


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    newest_origin_week: Annotated[
        date | None, Field(description="Origin of the newest vintage; null if not known.", examples=["2012-10-26"])
    ]
    vintages: Annotated[int | None, Field(description="Published vintages; null if not known.", examples=[12])]


class Me(BaseModel):
    """Who asks, and what they may."""

    name: Annotated[str, Field(description="Author of what they decide.", examples=["ann@example.org"])]
    kind: Annotated[
        Kind | Literal["local"],
        Field(description="How that is known: by a key, by a sign-in here or at the load balancer; local: not at all."),
    ]
    roles: Annotated[list[Role], Field(description="Roles of a person; none of a key.", examples=[["planner"]])]
    scopes: Annotated[list[str], Field(description="What they may do.", examples=[["read", "write"]])]
    expires_at: Annotated[datetime | None, Field(description="When the key or the sign-in ends; null: never.")]


class Readiness(BaseModel):
    """The store answers, has the schema of this code, and its newest forecast is not overdue for a successor."""

    status: Literal["ready"] = "ready"
    newest_origin_week: date
    vintage_id: str
    published_at: datetime
    is_stale: Literal[False] = False
