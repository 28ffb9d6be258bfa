"""Baselines, by hand."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from demand_assets.forecasting.baselines import (
    BASELINES,
    aligned_seasonal_naive,
    baseline_forecasts,
    last_value,
    moving_average,
    seasonal_naive,
    svd_stl,
)
from demand_assets.forecasting.decomposition import svd_stl_forecast
from demand_assets.forecasting.panel import Panel


def _rows(panel: Panel, features: pd.DataFrame) -> pd.DataFrame:
    return features[features["origin_week"] == features["origin_week"].max()].reset_index(drop=True)


def test_the_moving_average_is_the_mean_of_the_known_weeks(panel: Panel, features: pd.DataFrame) -> None:
    rows = _rows(panel, features)
    at = int(panel.position(pd.DatetimeIndex(rows["origin_week"][:1]))[0])
    column = pd.MultiIndex.from_frame(panel.series[["store_id", "dept_id"]]).get_indexer(
        pd.MultiIndex.from_frame(rows[["store_id", "dept_id"]])
    )
    recent = pd.DataFrame(panel.sales[at - 7 : at + 1]).mean().to_numpy()[column]
    last = pd.DataFrame(panel.sales[: at + 1]).ffill().iloc[-1].to_numpy()[column]
    np.testing.assert_allclose(moving_average(panel, rows), np.where(np.isnan(recent), last, recent))


def test_decomposition_stands_back_until_there_are_two_years(panel: Panel, features: pd.DataFrame) -> None:
    early = features[features["origin_week"] == features["origin_week"].min()].reset_index(drop=True)
    np.testing.assert_array_equal(svd_stl(panel, early), seasonal_naive(panel, early))


def test_no_baseline_reads_past_the_origin(panel: Panel, features: pd.DataFrame) -> None:
    rows = _rows(panel, features)
    at = int(panel.position(pd.DatetimeIndex(rows["origin_week"][:1]))[0])
    sales = panel.sales.copy()
    sales[at + 1 :] = 1e6
    changed = dataclasses.replace(panel, sales=sales)
    for name, baseline in BASELINES.items():
        np.testing.assert_array_equal(baseline(changed, rows), baseline(panel, rows), err_msg=name)
        assert np.isfinite(baseline(panel, rows)).all(), name


def _panel(sales: np.ndarray, depts: list[int]) -> Panel:
    """A panel of one store's departments, of (T, S) sales."""
    series = pd.DataFrame({"store_id": 1, "dept_id": depts, "store": 0, "dept": range(len(depts))})
    weeks = pd.date_range("2010-02-05", periods=len(sales), freq="7D")
    return Panel(weeks, sales, series, pd.DataFrame({"store_id": [1]}), {}, np.zeros(len(sales), dtype=bool))


def _asked(panel: Panel, rows: list[tuple[int, int, int]]) -> pd.DataFrame:
    """Rows to forecast by department, row of the origin in the panel, and horizon."""
    asked = pd.DataFrame(rows, columns=["dept_id", "at", "horizon"])
    return asked.assign(store_id=1, origin_week=panel.weeks[asked["at"]])


def test_a_forecast_over_a_year_ahead_goes_two_years_back() -> None:
    sales = np.arange(120.0)[:, None] + [0.0, 1000.0]
    sales[70, 0] = np.nan
    panel = _panel(sales, [3, 5])
    asked = {
        (3, 110, 1): 59.0, (5, 110, 52): 1110.0, (5, 110, 53): 1059.0, (3, 110, 104): 110.0, (3, 110, 105): 59.0,
        (5, 51, 1): 1000.0, (5, 50, 1): 1050.0,  # the first week of all, and one before it
        (3, 110, 12): 110.0, (3, 70, 60): 26.0, (3, 70, 52): 69.0,  # no sales a year before, or at the origin
    }  # fmt: skip
    assert seasonal_naive(panel, _asked(panel, list(asked))).tolist() == list(asked.values())


def test_recent_values_of_a_young_or_a_silent_series() -> None:
    sales = np.arange(1.0, 31.0)[:, None] * [1.0, 10.0]
    sales[5:, 0] = np.nan
    sales[28, 1] = np.nan
    panel = _panel(sales, [3, 5])
    rows = _asked(panel, [(3, 3, 1), (3, 9, 1), (3, 20, 2), (5, 29, 1), (5, 28, 1), (5, 0, 1)])
    seven = (230 + 240 + 250 + 260 + 270 + 280 + 300) / 7
    assert moving_average(panel, rows).tolist() == pytest.approx([2.5, 4.0, 5.0, seven, 250.0, 10.0])
    assert last_value(panel, rows).tolist() == [4.0, 5.0, 5.0, 300.0, 280.0, 10.0]


def test_from_two_years_on_the_decomposition_of_each_origin_speaks() -> None:
    sales = np.random.default_rng(6).normal(1000.0, 100.0, (110, 3))
    panel = _panel(sales, [2, 4, 9])
    rows = _asked(panel, [(2, 108, 1), (9, 108, 3), (4, 103, 2), (4, 102, 2), (2, 103, 3)])
    later, earlier = (svd_stl_forecast(sales[: at + 1], np.arange(3), 3) for at in (108, 103))
    assert later is not None
    assert earlier is not None
    expected = [later[0, 0], later[2, 2], earlier[1, 1], sales[102 + 2 - 52, 1], earlier[2, 0]]
    assert svd_stl(panel, rows).tolist() == pytest.approx(expected)


def test_the_aligned_baseline_is_its_feature_in_and_each_has_its_column(panel: Panel, features: pd.DataFrame) -> None:
    rows = _rows(panel, features)
    expected = rows["aligned"].astype(float) * rows["scale"]
    assert aligned_seasonal_naive(panel, rows).tolist() == expected.tolist()
    found = baseline_forecasts(panel, rows)
    assert list(found) == [
        "seasonal_naive", "aligned_seasonal_naive", "svd_stl", "moving_average", "last_value",
    ]  # fmt: skip
    for name, baseline in BASELINES.items():
        np.testing.assert_array_equal(found[f"{name}"], baseline(panel, rows))


@pytest.mark.parametrize("dept", [1, 4, 9])
def test_a_series_that_the_panel_lacks_is_refused(dept: int) -> None:
    panel = _panel(np.ones((60, 2)), [3, 5])
    with pytest.raises(ValueError, match="a series that is not in the panel"):
        last_value(panel, _asked(panel, [(3, 55, 1), (dept, 55, 1)]))
