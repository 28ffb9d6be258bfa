"""Baselines: columns of demand_features in the unit of sales. A model that does not beat them adds no value (FVA)."""

from collections.abc import Mapping

import pandas as pd

# Column of demand_features that models learn the residual of.
BASE = "base"
SEASONAL_NAIVE = "seasonal_naive"
# Name -> what it forecasts; the name is its column in demand_features and in a vintage's file.
BASELINES: Mapping[str, str] = {
    SEASONAL_NAIVE: "the value 52 weeks before the target (104 and more past the origin), else the last value",
    "aligned_seasonal_naive": "last year at the aligned week times recent growth, else the recent level in its season",
    "svd_stl": "SVD + STL + exponential smoothing from two years of history on, before that seasonal naive",
    "tsb": "probability of demand times its size, each smoothed over the weeks to the origin: intermittent demand",
    "moving_average": "mean of the sales known in the eight weeks to the origin, else the last value",
    "last_value": "the newest sales known at the origin",
}
# Methods that need no training: each is a column of demand_features and is scored in every backtest.
UNTRAINED: Mapping[str, str] = {
    BASE: "smoothed last year times growth and the decomposition, averaged: what models start from",
    **BASELINES,
}


def model_rows(points: pd.DataFrame) -> pd.DataFrame:
    """The rows of the trained model in a table with a column `model`: those of no untrained method."""
    return points[~points["model"].isin(list(UNTRAINED))]


def model_in(points: pd.DataFrame) -> str:
    """Name of the trained model in a table with a column `model`; ValueError unless there is exactly one."""
    (name,) = model_rows(points)["model"].unique()
    return str(name)
