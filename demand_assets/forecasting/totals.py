"""Totals of stores, departments and the chain: forecasts that add up, and intervals from the totals' own errors.

A total's forecast is the sum of its series' forecasts, so store totals and department totals both sum to the chain
(bottom-up; Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 11.2). Its quantiles are not sums of
quantiles, which would take the series' errors for one error: the backtest's forecasts are summed the same way, and the
errors of those sums, divided by the sum of the series' scales, are calibrated per level (see intervals.py).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from demand_assets.errors import ModelError
from demand_assets.forecasting.backtest import WARM_UP_ORIGINS
from demand_assets.forecasting.baselines import model_rows
from demand_assets.forecasting.drivers import ALL
from demand_assets.forecasting.intervals import COLUMNS as QUANTILE_COLUMNS
from demand_assets.forecasting.intervals import INPUTS, QUANTILES, Calibration, calibrate

STORE, DEPARTMENT, CHAIN = "store", "department", "chain"
LEVELS: Mapping[str, Sequence[str]] = {STORE: ["store_id"], DEPARTMENT: ["dept_id"], CHAIN: []}
COLUMNS = (
    "level",
    "store_id",
    "dept_id",
    "origin_week",
    "target_week",
    "horizon",
    "forecast",
    *QUANTILE_COLUMNS,
    "series",
)
# Below this a level's own tails hold a handful of errors, and Student's t, wider with fewer origins, speaks for them.
MIN_POINTS = 50
# A spread takes two errors, and a third to be worth one.
MIN_SPREAD_POINTS = 3
# Of the sum of absolute forecasts: what adding up in another order may change.
TOLERANCE = 1e-9

_WEEKS = ["origin_week", "target_week", "horizon"]
_SERIES = ["store_id", "dept_id", "origin_week", "target_week"]


def total(forecast: pd.DataFrame, calibrations: Mapping[str, Calibration]) -> pd.DataFrame:
    """One row per level x store or department x origin x target, columns `COLUMNS`; ids of no one are `ALL`.

    `forecast` has one row per series x origin x target: [store_id, dept_id, origin_week, target_week, horizon,
    forecast, scale, is_holiday]. ModelError when a series is there twice or a forecast or scale is missing.
    """
    twice = int(forecast.duplicated(_SERIES).sum())
    missing = int(forecast[["forecast", "scale"]].isna().any(axis=1).sum())
    if twice or missing:
        raise ModelError(
            f"expected one forecast and scale per series and target week, got {twice} doubled and {missing} without; "
            "materialise demand_features and weekly_forecast for the same week"
        )
    totals = _summed(forecast, ["forecast", "scale"])
    return totals.join(_with_intervals(totals, calibrations))[list(COLUMNS)]


def total_points(points: pd.DataFrame) -> pd.DataFrame:
    """Backtest points of the trained model added up, one row per level x store or department x origin x target.

    Keys, is_holiday, and the sums forecast, actual, scale of its series with an actual; how many they are.
    """
    own = model_rows(points)
    return _summed(own[own["actual"].notna()], ["forecast", "actual", "scale"])


def calibrate_totals(totals: pd.DataFrame, horizon_weeks: int) -> dict[str, Calibration]:
    """Calibration per level from the errors of `total_points`: conformal, or Student's t below `MIN_POINTS` of them.

    A level with under `MIN_SPREAD_POINTS` has none: its quantiles are the forecast.
    """
    return {level: _calibrated(totals[totals["level"] == level], level, horizon_weeks) for level in LEVELS}


def rolling_coverage(totals: pd.DataFrame, horizon_weeks: int, first: int = WARM_UP_ORIGINS) -> pd.DataFrame:
    """Shares of totals below, within and above p10..p90 out of sample: [level, points, weeks, below, coverage, above].

    Each origin after the first `first` is scored with intervals from the errors known at it. A level that no earlier
    error could calibrate has no row.
    """
    scored = [totals.iloc[:0].assign(**dict.fromkeys(QUANTILE_COLUMNS, np.nan))]
    for origin in np.unique(totals["origin_week"])[first:]:
        calibrations = calibrate_totals(totals[totals["target_week"] <= origin], horizon_weeks)
        judged = [level for level, calibration in calibrations.items() if not calibration.is_none]
        now = totals[(totals["origin_week"] == origin) & totals["level"].isin(judged)].reset_index(drop=True)
        scored.append(now.join(_with_intervals(now, calibrations)))
    points = pd.concat(scored[1:] or scored, ignore_index=True)
    below, above = points["actual"] < points["p10"], points["actual"] > points["p90"]
    return (
        points.assign(below=below, coverage=~(below | above), above=above)
        .groupby("level", sort=False)
        .agg(
            points=("actual", "size"),
            weeks=("target_week", "nunique"),
            below=("below", "mean"),
            coverage=("coverage", "mean"),
            above=("above", "mean"),
        )
        .reset_index()
    )


def differences(totals: pd.DataFrame, forecast: pd.DataFrame) -> pd.DataFrame:
    """Each total against its series: [level, store_id, dept_id, target_week, total, sum_of_series, agrees].

    NaN where one side is missing. `agrees` allows `TOLERANCE` of the sum of absolute forecasts.
    """
    keys = ["level", "store_id", "dept_id", "origin_week", "target_week"]
    sums = _summed(forecast.assign(size=forecast["forecast"].abs()), ["forecast", "size"])
    both = totals[[*keys, "forecast"]].merge(sums, on=keys, how="outer", suffixes=("_total", "_series"))
    both = both.rename(columns={"forecast_total": "total", "forecast_series": "sum_of_series"})
    # NaN compares false: a total without series, or series without a total, do not agree.
    agrees = (both["total"] - both["sum_of_series"]).abs() <= TOLERANCE * both["size"]
    return both.assign(agrees=agrees)[[*keys, "total", "sum_of_series", "agrees"]]


def _summed(rows: pd.DataFrame, sums: Sequence[str]) -> pd.DataFrame:
    """One row per level x group x origin x target: keys, is_holiday where there is one, the sums, number of series."""
    kept = [name for name in ("is_holiday",) if name in rows.columns]
    how = {**{name: (name, "sum") for name in sums}, **{name: (name, "max") for name in kept}}
    parts = [
        rows.groupby([*group, *_WEEKS], sort=True)
        .agg(**how, series=("forecast", "size"))
        .reset_index()
        .assign(level=level, **{name: ALL for name in ("store_id", "dept_id") if name not in group})
        for level, group in LEVELS.items()
    ]
    totals = pd.concat(parts, ignore_index=True)
    return totals.astype({"store_id": "int32", "dept_id": "int32", "horizon": "int16", "series": "int32"})


def _with_intervals(totals: pd.DataFrame, calibrations: Mapping[str, Calibration]) -> pd.DataFrame:
    """The quantiles of totals, each from its level's calibration, on the same index."""
    parts = [
        pd.DataFrame(
            calibrations[str(level)].intervals(*(rows[name].to_numpy() for name in INPUTS)),
            index=rows.index,
        )
        for level, rows in totals.groupby("level", sort=False)
    ]
    return pd.concat(parts) if parts else pd.DataFrame(columns=list(QUANTILE_COLUMNS), index=totals.index)


def _calibrated(totals: pd.DataFrame, level: str, horizon_weeks: int) -> Calibration:
    if len(totals) < MIN_SPREAD_POINTS:
        return Calibration.none()
    if len(totals) < MIN_POINTS:
        scale = totals["scale"].to_numpy()
        errors = (totals["actual"].to_numpy() - totals["forecast"].to_numpy()) / scale
        return _student(errors, totals["origin_week"].nunique())
    if level != CHAIN:
        return calibrate(totals, horizon_weeks)
    # One chain has no sizes to tell apart: segments of its scale would be stretches of time.
    unit = totals.assign(
        forecast=totals["forecast"] / totals["scale"],
        actual=totals["actual"] / totals["scale"],
        scale=1.0,
    )
    return Calibration(np.empty(0), calibrate(unit, horizon_weeks).offsets[:1])


def _student(errors: NDArray[np.float64], origins: int) -> Calibration:
    """Quantiles of one more of some normal errors, for every size and horizon: mean + t(n - 1) s sqrt(1 + 1/n).

    n is the number of origins: the targets of one share its level and so its error. Source: the prediction interval of
    a normal sample (Hahn and Meeker, Statistical Intervals, 4.8).
    """
    spread = errors.std(ddof=1) * np.sqrt(1 + 1 / origins)
    offsets = errors.mean() + stdtrit(max(origins - 1, 1), QUANTILES) * spread
    return Calibration(np.empty(0), np.tile(offsets, (1, 1, 2, 1)))
