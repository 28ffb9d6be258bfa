"""Baselines in one interface: (panel, features) -> (n,) forecasts in USD, one per row of the features.

A model that does not beat these has no value added (FVA).
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from demand_assets.forecasting.panel import Panel
from demand_assets.forecasting.weeks import WEEKS_PER_YEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEASONAL_NAIVE = "seasonal_naive"
Baseline = Callable[[Panel, pd.DataFrame], "NDArray[np.float64]"]


def _places(panel: Panel, features: pd.DataFrame) -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
    """Row of the origin and column of the series in the panel, for each row of the features."""
    series = pd.MultiIndex.from_frame(panel.series[["store_id", "dept_id"]])
    column = series.get_indexer(pd.MultiIndex.from_frame(features[["store_id", "dept_id"]]))
    return panel.position(pd.DatetimeIndex(features["origin_week"])), column


def _last_values(panel: Panel) -> "NDArray[np.float64]":
    """(T, S) the newest value at or before each week."""
    rows = np.arange(len(panel.weeks))[:, None]
    newest = np.maximum.accumulate(np.where(np.isnan(panel.sales), -1, rows), axis=0)
    values = np.take_along_axis(panel.sales, np.maximum(newest, 0), axis=0)
    return np.where(newest >= 0, values, np.nan)


def last_value(panel: Panel, features: pd.DataFrame) -> "NDArray[np.float64]":
    """The newest value known at the origin."""
    origin, column = _places(panel, features)
    return _last_values(panel)[origin, column]


def seasonal_naive(panel: Panel, features: pd.DataFrame) -> "NDArray[np.float64]":
    """The value 52 weeks before the target (104 and more when that is past the origin), else the last value."""
    origin, column = _places(panel, features)
    horizon = features["horizon"].to_numpy(dtype=np.int64)
    years = -(-horizon // WEEKS_PER_YEAR)
    row = origin + horizon - WEEKS_PER_YEAR * years
    seasonal = np.where(row >= 0, panel.sales[np.maximum(row, 0), column], np.nan)
    return np.where(np.isnan(seasonal), _last_values(panel)[origin, column], seasonal)


def aligned_seasonal_naive(panel: Panel, features: pd.DataFrame) -> "NDArray[np.float64]":
    """Last year at the aligned week times recent growth: what the model itself starts from."""
    return features["base_usd"].to_numpy(dtype=float)


BASELINES: Mapping[str, Baseline] = {
    SEASONAL_NAIVE: seasonal_naive,
    "aligned_seasonal_naive": aligned_seasonal_naive,
    "last_value": last_value,
}
