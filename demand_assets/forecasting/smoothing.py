"""Sales smoothed over the stores of a department.

A department's stores move together, and a single week of a single store is noisy. Each department's weeks x stores
matrix is replaced by its profile over all stores plus the few strongest patterns of deviation from it (a truncated
singular value decomposition). The matrices are many and small, so callers limit BLAS to one thread: with more threads
than idle cores it takes fifty times as long. Source: the winner of the Walmart competition smoothed stores this way.
"""

import numpy as np
from numpy.typing import NDArray

from demand_assets.forecasting.weeks import WEEKS_PER_YEAR

RANK = 8
# Two years hold the season twice; more would only cost time at every origin.
WINDOW_WEEKS = 2 * WEEKS_PER_YEAR
MIN_SCALE = 1.0


def smooth_departments(
    sales: NDArray[np.float64], dept: NDArray[np.int64], rank: int = RANK, width: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(T, S) smoothed sales and (T, D) department profiles, from (T, S) sales that may be NaN.

    `dept` (S,) numbers the departments 0..D-1. A profile is the department's sales over those of the mean week of its
    series present in that week, so it is 1 in an average week. A series without sales gets its profile times its
    scale. Deviations are weighted by the series' scale, the mean of its newest 52 weeks: large stores are less noisy.
    `width` is the size of the largest department of the chain, where `dept` is only a part of it.
    """
    weeks = len(sales)
    place, widest = _place_in_department(dept)
    width = max(width, widest)
    departments = int(dept.max()) + 1
    cube = np.full((departments, weeks, width), np.nan)
    cube[dept, :, place] = sales.T
    known = ~np.isnan(cube)
    newest = slice(max(weeks - WEEKS_PER_YEAR, 0), weeks)
    filled = np.where(known, cube, 0.0)
    mean = filled[:, newest].sum(axis=1) / np.maximum(known[:, newest].sum(axis=1), 1)
    scale = np.maximum(np.abs(mean), MIN_SCALE)[:, None, :]
    profile = filled.sum(axis=2) / np.maximum((known * scale).sum(axis=2), MIN_SCALE)
    root = np.sqrt(scale)
    deviation = np.where(known, filled / scale - profile[:, :, None], 0.0) * root
    if rank < min(weeks, width):
        deviation = _truncated(deviation, rank)
    smooth = (deviation / root + profile[:, :, None]) * scale
    return smooth[dept, :, place].T, profile.T


def _truncated(matrices: NDArray[np.float64], rank: int) -> NDArray[np.float64]:
    """(D, T, n) best approximations of the given rank, by the eigenvectors of the smaller Gram matrix."""
    turned = matrices.transpose(0, 2, 1)
    if matrices.shape[1] < matrices.shape[2]:
        vectors = np.linalg.eigh(matrices @ turned)[1][:, :, -rank:]
        return vectors @ (vectors.transpose(0, 2, 1) @ matrices)
    vectors = np.linalg.eigh(turned @ matrices)[1][:, :, -rank:]
    return (matrices @ vectors) @ vectors.transpose(0, 2, 1)


def _place_in_department(dept: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """(S,) position of each series among its department's, and the size of the largest department."""
    order = np.argsort(dept, kind="stable")
    counts = np.bincount(dept)
    place = np.empty(len(dept), dtype=np.int64)
    place[order] = np.arange(len(dept)) - np.repeat(np.cumsum(counts) - counts, counts)
    return place, int(counts.max())
