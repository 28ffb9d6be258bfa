"""What the retailer's data are: unit, weekday, labels; its stores and departments."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from api.documents import list_responses
from api.listing import Listing, envelope, list_response
from api.parameters import NO_PARAMETERS, DeptsFilter, PageParameters, StoresFilter
from api.problems import ProblemError
from api.responses import conditional_response
from api.routes.existence import find_ids
from api.schemas import AttributeValue, DatasetResponse, Department, Store, Weekday, Words
from api.serialization import to_json
from api.service import Service, ServiceDep
from demand_assets.contract.words import WORDS
from demand_assets.store.dataset import Dataset
from demand_assets.store.reads import members as reads

router = APIRouter(prefix="/v1", tags=["Data"])
_DAYS = get_args(Weekday)


@router.get("/dataset", summary="The data", response_model=DatasetResponse, dependencies=[NO_PARAMETERS])
async def get_dataset(request: Request, service: ServiceDep) -> Response:
    """Unit, weekday that ends a week, and what people call stores and departments.

    Before the pipeline has written them: unit and weekday of the newest vintage, and plain labels.
    """
    await service.require_store()
    state, shared = service.state, envelope(service)
    ends = state.week_ends
    known = state.dataset
    body = {
        **shared,
        **{name: getattr(Dataset, name) for name in ("store_label", "dept_label", "has_stores", "has_departments")},
        "updated_at": None,
        **(known or {}),
        "week_ends": None if ends is None else _DAYS[ends],
        "reason_codes": list(service.settings.override_rules.reason_codes),
    }
    return conditional_response(request, to_json(body))


_WORDS = to_json({kind: {name: word._asdict() for name, word in words.items()} for kind, words in WORDS.items()})


@router.get("/words", summary="Words for people", response_model=Words, dependencies=[NO_PARAMETERS])
async def get_words(request: Request) -> Response:
    """What a planner calls features, groups of attributions, methods and figures."""
    return conditional_response(request, _WORDS)


class StoresParameters(PageParameters):
    """Which stores."""

    store_id: StoresFilter = None


@router.get("/stores", summary="Stores", **list_responses(Store, 404))
async def list_stores(request: Request, service: ServiceDep, query: Annotated[StoresParameters, Query()]) -> Response:
    """Every store with its name and static facts."""
    return await _members(request, service, query, "stores", Store, "store_id", query.store_id)


class DepartmentsParameters(PageParameters):
    """Which departments."""

    dept_id: DeptsFilter = None


@router.get("/departments", summary="Departments", **list_responses(Department, 404))
async def list_departments(
    request: Request, service: ServiceDep, query: Annotated[DepartmentsParameters, Query()]
) -> Response:
    """Every department with its name and static facts."""
    return await _members(request, service, query, "departments", Department, "dept_id", query.dept_id)


@router.get("/attributes", summary="Attributes of stores and departments", **list_responses(AttributeValue))
async def list_attributes(request: Request, service: ServiceDep, query: Annotated[PageParameters, Query()]) -> Response:
    """Every value of every static fact, and how many stores or departments have it.

    Each attribute is a level of /v1/totals, and each value a filter of lists.
    """
    listing = Listing("attributes", AttributeValue, *reads.attributes())
    return await list_response(request, service, query, listing)


async def _members(
    request: Request,
    service: Service,
    query: PageParameters,
    what: str,
    item: type[BaseModel],
    name: str,
    value: str | None,
) -> Response:
    statement = reads.members(name, await find_ids(service, name, value))
    found: Any = value is None or await service.fetch(statement)
    if not found:
        raise ProblemError(404, f"{name} {value} is not known here; see /v1/{what}", unknown=name)
    return await list_response(request, service, query, Listing(what, item, statement, reads.ORDERS[name]))
