"""Sums, means and deviations over windows of weeks, for all weeks and series at once: differences of running sums.

A window's cost does not depend on its length. Float64 throughout: a running sum of 500 weeks loses nothing that a
window of them would show.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Matrix = NDArray[np.float64]
# Columns worked on at once: so few that intermediate results fit into the processor's cache.
_COLUMNS = 1024


def running(values: NDArray[np.float64] | NDArray[np.bool_], out: Matrix | None = None) -> Matrix:
    """(T + 1, n) sums of all rows before each, of (T, n) values; `out` begins with a row of zeros."""
    sums = np.zeros((len(values) + 1, values.shape[1])) if out is None else out
    # Row by row, each a vector operation: numpy's own cumsum goes down the columns and takes five times as long.
    for row, added in enumerate(values):
        np.add(sums[row], added, out=sums[row + 1])
    return sums


def window(sums: Matrix, row: int, weeks: int, ending: int = 0) -> Matrix:
    """(n,) sum of the `weeks` rows to `row - ending`, itself included, by their running sums."""
    end = max(row + 1 - ending, 0)
    return sums[end] - sums[max(end - weeks, 0)]


def windows(sums: Matrix, weeks: int, out: Matrix | None = None) -> Matrix:
    """(T, n) sums of the `weeks` rows to each, itself included, by their running sums."""
    found = np.empty((len(sums) - 1, sums.shape[1])) if out is None else out
    found[:weeks] = sums[1 : weeks + 1]
    np.subtract(sums[weeks + 1 :], sums[1:-weeks], out=found[weeks:])
    return found


def window_statistics(
    values: Matrix,
    means: Sequence[int],
    deviations: Sequence[int],
    threads: int = 1,
    dtype: DTypeLike = np.float64,
) -> tuple[dict[int, NDArray[Any]], dict[int, NDArray[Any]]]:
    """(T, n) means and standard deviations (population) by weeks of window, of (T, n) values that may be NaN.

    Of the weeks of a window that have a value; NaN where none has. Computed in float64, given as `dtype`.
    """
    # One allocation for all results: the system gives it in large pages, and many small ones page by page.
    made = np.empty((len(means) + len(deviations), *values.shape), dtype)
    averages = dict(zip(means, made, strict=False))
    spreads = dict(zip(deviations, made[len(means) :], strict=True))
    lengths = list(dict.fromkeys((*means, *deviations)))

    def fill(starts: Sequence[int]) -> None:
        sums = np.zeros((3, len(values) + 1, _COLUMNS))
        scratch = np.empty((3, len(values), _COLUMNS))
        for first in starts:
            columns = slice(first, first + _COLUMNS)
            some = values[:, columns]
            total, count, square = sums[:, :, : some.shape[1]]
            held, mean, variance = scratch[:, :, : some.shape[1]]
            lost = np.isnan(some)
            running(np.logical_not(lost), count)
            np.copyto(held, some)
            held[lost] = 0.0
            running(held, total)
            running(np.multiply(held, held, out=held), square)
            for weeks in lengths:
                windows(count, weeks, held)
                # Zero over zero is NaN too, but with a sign that differs between processors.
                held[held == 0] = np.nan
                np.divide(windows(total, weeks, mean), held, out=mean)
                if weeks in averages:
                    averages[weeks][:, columns] = mean
                if weeks in spreads:
                    np.divide(windows(square, weeks, variance), held, out=variance)
                    np.subtract(variance, np.multiply(mean, mean, out=mean), out=variance)
                    np.sqrt(np.maximum(variance, 0.0, out=variance), out=variance)
                    spreads[weeks][:, columns] = variance

    starts = range(0, values.shape[1], _COLUMNS)
    if threads == 1:
        fill(starts)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fill, (starts[first::threads] for first in range(threads))))
    return averages, spreads
