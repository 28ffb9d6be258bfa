"""The forecaster: the same bytes twice, nothing from the future, never a NaN, intervals that hold."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost
from pydantic import ValidationError

from demand_assets.errors import ModelError
from demand_assets.forecasting.features import build_features
from demand_assets.forecasting.intervals import COLUMNS, Calibration, calibrate
from demand_assets.forecasting.model import (
    Forecaster,
    MemberRows,
    ModelConfig,
    actuals_of,
    averaged,
    fit,
    member_rows,
    thinned,
    training_rows,
)
from demand_assets.forecasting.panel import Panel
from demand_assets.sample import SampleData

AS_OF = pd.Timestamp("2011-07-29")


@pytest.fixture
def forecaster(features: pd.DataFrame, retailer: SampleData, config: ModelConfig) -> Forecaster:
    return fit(features, retailer.sales, AS_OF, config)


def test_two_trainings_give_the_same_bytes(
    features: pd.DataFrame, retailer: SampleData, config: ModelConfig, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        fit(features, retailer.sales, AS_OF, config).save(tmp_path / name)
    for file in ("model.ubj", "forecaster.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_loaded_forecaster_forecasts_the_same(forecaster: Forecaster, features: pd.DataFrame, tmp_path: Path) -> None:
    forecaster.save(tmp_path)
    rows = features[features["origin_week"] == AS_OF]
    pd.testing.assert_frame_equal(Forecaster.load(tmp_path).predict(rows), forecaster.predict(rows))


def test_no_forecast_moves_when_everything_after_the_origin_changes(
    panel: Panel, features: pd.DataFrame, retailer: SampleData, config: ModelConfig
) -> None:
    at = int(panel.position(pd.DatetimeIndex([AS_OF]))[0])
    sales = panel.sales.copy()
    sales[at + 1 :] *= -3.0
    origins = [week for week in features["origin_week"].unique() if week <= AS_OF]
    changed = build_features(dataclasses.replace(panel, sales=sales), origins, 4)
    later = retailer.sales["week"] > AS_OF
    changed_sales = retailer.sales.assign(
        weekly_sales_usd=retailer.sales["weekly_sales_usd"].where(~later, -retailer.sales["weekly_sales_usd"])
    )
    rows = features[features["origin_week"] == AS_OF].reset_index(drop=True)
    changed_rows = changed[changed["origin_week"] == AS_OF].reset_index(drop=True)
    expected = fit(features, retailer.sales, AS_OF, config).predict(rows)
    pd.testing.assert_frame_equal(fit(changed, changed_sales, AS_OF, config).predict(changed_rows), expected)


def test_training_uses_only_targets_known_by_then(features: pd.DataFrame, retailer: SampleData) -> None:
    rows = training_rows(features, actuals_of(features, retailer.sales), AS_OF)
    assert features["target_week"].iloc[rows].max() == AS_OF


def test_thinning_keeps_every_series_and_horizon(features: pd.DataFrame, retailer: SampleData) -> None:
    actuals = actuals_of(features, retailer.sales)
    whole, half = (features.iloc[training_rows(features, actuals, AS_OF, n)] for n in (1, 2))
    assert len(half) == pytest.approx(len(whole) / 2, rel=0.05)
    assert set(half["horizon"]) == {1, 2, 3, 4}
    assert len(half[["store_id", "dept_id"]].drop_duplicates()) == len(whole[["store_id", "dept_id"]].drop_duplicates())


def test_rows_read_in_parts_and_cut_back_are_those_of_the_earlier_week(
    features: pd.DataFrame, retailer: SampleData, config: ModelConfig
) -> None:
    newest, earlier = pd.Timestamp("2011-09-02"), pd.Timestamp("2011-07-29")
    actuals = actuals_of(features, retailer.sales)
    half = len(features) // 2
    parts = [
        member_rows(features.iloc[rows], actuals[rows], newest, config, 0) for rows in (slice(half), slice(half, None))
    ]
    cut = MemberRows.joined(parts).by(earlier)
    direct = member_rows(features, actuals, earlier, config, 0)
    assert 0 < len(cut.target) < sum(len(part.target) for part in parts)
    for name in ("values", "target", "weight", "known"):
        np.testing.assert_array_equal(getattr(cut, name), getattr(direct, name))
    assert len(MemberRows.joined([MemberRows.none()]).target) == 0


def test_more_rows_than_allowed_are_thinned_and_fewer_left(config: ModelConfig) -> None:
    assert thinned(config, 1_000_000, 1_000_000) == config
    assert thinned(config, 1_000_001, 1_000_000).keep_one_in == 2
    assert thinned(config.model_copy(update={"keep_one_in": 5}), 3_000_000, 1_000_000).keep_one_in == 5


def test_a_model_trained_on_a_gpu_forecasts_as_one_trained_without(
    features: pd.DataFrame, retailer: SampleData, config: ModelConfig
) -> None:
    if not xgboost.build_info().get("USE_CUDA"):
        pytest.skip("this xgboost is built without CUDA")
    if not list(Path("/dev").glob("nvidia[0-9]*")):
        pytest.skip("there is no NVIDIA GPU on this machine")
    # All rows in each tree: a GPU draws others.
    whole = config.model_copy(update={"subsample": 1.0})
    rows = features[features["origin_week"] == AS_OF]
    here, there = (
        fit(features, retailer.sales, AS_OF, whole.model_copy(update={"device": device})).predict(rows)
        for device in ("cpu", "cuda")
    )
    difference = (there["forecast_usd"] - here["forecast_usd"]).abs().sum()
    assert difference < 0.02 * here["forecast_usd"].abs().sum()


def test_members_learn_from_different_rows_and_are_averaged(
    features: pd.DataFrame, retailer: SampleData, config: ModelConfig
) -> None:
    actuals = actuals_of(features, retailer.sales)
    shares = [set(training_rows(features, actuals, AS_OF, 2, share)) for share in (0, 1)]
    assert not shares[0] & shares[1]
    assert shares[0] | shares[1] == set(training_rows(features, actuals, AS_OF))

    rows = features[features["origin_week"] == AS_OF]
    both = fit(features, retailer.sales, AS_OF, config.model_copy(update={"members": 2, "keep_one_in": 2}))
    assert both.booster.num_boosted_rounds() == 2 * config.rounds
    assert both.rows == sum(map(len, shares))
    assert both.predict(rows)["forecast_usd"].notna().all()


def test_an_averaged_booster_forecasts_and_explains_the_mean_of_its_members() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 3))
    values[rng.random(values.shape) < 0.1] = np.nan
    matrix = xgboost.DMatrix(values, label=np.nansum(values, axis=1))
    params = {"objective": "reg:pseudohubererror", "subsample": 0.5, "max_depth": 3}
    members = [xgboost.train({**params, "seed": seed}, matrix, 8) for seed in range(3)]
    expected = np.mean([member.predict(matrix) for member in members], axis=0)
    whole = averaged(members)
    np.testing.assert_allclose(whole.predict(matrix), expected, atol=1e-5)
    np.testing.assert_allclose(whole.predict(matrix, pred_contribs=True).sum(axis=1), expected, atol=1e-5)


def test_actuals_equal_a_join(features: pd.DataFrame, retailer: SampleData) -> None:
    keys = ["store_id", "dept_id", "target_week"]
    joined = features[keys].merge(retailer.sales.rename(columns={"week": "target_week"}), on=keys, how="left")
    np.testing.assert_array_equal(actuals_of(features, retailer.sales), joined["weekly_sales_usd"])


def test_no_forecast_is_missing(forecaster: Forecaster, features: pd.DataFrame) -> None:
    forecast = forecaster.predict(features)
    assert np.isfinite(forecast[["forecast_usd", *COLUMNS]].to_numpy()).all()
    assert len(forecast) == len(features)


def test_training_before_any_target_is_known_is_refused(
    features: pd.DataFrame, retailer: SampleData, config: ModelConfig
) -> None:
    with pytest.raises(ModelError, match="no origin has a target known by 2010-12-31"):
        fit(features, retailer.sales, pd.Timestamp("2010-12-31"), config)


def test_a_missing_feature_is_named(forecaster: Forecaster, features: pd.DataFrame) -> None:
    with pytest.raises(ModelError, match="lack lag_0"):
        forecaster.predict(features.drop(columns="lag_0"))


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no whole model"):
        Forecaster.load(tmp_path)


def test_a_model_of_other_features_is_refused(forecaster: Forecaster, tmp_path: Path) -> None:
    dataclasses.replace(forecaster, features=("horizon", "other")).save(tmp_path)
    with pytest.raises(ModelError, match="other features than this code builds"):
        Forecaster.load(tmp_path)


def test_importance_names_every_feature(forecaster: Forecaster) -> None:
    table = forecaster.importance()
    assert sorted(table["feature"]) == sorted(forecaster.features)
    assert table["gain"].is_monotonic_decreasing


@pytest.mark.parametrize(
    "wrong", [{"rounds": 0}, {"threads": 0}, {"device": "tpu"}, {"learning_rate": 2.0}, {"trees": 5}]
)
def test_a_bad_configuration_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        ModelConfig(**{"seed": 1, "threads": 1, **wrong})


def _errors(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    scale = rng.uniform(10, 1000, n)
    horizon = rng.integers(1, 5, n)
    return pd.DataFrame(
        {
            "horizon": horizon,
            "scale_usd": scale,
            "is_holiday": rng.random(n) < 0.1,
            "forecast_usd": scale,
            "actual_usd": scale + scale * 0.1 * horizon * rng.standard_normal(n),
        }
    )


def test_intervals_hold_what_they_promise_and_widen_with_the_horizon() -> None:
    calibration, fresh = calibrate(_errors(20_000, 1), 4), _errors(20_000, 2)
    bands = calibration.bands(
        fresh["forecast_usd"].to_numpy(), fresh["scale_usd"].to_numpy(), fresh["horizon"].to_numpy(),
        fresh["is_holiday"].to_numpy(),
    )  # fmt: skip
    inside = (fresh["actual_usd"] >= bands["p10_usd"]) & (fresh["actual_usd"] <= bands["p90_usd"])
    assert inside.mean() == pytest.approx(0.8, abs=0.02)
    assert inside.groupby(fresh["horizon"]).mean().between(0.77, 0.83).all()
    assert (bands["p10_usd"] <= bands["p50_usd"]).all()
    assert (bands["p50_usd"] <= bands["p90_usd"]).all()
    width = pd.Series((bands["p90_usd"] - bands["p10_usd"]) / fresh["scale_usd"]).groupby(fresh["horizon"]).mean()
    assert width.is_monotonic_increasing


def test_without_errors_there_is_no_interval() -> None:
    calibration = calibrate(_errors(5, 1).assign(actual_usd=np.nan), 4)
    bands = calibration.bands(np.array([5.0]), np.array([1.0]), np.array([1]), np.array([0]))
    assert {name: value.tolist() for name, value in bands.items()} == {name: [5.0] for name in COLUMNS}


def test_a_calibration_survives_json() -> None:
    calibration = calibrate(_errors(2_000, 1), 4)
    again = Calibration.from_dict(calibration.to_dict())
    np.testing.assert_array_equal(again.offsets, calibration.offsets)
    np.testing.assert_array_equal(again.edges, calibration.edges)


def test_any_set_of_quantiles_is_forecast_in_order(
    features: pd.DataFrame, retailer: SampleData, config: ModelConfig
) -> None:
    wide = config.model_copy(update={"quantiles": (0.025, 0.1, 0.5, 0.9, 0.975)})
    rows = features[features["origin_week"] == AS_OF]
    forecaster = fit(features, retailer.sales, AS_OF, wide)
    points = rows.assign(
        forecast_usd=rows["base_usd"], actual_usd=rows["base_usd"] * np.linspace(0.5, 1.5, len(rows)), model="xgboost"
    )
    calibrated = forecaster.with_calibration(calibrate(points, 4, wide.quantiles)).predict(rows)
    bands = calibrated[["p2.5_usd", "p10_usd", "p50_usd", "p90_usd", "p97.5_usd"]].to_numpy()
    assert (np.diff(bands, axis=1) >= 0).all()
    assert (bands[:, 0] < bands[:, 1]).mean() > 0.9


@pytest.mark.parametrize("quantiles", [(0.1, 0.9), (0.1, 0.5, 0.9, 1.0)])
def test_quantiles_without_the_published_ones_or_outside_0_1_are_refused(quantiles: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError, match=r"0\.1, 0\.5 and 0\.9 among them"):
        ModelConfig(seed=1, threads=1, quantiles=quantiles)
