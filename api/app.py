"""The service: forecasts out of the store, planners' numbers into it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from fastapi import Depends, FastAPI, Request, Response

from api import problems
from api.compression import CompressionMiddleware
from api.database import database_for
from api.documents import document
from api.metrics import Metrics
from api.middleware import ServiceMiddleware
from api.parameters import refuse_repeated
from api.points import PointReads
from api.responses import conditional_response
from api.routes import (
    changes,
    dataset,
    drivers,
    forecasts,
    identity,
    models,
    monitoring,
    operations,
    overrides,
    scenarios,
    series,
    uploads,
    vintages,
    workbooks,
)
from api.serialization import to_json
from api.service import Service, announce_weekday
from api.settings import ApiSettings
from api.signed_in import who_is_signed_in
from api.snapshot import Refresher, State

DESCRIPTION = (
    "Weekly sales forecasts by store and department. A week is named by the day that ends it. "
    "/v1/dataset says which weekday that is, and the unit of amounts. "
    "A vintage is one published run of forecasts and never changes; a later run is another vintage. "
    "Errors are application/problem+json. Every GET has an ETag."
)


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def create_app(settings: ApiSettings, now: Callable[[], datetime] = utc_now) -> FastAPI:
    """The service over the store in `settings`; StoreError for an address that is neither SQLite nor PostgreSQL.

    Nothing is read before it starts, and it starts, and says 503, while the store is down.
    """
    database = database_for(settings.store_url, settings.pool_size, settings.store_seconds)
    state = State(now, settings.forecast_deadline_hours)
    service = Service(
        settings,
        database,
        Refresher(database, state, settings.memory_rows),
        PointReads(database, state),
        Metrics(),
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Refusals name methods and parameters by it. Made for the first of them, it would hold all other callers.
        app.openapi()
        service.start()
        yield
        await service.stop()

    app = FastAPI(
        title="Demand forecasts",
        version="1",
        description=DESCRIPTION,
        docs_url=None,  # its page loads scripts from elsewhere; ours is served below, without a network
        redoc_url=None,
        openapi_url=None,  # served below, with an ETag
        # The method that a generated client gets: list_forecasts, not list_forecasts_v1_forecasts_get.
        generate_unique_id_function=lambda route: route.name,
        redirect_slashes=False,  # an address with one too many is no address
        lifespan=lifespan,
    )
    app.state.service = service
    problems.install(app)
    for router in (
        forecasts.root, dataset.router, forecasts.router, series.router, drivers.router, vintages.router,
        monitoring.router, models.router, overrides.router, uploads.router, scenarios.router,
        workbooks.router, changes.router, identity.router,
    ):  # fmt: skip
        app.include_router(router, dependencies=[Depends(refuse_repeated), Depends(announce_weekday)])
    app.include_router(operations.router, dependencies=[Depends(refuse_repeated)])
    operations.serve_pages(app)
    identify, sign_in = who_is_signed_in(settings, now)
    for router in sign_in:
        app.include_router(router, dependencies=[Depends(refuse_repeated)])

    @lru_cache(maxsize=1)
    def openapi() -> dict[str, Any]:
        return document(app, settings.root_path)

    app.openapi = openapi  # type: ignore[method-assign]

    @app.get("/openapi.json", include_in_schema=False)
    async def described(request: Request) -> Response:
        return conditional_response(request, to_json(app.openapi()))

    app.add_middleware(CompressionMiddleware)
    # Added last, so it is the outermost.
    app.add_middleware(ServiceMiddleware, settings=settings, service=service, identify=identify)
    if settings.tracing:
        from api.tracing import trace

        trace(app)
    return app
