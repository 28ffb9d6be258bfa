"""Many planners' numbers at once: a file, or what is pasted from one; looked at first, undone as a whole."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, ValidationError

from api.bodies import GivenNumber
from api.documents import list_responses
from api.listing import Listing, envelope, list_response
from api.override_schemas import OverrideBatch, UndoneBatch, Upload
from api.parameters import NO_PARAMETERS, BatchPath, IdempotencyKey, PageParameters, Parameters
from api.problems import ProblemError, problem_responses
from api.routes.overrides import asked_by, refused, request_of
from api.serialization import to_json
from api.service import Service, ServiceDep
from api.uploads import MEDIA_TYPES, Row, rows_of
from demand_assets.errors import DecisionError, OverrideError
from demand_assets.store.overrides import Outcome, OverrideRequest, record_overrides
from demand_assets.store.reads import overrides as reads
from demand_assets.store.reviews import batch_id_of, undo_batch

router = APIRouter(prefix="/v1", tags=["Overrides"])
_BODY = {
    "required": True,
    "content": {media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA_TYPES[1:]}
    | {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["items"],
                # Rows as those of NewOverride; one that is not is refused by itself.
                "properties": {"items": {"type": "array", "minItems": 1, "items": {"type": "object"}}},
            }
        }
    },
}
_Text = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")]


class UploadParameters(Parameters):
    """What holds for every row."""

    preview: Annotated[bool, Field(description="Only say what would come of each row.")] = False
    reason: Annotated[_Text | None, Field(description="Why, where a row does not say it.")] = None
    reason_code: Annotated[
        Annotated[str, Field(min_length=1, max_length=50)] | None, Field(description="Its code, likewise.")
    ] = None


@router.post(
    "/overrides:upload",
    summary="Give many planners' numbers",
    status_code=201,
    response_model=Upload,
    responses={
        200: {"model": Upload, "description": "A preview, or what this key has added before."},
        **problem_responses(409, 413, 415),
    },
    openapi_extra={"requestBody": _BODY},
)
async def upload_overrides(
    request: Request, service: ServiceDep, key: IdempotencyKey, query: Annotated[UploadParameters, Query()]
) -> Response:
    """Numbers of a CSV or Excel file, a part of a spreadsheet, or JSON, in one transaction: all of them, or none.

    Columns: store_id, dept_id, week, override (a number, `+10%` of the system's forecast, or `withdraw`), and
    optionally reason, reason_code, expires_at, version. Rows without a number are passed over, so an export can be
    edited and sent back; so are rows whose number is in force already. A refused row refuses all of them: 409 names
    each, as `preview` does with 200.
    """
    await service.require_store()
    content, media_type = await request.body(), request.headers.get("content-type", "")
    given = await service.in_thread(lambda: rows_of(content, media_type))
    author, client = asked_by(request, service)
    items: list[dict[str, Any]] = []
    wanted: list[tuple[int, OverrideRequest]] = []
    for line, row in given:
        try:
            wanted.append((line, _request(service, line, row, query, key, (author, client))))
        except (ValidationError, OverrideError) as error:
            items.append(_item(line, row, "refused", _words(error)))
    unchanged = [pair for pair in wanted if _is_in_force(service, pair[1])]
    new = [pair for pair in wanted if not _is_in_force(service, pair[1])]
    trial = query.preview or bool(items)
    outcomes = await _outcomes(service, [each for _, each in new], batch_id_of(key), trial)
    items += [_item(line, _row_of(each), "unchanged", None) for line, each in unchanged]
    items += [_judged(line, outcome) for (line, _), outcome in zip(new, outcomes, strict=True)]
    items.sort(key=lambda each: each["line"])
    counts = {status: sum(each["status"] == status for each in items) for status in ("refused", "unchanged")}
    if counts["refused"] and not query.preview:
        errors = [{"line": each["line"], "message": each["detail"]} for each in items if each["status"] == "refused"]
        first = errors[0]
        raise ProblemError(
            409,
            f"{len(errors)} of {len(items)} rows are refused, so none is added; line {first['line']}: "
            f"{first['message']}",
            errors=errors,
        )
    is_new = any(each.is_new for each in outcomes)
    if is_new:
        # Who asks next is to see it, not only after the next refresh.
        await service.refresher.refresh()
    names = service.state.names
    body = {
        "batch_id": None if query.preview else batch_id_of(key),
        "preview": query.preview,
        "added": sum(each.is_new for each in outcomes),
        **counts,
        "waiting": sum(each["status"] == "waiting" for each in items),
        "items": [{**each, **names.beside(each)} for each in items],
        **envelope(service),
    }
    return Response(to_json(body), status_code=201 if is_new else 200, media_type="application/json")


def _request(
    service: Service, line: int, row: Row, query: UploadParameters, key: str, by: tuple[str, str | None]
) -> OverrideRequest:
    # A number that was left out by mistake must not withdraw the one before.
    if not {"override", "change_percent"} & set(row):
        raise OverrideError("expected override or change_percent; override null withdraws")
    given = GivenNumber.model_validate({name: value for name, value in row.items() if value is not None})
    reason = given.reason or query.reason
    if reason is None:
        raise OverrideError("expected a reason, in the row or for all rows")
    if given.expires_at is not None and given.expires_at <= service.now():
        raise OverrideError(f"expires_at: expected a time to come, got {given.expires_at}")
    return request_of(given, reason, given.reason_code or query.reason_code, f"{key}:{line}", *by)


def _words(error: ValidationError | OverrideError) -> str:
    if isinstance(error, OverrideError):
        return str(error)
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'row'}: {each['msg'].removeprefix('Value error, ')}"
        for each in error.errors()
    )[:500]


def _is_in_force(service: Service, wanted: OverrideRequest) -> bool:
    """Whether the row of an export is sent back as it was."""
    snapshot = service.state.snapshot
    key = (wanted.store_id, wanted.dept_id, wanted.target_week.isoformat())
    active = None if snapshot is None else snapshot.overrides.get(key)
    return active is not None and wanted.change_percent is None and active["override"] == wanted.override


async def _outcomes(service: Service, wanted: list[OverrideRequest], batch_id: str, trial: bool) -> list[Outcome]:
    if not wanted:
        return []
    now, rules = service.now(), service.settings.override_rules
    return await service.database.run(
        lambda engine: record_overrides(engine, wanted, now, rules, batch_id=batch_id, trial=trial)
    )


def _row_of(request: OverrideRequest) -> dict[str, Any]:
    return {
        "store_id": request.store_id,
        "dept_id": request.dept_id,
        "week": request.target_week,
        "override": request.override,
    }


def _item(line: int, row: Row, status: str, detail: str | None) -> dict[str, Any]:
    given = {name: row.get(name) for name in ("store_id", "dept_id", "week")}
    texts = {name: value if value is None else str(value)[:200] for name, value in given.items()}
    number = row.get("override")
    return {
        "line": line,
        **texts,
        "forecast": None,
        "override": float(number) if isinstance(number, int | float) else None,
        "status": status,
        "detail": detail,
    }


def _judged(line: int, outcome: Outcome) -> dict[str, Any]:
    status = "refused" if outcome.refusal else "waiting" if outcome.needs_approval else "accepted"
    item = _item(line, _row_of(outcome.request), status, str(outcome.refusal) if outcome.refusal else None)
    number = outcome.request.override if outcome.refusal else outcome.number
    return {**item, "forecast": outcome.forecast, "override": number}


@router.get("/override-batches", summary="Uploads of planners' numbers", **list_responses(OverrideBatch))
async def list_override_batches(
    request: Request, service: ServiceDep, query: Annotated[PageParameters, Query()]
) -> Response:
    """Every upload and every undoing of one, the newest first."""
    statement, order = reads.batches()
    return await list_response(request, service, query, Listing("override-batches", OverrideBatch, statement, order))


@router.post(
    "/override-batches/{batch_id}/undo",
    summary="Undo an upload",
    response_model=UndoneBatch,
    responses=problem_responses(404, 409),
    dependencies=[NO_PARAMETERS],
)
async def undo_override_batch(
    request: Request, service: ServiceDep, key: IdempotencyKey, batch_id: BatchPath
) -> Response:
    """Put back what was in force before an upload, as an upload of its own; what was changed since stays."""
    await service.require_store()
    author, client = asked_by(request, service)
    now: datetime = service.now()
    rules = service.settings.override_rules
    try:
        undone = await service.database.run(undo_batch, batch_id, author, client, key, now, rules)
    except DecisionError as error:
        raise refused(error) from None
    await service.refresher.refresh()
    body = {"batch_id": undone.batch_id, "put_back": undone.put_back, "kept": undone.kept, **envelope(service)}
    return Response(to_json(body), media_type="application/json")
