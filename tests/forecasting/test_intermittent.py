"""Rates of demand, against one series and week at a time."""

import math

import numpy as np

from demand_assets.forecasting.intermittent import demand_rates


def _plainly(sales: list[float]) -> list[float]:
    size = likely = math.nan
    rates = []
    for now in sales:
        if not math.isnan(now):
            sold = float(now != 0)
            likely = sold if math.isnan(likely) else likely + 0.2 * (sold - likely)
            if sold:
                size = now if math.isnan(size) else size + 0.2 * (now - size)
        rates.append(0.0 if likely == 0 else size * likely)
    return rates


def test_rates_of_all_series_at_once_equal_those_of_one_after_the_other() -> None:
    draw = np.random.default_rng(4)
    sales = np.where(draw.random((70, 9)) < 0.6, 0.0, draw.normal(20.0, 15.0, (70, 9)))
    sales[draw.random(sales.shape) < 0.1] = np.nan
    np.testing.assert_allclose(demand_rates(sales).T, [_plainly(list(one)) for one in sales.T])


def test_a_series_without_zeros_is_smoothed_exponentially() -> None:
    np.testing.assert_allclose(demand_rates(np.array([[10.0], [20.0], [20.0]]))[:, 0], [10.0, 12.0, 13.6])


def test_the_rate_of_a_series_that_stopped_selling_falls() -> None:
    rates = demand_rates(np.array([[8.0], [0.0], [0.0], [0.0]]))[:, 0]
    np.testing.assert_allclose(rates, [8.0, 6.4, 5.12, 4.096])


def test_a_series_is_unknown_before_its_first_week_and_0_before_its_first_demand() -> None:
    np.testing.assert_array_equal(demand_rates(np.array([[np.nan], [0.0], [5.0]]))[:, 0], [np.nan, 0.0, 1.0])
