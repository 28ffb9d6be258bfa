"""Models, and the decisions about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.documents import list_responses
from api.listing import Listing, list_response
from api.parameters import PageParameters
from api.schemas import Model, Promotion
from api.service import ServiceDep
from demand_assets.store.reads import decisions as reads
from demand_assets.store.reads.forecasts import VINTAGES_PER_VERSION

router = APIRouter(prefix="/v1", tags=["Models"])


class PromotionsParameters(PageParameters):
    """Which decisions."""

    outcome: Annotated[
        Literal["promoted", "refused", "superseded"] | None, Field(description="Only decisions that ended like this.")
    ] = None


@router.get("/promotions", summary="The ledger of promotions", **list_responses(Promotion))
async def list_promotions(
    request: Request, service: ServiceDep, query: Annotated[PromotionsParameters, Query()]
) -> Response:
    """Every promotion, refusal and rollback, the newest first, with figures and reasons."""
    listing = Listing("promotions", Promotion, reads.decisions(query.outcome), reads.PROMOTIONS_ORDER)
    return await list_response(request, service, query, listing)


@router.get("/models", summary="Models", **list_responses(Model))
async def list_models(request: Request, service: ServiceDep, query: Annotated[PageParameters, Query()]) -> Response:
    """Every version judged for production, the newest first: its scores, the decision, how many vintages it made."""
    # (name, version); of each name the present champion comes last.
    champions = {row[0]: row[1] for row in await service.fetch(reads.CHAMPIONS, {})}
    counts = {row[0]: row[1] for row in await service.fetch(VINTAGES_PER_VERSION, {})}

    def derive(row: Mapping[str, Any]) -> dict[str, Any]:
        figures = row["figures"] or {}
        return {
            "version": row["to_version"],
            "in_production": champions.get(row["model_name"]) == row["to_version"],
            "wmae": figures.get("challenger_wmae"),
            "seasonal_naive_wmae": figures.get("seasonal_naive_wmae"),
            "champion_wmae": figures.get("champion_wmae"),
            "vintages": counts.get(row["to_version"], 0),
        }

    listing = Listing("models", Model, reads.judged_versions(), reads.PROMOTIONS_ORDER, derive=derive)
    return await list_response(request, service, query, listing)
