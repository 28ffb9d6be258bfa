"""Vintages and their forecasts. The newest vintage is that of the newest origin, then the one published last.

A scenario is found by its vintage's id only: it never stands for a forecast.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import ScalarSelect, Select, bindparam, func, literal, or_, select
from sqlalchemy.sql import Subquery

from demand_assets.contract.store import SCENARIO_KIND
from demand_assets.store.dimensions import shown
from demand_assets.store.reads.statements import Ids, Order, between, matching, of_wanted
from demand_assets.store.tables import (
    actuals,
    departments,
    forecast_attributions,
    forecast_vintages,
    forecasts,
    stores,
)

_V, _F = forecast_vintages.c, forecasts.c
_SERIES_WEEK = (_F.store_key, _F.dept_key, _F.target_week)
IS_FORECAST = _V.kind != SCENARIO_KIND
NEWEST_FIRST = (_V.origin_week.desc(), _V.sequence.desc())

NEWEST_VINTAGE: Select[Any] = select(forecast_vintages).where(IS_FORECAST).order_by(*NEWEST_FIRST).limit(1)
"""The newest vintage."""


def newest_vintage_id() -> ScalarSelect[str]:
    """The id of the newest vintage in SQL."""
    return NEWEST_VINTAGE.with_only_columns(_V.vintage_id).scalar_subquery()


# Joined, as a million rows are looked up in half the time of a subquery per row.
_WITH_IDS = forecasts.join(stores, stores.c.store_key == _F.store_key).join(
    departments, departments.c.dept_key == _F.dept_key
)
_COLUMNS = (
    stores.c.store_id,
    departments.c.dept_id,
    *(each for each in _F if each.name not in ("vintage_id", "store_key", "dept_key")),
)
_WITH_VINTAGE: Select[Any] = select(*_V, *_COLUMNS).select_from(
    _WITH_IDS.join(forecast_vintages, _F.vintage_id == _V.vintage_id)
)
_LATEST = _WITH_VINTAGE.where(IS_FORECAST)

LATEST_FORECAST: Select[Any] = (
    _LATEST.where(
        stores.c.store_id == bindparam("store_id"),
        departments.c.dept_id == bindparam("dept_id"),
        _F.target_week == bindparam("target_week"),
    )
    .order_by(*NEWEST_FIRST)
    .limit(1)
)
"""The newest forecast of one series and week, with its vintage; takes store_id, dept_id, target_week."""

LAST_SEQUENCE: Select[Any] = select(func.max(_V.sequence))
"""The sequence of the vintage published last."""

VINTAGE_COUNT: Select[Any] = select(func.count()).select_from(forecast_vintages)
"""How many vintages there are."""

VINTAGES_PER_VERSION: Select[Any] = select(_V.model_version, func.count().label("vintages")).group_by(_V.model_version)
"""(model_version, vintages)."""

VINTAGES_ORDER = Order((_V.origin_week, _V.sequence), descending=True)
FORECASTS_ORDER = Order(_SERIES_WEEK)


def vintage_of_earlier_origin(origin: date) -> Select[Any]:
    """The newest vintage of the newest origin before `origin`."""
    return NEWEST_VINTAGE.where(_V.origin_week < origin)


def vintage_before(origin: date | None = None, as_of: datetime | None = None) -> Select[Any]:
    """The newest vintage, of one origin and published up to `as_of`, if given."""
    statement = matching(NEWEST_VINTAGE, forecast_vintages, {"origin_week": origin})
    return statement if as_of is None else statement.where(_V.published_at <= as_of)


def vintages(
    *,
    vintage_id: str | None = None,
    origin: date | None = None,
    kind: str | None = None,
    start: date | None = None,
    end: date | None = None,
) -> Select[Any]:
    """Vintages by origin week, scenarios included unless `kind` is forecast; order by VINTAGES_ORDER."""
    filters = {"vintage_id": vintage_id, "origin_week": origin, "kind": kind}
    return between(matching(select(forecast_vintages), forecast_vintages, filters), _V.origin_week, start, end)


def vintage_sizes(vintage_ids: Sequence[str]) -> Select[Any]:
    """(vintage_id, rows, series, forecast) of each."""
    series = (_F.vintage_id, _F.store_key, _F.dept_key)
    per_series = (
        select(*series, func.count().label("n"), func.sum(_F.forecast).label("forecast"))
        .where(_F.vintage_id.in_(vintage_ids))
        .group_by(*series)
        .subquery()
    )
    return select(
        per_series.c.vintage_id,
        func.sum(per_series.c.n).label("rows"),
        func.count().label("series"),
        func.sum(per_series.c.forecast).label("forecast"),
    ).group_by(per_series.c.vintage_id)


def forecast_of(
    store_id: str,
    dept_id: str,
    target_week: date,
    *,
    vintage_id: str | None = None,
    as_of: datetime | None = None,
    horizon: int | None = None,
) -> Select[Any]:
    """The newest forecast of one series and week, with its vintage, of those that match."""
    keys = {"store_id": store_id, "dept_id": dept_id, "target_week": target_week}
    statement = matching(
        _LATEST if vintage_id is None else _WITH_VINTAGE,
        forecasts,
        {**keys, "vintage_id": vintage_id, "horizon": horizon},
    )
    if as_of is not None:
        statement = statement.where(_V.published_at <= as_of)
    return statement.order_by(*NEWEST_FIRST).limit(1)


def latest_forecasts(keys: Sequence[tuple[str, str, date]]) -> Select[Any]:
    """The newest forecast of each (store_id, dept_id, target_week), with its vintage; at most 10,000 keys or so."""
    _, rows = of_wanted(forecasts, keys)
    ranked = (
        select(forecasts, func.row_number().over(partition_by=_SERIES_WEEK, order_by=NEWEST_FIRST).label("age"))
        .select_from(rows)
        .join(forecast_vintages, _V.vintage_id == _F.vintage_id)
        .where(IS_FORECAST)
        .subquery()
    )
    newest = select(*_V, *shown(ranked, "vintage_id", "age")).join(ranked, ranked.c.vintage_id == _V.vintage_id)
    return newest.where(ranked.c.age == 1)


def forecasts_of(
    vintage_id: str,
    *,
    store_id: Ids = None,
    dept_id: Ids = None,
    horizon: int | None = None,
    start: date | None = None,
    end: date | None = None,
) -> Select[Any]:
    """Forecasts of one vintage: its columns of `forecasts` without the id; order by FORECASTS_ORDER."""
    statement = select(*_COLUMNS).select_from(_WITH_IDS)
    filters = {"vintage_id": vintage_id, "store_id": store_id, "dept_id": dept_id, "horizon": horizon}
    return between(matching(statement, forecasts, filters), _F.target_week, start, end)


def newest_of_origin(as_of: datetime | None = None, until: int | None = None) -> Subquery:
    """Of each origin the vintage published last, up to the time `as_of` and the sequence `until` if given."""
    ranked = select(
        *_V, func.row_number().over(partition_by=_V.origin_week, order_by=_V.sequence.desc()).label("age")
    ).where(IS_FORECAST)
    if as_of is not None:
        ranked = ranked.where(_V.published_at <= as_of)
    if until is not None:
        ranked = ranked.where(_V.sequence <= until)
    inner = ranked.subquery()
    return select(*shown(inner, "age")).where(inner.c.age == 1).subquery()


def forecasts_of_all(
    *,
    store_id: Ids = None,
    dept_id: Ids = None,
    horizon: int | None = None,
    start: date | None = None,
    end: date | None = None,
    as_of: datetime | None = None,
    until: int | None = None,
) -> tuple[Select[Any], Order]:
    """Forecasts of the newest vintage of each origin, with its columns, oldest origin first; and the order."""
    newest = newest_of_origin(as_of, until)
    statement = select(*newest.c, *shown(forecasts, "vintage_id")).join(newest, newest.c.vintage_id == _F.vintage_id)
    filters = {"store_id": store_id, "dept_id": dept_id, "horizon": horizon}
    statement = between(matching(statement, forecasts, filters), _F.target_week, start, end)
    return statement, Order((newest.c.origin_week, *_SERIES_WEEK))


def weeks_forecast(store_id: str, dept_id: str) -> Select[Any]:
    """Target weeks that any vintage forecasts for the series, oldest first."""
    weeks = matching(select(_F.target_week), forecasts, {"store_id": store_id, "dept_id": dept_id})
    return weeks.distinct().order_by(_F.target_week)


def store_exists(store_id: Ids, dept_id: Ids) -> Select[Any]:
    """A row if the store, the department or the series was ever forecast or sold."""
    filters = {"store_id": store_id, "dept_id": dept_id}
    sold = matching(select(literal(1)), actuals, filters).limit(1).subquery()
    foreseen = matching(select(literal(1)), forecasts, filters).limit(1).subquery()
    return select(literal(1)).where(or_(select(sold).exists(), select(foreseen).exists()))


def attributions_of(vintage_id: str, store_id: str, dept_id: str, target_week: date) -> Select[Any]:
    """What moved one forecast, a column per group of features."""
    keys = {"vintage_id": vintage_id, "store_id": store_id, "dept_id": dept_id, "target_week": target_week}
    moved = [each for each in forecast_attributions.c if not each.primary_key]
    return matching(select(*moved), forecast_attributions, keys)
