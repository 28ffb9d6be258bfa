"""Parameters of requests: their bounds, their words, and what is refused before the store is asked."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Query, Request, Response
from fastapi.routing import APIRoute

from api.problems import ProblemError

# What the store's integer columns hold; a larger number would be an error of the database, not of the request.
MAX_ID = 2**31 - 1
# Years within reach of date arithmetic; the pattern also keeps out other spellings that parse as dates.
WEEK_PATTERN = r"^(19|20|21)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
VINTAGE_PATTERN = r"^(19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}-[0-9a-f]{16}$"
_FRIDAY = 4


class StrictRoute(APIRoute):
    """A route that refuses parameters it does not know, or knows once: a mistyped filter must not widen an answer."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with that check before it."""
        handle = super().get_route_handler()
        # FastAPI hands over the parameters of the dependencies flattened only through its own helper.
        known = {field.alias for field in _query_fields(self.dependant)}

        async def strict(request: Request) -> Response:
            given = [name for name, _ in request.query_params.multi_items()]
            unknown = sorted(set(given) - known)
            if unknown:
                shown = f"known: {', '.join(sorted(known))}" if known else "none is known here"
                raise ProblemError(422, f"unknown parameter {unknown[0][:80]!r}; {shown}", errors=[])
            twice = sorted({name for name in given if given.count(name) > 1})
            if twice:
                raise ProblemError(422, f"{twice[0]}: expected once, got {given.count(twice[0])} times", errors=[])
            return await handle(request)

        return strict


def _query_fields(dependant: Any) -> list[Any]:
    found = list(dependant.query_params)
    for inner in dependant.dependencies:
        found += _query_fields(inner)
    return found


def parse_day(name: str, text: str) -> date:
    """A date; 422 for a day that the calendar lacks."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ProblemError(422, f"{name}: expected a date of the calendar as YYYY-MM-DD, got {text}") from None


def parse_friday(name: str, text: str) -> date:
    """A week; 422 naming the nearest Fridays for another day."""
    day = parse_day(name, text)
    since = (day.weekday() - _FRIDAY) % 7
    if since:
        before, after = day - timedelta(days=since), day + timedelta(days=7 - since)
        raise ProblemError(
            422,
            f"{name}: expected the Friday that ends the week, got {text} ({day:%A}); nearest: {before} and {after}",
            nearest=[before.isoformat(), after.isoformat()],
        )
    return day


def _text(alias: str, description: str, **more: Any) -> Any:
    return Query(
        alias=alias,
        pattern=WEEK_PATTERN,
        max_length=10,
        description=description,
        examples=["2012-11-02"],
        json_schema_extra={"format": more.get("format", "week")},
    )


def _optional_friday(text: str | None, name: str) -> date | None:
    return None if text is None else parse_friday(name, text)


def _week(week: Annotated[str, _text("week", "The Friday that ends the week, YYYY-MM-DD.")]) -> date:
    return parse_friday("week", week)


def _week_filter(
    week: Annotated[str | None, _text("week", "Only this week: the Friday that ends it.")] = None,
) -> date | None:
    return _optional_friday(week, "week")


def _origin_filter(
    origin: Annotated[str | None, _text("origin", "Only forecasts made at the end of this week, a Friday.")] = None,
) -> date | None:
    return _optional_friday(origin, "origin")


def _start(
    start: Annotated[str | None, _text("from", "Only weeks that end on this day or later.", format="date")] = None,
) -> date | None:
    return None if start is None else parse_day("from", start)


def _end(
    end: Annotated[str | None, _text("to", "Only weeks that end on this day or earlier.", format="date")] = None,
) -> date | None:
    return None if end is None else parse_day("to", end)


def _as_of(
    as_of: Annotated[
        datetime | None,
        Query(
            description="Only what was published by this time, ISO 8601; UTC unless it says otherwise.",
            examples=["2012-10-30T12:00:00Z"],
        ),
    ] = None,
) -> datetime | None:
    if as_of is None:
        return None
    try:
        return as_of.replace(tzinfo=UTC) if as_of.tzinfo is None else as_of.astimezone(UTC)
    except OverflowError:  # the first or last day of the calendar, in another zone
        return as_of.replace(tzinfo=UTC)


_ID = {"ge": 1, "le": MAX_ID}
StoreId = Annotated[int, Query(**_ID, description="Store number.", examples=[1])]
DeptId = Annotated[int, Query(**_ID, description="Department number.", examples=[3])]
StoreFilter = Annotated[int | None, Query(**_ID, description="Only this store.", examples=[1])]
DeptFilter = Annotated[int | None, Query(**_ID, description="Only this department.", examples=[3])]
StorePath = Annotated[int, Path(**_ID, description="Store number.", examples=[1])]
DeptPath = Annotated[int, Path(**_ID, description="Department number.", examples=[3])]
Week = Annotated[date, Depends(_week)]
WeekFilter = Annotated[date | None, Depends(_week_filter)]
OriginFilter = Annotated[date | None, Depends(_origin_filter)]
Start = Annotated[date | None, Depends(_start)]
End = Annotated[date | None, Depends(_end)]
AsOf = Annotated[datetime | None, Depends(_as_of)]
HorizonFilter = Annotated[int | None, Query(ge=1, le=52, description="Only forecasts made this many weeks before.")]
VintageFilter = Annotated[
    str | None,
    Query(
        pattern=VINTAGE_PATTERN,
        max_length=27,
        description="Only this published run.",
        examples=["2012-10-26-0f3a9c5b7d1e2468"],
    ),
]
VintagePath = Annotated[str, Path(pattern=VINTAGE_PATTERN, max_length=27, examples=["2012-10-26-0f3a9c5b7d1e2468"])]
Name = Query(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$", max_length=64)
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
