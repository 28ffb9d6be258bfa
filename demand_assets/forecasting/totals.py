"""Store, department and chain totals: sums that agree, with intervals from the errors of such totals.

Errors of series offset each other, so a total's interval is far narrower than the sum of its series'; how far is read
from the totals of the backtest's own forecasts.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from demand_assets.forecasting.intervals import QUANTILES, quantile_column

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVELS: dict[str, list[str]] = {"store": ["store_id"], "department": ["dept_id"], "chain": []}
# One number for "all": the ids of stores and departments start above it.
ALL = -1
_WHEN = ["origin_week", "target_week", "horizon"]


def _summed(frame: pd.DataFrame, level: str, values: list[str]) -> pd.DataFrame:
    """[store_id, dept_id, origin_week, target_week, horizon, *values, series] of one level."""
    keys = [*LEVELS[level], *_WHEN]
    sums = frame.groupby(keys, sort=True)[values].sum().assign(series=frame.groupby(keys, sort=True).size())
    missing = {name: ALL for name in ("store_id", "dept_id") if name not in LEVELS[level]}
    return sums.reset_index().assign(**missing)[["store_id", "dept_id", *_WHEN, *values, "series"]]


def relative_errors(points: pd.DataFrame, level: str) -> "NDArray[np.float64]":
    """(n,) errors of a level's totals in one model's backtest, actual / forecast - 1.

    Both sides hold the series that have an actual. Totals forecast at nothing or less say nothing of a share.
    """
    sums = _summed(points[points["actual_usd"].notna()], level, ["forecast_usd", "actual_usd"])
    sums = sums[sums["forecast_usd"] > 0]
    return (sums["actual_usd"] / sums["forecast_usd"] - 1).to_numpy()


def totals(forecast: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """One row per level x group x target week: forecast_usd, p10_usd, p50_usd, p90_usd, series.

    `forecast` is one row per series x target week; `points` one model's backtest. `level` is store, department or
    chain; an id that does not apply is -1. Each level's forecasts sum to the same chain total. Quantiles are conformal
    over that level's relative errors at all origins and horizons, with ranks of n + 1.
    """
    parts = []
    for level in LEVELS:
        part = _summed(forecast, level, ["forecast_usd"])
        errors = relative_errors(points, level)
        for quantile in QUANTILES:
            share = 0.0
            if len(errors):
                outward = np.sign(quantile - 0.5) * abs(quantile - 0.5) / len(errors)
                share = float(np.quantile(errors, np.clip(quantile + outward, 0.0, 1.0)))
            part[quantile_column(quantile)] = part["forecast_usd"] + share * part["forecast_usd"].abs()
        parts.append(part.assign(level=level))
    return pd.concat(parts, ignore_index=True)


def coverage_of_totals(points: pd.DataFrame) -> pd.DataFrame:
    """[level, totals, coverage]: p10..p90 coverage at each origin, calibrated on the origins known by then."""
    rows = []
    origins = np.sort(points["origin_week"].unique())
    for level in LEVELS:
        inside: list[NDArray[np.bool_]] = []
        for origin in origins[1:]:
            past = points[(points["target_week"] <= origin) & (points["origin_week"] < origin)]
            known = points[(points["origin_week"] == origin) & points["actual_usd"].notna()]
            if past.empty or known.empty:
                continue
            made = totals(known, past).query("level == @level")
            actual = _summed(known, level, ["actual_usd"])["actual_usd"].to_numpy()
            inside.append((actual >= made["p10_usd"].to_numpy()) & (actual <= made["p90_usd"].to_numpy()))
        held = np.concatenate(inside) if inside else np.empty(0, dtype=bool)
        rows.append({"level": level, "totals": len(held), "coverage": float(held.mean()) if len(held) else np.nan})
    return pd.DataFrame(rows)
