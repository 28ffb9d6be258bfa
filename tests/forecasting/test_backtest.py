"""Backtest, metrics and baselines."""

import numpy as np
import pandas as pd
import pytest

from demand_assets.errors import ModelError
from demand_assets.forecasting import intervals, metrics
from demand_assets.forecasting.backtest import COLUMNS, Backtest, backtest, judged_panel, rolling_origins
from demand_assets.forecasting.baselines import BASELINES, last_value, seasonal_naive
from demand_assets.forecasting.model import ModelConfig
from demand_assets.forecasting.panel import Panel
from demand_assets.sample import SampleData

ORIGINS = [pd.Timestamp("2011-07-01"), pd.Timestamp("2011-08-19")]


@pytest.fixture(scope="module")
def result(features: pd.DataFrame, retailer: SampleData, panel: Panel) -> Backtest:
    config = ModelConfig(rounds=15, seed=3, threads=1)
    return backtest(features, retailer.sales, panel, ORIGINS, 4, config)


def test_metrics_by_hand() -> None:
    actual, forecast, holiday = [10.0, 20.0, 30.0], [12.0, 20.0, 24.0], [False, False, True]
    assert metrics.wmae(actual, forecast, holiday) == pytest.approx((2 + 0 + 5 * 6) / 7)
    assert metrics.mae(actual, forecast) == pytest.approx(8 / 3)
    assert metrics.rmse(actual, forecast) == pytest.approx(np.sqrt(40 / 3))
    assert metrics.bias(actual, forecast) == pytest.approx(-4 / 3)


@pytest.mark.parametrize("metric", [metrics.mae, metrics.rmse, metrics.bias])
def test_a_metric_of_nothing_is_refused(metric: object) -> None:
    with pytest.raises(ValueError, match="every point needs"):
        metric([], [])  # type: ignore[operator]
    with pytest.raises(ValueError, match="1 without"):
        metric([1.0, np.nan], [1.0, 1.0])  # type: ignore[operator]


def test_one_row_per_series_origin_target_and_model(result: Backtest, features: pd.DataFrame) -> None:
    assert [name for name in result.points.columns if name not in intervals.COLUMNS] == list(COLUMNS)
    keys = ["store_id", "dept_id", "origin_week", "target_week", "model"]
    assert not result.points.duplicated(keys).any()
    expected = features["origin_week"].isin(ORIGINS).sum()
    assert result.points.groupby("model").size().to_dict() == dict.fromkeys([*sorted(BASELINES), "xgboost"], expected)
    assert np.isfinite(result.points[["forecast_usd", "p10_usd", "p50_usd", "p90_usd"]].to_numpy()).all()
    assert result.fit_seconds > 0


def test_of_many_series_whole_stores_are_judged(
    features: pd.DataFrame, retailer: SampleData, panel: Panel, config: ModelConfig
) -> None:
    assert judged_panel(panel, len(panel.series)) is panel
    fewer = judged_panel(panel, len(panel.series) // 2)
    held = fewer.series["store_id"].unique()
    assert 0 < len(held) < panel.series["store_id"].nunique()
    whole = panel.series[panel.series["store_id"].isin(held)]
    assert (
        fewer.series[["store_id", "dept_id"]].to_numpy().tolist() == whole[["store_id", "dept_id"]].to_numpy().tolist()
    )
    points = backtest(features, retailer.sales, fewer, [pd.Timestamp("2011-08-26")], 4, config).points
    assert sorted(points["store_id"].unique()) == sorted(held)
    assert len(judged_panel(panel, 1).series["store_id"].unique()) == 1


def test_scores_equal_the_metrics(result: Backtest) -> None:
    known = result.points[(result.points["model"] == "xgboost") & result.points["actual_usd"].notna()]
    row = metrics.score(result.points).set_index("model").loc["xgboost"]
    arguments = known["actual_usd"], known["forecast_usd"]
    assert row["points"] == len(known)
    assert row["wmae"] == pytest.approx(metrics.wmae(*arguments, known["is_holiday"]))
    assert row["mae"] == pytest.approx(metrics.mae(*arguments))
    assert row["rmse"] == pytest.approx(metrics.rmse(*arguments))
    assert row["bias"] == pytest.approx(metrics.bias(*arguments))


def test_a_backtest_forecast_ignores_later_sales(
    result: Backtest, features: pd.DataFrame, retailer: SampleData, panel: Panel
) -> None:
    known = retailer.sales[retailer.sales["week"] <= ORIGINS[0]]
    early = backtest(features, known, panel, ORIGINS[:1], 4, ModelConfig(rounds=15, seed=3, threads=1))
    columns = ["store_id", "dept_id", "target_week", "model", "forecast_usd", "p10_usd", "p90_usd"]
    expected = result.points.loc[result.points["origin_week"] == ORIGINS[0], columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(early.points[columns], expected)


def test_baselines_by_hand(panel: Panel, features: pd.DataFrame, retailer: SampleData) -> None:
    rows = features[features["origin_week"] == ORIGINS[0]].reset_index(drop=True)
    naive, last = seasonal_naive(panel, rows), last_value(panel, rows)
    for index, row in enumerate(rows.itertuples()):
        own = retailer.sales.query("store_id == @row.store_id and dept_id == @row.dept_id").set_index("week")
        known = own.loc[: ORIGINS[0], "weekly_sales_usd"]
        newest = known.iloc[-1]
        assert last[index] == newest
        assert naive[index] == known.get(row.target_week - pd.Timedelta(weeks=52), newest)


def test_origins_lie_on_one_grid_whatever_the_week() -> None:
    first = pd.Timestamp("2011-02-04")
    one, two = (rolling_origins(pd.Timestamp(week), first, 6, 4, 4) for week in ("2012-06-22", "2012-06-29"))
    assert len(set(one) & set(two)) >= 5
    assert all((week + pd.Timedelta(weeks=4)) <= pd.Timestamp("2012-06-29") for week in two)
    assert rolling_origins(pd.Timestamp("2011-02-11"), first, 6, 4, 4) == []


def test_an_origin_without_features_is_refused(features: pd.DataFrame, retailer: SampleData, panel: Panel) -> None:
    with pytest.raises(ModelError, match="origin 2010-06-04 has no features"):
        backtest(features, retailer.sales, panel, [pd.Timestamp("2010-06-04")], 4, ModelConfig(seed=1, threads=1))


def test_coverage_counts_known_actuals() -> None:
    points = pd.DataFrame({"actual_usd": [1.0, 9.0, np.nan], "p10_usd": [0.0] * 3, "p90_usd": [2.0] * 3})
    assert metrics.coverage(points) == 0.5


def test_interval_scores_by_hand() -> None:
    points = pd.DataFrame(
        {
            "model": "a",
            "actual_usd": [10.0, 30.0, np.nan],
            "p10_usd": [5.0, 5.0, 0.0],
            "p50_usd": [10.0, 10.0, 0.0],
            "p90_usd": [20.0, 20.0, 0.0],
        }
    )
    row = metrics.interval_score(points).iloc[0]
    assert row["coverage"] == 0.5
    assert row["width_usd"] == 15.0
    first, second = (0.1 * 5 + 0 + 0.1 * 10) / 3, (0.1 * 25 + 0.5 * 20 + 0.9 * 10) / 3
    assert row["pinball_usd"] == pytest.approx((first + second) / 2)
    assert metrics.coverage(points) == 0.5


def test_value_added_is_the_baselines_error_less_the_models() -> None:
    scores = pd.DataFrame({"model": ["naive", "own"], "wmae": [10.0, 8.0]})
    added = metrics.forecast_value_added(scores, "own")
    assert added.to_dict("records") == [{"baseline": "naive", "fva_usd": 2.0, "fva_share": pytest.approx(0.2)}]


def test_a_calibration_curve_counts_actuals_below_each_quantile() -> None:
    points = pd.DataFrame(
        {"horizon": [1, 1, 2], "actual_usd": [1.0, 3.0, 9.0], "p10_usd": 0.0, "p50_usd": 2.0, "p90_usd": 4.0}
    )
    curve = metrics.calibration_curve(points, "horizon").pivot_table(
        index="horizon", columns="quantile", values="observed"
    )
    assert curve.to_numpy().tolist() == [[0.0, 0.5, 1.0], [0.0, 0.0, 0.0]]
