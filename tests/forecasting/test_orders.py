"""Order quantities, by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from demand_assets.forecasting.orders import (
    order_now,
    order_quantities,
    quantile_at,
    service_level,
    simulated_order_cost,
)


def _normal(mean: float, deviation: float, horizon: int = 1) -> dict[str, float]:
    p10, p50, p90 = norm.ppf([0.1, 0.5, 0.9], mean, deviation)
    return {"store_id": 1, "dept_id": 2, "horizon": horizon, "p10": p10, "p50": p50, "p90": p90}


@pytest.mark.parametrize("level", [0.02, 0.1, 0.5, 0.75, 0.9, 0.99])
def test_a_normal_errors_quantiles_are_exact(level: float) -> None:
    forecast = pd.DataFrame([_normal(100, 20)])
    assert quantile_at(forecast, level)[0] == pytest.approx(norm.ppf(level, 100, 20))


def test_the_level_balances_the_costs_of_too_few_and_too_many() -> None:
    demand = np.random.default_rng(0).normal(100, 20, 20_000)
    tried = np.arange(60.0, 160.0)
    costs = [np.where(demand > q, 3 * (demand - q), q - demand).mean() for q in tried]
    assert order_quantities(pd.DataFrame([_normal(100, 20)]), 3, 1)[0] == pytest.approx(tried[np.argmin(costs)], abs=1)


def test_a_wider_upper_side_is_kept_and_the_level_lies_between_0_and_1() -> None:
    forecast = pd.DataFrame({"p10": [90.0], "p50": [100.0], "p90": [130.0]})
    third = 0.6744897501960817 / 1.2815515655446004  # normal scores of 75% and of 90%
    found = [quantile_at(forecast, level)[0] for level in (0.1, 0.25, 0.5, 0.75, 0.9)]
    assert found == pytest.approx([90.0, 100.0 - 10 * third, 100.0, 100.0 + 30 * third, 130.0])
    assert order_quantities(forecast)[0] == pytest.approx(100.0 + 30 * third)  # too few costs three times too many
    for level in (0.0, 1.0):
        with pytest.raises(ValueError, match=f"service level between 0 and 1, got {level}"):
            quantile_at(forecast, level)


def test_nothing_is_ordered_where_returns_are_expected() -> None:
    assert order_quantities(pd.DataFrame([_normal(-100, 5)]))[0] == 0.0


def test_an_order_covers_the_lead_time_less_what_is_on_hand() -> None:
    forecast = pd.DataFrame([_normal(100, 30, 1), _normal(200, 40, 2), _normal(900, 9, 3)])
    stock = pd.Series([50.0], index=pd.MultiIndex.from_tuples([(1, 2)], names=["store_id", "dept_id"]))
    order = order_now(forecast, lead_weeks=1, on_hand=stock, level=0.75)
    assert order["order_quantity"].tolist() == pytest.approx([norm.ppf(0.75, 300, 50) - 50])
    assert order_now(forecast, 1, on_hand=1e6)["order_quantity"].tolist() == [0.0]
    assert order_now(forecast, 0)["order_quantity"].tolist() == pytest.approx([norm.ppf(0.75, 100, 30)])
    assert order_now(forecast, 2, level=0.5)["order_quantity"].tolist() == pytest.approx([1200.0])
    assert order_now(forecast, 1, level=0.25)["order_quantity"].tolist() == pytest.approx([norm.ppf(0.25, 300, 50)])
    with pytest.raises(ValueError, match="lead time of -1 weeks"):
        order_now(forecast, -1)
    with pytest.raises(ValueError, match="lead time of 3 weeks needs forecasts 4 weeks ahead, got 3"):
        order_now(forecast, 3)


def test_a_series_without_stock_on_hand_is_ordered_in_full() -> None:
    certain = {"horizon": 1, "p10": 100.0, "p50": 100.0, "p90": 100.0}
    keys = [(2, 7), (1, 7), (1, 3)]
    forecast = pd.DataFrame([{"store_id": store, "dept_id": dept, **certain} for store, dept in keys])
    index = pd.MultiIndex.from_tuples([(9, 9), (2, 7), (1, 3)], names=["store_id", "dept_id"])
    found = order_now(forecast, 0, on_hand=pd.Series([500.0, 130.0, 30.0], index=index))
    expected = pd.DataFrame({"store_id": [1, 1, 2], "dept_id": [3, 7, 7], "order_quantity": [70.0, 100.0, 0.0]})
    pd.testing.assert_frame_equal(found, expected)


def test_a_simulated_cost_takes_its_own_costs_and_the_naive_forecasts_own_points() -> None:
    bands = {"p10": 8.0, "p50": 10.0, "p90": 30.0}
    points = pd.DataFrame(
        [
            {"model": "xgboost", "actual": 11.0, "forecast": 10.0, **bands},
            {"model": "xgboost", "actual": 5.0, "forecast": 10.0, **bands},
            {"model": "seasonal_naive", "actual": 11.0, "forecast": 13.0, **bands},
            {"model": "seasonal_naive", "actual": 5.0, "forecast": -20.0, **bands},
        ]
    )
    # One too many costs nine times one too few, so that 8 are ordered: 3 too few and 3 too many. The naive forecasts
    # order 13 and nothing: 2 too many and 5 too few.
    expected = pd.DataFrame(
        {
            "model": ["order the seasonal_naive", "seasonal_naive", "xgboost"],
            "cost": [(2 * 9 + 5 * 1) / 2, (3 * 1 + 3 * 9) / 2, (3 * 1 + 3 * 9) / 2],
            "saving": [0.0, 1 - 15 / 11.5, 1 - 15 / 11.5],
        }
    )
    pd.testing.assert_frame_equal(simulated_order_cost(points, 1, 9), expected)
    costs = simulated_order_cost(points).set_index("model")["cost"]
    assert costs["order the seasonal_naive"] == (2 * 1 + 5 * 3) / 2


def test_a_simulated_cost_by_hand() -> None:
    row = {"p10": 10.0, "p50": 10.0, "p90": 10.0, "forecast": 20.0}
    points = pd.DataFrame(
        [
            {"model": "xgboost", "actual": 12.0, **row},
            {"model": "xgboost", "actual": np.nan, **row},
            {"model": "seasonal_naive", "actual": 12.0, **row},
        ]
    )
    costs = simulated_order_cost(points, 3, 1).set_index("model")
    assert costs["cost"].to_dict() == {"xgboost": 6.0, "seasonal_naive": 6.0, "order the seasonal_naive": 8.0}
    assert costs.loc["xgboost", "saving"] == 0.25


@pytest.mark.parametrize("costs", [(0, 1), (1, -1)])
def test_costs_must_be_positive(costs: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="expected positive costs"):
        service_level(*costs)
