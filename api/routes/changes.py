"""What changed from one vintage to another, and why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.attributions import attributions_of
from api.cursors import decode_snapshot_token
from api.documents import list_responses
from api.listing import Listing, list_response
from api.parameters import ChangeLevel, PeriodParameters, SeriesFilters, VintageText
from api.problems import ProblemError
from api.routes.existence import find_level, find_series, find_vintage, require_level
from api.schemas import Change, Changes
from api.service import Service, ServiceDep
from demand_assets.store.reads import changes as reads
from demand_assets.store.reads import forecasts

router = APIRouter(prefix="/v1", tags=["Forecasts"])

_EXAMPLES = ["2012-10-26-0f3a9c5b7d1e2468"]


class ChangesParameters(SeriesFilters, PeriodParameters):
    """Which vintages, and what of them."""

    left: Annotated[
        VintageText | None,
        Field(description="The one before; else the newest forecast of an earlier origin.", examples=_EXAMPLES),
    ] = None
    right: Annotated[
        VintageText | None,
        Field(description="The one after, a scenario perhaps; else the newest forecast.", examples=_EXAMPLES),
    ] = None
    level: Annotated[
        ChangeLevel,
        Field(description="What is compared: each series, or totals as in /v1/totals, such as store.region."),
    ] = "series"
    weeks: Annotated[
        Literal["each", "together"], Field(description="A row for each week, or one for all weeks together.")
    ] = "each"


@router.get("/changes", summary="What changed, and why", **list_responses(Change, 404, body=Changes))
async def list_changes(request: Request, service: ServiceDep, query: Annotated[ChangesParameters, Query()]) -> Response:
    """Forecasts of two vintages in the weeks that both forecast, the largest change first.

    These are the system's own forecasts: a planner's number belongs to none of the two. `reasons` are the differences
    of the attributions. A series that only one of them has counts as 0 in the other, so that series sum to totals.
    """
    filters = await find_series(service, query)
    if query.level != "series":
        require_level(query.level, query)
    level = await find_level(service, query.level)
    left, right = await _find_both(request, service, query)
    if left["unit"] != right["unit"]:
        raise ProblemError(422, f"left counts {left['unit']}, right {right['unit']}: expected one unit", errors=[])
    first, last = _shared_weeks(left, right)
    statement, order = reads.changes(
        left["vintage_id"],
        right["vintage_id"],
        level,
        together=query.weeks == "together",
        **filters,
        start=max(first, query.start or first),
        end=min(last, query.end or last),
    )
    listing = Listing(
        "changes",
        Change,
        statement,
        order,
        vintage=right,
        shared={"level": query.level},
        derive=lambda row: {"reasons": _reasons(row)},
        snapshot_token=f"{left['vintage_id']} {right['vintage_id']}",
        extra={"left": left, "right": right},
    )
    return await list_response(request, service, query, listing)


async def _find_both(
    request: Request, service: Service, query: ChangesParameters
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The vintages that are asked for, or that the first page began with."""
    began_with = decode_snapshot_token(request, query.cursor, _pair) or (query.left, query.right)
    left, right = [None if each is None else await _find(service, each) for each in began_with]
    right = right or await find_vintage(service)
    if left is not None:
        return left, right
    found = await service.fetch_maps(forecasts.vintage_of_earlier_origin(right["origin_week"]))
    if not found:
        raise ProblemError(
            404, f"no vintage has an origin before {right['origin_week']}; see /v1/vintages", unknown="vintage"
        )
    return found[0], right


def _pair(text: str) -> tuple[str, str]:
    left, right = text.split(" ")
    return left, right


async def _find(service: Service, vintage_id: str) -> dict[str, Any]:
    found = await service.fetch_maps(forecasts.vintages(vintage_id=vintage_id))
    if not found:
        raise ProblemError(404, f"no vintage {vintage_id}; see /v1/vintages", unknown="vintage")
    return found[0]


def _shared_weeks(*vintages: Mapping[str, Any]) -> tuple[Any, Any]:
    """The first and the last week that each of them forecasts; the last is before the first where there is none."""
    first = max(each["origin_week"] + timedelta(weeks=1) for each in vintages)
    return first, min(each["origin_week"] + timedelta(weeks=each["horizon_weeks"]) for each in vintages)


def _reasons(row: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The differences of the attributions; None where a vintage has a forecast without them."""
    known = zip((row["left_forecast"], row["right_forecast"]), (row[name] for name in reads.ATTRIBUTED), strict=True)
    if any(forecast is not None and attributed is None for forecast, attributed in known):
        return None
    return attributions_of(row)
