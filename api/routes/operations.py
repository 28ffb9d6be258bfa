"""Whether it is alive and ready, its metrics, the dashboard and the reference."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST

from api.parameters import NO_PARAMETERS
from api.problems import ProblemError
from api.responses import conditional_response
from api.schemas import Health, Readiness
from api.serialization import to_json
from api.service import Service, ServiceDep
from demand_assets.errors import StoreError

router = APIRouter(dependencies=[NO_PARAMETERS], tags=["Operation"])
_NO_STORE = {"Cache-Control": "no-store"}
STATIC = Path(__file__).parents[1] / "static"


@router.get("/health", summary="Alive", response_model=Health)
async def get_health(request: Request, service: ServiceDep) -> Response:
    """Answers 200 while the process serves requests, whatever the state of the store."""
    state = service.state
    if state.refreshed_at is None:
        # Alive whatever comes of it: what is not known is null.
        with suppress(StoreError):
            await service.require_store()
    newest = state.snapshot
    known = Health(
        newest_origin_week=newest.vintage["origin_week"] if newest else None,
        vintages=state.vintages,
    )
    return conditional_response(request, known.model_dump_json().encode(), headers=_NO_STORE)


@router.get("/ready", summary="Ready", response_model=Readiness)
async def get_readiness(request: Request, service: ServiceDep) -> Response:
    """Answers 200 when the store can be read, has the schema of this code, and its newest forecast is not stale.

    503 otherwise, with why.
    """
    await service.require_store()
    snapshot = service.state.snapshot
    if snapshot is None:
        raise ProblemError(503, "nothing is published yet; `demand run` makes the first forecast")
    vintage = snapshot.vintage
    if snapshot.is_stale:
        raise ProblemError(
            503,
            f"the newest forecast is of week {vintage['origin_week']}, and the next is overdue",
            newest_origin_week=vintage["origin_week"].isoformat(),
            is_stale=True,
        )
    body = {
        "status": "ready",
        "newest_origin_week": vintage["origin_week"],
        "vintage_id": vintage["vintage_id"],
        "published_at": vintage["published_at"],
        "is_stale": False,
    }
    return conditional_response(request, to_json(body), headers=_NO_STORE)


@router.get("/metrics", include_in_schema=False)
async def metrics(service: ServiceDep) -> Response:
    """For Prometheus."""
    text = service.metrics.text(service.state)
    return Response(text, media_type=CONTENT_TYPE_LATEST, headers=_NO_STORE)


def serve_pages(app: FastAPI) -> None:
    """The dashboard at `/`, the reference at `/docs`, their files under `/static`."""

    @app.get("/", include_in_schema=False)
    async def dashboard(request: Request, service: ServiceDep) -> Response:
        return await _page(request, service, "index.html")

    @app.get("/docs", include_in_schema=False)
    async def reference(request: Request, service: ServiceDep) -> Response:
        return await _page(request, service, "docs.html")

    app.mount("/static", StaticFiles(directory=STATIC, check_dir=False), name="static")


async def _page(request: Request, service: Service, name: str) -> Response:
    page = await service.in_thread((STATIC / name).read_bytes)
    return conditional_response(request, page, "text/html; charset=utf-8", headers={"Cache-Control": "no-cache"})
