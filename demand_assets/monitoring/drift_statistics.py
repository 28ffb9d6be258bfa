"""How far one sample lies from another: PSI, Kolmogorov-Smirnov, and a value's robust z-score in its own history."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
BINS = 10
# Half a point in every bin, so that an empty one gives a finite index.
SMOOTHING = 0.5
# A median absolute deviation times this is a standard deviation, for normal values.
MAD_TO_SD = 1.4826


def quantile_edges(ordered: Vector) -> Vector:
    """The inner edges of up to ten bins with equal counts of the sorted reference; ties make fewer bins."""
    if not len(ordered):
        return np.empty(0)
    places = np.linspace(0, len(ordered) - 1, BINS + 1)[1:-1]
    return np.unique(ordered[np.round(places).astype(np.int64)])


def bin_counts(ordered: Vector, edges: Vector) -> NDArray[np.int64]:
    """(edges + 1,) how many of the sorted values fall into each bin; a value on an edge belongs to the bin above."""
    places = np.concatenate([[0], np.searchsorted(ordered, edges, side="left"), [len(ordered)]])
    return places[1:] - places[:-1]


def stability_index(expected: NDArray[np.int64], actual: NDArray[np.int64]) -> Vector:
    """PSI of (..., bins) counts against (bins,) expected counts: sum of (a - e) ln(a / e) over smoothed shares.

    Below 0.1 is commonly read as stable, above 0.25 as shifted, for samples of thousands.
    """
    bins = expected.shape[-1]
    e = (expected + SMOOTHING) / (expected.sum() + SMOOTHING * bins)
    a = (actual + SMOOTHING) / (actual.sum(axis=-1, keepdims=True) + SMOOTHING * bins)
    return ((a - e) * np.log(a / e)).sum(axis=-1)


def ks_distance(ordered: Vector, now: Vector) -> float:
    """Largest distance of the distribution functions of a sorted reference and a sample; NaN when either is empty."""
    if not len(ordered) or not len(now):
        return np.nan
    now = np.sort(now)
    # The distance is largest at a value of `now`, or just below one.
    below, upto = (np.searchsorted(ordered, now, side=side) / len(ordered) for side in ("left", "right"))
    own_below, own_upto = (np.searchsorted(now, now, side=side) / len(now) for side in ("left", "right"))
    return float(max(np.abs(upto - own_upto).max(), np.abs(below - own_below).max()))


def ks_p_value(distance: Vector, reference_points: NDArray[np.int64], points: NDArray[np.int64]) -> Vector:
    """Asymptotic two-sided p-value (Kolmogorov's limit); reported, never judged by: it shrinks with the sample."""
    from scipy.special import kolmogorov

    product = reference_points * points.astype(float)
    size = product / np.maximum(reference_points + points, 1)
    return kolmogorov(np.sqrt(size) * distance)


@dataclass(frozen=True)
class RobustScore:
    """Against a history: signed distance to its median in robust standard deviations, and over its farthest value."""

    score: Vector
    reach: Vector
    usual: Vector
    weeks: NDArray[np.int64]


def robust_zscore(history: Vector, now: Vector, least_scale: Vector | float) -> RobustScore:
    """Each of (...) values in its history (weeks, ...), NaN left out; the scale is never below `least_scale`."""
    weeks = (~np.isnan(history)).sum(axis=0)
    usual = column_median(history)
    away = np.abs(history - usual)
    scale = np.maximum(np.nan_to_num(MAD_TO_SD * column_median(away)), least_scale)
    farthest = np.nan_to_num(away).max(axis=0, initial=0.0)
    distance = now - usual
    return RobustScore(distance / scale, np.abs(distance) / np.maximum(farthest, scale), usual, weeks)


def column_median(values: Vector) -> Vector:
    """(...) medians over the first axis of (weeks, ...) values, NaN left out; NaN where nothing is left."""
    if not len(values):
        return np.full(values.shape[1:], np.nan)
    ordered = np.sort(values, axis=0)
    count = (~np.isnan(values)).sum(axis=0, keepdims=True)
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    middle = np.take_along_axis(ordered, low, 0) + np.take_along_axis(ordered, np.minimum(high, len(values) - 1), 0)
    return np.where(count > 0, middle / 2, np.nan)[0]
