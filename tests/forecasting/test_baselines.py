"""Baselines, by hand: columns of demand_features."""

import numpy as np
import pandas as pd
import pytest

from demand_assets.forecasting.baselines import BASELINES
from demand_assets.forecasting.calendar import calendar_span, holiday_kind
from demand_assets.forecasting.decomposition import decompose
from demand_assets.forecasting.features import FEATURES, build_features
from demand_assets.forecasting.holidays import US, holiday_weeks
from demand_assets.forecasting.panel import COVARIATE_COLUMNS, MARKDOWN_COLUMNS, Panel


def _panel(sales: np.ndarray, depts: list[int], most_weeks_ahead: int = 105) -> Panel:
    """A panel of one store's departments, of (T, S) sales."""
    series = pd.DataFrame({"store_id": 1, "dept_id": depts, "store": 0, "dept": range(len(depts))})
    dates = pd.date_range("2010-02-05", periods=len(sales) + most_weeks_ahead, freq="7D")
    stores = pd.DataFrame({"store_id": [1], "store_type": "A", "size_sqft": 1_000})
    unknown = {name: np.full((len(sales), 1), np.nan) for name in (*COVARIATE_COLUMNS, *MARKDOWN_COLUMNS)}
    calendar = holiday_weeks(US, *calendar_span(dates[0], dates[-1]))
    is_holiday = holiday_kind(dates, calendar)[:, None] > 0
    return Panel(dates[: len(sales)], sales, series, stores, unknown, is_holiday, calendar)


def _forecasts(panel: Panel, rows: list[tuple[int, int, int]], name: str) -> list[float]:
    """A baseline by department, row of the origin in the panel, and horizon."""
    longest = max(horizon for _, _, horizon in rows)
    made = build_features(panel, [panel.weeks[at] for at in {at for _, at, _ in rows}], longest)
    held = made.set_index(["dept_id", "origin_week", "horizon"])[name]
    return [float(held[dept, panel.weeks[at], horizon]) for dept, at, horizon in rows]


def test_baselines_are_in_the_unit_of_sales_and_no_inputs_of_the_model(features: pd.DataFrame) -> None:
    assert list(BASELINES) == [
        "seasonal_naive",
        "aligned_seasonal_naive",
        "svd_stl",
        "tsb",
        "moving_average",
        "last_value",
    ]
    assert (features.dtypes[list(BASELINES)] == np.float64).all()
    assert np.isfinite(features[list(BASELINES)]).all(axis=None)
    assert not set(BASELINES) & set(FEATURES)


def test_the_aligned_baseline_is_the_feature_in_the_unit_of_sales(features: pd.DataFrame) -> None:
    expected = features["aligned"].astype(float) * features["scale"]
    np.testing.assert_allclose(features["aligned_seasonal_naive"], expected, rtol=1e-6)


def test_a_forecast_over_a_year_ahead_goes_two_years_back() -> None:
    sales = np.arange(120.0)[:, None] + [0.0, 1000.0]
    sales[70, 0] = np.nan
    expected = {
        (3, 110, 1): 59.0, (5, 110, 52): 1110.0, (5, 110, 53): 1059.0, (3, 110, 104): 110.0, (3, 110, 105): 59.0,
        (5, 51, 1): 1000.0, (5, 50, 1): 1050.0,  # the first week of all, and one before it
        (3, 110, 12): 110.0, (3, 70, 60): 26.0, (3, 70, 52): 69.0,  # no sales a year before, or at the origin
    }  # fmt: skip
    assert _forecasts(_panel(sales, [3, 5]), list(expected), "seasonal_naive") == list(expected.values())


def test_recent_values_of_a_young_or_a_silent_series() -> None:
    sales = np.arange(1.0, 31.0)[:, None] * [1.0, 10.0]
    sales[5:, 0] = np.nan
    sales[28, 1] = np.nan
    panel = _panel(sales, [3, 5])
    rows = [(3, 3, 1), (3, 9, 1), (3, 20, 2), (5, 29, 1), (5, 28, 1), (5, 0, 1)]
    seven = (230 + 240 + 250 + 260 + 270 + 280 + 300) / 7
    assert _forecasts(panel, rows, "moving_average") == pytest.approx([2.5, 4.0, 5.0, seven, 250.0, 10.0])
    assert _forecasts(panel, rows, "last_value") == [4.0, 5.0, 5.0, 300.0, 280.0, 10.0]


def test_intermittent_demand_is_its_probability_times_its_size() -> None:
    sales = np.zeros((60, 2))
    sales[::3, 0] = 6.0
    sales[:, 1] = 10.0
    panel = _panel(sales, [3, 5])
    size, likely = 6.0, 1.0
    for week in range(1, 60):
        likely += 0.2 * (float(week % 3 == 0) - likely)
    rows = [(3, 59, 1), (3, 59, 4), (5, 59, 1)]
    assert _forecasts(panel, rows, "tsb") == pytest.approx([size * likely, size * likely, 10.0])
    # Two of three weeks sell nothing, so that the forecast starts there, whatever last year was.
    assert _forecasts(panel, rows[:1], "base") == pytest.approx([size * likely])


def test_from_two_years_on_the_decomposition_of_each_origin_speaks() -> None:
    sales = np.random.default_rng(6).normal(1000.0, 100.0, (110, 3))
    rows = [(2, 108, 1), (9, 108, 60), (4, 103, 2), (4, 102, 2), (2, 103, 3)]
    (season, level), (first_season, first_level) = (decompose(sales[: at + 1], np.arange(3)) for at in (108, 103))
    expected = [
        level[0] + season[109 % 52, 0],
        level[2] + season[168 % 52, 2],
        first_level[1] + first_season[105 % 52, 1],
        sales[102 + 2 - 52, 1],  # a week short of two years: seasonal naive
        first_level[0] + first_season[106 % 52, 0],
    ]
    assert _forecasts(_panel(sales, [2, 4, 9]), rows, "svd_stl") == pytest.approx(expected)
