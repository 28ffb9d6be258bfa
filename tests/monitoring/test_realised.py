import math

import numpy as np
import pandas as pd
import pytest

from demand_assets.monitoring.realised import (
    KEYS,
    exceptions,
    loss_band,
    loss_history,
    outside_band,
    pooled_accuracy,
    realised_accuracy,
    realised_points,
    tracking_signals,
)

ACTUALS = pd.DataFrame({"store_id": [1, 1, 2], "dept_id": [3, 4, 3], "sales": [100.0, 50.0, 30.0], "is_holiday": False})
FORECASTS = pd.DataFrame(
    {
        "store_id": [1, 1, 2, 2],
        "dept_id": [3, 4, 3, 4],
        "horizon": 1,
        "forecast": [110.0, 30.0, 30.0, 7.0],
        "p10": [90.0, 20.0, 20.0, 5.0],
        "p90": [120.0, 40.0, 40.0, 9.0],
        "order_quantity": [115.0, 35.0, 36.0, 8.0],
        "seasonal_naive": [140.0, 50.0, 10.0, 6.0],
    }
)
POINTS = realised_points(FORECASTS, ACTUALS, "v1", "xgboost")


def signals(errors: list[float], now: float) -> float:
    """Tracking signal of one total after `errors` of earlier weeks and `now`."""
    total = pd.DataFrame(
        {"model": ["xgboost"], "horizon": 1, "level": "chain", "store_id": 0, "dept_id": 0, "total_error": now}
    )
    weeks = pd.date_range("2012-01-06", periods=len(errors), freq="7D")
    earlier = pd.concat([total.assign(week=week, total_error=error) for week, error in zip(weeks, errors, strict=True)])
    return float(tracking_signals(total, earlier).iloc[0])


def test_final_numbers_are_a_model_of_their_own() -> None:
    finals = FORECASTS.assign(final=[100.0, 30.0, 60.0, 7.0], final_p10=[80.0, 20.0, 40.0, 5.0], final_p90=0.0)
    points = realised_points(finals, ACTUALS, "v1", "xgboost")
    own = points[points["model"] == "final"]
    assert own["forecast"].tolist() == [100.0, 30.0, 60.0]
    assert own["p10"].tolist() == [80.0, 20.0, 40.0]
    table = realised_accuracy(points).query("level == 'chain'").set_index("model")
    assert table["points"].tolist() == [3, 3, 3]
    assert (table.loc["final", "mae"], table.loc["xgboost", "mae"]) == (pytest.approx(50 / 3), 10.0)
    assert table.loc["final", "fva"] == table.loc["seasonal_naive", "wmae"] - table.loc["final", "wmae"]


def test_a_point_is_a_series_with_forecast_and_actual_once_per_model() -> None:
    columns = ["store_id", "dept_id", "model", "forecast", "p90", "actual"]
    expected = pd.DataFrame(
        [
            (1, 3, "xgboost", 110.0, 120.0, 100.0),
            (1, 4, "xgboost", 30.0, 40.0, 50.0),
            (2, 3, "xgboost", 30.0, 40.0, 30.0),
            (1, 3, "seasonal_naive", 140.0, np.nan, 100.0),
            (1, 4, "seasonal_naive", 50.0, np.nan, 50.0),
            (2, 3, "seasonal_naive", 10.0, np.nan, 30.0),
        ],
        columns=columns,
    )
    pd.testing.assert_frame_equal(POINTS[columns], expected)


def test_accuracy_of_stores_departments_and_the_chain() -> None:
    nan = np.nan
    naive, own = ("v1", "seasonal_naive", 1), ("v1", "xgboost", 1)
    expected = pd.DataFrame(
        [
            # level, store, dept, points, wmae, mae, rmse, bias, actual, error, coverage, fva
            (*naive, "chain", 0, 0, 3, 20.0, 20.0, math.sqrt(2000 / 3), 20 / 3, 180.0, 20.0, nan, 0.0),
            (*naive, "department", 0, 3, 2, 30.0, 30.0, math.sqrt(1000), 10.0, 130.0, 20.0, nan, 0.0),
            (*naive, "department", 0, 4, 1, 0.0, 0.0, 0.0, 0.0, 50.0, 0.0, nan, 0.0),
            (*naive, "store", 1, 0, 2, 20.0, 20.0, math.sqrt(800), 20.0, 150.0, 40.0, nan, 0.0),
            (*naive, "store", 2, 0, 1, 20.0, 20.0, 20.0, -20.0, 30.0, -20.0, nan, 0.0),
            (*own, "chain", 0, 0, 3, 10.0, 10.0, math.sqrt(500 / 3), -10 / 3, 180.0, -10.0, 2 / 3, 10.0),
            (*own, "department", 0, 3, 2, 5.0, 5.0, math.sqrt(50), 5.0, 130.0, 10.0, 1.0, 25.0),
            (*own, "department", 0, 4, 1, 20.0, 20.0, 20.0, -20.0, 50.0, -20.0, 0.0, -20.0),
            (*own, "store", 1, 0, 2, 15.0, 15.0, math.sqrt(250), -5.0, 150.0, -10.0, 0.5, 5.0),
            (*own, "store", 2, 0, 1, 0.0, 0.0, 0.0, 0.0, 30.0, 0.0, 1.0, 20.0),
        ],
        columns=[*KEYS, "points", "wmae", "mae", "rmse", "bias", "actual", "total_error", "coverage", "fva"],
    )
    table = realised_accuracy(POINTS)
    pd.testing.assert_frame_equal(table[expected.columns], expected, check_dtype=False)
    assert table["tracking_signal"].isna().all()


def test_a_vintage_without_stored_baselines_is_scored_alone() -> None:
    points = realised_points(FORECASTS.drop(columns="seasonal_naive"), ACTUALS, "v1", "xgboost")
    table = realised_accuracy(points)
    assert set(table["model"]) == {"xgboost"}
    assert table["fva"].isna().all()


def test_two_vintages_of_a_week_do_not_mix() -> None:
    other = POINTS.assign(vintage_id="v2", forecast=POINTS["actual"] + 1)
    chain = realised_accuracy(pd.concat([POINTS, other])).query("level == 'chain' and model == 'xgboost'")
    assert chain.set_index("vintage_id")["wmae"].to_dict() == {"v1": 10.0, "v2": 1.0}


@pytest.mark.parametrize(
    ("errors", "now", "expected"),
    [
        ([1.0, 1.0], 1.0, math.nan),  # three weeks say nothing
        ([2.0, -2.0, 2.0], -2.0, 0.0),
        ([2.0, 2.0, 2.0], 2.0, 4.0),
        ([-1.0, -1.0, -1.0], 3.0, 0.0),
        ([1.0, 1.0, -2.0], 4.0, 2.0),
        ([0.0, 0.0, 0.0], 0.0, 0.0),
        ([-900.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0], 5.0, 8.0),  # the ninth week back is out of the window
    ],
)
def test_the_tracking_signal_is_the_sum_of_errors_by_their_mean_size(
    errors: list[float], now: float, expected: float
) -> None:
    assert signals(errors, now) == pytest.approx(expected, nan_ok=True)


def test_a_tracking_signal_reads_only_its_own_total() -> None:
    weeks = pd.date_range("2012-01-06", periods=3, freq="7D")
    earlier = realised_accuracy(POINTS)[["model", "horizon", "level", "store_id", "dept_id", "total_error"]]
    table = realised_accuracy(POINTS, pd.concat([earlier.assign(week=week) for week in weeks]))
    expected = np.sign(table["total_error"]) * 4
    pd.testing.assert_series_equal(table["tracking_signal"], expected, check_names=False)
    longer = earlier.assign(horizon=2)
    assert (
        realised_accuracy(POINTS, pd.concat([longer.assign(week=week) for week in weeks]))["tracking_signal"]
        .isna()
        .all()
    )


def test_rows_are_pooled_by_their_points() -> None:
    rows = pd.DataFrame(
        {
            "model": ["xgboost", "xgboost", "last_value"],
            "points": [3, 1, 4],
            "wmae": [10.0, 2.0, 5.0],
            "bias": [-4.0, 8.0, 1.0],
            "coverage": [1.0, 0.0, np.nan],
            "fva": [2.0, 6.0, np.nan],
        }
    )
    expected = pd.DataFrame(
        {
            "model": ["last_value", "xgboost"],
            "points": [4, 4],
            "wmae": [5.0, 8.0],
            "bias": [1.0, -1.0],
            "coverage": [np.nan, 0.75],
            "fva": [np.nan, 3.0],
        }
    )
    pd.testing.assert_frame_equal(pooled_accuracy(rows), expected)


def test_exceptions_are_ranked_by_what_the_order_cost_too_much() -> None:
    listed = exceptions(outside_band(FORECASTS, ACTUALS, underage=3.0, overage=1.0))
    missing = "no sales row though 7 were forecast; counted as nothing sold"
    expected = pd.DataFrame(
        [
            (1, 1, 4, 1, 30.0, 20.0, 40.0, 35.0, 50.0, 45.0, "sold 67% more than the forecast, above p90"),
            (2, 2, 4, 1, 7.0, 5.0, 9.0, 8.0, 0.0, 8.0, missing),
        ],
        columns=list(listed.columns),
    )
    pd.testing.assert_frame_equal(listed, expected, check_dtype=False)


@pytest.mark.parametrize(
    ("actual", "forecast", "reason"),
    [
        (230.0, 100.0, "sold 2.3 times the forecast, above p90"),
        (200.0, 100.0, "sold 2.0 times the forecast, above p90"),
        (199.0, 100.0, "sold 99% more than the forecast, above p90"),
        (40.0, 100.0, "sold 60% less than the forecast, below p10"),
        (0.0, 100.0, "sold nothing, 100 forecast, below p10"),
        (-20.0, 100.0, "more returned than sold, 100 forecast, below p10"),
        (1500.0, 0.0, "sold 1,500, none forecast, above p90"),
        (1500.0, -2.0, "sold 1,500, none forecast, above p90"),
    ],
)
def test_the_reason_says_what_happened(actual: float, forecast: float, reason: str) -> None:
    one = FORECASTS.head(1).assign(forecast=forecast, p10=forecast - 5, p90=forecast + 5)
    assert exceptions(outside_band(one, ACTUALS.head(1).assign(sales=actual), 3, 1))["reason"].tolist() == [reason]


def test_without_an_order_quantity_the_forecast_stands_for_it_and_the_list_ends_where_told() -> None:
    outside = outside_band(FORECASTS.assign(order_quantity=None), ACTUALS, underage=3.0, overage=1.0)
    assert outside["at_risk"].tolist() == [60.0, 7.0]
    assert exceptions(outside, most=1)["dept_id"].tolist() == [4]
    assert exceptions(outside.head(0)).empty


def test_sales_at_the_ends_of_the_band_are_inside_it() -> None:
    one = FORECASTS.head(1)
    for actual, listed in ((89.99, 1), (90.0, 0), (120.0, 0), (120.01, 1)):
        sold = ACTUALS.head(1).assign(sales=actual)
        assert len(outside_band(one, sold, underage=3.0, overage=1.0)) == listed
        table = realised_accuracy(realised_points(one, sold, "v1", "xgboost")).query("model == 'xgboost'")
        assert table["coverage"].tolist() == [1.0 - listed] * 3


def test_nothing_is_ordered_where_less_than_nothing_is_forecast_and_equal_risks_are_listed_by_series() -> None:
    forecasts = FORECASTS.assign(forecast=-5.0, p10=-9.0, p90=-1.0, order_quantity=None)
    outside = outside_band(forecasts.iloc[::-1], ACTUALS.assign(sales=10.0), underage=3.0, overage=1.0)
    columns = ["store_id", "dept_id", "at_risk"]
    expected = [(1, 3, 30.0), (1, 4, 30.0), (2, 3, 30.0), (2, 4, 0.0)]
    assert list(outside[columns].itertuples(index=False, name=None)) == expected


def test_a_hundred_exceptions_are_listed() -> None:
    forecasts = pd.concat([FORECASTS.head(1).assign(store_id=store) for store in range(1, 102)])
    listed = exceptions(outside_band(forecasts, ACTUALS.head(0), underage=3.0, overage=1.0))
    assert listed["rank"].tolist() == list(range(1, 101))


def test_a_baseline_over_other_series_says_nothing_about_the_value_of_a_forecast() -> None:
    points = POINTS.drop(POINTS.index[(POINTS["model"] == "seasonal_naive") & (POINTS["store_id"] == 2)])
    own = realised_accuracy(points).query("model == 'xgboost'").set_index(["level", "store_id", "dept_id"])["fva"]
    assert own.dropna().to_dict() == {("department", 0, 4): -20.0, ("store", 1, 0): 5.0}


def test_the_band_of_a_history_is_its_median_and_two_robust_deviations() -> None:
    logs = np.array([0.0, 0.1, -0.1, 0.2, -0.2, 0.3, -0.3, 0.0, 5.0])
    centre, upper = loss_band(np.exp(logs).tolist()) or (0, 0)
    # Median 0.0; sorted distances 0 0 .1 .1 .2 .2 .3 .3 5, of which the fifth is the middle.
    assert (centre, upper) == pytest.approx((1.0, math.exp(2 * 1.4826 * 0.2)))
    # Of the newest half year alone: thirteen losses of 1 and thirteen of e have the middle e^0.5.
    half_year = [1.0] * 13 + [math.e] * 13
    assert loss_band([math.e, *half_year]) == pytest.approx((math.exp(0.5), math.exp(0.5 + 2 * 1.4826 * 0.5)))


def test_a_steady_history_leaves_room_and_a_short_one_has_no_band() -> None:
    assert loss_band([100.0] * 8) == pytest.approx((100.0, 115.0))
    assert loss_band([100.0] * 7) is None
    assert loss_band([0.0] * 8) == pytest.approx((0.01, 0.0115))
    for wrong in (math.nan, -0.5):
        with pytest.raises(ValueError, match=f"expected losses of 0 and more, got {wrong}"):
            loss_band([*[100.0] * 8, wrong])


def test_each_week_is_beside_the_band_of_the_weeks_before_it() -> None:
    history = loss_history(pd.DataFrame({"week": range(9), "wmae": [100.0] * 8 + [900.0]}))
    assert history["upper"].isna().tolist() == [True] * 8 + [False]
    assert history["upper"].iloc[8] == pytest.approx(115.0)


def test_a_series_without_a_sales_row_sold_nothing_where_absent_rows_mean_that() -> None:
    flagged = ACTUALS.assign(is_holiday=[False, False, True])
    points = realised_points(FORECASTS, flagged, "v1", "xgboost", "zero")
    own = points.loc[points["model"] == "xgboost", ["store_id", "dept_id", "actual", "is_holiday"]]
    assert own.to_numpy().tolist() == [[1, 3, 100.0, False], [1, 4, 50.0, False], [2, 3, 30.0, True], [2, 4, 0.0, True]]
    pd.testing.assert_frame_equal(realised_points(FORECASTS[:3], ACTUALS, "v1", "xgboost", "zero"), POINTS)


def test_a_store_that_was_shut_is_not_judged() -> None:
    points = realised_points(FORECASTS, ACTUALS, "v1", "xgboost", "zero", closed=[2])
    assert set(points["store_id"]) == {1}
    assert set(outside_band(FORECASTS, ACTUALS, 3.0, 1.0, closed=[2])["store_id"]) == {1}


def test_a_published_baseline_is_scored_once_with_its_quantiles() -> None:
    forecasts = pd.DataFrame(
        {"store_id": [1], "dept_id": [1], "horizon": [1], "forecast": [10.0], "p10": [8.0], "p90": [12.0],
         "seasonal_naive": [10.0], "last_value": [7.0]}
    )  # fmt: skip
    actuals = pd.DataFrame({"store_id": [1], "dept_id": [1], "sales": [9.0], "is_holiday": [False]})
    points = realised_points(forecasts, actuals, "v", "seasonal_naive")
    assert points[["model", "p10"]].fillna(-1.0).to_numpy().tolist() == [["seasonal_naive", 8.0], ["last_value", -1.0]]
