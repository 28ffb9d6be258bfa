"""What a history allows: which rule gave the base of a forecast, and how many weeks each method needs."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.forecasting.baselines import BASE, SEASONAL_NAIVE
from demand_assets.forecasting.decomposition import TWO_YEARS
from demand_assets.forecasting.features.naive import AVERAGE_WEEKS
from demand_assets.forecasting.weeks import WEEKS_PER_YEAR

SINGLE_WEEK, DORMANT, NO_LAST_YEAR, FULL = "single week", "dormant", "no last year", "full history"
METHODS = {
    SINGLE_WEEK: "One week of sales in the last 52: its level, moved by the department's season",
    DORMANT: "No sales in the last 8 weeks: last year's or the yearly level; look before ordering",
    NO_LAST_YEAR: "New or restarted, no sales at the like week last year: recent level in the department's season",
    FULL: "Last year, recent growth and decomposition",
}


def method_of(features: pd.DataFrame) -> NDArray[np.str_]:
    """(n,) name in `METHODS` of what each row of demand_features starts from; the model corrects all of them."""
    conditions = [
        features["weeks_observed"].to_numpy() == 1,
        features["mean_8"].isna().to_numpy(),
        features["last_year"].isna().to_numpy(),
    ]
    return np.select(conditions, [SINGLE_WEEK, DORMANT, NO_LAST_YEAR], FULL)


# A model is judged when two horizons of origins, or half a year of them, lie before the origin to learn from.
ENOUGH_ORIGINS = 26
MODEL = "model"
# Weeks between two origins of the backtest, unless set otherwise.
STEP_WEEKS = 4


def weeks_to_learn(horizon_weeks: int) -> int:
    """How many origins lie before the first one that a model is judged at."""
    return min(2 * horizon_weeks, ENOUGH_ORIGINS)


def weeks_to_judge(horizon_weeks: int) -> int:
    """How many targets of an origin must be known before it is scored: half of them.

    Waiting for all would leave out the weeks in which a change shows first; one or two of many prove little.
    """
    return (horizon_weeks + 1) // 2


def weeks_needed(horizon_weeks: int, step_weeks: int = STEP_WEEKS) -> Mapping[str, int]:
    """Weeks of history from which each method is itself, least first: before, a baseline repeats a simpler one.

    The `MODEL` needs a year before its first origin, origins to learn from, and targets to be judged by; the origins
    of the backtest lie `step_weeks` apart on a grid, so that it may take so many weeks less one more.
    """
    a_year_ago = WEEKS_PER_YEAR + 1
    return {
        "last_value": 1,
        "tsb": 1,
        "moving_average": AVERAGE_WEEKS,
        SEASONAL_NAIVE: a_year_ago,
        "aligned_seasonal_naive": a_year_ago,
        BASE: a_year_ago,
        MODEL: a_year_ago + weeks_to_learn(horizon_weeks) + weeks_to_judge(horizon_weeks) + step_weeks - 1,
        "svd_stl": TWO_YEARS,
    }


def methods_for(weeks: int, horizon_weeks: int) -> list[str]:
    """The methods for which so many weeks of history are enough, least demanding first."""
    return [name for name, least in weeks_needed(horizon_weeks).items() if least <= weeks]


def history_needs(weeks: int, horizon_weeks: int) -> str:
    """In words, for messages: how many weeks there are, and how many each method needs."""
    needed = ", ".join(f"{name} {least}" for name, least in weeks_needed(horizon_weeks).items())
    return f"history has {weeks} weeks; needed are: {needed}"
