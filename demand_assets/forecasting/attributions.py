"""What moved a forecast: Shapley values of the features, summed by their attribution group.

Every forecast is the sum of its attributions: what it starts from (last year and the season) and what each group of
features moved it by. Source: Lundberg et al. 2020, Nature Machine Intelligence 2 (TreeSHAP).
"""

import numpy as np
import pandas as pd

from demand_assets.forecasting.features import ATTRIBUTION_GROUPS, LAST_YEAR, features_of
from demand_assets.forecasting.forecaster import Forecaster
from demand_assets.forecasting.start import ESTIMATES


def attributions(forecaster: Forecaster, features: pd.DataFrame) -> pd.DataFrame:
    """[store_id, dept_id, origin_week, target_week, horizon, `ATTRIBUTION_GROUPS`] per row of demand_features.

    In the unit of sales; the groups of a row sum to its forecast. `last year` holds what the forecast starts from.
    """
    names = list(ATTRIBUTION_GROUPS)
    known = features_of([*forecaster.features, *ESTIMATES.values()])
    group = np.array([names.index(known[feature].group) for feature in forecaster.features])
    moved = forecaster.attributions(features, group, len(names))
    estimates = np.array([names.index(known[feature].group) for feature in ESTIMATES.values()])
    moved[:, :-1] += forecaster.start_moves(features) @ (estimates[:, None] == np.arange(len(names)))
    moved *= features["scale"].to_numpy()[:, None]
    grouped = moved[:, :-1]
    # The last column is the mean residual: part of the start, no feature's doing.
    grouped[:, names.index(LAST_YEAR)] += features[forecaster.config.starts_from].to_numpy() + moved[:, -1]
    keys = features[["store_id", "dept_id", "origin_week", "target_week", "horizon"]].reset_index(drop=True)
    return pd.concat([keys, pd.DataFrame(grouped, columns=names)], axis=1)
