"""demand_features: for every origin, series and horizon, what was known at the origin, and nothing later."""

from demand_assets.forecasting.features.build import block_features, build_features, feature_blocks, first_origin
from demand_assets.forecasting.features.catalogue import (
    FEATURES,
    IN_SALES_UNIT,
    KEYS,
    column_texts,
    features_of,
    features_table,
)
from demand_assets.forecasting.features.facts import STORE_TYPES
from demand_assets.forecasting.features.history import FeatureBlock
from demand_assets.forecasting.features.known_ahead import driver_columns
from demand_assets.forecasting.features.origin import Origin
from demand_assets.forecasting.features.spec import (
    ATTRIBUTION_GROUPS,
    LAST_YEAR,
    OF_CALENDAR,
    OF_DEPARTMENT,
    OF_SERIES,
    OF_STORE,
    DriftClass,
    FeatureSpec,
)

__all__ = [
    "ATTRIBUTION_GROUPS",
    "FEATURES",
    "IN_SALES_UNIT",
    "KEYS",
    "LAST_YEAR",
    "OF_CALENDAR",
    "OF_DEPARTMENT",
    "OF_SERIES",
    "OF_STORE",
    "STORE_TYPES",
    "DriftClass",
    "FeatureBlock",
    "FeatureSpec",
    "Origin",
    "block_features",
    "build_features",
    "column_texts",
    "driver_columns",
    "feature_blocks",
    "features_of",
    "features_table",
    "first_origin",
]
