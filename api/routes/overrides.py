"""Planners' numbers: what counts in place of the system's, which stays beside them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.bodies import GivenNumber, NewOverride, NewReview
from api.documents import list_responses
from api.listing import Listing, envelope, list_response
from api.override_schemas import Override, OverrideResponse, OverrideScore, OverrideScoreGroup, OverrideScores, Status
from api.parameters import (
    BATCH_PATTERN,
    NO_PARAMETERS,
    IdempotencyKey,
    OverridePath,
    SeriesFilters,
    WeekFilter,
)
from api.people import Principal
from api.problems import ProblemError, problem_responses
from api.responses import conditional_response
from api.routes.existence import find_series
from api.row_models import columns_of
from api.serialization import to_json
from api.service import Service, ServiceDep
from demand_assets.errors import DecisionError, OverrideError, UnknownForecastError, UnknownOverrideError
from demand_assets.store.overrides import OverrideRequest, record_override
from demand_assets.store.reads import overrides as reads
from demand_assets.store.reads.overrides import override_scores
from demand_assets.store.reviews import Review, review_override

router = APIRouter(prefix="/v1", tags=["Overrides"])


async def override_items(service: Service, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Overrides as answered, the newest first."""
    statement = reads.overrides_of(filters, service.now())
    rows = await service.fetch_maps(reads.OVERRIDES_ORDER.page(statement, None, None))
    columns = columns_of(Override).items()
    return [
        {name: named[source] for name, (source, _) in columns}
        for row in rows
        for named in [{**row, **service.state.names.beside(row)}]
    ]


def asked_by(request: Request, service: Service) -> tuple[str, str | None]:
    """Who sends a request, by the key or sign-in and never by the body, and the network address it comes from."""
    principal: Principal | None = request.scope.get("principal")
    name = service.settings.local_user if principal is None else principal.name
    return name, request.client.host if request.client else None


def refused(error: DecisionError) -> ProblemError:
    """What is answered for a number, a review or an undoing that is not taken."""
    if isinstance(error, UnknownForecastError):
        return ProblemError(404, str(error), unknown="forecast")
    if isinstance(error, UnknownOverrideError):
        return ProblemError(404, str(error), unknown="override")
    return ProblemError(409 if isinstance(error, OverrideError) else 422, str(error), errors=[])


@router.post(
    "/overrides",
    summary="Give a planner's number",
    status_code=201,
    response_model=OverrideResponse,
    responses={
        200: {"model": OverrideResponse, "description": "Given before, by this key."}, **problem_responses(404, 409),
    },
    dependencies=[NO_PARAMETERS],
)  # fmt: skip
async def create_override(request: Request, service: ServiceDep, key: IdempotencyKey, wanted: NewOverride) -> Response:
    """A number in place of the forecast of one series and week, the next version of it; null withdraws the one before.

    Its author is whom the API key belongs to, or who is signed in. The same key and body again answers what was made
    the first time, with 200; the same key with another body is 422. 409: the week is locked, a later version than the
    one seen is there, or the reason is none of the codes. A number over a limit waits for a second person (`status`:
    waiting).
    """
    await service.require_store()
    now = service.now()
    await require_time_to_come(service, key, wanted.expires_at)
    author, client = asked_by(request, service)
    override = request_of(wanted, wanted.reason, wanted.reason_code, key, author, client)
    try:
        row, is_new = await service.database.run(record_override, override, now, service.settings.override_rules)
    except DecisionError as error:
        raise refused(error) from None
    # Who asks next is to see it, not only after the next refresh.
    await service.refresher.refresh()
    item = (await override_items(service, {"override_id": row["override_id"]}))[0]
    return Response(
        to_json({**item, **envelope(service)}),
        status_code=201 if is_new else 200,
        media_type="application/json",
        headers={"Location": f"{service.settings.root_path}/v1/overrides/{row['override_id']}"},
    )


async def require_time_to_come(service: Service, key: str, expires_at: datetime | None) -> None:
    """ProblemError for an end that has passed, unless the request was sent in time and is sent again later."""
    if expires_at is None or expires_at > service.now():
        return
    if not await service.fetch(reads.override_of_key(key)):
        raise ProblemError(422, f"expires_at: expected a time to come, got {expires_at}", errors=[])


def request_of(
    given: GivenNumber, reason: str, reason_code: str | None, key: str, author: str, client: str | None
) -> OverrideRequest:
    """A planner's number as the store takes it."""
    return OverrideRequest(
        given.store_id, given.dept_id, given.week, given.override, author, reason, given.expires_at, key,
        reason_code=reason_code, client=client, change_percent=given.change_percent, seen_version=given.version,
    )  # fmt: skip


class OverridesParameters(SeriesFilters):
    """Which overrides."""

    week: WeekFilter = None
    status: Annotated[Status | None, Field(description="Only those that stand like this now.")] = None
    batch_id: Annotated[
        Annotated[str, Field(pattern=BATCH_PATTERN)] | None,
        Field(description="Only those of this upload.", examples=[None]),
    ] = None


@router.get("/overrides", summary="Planners' numbers", **list_responses(Override, 404))
async def list_overrides(
    request: Request, service: ServiceDep, query: Annotated[OverridesParameters, Query()]
) -> Response:
    """Every number ever given, the newest first."""
    series = await find_series(service, query)
    statement = reads.overrides_of(series | {"target_week": query.week, "batch_id": query.batch_id}, service.now())
    if query.status is not None:
        statement = statement.where(reads.override_is(query.status, service.now()))
    listing = Listing("overrides", Override, statement, reads.OVERRIDES_ORDER)
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
    series = await find_series(service, query)
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


class ScoreGroupParameters(SeriesFilters):
    """What the scores are put together by."""

    by: Annotated[
        Literal["author", "reason_code", "store_id", "dept_id"], Field(description="What each row is for.")
    ] = "author"


@router.get(
    "/overrides/accuracy/groups",
    summary="Whose numbers help",
    **list_responses(OverrideScoreGroup, 404),
)
async def list_override_score_groups(
    request: Request, service: ServiceDep, query: Annotated[ScoreGroupParameters, Query()]
) -> Response:
    """Forecast value added of planners' numbers by author, reason code, store or department."""
    series = await find_series(service, query)
    statement, order = reads.scores_by(override_scores(**series), query.by)

    def derive(row: Mapping[str, Any]) -> dict[str, Any]:
        return {"share_better": row["better"] / row["overrides"]}

    listing = Listing("override-groups", OverrideScoreGroup, statement, order, shared={"by": query.by}, derive=derive)
    return await list_response(request, service, query, listing)


@router.post(
    "/overrides/{override_id}/review",
    summary="Approve of a planner's number, or reject it",
    response_model=OverrideResponse,
    responses=problem_responses(404, 409),
    dependencies=[NO_PARAMETERS],
)
async def review_waiting_override(
    request: Request, service: ServiceDep, override_id: OverridePath, said: NewReview
) -> Response:
    """What a second person says of a number that waits: it is in force from now on, or the one before it stays.

    Needs the scope approve, of another person than its author. The same again changes nothing.
    """
    await service.require_store()
    reviewer, client = asked_by(request, service)
    review = Review(override_id, said.approved, reviewer, said.comment, client)
    try:
        await service.database.run(review_override, review, service.now(), service.settings.override_rules)
    except DecisionError as error:
        raise refused(error) from None
    await service.refresher.refresh()
    item = (await override_items(service, {"override_id": override_id}))[0]
    return Response(to_json({**item, **envelope(service)}), media_type="application/json")


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
