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
from demand_assets.forecasting.features.known_ahead import (
    DRIVER_EFFECT,
    driver_columns,
    driver_feature,
    features_of_driver,
)
from demand_assets.forecasting.features.origin import Origin
from demand_assets.forecasting.features.spec import (
    ATTRIBUTION_GROUPS,
    LAST_YEAR,
    OF_CALENDAR,
    OF_DEPARTMENT,
    OF_SERIES,
    OF_STORE,
    PROMOTION,
    DriftClass,
    FeatureSpec,
)

__all__ = [
    "ATTRIBUTION_GROUPS",
    "DRIVER_EFFECT",
    "FEATURES",
    "IN_SALES_UNIT",
    "KEYS",
    "LAST_YEAR",
    "OF_CALENDAR",
    "OF_DEPARTMENT",
    "OF_SERIES",
    "OF_STORE",
    "PROMOTION",
    "STORE_TYPES",
    "DriftClass",
    "FeatureBlock",
    "FeatureSpec",
    "Origin",
    "block_features",
    "build_features",
    "column_texts",
    "driver_columns",
    "driver_feature",
    "feature_blocks",
    "features_of",
    "features_of_driver",
    "features_table",
    "first_origin",
]
