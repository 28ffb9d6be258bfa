"""Vintages, and how they fared: accuracy, drift, exceptions; models and the decisions about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.cursors import decode_snapshot_token
from api.documents import list_responses
from api.listing import Listing, conditional_response, envelope, list_response
from api.parameters import (
    NO_PARAMETERS,
    HorizonFilter,
    NameFilter,
    OriginFilter,
    PageParameters,
    PeriodParameters,
    SeriesFilters,
    VintageFilter,
    VintagePath,
    WeekFilter,
)
from api.problems import ProblemError, problem_responses
from api.routes.existence import find_vintage, require_level, require_series
from api.schemas import (
    Accuracy,
    AccuracyWeek,
    Drift,
    DriftWeek,
    ForecastException,
    Model,
    Promotion,
    VintageResponse,
    VintageSize,
)
from api.serialization import to_json
from api.service import Service, ServiceDep
from demand_assets.store import reads

router = APIRouter(prefix="/v1")
Level = Literal["chain", "department", "store"]
# Ids of totals that span all stores or departments are 0.
TotalId = Annotated[int, Field(ge=0, le=2**31 - 1)]
TotalStore = Annotated[TotalId | None, Field(description="Only this store; 0: totals over all.")]
TotalDept = Annotated[TotalId | None, Field(description="Only this department; 0: totals over all.")]


class VintagesParameters(PeriodParameters):
    """Which vintages."""

    origin: OriginFilter = None


@router.get("/vintages", summary="Published runs", **list_responses(VintageSize))
async def list_vintages(
    request: Request, service: ServiceDep, query: Annotated[VintagesParameters, Query()]
) -> Response:
    """Every published run, the newest first, with how much is in it; `from` and `to` bound its origin week."""
    # Asked after the page, so that one published in between has its size too.
    listing = Listing(
        "vintages",
        VintageSize,
        reads.vintages(origin=query.origin, start=query.start, end=query.end),
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
async def one_vintage(request: Request, service: ServiceDep, vintage_id: VintagePath) -> Response:
    """What it was made of and how much is in it."""
    found = await service.fetch_maps(reads.vintages(vintage_id=vintage_id))
    if not found:
        raise ProblemError(404, f"no vintage {vintage_id}; see /v1/vintages", unknown="vintage")
    await _read_sizes(service, [vintage_id])
    body = {**found[0], **service.vintage_sizes[vintage_id], **envelope(service, found[0])}
    return conditional_response(request, to_json(body), immutable=service.state.is_past(found[0]))


class AccuracyParameters(PeriodParameters):
    """Which scores."""

    level: Annotated[Level | None, Field(description="Only totals of this kind.")] = None
    store_id: TotalStore = None
    dept_id: TotalDept = None
    model: NameFilter = None
    horizon: HorizonFilter = None
    vintage_id: VintageFilter = None


@router.get("/accuracy", summary="Realised accuracy", **list_responses(Accuracy, 404))
async def accuracy(request: Request, service: ServiceDep, query: Annotated[AccuracyParameters, Query()]) -> Response:
    """How well each vintage foresaw each total, beside the baselines stored with it; FVA is against seasonal naive."""
    await require_series(service, query.store_id or None, query.dept_id or None)
    if query.vintage_id is not None:
        await find_vintage(service, vintage_id=query.vintage_id)
    filters = query.model_dump(include={"level", "store_id", "dept_id", "model", "horizon", "vintage_id"})
    statement = reads.accuracy(filters, query.start, query.end)
    listing = Listing("accuracy", Accuracy, statement, reads.ACCURACY_ORDER)
    return await list_response(request, service, query, listing)


class AccuracyWeeksParameters(PeriodParameters):
    """Which total's scores by week."""

    level: Annotated[Level, Field(description="Totals of this kind.")] = "chain"
    store_id: TotalStore = None
    dept_id: TotalDept = None


@router.get("/accuracy/weeks", summary="Realised accuracy by week", **list_responses(AccuracyWeek, 404))
async def accuracy_weeks(
    request: Request, service: ServiceDep, query: Annotated[AccuracyWeeksParameters, Query()]
) -> Response:
    """One row per week of the published model over all horizons, each by its points; the oldest week first."""
    level, store_id, dept_id = query.level, query.store_id, query.dept_id
    await require_series(service, store_id or None, dept_id or None)
    require_level(level, store_id, dept_id)
    if level != "chain" and not (store_id or dept_id):
        raise ProblemError(404, f"level {level} has no total over all; name one, or ask for level=chain")
    statement, order = reads.accuracy_weeks(
        level, store_id=store_id or 0, dept_id=dept_id or 0, start=query.start, end=query.end
    )
    listing = Listing("accuracy-weeks", AccuracyWeek, statement, order)
    return await list_response(request, service, query, listing)


class DriftParameters(PeriodParameters):
    """Which comparisons."""

    week: WeekFilter = None
    reference: Annotated[Literal["training", "last_season"] | None, Field(description="Compared with this.")] = None
    group_kind: Annotated[
        Literal["chain", "store_type", "dept_group", "department", "store"] | None,
        Field(description="Only groups of this kind."),
    ] = None
    group_id: Annotated[
        Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,16}$")] | None,
        Field(description="Only this group; `all` of the chain."),
    ] = None
    variable: NameFilter = None
    severity: Annotated[
        Literal["none", "few", "warn", "severe"] | None, Field(description="Only of this severity.")
    ] = None


@router.get("/drift", summary="Drift", **list_responses(Drift))
async def drift(request: Request, service: ServiceDep, query: Annotated[DriftParameters, Query()]) -> Response:
    """Each variable of each group and week against the model's training and the same season last year."""
    filters = query.model_dump(include={"week", "reference", "group_kind", "group_id", "variable", "severity"})
    listing = Listing("drift", Drift, reads.drift(filters, query.start, query.end), reads.DRIFT_ORDER)
    return await list_response(request, service, query, listing)


@router.get("/drift/weeks", summary="Drift by week", **list_responses(DriftWeek))
async def drift_weeks(request: Request, service: ServiceDep, query: Annotated[PeriodParameters, Query()]) -> Response:
    """One row per week and variable: its worst comparison, and how many warn or are severe."""
    statement, order = reads.drift_weeks(query.start, query.end)
    return await list_response(request, service, query, Listing("drift-weeks", DriftWeek, statement, order))


class ExceptionsParameters(SeriesFilters):
    """Which exceptions."""

    week: WeekFilter = None


@router.get("/exceptions", summary="Exceptions", **list_responses(ForecastException, 404))
async def exceptions(
    request: Request, service: ServiceDep, query: Annotated[ExceptionsParameters, Query()]
) -> Response:
    """Series whose sales lay outside p10 to p90, by money at risk; of the newest week with any unless one is named."""
    await require_series(service, query.store_id, query.dept_id)
    week: date | None = query.week or decode_snapshot_token(request, query.cursor, date.fromisoformat)
    week = week or await service.fetch_value(reads.NEWEST_EXCEPTIONS)
    listing = Listing(
        "exceptions",
        ForecastException,
        reads.exceptions(week, store_id=query.store_id, dept_id=query.dept_id),
        reads.EXCEPTIONS_ORDER,
        extra={"week": week},
        snapshot_token=week.isoformat() if week else None,
    )
    return await list_response(request, service, query, listing)


class PromotionsParameters(PageParameters):
    """Which decisions."""

    outcome: Annotated[
        Literal["promoted", "refused", "superseded"] | None, Field(description="Only decisions that ended like this.")
    ] = None


@router.get("/promotions", summary="The ledger of promotions", **list_responses(Promotion))
async def promotions(
    request: Request, service: ServiceDep, query: Annotated[PromotionsParameters, Query()]
) -> Response:
    """Every promotion, refusal and rollback, the newest first, with figures and reasons."""
    listing = Listing("promotions", Promotion, reads.decisions(query.outcome), reads.PROMOTIONS_ORDER)
    return await list_response(request, service, query, listing)


@router.get("/models", summary="Models", **list_responses(Model))
async def models(request: Request, service: ServiceDep, query: Annotated[PageParameters, Query()]) -> Response:
    """Every version the gate has judged, the newest first: what it scored, what was decided, what it has forecast."""
    # (name, version); of each name the present champion comes last.
    champions = {row[0]: row[1] for row in await service.fetch(reads.CHAMPIONS, {})}
    counts = {row[0]: row[1] for row in await service.fetch(reads.VINTAGES_PER_VERSION, {})}

    def derive(row: Mapping[str, Any]) -> dict[str, Any]:
        figures = row["figures"] or {}
        return {
            "in_production": champions.get(row["model_name"]) == row["to_version"],
            "wmae": figures.get("challenger_wmae"),
            "seasonal_naive_wmae": figures.get("seasonal_naive_wmae"),
            "champion_wmae": figures.get("champion_wmae"),
            "vintages": counts.get(row["to_version"], 0),
        }

    listing = Listing("models", Model, reads.judged_versions(), reads.PROMOTIONS_ORDER, derive=derive)
    return await list_response(request, service, query, listing)
