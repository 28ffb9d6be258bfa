"""Forecasts: one, many, all of a vintage; orders and attributions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.attributions import attributions_of
from api.bodies import Batch
from api.cursors import decode_snapshot_token, parse_sequence
from api.documents import list_responses
from api.forecasts import QUANTILES, Key, active_override, encoded, final_columns, finals, key_of
from api.formats import Format
from api.listing import Listing, envelope, list_response
from api.orders import order_quantity
from api.parameters import (
    NO_PARAMETERS,
    AsOf,
    DeptId,
    HorizonFilter,
    OriginFilter,
    Parameters,
    PeriodParameters,
    SeriesFilters,
    StoreId,
    VintageFilter,
    Week,
    WeekFilter,
)
from api.problems import ProblemError, problem_responses
from api.responses import conditional_response
from api.routes.existence import find_series, find_vintage, no_forecast
from api.schema_parts import Vintage
from api.schemas import BatchResponse, Explanation, Forecast, OrderQuantity
from api.serialization import to_json
from api.service import Service, ServiceDep
from demand_assets.store.reads import forecasts as reads
from demand_assets.store.tables import forecasts

root = APIRouter(tags=["Forecasts"])
router = APIRouter(prefix="/v1", tags=["Forecasts"])

_BATCH_SQL = 500


class ForecastParameters(Parameters):
    """Which forecast."""

    store_id: StoreId
    dept_id: DeptId
    week: Week
    as_of: AsOf = None
    horizon: HorizonFilter = None
    vintage_id: VintageFilter = None


@root.get("/forecast", summary="Newest forecast of one week", response_model=Forecast, responses=problem_responses(404))
async def get_forecast(
    request: Request, service: ServiceDep, query: Annotated[ForecastParameters, Query()]
) -> Response:
    """The newest forecast of that store, department and week, with what it was made from.

    `as_of` gives the forecast known at that time, `horizon` the one made so many weeks before, `vintage_id` the one of
    that published run.
    """
    series = (query.store_id, query.dept_id)
    filters: dict[str, Any] = {"as_of": query.as_of, "horizon": query.horizon, "vintage_id": query.vintage_id}
    if set(filters.values()) == {None}:
        key = (*series, query.week.isoformat())
        if (found := service.points.from_memory(key)) is not None:
            return conditional_response(request, found[0])
        await service.require_store()
        if (found := await service.points.from_store(key, query.week)) is not None:
            return conditional_response(request, found[0])
        raise await no_forecast(service, *series, query.week, filtered=False)
    rows = await service.fetch_maps(reads.forecast_of(*series, query.week, **filters))
    if not rows:
        raise await no_forecast(service, *series, query.week, filtered=True)
    immutable = query.vintage_id is not None and service.state.is_past(rows[0])
    return conditional_response(request, to_json(service.points.item(rows[0])), immutable=immutable)


class ForecastsParameters(SeriesFilters, PeriodParameters):
    """Which forecasts."""

    origin: OriginFilter = None
    as_of: AsOf = None
    horizon: HorizonFilter = None
    vintage_id: VintageFilter = None
    vintages: Annotated[
        Literal["newest", "all"],
        Field(description="Of one vintage, the newest that matches; or of the newest vintage of every origin."),
    ] = "newest"

    def filters(self) -> dict[str, Any]:
        """What narrows the forecasts of one vintage."""
        return self.model_dump(include={"horizon", "start", "end"})


@router.get("/forecasts", summary="Forecasts", **list_responses(Forecast, 404))
async def list_forecasts(
    request: Request, service: ServiceDep, query: Annotated[ForecastsParameters, Query()]
) -> Response:
    """Forecasts by store, department and target week. A page stays within the vintages that the first began with."""
    filters = await find_series(service, query) | query.filters()
    listing = await (_of_all if query.vintages == "all" else _of_one)(request, service, query, filters)
    return await list_response(request, service, query, listing)


async def _of_one(
    request: Request, service: Service, query: ForecastsParameters, filters: Mapping[str, Any]
) -> Listing:
    began_with = decode_snapshot_token(request, query.cursor, str)
    vintage = await find_vintage(service, query.origin, query.as_of, began_with or query.vintage_id)
    overrides = service.state.active_overrides(vintage)
    return Listing(
        "forecasts",
        Forecast,
        reads.forecasts_of(vintage["vintage_id"], **filters),
        reads.FORECASTS_ORDER,
        vintage=vintage,
        shared={**vintage, "is_stale": service.state.is_stale(vintage)},
        complete=lambda columns: final_columns(columns, overrides),
        snapshot_token=vintage["vintage_id"],
        # Without its id the same question has another answer once there is another vintage.
        immutable=query.vintage_id is not None and service.state.is_past(vintage),
    )


async def _of_all(
    request: Request, service: Service, query: ForecastsParameters, filters: Mapping[str, Any]
) -> Listing:
    began: int | None = decode_snapshot_token(request, query.cursor, parse_sequence)
    began = began or await service.fetch_value(reads.LAST_SEQUENCE)
    if query.origin is not None or query.as_of is not None or query.vintage_id is not None:
        await find_vintage(service, query.origin, query.as_of, query.vintage_id)
    statement, order = reads.forecasts_of_all(**filters, as_of=query.as_of, until=began)
    if query.origin is not None:
        statement = statement.where(order.columns[0] == query.origin)
    if query.vintage_id is not None:
        statement = statement.where(forecasts.c.vintage_id == query.vintage_id)

    def derive(row: Mapping[str, Any]) -> dict[str, Any]:
        override = service.state.active_overrides(row).get(key_of(row))
        is_stale = service.state.is_stale(row)
        return {"is_stale": is_stale, "override": active_override(override), **finals(row, override)}

    return Listing(
        "forecasts",
        Forecast,
        statement,
        order,
        derive=derive,
        snapshot_token=None if began is None else str(began),
    )


@router.post(
    "/forecasts:batch",
    summary="Many forecasts at once",
    response_model=BatchResponse,
    responses=problem_responses(413),
    dependencies=[NO_PARAMETERS],
)
async def get_forecasts_of_keys(request: Request, service: ServiceDep, wanted: Batch) -> Response:
    """The newest forecast of up to 10,000 keys, in their order; keys without a forecast are listed as missing."""
    keys: list[Key] = [(key.store_id, key.dept_id, key.week.isoformat()) for key in wanted.keys]
    found = {key: body for key in keys if (body := service.points.from_memory(key)) is not None}
    rest = list(dict.fromkeys(key for key in keys if key not in found))
    for begin in range(0, len(rest), _BATCH_SQL):
        part = [(store, dept, date.fromisoformat(week)) for store, dept, week in rest[begin : begin + _BATCH_SQL]]
        for row in await service.fetch_maps(reads.latest_forecasts(part)):
            found[key_of(row)] = encoded(service.points.item(row))
    names = ("store_id", "dept_id", "week")
    missing = [dict(zip(names, key, strict=True)) for key in keys if key not in found]
    head = to_json({"missing": missing, **envelope(service)})
    items = b",".join(found[key][0] for key in keys if key in found)
    return Response(head[:-1] + b',"items":[' + items + b"]}", media_type="application/json")


OrderFormat = Annotated[
    Format | Literal["erp"] | None,
    Field(description="Instead of the Accept header, for links; erp: CSV in the layout of the settings."),
]


class OrderParameters(SeriesFilters):
    """Which orders, at which service level."""

    week: WeekFilter = None
    service_level: Annotated[
        float,
        Field(ge=0.01, le=0.999, description="Share of weeks in which the stock should suffice.", examples=[0.75]),
    ] = 0.75
    format: OrderFormat = None  # type: ignore[assignment]


@router.get("/orders", summary="Order quantities", **list_responses(OrderQuantity, 404))
async def list_orders(request: Request, service: ServiceDep, query: Annotated[OrderParameters, Query()]) -> Response:
    """Stock to have for each week at a service level, at selling prices, for the final number; never negative.

    Of the newest vintage, with planners' numbers in force in place of its forecasts.
    The quantile of demand at that level, linear in the normal score through p10, p50 and p90: exact for a
    normal error, and one that is wider upwards stays so. `order_quantity` of a forecast is at the level of the
    pipeline's own costs. `format=erp` is CSV with the columns, names and forms that DEMAND_API_ORDER_LAYOUT says.
    """
    filters = await find_series(service, query)
    began_with = decode_snapshot_token(request, query.cursor, str)
    vintage = await find_vintage(service, vintage_id=began_with)
    overrides = service.state.active_overrides(vintage)

    def derive(row: Mapping[str, Any]) -> dict[str, Any]:
        final = finals(row, overrides.get(key_of(row)))
        p10, p50, p90 = (final[f"final_{name}"] for name in QUANTILES)
        return {**final, "order_quantity": order_quantity(p10, p50, p90, query.service_level)}

    listing = Listing(
        "orders",
        OrderQuantity,
        reads.forecasts_of(vintage["vintage_id"], **filters, start=query.week, end=query.week),
        reads.FORECASTS_ORDER,
        vintage=vintage,
        shared={"origin_week": vintage["origin_week"], "service_level": query.service_level},
        derive=derive,
        snapshot_token=vintage["vintage_id"],
    )
    if query.format == "erp":
        listing.layout = partial(service.settings.order_layout.render, unit=vintage["unit"])
        query = query.model_copy(update={"format": Format.CSV})
    return await list_response(request, service, query, listing)


class ExplainParameters(Parameters):
    """Which forecast is to be explained."""

    store_id: StoreId
    dept_id: DeptId
    week: Week
    vintage_id: VintageFilter = None


@router.get(
    "/explain",
    summary="Why a forecast is what it is",
    response_model=Explanation,
    responses=problem_responses(404),
)
async def explain_forecast(
    request: Request, service: ServiceDep, query: Annotated[ExplainParameters, Query()]
) -> Response:
    """What each group of features moved the forecast by (TreeSHAP); they sum to it, the largest first."""
    key = (query.store_id, query.dept_id, query.week)
    is_one_vintage = query.vintage_id is not None
    found = await service.fetch_maps(reads.forecast_of(*key, vintage_id=query.vintage_id))
    if not found:
        raise await no_forecast(service, *key, filtered=is_one_vintage)
    row = found[0]
    moved = await service.fetch_maps(reads.attributions_of(row["vintage_id"], *key))
    if not moved:
        raise ProblemError(404, f"vintage {row['vintage_id']} has no attributions", unknown="attributions")
    ids = {"store_id": query.store_id, "dept_id": query.dept_id}
    body = {
        **ids,
        **service.state.names.beside(ids),
        "week": query.week,
        "horizon": row["horizon"],
        "forecast": row["forecast"],
        "attributions": attributions_of(moved[0]),
        **envelope(service, {name: row[name] for name in Vintage.model_fields}),
    }
    return conditional_response(request, to_json(body), immutable=is_one_vintage and service.state.is_past(row))
