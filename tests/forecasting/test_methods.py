"""The rule behind each forecast."""

import numpy as np
import pandas as pd

from demand_assets.forecasting.baselines import UNTRAINED
from demand_assets.forecasting.methods import METHODS, history_needs, method_of, methods_for, weeks_needed


def test_each_kind_of_history_has_its_rule() -> None:
    rows = pd.DataFrame(
        {"weeks_observed": [1, 30, 20, 52], "mean_8": [1, np.nan, 1, 1], "last_year": [np.nan, 1, np.nan, 1]}
    )
    assert method_of(rows).tolist() == list(METHODS)


def test_the_least_history_decides() -> None:
    rows = pd.DataFrame({"weeks_observed": [1, 1, 2], "mean_8": np.nan, "last_year": [np.nan, 1, np.nan]})
    assert method_of(rows).tolist() == ["single week", "single week", "dormant"]


def test_a_message_says_how_many_weeks_each_method_needs() -> None:
    assert history_needs(26, 4) == (
        "history has 26 weeks; needed are: last_value 1, tsb 1, moving_average 8, seasonal_naive 53, "
        "aligned_seasonal_naive 53, base 53, model 66, svd_stl 104"
    )
    assert methods_for(26, 4) == ["last_value", "tsb", "moving_average"]
    assert methods_for(66, 4)[-1] == "model"
    assert set(weeks_needed(4)) == {*UNTRAINED, "model"}
