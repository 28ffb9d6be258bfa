"""What a feature may know, and that the vectorised ones equal plain loops."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from demand_assets.errors import SchemaError
from demand_assets.forecasting.baselines import BASELINES
from demand_assets.forecasting.calendar import calendar_of, calendar_span, holiday_kind
from demand_assets.forecasting.features import (
    FEATURES,
    KEYS,
    block_features,
    build_features,
    column_texts,
    feature_blocks,
    first_origin,
)
from demand_assets.forecasting.features.history import aligned
from demand_assets.forecasting.holidays import US, HolidayRule
from demand_assets.forecasting.panel import COVARIATE_COLUMNS, MARKDOWN_COLUMNS, Panel, build_panel
from demand_assets.forecasting.weeks import add_weeks
from demand_assets.sample import SampleData
from tests.conftest import us_calendar
from tests.plain_features import PlainFeatures

ORIGIN = pd.Timestamp("2011-07-29")
NO_FLAGS = pd.DataFrame({"week": pd.DatetimeIndex([]), "is_holiday": np.array([], dtype=bool)})


def _perturbed(panel: Panel, after: int) -> Panel:
    """The same past, another future."""
    sales = panel.sales.copy()
    sales[after + 1 :] = 1e6
    covariates = {name: values.copy() for name, values in panel.covariates.items()}
    for values in covariates.values():
        values[after + 1 :] = -77.0
    return dataclasses.replace(panel, sales=sales, covariates=covariates)


@pytest.mark.parametrize("horizon", [4, 52])
def test_no_feature_moves_when_everything_after_the_origin_changes(retailer: SampleData, horizon: int) -> None:
    calendar = us_calendar(retailer, horizon)
    panel = build_panel(retailer.sales, retailer.conditions, retailer.stores, calendar, horizon)
    at = int(panel.position(pd.DatetimeIndex([ORIGIN]))[0])
    expected = build_features(panel, [ORIGIN], horizon)
    pd.testing.assert_frame_equal(build_features(_perturbed(panel, at), [ORIGIN], horizon), expected)
    # The test can fail: changing the origin week itself moves features.
    moved = build_features(_perturbed(panel, at - 1), [ORIGIN], horizon)
    assert not moved["lag_0"].equals(expected["lag_0"])


def test_the_same_data_moved_by_a_day_have_the_same_features(panel: Panel, retailer: SampleData) -> None:
    day = pd.Timedelta(days=1)
    sales, conditions = (frame.assign(week=frame["week"] + day) for frame in (retailer.sales, retailer.conditions))
    moved = SampleData(sales, conditions, retailer.stores)
    saturdays = build_panel(sales, conditions, retailer.stores, us_calendar(moved), 4)
    origins = list(panel.weeks[52::8])
    made = build_features(saturdays, [origin + day for origin in origins], 4)
    back = made.assign(**{name: made[name] - day for name in ("origin_week", "target_week")})
    pd.testing.assert_frame_equal(back, build_features(panel, origins, 4), check_exact=True)


def test_an_origin_has_the_same_features_alone_and_among_others(panel: Panel, features: pd.DataFrame) -> None:
    alone = build_features(panel, [ORIGIN], 4)
    among = features[features["origin_week"] == ORIGIN].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, among)


def test_features_made_in_blocks_and_threads_are_those_made_at_once(panel: Panel, features: pd.DataFrame) -> None:
    origins = [ORIGIN, add_weeks(ORIGIN, 1), add_weeks(ORIGIN, 2)]
    whole = features[features["origin_week"].isin(origins)].reset_index(drop=True)
    blocks = list(feature_blocks(panel, 3))
    assert len(blocks) > 1
    assert sum(len(block.panel.series) for block in blocks) == len(panel.series)
    made = [pd.DataFrame(columns) for block in blocks for _, columns in block_features(block, origins, 4, threads=2)]
    together = pd.concat(made).sort_values(["origin_week", "store_id", "dept_id", "horizon"], ignore_index=True)
    # To the last bits: a matrix product's sums depend on how many columns it has.
    pd.testing.assert_frame_equal(together, whole, rtol=1e-12, atol=1e-12)
    pd.testing.assert_series_equal(together["store_residual_mean_4"], whole["store_residual_mean_4"], check_exact=True)
    pd.testing.assert_frame_equal(build_features(panel, origins, 4, threads=3), whole, check_exact=True)


def test_a_block_holds_at_least_one_series(panel: Panel) -> None:
    with pytest.raises(ValueError, match="at least one series"):
        next(feature_blocks(panel, 0))


def test_origins_come_in_order_and_each_once(panel: Panel, features: pd.DataFrame) -> None:
    origins = [add_weeks(ORIGIN, 1), ORIGIN, add_weeks(ORIGIN, 1)]
    expected = features[features["origin_week"].isin(origins)].reset_index(drop=True)
    pd.testing.assert_frame_equal(build_features(panel, origins, 4), expected)


def test_one_row_per_active_series_and_horizon(panel: Panel, features: pd.DataFrame, retailer: SampleData) -> None:
    rows = features[features["origin_week"] == ORIGIN]
    recent = retailer.sales[retailer.sales["week"].between(add_weeks(ORIGIN, -51), ORIGIN)]
    active = recent[["store_id", "dept_id"]].drop_duplicates()
    assert len(rows) == 4 * len(active)
    assert not rows.duplicated(["store_id", "dept_id", "target_week"]).any()
    assert (rows["target_week"] == rows["origin_week"] + pd.to_timedelta(7 * rows["horizon"], unit="D")).all()


def _ragged_panel() -> Panel:
    """Two and a half years of ten stores and five departments, with what a real history has and a sample has not."""
    random = np.random.default_rng(7)
    weeks, horizon = 130, 56
    keys = [(store, dept) for store in (0, 1, 2) for dept in (0, 1, 2, 3)] + [(0, 4)]
    keys += [(store, 0) for store in range(3, 10)]  # a department of more stores than its smoothing keeps patterns
    sales = random.lognormal(7.0, 0.4, (weeks, len(keys)))
    sales[random.random(sales.shape) < 0.15] = np.nan
    sales[:, 0] = random.lognormal(7.0, 0.4, weeks)  # no gap at all
    sales[60:, 1] *= 40.0  # grows beyond what is believed, and its department and store with it
    sales[60:, 2] /= 40.0
    sales[:, 3] = random.normal(0.0, 1.0, weeks)  # smaller than a dollar
    sales[:, 4] = -random.lognormal(3.0, 0.4, weeks)  # returns
    sales[70:, 5] *= -1.0  # positive, then returns
    sales[52:, 6] = np.nan  # ends, and is last counted 51 weeks later
    sales[:60, 12] = np.nan  # a department of its own, younger than a year
    sales[90:96, 8:12] = np.nan  # a store that was closed
    sales[101:107, 7] = np.nan
    first = pd.Timestamp("2010-02-05")
    dates = pd.date_range(first, periods=weeks + horizon, freq="7D")
    series = pd.DataFrame(keys, columns=["store", "dept"])
    series = series.assign(store_id=series["store"] + 1, dept_id=series["dept"] * 10 + 7)
    stores = pd.DataFrame(
        {"store_id": range(1, 11), "store_type": ["A", "C", "X", *"BBBBBBB"], "size_sqft": 1_315 * np.arange(30, 40)}
    )
    covariates = {name: random.normal(50.0, 10.0, (weeks, 10)) for name in (*COVARIATE_COLUMNS, *MARKDOWN_COLUMNS)}
    for name in MARKDOWN_COLUMNS:
        covariates[name][random.random((weeks, 10)) < 0.6] = np.nan
        covariates[name][:, 2] = np.nan
    covariates["cpi"][20:40] = np.nan
    calendar = calendar_of(NO_FLAGS, US, *calendar_span(dates[0], dates[-1]))
    is_holiday = np.repeat(holiday_kind(dates, calendar)[:, None] > 0, 10, axis=1)
    is_holiday[:, 3] = False  # a store with holidays of its own
    is_holiday[40:50:3, 3] = True
    return Panel(dates[:weeks], sales, series, stores, covariates, is_holiday, calendar)


def _plain_rows(panel: Panel, origin: int, horizons: Sequence[int]) -> list[dict[str, object]]:
    plain, names, rows = PlainFeatures(panel, origin), panel.series, []
    for series in range(len(names)):
        for horizon in horizons:
            found = plain.of(series, horizon)
            if found is not None:
                keys = {
                    "store_id": names["store_id"].iloc[series], "dept_id": names["dept_id"].iloc[series],
                    "origin_week": panel.weeks[origin], "target_week": add_weeks(panel.weeks[origin], horizon),
                    "horizon": horizon,
                }  # fmt: skip
                rows.append({**keys, **found})
    return rows


# Before a year is there, at its end, where the decomposition begins, the weeks around Thanksgiving, Christmas, Easter
# and the Super Bowl, the last week of a series that ended, and the last week of all.
@pytest.mark.parametrize("origin", [0, 3, 51, 52, 58, 59, 65, 93, 98, 102, 103, 111, 129])
def test_every_feature_equals_plain_loops_over_each_series(origin: int) -> None:
    panel, horizons = _ragged_panel(), (1, 2, 4, 52, 53, 56)
    made = build_features(panel, [panel.weeks[origin]], max(horizons))
    made = made[made["horizon"].isin(horizons)].reset_index(drop=True)
    expected = pd.DataFrame(_plain_rows(panel, origin, horizons))[list(made.columns)]
    pd.testing.assert_frame_equal(made, expected, check_dtype=False, rtol=2e-6, atol=1e-6)
    exact = ["base", "scale", "floor", *BASELINES]
    pd.testing.assert_frame_equal(made[exact], expected[exact], rtol=1e-9)


def test_only_a_series_that_was_negative_may_be_forecast_so(panel: Panel) -> None:
    sales = np.abs(panel.sales)
    sales[7, 1] = -30.0
    made = build_features(dataclasses.replace(panel, sales=sales), [panel.weeks[row] for row in (6, 60)], 1)
    returned = (made["store_id"] == panel.series["store_id"][1]) & (made["dept_id"] == panel.series["dept_id"][1])
    assert made.loc[returned, "floor"].tolist() == [0.0, -30.0]
    assert (made.loc[~returned, "floor"] == 0.0).all()


def test_a_holiday_marks_the_horizon_it_falls_on(panel: Panel) -> None:
    rows = build_features(panel, [pd.Timestamp("2011-08-19")], 4)
    flagged = rows.loc[rows["is_holiday"] > 0, "horizon"].unique()
    assert flagged.tolist() == [3]  # Labor Day 2011 is in the week of 2011-09-09


def test_every_series_has_a_baseline_even_without_last_year(retailer: SampleData) -> None:
    newest = retailer.sales["week"].max()
    one_week = retailer.sales[retailer.sales["week"] == newest].iloc[:1].assign(dept_id=np.int32(998))
    sales = pd.concat([retailer.sales, one_week])
    calendar = us_calendar(retailer)
    rows = build_features(build_panel(sales, retailer.conditions, retailer.stores, calendar, 4), [newest], 4)
    new = rows[rows["dept_id"] == 998]
    assert len(new) == 4
    assert np.isfinite(rows["base"]).all()
    assert (rows["scale"] >= 1.0).all()


def test_a_blend_takes_the_side_that_is_known() -> None:
    values = np.array([[10.0], [20.0], [np.nan]])
    blended = aligned(values, np.array([0.25, 1.5, 0.5]), np.array([2, 2, 0]))
    assert blended.ravel().tolist() == [12.5, 20.0, 10.0]


def test_a_position_past_the_origin_goes_back_a_year() -> None:
    values = np.arange(120.0)[:, None]
    assert aligned(values, np.array([100.0]), np.array([99]))[0, 0] == 48.0


def test_every_feature_is_described_and_made(features: pd.DataFrame) -> None:
    assert list(features.columns) == list(column_texts())
    assert all(features[name].dtype == np.float32 for name in FEATURES if name not in KEYS)


def test_an_origin_outside_the_sales_is_refused(panel: Panel) -> None:
    for away, week in ((-1, panel.weeks[0]), (1, panel.weeks[-1])):
        origin = add_weeks(week, away)
        with pytest.raises(SchemaError, match=f"origin {origin:%Y-%m-%d} is outside the sales, which run from 2010-"):
            build_features(panel, [panel.weeks[60], origin], 4)


def test_the_first_origin_has_a_year_behind_it(panel: Panel) -> None:
    assert first_origin(panel.weeks) == add_weeks(panel.weeks[0], 52)


def test_sales_of_an_unknown_store_are_refused(retailer: SampleData) -> None:
    calendar = us_calendar(retailer)
    with pytest.raises(SchemaError, match="store 3 has sales but is not in stores"):
        build_panel(retailer.sales, retailer.conditions, retailer.stores.iloc[:2], calendar, 4)


def test_threads_of_blas_do_not_move_a_bit() -> None:
    values = np.random.default_rng(1).lognormal(8, 0.3, (143, 3_000))
    weeks = pd.date_range("2010-02-05", periods=len(values), freq="7D")
    series = pd.DataFrame({"store_id": np.repeat(np.arange(50), 60), "dept_id": np.tile(np.arange(60), 50)})
    series = series.assign(store=series["store_id"], dept=series["dept_id"])
    stores = pd.DataFrame({"store_id": np.arange(50), "store_type": "A", "size_sqft": 1})
    unknown = {name: np.full((len(weeks), 50), np.nan) for name in (*COVARIATE_COLUMNS, *MARKDOWN_COLUMNS)}
    calendar = calendar_of(NO_FLAGS, HolidayRule(), *calendar_span(weeks[0], weeks[-1]))
    panel = Panel(weeks, values, series, stores, unknown, np.zeros((len(weeks) + 4, 50), dtype=bool), calendar)
    made = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads, user_api="blas"):
            made.append(build_features(panel, list(weeks[-8:]), 4))
    pd.testing.assert_frame_equal(made[0], made[1], check_exact=True)
    pd.testing.assert_frame_equal(made[0], made[2], check_exact=True)
