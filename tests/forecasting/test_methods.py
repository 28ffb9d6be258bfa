"""The rule behind each forecast."""

import numpy as np
import pandas as pd

from demand_assets.forecasting.methods import METHODS, method_of


def test_each_kind_of_history_has_its_rule() -> None:
    rows = pd.DataFrame(
        {"weeks_observed": [1, 30, 20, 52], "mean_8": [1, np.nan, 1, 1], "last_year": [np.nan, 1, np.nan, 1]}
    )
    assert method_of(rows).tolist() == list(METHODS)


def test_the_least_history_decides() -> None:
    rows = pd.DataFrame({"weeks_observed": [1, 1, 2], "mean_8": np.nan, "last_year": [np.nan, 1, np.nan]})
    assert method_of(rows).tolist() == ["single week", "single week", "dormant"]
