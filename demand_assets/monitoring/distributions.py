"""How features and forecasts of a week are distributed: quantiles, and histograms whose bins are always the same."""

import numpy as np
import pandas as pd

from demand_assets.contract.distributions import HISTOGRAMS, LEVELS, QUANTILES

# The sample of an origin itself.
WEEK = "week"
# Ten bins a decade from 0.001 to 10 million, on either side of a bin around 0: weeks can be laid over each other,
# whatever the scale of a variable is.
_UP = 10.0 ** (np.arange(-30, 71) / 10)
EDGES = np.concatenate([[-np.inf], -_UP[::-1], _UP, [np.inf]])


def quantiles(week: pd.Timestamp, values: pd.DataFrame, sample: str = WEEK) -> pd.DataFrame:
    """`QUANTILES` of (n, V) values, one row per variable; of one without values they are NaN."""
    known = values.count()
    table = values.astype(np.float64).quantile(list(LEVELS)).T
    table.columns = pd.Index(QUANTILES.names[-len(LEVELS) :])
    table = table.assign(
        week=week,
        variable=table.index,
        sample=sample,
        points=known,
        missing=len(values) - known,
        mean=values.mean(),
        deviation=values.astype(np.float64).std(ddof=0),
    )
    return table[list(QUANTILES.names)].reset_index(drop=True)


def histograms(week: pd.Timestamp, values: pd.DataFrame, sample: str = WEEK) -> pd.DataFrame:
    """`HISTOGRAMS` of (n, V) values: one row per variable and bin with values, in order."""
    matrix = values.to_numpy(dtype=np.float64)
    bins, count = len(EDGES) - 1, matrix.shape[1]
    place = np.searchsorted(EDGES, matrix, side="right") - 1 + bins * np.arange(count)
    # Infinity is in no bin that ends before it; it belongs to the last.
    points = np.bincount(
        np.minimum(place, bins * (np.arange(count) + 1) - 1)[~np.isnan(matrix)], minlength=bins * count
    )
    held = np.flatnonzero(points)
    edges = np.where(np.isfinite(EDGES), EDGES, np.nan)
    return pd.DataFrame(
        {
            "week": week,
            "variable": values.columns.to_numpy()[held // bins],
            "sample": sample,
            "bin": held % bins,
            "low": edges[held % bins],
            "high": edges[held % bins + 1],
            "points": points[held],
        }
    )[list(HISTOGRAMS.names)]
