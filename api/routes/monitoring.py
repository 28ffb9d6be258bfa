"""Vintages, and how they fared: accuracy, drift, exceptions; models and the decisions about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import BigInteger, Boolean, Double, Integer
from sqlalchemy.types import TypeEngine

from api.database import fetch_maps
from api.documents import listed
from api.listing import Listing, Paged, answer_list, conditional, envelope, pinned_week
from api.parameters import (
    MAX_ID,
    DeptFilter,
    End,
    HorizonFilter,
    Name,
    OriginFilter,
    Start,
    StoreFilter,
    StrictRoute,
    VintageFilter,
    VintagePath,
    WeekFilter,
)
from api.problems import ProblemError, described
from api.routes.forecasts import require_known, require_level, the_vintage
from api.rows import to_json
from api.schemas import (
    Accuracy,
    AccuracyWeek,
    Drift,
    DriftWeek,
    ForecastException,
    Model,
    Promotion,
    VintageAnswer,
    VintageSize,
)
from api.service import Known, Service
from demand_assets.store import reads

router = APIRouter(prefix="/v1", route_class=StrictRoute)
Level = Annotated[Literal["chain", "department", "store"] | None, Query(description="Only totals of this kind.")]
Severity = Annotated[Literal["none", "few", "warn", "severe"] | None, Query(description="Only of this severity.")]
_SIZES: dict[str, TypeEngine[Any]] = {"rows": BigInteger(), "series": BigInteger(), "forecast": Double()}
# Ids of totals that span all stores or departments are 0.
TotalStore = Annotated[int | None, Query(ge=0, le=MAX_ID, description="Only this store; 0: totals over all.")]
TotalDept = Annotated[int | None, Query(ge=0, le=MAX_ID, description="Only this department; 0: totals over all.")]


@router.get("/vintages", summary="Published runs", **listed(VintageSize))
async def list_vintages(
    request: Request, service: Known, page: Paged, origin: OriginFilter, start: Start, end: End
) -> Response:
    """Every published run, the newest first, with how much is in it; `from` and `to` bound its origin week."""
    await service.require_store()
    # Asked after the page, so that one published in between has its size too.
    listing = Listing(
        "vintages",
        reads.vintages(origin=origin, start=start, end=end),
        reads.VINTAGES_ORDER,
        prepare=lambda rows: _learn_sizes(service, [row["vintage_id"] for row in rows]),
        derived=lambda item: service.vintage_sizes[item["vintage_id"]],
        derived_types=_SIZES,
    )
    return await answer_list(request, service, page, listing)


async def _learn_sizes(service: Service, vintage_ids: Sequence[str]) -> None:
    known = service.vintage_sizes
    missing = [each for each in vintage_ids if each not in known]
    if missing:
        for row in await fetch_maps(service.database, reads.vintage_sizes(missing)):
            # A vintage never changes, so this is asked once.
            known[row["vintage_id"]] = {
                "rows": int(row["rows"]), "series": int(row["series"]), "forecast": float(row["forecast"]),
            }  # fmt: skip


@router.get(
    "/vintages/{vintage_id}", summary="One published run", response_model=VintageAnswer, responses=described(404)
)
async def one_vintage(request: Request, service: Known, vintage_id: VintagePath) -> Response:
    """What it was made of and how much is in it."""
    await service.require_store()
    found = await fetch_maps(service.database, reads.vintages(vintage_id=vintage_id))
    if not found:
        raise ProblemError(404, f"no vintage {vintage_id}; see /v1/vintages", unknown="vintage")
    await _learn_sizes(service, [vintage_id])
    body = {**found[0], **service.vintage_sizes[vintage_id], **envelope(service, found[0])}
    return conditional(request, to_json(body), immutable=service.state.is_past(found[0]))


@router.get("/accuracy", summary="Realised accuracy", **listed(Accuracy, 404))
async def accuracy(
    request: Request,
    service: Known,
    page: Paged,
    start: Start,
    end: End,
    level: Level = None,
    store_id: TotalStore = None,
    dept_id: TotalDept = None,
    model: Annotated[str | None, Name] = None,
    horizon: HorizonFilter = None,
    vintage_id: VintageFilter = None,
) -> Response:
    """How well each vintage foresaw each total, beside the baselines stored with it; FVA is against seasonal naive."""
    await service.require_store()
    await _require_total(service, store_id, dept_id)
    if vintage_id is not None:
        await the_vintage(service, vintage_id=vintage_id)
    filters = {
        "level": level, "store_id": store_id, "dept_id": dept_id, "model": model, "horizon": horizon,
        "vintage_id": vintage_id,
    }  # fmt: skip
    statement = reads.accuracy(filters, start, end)
    return await answer_list(request, service, page, Listing("accuracy", statement, reads.ACCURACY_ORDER))


@router.get("/accuracy/weeks", summary="Realised accuracy by week", **listed(AccuracyWeek, 404))
async def accuracy_weeks(
    request: Request,
    service: Known,
    page: Paged,
    start: Start,
    end: End,
    level: Annotated[Literal["chain", "department", "store"], Query(description="Totals of this kind.")] = "chain",
    store_id: TotalStore = None,
    dept_id: TotalDept = None,
) -> Response:
    """One row per week of the published model over all horizons, each by its points; the oldest week first."""
    await service.require_store()
    await _require_total(service, store_id, dept_id)
    require_level(level, store_id, dept_id)
    if level != "chain" and not (store_id or dept_id):
        raise ProblemError(404, f"level {level} has no total over all; name one, or ask for level=chain")
    statement, order = reads.accuracy_weeks(level, store_id=store_id or 0, dept_id=dept_id or 0, start=start, end=end)
    return await answer_list(request, service, page, Listing("accuracy-weeks", statement, order))


async def _require_total(service: Service, store_id: int | None, dept_id: int | None) -> None:
    if store_id or dept_id:
        await require_known(service, store_id or None, dept_id or None)


@router.get("/drift", summary="Drift", **listed(Drift))
async def drift(
    request: Request,
    service: Known,
    page: Paged,
    week: WeekFilter,
    start: Start,
    end: End,
    reference: Annotated[Literal["training", "last_season"] | None, Query(description="Compared with this.")] = None,
    group_kind: Annotated[
        Literal["chain", "store_type", "dept_group", "department", "store"] | None,
        Query(description="Only groups of this kind."),
    ] = None,
    group_id: Annotated[
        str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,16}$", description="Only this group; `all` of the chain.")
    ] = None,
    variable: Annotated[str | None, Name] = None,
    severity: Severity = None,
) -> Response:
    """Each variable of each group and week against the model's training and the same season last year."""
    await service.require_store()
    filters = {
        "week": week, "reference": reference, "group_kind": group_kind, "group_id": group_id, "variable": variable,
        "severity": severity,
    }  # fmt: skip
    statement = reads.drift(filters, start, end)
    return await answer_list(request, service, page, Listing("drift", statement, reads.DRIFT_ORDER))


@router.get("/drift/weeks", summary="Drift by week", **listed(DriftWeek))
async def drift_weeks(request: Request, service: Known, page: Paged, start: Start, end: End) -> Response:
    """One row per week and variable: its worst comparison, and how many warn or are severe."""
    await service.require_store()
    statement, order = reads.drift_weeks(start, end)
    return await answer_list(request, service, page, Listing("drift-weeks", statement, order))


@router.get("/exceptions", summary="Exceptions", **listed(ForecastException, 404))
async def exceptions(
    request: Request,
    service: Known,
    page: Paged,
    week: WeekFilter,
    store_id: StoreFilter = None,
    dept_id: DeptFilter = None,
) -> Response:
    """Series whose sales lay outside p10 to p90, by money at risk; of the newest week with any unless one is named."""
    await service.require_store()
    if store_id is not None or dept_id is not None:
        await require_known(service, store_id, dept_id)
    pin = pinned_week(request, page) if week is None else week
    asked = pin or (await service.database.fetch(reads.NEWEST_EXCEPTIONS, {}))[0][0]
    statement = reads.exceptions(asked, store_id=store_id, dept_id=dept_id)
    listing = Listing(
        "exceptions", statement, reads.EXCEPTIONS_ORDER, extra={"week": asked}, pin=asked and asked.isoformat()
    )
    return await answer_list(request, service, page, listing)


@router.get("/promotions", summary="The ledger of promotions", **listed(Promotion))
async def promotions(
    request: Request,
    service: Known,
    page: Paged,
    outcome: Annotated[
        Literal["promoted", "refused", "superseded"] | None, Query(description="Only decisions that ended like this.")
    ] = None,
) -> Response:
    """Every promotion, refusal and rollback, the newest first, with figures and reasons."""
    await service.require_store()
    listing = Listing("promotions", reads.decisions(outcome), reads.PROMOTIONS_ORDER)
    return await answer_list(request, service, page, listing)


@router.get("/models", summary="Models", **listed(Model))
async def models(request: Request, service: Known, page: Paged) -> Response:
    """Every version the gate has judged, the newest first: what it scored, what was decided, what it has forecast."""
    await service.require_store()
    champions = dict(await _pairs(service))
    counts = {
        row["model_version"]: row["vintages"]
        for row in await fetch_maps(service.database, reads.VINTAGES_PER_VERSION, {})
    }

    def derived(item: dict[str, Any]) -> dict[str, Any]:
        name, version, figures = item["model_name"], item["version"], item["figures"] or {}
        return {
            "in_production": champions.get(name) == version,
            "wmae": figures.get("challenger_wmae"),
            "seasonal_naive_wmae": figures.get("seasonal_naive_wmae"),
            "champion_wmae": figures.get("champion_wmae"),
            "vintages": counts.get(version, 0),
        }

    listing = Listing(
        "models",
        reads.judged_versions(),
        reads.PROMOTIONS_ORDER,
        renamed={"to_version": "version"},
        derived=derived,
        derived_types={
            "in_production": Boolean(),
            "wmae": Double(),
            "seasonal_naive_wmae": Double(),
            "champion_wmae": Double(),
            "vintages": Integer(),
        },
        hidden=frozenset({"figures", "promotion_id"}),
    )
    return await answer_list(request, service, page, listing)


async def _pairs(service: Service) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in await service.database.fetch(reads.CHAMPIONS, {})]
