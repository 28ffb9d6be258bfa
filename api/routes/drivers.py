"""Drivers: prices, promotions and others, as they were and as they are planned."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.documents import list_responses
from api.listing import Listing, list_response
from api.parameters import PeriodParameters, SeriesFilters
from api.problems import ProblemError
from api.routes.existence import find_series
from api.schemas import DriverValue
from api.service import ServiceDep
from demand_assets.store.reads import drivers as reads

router = APIRouter(prefix="/v1", tags=["Series"])


class DriversParameters(SeriesFilters, PeriodParameters):
    """Which drivers, of which stores and departments."""

    driver: Annotated[
        Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]+$", max_length=400)] | None,
        Field(description="Only this driver, by its name.", examples=["price"]),
    ] = None


@router.get("/drivers", summary="Prices, promotions and other drivers", **list_responses(DriverValue, 404))
async def list_drivers(request: Request, service: ServiceDep, query: Annotated[DriversParameters, Query()]) -> Response:
    """Values of drivers in the newest 156 weeks with sales, and as planned for up to 52 weeks after them.

    One row per stretch of weeks with the same value. A value of a whole store has no department, and is among those of
    each; where a series has a value of its own for a week, that one counts. Forecasts of scenarios are made on other
    plans, which are not here.
    """
    filters = await find_series(service, query)
    statement = reads.drivers_of(**filters, driver=query.driver, start=query.start, end=query.end)
    if query.driver is not None and not await service.fetch(reads.is_driver(query.driver)):
        raise ProblemError(404, f"no driver is called {query.driver}; see /v1/drivers", unknown="driver")
    return await list_response(request, service, query, Listing("drivers", DriverValue, statement, reads.DRIVERS_ORDER))
