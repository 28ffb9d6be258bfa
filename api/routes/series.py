"""Series and totals: what was sold beside what was forecast."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.documents import list_responses
from api.forecasts import QUANTILES
from api.listing import Listing, envelope, list_response
from api.parameters import DeptId, HorizonFilter, Parameters, PeriodParameters, SeriesFilters, StoreId, TotalLevel
from api.problems import ProblemError, problem_responses
from api.responses import conditional_response
from api.routes.existence import find_level, find_series, require_level, require_series
from api.routes.overrides import override_items
from api.row_models import columns_of
from api.schemas import EarlierForecast, Series, SeriesDetail, Total
from api.serialization import to_json
from api.service import Service, ServiceDep
from demand_assets.store.finals import final_quantile
from demand_assets.store.reads import forecasts
from demand_assets.store.reads import series as reads
from demand_assets.store.reads.groups import quantiles_of
from demand_assets.store.reads.totals import totals

router = APIRouter(prefix="/v1", tags=["Series"])
_YEAR = timedelta(weeks=52)
_EARLIER_ORIGINS = 26


@router.get("/series", summary="Series", **list_responses(Series, 404))
async def list_series(request: Request, service: ServiceDep, query: Annotated[SeriesFilters, Query()]) -> Response:
    """Every store x department that ever sold."""
    filters = await find_series(service, query)
    last = await service.fetch_value(reads.LAST_ACTUAL_WEEK)
    since = None if last is None else last - _YEAR + timedelta(weeks=1)
    statement = reads.series_of(**filters, since=since)
    return await list_response(request, service, query, Listing("series", Series, statement, reads.SERIES_ORDER))


class SeriesParameters(Parameters):
    """Which series, and how much history."""

    store_id: StoreId
    dept_id: DeptId
    weeks: Annotated[int, Field(ge=1, le=520, description="Weeks of history to the last one sold.")] = 104


@router.get(
    "/series/detail",
    summary="One series",
    response_model=SeriesDetail,
    responses=problem_responses(404),
)
async def get_series(request: Request, service: ServiceDep, query: Annotated[SeriesParameters, Query()]) -> Response:
    """History, the newest forecast, forecasts of the same weeks from up to 26 earlier origins, and overrides.

    `history` goes on over the weeks forecast, with what is known of them: last year's sales, holidays. /v1/drivers has
    prices and promotions of the same weeks.
    """
    store_id, dept_id = query.store_id, query.dept_id
    await require_series(service, store_id, dept_id)
    last = await service.fetch_value(reads.LAST_ACTUAL_WEEK)
    # Of the store, not of the snapshot: a moment after publishing the two differ.
    vintage = next(iter(await service.fetch_maps(forecasts.NEWEST_VINTAGE, {})), None)
    newest = last or (vintage["origin_week"] if vintage else None)
    if newest is None:
        raise ProblemError(404, "nothing is published yet", unknown="series")
    start = newest - timedelta(weeks=query.weeks - 1)
    end = max(newest, vintage["origin_week"] + timedelta(weeks=vintage["horizon_weeks"])) if vintage else newest
    ahead = await _newest_forecasts(service, vintage, store_id, dept_id) if vintage else []
    target_weeks = {row["target_week"] for row in ahead}
    ids = {"store_id": store_id, "dept_id": dept_id}
    body = {
        **ids,
        **service.state.names.beside(ids),
        "history": await _history(service, store_id, dept_id, start, end, target_weeks),
        "forecasts": [service.points.item(row) for row in ahead],
        "earlier": await _earlier_forecasts(service, vintage, store_id, dept_id, start, end) if vintage else [],
        "overrides": await override_items(service, {"store_id": store_id, "dept_id": dept_id}),
        **envelope(service, vintage),
    }
    return conditional_response(request, to_json(body))


async def _newest_forecasts(
    service: Service, vintage: Mapping[str, Any], store_id: str, dept_id: str
) -> list[dict[str, Any]]:
    statement = forecasts.forecasts_of(vintage["vintage_id"], store_id=store_id, dept_id=dept_id)
    rows = await service.fetch_maps(forecasts.FORECASTS_ORDER.page(statement, None, None))
    return [{**vintage, **row} for row in rows]


async def _earlier_forecasts(
    service: Service, vintage: Mapping[str, Any], store_id: str, dept_id: str, start: date, end: date
) -> list[dict[str, Any]]:
    statement, order = forecasts.forecasts_of_all(store_id=store_id, dept_id=dept_id, start=start, end=end)
    rows = await service.fetch_maps(order.page(statement, None, None))
    origins = sorted({row["origin_week"] for row in rows if row["origin_week"] < vintage["origin_week"]})
    columns = columns_of(EarlierForecast).items()
    return [
        {name: row[source] for name, (source, _) in columns}
        for row in rows
        if row["origin_week"] in origins[-_EARLIER_ORIGINS:]
    ]


async def _history(
    service: Service, store_id: str, dept_id: str, start: date, end: date, target_weeks: set[date]
) -> list[dict[str, Any]]:
    sales = await service.fetch_maps(reads.history_of(store_id, dept_id, start - _YEAR))
    conditions = await service.fetch_maps(reads.conditions_of(store_id, start, end))
    called = {row["week"]: row["holiday"] for row in await service.fetch_maps(reads.holidays_between(start, end))}
    by_week = {row["week"]: row for row in sales}
    known = {row["week"]: row for row in conditions}
    weeks = sorted({week for week in by_week if week >= start} | target_weeks)
    return [
        {
            "week": week,
            "actual": by_week[week]["actual"] if week in by_week else None,
            "last_year": by_week[week - _YEAR]["actual"] if week - _YEAR in by_week else None,
            "is_holiday": (by_week.get(week) or known.get(week) or {}).get("is_holiday"),
            "holiday": called.get(week),
            "temperature_f": known.get(week, {}).get("temperature_f"),
        }
        for week in weeks
    ]


class TotalsParameters(SeriesFilters, PeriodParameters):
    """Which totals."""

    level: Annotated[
        TotalLevel,
        Field(
            description="What is summed up: chain, department, store, or those having one value of an attribute, such "
            "as store.region; see /v1/attributes."
        ),
    ] = "chain"
    horizon: HorizonFilter = None


@router.get("/totals", summary="Totals", **list_responses(Total, 404))
async def list_totals(request: Request, service: ServiceDep, query: Annotated[TotalsParameters, Query()]) -> Response:
    """Sales of the chain, its departments or stores beside the newest forecast of each week, and the final number.

    The final number of a total is the sum of those of its series.
    Intervals are the total's own, from the errors of such totals in the backtest, not sums of its series'. Those of
    totals by an attribute, and of what filters leave of them, are made of the intervals of their stores or departments
    and of the chain. With `horizon` it is the forecast made so many weeks before each week, not the newest.
    """
    filters = await find_series(service, query)
    require_level(query.level, query)
    level = await find_level(service, query.level)
    statement, order = totals(level, service.now(), **filters, horizon=query.horizon, start=query.start, end=query.end)
    derive = _with_final if level.attribute is None else _with_interval
    listing = Listing("totals", Total, statement, order, shared={"level": query.level}, derive=derive)
    return await list_response(request, service, query, listing)


def _with_interval(row: Mapping[str, Any]) -> dict[str, Any]:
    """The quantiles of a group, and what `_with_final` makes of them."""
    quantiles = quantiles_of(row)
    return {**quantiles, **_with_final({**row, **quantiles})}


def _with_final(row: Mapping[str, Any]) -> dict[str, Any]:
    """The final number of a total, and its quantiles, which move with it; null without a forecast."""
    forecast = row["forecast"]
    final = None if forecast is None else forecast + row["adjustment"]
    quantiles = {
        f"final_{name}": None if final is None or row[name] is None else final_quantile(row[name], forecast, final)
        for name in QUANTILES
    }
    return {"final": final, **quantiles}
