"""Attributions sum to the forecast, group by group."""

import numpy as np
import pandas as pd
import pytest

from demand_assets.forecasting.attributions import attributions
from demand_assets.forecasting.features import ATTRIBUTION_GROUPS, FEATURES
from demand_assets.forecasting.forecaster import fit
from demand_assets.forecasting.models.xgboost import XGBoostConfig
from demand_assets.forecasting.start import ESTIMATES
from demand_assets.sample import SampleData

AS_OF = pd.Timestamp("2011-07-29")


def test_attributions_sum_to_the_forecast(features: pd.DataFrame, retailer: SampleData, config: XGBoostConfig) -> None:
    forecaster = fit(features, retailer.sales, AS_OF, config)
    rows = features[features["origin_week"] == AS_OF]
    why, forecast = attributions(forecaster, rows), forecaster.predict(rows)
    keys = ["store_id", "dept_id", "origin_week", "target_week", "horizon"]
    pd.testing.assert_frame_equal(why[keys], forecast[keys])
    np.testing.assert_allclose(why.drop(columns=keys).sum(axis=1), forecast["forecast"], rtol=1e-4, atol=0.5)
    assert why["recent trend"].abs().max() > 0


# Trees of up to eight levels are looked up in tables, deeper ones are left to xgboost.
@pytest.mark.parametrize("depth", [4, 10])
def test_an_attribution_is_the_sum_of_what_its_features_moved(
    depth: int, features: pd.DataFrame, retailer: SampleData, config: XGBoostConfig
) -> None:
    deep = config.model_copy(update={"max_depth": depth, "min_child_weight": 0.0, "rounds": 3})
    forecaster = fit(features, retailer.sales, AS_OF, deep)
    assert [member.forest() is None for member in forecaster.members] == [depth == 10] * config.members
    rows = features[features["origin_week"] == AS_OF].head(20)
    each = np.arange(len(forecaster.features))
    scale, moved = rows["scale"].to_numpy(), forecaster.attributions(rows, each, len(each))
    expected = {group: np.zeros(len(rows)) for group in ATTRIBUTION_GROUPS}
    for place, name in enumerate(forecaster.features):
        expected[FEATURES[name].group] += moved[:, place] * scale
    starts = forecaster.start_moves(rows)
    assert starts.any()
    for place, name in enumerate(ESTIMATES.values()):
        expected[FEATURES[name].group] += starts[:, place] * scale
    # What the forecast starts from: last year, and what the model adds to every row.
    expected["last year"] += rows["base"].to_numpy() + moved[:, -1] * scale
    why = attributions(forecaster, rows)
    for group, amount in expected.items():
        np.testing.assert_allclose(why[group], amount, rtol=1e-4, atol=0.2, err_msg=group)


def test_features_are_grouped_by_what_a_planner_asks() -> None:
    asked = ("is_holiday", "easter_offset", "markdown_4", "smooth_base", "dept_growth_4", "store_size", "cpi_change")
    assert [FEATURES[name].group for name in asked] == [
        "holiday", "holiday", "promotion", "last year", "department", "store", "weather and economy",
    ]  # fmt: skip
    assert {spec.group for spec in FEATURES.values()} == set(ATTRIBUTION_GROUPS)
