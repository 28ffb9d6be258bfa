"""The forecaster: the same bytes twice, nothing from the future, never a NaN, intervals that hold."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost
from pydantic import ValidationError

from demand_assets.errors import ModelError
from demand_assets.forecasting.features import FEATURES, build_features
from demand_assets.forecasting.intervals import COLUMNS, MIN_POINTS, QUANTILES, Calibration, calibrate
from demand_assets.forecasting.model import (
    Forecaster,
    MemberRows,
    ModelConfig,
    actuals_of,
    averaged,
    fit,
    member_rows,
    thinned,
    train_member,
    training_rows,
)
from demand_assets.forecasting.panel import Panel
from demand_assets.forecasting.weeks import week_number
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
    calibrated = forecaster.with_calibration(calibrate(_errors(2_000, 1), 4))
    kept = ("as_of", "config", "rows", "features", "fit_seconds")
    assert [getattr(calibrated, name) for name in kept] == [getattr(forecaster, name) for name in kept]
    calibrated.save(tmp_path / "one")
    loaded = Forecaster.load(tmp_path / "one")
    rows = features[features["origin_week"] == AS_OF]
    pd.testing.assert_frame_equal(loaded.predict(rows), calibrated.predict(rows))
    loaded.save(tmp_path / "two")
    for file in ("model.ubj", "forecaster.json"):
        assert (tmp_path / "two" / file).read_bytes() == (tmp_path / "one" / file).read_bytes()


def test_a_forecast_takes_the_columns_that_it_names_and_no_more(forecaster: Forecaster, features: pd.DataFrame) -> None:
    rows = features[features["origin_week"] == AS_OF]
    pd.testing.assert_frame_equal(forecaster.predict(rows[forecaster.inputs]), forecaster.predict(rows))
    assert len(forecaster.inputs) == len(set(forecaster.inputs))


def test_a_member_learns_scaled_residuals_weighted_by_scale_and_five_times_on_holidays() -> None:
    weeks = pd.DatetimeIndex(["2011-07-15", "2011-07-22", "2011-07-29", "2011-08-05", "2011-07-29"])
    given = {
        "store_id": 1, "dept_id": 2, "horizon": 1, "origin_week": weeks - pd.Timedelta(days=7), "target_week": weeks,
        "scale": [100.0, 10.0, 50.0, 1.0, 1.0], "base": [80.0, 12.0, 40.0, 0.0, 0.0],
        "is_holiday": [0.0, 1.0, 0.0, 0.0, 1.0],
    }  # fmt: skip
    others = {name: np.arange(5.0) + place for place, name in enumerate(FEATURES) if name not in given}
    frame = pd.DataFrame({**given, **others})
    # The fourth target was not known at the time, the last week has no sales.
    actuals = np.array([90.0, 7.0, 40.0, 3.0, np.nan])
    config = ModelConfig(seed=1, threads=1, keep_one_in=1)
    found = member_rows(frame, actuals, AS_OF, config, 0)
    assert found.target.tolist() == [0.1, -0.5, 0.0]
    assert found.weight.tolist() == [100.0, 50.0, 50.0]
    assert found.known.tolist() == week_number(weeks[:3]).tolist()
    np.testing.assert_array_equal(found.values, frame[list(FEATURES)].iloc[:3].to_numpy(np.float32))


def test_a_model_leans_to_the_heavier_rows_whatever_the_unit_of_weight() -> None:
    # The same features throughout: two thirds of the rows say 0, but the other third has five times their weight.
    target = np.tile([0.0, 0.0, 1.0], 100)
    values = np.zeros((300, len(FEATURES)), dtype=np.float32)
    config = ModelConfig(seed=1, threads=1, rounds=60, learning_rate=0.3, subsample=1.0, min_child_weight=1.0)
    matrix = xgboost.DMatrix(values[:1], feature_names=list(FEATURES))

    def learnt(weight: np.ndarray) -> float:
        rows = MemberRows(values, target, weight, np.zeros(300, dtype=np.int64))
        return float(train_member(rows, config, 0).predict(matrix)[0])

    heavy = 1.0 + 4 * target
    assert learnt(heavy) > 0.7
    assert learnt(np.ones(300)) < 0.3
    assert learnt(heavy / 1000) == pytest.approx(learnt(heavy), abs=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        {"rounds": 9}, {"max_depth": 3}, {"learning_rate": 0.2}, {"huber_slope": 0.5}, {"subsample": 0.9},
        {"colsample": 0.9}, {"min_child_weight": 200.0}, {"max_bin": 8}, {"keep_one_in": 3}, {"seed": 4},
        # Of the same rows, so that the second member differs by its seed alone.
        {"members": 2},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_every_setting_changes_the_model(
    change: dict[str, int | float], features: pd.DataFrame, retailer: SampleData
) -> None:
    usual = ModelConfig(rounds=8, seed=3, threads=1, keep_one_in=1, members=1)
    rows = features[features["origin_week"] == AS_OF]
    one, other = (
        fit(features, retailer.sales, AS_OF, usual.model_copy(update=update)).predict(rows)["forecast"]
        for update in ({}, change)
    )
    assert (one - other).abs().max() > 1.0


def test_no_forecast_moves_when_everything_after_the_origin_changes(
    panel: Panel, features: pd.DataFrame, retailer: SampleData, config: ModelConfig
) -> None:
    at = int(panel.position(pd.DatetimeIndex([AS_OF]))[0])
    sales = panel.sales.copy()
    sales[at + 1 :] *= -3.0
    origins = [week for week in features["origin_week"].unique() if week <= AS_OF]
    changed = build_features(dataclasses.replace(panel, sales=sales), origins, 4)
    later = retailer.sales["week"] > AS_OF
    changed_sales = retailer.sales.assign(sales=retailer.sales["sales"].where(~later, -retailer.sales["sales"]))
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
    difference = (there["forecast"] - here["forecast"]).abs().sum()
    assert difference < 0.02 * here["forecast"].abs().sum()


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
    assert both.predict(rows)["forecast"].notna().all()
    # A third member of two shares learns from the first one again.
    assert [len(training_rows(features, actuals, AS_OF, 2, share)) for share in (2, 3)] == list(map(len, shares))


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
    np.testing.assert_array_equal(actuals_of(features, retailer.sales), joined["sales"])
    shuffled = retailer.sales.sample(frac=1, random_state=1)
    np.testing.assert_array_equal(actuals_of(features, shuffled), joined["sales"])
    assert np.isnan(actuals_of(features, retailer.sales.iloc[:0])).all()


def test_no_forecast_is_missing(forecaster: Forecaster, features: pd.DataFrame) -> None:
    forecast = forecaster.predict(features)
    assert np.isfinite(forecast[["forecast", *COLUMNS]].to_numpy()).all()
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


def test_a_model_of_features_that_are_gone_is_refused(forecaster: Forecaster, tmp_path: Path) -> None:
    dataclasses.replace(forecaster, features=("horizon", "other", "lag_0", "former")).save(tmp_path)
    with pytest.raises(ModelError, match="got one that needs other, former; train a new one"):
        Forecaster.load(tmp_path)


def test_a_model_takes_its_own_features_in_its_own_order(
    features: pd.DataFrame, retailer: SampleData, config: ModelConfig, tmp_path: Path
) -> None:
    own = ("mean_8", "lag_0", "horizon")
    rows = member_rows(features, actuals_of(features, retailer.sales), AS_OF, config, 0)
    values = pd.DataFrame(rows.values, columns=list(FEATURES))[list(own)]
    matrix = xgboost.DMatrix(values.to_numpy(), rows.target, feature_names=list(own))
    booster = xgboost.train({"nthread": 1}, matrix, 3)
    Forecaster(booster, config, AS_OF, Calibration.none(), len(rows.target), own).save(tmp_path)
    loaded = Forecaster.load(tmp_path)
    assert loaded.features == own
    shuffled = features[sorted(features.columns)]
    expected = booster.predict(xgboost.DMatrix(features[list(own)].to_numpy(np.float32), feature_names=list(own)))
    np.testing.assert_allclose(
        loaded.predict(shuffled)["forecast"], features["base"] + expected.astype(float) * features["scale"]
    )


def test_importance_names_every_feature(forecaster: Forecaster) -> None:
    table = forecaster.importance()
    assert sorted(table["feature"]) == sorted(forecaster.features)
    assert table["gain"].iloc[0] > 0
    gain = dict(zip(table["feature"], table["gain"], strict=True))
    assert list(table["feature"]) == sorted(gain, key=lambda name: (-gain[name], name))
    nodes = forecaster.booster.trees_to_dataframe()
    mean = nodes[nodes["Feature"] != "Leaf"].groupby("Feature")["Gain"].mean()
    assert gain == pytest.approx(dict.fromkeys(gain, 0.0) | mean.to_dict(), rel=1e-4)


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
            "scale": scale,
            "is_holiday": rng.random(n) < 0.1,
            "forecast": scale,
            "actual": scale + scale * 0.1 * horizon * rng.standard_normal(n),
        }
    )


def test_intervals_hold_what_they_promise_and_widen_with_the_horizon() -> None:
    calibration, fresh = calibrate(_errors(20_000, 1), 4), _errors(20_000, 2)
    bands = calibration.intervals(
        fresh["forecast"].to_numpy(), fresh["scale"].to_numpy(), fresh["horizon"].to_numpy(),
        fresh["is_holiday"].to_numpy(),
    )  # fmt: skip
    inside = (fresh["actual"] >= bands["p10"]) & (fresh["actual"] <= bands["p90"])
    assert inside.mean() == pytest.approx(0.8, abs=0.02)
    assert inside.groupby(fresh["horizon"]).mean().between(0.77, 0.83).all()
    assert (bands["p10"] <= bands["p50"]).all()
    assert (bands["p50"] <= bands["p90"]).all()
    width = pd.Series((bands["p90"] - bands["p10"]) / fresh["scale"]).groupby(fresh["horizon"]).mean()
    assert width.is_monotonic_increasing


def _plain_calibration(points: pd.DataFrame, horizon_weeks: int) -> dict[tuple[int, int, int], list[float]]:
    """Segment, horizon from 1 and kind -> scaled error quantiles, with one loop over the rows for each group."""
    rows = [row for row in points.to_dict("records") if not np.isnan(row["actual"])]
    scales = sorted(row["scale"] for row in rows)
    edges = [np.quantile(scales, share) for share in (0.2, 0.4, 0.6, 0.8)]
    for row in rows:
        row["segment"] = sum(edge < row["scale"] for edge in edges)
        row["error"] = (row["actual"] - row["forecast"]) / row["scale"]

    def errors(**wanted: object) -> list[float]:
        return [row["error"] for row in rows if all(row[name] == value for name, value in wanted.items())]

    found = {}
    for segment, horizon, kind in np.ndindex(5, horizon_weeks, 2):
        here, now, same = {"segment": segment}, {"horizon": horizon + 1}, {"is_holiday": bool(kind)}
        for wanted in ({**here, **now, **same}, {**here, **same}, same, {**here, **now}, here, {}):
            group = errors(**wanted)
            if len(group) >= 200:
                break
        n = len(group)
        # One of n + 1 ranks, outwards; the median has none to give.
        ranks = [max(0.1 - 0.4 / n, 0.0), 0.5, min(0.9 + 0.4 / n, 1.0)]
        found[segment, horizon + 1, kind] = [float(np.quantile(group, rank)) for rank in ranks]
    return found


# Of few errors every one speaks for all, of 1,000 a segment has just 200, of more each next smaller group has enough;
# last, few errors of holidays among many others.
@pytest.mark.parametrize(
    ("count", "flagged"), [(1, 1), (150, 150), (1_000, 1_000), (2_400, 2_400), (6_000, 6_000), (5_000, 1_000)]
)
def test_a_calibration_equals_a_plain_one_of_the_smallest_group_with_200_errors(count: int, flagged: int) -> None:
    assert MIN_POINTS == 200
    points = _errors(count, 7)
    points["is_holiday"] &= points.index < flagged
    # Errors that lean to one side, and more so on holidays and for large series; some weeks without an actual.
    lean = points["scale"] * (points["is_holiday"] * 0.3 + points["scale"] / 5_000 + 0.1)
    points = points.assign(actual=points["actual"] + lean)
    points = pd.concat([points, points.head(40).assign(actual=np.nan, scale=1e6)], ignore_index=True)
    made = calibrate(points, 4)
    for (segment, horizon, kind), expected in _plain_calibration(points, 4).items():
        if segment < len(made.offsets):
            np.testing.assert_allclose(made.offsets[segment, horizon - 1, kind], expected, rtol=1e-12)
    assert len(made.offsets) == min(count, 4) + 1


def test_a_band_is_that_of_its_size_horizon_and_kind_of_week() -> None:
    # Offsets say where they stand: hundreds are the segment, tens the horizon, 5 a holiday; p10 is 1 less, p90 2 more.
    place = [
        [
            [[100 * segment + 10 * step + 5 * kind + around for around in (-1, 0, 2)] for kind in (0, 1)]
            for step in (1, 2)
        ]
        for segment in (1, 2, 3)
    ]
    calibration = Calibration(np.array([10.0, 20.0]), np.array(place, dtype=float))
    scale, horizon = np.array([2.0, 10.0, 10.5, 20.0, 21.0]), np.array([1, 2, 1, 3, 52])
    bands = calibration.intervals(np.arange(5.0), scale, horizon, np.array([0.0, 0.0, 1.0, 0.0, 1.0]))
    # A scale on an edge belongs to the lower segment; horizons past the last take its offsets.
    expected = np.array([110.0, 120.0, 215.0, 220.0, 325.0])
    for name, around in zip(COLUMNS, (-1, 0, 2), strict=True):
        assert bands[name].tolist() == (np.arange(5.0) + scale * (expected + around)).tolist()
    crossed = Calibration(np.empty(0), np.array([[[[3.0, 1.0, 2.0]] * 2]])).intervals(
        np.zeros(1), np.ones(1), np.array([1]), np.zeros(1)
    )
    assert [crossed[name].tolist() for name in COLUMNS] == [[1.0], [2.0], [3.0]]


def test_without_errors_there_is_no_interval() -> None:
    calibration = calibrate(_errors(5, 1).assign(actual=np.nan), 4)
    bands = calibration.intervals(np.array([5.0]), np.array([1.0]), np.array([1]), np.array([0]))
    assert {name: value.tolist() for name, value in bands.items()} == {name: [5.0] for name in COLUMNS}


def test_a_calibration_survives_json() -> None:
    calibration = calibrate(_errors(2_000, 1), 4)
    again = Calibration.from_dict(calibration.to_dict())
    np.testing.assert_array_equal(again.offsets, calibration.offsets)
    np.testing.assert_array_equal(again.edges, calibration.edges)
    assert again.quantiles == QUANTILES


def test_any_set_of_quantiles_is_forecast_in_order(
    features: pd.DataFrame, retailer: SampleData, config: ModelConfig
) -> None:
    wide = config.model_copy(update={"quantiles": (0.025, 0.1, 0.5, 0.9, 0.975)})
    rows = features[features["origin_week"] == AS_OF]
    forecaster = fit(features, retailer.sales, AS_OF, wide)
    uncalibrated = forecaster.predict(rows)
    assert (uncalibrated["p2.5"] == uncalibrated["forecast"]).all()
    points = rows.assign(forecast=rows["base"], actual=rows["base"] * np.linspace(0.5, 1.5, len(rows)), model="xgboost")
    calibrated = forecaster.with_calibration(calibrate(points, 4, wide.quantiles)).predict(rows)
    bands = calibrated[["p2.5", "p10", "p50", "p90", "p97.5"]].to_numpy()
    assert (np.diff(bands, axis=1) >= 0).all()
    assert (bands[:, 0] < bands[:, 1]).mean() > 0.9


def test_quantiles_are_kept_once_each_in_order() -> None:
    assert ModelConfig(seed=1, threads=1, quantiles=(0.9, 0.5, 0.25, 0.1, 0.5)).quantiles == (0.1, 0.25, 0.5, 0.9)


@pytest.mark.parametrize("quantiles", [(0.1, 0.9), (0.1, 0.5, 0.9, 1.0), (0.0, 0.1, 0.5, 0.9)])
def test_quantiles_without_the_published_ones_or_outside_0_1_are_refused(quantiles: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError, match=r"0\.1, 0\.5 and 0\.9 among them"):
        ModelConfig(seed=1, threads=1, quantiles=quantiles)
