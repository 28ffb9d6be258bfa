"""How much of a learnt correction to believe: a factor from 0 to 1, learnt from corrections that were made and judged.

Of few past weeks a model learns what is chance in them. The factor that would have made its past corrections best says
how much of the next one to add: by size of the series, each pulled towards the pool's, and the pool's towards
`EXPECTED`, as if that had been found in `PULL_WEEKS` further weeks. All series of a week share its surprises, so
evidence counts in weeks and not in rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.forecasting.metrics import HOLIDAY_WEIGHT

EXPECTED = 0.3
PULL_WEEKS = 8.0
SIZE_SEGMENTS = 5
LEAST_ERROR = 0.02
PASSES = 6
# Columns of backtest points that the factor is learnt from.
COLUMNS = ("start", "residual", "actual", "scale", "is_holiday", "target_week")


@dataclass(frozen=True, eq=False)
class Shrink:
    """(segments,) `factors` in 0..1, by size: segment n has scales up to `edges` n; 0 is no correction at all."""

    edges: NDArray[np.float64]
    factors: NDArray[np.float64]

    @classmethod
    def of_all(cls, factor: float) -> "Shrink":
        """One factor for every series."""
        return cls(np.empty(0), np.array([factor]))

    def of(self, scale: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) factors of series of these scales."""
        return self.factors[np.searchsorted(self.edges, scale)]

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {"edges": self.edges.tolist(), "factors": self.factors.tolist()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Shrink":
        """Inverse of `to_dict`."""
        return cls(np.asarray(values["edges"], dtype=float), np.asarray(values["factors"], dtype=float))


def learn_shrink(points: pd.DataFrame) -> Shrink:
    """The factors from backtest points of a model, `COLUMNS`; those without an actual do not count."""
    points = points[points["actual"].notna()]
    if points.empty:
        return Shrink.of_all(EXPECTED)
    scale = points["scale"].to_numpy()
    residual = points["residual"].to_numpy()
    error = (points["actual"].to_numpy() - points["start"].to_numpy()) / scale
    weight = scale * np.where(points["is_holiday"].to_numpy(dtype=bool), HOLIDAY_WEIGHT, 1.0)
    weeks = points["target_week"].nunique()
    everything = np.zeros(len(points), dtype=np.int64)
    (pool,) = _factors(error, residual, weight, everything, 1, weeks, np.array([EXPECTED]))
    edges = np.unique(np.quantile(scale, np.linspace(0, 1, SIZE_SEGMENTS + 1)[1:-1]))
    segments = len(edges) + 1
    segment = np.searchsorted(edges, scale)
    return Shrink(edges, _factors(error, residual, weight, segment, segments, weeks, np.full(segments, pool)))


def _factors(
    error: NDArray[np.float64],
    residual: NDArray[np.float64],
    weight: NDArray[np.float64],
    group: NDArray[np.int64],
    groups: int,
    weeks: int,
    expected: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(groups,) factors of least weighted absolute error, as if `expected` had been found in further weeks."""
    found = expected
    for _ in range(PASSES):
        heavy = weight / np.maximum(np.abs(error - found[group] * residual), LEAST_ERROR)
        squares = np.bincount(group, heavy * residual**2, groups)
        towards = np.bincount(group, heavy * residual * error, groups)
        pull = squares * PULL_WEEKS / weeks
        whole = squares + pull
        made = np.divide(towards + pull * expected, whole, out=expected.copy(), where=whole > 0)
        found = np.clip(made, 0.0, 1.0)
    return found
