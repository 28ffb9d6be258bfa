"""Demand that is often nothing: how large it is when there is some, and how likely there is some, smoothed apart.

Source: Teunter, Syntetos and Babai 2011, European Journal of Operational Research 214. Unlike Croston's method it lets
the forecast of a series that stopped selling fall to 0.
"""

import numpy as np
from numpy.typing import NDArray

SMOOTHING = 0.2
# Over half zeros: a mean over such weeks is no week that ever comes.
INTERMITTENT_SHARE = 0.5


def demand_rates(sales: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, S) expected sales of the weeks after each week: probability of demand times its size, both smoothed.

    `sales` (T, S) may be NaN: an unknown week changes nothing. NaN before a series' first known week. For a series
    without zeros it is simple exponential smoothing.
    """
    size, likely = (np.full(sales.shape[1], np.nan) for _ in range(2))
    rates = np.empty_like(sales)
    for week, now in enumerate(sales):
        known = ~np.isnan(now)
        sold = known & (now != 0)
        size = np.where(sold, _smoothed(size, now), size)
        likely = np.where(known, _smoothed(likely, sold.astype(float)), likely)
        rates[week] = np.where(likely == 0, 0.0, size * likely)
    return rates


def _smoothed(before: NDArray[np.float64], now: NDArray[np.float64]) -> NDArray[np.float64]:
    """(S,) the values before, moved towards those of now; those of now where there were none."""
    return np.where(np.isnan(before), now, before + SMOOTHING * (now - before))
