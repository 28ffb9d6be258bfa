"""What a week without a row means, by hand and through features, training and judging."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from demand_assets.forecasting.absent import UNKNOWN, AbsentRows
from demand_assets.forecasting.calendar import calendar_for
from demand_assets.forecasting.features import build_features
from demand_assets.forecasting.holidays import HolidayRule
from demand_assets.forecasting.panel import Panel, build_panel
from demand_assets.forecasting.training import actuals_of
from demand_assets.forecasting.weeks import add_weeks, weeks_between
from demand_assets.sample import SampleData
from tests.conftest import us_calendar

FIRST = pd.Timestamp("2011-01-08")
ORIGIN = pd.Timestamp("2011-07-29")
NAN = np.nan
NO_FLAGS = pd.DataFrame({"week": pd.DatetimeIndex([]), "is_holiday": np.array([], dtype=bool)})


def _closed(*rows: tuple[int, int | None]) -> pd.DataFrame:
    """Weeks after the first, and the store that was shut; None for all."""
    closed = pd.DataFrame(rows, columns=["week", "store_id"])
    return closed.assign(week=[add_weeks(FIRST, week) for week in closed["week"]])


def _built(
    rows: Sequence[tuple[int, int, float]],
    missing: str = "zero",
    closed: pd.DataFrame | None = None,
    out_of_stock: pd.DataFrame | None = None,
) -> Panel:
    """A panel of weeks, stores and sales of one department; nothing else is known."""
    sales = pd.DataFrame(rows, columns=["at", "store_id", "sales"]).assign(dept_id=1)
    sales = sales.assign(week=[add_weeks(FIRST, week) for week in sales["at"]])
    stores = pd.DataFrame({"store_id": sorted(sales["store_id"].unique())})
    calendar = calendar_for(NO_FLAGS, HolidayRule(), sales["week"], 2)
    nothing = pd.DataFrame({"store_id": np.array([], np.int32), "week": pd.DatetimeIndex([])})
    return build_panel(sales, nothing, stores, calendar, 2, AbsentRows(missing, closed, out_of_stock))


def test_an_absent_row_is_zero_for_a_year_after_the_last_one_and_unknown_before_the_first() -> None:
    panel = _built([(0, 8, 1.0), (1, 7, 5.0), (3, 7, 6.0), (60, 8, 1.0)])
    expected = np.full(61, NAN)
    expected[1:56] = 0.0
    expected[[1, 3]] = 5.0, 6.0
    np.testing.assert_array_equal(panel.sales[:, 0], expected)
    assert np.flatnonzero(panel.has_row[:, 0]).tolist() == [1, 3]


def test_absent_rows_are_unknown_unless_said_otherwise() -> None:
    panel = _built([(0, 7, 5.0), (2, 7, 6.0)], "unknown")
    np.testing.assert_array_equal(panel.sales, [[5.0], [NAN], [6.0]])
    assert panel.has_row is None


@pytest.mark.parametrize("missing", ["zero", "unknown"])
def test_sales_of_a_closed_week_are_unknown(missing: str) -> None:
    rows = [(week, store, 1.0) for week in (0, 1, 2, 3) for store in (7, 8)]
    panel = _built(rows, missing, _closed((1, 8), (2, None)))
    np.testing.assert_array_equal(panel.sales, [[1.0, 1.0], [1.0, NAN], [NAN, NAN], [1.0, 1.0]])


def test_zeros_keep_no_series_alive() -> None:
    rows = [(0, 7, 5.0), *((week, 8, 1.0) for week in range(80))]
    panel = _built(rows)
    made = build_features(panel, [panel.weeks[51], panel.weeks[52]], 1)
    assert made[["origin_week", "store_id"]].to_numpy().tolist() == [
        [panel.weeks[51], 7],
        [panel.weeks[51], 8],
        [panel.weeks[52], 8],
    ]


def test_an_origin_in_weeks_without_any_row_has_features_and_baselines() -> None:
    rows = [(week, store, 10.0 + week) for week in range(70) if not 60 <= week < 65 for store in (7, 8)]
    for missing, closed in (("unknown", None), ("zero", _closed(*((week, None) for week in range(60, 65))))):
        panel = _built(rows, missing, closed)
        assert np.isnan(panel.sales[60:65]).all()
        made = build_features(panel, list(panel.weeks[60:65]), 2)
        assert len(made) == 5 * 2 * 2
        assert np.isfinite(made[["base", "scale", "seasonal_naive", "moving_average", "last_value"]]).all(axis=None)
        assert set(made["last_value"]) == {69.0}


def test_the_shortest_histories_have_features() -> None:
    for weeks in (1, 2, 8, 9):
        panel = _built([(week, 7, 10.0) for week in range(weeks)], "unknown")
        made = build_features(panel, [panel.weeks[-1]], 2)
        assert made[["base", "moving_average", "last_value"]].to_numpy().tolist() == [[10.0] * 3] * 2
        assert made["store_type"].tolist() == [-1.0, -1.0]
        assert made[["temperature", "markdown", "store_size"]].isna().all(axis=None)


def test_no_feature_moves_with_the_future_where_absent_rows_are_zero(retailer: SampleData) -> None:
    calendar = us_calendar(retailer)
    rng = np.random.default_rng(5)

    def features(sales: pd.DataFrame) -> pd.DataFrame:
        panel = build_panel(sales, retailer.conditions, retailer.stores, calendar, 4, AbsentRows("zero"))
        return build_features(panel, [ORIGIN], 4)

    gaps = (retailer.sales["week"] < ORIGIN) & (rng.random(len(retailer.sales)) < 0.2)
    sales = retailer.sales[~gaps]
    pair = sales["store_id"] * 1000 + sales["dept_id"]
    # The same series and last week, so that the panel is as large: half of the future rows go, the others change.
    known = pair.isin(pair[sales["week"] <= ORIGIN]) & (sales["week"] < sales["week"].max())
    gone = (sales["week"] > ORIGIN) & known & (rng.random(len(sales)) < 0.5)
    future = sales["sales"].where(sales["week"] <= ORIGIN, 1e6)
    expected = features(sales)
    pd.testing.assert_frame_equal(features(sales.assign(sales=future)[~gone]), expected)
    # The test can fail: rows before the origin that go move features.
    before = sales["week"] == add_weeks(ORIGIN, -1)
    assert not features(sales[~before])["lag_1"].equals(expected["lag_1"])
    unknown = build_panel(sales, retailer.conditions, retailer.stores, calendar, 4)
    assert not build_features(unknown, [ORIGIN], 4)["weeks_observed"].equals(expected["weeks_observed"])


def _out(*rows: tuple[int, int]) -> pd.DataFrame:
    """Weeks after the first, and the store whose one department was out of stock."""
    out = pd.DataFrame(rows, columns=["week", "store_id"]).assign(dept_id=1)
    return out.assign(week=[add_weeks(FIRST, week) for week in out["week"]])


@pytest.mark.parametrize("missing", ["zero", "unknown"])
def test_demand_of_a_week_out_of_stock_is_unknown_and_its_series_lives(missing: str) -> None:
    rows = [(week, store, 10.0 if week != 2 else 1.0) for week in range(60) for store in (7, 8)]
    # A week, a store and a week that the panel does not have.
    panel = _built(rows, missing, out_of_stock=_out((2, 7), (59, 9), (70, 7)))
    assert np.argwhere(np.isnan(panel.sales)).tolist() == [[2, 0]]
    made = build_features(panel, [panel.weeks[2], panel.weeks[3]], 1)
    assert made["store_id"].tolist() == [7, 8, 7, 8]
    assert made["scale"].tolist() == [10.0, 7.0, 10.0, 7.75]


def test_a_week_out_of_stock_is_no_target() -> None:
    sales = pd.DataFrame({"store_id": 7, "dept_id": 1, "week": weeks_between(FIRST, add_weeks(FIRST, 3)), "sales": 5.0})
    absent = AbsentRows(out_of_stock=_out((1, 7), (2, 8)))
    np.testing.assert_array_equal(actuals_of(_targets(0, 1, 2), sales, absent), [5.0, NAN, 5.0])


def _targets(*weeks: int) -> pd.DataFrame:
    return pd.DataFrame({"store_id": 7, "dept_id": 1, "target_week": [add_weeks(FIRST, week) for week in weeks]})


def test_an_absent_target_is_zero_up_to_the_last_week_of_sales() -> None:
    sales = pd.DataFrame({"store_id": [7, 8], "dept_id": 1, "week": [FIRST, add_weeks(FIRST, 3)], "sales": [5.0, 6.0]})
    asked = _targets(0, 1, 2, 3, 4)
    np.testing.assert_array_equal(actuals_of(asked, sales), [5.0, NAN, NAN, NAN, NAN])
    absent = AbsentRows("zero", _closed((2, None), (1, 8)))
    np.testing.assert_array_equal(actuals_of(asked, sales, absent), [5.0, 0.0, NAN, 0.0, NAN])
    # Of a part of the sales the newest week of all is given.
    np.testing.assert_array_equal(actuals_of(asked, sales[:0], absent, add_weeks(FIRST, 1)), [0.0, 0.0, NAN, NAN, NAN])


def test_a_closed_week_names_stores_or_the_chain() -> None:
    weeks = weeks_between(FIRST, add_weeks(FIRST, 2)).repeat(2)
    stores = np.array([7, 8] * 3)
    shut = AbsentRows("zero", _closed((1, 8), (2, None))).shut(weeks, stores)
    assert shut.tolist() == [False, False, False, True, True, True]
    assert not UNKNOWN.shut(weeks, stores).any()
