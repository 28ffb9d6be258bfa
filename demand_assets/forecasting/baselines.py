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
    """Row of the origin and column of the series in the panel, for each row of the features.

    ValueError when the panel lacks a series.
    """
    held, wanted = (
        frame["store_id"].to_numpy(np.int64) << 32 | frame["dept_id"].to_numpy(np.int64)
        for frame in (panel.series, features)
    )
    column = np.minimum(np.searchsorted(held, wanted), len(held) - 1)
    if (held[column] != wanted).any():
        raise ValueError("the features hold a series that is not in the panel")
    return panel.position(pd.DatetimeIndex(features["origin_week"])), column


def _at_origins(
    origin: "NDArray[np.int64]", column: "NDArray[np.int64]", values: "Callable[[int], NDArray[np.float64]]"
) -> "NDArray[np.float64]":
    """`values(row)` (S,) of each origin's row, for each row of the features."""
    found = np.empty(len(origin))
    for row in np.unique(origin):
        here = origin == row
        found[here] = values(int(row))[column[here]]
    return found


def _newest(sales: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """(S,) the newest value of each series of (T, S) sales, NaN where there is none."""
    back = np.argmax(~np.isnan(sales[::-1]), axis=0)
    return sales[len(sales) - 1 - back, np.arange(sales.shape[1])]


def last_value(panel: Panel, features: pd.DataFrame) -> "NDArray[np.float64]":
    """The newest value known at the origin."""
    return _at_origins(*_places(panel, features), lambda row: _newest(panel.sales[: row + 1]))


def seasonal_naive(panel: Panel, features: pd.DataFrame) -> "NDArray[np.float64]":
    """The value 52 weeks before the target (104 and more when that is past the origin), else the last value."""
    origin, column = _places(panel, features)
    horizon = features["horizon"].to_numpy(dtype=np.int64)
    years = -(-horizon // WEEKS_PER_YEAR)
    row = origin + horizon - WEEKS_PER_YEAR * years
    seasonal = np.where(row >= 0, panel.sales[np.maximum(row, 0), column], np.nan)
    return np.where(np.isnan(seasonal), last_value(panel, features), seasonal)


def aligned_seasonal_naive(panel: Panel, features: pd.DataFrame) -> "NDArray[np.float64]":
    """Last year at the aligned week times recent growth; without a last year the recent level in its season."""
    return features["aligned"].to_numpy(dtype=float) * features["scale"].to_numpy()


def moving_average(panel: Panel, features: pd.DataFrame) -> "NDArray[np.float64]":
    """Mean of the values known in the eight weeks to the origin, else the last value."""

    def mean(row: int) -> "NDArray[np.float64]":
        recent = panel.sales[max(row + 1 - AVERAGE_WEEKS, 0) : row + 1]
        known = (~np.isnan(recent)).sum(axis=0)
        return np.where(known > 0, np.nansum(recent, axis=0) / np.maximum(known, 1), _newest(panel.sales[: row + 1]))

    return _at_origins(*_places(panel, features), mean)


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
BASELINE_COLUMNS: Mapping[str, str] = {name: f"{name}" for name in BASELINES}


def baseline_forecasts(panel: Panel, features: pd.DataFrame) -> "dict[str, NDArray[np.float64]]":
    """Column of `BASELINE_COLUMNS` -> (n,) forecasts in USD, one per row of the features."""
    return {BASELINE_COLUMNS[name]: baseline(panel, features) for name, baseline in BASELINES.items()}
