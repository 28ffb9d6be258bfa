"""Forecasts: one, many, a vintage; orders and reasons."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import Boolean, Date, Double, String

from api.database import fetch_maps
from api.documents import listed
from api.listing import Listing, Paged, answer_list, conditional, envelope, pinned, pinned_time
from api.orders import order_quantity
from api.parameters import (
    AsOf,
    DeptFilter,
    DeptId,
    End,
    HorizonFilter,
    OriginFilter,
    Start,
    StoreFilter,
    StoreId,
    StrictRoute,
    VintageFilter,
    Week,
    WeekFilter,
)
from api.problems import ProblemError, described
from api.rows import UNIT, shown_override, to_json
from api.schemas import Batch, BatchAnswer, Explanation, Forecast, OrderQuantity
from api.service import Known, Service
from demand_assets.store import reads
from demand_assets.store.tables import forecast_vintages, forecasts

root = APIRouter(route_class=StrictRoute)
router = APIRouter(prefix="/v1", route_class=StrictRoute)

VINTAGE_COLUMNS = tuple(column.name for column in forecast_vintages.columns)
_SHARED = ("origin_week", "vintage_id", "model_name", "model_version", "data_version", "code_version", "published_at")
_MOST_WEEKS = 104
_BATCH_SQL = 500
# Columns whose name does not read as the pipeline's word for the reason.
_REASONS = {"weather_economy": "weather and economy"}


@root.get("/forecast", summary="Newest forecast of one week", response_model=Forecast, responses=described(404))
async def forecast(
    request: Request,
    service: Known,
    store_id: StoreId,
    dept_id: DeptId,
    week: Week,
    as_of: AsOf = None,
    horizon: HorizonFilter = None,
    vintage_id: VintageFilter = None,
) -> Response:
    """The newest forecast of that store, department and week, with what it was made from.

    `as_of` answers what was known at a time, `horizon` what was said so many weeks before, `vintage_id` what one
    published run said.
    """
    key = (store_id, dept_id, week.isoformat())
    plain = as_of is None and horizon is None and vintage_id is None
    if plain and (made := service.points.from_memory(key)) is not None:
        return conditional(request, made[0])
    await service.require_store()
    if plain:
        if (made := await service.points.from_store(key, week)) is not None:
            return conditional(request, made[0])
        raise await _unknown(service, store_id, dept_id, week, filtered=False)
    asked = reads.forecast_of(store_id, dept_id, week, vintage_id=vintage_id, as_of=as_of, horizon=horizon)
    found = await fetch_maps(service.database, asked)
    if not found:
        raise await _unknown(service, store_id, dept_id, week, filtered=True)
    pinned = vintage_id is not None and service.state.is_past(found[0])
    return conditional(request, to_json(service.points.body(found[0])), immutable=pinned)


@router.get("/forecasts", summary="Forecasts", **listed(Forecast, 404))
async def list_forecasts(
    request: Request,
    service: Known,
    page: Paged,
    origin: OriginFilter,
    start: Start,
    end: End,
    as_of: AsOf,
    store_id: StoreFilter = None,
    dept_id: DeptFilter = None,
    horizon: HorizonFilter = None,
    vintage_id: VintageFilter = None,
    vintages: Annotated[
        Literal["newest", "all"],
        Query(description="Of one vintage, the newest that matches; or of the newest vintage of every origin."),
    ] = "newest",
) -> Response:
    """Forecasts by store, department and target week. A page stays within the vintage it began with."""
    await service.require_store()
    filters: dict[str, Any] = {
        "store_id": store_id, "dept_id": dept_id, "horizon": horizon, "start": start, "end": end,
    }  # fmt: skip
    if store_id is not None or dept_id is not None:
        await require_known(service, store_id, dept_id)
    if vintages == "all":
        began = pinned_time(request, page) or (await service.database.fetch(reads.LAST_PUBLISHED, {}))[0][0]
        if origin is not None or as_of is not None or vintage_id is not None:
            await the_vintage(service, origin, as_of, vintage_id)
        until = min((moment for moment in (as_of, began) if moment is not None), default=None)
        statement, order = reads.forecasts_of_all(**filters, as_of=until)
        if origin is not None:
            statement = statement.where(order.columns[0] == origin)
        if vintage_id is not None:
            statement = statement.where(forecasts.c.vintage_id == vintage_id)
        listing = _of_all(service, statement, order)
        listing.pin = None if began is None else began.isoformat()
        return await answer_list(request, service, page, listing)
    vintage = await the_vintage(service, origin, as_of, pinned(request, page) or vintage_id)
    listing = _of_one(service, vintage, filters)
    # Without its id the same question has another answer once there is another vintage.
    listing.immutable = vintage_id is not None and service.state.is_past(vintage)
    return await answer_list(request, service, page, listing)


def _of_one(service: Service, vintage: Mapping[str, Any], filters: Mapping[str, Any]) -> Listing:
    snapshot = service.state.snapshot
    told = snapshot.overrides if snapshot is not None and not service.state.is_past(vintage) else {}

    def derived(item: dict[str, Any]) -> dict[str, Any]:
        override = told.get((item["store_id"], item["dept_id"], item["week"].isoformat())) if told else None
        return {"override": shown_override(override)}

    types = forecast_vintages.c
    return Listing(
        "forecasts",
        reads.forecasts_of(vintage["vintage_id"], **filters),
        reads.FORECASTS_ORDER,
        vintage=vintage,
        renamed={"target_week": "week"},
        constants={
            "unit": (String(), UNIT),
            **{name: (types[name].type, vintage[name]) for name in _SHARED},
            "is_stale": (Boolean(), service.state.is_stale(vintage)),
        },
        derived=derived,
        derived_types={"override": Double()},
        pin=vintage["vintage_id"],
    )


def _of_all(service: Service, statement: Any, order: reads.Order) -> Listing:
    def derived(item: dict[str, Any]) -> dict[str, Any]:
        # Rows of several vintages, told apart by name; their own columns are the vintage's.
        row = {**item, "target_week": item["week"]}
        return {
            "unit": UNIT,
            "is_stale": service.state.is_stale(item),
            "override": service.points.body(row)["override"],
        }

    return Listing(
        "forecasts",
        statement,
        order,
        renamed={"target_week": "week"},
        derived=derived,
        derived_types={"unit": String(), "is_stale": Boolean(), "override": Double()},
        hidden=frozenset({"horizon_weeks"}),
    )


@router.post(
    "/forecasts:batch",
    summary="Many forecasts at once",
    response_model=BatchAnswer,
    responses=described(413),
)
async def batch(request: Request, service: Known, asked: Batch) -> Response:
    """The newest forecast of up to 10,000 keys, in their order; keys without a forecast are listed as missing."""
    keys = [(key.store_id, key.dept_id, key.week) for key in asked.keys]
    snapshot = service.state.snapshot
    found: dict[tuple[int, int, str], bytes] = {}
    if snapshot is not None:
        found = {key: made[0] for key in keys if (made := snapshot.answer(key)) is not None}
    rest = list(dict.fromkeys(key for key in keys if key not in found))
    if rest:
        await service.require_store()
    for begin in range(0, len(rest), _BATCH_SQL):
        part = [(store, dept, date.fromisoformat(week)) for store, dept, week in rest[begin : begin + _BATCH_SQL]]
        for row in await fetch_maps(service.database, reads.latest_forecasts(part)):
            key = (row["store_id"], row["dept_id"], row["target_week"].isoformat())
            found[key] = to_json(service.points.body(row))
    names = ("store_id", "dept_id", "week")
    missing = [dict(zip(names, key, strict=True)) for key in keys if key not in found]
    head = to_json({"missing": missing, **envelope(service)})
    items = b",".join(found[key] for key in keys if key in found)
    return Response(head[:-1] + b',"items":[' + items + b"]}", media_type="application/json")


@router.get("/orders", summary="Order quantities", **listed(OrderQuantity, 404))
async def orders(
    request: Request,
    service: Known,
    page: Paged,
    week: WeekFilter,
    store_id: StoreFilter = None,
    dept_id: DeptFilter = None,
    service_level: Annotated[
        float,
        Query(ge=0.01, le=0.999, description="Share of weeks in which the stock should suffice.", examples=[0.75]),
    ] = 0.75,
) -> Response:
    """Stock to have for each week at a service level, USD at selling prices, from the newest vintage; never negative.

    The quantile of demand at that level, linear in the normal score through p10, p50 and p90: exact for a
    normal error, and one that is wider upwards stays so. `order_quantity` of a forecast is at the level of the
    pipeline's own costs.
    """
    await service.require_store()
    if store_id is not None or dept_id is not None:
        await require_known(service, store_id, dept_id)
    vintage = await the_vintage(service, vintage_id=pinned(request, page))

    def derived(item: dict[str, Any]) -> dict[str, Any]:
        quantiles = (item["p10"], item["p50"], item["p90"])
        return {"order_quantity": order_quantity(*quantiles, service_level)}

    filters: dict[str, Any] = {"store_id": store_id, "dept_id": dept_id, "start": week, "end": week}
    listing = Listing(
        "orders",
        reads.forecasts_of(vintage["vintage_id"], **filters),
        reads.FORECASTS_ORDER,
        vintage=vintage,
        renamed={"target_week": "week"},
        constants={"origin_week": (Date(), vintage["origin_week"]), "service_level": (Double(), service_level)},
        derived=derived,
        derived_types={"order_quantity": Double()},
        hidden=frozenset({"forecast", "p10"}),
        pin=vintage["vintage_id"],
    )
    return await answer_list(request, service, page, listing)


@router.get("/explain", summary="Why a forecast is what it is", response_model=Explanation, responses=described(404))
async def explain(
    request: Request,
    service: Known,
    store_id: StoreId,
    dept_id: DeptId,
    week: Week,
    vintage_id: VintageFilter = None,
) -> Response:
    """What moved the forecast, USD: contributions (TreeSHAP) that sum to it, the largest first."""
    await service.require_store()
    found = await fetch_maps(service.database, reads.forecast_of(store_id, dept_id, week, vintage_id=vintage_id))
    if not found:
        raise await _unknown(service, store_id, dept_id, week, filtered=vintage_id is not None)
    row = found[0]
    reasons = await fetch_maps(service.database, reads.reasons_of(row["vintage_id"], store_id, dept_id, week))
    if not reasons:
        raise ProblemError(404, f"vintage {row['vintage_id']} was published without reasons", unknown="reasons")
    words = [
        {"reason": _REASONS.get(name, name.replace("_", " ")), "contribution": value}
        for name, value in reasons[0].items()
    ]
    body = {
        "store_id": store_id,
        "dept_id": dept_id,
        "week": week,
        "horizon": row["horizon"],
        "forecast": row["forecast"],
        "reasons": sorted(words, key=lambda each: -abs(each["contribution"])),
        **envelope(service, {name: row[name] for name in VINTAGE_COLUMNS}),
    }
    pinned = vintage_id is not None and service.state.is_past(row)
    return conditional(request, to_json(body), immutable=pinned)


async def the_vintage(
    service: Service, origin: date | None = None, as_of: Any = None, vintage_id: str | None = None
) -> dict[str, Any]:
    """The newest vintage that matches; 404 when none does."""
    statement = reads.vintage_before(origin, as_of)
    if vintage_id is not None:
        statement = statement.where(forecast_vintages.c.vintage_id == vintage_id)
    found = await fetch_maps(service.database, statement)
    if found:
        if service.state.is_ahead(found[0]):
            # Just published. Whoever is told of it here must not get an older one from memory with the next request.
            await service.refresher.refresh()
        return found[0]
    given = {"origin": origin, "as_of": as_of, "vintage_id": vintage_id}
    shown = ", ".join(f"{name} {value}" for name, value in given.items() if value is not None)
    raise ProblemError(
        404, f"no vintage has {shown}; see /v1/vintages" if shown else "nothing is published yet", unknown="vintage"
    )


async def require_known(service: Service, store_id: int | None, dept_id: int | None) -> None:
    """404 unless that store, department or series was ever forecast or sold."""
    if await service.database.fetch(reads.store_exists(store_id, dept_id)):
        return
    parts = [f"{name} {value}" for name, value in (("store", store_id), ("dept", dept_id)) if value is not None]
    raise ProblemError(404, f"{' '.join(parts)} is not known here; see /v1/series", unknown="series")


def require_level(level: str, store_id: int | None, dept_id: int | None) -> None:
    """404 for a store or department at a level whose totals span them: a filter must not widen an answer."""
    for name, value, of in (("store_id", store_id, "store"), ("dept_id", dept_id, "department")):
        if value and level != of:
            raise ProblemError(404, f"level {level} has no total of {name} {value}; ask for level={of}")


async def _unknown(service: Service, store_id: int, dept_id: int, week: date, *, filtered: bool) -> ProblemError:
    found = await service.database.fetch(reads.weeks_forecast(store_id, dept_id))
    weeks = [row[0].isoformat() for row in found]
    if weeks:
        of = " that matches" if filtered else ""
        return ProblemError(
            404,
            f"store {store_id} dept {dept_id} has no forecast of week {week}{of}; "
            f"it has {len(weeks)} from {weeks[0]} to {weeks[-1]}",
            unknown="week",
            weeks=weeks[-_MOST_WEEKS:],
        )
    newest = service.state.snapshot
    there_is = (
        "nothing is published yet"
        if newest is None
        else f"the newest vintage has other series, for the {newest.vintage['horizon_weeks']} weeks after "
        f"{newest.vintage['origin_week']}"
    )
    return ProblemError(
        404, f"store {store_id} dept {dept_id} is not a forecast series; {there_is}", unknown="series", weeks=[]
    )
