"""LightGBM as a model: the same rules as the trees of XGBoost, its own library."""

import ctypes.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from demand_assets.errors import ModelError
from demand_assets.forecasting import models as registered
from demand_assets.forecasting.attributions import attributions
from demand_assets.forecasting.features import ATTRIBUTION_GROUPS, FEATURES
from demand_assets.forecasting.forecaster import Forecaster, fit
from demand_assets.forecasting.models import configured, model_named
from demand_assets.forecasting.models.lightgbm import MODEL_FILE, LightGBM, LightGBMConfig
from demand_assets.forecasting.training import TrainingMatrix
from demand_assets.sample import SampleData

AS_OF = pd.Timestamp("2011-07-29")
pytestmark = pytest.mark.skipif(
    ctypes.util.find_library("gomp") is None, reason="the system has no OpenMP, which lightgbm's wheel needs: libgomp1"
)


@pytest.fixture(scope="module")
def lightgbm_config() -> LightGBMConfig:
    return LightGBMConfig(rounds=8, seed=3, threads=1)


@pytest.fixture(scope="module")
def trained(features: pd.DataFrame, retailer: SampleData, lightgbm_config: LightGBMConfig) -> Forecaster:
    return fit(features, retailer.sales, AS_OF, lightgbm_config)


def test_it_is_chosen_by_its_name() -> None:
    assert model_named("lightgbm") is LightGBM
    chosen = configured("lightgbm", {"seed": 1, "threads": 1, "objective": "huber"})
    assert chosen.booster_params(member=1)["objective"] == "huber"
    assert chosen.booster_params(member=1)["seed"] == 2


def test_without_its_library_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registered, "_is_installed", lambda distribution: False)
    registered.models.cache_clear()
    try:
        with pytest.raises(ModelError, match=r"model lightgbm is an extra .* pip install 'demand-assets\[lightgbm\]'"):
            configured("lightgbm", {})
    finally:
        registered.models.cache_clear()


def test_it_leans_to_the_heavier_rows_whatever_the_unit_of_weight() -> None:
    # The same features throughout: two thirds of the rows say 0, but the other third has five times their weight.
    target = np.tile([0.0, 0.0, 1.0], 100)
    values = np.random.default_rng(1).normal(size=(300, len(FEATURES))).astype(np.float32)
    config = LightGBMConfig(seed=1, threads=1, rounds=1, tree_subsample=1.0, num_leaves=2, min_child_rows=150)

    def learnt(weight: np.ndarray) -> float:
        rows = TrainingMatrix(values, target, weight, np.zeros(300, dtype=np.int64))
        return float(np.median(LightGBM.fit(rows, config, 0).predict(values)))

    heavy = 1.0 + 4 * target
    assert learnt(heavy) > 0.5 > learnt(np.ones(300))
    assert learnt(heavy / 1000) == pytest.approx(learnt(heavy))


def test_the_number_of_threads_changes_no_byte(
    features: pd.DataFrame, retailer: SampleData, lightgbm_config: LightGBMConfig, tmp_path: Path
) -> None:
    saved = []
    for threads in (1, 3):
        (member, *_) = fit(
            features, retailer.sales, AS_OF, lightgbm_config.model_copy(update={"threads": threads})
        ).members
        member.save(tmp_path)
        saved.append((tmp_path / MODEL_FILE).read_bytes())
    assert saved[0] == saved[1]


def test_a_saved_forecaster_forecasts_the_same(trained: Forecaster, features: pd.DataFrame, tmp_path: Path) -> None:
    trained.save(tmp_path)
    rows = features[features["origin_week"] == AS_OF]
    loaded = Forecaster.load(tmp_path)
    assert loaded.model == "lightgbm"
    assert loaded.features == tuple(FEATURES)
    pd.testing.assert_frame_equal(loaded.predict(rows), trained.predict(rows))
    assert sorted(path.name for path in (tmp_path / "member_1").iterdir()) == [MODEL_FILE]


def test_a_damaged_file_is_no_model(trained: Forecaster, tmp_path: Path) -> None:
    trained.save(tmp_path)
    (tmp_path / "member_1" / MODEL_FILE).write_text("tree\n")
    with pytest.raises(ModelError, match="holds no whole model"):
        Forecaster.load(tmp_path)


def test_attributions_sum_to_the_forecast(trained: Forecaster, features: pd.DataFrame) -> None:
    rows = features[features["origin_week"] == AS_OF]
    moved = attributions(trained, rows)[list(ATTRIBUTION_GROUPS)].sum(axis=1)
    assert moved.to_numpy() == pytest.approx(trained.predict(rows)["forecast"].to_numpy(), rel=1e-6)
    assert trained.importance()["importance"].iloc[0] > 0
