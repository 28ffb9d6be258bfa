"""SVD + STL + exponential smoothing, for all series at once: the competition winner's best single model.

Each department's stores are smoothed towards each other (SVD), split into a yearly pattern, a trend and a rest (STL
with a periodic season; Cleveland et al. 1990, J. Official Statistics 6), and what is left without the season is carried
forward by simple exponential smoothing. Without robustness weights STL is linear: two T x T matrices do every series.
"""

import numpy as np
from numpy.typing import NDArray

from demand_assets.forecasting.smoothing import smooth_departments
from demand_assets.forecasting.weeks import WEEKS_PER_YEAR

RANK = 12
TWO_YEARS = 2 * WEEKS_PER_YEAR
# From here on every week of the year was seen once, and the trend can be told from it in a few.
LEAST_WEEKS = WEEKS_PER_YEAR + 8
# Cleveland's rule for a periodic season: the smallest odd number over 1.5 periods.
TREND_WINDOW = 79
INNER_PASSES = 2
FIRST_LEVEL_WEEKS = 8
ALPHAS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98)


def decompose(
    sales: NDArray[np.float64], dept: NDArray[np.int64], width: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(T, S) season and (S,) newest level without it, in the unit of sales, of (T, S) sales that may be NaN.

    Level plus a week's season is the forecast of a week like it. T is at least `LEAST_WEEKS`; `dept` (S,) is 0..D-1;
    `width` as for `smooth_departments`.
    """
    smooth, _ = smooth_departments(sales, dept, RANK, width)
    season = _season(smooth)
    return season, _level(smooth - season)


def _season(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, S) yearly pattern of each series, with mean 0 over a year."""
    weeks = len(values)
    phase = np.arange(weeks) % WEEKS_PER_YEAR
    same = (phase[:, None] == phase[None, :]).astype(float)
    cycle_mean = same / same.sum(axis=1, keepdims=True)
    loess = _loess(weeks, TREND_WINDOW)
    season = np.zeros_like(values)
    for _ in range(INNER_PASSES):
        trend = loess @ (values - season)
        season = cycle_mean @ (values - trend)
        season -= season[:WEEKS_PER_YEAR].mean(axis=0)
    return season


def _loess(weeks: int, window: int) -> NDArray[np.float64]:
    """(T, T) local linear regression with tricube weights over the `window` nearest weeks, as a matrix."""
    time = np.arange(weeks, dtype=float)
    distance = np.abs(time[:, None] - time[None, :])
    reach = np.sort(distance, axis=1)[:, min(window, weeks) - 1 : min(window, weeks)]
    # Past the ends of a short series Cleveland widens the reach in proportion.
    reach *= max(window / weeks, 1.0)
    weight = np.clip(1 - (distance / (reach + 1)) ** 3, 0, None) ** 3
    weight /= weight.sum(axis=1, keepdims=True)
    centre = weight @ time
    offset = time[None, :] - centre[:, None]
    spread = (weight * offset**2).sum(axis=1)
    return weight * (1 + ((time - centre) / spread)[:, None] * offset)


def _level(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(S,) last level of each (T, S) series by simple exponential smoothing, alpha by the least one-step error."""
    alphas = np.array(ALPHAS)[:, None]
    level = np.broadcast_to(values[:FIRST_LEVEL_WEEKS].mean(axis=0), (len(ALPHAS), values.shape[1])).copy()
    error = np.zeros_like(level)
    for now in values:
        missed = now - level
        error += missed**2
        level += alphas * missed
    return np.take_along_axis(level, error.argmin(axis=0)[None, :], axis=0)[0]
