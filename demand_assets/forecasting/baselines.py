"""Baselines in one interface: (panel, features) -> (n,) forecasts in USD, one per row of the features.

A model that does not beat these has no value added (FVA).
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from demand_assets.forecasting.decomposition import svd_stl_forecast
from demand_assets.forecasting.panel import Panel
from demand_assets.forecasting.weeks import WEEKS_PER_YEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEASONAL_NAIVE = "seasonal_naive"
AVERAGE_WEEKS = 8
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
    """Last year at the aligned week times recent growth; without a last year the recent level in its season."""
    return features["aligned"].to_numpy(dtype=float) * features["scale_usd"].to_numpy()


def moving_average(panel: Panel, features: pd.DataFrame) -> "NDArray[np.float64]":
    """Mean of the values known in the eight weeks to the origin, else the last value."""
    origin, column = _places(panel, features)
    weeks = np.arange(len(panel.weeks))
    known = ~np.isnan(panel.sales)
    total = np.cumsum(np.where(known, panel.sales, 0.0), axis=0)
    count = np.cumsum(known, axis=0)
    before = weeks >= AVERAGE_WEEKS
    earlier = np.maximum(weeks - AVERAGE_WEEKS, 0)
    total, count = (sums - np.where(before[:, None], sums[earlier], 0) for sums in (total, count))
    mean = np.where(count > 0, total / np.maximum(count, 1), _last_values(panel))
    return mean[origin, column]


def svd_stl(panel: Panel, features: pd.DataFrame) -> "NDArray[np.float64]":
    """SVD + STL + exponential smoothing from two years of history on; before that the seasonal naive forecast."""
    origin, column = _places(panel, features)
    horizon = features["horizon"].to_numpy(dtype=np.int64)
    forecast = seasonal_naive(panel, features)
    for row in np.unique(origin):
        ahead = svd_stl_forecast(panel.sales[: row + 1], panel.series["dept"].to_numpy(), int(horizon.max()))
        if ahead is not None:
            here = origin == row
            forecast[here] = ahead[horizon[here] - 1, column[here]]
    return forecast


BASELINES: Mapping[str, Baseline] = {
    SEASONAL_NAIVE: seasonal_naive,
    "aligned_seasonal_naive": aligned_seasonal_naive,
    "svd_stl": svd_stl,
    "moving_average": moving_average,
    "last_value": last_value,
}
# Where a vintage keeps each baseline beside its own forecast.
BASELINE_COLUMNS: Mapping[str, str] = {name: f"{name}_usd" for name in BASELINES}


def baseline_forecasts(panel: Panel, features: pd.DataFrame) -> "dict[str, NDArray[np.float64]]":
    """Column of `BASELINE_COLUMNS` -> (n,) forecasts in USD, one per row of the features."""
    return {BASELINE_COLUMNS[name]: baseline(panel, features) for name, baseline in BASELINES.items()}
