"""Reasons: every feature has one, and they sum to the forecast."""

import numpy as np
import pandas as pd
import pytest

from demand_assets.forecasting.features import FEATURE_COLUMNS
from demand_assets.forecasting.forecaster import fit
from demand_assets.forecasting.models.xgboost import XGBoostConfig
from demand_assets.forecasting.reasons import REASONS, reason_of, reasons
from demand_assets.sample import SampleData

AS_OF = pd.Timestamp("2011-07-29")


def test_reasons_sum_to_the_forecast(features: pd.DataFrame, retailer: SampleData, config: XGBoostConfig) -> None:
    forecaster = fit(features, retailer.sales, AS_OF, config)
    rows = features[features["origin_week"] == AS_OF]
    why, forecast = reasons(forecaster, rows), forecaster.predict(rows)
    keys = ["store_id", "dept_id", "origin_week", "target_week", "horizon"]
    pd.testing.assert_frame_equal(why[keys], forecast[keys])
    np.testing.assert_allclose(why.drop(columns=keys).sum(axis=1), forecast["forecast"], rtol=1e-4, atol=0.5)
    assert why["recent trend"].abs().max() > 0


# Trees of up to eight levels are looked up in tables, deeper ones are left to xgboost.
@pytest.mark.parametrize("depth", [4, 10])
def test_a_reason_is_the_sum_of_what_its_features_moved(
    depth: int, features: pd.DataFrame, retailer: SampleData, config: XGBoostConfig
) -> None:
    deep = config.model_copy(update={"max_depth": depth, "min_child_weight": 0.0, "rounds": 3})
    forecaster = fit(features, retailer.sales, AS_OF, deep)
    assert [member.forest() is None for member in forecaster.members] == [depth == 10] * 2
    rows = features[features["origin_week"] == AS_OF].head(20)
    each = np.arange(len(forecaster.features))
    scale, moved = rows["scale"].to_numpy(), forecaster.attributions(rows, each, len(each))
    expected = {reason: np.zeros(len(rows)) for _, reason in REASONS}
    for place, name in enumerate(forecaster.features):
        expected[reason_of(name)] += moved[:, place] * scale
    # What the forecast starts from: last year, and what the model adds to every row.
    expected["last year"] += rows["base"].to_numpy() + moved[:, -1] * scale
    why = reasons(forecaster, rows)
    for reason, usd in expected.items():
        np.testing.assert_allclose(why[reason], usd, rtol=1e-4, atol=0.2, err_msg=reason)


def test_every_feature_has_a_reason() -> None:
    words = {name: reason_of(name) for name in FEATURE_COLUMNS}
    assert words["is_holiday"] == words["easter_offset"] == "holiday"
    assert words["markdown_4"] == "promotion"
    assert words["smooth_base"] == "last year"
    assert words["dept_growth_4"] == "department"
    assert set(words.values()) == {
        "holiday", "promotion", "store", "department", "weather and economy", "recent trend", "last year",
    }  # fmt: skip


def test_an_unknown_feature_is_refused() -> None:
    with pytest.raises(KeyError, match="feature moon_phase belongs to no reason"):
        reason_of("moon_phase")
