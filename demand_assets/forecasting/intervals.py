"""Quantiles around a forecast, from errors it really made: conformal, by horizon, by size and for holiday weeks.

Errors of forecasts made before the targets were known are divided by the series' scale; their empirical quantiles,
times the scale, are added to the forecast. Source: split conformal prediction (Lei et al. 2018, JASA 113), with the
(n + 1) correction to the rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

QUANTILES = (0.1, 0.5, 0.9)
SIZE_SEGMENTS = 5
# Below this a group's own tails are guesses, and the next larger group speaks for it.
MIN_POINTS = 200


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

    def intervals(
        self,
        forecast: NDArray[np.float64],
        scale: NDArray[np.float64],
        horizon: NDArray[Any],
        is_holiday: NDArray[Any],
    ) -> dict[str, NDArray[np.float64]]:
        """Columns of quantiles, (n,) each, around (n,) forecasts; horizons past the last one take its."""
        segment = np.searchsorted(self.edges, scale)
        step = np.clip(np.asarray(horizon) - 1, 0, self.offsets.shape[1] - 1)
        offset = self.offsets[segment, step, (np.asarray(is_holiday) > 0).astype(int)]
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


def _rank_quantiles(errors: NDArray[np.float64], quantiles: tuple[float, ...]) -> NDArray[np.float64]:
    """Quantiles of the errors with the conformal correction: ranks of (n + 1) rather than n points, outwards."""
    n = len(errors)
    levels = [np.clip(q + np.sign(q - 0.5) * abs(q - 0.5) / n, 0.0, 1.0) for q in quantiles]
    return np.quantile(errors, levels)


def calibrate(points: pd.DataFrame, horizon_weeks: int, quantiles: tuple[float, ...] = QUANTILES) -> Calibration:
    """Calibration from forecasts made before their actuals: [horizon, scale, is_holiday, forecast, actual].

    Points without an actual do not count. Without any the calibration is none.
    """
    points = points[points["actual"].notna()]
    if points.empty:
        return Calibration.none(quantiles)
    scale = points["scale"].to_numpy()
    error = (points["actual"].to_numpy() - points["forecast"].to_numpy()) / scale
    horizon = points["horizon"].to_numpy()
    holiday = points["is_holiday"].to_numpy() > 0
    edges = np.unique(np.quantile(scale, np.linspace(0, 1, SIZE_SEGMENTS + 1)[1:-1]))
    segment = np.searchsorted(edges, scale)
    everything = np.ones(len(error), dtype=bool)
    offsets = np.empty((len(edges) + 1, horizon_weeks, 2, len(quantiles)))
    for which in range(len(edges) + 1):
        for step in range(horizon_weeks):
            for kind in (0, 1):
                here, now, same = segment == which, horizon == step + 1, holiday == bool(kind)
                # Holidays are few: pooled over horizons first, then over sizes. Last of all, every error there is.
                groups = (here & now & same, here & same, same, here & now, here, everything)
                group = next((g for g in groups if g.sum() >= MIN_POINTS), everything)
                offsets[which, step, kind] = _rank_quantiles(error[group], quantiles)
    return Calibration(edges, offsets, quantiles)
