"""Tables of how features and forecasts are distributed, in the store and the lake alike."""

from __future__ import annotations

from dataclasses import replace

from demand_assets.contract.columns import Column, Table, Type
from demand_assets.contract.store import WEEK, number

# Quantiles of a distribution, each a column q000 to q100.
LEVELS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
_OF_DISTRIBUTION = (
    replace(WEEK, text="Origin week"),
    Column("variable", Type.TEXT, "Feature, or column of the forecast one week ahead", key=True),
    Column("sample", Type.TEXT, "week (that origin) or last_season (origins 50 to 54 weeks before)", key=True),
)
QUANTILES = Table(
    "distribution_quantiles",
    "How the features and forecasts of an origin are distributed over the series, one week ahead: quantiles.",
    (
        *_OF_DISTRIBUTION,
        Column("points", Type.INTEGER, "Values"),
        Column("missing", Type.INTEGER, "Rows without a value"),
        number("mean", "Mean of the values"),
        number("deviation", "Standard deviation of the values"),
        *(number(f"q{level * 100:03.0f}", f"Value that {level:.0%} of the rows do not exceed") for level in LEVELS),
    ),
)
HISTOGRAMS = Table(
    "distribution_histograms",
    "How they are distributed: histograms. Bins are the same for all weeks; one without a value has no row.",
    (
        *_OF_DISTRIBUTION,
        Column("bin", Type.SMALL, "Number of the bin, from low values to high", key=True),
        number("low", "Lower edge of the bin, within it; null for the first bin"),
        number("high", "Upper edge, outside it; null for the last bin"),
        Column("points", Type.INTEGER, "Values in the bin"),
    ),
)
