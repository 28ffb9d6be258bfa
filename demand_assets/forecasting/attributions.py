"""What moved a forecast: Shapley values of the features, summed by their attribution group.

Every forecast is the sum of its attributions: what it starts from (last year and the season) and what each group of
features moved it by. Source: Lundberg et al. 2020, Nature Machine Intelligence 2 (TreeSHAP).
"""

import numpy as np
import pandas as pd

from demand_assets.forecasting.baselines import BASE
from demand_assets.forecasting.features import (
    ATTRIBUTION_GROUPS,
    DRIVER_EFFECT,
    LAST_YEAR,
    PROMOTION,
    features_of,
)
from demand_assets.forecasting.forecaster import Forecaster
from demand_assets.forecasting.start import ESTIMATES


def attributions(forecaster: Forecaster, features: pd.DataFrame) -> pd.DataFrame:
    """[store_id, dept_id, origin_week, target_week, horizon, `ATTRIBUTION_GROUPS`] per row of demand_features.

    In the unit of sales; the groups of a row sum to its forecast. `last year` holds what the forecast starts from, less
    what drivers moved it by, which `promotion` holds, and what keeps the forecast from falling below its floor.
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
    start = features[forecaster.config.starts_from].to_numpy()
    grouped[:, names.index(LAST_YEAR)] += start + moved[:, -1]
    if forecaster.config.starts_from == BASE and DRIVER_EFFECT in features:
        of_drivers = start - start / features[DRIVER_EFFECT].to_numpy()
        grouped[:, names.index(PROMOTION)] += of_drivers
        grouped[:, names.index(LAST_YEAR)] -= of_drivers
    grouped[:, names.index(LAST_YEAR)] += np.maximum(features["floor"].to_numpy() - grouped.sum(axis=1), 0.0)
    keys = features[["store_id", "dept_id", "origin_week", "target_week", "horizon"]].reset_index(drop=True)
    return pd.concat([keys, pd.DataFrame(grouped, columns=names)], axis=1)
