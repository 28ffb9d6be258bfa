"""The service: reads the forecast store, writes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import date
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from sqlalchemy import Connection

from api import problems
from api.problems import ProblemError, described
from api.schemas import DeptId, Forecast, Health, StoreId, friday
from api.settings import ApiSettings
from demand_assets.errors import StoreError
from demand_assets.store import queries
from demand_assets.store.engine import create_engine_for, reading
from demand_assets.store.migrations import require_current

_MOST_WEEKS = 104


def create_app(settings: ApiSettings) -> FastAPI:
    """The service over the store in `settings`; StoreError for an address that is neither SQLite nor PostgreSQL.

    Nothing is read until the first request, so the service starts, and says 503, while the store is down.
    """
    engine = create_engine_for(settings.store_url)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        engine.dispose()

    app = FastAPI(
        title="Demand forecasts",
        version="1",
        description="Weekly sales forecasts by store and department. A week is the Friday that ends it; money is USD.",
        docs_url=None,  # their pages load scripts from elsewhere; /openapi.json is the reference
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.engine = engine
    app.state.migrated = False
    problems.install(app)
    app.get("/forecast", summary="Newest forecast of one week", responses=described(404, 422, 503))(forecast)
    app.get("/health", summary="Whether forecasts can be read", responses=described(503))(health)
    return app


@contextmanager
def open_store(request: Request) -> Iterator[Connection]:
    """A connection to a store that is up to date; StoreError, hence 503, otherwise.

    Not a dependency: those run even for a request whose parameters are refused.
    """
    state = request.app.state
    try:
        # Asked once: a store only moves forward, and an additive migration must not stop the service before it.
        if not state.migrated:
            require_current(state.engine)
            state.migrated = True
        with reading(state.engine) as connection:
            yield connection
    except StoreError:
        state.migrated = False
        raise


Week = Annotated[date, Depends(friday)]


def forecast(request: Request, store_id: StoreId, dept_id: DeptId, week: Week) -> Forecast:
    """The forecast of the newest origin for that store, department and week, with what it was made from."""
    with open_store(request) as store:
        found = queries.latest_forecast(store, store_id, dept_id, week)
        if found is None:
            raise _unknown(store, store_id, dept_id, week)
    return Forecast.model_validate({**found, "week": found["target_week"]})


def health(request: Request) -> Health:
    """Answers 200 when the store can be read, 503 otherwise."""
    with open_store(request) as store:
        newest = queries.newest_vintage(store)
        vintages = queries.counts(store, "forecast_vintages")["forecast_vintages"]
    return Health(newest_origin_week=None if newest is None else newest["origin_week"], vintages=vintages)


def _unknown(store: Connection, store_id: int, dept_id: int, week: date) -> ProblemError:
    weeks = [each.isoformat() for each in queries.weeks_forecast(store, store_id, dept_id)]
    if weeks:
        return ProblemError(
            404,
            f"store {store_id} dept {dept_id} has no forecast of week {week}; "
            f"it has {len(weeks)} from {weeks[0]} to {weeks[-1]}",
            unknown="week",
            weeks=weeks[-_MOST_WEEKS:],
        )
    newest = queries.newest_vintage(store)
    there_is = (
        "nothing is published yet"
        if newest is None
        else f"the newest vintage has other series, for the {newest['horizon_weeks']} weeks after "
        f"{newest['origin_week']}"
    )
    return ProblemError(
        404, f"store {store_id} dept {dept_id} is not a forecast series; {there_is}", unknown="series", weeks=[]
    )
