"""Planners' numbers: they stand beside the model's, never in their place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import String

from api.database import fetch_maps
from api.documents import listed
from api.listing import Listing, Paged, answer_list, conditional, envelope
from api.parameters import MAX_ID, DeptFilter, IdempotencyKey, StoreFilter, StrictRoute, WeekFilter
from api.problems import ProblemError, described
from api.routes.forecasts import require_known
from api.rows import to_json
from api.schemas import NewOverride, Override, OverrideAnswer, OverrideScore, OverrideScores
from api.service import Known, Service
from demand_assets.errors import IdempotencyConflictError, UnknownForecastError
from demand_assets.store import reads
from demand_assets.store.overrides import OverrideRequest, override_scores, record_override

router = APIRouter(prefix="/v1", route_class=StrictRoute)
_HIDDEN = frozenset({"idempotency_key", "request_hash", "newest"})
Status = Literal["active", "superseded", "withdrawn", "expired"]


def _status(service: Service, row: Mapping[str, Any]) -> Status:
    if not row["newest"]:
        return "superseded"
    if row["override"] is None:
        return "withdrawn"
    if row["expires_at"] is not None and row["expires_at"] <= service.now():
        return "expired"
    return "active"


def _shown(service: Service, row: Mapping[str, Any]) -> dict[str, Any]:
    shown = {("week" if name == "target_week" else name): value for name, value in row.items() if name not in _HIDDEN}
    return {**shown, "status": _status(service, row)}


async def override_rows(service: Service, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Overrides as answered, the newest first."""
    statement = reads.OVERRIDES_ORDER.page(reads.overrides_of(filters), None, None)
    return [_shown(service, row) for row in await fetch_maps(service.database, statement)]


@router.post(
    "/overrides",
    summary="Give a planner's number",
    status_code=201,
    response_model=OverrideAnswer,
    responses={200: {"model": OverrideAnswer, "description": "Given before, by this key."}, **described(404)},
)
async def give_override(request: Request, service: Known, key: IdempotencyKey, asked: NewOverride) -> Response:
    """A number beside the forecast of one series and week, the next version of it; null withdraws the one before.

    The same key and body again answers what was made the first time, with 200; the same key with another body is 422.
    """
    await service.require_store()
    now = service.now()
    is_past = asked.expires_at is not None and asked.expires_at <= now
    # One that was sent in time and is sent again later gets the answer that it got then.
    if is_past and not await service.database.fetch(reads.override_of_key(key)):
        raise ProblemError(422, f"expires_at: expected a time to come, got {asked.expires_at}", errors=[])
    wanted = OverrideRequest(
        store_id=asked.store_id,
        dept_id=asked.dept_id,
        target_week=date.fromisoformat(asked.week),
        override=asked.override,
        author=asked.author,
        reason=asked.reason,
        expires_at=asked.expires_at,
        idempotency_key=key,
    )
    try:
        row, new = await service.database.run(record_override, wanted, now)
    except UnknownForecastError as error:
        raise ProblemError(404, str(error), unknown="forecast") from None
    except IdempotencyConflictError as error:
        raise ProblemError(422, str(error), errors=[]) from None
    # Whoever asks next is to see it, not only after the next look.
    await service.refresher.refresh()
    shown = (await override_rows(service, {"override_id": row["override_id"]}))[0]
    body = to_json({**shown, **envelope(service)})
    return Response(
        body,
        status_code=201 if new else 200,
        media_type="application/json",
        headers={"Location": f"/v1/overrides/{row['override_id']}"},
    )


@router.get("/overrides", summary="Planners' numbers", **listed(Override, 404))
async def list_overrides(
    request: Request,
    service: Known,
    page: Paged,
    week: WeekFilter,
    store_id: StoreFilter = None,
    dept_id: DeptFilter = None,
    status: Annotated[Status | None, Query(description="Only those that stand like this now.")] = None,
) -> Response:
    """Every number ever given, the newest first."""
    await service.require_store()
    if store_id is not None or dept_id is not None:
        await require_known(service, store_id, dept_id)
    filters = {"store_id": store_id, "dept_id": dept_id, "target_week": week}
    statement = reads.overrides_of(filters)
    if status is not None:
        statement = statement.where(reads.override_is(status, service.now()))
    listing = Listing(
        "overrides",
        statement,
        reads.OVERRIDES_ORDER,
        renamed={"target_week": "week"},
        derived=lambda item: {"status": _status(service, item)},
        derived_types={"status": String()},
        hidden=_HIDDEN,
    )
    return await answer_list(request, service, page, listing)


@router.get(
    "/overrides/accuracy",
    summary="What planners' numbers added",
    **listed(OverrideScore, 404, body=OverrideScores),
)
async def override_accuracy(
    request: Request, service: Known, page: Paged, store_id: StoreFilter = None, dept_id: DeptFilter = None
) -> Response:
    """Numbers in force when their week ended against what was sold: forecast value added of the planner, USD."""
    await service.require_store()
    if store_id is not None or dept_id is not None:
        await require_known(service, store_id, dept_id)
    scored = override_scores(store_id, dept_id)
    statement, order, summary = reads.scores_and_summary(scored)
    total = (await fetch_maps(service.database, summary))[0]
    count = int(total["overrides"])
    listing = Listing(
        "override-accuracy",
        statement,
        order,
        renamed={"target_week": "week"},
        extra={
            "summary": {
                "overrides": count,
                "fva": float(total["fva"] or 0.0),
                "share_better": float(total["better"] or 0) / count if count else None,
            }
        },
    )
    return await answer_list(request, service, page, listing)


@router.get(
    "/overrides/{override_id}", summary="One planner's number", response_model=OverrideAnswer, responses=described(404)
)
async def one_override(
    request: Request, service: Known, override_id: Annotated[int, Path(ge=1, le=MAX_ID, examples=[1])]
) -> Response:
    """One number and how it stands now."""
    await service.require_store()
    found = await override_rows(service, {"override_id": override_id})
    if not found:
        raise ProblemError(404, f"no override {override_id}; see /v1/overrides", unknown="override")
    return conditional(request, to_json({**found[0], **envelope(service)}))
