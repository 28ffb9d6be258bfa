"""Sums, means and deviations over windows of weeks, for all weeks and series at once: differences of running sums.

A window's cost does not depend on its length. Float64 throughout: a running sum of 500 weeks loses nothing that a
window of them would show.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    Matrix = NDArray[np.float64]

# Columns worked on at once: what stands between a window's steps then stays in the processor's cache.
_COLUMNS = 256


def running(values: "NDArray[np.float64] | NDArray[np.bool_]") -> "Matrix":
    """(T + 1, n) sums of all rows before each, of (T, n) values."""
    sums = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=sums[1:])
    return sums


def window(sums: "Matrix", row: int, weeks: int, ending: int = 0) -> "Matrix":
    """(n,) sum of the `weeks` rows to `row - ending`, itself included, by their running sums."""
    end = max(row + 1 - ending, 0)
    return sums[end] - sums[max(end - weeks, 0)]


def windows(sums: "Matrix", weeks: int, out: "Matrix | None" = None) -> "Matrix":
    """(T, n) sums of the `weeks` rows to each, itself included, by their running sums."""
    found = np.empty((len(sums) - 1, sums.shape[1])) if out is None else out
    found[:weeks] = sums[1 : weeks + 1]
    np.subtract(sums[weeks + 1 :], sums[1:-weeks], out=found[weeks:])
    return found


def window_statistics(
    values: "Matrix",
    means: Sequence[int],
    deviations: Sequence[int],
    threads: int = 1,
    dtype: "DTypeLike" = np.float64,
) -> "tuple[dict[int, NDArray[Any]], dict[int, NDArray[Any]]]":
    """(T, n) means and standard deviations (population) by weeks of window, of (T, n) values that may be NaN.

    Of the weeks of a window that have a value; NaN where none has. Computed in float64, given as `dtype`.
    """
    averages = {weeks: np.empty(values.shape, dtype) for weeks in means}
    spreads = {weeks: np.empty(values.shape, dtype) for weeks in deviations}
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    total, count = running(filled), running(known)
    square = running(np.multiply(filled, filled, out=filled))

    def fill(first: int) -> None:
        columns = slice(first, first + _COLUMNS)
        held, mean, variance = (np.empty_like(values[:, columns]) for _ in range(3))
        for weeks in dict.fromkeys((*means, *deviations)):
            windows(count[:, columns], weeks, held)
            # Nothing over nothing would be NaN too, but with a sign that differs between processors.
            np.copyto(held, np.nan, where=held == 0)
            np.divide(windows(total[:, columns], weeks, mean), held, out=mean)
            if weeks in averages:
                averages[weeks][:, columns] = mean
            if weeks in spreads:
                np.divide(windows(square[:, columns], weeks, variance), held, out=variance)
                np.subtract(variance, np.multiply(mean, mean, out=mean), out=variance)
                np.sqrt(np.maximum(variance, 0.0, out=variance), out=variance)
                spreads[weeks][:, columns] = variance

    starts = range(0, values.shape[1], _COLUMNS)
    if threads == 1:
        for first in starts:
            fill(first)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fill, starts))
    return averages, spreads
