"""How forecasts fared: accuracy, drift, exceptions."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.cursors import decode_snapshot_token
from api.documents import list_responses
from api.listing import Listing, list_response
from api.monitoring_schemas import (
    Accuracy,
    AccuracyModel,
    AccuracyWeek,
    DistributionBin,
    DistributionQuantiles,
    Drift,
    DriftWeek,
    ForecastException,
)
from api.parameters import (
    HorizonFilter,
    Id,
    Level,
    NameFilter,
    PeriodParameters,
    SeriesFilters,
    VintageFilter,
    WeekFilter,
)
from api.problems import ProblemError
from api.routes.existence import find_series, find_vintage, require_level
from api.service import ServiceDep
from demand_assets.store.reads import accuracy as reads

router = APIRouter(prefix="/v1", tags=["Monitoring"])


class AccuracyParameters(SeriesFilters, PeriodParameters):
    """Which scores."""

    level: Annotated[Level | None, Field(description="Only totals of this kind.")] = None
    model: NameFilter = None
    horizon: HorizonFilter = None
    vintage_id: VintageFilter = None


@router.get("/accuracy", summary="Realised accuracy", **list_responses(Accuracy, 404))
async def list_accuracy(
    request: Request, service: ServiceDep, query: Annotated[AccuracyParameters, Query()]
) -> Response:
    """Accuracy of each vintage for each total, beside the baselines stored with it; FVA is against seasonal naive."""
    series = await find_series(service, query)
    if query.vintage_id is not None:
        await find_vintage(service, vintage_id=query.vintage_id)
    filters = series | query.model_dump(include={"level", "model", "horizon", "vintage_id"})
    statement = reads.accuracy(filters, query.start, query.end)
    listing = Listing("accuracy", Accuracy, statement, reads.ACCURACY_ORDER)
    return await list_response(request, service, query, listing)


class AccuracyWeeksParameters(SeriesFilters, PeriodParameters):
    """Which totals' scores by week."""

    level: Annotated[Level, Field(description="Totals of this kind; several are pooled, each by its points.")] = "chain"


@router.get("/accuracy/weeks", summary="Realised accuracy by week", **list_responses(AccuracyWeek, 404))
async def list_accuracy_weeks(
    request: Request, service: ServiceDep, query: Annotated[AccuracyWeeksParameters, Query()]
) -> Response:
    """One row per week of the published model over all horizons, each by its points; the oldest week first."""
    series = await find_series(service, query)
    require_level(query.level, query)
    if query.level != "chain" and not any(series.values()):
        raise ProblemError(404, f"level {query.level} has no total over all; name one, or ask for level=chain")
    statement, order = reads.accuracy_weeks(query.level, **series, start=query.start, end=query.end)
    listing = Listing("accuracy-weeks", AccuracyWeek, statement, order)
    return await list_response(request, service, query, listing)


class AccuracyModelsParameters(SeriesFilters, PeriodParameters):
    """Which totals' scores."""

    level: Annotated[Level, Field(description="Totals of this kind.")] = "chain"
    horizon: HorizonFilter = None


@router.get("/accuracy/models", summary="Model beside baselines", **list_responses(AccuracyModel, 404))
async def list_accuracy_models(
    request: Request, service: ServiceDep, query: Annotated[AccuracyModelsParameters, Query()]
) -> Response:
    """One row per total and model, all weeks together, by their points: the published method and its baselines."""
    series = await find_series(service, query)
    require_level(query.level, query)
    period = query.model_dump(include={"horizon", "start", "end"})
    statement, order = reads.accuracy_models(query.level, **series, **period)
    listing = Listing("accuracy-models", AccuracyModel, statement, order, shared={"level": query.level})
    return await list_response(request, service, query, listing)


class DriftParameters(PeriodParameters):
    """Which comparisons."""

    week: WeekFilter = None
    reference: Annotated[Literal["training", "last_season"] | None, Field(description="Compared with this.")] = None
    group_kind: Annotated[
        Literal["chain", "store_type", "dept_group", "department", "store"] | None,
        Field(description="Only groups of this kind."),
    ] = None
    group_id: Annotated[
        Id | None, Field(description="Only this store, department or type; `all` with group_kind=chain.")
    ] = None
    variable: NameFilter = None
    severity: Annotated[
        Literal["none", "few", "warn", "severe"] | None, Field(description="Only of this severity.")
    ] = None


@router.get("/drift", summary="Drift", **list_responses(Drift))
async def list_drift(request: Request, service: ServiceDep, query: Annotated[DriftParameters, Query()]) -> Response:
    """Each variable of each group and week against the model's training and the same season last year."""
    filters = query.model_dump(include={"week", "reference", "group_kind", "group_id", "variable", "severity"})
    listing = Listing("drift", Drift, reads.drift(filters, query.start, query.end), reads.DRIFT_ORDER)
    return await list_response(request, service, query, listing)


@router.get("/drift/weeks", summary="Drift by week", **list_responses(DriftWeek))
async def list_drift_weeks(
    request: Request, service: ServiceDep, query: Annotated[PeriodParameters, Query()]
) -> Response:
    """One row per week and variable: its worst comparison, and how many warn or are severe."""
    statement, order = reads.drift_weeks(query.start, query.end)
    return await list_response(request, service, query, Listing("drift-weeks", DriftWeek, statement, order))


class DistributionParameters(PeriodParameters):
    """Which distributions."""

    week: WeekFilter = None
    variable: NameFilter = None
    sample: Annotated[
        Literal["week", "last_season"] | None, Field(description="Only of the week, or of the same season last year.")
    ] = None


@router.get("/distributions", summary="Distributions", **list_responses(DistributionQuantiles))
async def list_distributions(
    request: Request, service: ServiceDep, query: Annotated[DistributionParameters, Query()]
) -> Response:
    """Quantiles of each feature and of the forecast over the series, by week, and of the same season last year."""
    statement, order = reads.quantiles(_filters_of(query), query.start, query.end)
    return await list_response(
        request, service, query, Listing("distributions", DistributionQuantiles, statement, order)
    )


@router.get("/distributions/histograms", summary="Histograms", **list_responses(DistributionBin))
async def list_histograms(
    request: Request, service: ServiceDep, query: Annotated[DistributionParameters, Query()]
) -> Response:
    """Their histograms: one row per bin that has a value. All weeks have the same bins."""
    statement, order = reads.histograms(_filters_of(query), query.start, query.end)
    return await list_response(request, service, query, Listing("histograms", DistributionBin, statement, order))


def _filters_of(query: DistributionParameters) -> dict[str, Any]:
    return query.model_dump(include={"week", "variable", "sample"})


class ExceptionsParameters(SeriesFilters):
    """Which exceptions."""

    week: WeekFilter = None


@router.get("/exceptions", summary="Exceptions", **list_responses(ForecastException, 404))
async def list_exceptions(
    request: Request, service: ServiceDep, query: Annotated[ExceptionsParameters, Query()]
) -> Response:
    """Series whose sales lay outside p10 to p90, by money at risk; of the newest week with any unless one is named."""
    series = await find_series(service, query)
    week: date | None = query.week or decode_snapshot_token(request, query.cursor, date.fromisoformat)
    week = week or await service.fetch_value(reads.NEWEST_EXCEPTIONS)
    listing = Listing(
        "exceptions",
        ForecastException,
        reads.exceptions(week, **series),
        reads.EXCEPTIONS_ORDER,
        extra={"week": week},
        snapshot_token=week.isoformat() if week else None,
    )
    return await list_response(request, service, query, listing)
