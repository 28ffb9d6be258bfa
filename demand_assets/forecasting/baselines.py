"""Baselines: columns of demand_features in the unit of sales. A model that does not beat them adds no value (FVA)."""

from collections.abc import Mapping

SEASONAL_NAIVE = "seasonal_naive"
# Name -> what it forecasts; the name is its column in demand_features and in a vintage's file.
BASELINES: Mapping[str, str] = {
    SEASONAL_NAIVE: "the value 52 weeks before the target (104 and more past the origin), else the last value",
    "aligned_seasonal_naive": "last year at the aligned week times recent growth, else the recent level in its season",
    "svd_stl": "SVD + STL + exponential smoothing from two years of history on, before that seasonal naive",
    "moving_average": "mean of the sales known in the eight weeks to the origin, else the last value",
    "last_value": "the newest sales known at the origin",
}
