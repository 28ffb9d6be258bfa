"""Reasons: every feature has one, and they sum to the forecast."""

import numpy as np
import pandas as pd
import pytest

from demand_assets.forecasting.features import FEATURE_COLUMNS
from demand_assets.forecasting.model import ModelConfig, fit
from demand_assets.forecasting.reasons import reason_of, reasons
from demand_assets.sample import SampleData

AS_OF = pd.Timestamp("2011-07-29")


def test_reasons_sum_to_the_forecast(features: pd.DataFrame, retailer: SampleData, config: ModelConfig) -> None:
    forecaster = fit(features, retailer.sales, AS_OF, config)
    rows = features[features["origin_week"] == AS_OF]
    why, forecast = reasons(forecaster, rows), forecaster.predict(rows)
    keys = ["store_id", "dept_id", "origin_week", "target_week", "horizon"]
    pd.testing.assert_frame_equal(why[keys], forecast[keys])
    np.testing.assert_allclose(why.drop(columns=keys).sum(axis=1), forecast["forecast_usd"], rtol=1e-4, atol=0.5)
    assert why["recent trend"].abs().max() > 0


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
