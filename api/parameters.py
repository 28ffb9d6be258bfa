"""Parameters of requests: their types, bounds and descriptions, refused before the store is asked."""

from __future__ import annotations

import re
from collections import Counter
from contextvars import ContextVar
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Depends, Header, Path, Query, Request
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from api.formats import Format
from api.problems import ProblemError
from demand_assets.contract.columns import ID_PATTERN, LONGEST_ID, SCENARIO_PATTERN
from demand_assets.store.dataset import WEEKDAYS

# What the store's integer columns hold; a larger number would be an error of the database, not of the request.
MAX_INTEGER = 2**31 - 1
DEFAULT_ROWS, MAX_ROWS = 100, 1000
# Room for two of the longest ids.
MAX_CURSOR = 4000
# Characters of a filter that may name several ids.
MAX_IDS = 8000
# Years within reach of date arithmetic; the pattern also keeps out other spellings that parse as dates.
_DATE = r"^(19|20|21)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
BATCH_PATTERN = r"^[0-9a-f]{16}$"
_VINTAGE = r"^(19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}-[0-9a-f]{16}$"
# The weekday that ends the retailer's weeks, 0 (Monday) to 6; None where it is not known, and any day is taken. Set for
# each request before its parameters are read: a validator is not told which application it works for.
WEEK_ENDS: ContextVar[int | None] = ContextVar("WEEK_ENDS", default=None)


class Parameters(BaseModel):
    """The query of a route. A parameter it does not have is refused: a mistyped filter must not widen an answer."""

    model_config = ConfigDict(extra="forbid")


def _no_parameters(_: Annotated[Parameters, Query()]) -> None:
    """Refuses every parameter."""


NO_PARAMETERS = Depends(_no_parameters)


async def refuse_repeated(request: Request) -> None:
    """422 for a parameter given twice: the framework would take the last one."""
    times = Counter(name for name, _ in request.query_params.multi_items())
    for name, count in times.items():
        if count > 1:
            raise ProblemError(422, f"{name[:80]}: expected once, got {count} times", errors=[])


def _parse_date(value: Any) -> date:
    if not (isinstance(value, str) and re.fullmatch(_DATE, value)):
        raise PydanticCustomError("date", "expected a date from 1900 to 2199 as YYYY-MM-DD")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise PydanticCustomError("date", "expected a date of the calendar, got {got}", {"got": value}) from None


def _parse_week(value: Any) -> date:
    day = _parse_date(value)
    ends = WEEK_ENDS.get()
    if ends is None or day.weekday() == ends:
        return day
    since = (day.weekday() - ends) % 7
    context = {
        "got": value, "name": WEEKDAYS[day.weekday()], "ends": WEEKDAYS[ends],
        "before": str(day - timedelta(days=since)), "after": str(day + timedelta(days=7 - since)),
    }  # fmt: skip
    raise PydanticCustomError(
        "week", "{got} is a {name}; weeks end on {ends}, the nearest are {before} and {after}", context
    )


def _to_utc(moment: datetime) -> datetime:
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:  # the first or last day of the calendar, in another zone
        return moment.replace(tzinfo=UTC)


_DATE_SCHEMA = Field(json_schema_extra={"format": "date", "pattern": _DATE, "maxLength": 10})
DayText = Annotated[date, BeforeValidator(_parse_date), _DATE_SCHEMA]
WeekText = Annotated[date, BeforeValidator(_parse_week), _DATE_SCHEMA]
_WEEK_EXAMPLE, _VINTAGE_EXAMPLE = ["2012-11-02"], ["2012-10-26-0f3a9c5b7d1e2468"]
Id = Annotated[str, Field(pattern=ID_PATTERN, max_length=LONGEST_ID)]
Level = Literal["chain", "department", "store"]
# Of one line: it is part of an address.
_ATTRIBUTE = r"[^\x00-\x1f\x7f-\x9f]{1,400}"
_TOTAL = rf"chain|(store|department)(\.{_ATTRIBUTE})?"
TotalLevel = Annotated[str, Field(pattern=f"^({_TOTAL})$", examples=["chain", "store.region"])]
ChangeLevel = Annotated[str, Field(pattern=f"^(series|{_TOTAL})$", examples=["series", "store.region"])]
VintageText = Annotated[str, Field(pattern=_VINTAGE, max_length=27)]
NameText = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$", max_length=64)]

StoreId = Annotated[Id, Field(description="Store, as the retailer writes it.", examples=["1"])]
DeptId = Annotated[Id, Field(description="Department, as the retailer writes it.", examples=["3"])]
Week = Annotated[WeekText, Field(description="The day that ends the week, YYYY-MM-DD.", examples=_WEEK_EXAMPLE)]
VintagePath = Annotated[str, Path(pattern=_VINTAGE, max_length=27, examples=_VINTAGE_EXAMPLE)]
ScenarioPath = Annotated[str, Path(pattern=SCENARIO_PATTERN, max_length=64, examples=["half-price"])]
BatchPath = Annotated[str, Path(pattern=BATCH_PATTERN, max_length=16, examples=["0f3a9c5b7d1e2468"])]
OverridePath = Annotated[int, Path(ge=1, le=MAX_INTEGER, examples=[1])]

StoreFilter = Annotated[Id | None, Field(description="Only this store.", examples=["1"])]
DeptFilter = Annotated[Id | None, Field(description="Only this department.", examples=["3"])]
_ID_PART = r"[^\x00-\x1f\x7f-\x9f,]" + f"{{0,{LONGEST_ID}}}"
_Ids = Annotated[str, Field(pattern=f"^{_ID_PART}(,{_ID_PART})*$", min_length=1, max_length=MAX_IDS)]
_SEVERAL = "or these, separated by commas. An id that has a comma itself is named alone."
StoresFilter = Annotated[_Ids | None, Field(description=f"Only this store, {_SEVERAL}", examples=["1,2"])]
DeptsFilter = Annotated[_Ids | None, Field(description=f"Only this department, {_SEVERAL}", examples=["3,7"])]
_AttributeText = Annotated[str, Field(pattern=rf"^{_ATTRIBUTE}$", max_length=400)] | None
StoreAttribute = Annotated[
    _AttributeText,
    Field(description="Only stores whose attribute has this value: NAME=VALUE; see /v1/attributes.", examples=[None]),
]
DeptAttribute = Annotated[
    _AttributeText,
    Field(description="Only departments whose attribute has this value: NAME=VALUE.", examples=[None]),
]
WeekFilter = Annotated[
    WeekText | None, Field(description="Only this week: the day that ends it.", examples=_WEEK_EXAMPLE)
]
OriginFilter = Annotated[
    WeekText | None,
    Field(description="Only forecasts made at the end of this week, named by its last day.", examples=_WEEK_EXAMPLE),
]
Start = Annotated[
    DayText | None,
    Field(alias="from", description="Only weeks that end on this day or later.", examples=_WEEK_EXAMPLE),
]
End = Annotated[
    DayText | None,
    Field(alias="to", description="Only weeks that end on this day or earlier.", examples=_WEEK_EXAMPLE),
]
AsOf = Annotated[
    Annotated[datetime, AfterValidator(_to_utc)] | None,
    Field(
        description="Only what was published by this time, ISO 8601; UTC unless it says otherwise.",
        examples=["2012-10-30T12:00:00Z"],
    ),
]
HorizonFilter = Annotated[
    Annotated[int, Field(ge=1, le=52)] | None, Field(description="Only forecasts made this many weeks before.")
]
VintageFilter = Annotated[VintageText | None, Field(description="Only this published run.", examples=_VINTAGE_EXAMPLE)]
NameFilter = NameText | None
IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
        description="Names this request, so that sending it again changes nothing; a UUID, say.",
        examples=["7b1f3c52-0f5e-4b8e-9a1b-6f6f3d0c2a11"],
    ),
]


class PageParameters(Parameters):
    """Which page of a list, in which format."""

    limit: Annotated[
        Annotated[int, Field(ge=1, le=MAX_ROWS)] | None,
        Field(description=f"Rows of a page; {DEFAULT_ROWS} in JSON, all in the other formats."),
    ] = None
    cursor: Annotated[
        Annotated[str, Field(max_length=MAX_CURSOR, pattern=r"^[A-Za-z0-9_-]+$")] | None,
        Field(
            description="`next_cursor` of the page before, with the same filters.",
            json_schema_extra={"format": "cursor"},
        ),
    ] = None
    format: Annotated[Format | None, Field(description="Instead of the Accept header, for links.")] = None


class SeriesFilters(PageParameters):
    """A list that can be narrowed to stores and departments, and to those having an attribute."""

    store_id: StoresFilter = None
    dept_id: DeptsFilter = None
    store_attribute: StoreAttribute = None
    dept_attribute: DeptAttribute = None


class PeriodParameters(PageParameters):
    """A list that can be narrowed to a period."""

    start: Start = None
    end: End = None
