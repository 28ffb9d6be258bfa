"""Sums, means and deviations over windows of weeks, for all weeks and series at once: differences of running sums.

A window's cost does not depend on its length. Float64 throughout: a running sum of 500 weeks loses nothing that a
window of them would show.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

# Columns worked on at once: what stands between a window's steps then stays in the processor's cache.
_COLUMNS = 512


def running(values: "NDArray[np.float64] | NDArray[np.bool_]") -> "Matrix":
    """(T + 1, n) sums of all rows before each, of (T, n) values."""
    sums = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=sums[1:])
    return sums


def window(sums: "Matrix", row: int, weeks: int, ending: int = 0) -> "Matrix":
    """(n,) sum of the `weeks` rows to `row - ending`, itself included, by their running sums."""
    end = max(row + 1 - ending, 0)
    return sums[end] - sums[max(end - weeks, 0)]


def windows(sums: "Matrix", weeks: int) -> "Matrix":
    """(T, n) sums of the `weeks` rows to each, itself included, by their running sums."""
    ends = sums[1:].copy()
    ends[weeks:] -= sums[1:-weeks]
    return ends


def window_statistics(
    values: "Matrix", means: Sequence[int], deviations: Sequence[int], threads: int = 1
) -> "tuple[dict[int, Matrix], dict[int, Matrix]]":
    """(T, n) means and standard deviations (population) by weeks of window, of (T, n) values that may be NaN.

    Of the weeks of a window that have a value; NaN where none has.
    """
    averages = {weeks: np.empty(values.shape) for weeks in means}
    spreads = {weeks: np.empty(values.shape) for weeks in deviations}

    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    total, count = running(filled), running(known)
    square = running(np.multiply(filled, filled, out=filled))

    def fill(first: int) -> None:
        columns = slice(first, first + _COLUMNS)
        for weeks in dict.fromkeys((*means, *deviations)):
            known_weeks = windows(count[:, columns], weeks)
            # Nothing over nothing would be NaN too, but with a sign that differs between processors.
            known_weeks[known_weeks == 0] = np.nan
            mean = windows(total[:, columns], weeks)
            mean /= known_weeks
            if weeks in averages:
                averages[weeks][:, columns] = mean
            if weeks in spreads:
                variance = windows(square[:, columns], weeks)
                variance /= known_weeks
                variance -= np.multiply(mean, mean, out=mean)
                np.sqrt(np.maximum(variance, 0.0, out=variance), out=spreads[weeks][:, columns])

    starts = range(0, values.shape[1], _COLUMNS)
    if threads == 1:
        for first in starts:
            fill(first)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fill, starts))
    return averages, spreads
