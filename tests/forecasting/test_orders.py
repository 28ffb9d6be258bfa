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
    return {"store_id": 1, "dept_id": 2, "horizon": horizon, "p10_usd": p10, "p50_usd": p50, "p90_usd": p90}


@pytest.mark.parametrize("level", [0.02, 0.1, 0.5, 0.75, 0.9, 0.99])
def test_a_normal_errors_quantiles_are_exact(level: float) -> None:
    forecast = pd.DataFrame([_normal(100, 20)])
    assert quantile_at(forecast, level)[0] == pytest.approx(norm.ppf(level, 100, 20))


def test_the_level_balances_the_costs_of_too_few_and_too_many() -> None:
    demand = np.random.default_rng(0).normal(100, 20, 20_000)
    tried = np.arange(60.0, 160.0)
    costs = [np.where(demand > q, 3 * (demand - q), q - demand).mean() for q in tried]
    assert order_quantities(pd.DataFrame([_normal(100, 20)]), 3, 1)[0] == pytest.approx(tried[np.argmin(costs)], abs=1)


def test_nothing_is_ordered_where_returns_are_expected() -> None:
    assert order_quantities(pd.DataFrame([_normal(-100, 5)]))[0] == 0.0


def test_an_order_covers_the_lead_time_less_what_is_on_hand() -> None:
    forecast = pd.DataFrame([_normal(100, 30, 1), _normal(200, 40, 2), _normal(900, 9, 3)])
    stock = pd.Series([50.0], index=pd.MultiIndex.from_tuples([(1, 2)], names=["store_id", "dept_id"]))
    order = order_now(forecast, lead_weeks=1, on_hand=stock, level=0.75)
    assert order["order_usd"].tolist() == pytest.approx([norm.ppf(0.75, 300, 50) - 50])
    assert order_now(forecast, 1, on_hand=1e6)["order_usd"].tolist() == [0.0]
    with pytest.raises(ValueError, match="lead time of 3 weeks needs forecasts 4 weeks ahead, got 3"):
        order_now(forecast, 3)


def test_a_simulated_cost_by_hand() -> None:
    row = {"p10_usd": 10.0, "p50_usd": 10.0, "p90_usd": 10.0, "forecast_usd": 20.0}
    points = pd.DataFrame(
        [
            {"model": "xgboost", "actual_usd": 12.0, **row},
            {"model": "xgboost", "actual_usd": np.nan, **row},
            {"model": "seasonal_naive", "actual_usd": 12.0, **row},
        ]
    )
    costs = simulated_order_cost(points, 3, 1).set_index("model")
    assert costs["cost_usd"].to_dict() == {"xgboost": 6.0, "seasonal_naive": 6.0, "order the seasonal_naive": 8.0}
    assert costs.loc["xgboost", "saving"] == 0.25


@pytest.mark.parametrize("costs", [(0, 1), (1, -1)])
def test_costs_must_be_positive(costs: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="expected positive costs"):
        service_level(*costs)
