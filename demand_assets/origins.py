"""The origins that the stored history allows: which get features, which judge a model, which one may learn from."""

from collections.abc import Iterable, Sequence

import pandas as pd

from demand_assets.adapters.parquet import ParquetLake
from demand_assets.forecasting.short_history import model_origins, origins_to_build, with_a_year_behind
from demand_assets.forecasting.weeks import add_weeks
from demand_assets.partitions import week_key
from demand_assets.resources import Training

# So many of the newest weeks before the first forecast get one each, as if they had been delivered one by one.
DELIVERED_WEEKS = 8


def wanted_origins(landed: Iterable[str], training: Training) -> list[str]:
    """Of the weeks that have landed those that get features, in order."""
    weeks = pd.DatetimeIndex([*landed])
    return [week_key(week) for week in origins_to_build(weeks, training.feature_origins, *_judging(training))]


def judged_origins(lake: ParquetLake, training: Training, as_of: str) -> list[pd.Timestamp]:
    """The origins that a model of a week is judged at; none where history is too short for a model."""
    stored, landed = (pd.DatetimeIndex(lake.partitions(table)) for table in ("demand_features", "raw_sales"))
    return model_origins(stored, landed, pd.Timestamp(as_of), *_judging(training))


def serving_origin(judged: Sequence[pd.Timestamp], as_of: pd.Timestamp) -> pd.Timestamp:
    """Of the origins that a model of a week is judged at the one whose model forecasts the `DELIVERED_WEEKS` before it.

    The newest one before all of these weeks, so that it knew none of their sales.
    """
    early = [origin for origin in judged if origin <= add_weeks(as_of, -DELIVERED_WEEKS)]
    return max(early, default=min(judged))


def features_up_to(lake: ParquetLake, training: Training, as_of: str) -> list[str]:
    """Origins with stored features up to a week: those with a last year, of a history too short for a model all."""
    stored = [key for key in lake.partitions("demand_features") if key <= as_of]
    return comparable_origins(lake, stored) if judged_origins(lake, training, as_of) else stored


def comparable_origins(lake: ParquetLake, origins: Iterable[str]) -> list[str]:
    """Of some origins those whose features have a last year."""
    able = with_a_year_behind(pd.DatetimeIndex([*origins]), pd.DatetimeIndex(lake.partitions("raw_sales")))
    return [week_key(week) for week in able]


def _judging(training: Training) -> tuple[int, int, int]:
    return training.backtest_origins, training.backtest_step_weeks, training.horizon_weeks
