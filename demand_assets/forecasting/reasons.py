"""Why a forecast is what it is: TreeSHAP contributions, summed into words a planner reads.

Every forecast is the sum of its contributions: what the forecast starts from (last year and the season) and what each
group of features moved it by. Source: Lundberg et al. 2020, Nature Machine Intelligence 2 (TreeSHAP).
"""

import re

import numpy as np
import pandas as pd

from demand_assets.forecasting.forecaster import Forecaster

LAST_YEAR = "last year"
# The first pattern that matches a feature's whole name decides.
REASONS: tuple[tuple[str, str], ...] = (
    (r"(is_)?holiday(_kind)?|easter_offset|origin_is_holiday|alignment_shift", "holiday"),
    (r"markdown.*", "promotion"),
    (r"store_.*", "store"),
    (r"dept_.*|department", "department"),
    (r"temperature.*|fuel_.*|cpi_.*|unemployment_.*", "weather and economy"),
    (r"lag_.*|mean_.*|deviation_.*|growth_.*|miss_.*|weeks_observed|horizon", "recent trend"),
    (r"last_year.*|two_years_ago|base_scaled|aligned|smooth_.*|decomposition", LAST_YEAR),
)


def reason_of(feature: str) -> str:
    """The planner's word for a feature; KeyError for one that no pattern knows."""
    for pattern, reason in REASONS:
        if re.fullmatch(pattern, feature):
            return reason
    raise KeyError(f"feature {feature} belongs to no reason; add it to REASONS")


def reasons(forecaster: Forecaster, features: pd.DataFrame) -> pd.DataFrame:
    """[store_id, dept_id, origin_week, target_week, horizon, one column in USD per reason] per row of demand_features.

    The reasons of a row sum to its forecast. `last year` holds what the forecast starts from.
    """
    names = list(dict.fromkeys(reason for _, reason in REASONS))
    group = np.array([names.index(reason_of(name)) for name in forecaster.features])
    moved = forecaster.attributions(features, group, len(names))
    moved *= features["scale"].to_numpy()[:, None]
    grouped = moved[:, :-1]
    # The last column is the mean residual: part of the start, no feature's doing.
    grouped[:, names.index(LAST_YEAR)] += features["base"].to_numpy() + moved[:, -1]
    keys = features[["store_id", "dept_id", "origin_week", "target_week", "horizon"]].reset_index(drop=True)
    return pd.concat([keys, pd.DataFrame(grouped, columns=names)], axis=1)
