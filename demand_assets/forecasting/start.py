"""What the model's correction is added to: the base, moved towards other simple estimates of the same week.

Each estimate has a weight, learnt from the errors of the base at past origins: the share of its distance from the base
by which the start moves towards it. Weights are not negative and sum to at most 1, so the start stays among the
estimates. They minimise the weighted absolute error, which is WMAE, by iteratively reweighted least squares, and are
pulled towards 0, which is the base itself. Source: combination of forecasts by constrained regression (Granger and
Ramanathan 1984, Journal of Forecasting 3).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from demand_assets.forecasting.features.known_ahead import DRIVER_EFFECT
from demand_assets.forecasting.features.origin import SEASON_RANGE

if TYPE_CHECKING:
    from demand_assets.forecasting.training import TrainingMatrix

Values = NDArray[np.float64]
Column = Callable[[str], NDArray[np.floating]]

LEVEL_IN_SEASON = "level_in_season"
# Features in units of the series' scale, each a forecast of its own.
SCALED = ("aligned", "decomposition", "smooth_base", "mean_8", "mean_13", "mean_26", "last_year_mean", "dept_profile")
# Estimate -> the feature whose attribution group it belongs to.
ESTIMATES = {**{name: name for name in SCALED}, LEVEL_IN_SEASON: "mean_8"}
# Those that the effect of the drivers has moved already; the others are of a history without it.
MOVED = ("aligned", "decomposition", "smooth_base")
INPUTS = ("base_scaled", *SCALED, "dept_index_change")
# As if an estimate agreed with the base in so many rows for each one in which it moved.
PULL = 0.3
# Scaled errors below this weigh no more: the tip of the absolute error is rounded.
LEAST_ERROR = 0.02
PASSES = 8
# More rows would not move a weight: they are drawn evenly from all.
MOST_ROWS = 40_000


@dataclass(frozen=True, eq=False)
class Start:
    """(K,) `weights` of `ESTIMATES`; all 0 is the base itself. `has_drivers`: their effect moves the estimates too."""

    weights: Values
    has_drivers: bool = False

    @classmethod
    def none(cls) -> "Start":
        """The base itself."""
        return cls(np.zeros(len(ESTIMATES)))

    def to_dict(self) -> dict[str, float]:
        """Estimate -> weight; the effect of drivers has the weight 1 or none."""
        weights = dict(zip(ESTIMATES, self.weights.tolist(), strict=True))
        return weights | ({DRIVER_EFFECT: 1.0} if self.has_drivers else {})

    @classmethod
    def from_dict(cls, values: Mapping[str, float]) -> "Start":
        """Inverse of `to_dict`; an estimate that is not there has no weight."""
        return cls(np.array([values.get(name, 0.0) for name in ESTIMATES]), DRIVER_EFFECT in values)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Features that it takes."""
        inputs = (*INPUTS, DRIVER_EFFECT) if self.has_drivers else INPUTS
        return inputs if self.weights.any() else ()

    def moves(self, column: Column, rows: int) -> Values:
        """(n, K) how far each estimate moves the start of n rows from the base, scaled; `column` gives a feature."""
        if not self.weights.any():
            return np.zeros((rows, len(ESTIMATES)))
        return distances(column, has_drivers=self.has_drivers) * self.weights


def distances(column: Column, *, has_drivers: bool = False) -> Values:
    """(n, K) estimates less the base, in units of scale; 0 where there is no such estimate."""
    base = np.asarray(column("base_scaled"), dtype=float)
    season = np.clip(np.nan_to_num(np.asarray(column("dept_index_change"), dtype=float), nan=1.0), *SEASON_RANGE)
    effect = np.asarray(column(DRIVER_EFFECT), dtype=float) if has_drivers else np.ones(len(base))
    made = [np.asarray(column(name), dtype=float) * (1.0 if name in MOVED else effect) for name in SCALED]
    level = np.asarray(column("mean_8"), dtype=float) * season * effect
    return np.nan_to_num(np.stack([*made, level], axis=1) - base[:, None], nan=0.0)


def spread_rows(count: int, most: int) -> NDArray[np.int64]:
    """Positions of at most `most` of `count` rows, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def learn_start(matrix: "TrainingMatrix") -> Start:
    """Weights that would have brought the base closest to what came, over the rows of a matrix."""
    rows = spread_rows(len(matrix), MOST_ROWS)
    has_drivers = DRIVER_EFFECT in matrix.features
    moved = distances(lambda name: matrix.column(name)[rows], has_drivers=has_drivers)
    error, weight = matrix.y[rows], matrix.weight[rows]
    weights = np.zeros(len(ESTIMATES))
    for _ in range(PASSES):
        missed = np.maximum(np.abs(error - (moved * weights).sum(axis=1)), LEAST_ERROR)
        weights = _least_squares(moved, error, weight / missed)
    return Start(weights, has_drivers)


def _least_squares(moved: Values, error: Values, weight: Values) -> Values:
    """(K,) weights >= 0, of sum at most 1, that minimise the pulled weighted squares."""
    # scipy.optimize takes long to import, which a module that definitions load must not.
    from scipy.optimize import nnls

    # einsum, not a matrix product: BLAS adds up in another order with other threads.
    heavy = moved * weight[:, None]
    squares = np.einsum("ni,nj->ij", heavy, moved)
    towards = np.einsum("ni,n->i", heavy, error)
    # An estimate that never moves has no weight; the floor keeps the root real.
    squares[np.diag_indices_from(squares)] *= 1 + PULL
    squares += np.eye(len(squares)) * max(np.trace(squares), 1e-12) * 1e-9
    root = np.linalg.cholesky(squares)
    found: Values = nnls(root.T, np.linalg.solve(root, towards))[0]
    return found / max(found.sum(), 1.0)
