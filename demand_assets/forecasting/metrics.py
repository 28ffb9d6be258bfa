"""Forecast errors, as the field measures them. Money is USD; error is forecast - actual."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

HOLIDAY_WEIGHT = 5


def _error(actual: "ArrayLike", forecast: "ArrayLike") -> "NDArray[np.float64]":
    error = np.asarray(forecast, dtype=float) - np.asarray(actual, dtype=float)
    if error.size == 0 or np.isnan(error).any():
        raise ValueError(
            f"every point needs a forecast and an actual; got {error.size} points, {int(np.isnan(error).sum())} without"
        )
    return error


def wmae(actual: "ArrayLike", forecast: "ArrayLike", is_holiday: "ArrayLike") -> float:
    """Weighted mean absolute error, weight 5 in holiday weeks; 0 is perfect. Source: Walmart competition rules."""
    weight = np.where(np.asarray(is_holiday, dtype=bool), HOLIDAY_WEIGHT, 1)
    return float(np.average(np.abs(_error(actual, forecast)), weights=weight))


def mae(actual: "ArrayLike", forecast: "ArrayLike") -> float:
    """Mean absolute error."""
    return float(np.abs(_error(actual, forecast)).mean())


def rmse(actual: "ArrayLike", forecast: "ArrayLike") -> float:
    """Root mean squared error."""
    return float(np.sqrt(np.square(_error(actual, forecast)).mean()))


def bias(actual: "ArrayLike", forecast: "ArrayLike") -> float:
    """Mean signed error; positive: forecasts are too high."""
    return float(_error(actual, forecast).mean())


def score(points: pd.DataFrame, by: list[str] | None = None) -> pd.DataFrame:
    """[model, *by, points, wmae, mae, rmse, bias] of a backtest frame; rows without an actual do not count.

    `points` needs model, forecast_usd, actual_usd, is_holiday and the columns of `by`.
    """
    known = points[points["actual_usd"].notna()]
    error = known["forecast_usd"].to_numpy() - known["actual_usd"].to_numpy()
    weight = np.where(known["is_holiday"].to_numpy(dtype=bool), HOLIDAY_WEIGHT, 1.0)
    sums = (
        known[["model", *(by or [])]]
        .assign(points=1, weight=weight, weighted=weight * np.abs(error), mae=np.abs(error), rmse=error**2, bias=error)
        .groupby(["model", *(by or [])], sort=True, observed=True)
        .sum()
    )
    for name in ("mae", "rmse", "bias"):
        sums[name] /= sums["points"]
    sums["rmse"] = np.sqrt(sums["rmse"])
    sums["wmae"] = sums["weighted"] / sums["weight"]
    return sums[["points", "wmae", "mae", "rmse", "bias"]].reset_index()
