"""404 for what the store does not have: a filter must not be answered with an empty list."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from api.parameters import SeriesFilters
from api.problems import ProblemError
from api.service import Service
from demand_assets.store.dimensions import ids_among
from demand_assets.store.reads import forecasts, members
from demand_assets.store.reads.statements import Having, Ids
from demand_assets.store.reads.totals import KEYS, Level
from demand_assets.store.tables import forecast_vintages

_MAX_WEEKS = 104
_FILTERS = {"store_id": "store", "store_attribute": "store", "dept_id": "department", "dept_attribute": "department"}
_MEMBERS = {"store_id": ("store", "/v1/stores"), "dept_id": ("dept", "/v1/departments")}


async def find_vintage(
    service: Service, origin: date | None = None, as_of: datetime | None = None, vintage_id: str | None = None
) -> dict[str, Any]:
    """The newest vintage that matches; 404 when none does."""
    statement = forecasts.vintage_before(origin, as_of)
    if vintage_id is not None:
        statement = statement.where(forecast_vintages.c.vintage_id == vintage_id)
    found = await service.fetch_maps(statement)
    if found:
        if service.state.is_ahead(found[0]):
            # Just published. Who has seen it here must not get an older one from memory with the next request.
            await service.refresher.refresh()
        return found[0]
    filters = {"origin": origin, "as_of": as_of, "vintage_id": vintage_id}
    text = ", ".join(f"{name} {value}" for name, value in filters.items() if value is not None)
    raise ProblemError(
        404, f"no vintage has {text}; see /v1/vintages" if text else "nothing is published yet", unknown="vintage"
    )


async def require_series(service: Service, store_id: str | None, dept_id: str | None) -> None:
    """404 unless that store, department or series was ever forecast or sold; without either there is nothing to ask."""
    if (store_id, dept_id) != (None, None) and not await service.fetch(forecasts.store_exists(store_id, dept_id)):
        raise _unknown_series(store_id, dept_id)


def _unknown_series(store_id: str | None, dept_id: str | None) -> ProblemError:
    parts = [f"{name} {value}" for name, value in (("store", store_id), ("dept", dept_id)) if value is not None]
    return ProblemError(404, f"{' '.join(parts)} is not known here; see /v1/series", unknown="series")


async def find_series(service: Service, query: SeriesFilters) -> dict[str, Any]:
    """The filters `store_id` and `dept_id` of a list, each an `Ids`; 404 for an id or attribute not known here."""
    ids = {
        "store_id": await find_ids(service, "store_id", query.store_id),
        "dept_id": await find_ids(service, "dept_id", query.dept_id),
    }
    if any(ids.values()) and not await service.fetch(forecasts.store_exists(**ids)):
        raise _unknown_series(query.store_id, query.dept_id)
    return {
        "store_id": await _having(service, "store_id", query.store_attribute, ids["store_id"]),
        "dept_id": await _having(service, "dept_id", query.dept_attribute, ids["dept_id"]),
    }


async def _having(service: Service, name: str, text: str | None, ids: tuple[str, ...] | None) -> Ids:
    """`ids`, less those without what NAME=VALUE says; both may hold a = themselves. 404 where nobody has it."""
    if text is None:
        return ids
    for place in (at for at, character in enumerate(text) if character == "="):
        attribute, value = text[:place], text[place + 1 :]
        if await service.fetch(members.is_attribute(name, attribute, value)):
            return Having(attribute, value, ids)
    raise _unknown_attribute(name, text)


async def find_level(service: Service, text: str) -> Level:
    """The level of totals; 404 for an attribute that nobody has."""
    level = Level.parsed(text)
    if level.attribute is not None and not await service.fetch(members.is_attribute(KEYS[level.of], level.attribute)):
        raise _unknown_attribute(KEYS[level.of], level.attribute)
    return level


def _unknown_attribute(name: str, text: str) -> ProblemError:
    what, _ = _MEMBERS[name]
    return ProblemError(404, f"no {what} has the attribute {text}; see /v1/attributes", unknown="attribute")


async def find_ids(service: Service, name: str, text: str | None) -> tuple[str, ...] | None:
    """The ids that a filter names, each of several known, else 404. An id that has a comma itself is one id."""
    if text is None or "," not in text:
        return None if text is None else (text,)
    parts = tuple(dict.fromkeys(text.split(",")))
    known = {row[0] for row in await service.fetch(ids_among(name, (text, *parts)))}
    if text in known:
        return (text,)
    unknown = [part for part in parts if part not in known]
    if unknown:
        what, path = _MEMBERS[name]
        raise ProblemError(404, f"{what} {', '.join(unknown)} is not known here; see {path}", unknown=name)
    return parts


def require_level(level: str, query: SeriesFilters) -> None:
    """404 for a store or department at a level whose totals span them: a filter must not widen an answer."""
    of = Level.parsed(level).of
    for name, value in query.model_dump(include=set(_FILTERS)).items():
        if value is not None and of != _FILTERS[name]:
            raise ProblemError(404, f"level {level} has no total of {name} {value}; ask for level={_FILTERS[name]}")


async def no_forecast(service: Service, store_id: str, dept_id: str, week: date, *, filtered: bool) -> ProblemError:
    """The 404 of a forecast that there is not: the weeks there are, or that the series is not forecast."""
    weeks = [row[0].isoformat() for row in await service.fetch(forecasts.weeks_forecast(store_id, dept_id))]
    if weeks:
        of = " that matches" if filtered else ""
        return ProblemError(
            404,
            f"store {store_id} dept {dept_id} has no forecast of week {week}{of}; "
            f"it has {len(weeks)} from {weeks[0]} to {weeks[-1]}",
            unknown="week",
            weeks=weeks[-_MAX_WEEKS:],
        )
    newest = service.state.newest_vintage
    reason = (
        "nothing is published yet"
        if newest is None
        else f"the newest vintage has other series, for the {newest['horizon_weeks']} weeks after "
        f"{newest['origin_week']}"
    )
    return ProblemError(
        404, f"store {store_id} dept {dept_id} is not a forecast series; {reason}", unknown="series", weeks=[]
    )
