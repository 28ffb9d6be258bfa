"""Quantiles around a forecast, from errors really made: conformal, by size, kind of week and horizon.

Errors of forecasts made before the targets were known are divided by the series' scale; their empirical quantiles,
times the scale, are added to the forecast. Source: split conformal prediction (Lei et al. 2018, JASA 113), with the
(n + 1) correction to the rank.

A smaller group's quantiles are pulled towards those of the group that it is part of: everything, then ordinary or
holiday weeks, then these by size, then by horizon too. All series of a week share its surprises, so a group's evidence
counts in weeks and not in rows. Where errors of what the forecast starts from are known for many past weeks, and its
own for a few, the own ones say by which factor the quantiles of the many are too wide or too narrow.

The median is that of everything, pulled towards the forecast itself: the middle of a smaller group is the surprise of
its few weeks, and made p50 a worse point forecast than the forecast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.forecasting.weeks import week_number

QUANTILES = (0.1, 0.5, 0.9)
# Shares of the points up to the sizes that part them: fifths, and the smallest twentieth, whose errors are more often
# several times its size (docs/accuracy.md).
SIZE_SHARES = (0.05, 0.2, 0.4, 0.6, 0.8)
# A group's quantiles and those of the group that it is part of weigh the same when it has errors of so many weeks.
PULL_WEEKS = 8.0
# Where nothing ever missed, errors are compared in units of scale.
LEAST_SPREAD = 1e-6


def quantile_column(quantile: float) -> str:
    """Name of a quantile's column: 0.1 -> p10, 0.975 -> p97.5."""
    return f"p{100 * quantile:.10g}"


# Columns that `Calibration.intervals` takes, in its order.
INPUTS = ("forecast", "scale", "horizon", "is_holiday")
COLUMNS = tuple(quantile_column(quantile) for quantile in QUANTILES)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Scaled error quantiles, (segments, horizons, 2, Q): size segment x horizon x ordinary or holiday x quantile."""

    edges: NDArray[np.float64]
    offsets: NDArray[np.float64]
    quantiles: tuple[float, ...] = QUANTILES

    @classmethod
    def none(cls, quantiles: tuple[float, ...] = QUANTILES) -> Calibration:
        """No interval yet: every quantile is the forecast itself."""
        return cls(np.empty(0), np.zeros((1, 1, 2, len(quantiles))), quantiles)

    @property
    def is_none(self) -> bool:
        """Whether there is no interval yet."""
        return not self.offsets.any()

    def offsets_of(
        self, scale: NDArray[np.float64], horizon: NDArray[Any], is_holiday: NDArray[Any]
    ) -> NDArray[np.float64]:
        """(n, Q) scaled offsets of n points; horizons past the last one take its."""
        segment = np.searchsorted(self.edges, scale)
        step = np.clip(np.asarray(horizon) - 1, 0, self.offsets.shape[1] - 1)
        found: NDArray[np.float64] = self.offsets[segment, step, (np.asarray(is_holiday) > 0).astype(int)]
        return found

    def intervals(
        self,
        forecast: NDArray[np.float64],
        scale: NDArray[np.float64],
        horizon: NDArray[Any],
        is_holiday: NDArray[Any],
    ) -> dict[str, NDArray[np.float64]]:
        """Columns of quantiles, (n,) each, around (n,) forecasts; horizons past the last one take its."""
        offset = self.offsets_of(scale, horizon, is_holiday)
        values = np.sort(forecast[:, None] + offset * scale[:, None], axis=1)
        return {quantile_column(quantile): values[:, index] for index, quantile in enumerate(self.quantiles)}

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {"quantiles": list(self.quantiles), "edges": self.edges.tolist(), "offsets": self.offsets.tolist()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """Inverse of `to_dict`."""
        return cls(
            np.asarray(values["edges"], dtype=float),
            np.asarray(values["offsets"], dtype=float),
            tuple(values["quantiles"]),
        )


def not_below(
    floor: NDArray[np.float64], quantiles: Mapping[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """Columns of quantiles, (n,) each, none of them below the (n,) floor."""
    return {name: np.maximum(values, floor) for name, values in quantiles.items()}


def calibrate(
    points: pd.DataFrame,
    horizon_weeks: int,
    quantiles: tuple[float, ...] = QUANTILES,
    prior: Calibration | None = None,
) -> Calibration:
    """Calibration from forecasts made before their actuals.

    `points` has target_week, horizon, scale, is_holiday, forecast and actual; those without an actual do not count.
    Without any the calibration is the `prior`, and none without one either.
    """
    points = points[points["actual"].notna()]
    if points.empty:
        return prior or Calibration.none(quantiles)
    scale = points["scale"].to_numpy()
    return calibrate_errors(
        (points["actual"].to_numpy() - points["forecast"].to_numpy()) / scale,
        scale,
        points["horizon"].to_numpy(),
        points["is_holiday"].to_numpy() > 0,
        week_number(pd.DatetimeIndex(points["target_week"])),
        horizon_weeks,
        quantiles,
        prior,
    )


def calibrate_errors(
    error: NDArray[np.float64],
    scale: NDArray[np.float64],
    horizon: NDArray[Any],
    is_holiday: NDArray[np.bool_],
    week: NDArray[np.int64],
    horizon_weeks: int,
    quantiles: tuple[float, ...] = QUANTILES,
    prior: Calibration | None = None,
) -> Calibration:
    """`calibrate` of (n,) scaled errors, n > 0, of targets in the `week` of that number."""
    middle = quantiles.index(0.5)
    if prior is None or prior.is_none:
        prior = _by_horizon(error, scale, horizon, week, horizon_weeks, quantiles)
    edges = prior.edges
    shape = (len(edges) + 1, horizon_weeks, 2)
    step = np.clip(np.asarray(horizon, dtype=np.int64), 1, horizon_weeks) - 1
    segment, kind = np.searchsorted(edges, scale), is_holiday.astype(np.int64)
    cell = np.ravel_multi_index((segment, step, kind), shape)
    segments, steps, kinds = np.indices(shape)
    held = prior.offsets[segments, np.minimum(steps, prior.offsets.shape[1] - 1), kinds]
    spread = np.maximum((held[..., -1] - held[..., 0]) / 2, LEAST_SPREAD)
    offsets = held / spread[..., None]
    against = error / spread.ravel()[cell]
    groups = (
        np.zeros(shape, dtype=np.int64),
        np.broadcast_to(np.arange(2), shape),
        np.broadcast_to(2 * np.arange(shape[0])[:, None, None] + np.arange(2), shape),
        np.arange(int(np.prod(shape))).reshape(shape),
    )
    for depth, group in enumerate(groups):
        found, weeks = _of_groups(against, group.ravel()[cell], week, int(group.max()) + 1, quantiles)
        share = (weeks / (weeks + PULL_WEEKS))[group][..., None]
        moved = np.where(share > 0, share * found[group] + (1 - share) * offsets, offsets)
        if depth > 0:
            moved[..., middle] = offsets[..., middle]
        offsets = moved
    return Calibration(edges, offsets * spread[..., None], quantiles)


def _by_horizon(
    error: NDArray[np.float64],
    scale: NDArray[np.float64],
    horizon: NDArray[Any],
    week: NDArray[np.int64],
    horizon_weeks: int,
    quantiles: tuple[float, ...],
) -> Calibration:
    """Quantiles by horizon alone, pulled towards those of everything; the median is 0. Sizes and weeks refine them."""
    edges = np.unique(np.quantile(scale, SIZE_SHARES))
    step = np.clip(np.asarray(horizon, dtype=np.int64), 1, horizon_weeks) - 1
    found, weeks = _of_groups(error, step, week, horizon_weeks, quantiles)
    share = (weeks / (weeks + PULL_WEEKS))[:, None]
    offsets = share * found + (1 - share) * _rank_quantiles(error, quantiles)
    offsets[:, quantiles.index(0.5)] = 0.0
    return Calibration(edges, np.tile(offsets[None, :, None], (len(edges) + 1, 1, 2, 1)), quantiles)


def _of_groups(
    error: NDArray[np.float64],
    group: NDArray[np.int64],
    week: NDArray[np.int64],
    groups: int,
    quantiles: tuple[float, ...],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(groups, Q) error quantiles and (groups,) number of different weeks; 0 of both for a group without errors."""
    order = np.argsort(group, kind="stable")
    present, first = np.unique(group[order], return_index=True)
    found = np.zeros((groups, len(quantiles)))
    for which, errors in zip(present, np.split(error[order], first[1:]), strict=True):
        found[which] = _rank_quantiles(errors, quantiles)
    first_week, span = week.min(), int(np.ptp(week)) + 1
    pairs = np.unique(group * span + (week - first_week))
    return found, np.bincount(pairs // span, minlength=groups).astype(float)


def _rank_quantiles(errors: NDArray[np.float64], quantiles: tuple[float, ...]) -> NDArray[np.float64]:
    """Quantiles of the errors with the conformal correction: ranks of (n + 1) rather than n points, outwards."""
    n = len(errors)
    levels = [np.clip(q + np.sign(q - 0.5) * abs(q - 0.5) / n, 0.0, 1.0) for q in quantiles]
    return np.quantile(errors, levels)
