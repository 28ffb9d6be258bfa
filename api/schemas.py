"""Bodies of the service."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, get_args, get_origin

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from api.parameters import MAX_ID
from api.parameters import Week as WeekParameter

Item = TypeVar("Item")
_YEARS = (1900, 2200)
# Not empty, not only space, and no NUL, which PostgreSQL cannot hold.
_TEXT = r"^[^\x00]*[^\s\x00][^\x00]*$"


def _is_a_number(value: object) -> object:
    """JSON's numbers as they are, 12.0 for 12 included; pydantic would also take false for 0 and "12" for 12."""
    if isinstance(value, bool | str):
        raise ValueError(f"expected a number, got {value!r:.40}")
    return value


Id = Annotated[int, Field(ge=1, le=MAX_ID), BeforeValidator(_is_a_number)]
Amount = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False), BeforeValidator(_is_a_number)]
TotalId = Annotated[int, Field(description="0 where the total spans all.", examples=[0])]
Usd = Annotated[float, Field(description="USD per week.", examples=[13740.12])]
OptionalUsd = Annotated[float | None, Field(description="USD per week; null where not known.", examples=[13740.12])]
Week = Annotated[date, Field(description="The Friday that ends the week.", examples=["2012-11-02"])]
TargetWeek = Annotated[
    date,
    Field(
        validation_alias="target_week",
        description="Target week: the Friday that ends it.",
        examples=["2012-11-02"],
    ),
]
Unit = Annotated[Literal["USD per week"], Field(description="Unit of every amount.")]
Stale = Annotated[
    bool, Field(description="There is a newer vintage than this one, or one is overdue.", examples=[False])
]


class Vintage(BaseModel):
    """One published run: immutable."""

    vintage_id: Annotated[str, Field(examples=["2012-10-26-0f3a9c5b7d1e2468"])]
    origin_week: Annotated[date, Field(description="Last week whose sales were known.", examples=["2012-10-26"])]
    horizon_weeks: Annotated[int, Field(description="Weeks ahead that it forecasts.", examples=[4])]
    model_name: Annotated[str, Field(examples=["demand_forecaster"])]
    model_version: Annotated[str, Field(examples=["7"])]
    data_version: Annotated[str, Field(examples=["5be1d2"])]
    code_version: Annotated[str, Field(examples=["0.1.0"])]
    published_at: Annotated[datetime, Field(description="UTC.", examples=["2012-10-27T06:00:00Z"])]


class Envelope(BaseModel):
    """What every body says of where it comes from."""

    vintage: Annotated[
        Vintage | None, Field(description="The vintage this is about, else the newest; null before one.")
    ]
    is_stale: Stale
    unit: Unit = "USD per week"


class Listing(Envelope, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next_cursor: Annotated[str | None, Field(description="Ask again with it as `cursor`; null on the last page.")]


class ActiveOverride(BaseModel):
    """A planner's number beside the model's."""

    override_id: int
    version: Annotated[int, Field(description="1 for the first number given for this forecast.", examples=[1])]
    override: Usd
    author: Annotated[str, Field(examples=["M. Planner"])]
    reason: Annotated[str, Field(examples=["Local fair on Saturday"])]
    created_at: datetime
    expires_at: datetime | None


class Forecast(BaseModel):
    """One forecast of one store, department and week, and what it was made from."""

    store_id: Annotated[int, Field(examples=[1])]
    dept_id: Annotated[int, Field(examples=[3])]
    week: TargetWeek
    origin_week: Annotated[date, Field(description="Last week whose sales were known.", examples=["2012-10-26"])]
    horizon: Annotated[int, Field(description="Weeks from origin to target.", examples=[1])]
    forecast: Usd
    p10: Annotated[float, Field(description="10th percentile, USD per week.", examples=[11021.5])]
    p50: Annotated[float, Field(description="Median, USD per week.", examples=[13740.12])]
    p90: Annotated[float, Field(description="90th percentile, USD per week.", examples=[17003.9])]
    order_quantity: Annotated[
        float | None, Field(description="Suggested order, USD per week; null if none was made.", examples=[15210.0])
    ]
    unit: Unit = "USD per week"
    vintage_id: Annotated[
        str, Field(description="Published run this comes from.", examples=["2012-10-26-0f3a9c5b7d1e2468"])
    ]
    model_name: Annotated[str, Field(examples=["demand_forecaster"])]
    model_version: Annotated[str, Field(examples=["7"])]
    data_version: Annotated[str, Field(examples=["5be1d2"])]
    code_version: Annotated[str, Field(examples=["0.1.0"])]
    published_at: Annotated[datetime, Field(description="UTC.", examples=["2012-10-27T06:00:00Z"])]
    is_stale: Stale
    override: Annotated[
        ActiveOverride | None,
        Field(description="A planner's number in force; only beside the newest vintage.", examples=[None]),
    ]


class SeriesKey(BaseModel):
    """One forecast asked for."""

    model_config = ConfigDict(extra="forbid")

    store_id: Annotated[Id, Field(examples=[1])]
    dept_id: Annotated[Id, Field(examples=[3])]
    week: WeekParameter


class Batch(BaseModel):
    """Many forecasts at once."""

    model_config = ConfigDict(extra="forbid")

    keys: Annotated[list[SeriesKey], Field(min_length=1, max_length=10_000)]


class BatchResponse(Envelope):
    """The newest forecast of each key, in their order, and the keys that have none."""

    items: list[Forecast]
    missing: list[SeriesKey]


class Series(BaseModel):
    """One store x department."""

    store_id: int
    dept_id: int
    weeks: Annotated[int, Field(description="Weeks with sales.")]
    first_week: Week
    last_week: Week
    mean_52: Annotated[float | None, Field(description="Mean sales of the last 52 weeks, USD per week.")]


class HistoryWeek(BaseModel):
    """One week of a series."""

    week: Week
    actual: OptionalUsd
    last_year: Annotated[float | None, Field(description="Sales 52 weeks before, USD.")]
    is_holiday: bool | None
    markdown: Annotated[float | None, Field(description="Markdowns of the store, USD.")]
    temperature_f: float | None


class EarlierForecast(BaseModel):
    """What an earlier vintage said."""

    vintage_id: str
    origin_week: Week
    week: TargetWeek
    horizon: int
    forecast: Usd
    p10: Usd
    p50: Usd
    p90: Usd


Status = Literal["active", "superseded", "withdrawn", "expired"]


class Override(BaseModel):
    """A planner's number for one forecast; a later one for the same forecast has a higher version."""

    override_id: int
    store_id: int
    dept_id: int
    week: TargetWeek
    version: int
    override: Annotated[float | None, Field(description="USD per week; null withdraws the number before.")]
    author: str
    reason: str
    created_at: datetime
    expires_at: datetime | None
    vintage_id: Annotated[str, Field(description="The newest vintage when it was given.")]
    forecast: Annotated[float, Field(description="The model's number in it, which stays as it is.")]
    status: Status


class NewOverride(BaseModel):
    """A planner's number."""

    model_config = ConfigDict(extra="forbid")

    store_id: Annotated[Id, Field(examples=[1])]
    dept_id: Annotated[Id, Field(examples=[3])]
    week: WeekParameter
    override: Annotated[
        Amount | None, Field(description="USD per week; null withdraws the number before.", examples=[15000.0])
    ]
    author: Annotated[str, Field(max_length=100, pattern=_TEXT, examples=["M. Planner"])]
    reason: Annotated[str, Field(max_length=1000, pattern=_TEXT, examples=["Local fair on Saturday"])]
    expires_at: Annotated[
        AwareDatetime | None,
        Field(description="From when it no longer counts; null: never.", examples=["2030-01-01T00:00:00Z"]),
    ] = None

    @field_validator("author", "reason")
    @classmethod
    def _is_text(cls, text: str) -> str:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("expected Unicode text, got half of a surrogate pair") from None
        return text

    @field_validator("expires_at")
    @classmethod
    def _is_in_reach(cls, moment: datetime | None) -> datetime | None:
        if moment is None:
            return None
        if not _YEARS[0] <= moment.year < _YEARS[1]:
            raise ValueError(f"expected a year from {_YEARS[0]} to {_YEARS[1] - 1}")
        return moment.astimezone(UTC)


class OverrideResponse(Override, Envelope):
    """One override."""


class SeriesDetail(Envelope):
    """One series: what it sold, what is forecast, what was forecast before, what planners said."""

    store_id: int
    dept_id: int
    history: list[HistoryWeek]
    forecasts: list[Forecast]
    earlier: list[EarlierForecast]
    overrides: list[Override]


class Total(BaseModel):
    """Sales and forecast of a store, a department or the chain."""

    week: Week
    level: Literal["chain", "department", "store"]
    store_id: TotalId
    dept_id: TotalId
    actual: OptionalUsd
    forecast: OptionalUsd
    p10: OptionalUsd
    p50: OptionalUsd
    p90: OptionalUsd
    origin_week: date | None
    horizon: int | None
    vintage_id: str | None
    is_holiday: bool | None


class VintageSize(Vintage):
    """A vintage and how much is in it."""

    rows: int
    series: int
    forecast: Annotated[float, Field(description="Sum of its forecasts, USD.")]


class VintageResponse(VintageSize, Envelope):
    """One vintage."""


class Accuracy(BaseModel):
    """How well one vintage foresaw one total in one week."""

    week: Week
    vintage_id: str
    model: Annotated[str, Field(description="The published model, or a baseline stored with it.")]
    horizon: int
    level: str
    store_id: TotalId
    dept_id: TotalId
    points: Annotated[int, Field(description="Series with a forecast and an actual.")]
    wmae: Annotated[float, Field(description="Mean absolute error, holiday weeks weigh five, USD.")]
    mae: float
    rmse: float
    bias: Annotated[float, Field(description="Mean of forecast less actual, USD.")]
    actual: float
    total_error: Annotated[float, Field(description="Sum of forecast less actual, USD.")]
    coverage: Annotated[float | None, Field(description="Share of actuals within p10 to p90.")]
    fva: Annotated[float | None, Field(description="WMAE of the seasonal naive less this one, USD.")]
    tracking_signal: float | None


class AccuracyWeek(BaseModel):
    """One week of the published model over all horizons."""

    week: Week
    points: int
    wmae: float
    bias: float
    coverage: float | None
    fva: float | None
    seasonal_naive_wmae: float | None
    actual: float
    total_error: float
    tracking_signal: float | None


class Drift(BaseModel):
    """One variable of one group in one week against a reference."""

    week: Week
    reference: str
    group_kind: str
    group_id: str
    variable: str
    kind: str
    points: int
    reference_points: int
    psi: float | None
    ks: float | None
    ks_p: float | None
    mean_shift: float | None
    missing_shift: float | None
    severity: str


class DriftWeek(BaseModel):
    """The worst of one variable in one week."""

    week: Week
    variable: str
    kind: str
    severity: str
    warn: Annotated[int, Field(description="Comparisons with a warning.")]
    severe: Annotated[int, Field(description="Comparisons with a severe drift.")]
    worst_group_kind: str
    worst_group_id: str
    worst_reference: str
    psi: float | None
    ks: float | None
    mean_shift: float | None
    missing_shift: float | None


class ForecastException(BaseModel):
    """A series whose sales lay outside p10 to p90, by money at risk."""

    week: Week
    vintage_id: str
    store_id: int
    dept_id: int
    rank: int
    horizon: int
    forecast: float
    p10: float
    p90: float
    order_quantity: float | None
    actual: float
    at_risk: float
    reason: str


class Promotion(BaseModel):
    """One row of the ledger of what was and was not put into production."""

    promotion_id: int
    decision_key: str | None
    decided_at: datetime
    model_name: str
    action: str
    outcome: str
    from_version: str | None
    to_version: str
    forced: bool
    requested_by: str
    as_of: date | None
    reasons: list[str]
    figures: dict[str, Any]
    data_version: str
    code_version: str


class Model(BaseModel):
    """One version that the gate has judged, by its newest decision."""

    model_name: str
    version: Annotated[str, Field(validation_alias="to_version")]
    in_production: bool
    outcome: str
    decided_at: datetime
    as_of: date | None
    wmae: float | None
    seasonal_naive_wmae: float | None
    champion_wmae: float | None
    data_version: str
    code_version: str
    vintages: Annotated[int, Field(description="Vintages it has made.")]
    reasons: list[str]


class OrderQuantity(BaseModel):
    """How much to have in stock for one week at a service level."""

    store_id: int
    dept_id: int
    week: TargetWeek
    origin_week: date
    horizon: int
    service_level: float
    order_quantity: float
    p50: float
    p90: float


class Reason(BaseModel):
    """What one thing moved a forecast by."""

    reason: Annotated[str, Field(examples=["recent trend"])]
    contribution: Usd


class Explanation(Envelope):
    """Why a forecast is what it is: contributions that sum to it, the largest first."""

    store_id: int
    dept_id: int
    week: Week
    horizon: int
    forecast: Usd
    reasons: list[Reason]


class OverrideScore(BaseModel):
    """An override in force when its week ended, against what was sold."""

    override_id: int
    store_id: int
    dept_id: int
    week: TargetWeek
    author: str
    override: float
    forecast: float
    actual: float
    fva: Annotated[float, Field(description="|forecast - actual| - |override - actual|; positive: the planner won.")]


class OverrideSummary(BaseModel):
    """Over all overrides scored."""

    overrides: int
    fva: float
    share_better: float | None


class OverrideScores(Listing[OverrideScore]):
    """Scores and their sum."""

    summary: OverrideSummary


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    newest_origin_week: Annotated[
        date | None, Field(description="Origin of the newest vintage; null if not known.", examples=["2012-10-26"])
    ]
    vintages: Annotated[int | None, Field(description="Published vintages; null if not known.", examples=[12])]


class Readiness(BaseModel):
    """The store answers, has the schema of this code, and its newest forecast is not overdue for a successor."""

    status: Literal["ready"] = "ready"
    newest_origin_week: date
    vintage_id: str
    published_at: datetime
    is_stale: Literal[False] = False


@lru_cache
def columns_of(item: type[BaseModel]) -> dict[str, tuple[str, type]]:
    """Name of each field -> (name in the store, type of its values)."""
    return {
        name: (str(each.validation_alias or name), _value_type(each.annotation))
        for name, each in item.model_fields.items()
    }


def _value_type(annotation: Any) -> type:
    """`float` of `Annotated[float, ...] | None`, `list` of `list[str]`, `str` of a Literal."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _value_type(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return _value_type(next(each for each in get_args(annotation) if each is not NoneType))
    if origin is Literal:
        return str
    return origin or annotation  # type: ignore[no-any-return]
