"""Boosted trees as a model: what they minimise, and that every setting counts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost
from pydantic import ValidationError

from demand_assets.forecasting.features import FEATURES
from demand_assets.forecasting.forecaster import fit
from demand_assets.forecasting.models.xgboost import XGBoost, XGBoostConfig
from demand_assets.forecasting.training import TrainingMatrix
from demand_assets.sample import SampleData

AS_OF = pd.Timestamp("2011-07-29")


def test_a_model_leans_to_the_heavier_rows_whatever_the_unit_of_weight() -> None:
    # The same features throughout: two thirds of the rows say 0, but the other third has five times their weight.
    target = np.tile([0.0, 0.0, 1.0], 100)
    values = np.zeros((300, len(FEATURES)), dtype=np.float32)
    config = XGBoostConfig(seed=1, threads=1, rounds=60, learning_rate=0.3, tree_subsample=1.0, min_child_weight=1.0)

    def learnt(weight: np.ndarray) -> float:
        rows = TrainingMatrix(values, target, weight, np.zeros(300, dtype=np.int64))
        return float(XGBoost.fit(rows, config, 0).predict(values[:1])[0])

    heavy = 1.0 + 4 * target
    assert learnt(heavy) > 0.7
    assert learnt(np.ones(300)) < 0.3
    assert learnt(heavy / 1000) == pytest.approx(learnt(heavy), abs=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        {"rounds": 9}, {"max_depth": 3}, {"learning_rate": 0.2}, {"huber_slope": 0.5}, {"tree_subsample": 0.9},
        {"tree_colsample": 0.9}, {"min_child_weight": 200.0}, {"max_bin": 8}, {"subsample": 1 / 3}, {"seed": 4},
        # Of the same rows, so that the second member differs by its seed alone.
        {"members": 2},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_every_setting_changes_the_model(
    change: dict[str, int | float], features: pd.DataFrame, retailer: SampleData
) -> None:
    usual = XGBoostConfig(rounds=8, seed=3, threads=1, subsample=1.0, members=1)
    rows = features[features["origin_week"] == AS_OF]
    one, other = (
        fit(features, retailer.sales, AS_OF, usual.model_copy(update=update)).predict(rows)["forecast"]
        for update in ({}, change)
    )
    assert (one - other).abs().max() > 1.0


def test_the_number_of_threads_changes_no_byte(
    features: pd.DataFrame, retailer: SampleData, config: XGBoostConfig
) -> None:
    one, three = (
        fit(features, retailer.sales, AS_OF, config.model_copy(update={"threads": threads})).members[0]
        for threads in (1, 3)
    )
    assert isinstance(one, XGBoost)
    assert isinstance(three, XGBoost)
    assert one.booster.save_raw() == three.booster.save_raw()


def test_a_model_trained_on_a_gpu_forecasts_as_one_trained_without(
    features: pd.DataFrame, retailer: SampleData, config: XGBoostConfig
) -> None:
    if not xgboost.build_info().get("USE_CUDA"):
        pytest.skip("this xgboost is built without CUDA")
    if not list(Path("/dev").glob("nvidia[0-9]*")):
        pytest.skip("there is no NVIDIA GPU on this machine")
    rows = features[features["origin_week"] == AS_OF]
    here, there = (
        fit(features, retailer.sales, AS_OF, config.model_copy(update={"device": device})).predict(rows)
        for device in ("cpu", "cuda")
    )
    difference = (there["forecast"] - here["forecast"]).abs().sum()
    assert difference < 0.02 * here["forecast"].abs().sum()


def test_importance_is_the_mean_gain_of_the_splits_on_a_feature(
    features: pd.DataFrame, retailer: SampleData, config: XGBoostConfig
) -> None:
    model, *_ = fit(features, retailer.sales, AS_OF, config).members
    assert isinstance(model, XGBoost)
    nodes = model.booster.trees_to_dataframe()
    mean = nodes[nodes["Feature"] != "Leaf"].groupby("Feature")["Gain"].mean()
    gain = dict(zip(model.features, model.importance(), strict=True))
    assert gain == pytest.approx(dict.fromkeys(gain, 0.0) | mean.to_dict(), rel=1e-4)


@pytest.mark.parametrize(
    "wrong", [{"rounds": 0}, {"threads": 0}, {"device": "tpu"}, {"learning_rate": 2.0}, {"trees": 5}]
)
def test_a_bad_configuration_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        XGBoostConfig(**{"seed": 1, "threads": 1, **wrong})
