"""Bodies of how forecasts fared: accuracy, drift, distributions, exceptions."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, Field

from api.parameters import Level
from api.row_models import with_columns
from api.schema_parts import named, nullable, some
from demand_assets.contract import distributions, store
from demand_assets.contract.columns import Column, Type
from demand_assets.contract.store import amount


@with_columns(*named(*store.FORECAST_ACCURACY.columns))
class Accuracy(BaseModel):
    """Accuracy of one vintage for one total in one week."""


@with_columns(
    store.WEEK,
    *some(store.FORECAST_ACCURACY, "points"),
    *nullable(
        *some(store.FORECAST_ACCURACY, "wmae", "bias", "coverage", "fva"),
        amount("seasonal_naive_wmae", "WMAE of seasonal naive"),
        amount("final_wmae", "WMAE of the final numbers, where a planner's counted"),
    ),
    *some(store.FORECAST_ACCURACY, "actual", "total_error", "tracking_signal"),
)
class AccuracyWeek(BaseModel):
    """One week of the published method over all horizons."""


@with_columns(
    *named(store.TOTAL_STORE_ID, store.TOTAL_DEPT_ID),
    Column("model", Type.TEXT, "published: the method of each vintage; a baseline stored with it; or final"),
    Column("weeks", Type.INTEGER, "Weeks scored"),
    *some(store.FORECAST_ACCURACY, "points"),
    *nullable(*some(store.FORECAST_ACCURACY, "wmae", "bias", "coverage", "fva")),
)
class AccuracyModel(BaseModel):
    """One model's scores for one total, of all weeks together."""

    level: Annotated[Level, Field(description="What is summed up.")]


@with_columns(*named(*store.DRIFT_REPORTS.columns))
class Drift(BaseModel):
    """One variable of one group in one week against a reference."""


@with_columns(
    *some(store.DRIFT_REPORTS, "week", "variable", "kind", "severity"),
    Column("warn", Type.INTEGER, "Comparisons with a warning"),
    Column("severe", Type.INTEGER, "Comparisons with a severe drift"),
    *(
        replace(column, name=f"worst_{column.name}")
        for column in some(store.DRIFT_REPORTS, "group_kind", "group_id", "reference")
    ),
    *some(store.DRIFT_REPORTS, "psi", "ks", "mean_shift", "missing_shift"),
)
class DriftWeek(BaseModel):
    """The worst of one variable in one week."""


@with_columns(*distributions.QUANTILES.columns)
class DistributionQuantiles(BaseModel):
    """How one variable of one week is distributed over the series."""


@with_columns(*distributions.HISTOGRAMS.columns)
class DistributionBin(BaseModel):
    """One bin of the histogram of one variable of one week."""


@with_columns(*named(*store.FORECAST_EXCEPTIONS.columns))
class ForecastException(BaseModel):
    """A series whose sales lay outside p10 to p90, by amount at risk."""
