"""Which rule gave the base of a forecast: with little history it is not last year and the decomposition."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
