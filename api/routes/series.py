"""Series and totals: what was sold beside what was forecast."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import String

from api.database import fetch_maps
from api.documents import listed
from api.listing import Listing, Paged, answer_list, conditional, envelope
from api.parameters import DeptFilter, DeptPath, End, Start, StoreFilter, StorePath, StrictRoute
from api.points import FORECAST_COLUMNS
from api.problems import ProblemError, described
from api.routes.forecasts import require_known, require_level
from api.routes.overrides import override_rows
from api.rows import forecast_row, to_json
from api.schemas import Series, SeriesDetail, Total
from api.service import Known, Service
from demand_assets.store import reads

router = APIRouter(prefix="/v1", route_class=StrictRoute)
_YEAR = timedelta(weeks=52)
_EARLIER_ORIGINS = 26


@router.get("/series", summary="Series", **listed(Series, 404))
async def list_series(
    request: Request, service: Known, page: Paged, store_id: StoreFilter = None, dept_id: DeptFilter = None
) -> Response:
    """Every store x department that ever sold."""
    await service.require_store()
    if store_id is not None or dept_id is not None:
        await require_known(service, store_id, dept_id)
    last = (await service.database.fetch(reads.LAST_ACTUAL_WEEK, {}))[0][0]
    since = None if last is None else last - _YEAR + timedelta(weeks=1)
    statement = reads.series_of(store_id=store_id, dept_id=dept_id, since=since)
    return await answer_list(request, service, page, Listing("series", statement, reads.SERIES_ORDER))


@router.get("/series/{store_id}/{dept_id}", summary="One series", response_model=SeriesDetail, responses=described(404))
async def one_series(
    request: Request,
    service: Known,
    store_id: StorePath,
    dept_id: DeptPath,
    weeks: Annotated[int, Query(ge=1, le=520, description="Weeks of history to the last one sold.")] = 104,
) -> Response:
    """Its history, the newest forecast, what up to 26 earlier origins said of the same weeks, and planners' numbers.

    `history` goes on over the weeks forecast, with what is known of them: last year's sales, holidays, markdowns.
    """
    await service.require_store()
    await require_known(service, store_id, dept_id)
    last = (await service.database.fetch(reads.LAST_ACTUAL_WEEK, {}))[0][0]
    # Of the store, not of the snapshot: a moment after publishing the two differ.
    vintage = next(iter(await fetch_maps(service.database, reads.NEWEST_VINTAGE, {})), None)
    newest = last or (vintage["origin_week"] if vintage else None)
    if newest is None:
        raise ProblemError(404, "nothing is published yet", unknown="series")
    start = newest - timedelta(weeks=weeks - 1)
    end = max(newest, vintage["origin_week"] + timedelta(weeks=vintage["horizon_weeks"])) if vintage else newest
    foreseen, order = reads.forecasts_of_all(store_id=store_id, dept_id=dept_id, start=start, end=end)
    rows = await fetch_maps(service.database, order.page(foreseen, None, None))
    now = await _newest(service, vintage, store_id, dept_id) if vintage else []
    before = {row["origin_week"] for row in rows if vintage and row["origin_week"] < vintage["origin_week"]}
    origins = sorted(before)[-_EARLIER_ORIGINS:]
    snapshot = service.state.snapshot
    body = {
        "store_id": store_id,
        "dept_id": dept_id,
        "history": await _history(
            service, store_id, dept_id, start, end, weeks_forecast={r["target_week"] for r in now}
        ),
        "forecasts": [
            forecast_row(
                row,
                [row[name] for name in FORECAST_COLUMNS],
                service.state.is_stale(row),
                snapshot.overrides.get((store_id, dept_id, row["target_week"].isoformat())) if snapshot else None,
            )
            for row in now
        ],
        "earlier": [
            {
                "vintage_id": row["vintage_id"],
                "origin_week": row["origin_week"],
                "week": row["target_week"],
                "horizon": row["horizon"],
                **{name: row[name] for name in ("forecast", "p10", "p50", "p90")},
            }
            for row in rows
            if row["origin_week"] in origins
        ],
        "overrides": await override_rows(service, {"store_id": store_id, "dept_id": dept_id}),
        **envelope(service, vintage),
    }
    return conditional(request, to_json(body))


async def _newest(service: Service, vintage: dict[str, Any], store_id: int, dept_id: int) -> list[dict[str, Any]]:
    statement = reads.forecasts_of(vintage["vintage_id"], store_id=store_id, dept_id=dept_id)
    return [
        {**vintage, **row}
        for row in await fetch_maps(service.database, reads.FORECASTS_ORDER.page(statement, None, None))
    ]


async def _history(
    service: Service, store_id: int, dept_id: int, start: date, end: date, weeks_forecast: set[date]
) -> list[dict[str, Any]]:
    sold = await fetch_maps(service.database, reads.history_of(store_id, dept_id, start - _YEAR))
    conditions = await fetch_maps(service.database, reads.conditions_of(store_id, start, end))
    by_week = {row["week"]: row for row in sold}
    known = {row["week"]: row for row in conditions}
    weeks = sorted({week for week in by_week if week >= start} | weeks_forecast)
    return [
        {
            "week": week,
            "actual": by_week[week]["actual"] if week in by_week else None,
            "last_year": by_week[week - _YEAR]["actual"] if week - _YEAR in by_week else None,
            "is_holiday": (by_week.get(week) or known.get(week) or {}).get("is_holiday"),
            "markdown": known.get(week, {}).get("markdown"),
            "temperature_f": known.get(week, {}).get("temperature_f"),
        }
        for week in weeks
    ]


@router.get("/totals", summary="Totals", **listed(Total, 404))
async def totals(
    request: Request,
    service: Known,
    page: Paged,
    start: Start,
    end: End,
    level: Annotated[Literal["chain", "department", "store"], Query(description="What is summed up.")] = "chain",
    store_id: StoreFilter = None,
    dept_id: DeptFilter = None,
) -> Response:
    """Sales of the chain, its departments or stores beside the newest forecast that foresaw each week.

    Intervals are the total's own, from the errors of such totals in the backtest, not sums of its series'.
    """
    await service.require_store()
    if store_id is not None or dept_id is not None:
        await require_known(service, store_id, dept_id)
    require_level(level, store_id, dept_id)
    filters: dict[str, Any] = {"store_id": store_id, "dept_id": dept_id, "start": start, "end": end}
    statement, order = reads.totals(level, **filters)
    listing = Listing("totals", statement, order, constants={"level": (String(), level)})
    return await answer_list(request, service, page, listing)
