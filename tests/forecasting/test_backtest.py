"""Backtest, metrics and baselines."""

import numpy as np
import pandas as pd
import pytest

from demand_assets.errors import ModelError
from demand_assets.forecasting import intervals, metrics
from demand_assets.forecasting.backtest import (
    COLUMNS,
    Backtest,
    Fold,
    assemble_folds,
    backtest,
    forecast_origin,
    origins_to_forecast,
    rolling_origins,
    sample_stores,
    weeks_to_judge,
)
from demand_assets.forecasting.baselines import UNTRAINED
from demand_assets.forecasting.forecaster import fit
from demand_assets.forecasting.models.xgboost import XGBoostConfig
from demand_assets.forecasting.shrinkage import EXPECTED, learn_shrink
from demand_assets.forecasting.weeks import add_weeks, weeks_between
from demand_assets.sample import SampleData

ORIGINS = [pd.Timestamp("2011-07-01"), pd.Timestamp("2011-08-19")]


@pytest.fixture(scope="module")
def result(features: pd.DataFrame, retailer: SampleData) -> Backtest:
    config = XGBoostConfig(rounds=15, seed=3, threads=1)
    return backtest(features, retailer.sales, ORIGINS, 4, config)


def test_metrics_by_hand() -> None:
    actual, forecast, holiday = [10.0, 20.0, 30.0], [12.0, 20.0, 24.0], [False, False, True]
    assert metrics.wmae(actual, forecast, holiday) == pytest.approx((2 + 0 + 5 * 6) / 7)
    assert metrics.bias(actual, forecast) == pytest.approx(-4 / 3)


def test_a_metric_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="every point needs"):
        metrics.bias([], [])
    with pytest.raises(ValueError, match="1 without"):
        metrics.bias([1.0, np.nan], [1.0, 1.0])


def test_one_row_per_series_origin_target_and_model(result: Backtest, features: pd.DataFrame) -> None:
    assert [name for name in result.cv_results.columns if name not in intervals.COLUMNS] == list(COLUMNS)
    keys = ["store_id", "dept_id", "origin_week", "target_week", "model"]
    assert not result.cv_results.duplicated(keys).any()
    expected = features["origin_week"].isin(ORIGINS).sum()
    assert result.cv_results.groupby("model").size().to_dict() == dict.fromkeys([*UNTRAINED, "xgboost"], expected)
    assert np.isfinite(result.cv_results[["forecast", "p10", "p50", "p90"]].to_numpy()).all()
    assert result.fit_seconds > 0


def test_of_many_series_whole_stores_are_scored(
    features: pd.DataFrame, retailer: SampleData, config: XGBoostConfig
) -> None:
    origin = pd.Timestamp("2011-08-26")
    rows = features[features["origin_week"] == origin]
    stores = sample_stores(rows[["store_id", "dept_id"]].drop_duplicates(), len(rows) // 8)
    assert stores is not None
    assert 0 < len(stores) < rows["store_id"].nunique()
    model = fit(features, retailer.sales, origin, config)
    points = forecast_origin(model, rows, retailer.sales, stores).points
    whole = forecast_origin(model, rows, retailer.sales).points
    pd.testing.assert_frame_equal(points, whole[whole["store_id"].isin(stores)].reset_index(drop=True))


def test_the_stores_scored_are_spread_evenly_and_have_about_the_series_allowed() -> None:
    series = pd.DataFrame({"store_id": np.repeat(np.arange(11, 21), 2), "dept_id": [1, 2] * 10})
    assert sample_stores(series, 20) is None
    assert sample_stores(series, 8) == sample_stores(series, 9) == [11, 14, 17, 20]
    assert len(sample_stores(series, 19) or []) == 9
    assert sample_stores(series, 1) == [11]


def _forecasts(origin: pd.Timestamp, errors: dict[str, tuple[float, float]]) -> pd.DataFrame:
    """One series' forecasts of 1,000 for two weeks, by model: off by these errors."""
    return pd.DataFrame(
        [
            {
                "store_id": 1, "dept_id": 2, "origin_week": origin, "target_week": add_weeks(origin, ahead),
                "horizon": ahead, "model": model, "forecast": 1000.0, "actual": 1000.0 + error,
                "is_holiday": False, "scale": 500.0, "floor": 0.0, "start": 1000.0, "residual": 0.0,
            }
            for model, both in errors.items()
            for ahead, error in enumerate(both, start=1)
        ],
    )  # fmt: skip


def test_an_origin_is_judged_by_the_errors_of_targets_that_had_ended_by_then() -> None:
    first, second, third = (add_weeks(ORIGINS[0], number) for number in range(3))
    prior = intervals.Calibration(np.empty(0), np.tile([-0.2, 0.0, 0.2], (1, 2, 2, 1)))
    made = [
        Fold(_forecasts(first, {"xgboost": (10.0, 700.0), "seasonal_naive": (-30.0, -50.0)}), prior, True, 1.0),
        Fold(_forecasts(second, {"xgboost": (20.0, 900.0), "seasonal_naive": (-40.0, 5.0)}), prior, True, 2.0),
        Fold(_forecasts(third, {"xgboost": (0.0, 0.0), "seasonal_naive": (0.0, 0.0)}), prior, True, 4.0),
    ]
    found = assemble_folds(made, [third, first], 2, intervals.QUANTILES)
    # At the first origin nothing is known but the prior; at the third both errors of the first and one of the second.
    points = pd.concat(fold.points for fold in made)
    for (name, origin), band in found.cv_results.groupby(["model", "origin_week"]):
        known = points[(points["model"] == name) & (points["target_week"] <= origin)]
        own = intervals.calibrate(known, 2, prior=prior).intervals(
            *(band[column].to_numpy() for column in intervals.INPUTS)
        )
        pd.testing.assert_frame_equal(
            band[list(intervals.COLUMNS)].reset_index(drop=True), pd.DataFrame(own), check_exact=True
        )
    earliest = found.cv_results[found.cv_results["origin_week"] == first]
    assert (earliest["p90"] - earliest["p10"]).to_numpy() == pytest.approx(200.0)
    assert found.fit_seconds == 7.0


def test_a_correction_is_shrunk_by_what_came_of_earlier_ones() -> None:
    first, second = ORIGINS[0], add_weeks(ORIGINS[0], 2)
    prior = intervals.Calibration.none()
    # Half of each correction would have been right.
    folds = [
        Fold(_forecasts(origin, {"xgboost": (50.0, 50.0)}).assign(residual=0.2), prior, corrects, 0.0)
        for origin, corrects in ((first, True), (second, True))
    ]
    forecast = assemble_folds(folds, [first, second], 2, intervals.QUANTILES).cv_results["forecast"].tolist()
    known = folds[0].points
    factor = learn_shrink(known).of(np.array([500.0]))[0]
    assert EXPECTED < factor < 0.5
    assert forecast == pytest.approx([1000 + EXPECTED * 100] * 2 + [1000 + factor * 100] * 2)


def test_two_earlier_origins_a_horizon_apart_warm_few_up_where_they_can_be_trained() -> None:
    stored = weeks_between(ORIGINS[0], add_weeks(ORIGINS[0], 14))

    def numbers(origins: list[int], without: tuple[int, ...] = ()) -> list[int]:
        kept = stored[[number not in without for number in range(len(stored))]]
        found = origins_to_forecast([stored[number] for number in origins], kept[::-1], 4)
        return [int((week - stored[0]).days // 7) for week in found]

    assert numbers([14, 12]) == [4, 8, 12, 14]
    assert numbers([9]) == [1, 5, 9]
    assert numbers([8]) == [4, 8]  # the very first origin has nothing before it to learn from
    assert numbers([9], without=(5,)) == [1, 9]
    assert numbers([]) == []
    assert numbers([*range(9, 15)]) == [*range(9, 15)]  # of many the first ones weigh little
    with pytest.raises(ModelError, match=f"origin {stored[7]:%Y-%m-%d} has no features"):
        numbers([10, 9, 7], without=(7, 10))


def test_every_origin_is_told_when_it_is_done(features: pd.DataFrame, retailer: SampleData) -> None:
    told: list[pd.Timestamp] = []
    config = XGBoostConfig(rounds=1, members=1, seed=3, threads=1)
    backtest(features, retailer.sales, ORIGINS[1:], 4, config, told.append)
    assert told == [add_weeks(ORIGINS[1], -8), add_weeks(ORIGINS[1], -4), ORIGINS[1]]


def test_scores_equal_the_metrics(result: Backtest) -> None:
    known = result.cv_results[(result.cv_results["model"] == "xgboost") & result.cv_results["actual"].notna()]
    row = metrics.score(result.cv_results).set_index("model").loc["xgboost"]
    arguments = known["actual"], known["forecast"]
    error = known["forecast"] - known["actual"]
    assert row["points"] == len(known)
    assert row["wmae"] == pytest.approx(metrics.wmae(*arguments, known["is_holiday"]))
    assert row["mae"] == pytest.approx(np.abs(error).mean())
    assert row["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    assert row["bias"] == pytest.approx(metrics.bias(*arguments))


def test_a_backtest_forecast_ignores_later_sales(
    result: Backtest, features: pd.DataFrame, retailer: SampleData
) -> None:
    known = retailer.sales[retailer.sales["week"] <= ORIGINS[0]]
    early = backtest(features, known, ORIGINS[:1], 4, XGBoostConfig(rounds=15, seed=3, threads=1))
    columns = ["store_id", "dept_id", "target_week", "model", "forecast", "p10", "p90"]
    expected = result.cv_results.loc[result.cv_results["origin_week"] == ORIGINS[0], columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(early.cv_results[columns], expected)


def test_baselines_by_hand(features: pd.DataFrame, retailer: SampleData) -> None:
    rows = features[features["origin_week"] == ORIGINS[0]]
    past = retailer.sales[retailer.sales["week"] <= ORIGINS[0]]
    held = {key: own.set_index("week")["sales"] for key, own in past.groupby(["store_id", "dept_id"])}
    for row in rows.to_dict("records"):
        known = held[row["store_id"], row["dept_id"]]
        assert row["last_value"] == known.iloc[-1]
        assert row["seasonal_naive"] == known.get(add_weeks(row["target_week"], -52), known.iloc[-1])


def test_origins_lie_on_one_grid_whatever_the_week() -> None:
    first = pd.Timestamp("2011-02-04")
    one, two = (rolling_origins(pd.Timestamp(week), first, 6, 4, 4) for week in ("2012-06-22", "2012-06-29"))
    assert len(set(one) & set(two)) >= 5
    assert all((week + pd.Timedelta(weeks=4)) <= pd.Timestamp("2012-06-29") for week in two)
    assert rolling_origins(pd.Timestamp("2011-02-11"), first, 6, 4, 4) == []


def test_the_newest_origins_on_the_grid_are_judged_once_half_their_targets_are_known() -> None:
    assert [weeks_to_judge(horizon) for horizon in (1, 2, 3, 4, 13)] == [1, 1, 2, 2, 7]
    # Multiples of 4 in weeks since 1970: 2012-03-02 is the 2,200th.
    on_grid = ["2012-03-02", "2012-03-30", "2012-04-27", "2012-05-25"]
    first = pd.Timestamp("2012-02-10")
    for as_of, count, expected in (
        ("2012-06-08", 3, on_grid[1:]),
        ("2012-06-01", 3, on_grid[:3]),
        ("2012-06-29", 9, on_grid),
    ):
        found = rolling_origins(pd.Timestamp(as_of), first, count, 4, 4)
        assert [f"{week:%Y-%m-%d}" for week in found] == expected
    only = pd.Timestamp(on_grid[0])
    assert rolling_origins(add_weeks(only, 2), only, 3, 4, 4) == [only]


def test_an_origin_without_features_is_refused(features: pd.DataFrame, retailer: SampleData) -> None:
    with pytest.raises(ModelError, match="origin 2010-06-04 has no features"):
        backtest(features, retailer.sales, [pd.Timestamp("2010-06-04")], 4, XGBoostConfig(seed=1, threads=1))


def test_coverage_counts_known_actuals() -> None:
    points = pd.DataFrame({"actual": [1.0, 9.0, np.nan], "p10": [0.0] * 3, "p90": [2.0] * 3})
    assert metrics.coverage(points) == 0.5
    edges = pd.DataFrame({"actual": [0.0, 2.0, -0.1, 2.1], "p10": 0.0, "p90": 2.0})
    assert metrics.coverage(edges) == 0.5
    assert np.isnan(metrics.coverage(points.tail(1)))


def test_scores_by_department_by_hand() -> None:
    points = pd.DataFrame(
        {
            "model": ["b", "a", "a", "a", "a"],
            "dept_id": [1, 2, 1, 1, 1],
            "forecast": [10.0, 10.0, 12.0, 6.0, 99.0],
            "actual": [14.0, 9.0, 10.0, 10.0, np.nan],
            "is_holiday": [True, False, False, True, True],
        }
    )
    expected = pd.DataFrame(
        [
            ("a", 1, 2, (2 + 5 * 4) / 6, 3.0, np.sqrt((4 + 16) / 2), -1.0),
            ("a", 2, 1, 1.0, 1.0, 1.0, 1.0),
            ("b", 1, 1, 4.0, 4.0, 4.0, -4.0),
        ],
        columns=["model", "dept_id", "points", "wmae", "mae", "rmse", "bias"],
    )
    pd.testing.assert_frame_equal(metrics.score(points, ["dept_id"]), expected)
    added = metrics.forecast_value_added(expected, "a").to_dict("records")
    better = 4 - 22 / 6
    assert added == [
        {"baseline": "b", "dept_id": 1, "fva": pytest.approx(better), "fva_share": pytest.approx(better / 4)}
    ]


def test_interval_scores_by_model_and_horizon_count_actuals_on_an_edge() -> None:
    points = pd.DataFrame(
        {
            "model": ["b", "a", "a", "a"],
            "horizon": [1, 2, 1, 1],
            "actual": [21.0, 4.0, 5.0, 20.0],
            "p10": 5.0,
            "p50": [10.0, 10.0, 5.0, 20.0],
            "p90": [20.0, 25.0, 20.0, 20.0],
        }
    )
    # Of the first row 16, 11 and 1 above its quantiles; of the second 1, 6 and 21 below; the others 15 off once.
    expected = pd.DataFrame(
        [
            ("a", 1, 1.0, 15.0, (0.1 * 15 / 3 + 0.1 * 15 / 3) / 2),
            ("a", 2, 0.0, 20.0, (0.9 * 1 + 0.5 * 6 + 0.1 * 21) / 3),
            ("b", 1, 0.0, 15.0, (0.1 * 16 + 0.5 * 11 + 0.9 * 1) / 3),
        ],
        columns=["model", "horizon", "coverage", "width", "pinball"],
    )
    pd.testing.assert_frame_equal(metrics.interval_score(points, ["horizon"]), expected)


def test_interval_scores_by_hand() -> None:
    points = pd.DataFrame(
        {
            "model": "a",
            "actual": [10.0, 30.0, np.nan],
            "p10": [5.0, 5.0, 0.0],
            "p50": [10.0, 10.0, 0.0],
            "p90": [20.0, 20.0, 0.0],
        }
    )
    row = metrics.interval_score(points).iloc[0]
    assert row["coverage"] == 0.5
    assert row["width"] == 15.0
    first, second = (0.1 * 5 + 0 + 0.1 * 10) / 3, (0.1 * 25 + 0.5 * 20 + 0.9 * 10) / 3
    assert row["pinball"] == pytest.approx((first + second) / 2)
    assert metrics.coverage(points) == 0.5


def test_value_added_is_the_baselines_error_less_the_models() -> None:
    scores = pd.DataFrame({"model": ["naive", "own"], "wmae": [10.0, 8.0]})
    added = metrics.forecast_value_added(scores, "own")
    assert added.to_dict("records") == [{"baseline": "naive", "fva": 2.0, "fva_share": pytest.approx(0.2)}]


def test_a_calibration_curve_counts_actuals_below_each_quantile() -> None:
    points = pd.DataFrame({"horizon": [1, 1, 2], "actual": [2.0, 3.0, 9.0], "p10": 0.0, "p50": 2.0, "p90": 4.0})
    curve = metrics.calibration_curve(points, "horizon").pivot_table(
        index="horizon", columns="quantile", values="observed"
    )
    assert curve.to_numpy().tolist() == [[0.0, 0.5, 1.0], [0.0, 0.0, 0.0]]
