"""Published runs, and how much is in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.documents import list_responses
from api.listing import Listing, envelope, list_response
from api.parameters import NO_PARAMETERS, OriginFilter, PeriodParameters, VintagePath
from api.problems import ProblemError, problem_responses
from api.responses import conditional_response
from api.schemas import VintageResponse, VintageSize
from api.serialization import to_json
from api.service import Service, ServiceDep
from demand_assets.store.reads import forecasts as reads

router = APIRouter(prefix="/v1", tags=["Forecasts"])


class VintagesParameters(PeriodParameters):
    """Which vintages."""

    origin: OriginFilter = None
    kind: Annotated[
        Literal["forecast", "backtest", "scenario"] | None,
        Field(description="Only published forecasts, those of the backtest at past origins, or scenarios."),
    ] = None


@router.get("/vintages", summary="Published runs", **list_responses(VintageSize))
async def list_vintages(
    request: Request, service: ServiceDep, query: Annotated[VintagesParameters, Query()]
) -> Response:
    """Every published run, the newest first, with how much is in it; `from` and `to` bound its origin week."""
    # Asked after the page, so that one published in between has its size too.
    listing = Listing(
        "vintages",
        VintageSize,
        reads.vintages(origin=query.origin, kind=query.kind, start=query.start, end=query.end),
        reads.VINTAGES_ORDER,
        prepare=lambda rows: _read_sizes(service, [row["vintage_id"] for row in rows]),
        derive=lambda row: service.vintage_sizes[row["vintage_id"]],
    )
    return await list_response(request, service, query, listing)


async def _read_sizes(service: Service, vintage_ids: Sequence[str]) -> None:
    known = service.vintage_sizes
    missing = [each for each in vintage_ids if each not in known]
    if missing:
        for row in await service.fetch_maps(reads.vintage_sizes(missing)):
            # A vintage never changes, so this is asked once.
            known[row["vintage_id"]] = {
                "rows": int(row["rows"]), "series": int(row["series"]), "forecast": float(row["forecast"]),
            }  # fmt: skip


@router.get(
    "/vintages/{vintage_id}",
    summary="One published run",
    response_model=VintageResponse,
    responses=problem_responses(404),
    dependencies=[NO_PARAMETERS],
)
async def get_vintage(request: Request, service: ServiceDep, vintage_id: VintagePath) -> Response:
    """What it was made of and how much is in it."""
    found = await service.fetch_maps(reads.vintages(vintage_id=vintage_id))
    if not found:
        raise ProblemError(404, f"no vintage {vintage_id}; see /v1/vintages", unknown="vintage")
    await _read_sizes(service, [vintage_id])
    body = {**found[0], **service.vintage_sizes[vintage_id], **envelope(service, found[0])}
    return conditional_response(request, to_json(body), immutable=service.state.is_past(found[0]))
