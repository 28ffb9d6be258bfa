"""What moved a forecast: TreeSHAP contributions of the features, summed by their attribution group.

Every forecast is the sum of its attributions: what it starts from (last year and the season) and what each group of
features moved it by. Source: Lundberg et al. 2020, Nature Machine Intelligence 2 (TreeSHAP, as in xgboost).
"""

import numpy as np
import pandas as pd

from demand_assets.forecasting.features import ATTRIBUTION_GROUPS, FEATURES, LAST_YEAR
from demand_assets.forecasting.model import Forecaster
from demand_assets.forecasting.shapley import Forest, grouped_contributions


def attributions(forecaster: Forecaster, features: pd.DataFrame) -> pd.DataFrame:
    """[store_id, dept_id, origin_week, target_week, horizon, `ATTRIBUTION_GROUPS`] per row of demand_features.

    In the unit of sales; the groups of a row sum to its forecast. `last year` holds what the forecast starts from.
    """
    names = list(ATTRIBUTION_GROUPS)
    group = np.array([names.index(FEATURES[feature].group) for feature in forecaster.features])
    forest = Forest.of(forecaster.booster)
    if forest is not None:
        moved = grouped_contributions(forest, forecaster.values(features), group, len(names))
    else:
        each = forecaster.contributions(features)
        moved = np.column_stack([each[:, :-1] @ (group[:, None] == np.arange(len(names))), each[:, -1]])
    moved *= features["scale"].to_numpy()[:, None]
    grouped = moved[:, :-1]
    # The last column is the mean residual: part of the start, no feature's doing.
    grouped[:, names.index(LAST_YEAR)] += features["base"].to_numpy() + moved[:, -1]
    keys = features[["store_id", "dept_id", "origin_week", "target_week", "horizon"]].reset_index(drop=True)
    return pd.concat([keys, pd.DataFrame(grouped, columns=names)], axis=1)
