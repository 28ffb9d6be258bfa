"""Forecast errors, as the field measures them. Numbers are in the unit of sales; error is forecast - actual."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from demand_assets.forecasting.intervals import COLUMNS, QUANTILES

HOLIDAY_WEIGHT = 5


def _error(actual: ArrayLike, forecast: ArrayLike) -> NDArray[np.float64]:
    error = np.asarray(forecast, dtype=float) - np.asarray(actual, dtype=float)
    if error.size == 0 or np.isnan(error).any():
        raise ValueError(
            f"every point needs a forecast and an actual; got {error.size} points, {int(np.isnan(error).sum())} without"
        )
    return error


def shown(value: float) -> str:
    """A loss for people: whole numbers from 100 on, two decimals below."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"


def wmae(actual: ArrayLike, forecast: ArrayLike, is_holiday: ArrayLike) -> float:
    """Weighted mean absolute error, weight 5 in holiday weeks; 0 is perfect. Source: Walmart competition rules."""
    weight = np.where(np.asarray(is_holiday, dtype=bool), HOLIDAY_WEIGHT, 1)
    return float(np.average(np.abs(_error(actual, forecast)), weights=weight))


def bias(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Mean signed error; positive: forecasts are too high."""
    return float(_error(actual, forecast).mean())


def score(points: pd.DataFrame, by: list[str] | None = None) -> pd.DataFrame:
    """[model, *by, points, wmae, mae, rmse, bias] of a backtest frame; rows without an actual do not count.

    `points` needs model, forecast, actual, is_holiday and the columns of `by`.
    """
    known = points[points["actual"].notna()]
    error = known["forecast"].to_numpy() - known["actual"].to_numpy()
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


def coverage(points: pd.DataFrame) -> float:
    """Share of known actuals within p10..p90; NaN without any."""
    known = points[points["actual"].notna()]
    inside = (known["actual"] >= known["p10"]) & (known["actual"] <= known["p90"])
    return float(inside.mean()) if len(known) else float(np.nan)


def interval_score(points: pd.DataFrame, by: list[str] | None = None) -> pd.DataFrame:
    """[model, *by, coverage, width, pinball] of a backtest frame; rows without an actual do not count.

    Coverage is the share within p10..p90 and width their mean distance. The pinball loss is the mean over p10, p50 and
    p90 of q (actual - quantile) where the actual is above, else (1 - q) (quantile - actual); 0 is perfect. Source:
    Koenker and Bassett 1978, Econometrica 46.
    """
    known = points[points["actual"].notna()]
    actual = known["actual"].to_numpy()
    missed = actual[:, None] - known[list(COLUMNS)].to_numpy()
    levels = np.array(QUANTILES)
    scored = known[["model", *(by or [])]].assign(
        coverage=((missed[:, 0] >= 0) & (missed[:, -1] <= 0)).astype(float),
        width=known["p90"] - known["p10"],
        pinball=np.maximum(levels * missed, (levels - 1) * missed).mean(axis=1),
    )
    return scored.groupby(["model", *(by or [])], sort=True, observed=True).mean().reset_index()


def forecast_value_added(scores: pd.DataFrame, model: str) -> pd.DataFrame:
    """[baseline, *by, fva, fva_share] of `score`'s frame: baseline WMAE less the model's; positive is better."""
    by = [name for name in scores.columns if name not in ("model", "points", "wmae", "mae", "rmse", "bias")]
    own = scores.loc[scores["model"] == model, [*by, "wmae"]].rename(columns={"wmae": "own"})
    others = scores.loc[scores["model"] != model, ["model", *by, "wmae"]].rename(columns={"model": "baseline"})
    both = others.merge(own, on=by) if by else others.merge(own, how="cross")
    added = both.assign(fva=both["wmae"] - both["own"], fva_share=1 - both["own"] / both["wmae"])
    return added[["baseline", *by, "fva", "fva_share"]]


def calibration_curve(points: pd.DataFrame, by: str) -> pd.DataFrame:
    """[by, quantile, observed]: share of known actuals at or below each of p10, p50, p90, by a column of `points`."""
    known = points[points["actual"].notna()]
    below = known["actual"].to_numpy()[:, None] <= known[list(COLUMNS)].to_numpy()
    wide = pd.DataFrame(below.astype(float), columns=list(QUANTILES)).assign(**{by: known[by].to_numpy()})
    return wide.groupby(by, sort=True).mean().reset_index().melt(by, var_name="quantile", value_name="observed")
