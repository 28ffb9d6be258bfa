"""What-if: scenarios beside the published forecasts they were made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from api.documents import list_responses
from api.listing import Listing, envelope, list_response
from api.parameters import (
    NO_PARAMETERS,
    HorizonFilter,
    OriginFilter,
    PageParameters,
    PeriodParameters,
    ScenarioPath,
    SeriesFilters,
)
from api.problems import ProblemError, problem_responses
from api.responses import conditional_response
from api.routes.existence import find_series
from api.row_models import columns_of
from api.schema_parts import Vintage
from api.schemas import Scenario, ScenarioForecast, ScenarioMover, ScenarioResponse, ScenarioWeek
from api.serialization import to_json
from api.service import Service, ServiceDep
from demand_assets.store.reads import forecasts
from demand_assets.store.reads import scenarios as reads

router = APIRouter(prefix="/v1", tags=["Scenarios"])

_MOST_MOVERS = 20


class ScenariosParameters(PageParameters):
    """Which scenarios."""

    origin: OriginFilter = None


@router.get("/scenarios", summary="What-if scenarios", **list_responses(Scenario))
async def list_scenarios(
    request: Request, service: ServiceDep, query: Annotated[ScenariosParameters, Query()]
) -> Response:
    """Every scenario, the newest first, with the chain's forecast of all its weeks beside that of its base vintage."""
    listing = Listing("scenarios", Scenario, reads.scenarios_with_totals(origin=query.origin), reads.SCENARIOS_ORDER)
    return await list_response(request, service, query, listing)


@router.get(
    "/scenarios/{name}",
    summary="One scenario",
    response_model=ScenarioResponse,
    responses=problem_responses(404),
    dependencies=[NO_PARAMETERS],
)
async def get_scenario(request: Request, service: ServiceDep, name: ScenarioPath) -> Response:
    """What was changed, the chain week by week beside the base vintage, and the series that it moves most."""
    row, vintage = await _find(service, name)
    ids = (row["vintage_id"], row["base_vintage_id"])
    weeks = await service.fetch_maps(reads.weeks_of(*ids))
    movers = await service.fetch_maps(reads.movers(*ids, most=_MOST_MOVERS))
    body = {
        **_item(Scenario, row),
        "weeks": [_item(ScenarioWeek, {**each, **_money(row, each)}) for each in weeks],
        "movers": [_item(ScenarioMover, {**each, **service.state.names.beside(each)}) for each in movers],
        **envelope(service, vintage),
    }
    return conditional_response(request, to_json(body))


class ScenarioForecastsParameters(SeriesFilters, PeriodParameters):
    """Which forecasts of a scenario."""

    horizon: HorizonFilter = None


@router.get("/scenarios/{name}/forecasts", summary="Forecasts of a scenario", **list_responses(ScenarioForecast, 404))
async def list_scenario_forecasts(
    request: Request, service: ServiceDep, name: ScenarioPath, query: Annotated[ScenarioForecastsParameters, Query()]
) -> Response:
    """Forecasts by store, department and target week, each beside that of the base vintage, with the difference."""
    row, vintage = await _find(service, name)
    series = await find_series(service, query)
    filters = series | query.model_dump(include={"horizon", "start", "end"})
    statement, order = reads.differences_of(row["vintage_id"], row["base_vintage_id"], **filters)
    listing = Listing(f"scenario-{name}", ScenarioForecast, statement, order, vintage=vintage)
    return await list_response(request, service, query, listing)


async def _find(service: Service, name: str) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """The scenario and its vintage; 404 when there is none of that name."""
    found = await service.fetch_maps(reads.scenarios_with_totals(name=name))
    if not found:
        raise ProblemError(404, f"no scenario {name}; see /v1/scenarios", unknown="scenario")
    vintage = (await service.fetch_maps(forecasts.vintages(vintage_id=found[0]["vintage_id"])))[0]
    return found[0], {each: vintage[each] for each in Vintage.model_fields}


def _money(row: Mapping[str, Any], week: Mapping[str, Any]) -> dict[str, float | None]:
    base, scenario = (row["money"] or {}).get(week["target_week"].isoformat(), (None, None))
    return {"money": scenario, "base_money": base}


def _item(model: type[BaseModel], row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[source] for name, (source, _) in columns_of(model).items()}
