"""The forecaster: the same bytes twice, nothing from the future, never a NaN."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from demand_assets.errors import ModelError
from demand_assets.forecasting.attributions import attributions
from demand_assets.forecasting.features import ATTRIBUTION_GROUPS, FEATURES, build_features
from demand_assets.forecasting.forecaster import Forecaster, fit
from demand_assets.forecasting.intervals import COLUMNS, Calibration, calibrate
from demand_assets.forecasting.models.xgboost import XGBoost, XGBoostConfig
from demand_assets.forecasting.panel import Panel
from demand_assets.forecasting.shrinkage import EXPECTED, Shrink
from demand_assets.forecasting.start import Start
from demand_assets.forecasting.training import actuals_of, training_matrix, training_rows
from demand_assets.sample import SampleData

AS_OF = pd.Timestamp("2011-07-29")


@pytest.fixture
def forecaster(features: pd.DataFrame, retailer: SampleData, config: XGBoostConfig) -> Forecaster:
    return fit(features, retailer.sales, AS_OF, config)


def test_two_trainings_give_the_same_bytes(
    features: pd.DataFrame, retailer: SampleData, config: XGBoostConfig, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        fit(features, retailer.sales, AS_OF, config).save(tmp_path / name)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_loaded_forecaster_forecasts_the_same(forecaster: Forecaster, features: pd.DataFrame, tmp_path: Path) -> None:
    errors = pd.DataFrame(
        {
            "target_week": AS_OF,
            "horizon": 1,
            "scale": 1.0,
            "is_holiday": False,
            "forecast": 0.0,
            "actual": np.arange(300.0),
        }
    )
    calibrated = dataclasses.replace(forecaster, calibration=calibrate(errors, 4))
    kept = ("as_of", "config", "rows", "features", "fit_seconds")
    assert [getattr(calibrated, name) for name in kept] == [getattr(forecaster, name) for name in kept]
    calibrated.save(tmp_path / "one")
    loaded = Forecaster.load(tmp_path / "one")
    rows = features[features["origin_week"] == AS_OF]
    pd.testing.assert_frame_equal(loaded.predict(rows), calibrated.predict(rows))
    loaded.save(tmp_path / "two")
    assert files_of(tmp_path / "two") == files_of(tmp_path / "one")


def test_a_forecast_takes_the_columns_that_it_names_and_no_more(forecaster: Forecaster, features: pd.DataFrame) -> None:
    rows = features[features["origin_week"] == AS_OF]
    pd.testing.assert_frame_equal(forecaster.predict(rows[forecaster.inputs]), forecaster.predict(rows))
    assert len(forecaster.inputs) == len(set(forecaster.inputs))


def test_no_forecast_moves_when_everything_after_the_origin_changes(
    panel: Panel, features: pd.DataFrame, retailer: SampleData, config: XGBoostConfig
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


def test_no_forecast_falls_below_its_floor(forecaster: Forecaster, features: pd.DataFrame) -> None:
    wide = Calibration(np.empty(0), np.tile([-3.0, 0.0, 3.0], (1, 1, 2, 1)))
    # Some start far below zero; some of those series had a week of returns.
    rows = features[features["origin_week"] == AS_OF].reset_index(drop=True)
    rows = rows.assign(base=np.where(rows.index % 2, -1e6, rows["base"]), floor=np.where(rows.index % 3, 0.0, -250.0))
    made = dataclasses.replace(forecaster, calibration=wide, start=Start.none()).predict(rows)
    assert (made[["forecast", "p10", "p50"]].min() == -250.0).all()
    assert (made[["forecast", *COLUMNS]].min(axis=1) >= rows["floor"]).all()
    low = rows.index % 2 == 1
    assert made.loc[low, "p50"].tolist() == rows.loc[low, "floor"].tolist()
    why = attributions(dataclasses.replace(forecaster, start=Start.none()), rows)[list(ATTRIBUTION_GROUPS)]
    np.testing.assert_allclose(why.sum(axis=1), made["forecast"], rtol=1e-4, atol=0.5)


def test_members_learn_from_different_rows_and_are_averaged(
    features: pd.DataFrame, retailer: SampleData, config: XGBoostConfig
) -> None:
    actuals = actuals_of(features, retailer.sales)
    shares = [set(training_rows(features, actuals, AS_OF, 0.5, member)) for member in (0, 1)]
    both = fit(features, retailer.sales, AS_OF, config.model_copy(update={"members": 2, "subsample": 0.5}))
    assert both.rows == sum(map(len, shares))
    rows = features[features["origin_week"] == AS_OF]
    values = rows[list(both.features)].to_numpy(np.float32)
    alone = [member.predict(values) for member in both.members]
    assert not np.array_equal(*alone)
    start, _ = both.parts(rows)
    forecast = start + EXPECTED * (alone[0] + alone[1]) / 2 * rows["scale"]
    np.testing.assert_allclose(both.predict(rows)["forecast"], forecast, rtol=1e-12)
    group = np.arange(len(both.features)) % 3
    moved = both.attributions(rows, group, 3)
    assert moved.shape == (len(rows), 4)
    np.testing.assert_allclose(moved.sum(axis=1), EXPECTED * (alone[0] + alone[1]) / 2, rtol=1e-4, atol=2e-6)


def test_without_a_moved_start_and_a_correction_the_forecast_is_the_base(
    forecaster: Forecaster, features: pd.DataFrame
) -> None:
    plain = dataclasses.replace(forecaster, start=Start.none(), shrink=Shrink.of_all(0.0))
    np.testing.assert_array_equal(plain.predict(features)["forecast"], np.maximum(features["base"], features["floor"]))


def test_no_forecast_is_missing(forecaster: Forecaster, features: pd.DataFrame) -> None:
    forecast = forecaster.predict(features)
    assert np.isfinite(forecast[["forecast", *COLUMNS]].to_numpy()).all()
    assert len(forecast) == len(features)


def test_training_before_any_target_is_known_is_refused(
    features: pd.DataFrame, retailer: SampleData, config: XGBoostConfig
) -> None:
    with pytest.raises(ModelError, match="no origin has a target known by 2010-12-31"):
        fit(features, retailer.sales, pd.Timestamp("2010-12-31"), config)


def test_a_missing_feature_is_named(forecaster: Forecaster, features: pd.DataFrame) -> None:
    with pytest.raises(ModelError, match="lack lag_0"):
        forecaster.predict(features.drop(columns="lag_0"))


def test_a_folder_without_a_whole_model_is_refused(forecaster: Forecaster, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no whole model"):
        Forecaster.load(tmp_path)
    forecaster.save(tmp_path)
    (tmp_path / "member_2" / "model.ubj").unlink()
    with pytest.raises(ModelError, match="member_2 holds no whole model"):
        Forecaster.load(tmp_path)


def test_a_model_of_other_features_or_of_an_unknown_kind_is_refused(forecaster: Forecaster, tmp_path: Path) -> None:
    forecaster.save(tmp_path)
    described = json.loads((tmp_path / "forecaster.json").read_text())
    for change, message in (
        ({"features": ["horizon", "other", "lag_0", "former"]}, "got one that needs other, former; train a new one"),
        ({"model": "oracle"}, "there is no model oracle; expected one of: baseline, lightgbm, xgboost"),
        ({"config": {"trees": 5}}, "settings are not those of this code; train a new one"),
    ):
        (tmp_path / "forecaster.json").write_text(json.dumps({**described, **change}))
        with pytest.raises(ModelError, match=message):
            Forecaster.load(tmp_path)


def test_a_model_saved_before_starts_were_learnt_forecasts_as_it_did(
    forecaster: Forecaster, features: pd.DataFrame, tmp_path: Path
) -> None:
    forecaster.save(tmp_path)
    described = json.loads((tmp_path / "forecaster.json").read_text())
    older = {name: value for name, value in described.items() if name not in ("start", "shrink")}
    (tmp_path / "forecaster.json").write_text(json.dumps(older))
    rows = features[features["origin_week"] == AS_OF]
    _, residual = forecaster.parts(rows)
    np.testing.assert_array_equal(
        Forecaster.load(tmp_path).predict(rows)["forecast"],
        np.maximum(rows["base"] + residual * rows["scale"], rows["floor"]),
    )


def test_a_model_takes_its_own_features_in_its_own_order(
    features: pd.DataFrame, retailer: SampleData, config: XGBoostConfig, tmp_path: Path
) -> None:
    own = ("mean_8", "lag_0", "horizon")
    whole = training_matrix(features, actuals_of(features, retailer.sales), AS_OF, 1.0, 0)
    values = whole.X[:, [list(FEATURES).index(name) for name in own]]
    member = XGBoost.fit(dataclasses.replace(whole, X=values, features=own), config, 0)
    alone = config.model_copy(update={"members": 1})
    Forecaster((member,), alone, AS_OF, Calibration.none(), len(whole)).save(tmp_path)
    loaded = Forecaster.load(tmp_path)
    assert loaded.features == own
    expected = member.predict(features[list(own)].to_numpy(np.float32))
    found = loaded.predict(features[sorted(features.columns)])["forecast"]
    np.testing.assert_allclose(found, np.maximum(features["base"] + expected * features["scale"], features["floor"]))


def test_importance_names_every_feature_and_is_the_mean_of_the_members(forecaster: Forecaster) -> None:
    table = forecaster.importance()
    mean = np.mean([member.importance() for member in forecaster.members], axis=0)
    assert dict(zip(table["feature"], table["importance"], strict=True)) == dict(
        zip(forecaster.features, mean, strict=True)
    )
    assert list(table["feature"]) == list(
        table.sort_values(["importance", "feature"], ascending=[False, True])["feature"]
    )


def test_any_set_of_quantiles_is_forecast_in_order(
    features: pd.DataFrame, retailer: SampleData, config: XGBoostConfig
) -> None:
    wide = config.model_copy(update={"quantiles": (0.025, 0.1, 0.5, 0.9, 0.975)})
    rows = features[features["origin_week"] == AS_OF]
    forecaster = fit(features, retailer.sales, AS_OF, wide)
    # The errors of the start give intervals before any forecast was judged.
    assert (np.diff(forecaster.predict(rows)[["p2.5", "p10", "p50", "p90", "p97.5"]], axis=1) >= 0).all()
    points = rows.assign(forecast=rows["base"], actual=rows["base"] * np.linspace(0.5, 1.5, len(rows)), model="xgboost")
    calibrated = dataclasses.replace(forecaster, calibration=calibrate(points, 4, wide.quantiles)).predict(rows)
    bands = calibrated[["p2.5", "p10", "p50", "p90", "p97.5"]].to_numpy()
    assert (np.diff(bands, axis=1) >= 0).all()
    assert (bands[:, 0] < bands[:, 1]).mean() > 0.9


def test_quantiles_are_kept_once_each_in_order() -> None:
    assert XGBoostConfig(seed=1, threads=1, quantiles=(0.9, 0.5, 0.25, 0.1, 0.5)).quantiles == (0.1, 0.25, 0.5, 0.9)


@pytest.mark.parametrize("quantiles", [(0.1, 0.9), (0.1, 0.5, 0.9, 1.0), (0.0, 0.1, 0.5, 0.9)])
def test_quantiles_without_the_published_ones_or_outside_0_1_are_refused(quantiles: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError, match=r"0\.1, 0\.5 and 0\.9 among them"):
        XGBoostConfig(seed=1, threads=1, quantiles=quantiles)
