"""Planners' numbers: they stand beside the model's, never in their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.bodies import NewOverride
from api.documents import list_responses
from api.listing import Listing, envelope, list_response
from api.parameters import NO_PARAMETERS, IdempotencyKey, OverridePath, SeriesFilters, WeekFilter
from api.problems import ProblemError, problem_responses
from api.responses import conditional_response
from api.routes.existence import find_series
from api.row_models import columns_of
from api.schemas import Override, OverrideResponse, OverrideScore, OverrideScores, Status
from api.serialization import to_json
from api.service import Service, ServiceDep
from demand_assets.errors import IdempotencyConflictError, UnknownForecastError
from demand_assets.store.overrides import OverrideRequest, override_scores, record_override
from demand_assets.store.reads import overrides as reads

router = APIRouter(prefix="/v1", tags=["Overrides"])


def _status(service: Service, row: Mapping[str, Any]) -> Status:
    if not row["newest"]:
        return "superseded"
    if row["override"] is None:
        return "withdrawn"
    if row["expires_at"] is not None and row["expires_at"] <= service.now():
        return "expired"
    return "active"


async def override_items(service: Service, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Overrides as answered, the newest first."""
    rows = await service.fetch_maps(reads.OVERRIDES_ORDER.page(reads.overrides_of(filters), None, None))
    columns = columns_of(Override).items()
    return [
        {name: named[source] for name, (source, _) in columns}
        for row in rows
        for named in [{**row, **service.state.names.beside(row), "status": _status(service, row)}]
    ]


@router.post(
    "/overrides",
    summary="Give a planner's number",
    status_code=201,
    response_model=OverrideResponse,
    responses={
        200: {"model": OverrideResponse, "description": "Given before, by this key."}, **problem_responses(404),
    },
    dependencies=[NO_PARAMETERS],
)  # fmt: skip
async def create_override(request: Request, service: ServiceDep, key: IdempotencyKey, wanted: NewOverride) -> Response:
    """A number beside the forecast of one series and week, the next version of it; null withdraws the one before.

    The same key and body again answers what was made the first time, with 200; the same key with another body is 422.
    """
    await service.require_store()
    now = service.now()
    is_over = wanted.expires_at is not None and wanted.expires_at <= now
    # One that was sent in time and is sent again later gets the answer that it got then.
    if is_over and not await service.fetch(reads.override_of_key(key)):
        raise ProblemError(422, f"expires_at: expected a time to come, got {wanted.expires_at}", errors=[])
    values = wanted.model_dump(exclude={"week"})
    override = OverrideRequest(**values, target_week=wanted.week, idempotency_key=key)
    try:
        row, is_new = await service.database.run(record_override, override, now)
    except UnknownForecastError as error:
        raise ProblemError(404, str(error), unknown="forecast") from None
    except IdempotencyConflictError as error:
        raise ProblemError(422, str(error), errors=[]) from None
    # Who asks next is to see it, not only after the next refresh.
    await service.refresher.refresh()
    item = (await override_items(service, {"override_id": row["override_id"]}))[0]
    return Response(
        to_json({**item, **envelope(service)}),
        status_code=201 if is_new else 200,
        media_type="application/json",
        headers={"Location": f"{service.settings.root_path}/v1/overrides/{row['override_id']}"},
    )


class OverridesParameters(SeriesFilters):
    """Which overrides."""

    week: WeekFilter = None
    status: Annotated[Status | None, Field(description="Only those that stand like this now.")] = None


@router.get("/overrides", summary="Planners' numbers", **list_responses(Override, 404))
async def list_overrides(
    request: Request, service: ServiceDep, query: Annotated[OverridesParameters, Query()]
) -> Response:
    """Every number ever given, the newest first."""
    series = await find_series(service, query.store_id, query.dept_id)
    statement = reads.overrides_of(series | {"target_week": query.week})
    if query.status is not None:
        statement = statement.where(reads.override_is(query.status, service.now()))
    listing = Listing(
        "overrides",
        Override,
        statement,
        reads.OVERRIDES_ORDER,
        derive=lambda row: {"status": _status(service, row)},
    )
    return await list_response(request, service, query, listing)


@router.get(
    "/overrides/accuracy",
    summary="What planners' numbers added",
    **list_responses(OverrideScore, 404, body=OverrideScores),
)
async def list_override_accuracy(
    request: Request, service: ServiceDep, query: Annotated[SeriesFilters, Query()]
) -> Response:
    """Numbers in force when their week ended against what was sold: forecast value added of the planner."""
    series = await find_series(service, query.store_id, query.dept_id)
    statement, order, summary = reads.scores_and_summary(override_scores(**series))
    total = (await service.fetch_maps(summary))[0]
    count = int(total["overrides"])
    listing = Listing(
        "override-accuracy",
        OverrideScore,
        statement,
        order,
        extra={
            "summary": {
                "overrides": count,
                "fva": float(total["fva"] or 0.0),
                "share_better": float(total["better"] or 0) / count if count else None,
            }
        },
    )
    return await list_response(request, service, query, listing)


@router.get(
    "/overrides/{override_id}",
    summary="One planner's number",
    response_model=OverrideResponse,
    responses=problem_responses(404),
    dependencies=[NO_PARAMETERS],
)
async def get_override(request: Request, service: ServiceDep, override_id: OverridePath) -> Response:
    """One number and how it stands now."""
    found = await override_items(service, {"override_id": override_id})
    if not found:
        raise ProblemError(404, f"no override {override_id}; see /v1/overrides", unknown="override")
    return conditional_response(request, to_json({**found[0], **envelope(service)}))
