"""How features and forecasts of a week are distributed: quantiles, and histograms whose bins are always the same."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

LEVELS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
# Ten bins a decade from 0.001 to 10 million, on either side of a bin around 0: weeks can be laid over each other,
# whatever the scale of a variable is.
_UP = 10.0 ** (np.arange(-30, 71) / 10)
EDGES = np.concatenate([[-np.inf], -_UP[::-1], _UP, [np.inf]])
QUANTILE_COLUMNS: Mapping[str, str] = {
    "week": "Origin week",
    "variable": "Feature, or column of the forecast",
    "rows": "Rows with a value",
    "missing": "Rows without",
    "mean": "Mean of the values",
    "deviation": "Standard deviation of the values",
    **{f"q{level * 100:03.0f}": f"Value that {level:.0%} of the rows do not exceed" for level in LEVELS},
}
HISTOGRAM_COLUMNS: Mapping[str, str] = {
    "week": "Origin week",
    "variable": "Feature, or column of the forecast",
    "low": "Lower edge of the bin, within it",
    "high": "Upper edge, outside it",
    "rows": "Rows in the bin; a bin without any has no row",
}


def quantiles(week: pd.Timestamp, values: pd.DataFrame) -> pd.DataFrame:
    """`QUANTILE_COLUMNS` of (n, V) values, one row per variable; of one without values they are NaN."""
    known = values.count()
    table = values.astype(np.float64).quantile(list(LEVELS)).T
    table.columns = pd.Index(list(QUANTILE_COLUMNS)[-len(LEVELS) :])
    table = table.assign(
        week=week,
        variable=table.index,
        rows=known,
        missing=len(values) - known,
        mean=values.mean(),
        deviation=values.astype(np.float64).std(ddof=0),
    )
    return table[list(QUANTILE_COLUMNS)].reset_index(drop=True)


def histograms(week: pd.Timestamp, values: pd.DataFrame) -> pd.DataFrame:
    """`HISTOGRAM_COLUMNS` of (n, V) values: one row per variable and bin with values, in order."""
    matrix = values.to_numpy(dtype=np.float64)
    bins, count = len(EDGES) - 1, matrix.shape[1]
    place = np.searchsorted(EDGES, matrix, side="right") - 1 + bins * np.arange(count)
    # Infinity is in no bin that ends before it; it belongs to the last.
    rows = np.bincount(np.minimum(place, bins * (np.arange(count) + 1) - 1)[~np.isnan(matrix)], minlength=bins * count)
    held = np.flatnonzero(rows)
    return pd.DataFrame(
        {
            "week": week,
            "variable": values.columns.to_numpy()[held // bins],
            "low": EDGES[held % bins],
            "high": EDGES[held % bins + 1],
            "rows": rows[held],
        }
    )
