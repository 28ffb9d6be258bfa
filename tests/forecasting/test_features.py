"""What a feature may know, and that the vectorised ones equal plain loops."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from demand_assets.errors import SchemaError
from demand_assets.forecasting.calendar import calendar_from_conditions
from demand_assets.forecasting.features import (
    FEATURE_COLUMNS,
    FEATURE_DESCRIPTIONS,
    aligned,
    block_features,
    build_features,
    feature_blocks,
    first_origin,
)
from demand_assets.forecasting.panel import CONDITION_COLUMNS, MARKDOWN_COLUMNS, Panel, build_panel
from demand_assets.forecasting.weeks import add_weeks
from demand_assets.sample import SampleData

ORIGIN = pd.Timestamp("2011-07-29")


def _perturbed(panel: Panel, after: int) -> Panel:
    """The same past, another future."""
    sales = panel.sales.copy()
    sales[after + 1 :] = 1e6
    conditions = {name: values.copy() for name, values in panel.conditions.items()}
    for values in conditions.values():
        values[after + 1 :] = -77.0
    return dataclasses.replace(panel, sales=sales, conditions=conditions)


@pytest.mark.parametrize("horizon", [4, 52])
def test_no_feature_moves_when_everything_after_the_origin_changes(retailer: SampleData, horizon: int) -> None:
    calendar = calendar_from_conditions(retailer.conditions)
    panel = build_panel(retailer.sales, retailer.conditions, retailer.stores, calendar, horizon)
    at = int(panel.position(pd.DatetimeIndex([ORIGIN]))[0])
    expected = build_features(panel, [ORIGIN], horizon)
    pd.testing.assert_frame_equal(build_features(_perturbed(panel, at), [ORIGIN], horizon), expected)
    # The test can fail: changing the origin week itself moves features.
    moved = build_features(_perturbed(panel, at - 1), [ORIGIN], horizon)
    assert not moved["lag_0"].equals(expected["lag_0"])


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
    pd.testing.assert_series_equal(together["store_miss_4"], whole["store_miss_4"], check_exact=True)
    pd.testing.assert_frame_equal(build_features(panel, origins, 4, threads=3), whole, check_exact=True)


def test_a_block_holds_at_least_one_series(panel: Panel) -> None:
    with pytest.raises(ValueError, match="at least one series"):
        next(feature_blocks(panel, 0))


def test_one_row_per_active_series_and_horizon(panel: Panel, features: pd.DataFrame, retailer: SampleData) -> None:
    rows = features[features["origin_week"] == ORIGIN]
    recent = retailer.sales[retailer.sales["week"].between(add_weeks(ORIGIN, -51), ORIGIN)]
    active = recent[["store_id", "dept_id"]].drop_duplicates()
    assert len(rows) == 4 * len(active)
    assert not rows.duplicated(["store_id", "dept_id", "target_week"]).any()
    assert (rows["target_week"] == rows["origin_week"] + pd.to_timedelta(7 * rows["horizon"], unit="D")).all()


def test_features_equal_a_plain_computation_per_series(features: pd.DataFrame, retailer: SampleData) -> None:
    rows = features[(features["origin_week"] == ORIGIN) & (features["horizon"] == 3)]
    for row in rows.itertuples():
        own = retailer.sales.query("store_id == @row.store_id and dept_id == @row.dept_id").set_index("week")
        sales = own["weekly_sales_usd"]
        year = sales[(sales.index > add_weeks(ORIGIN, -52)) & (sales.index <= ORIGIN)]
        scale = max(abs(year.mean()), 1.0)
        assert row.scale_usd == pytest.approx(scale)
        last = sales.get(add_weeks(ORIGIN, 3 - 52), np.nan)
        np.testing.assert_allclose(
            [row.lag_0, row.lag_4, row.mean_8, row.deviation_13, row.last_year],
            [
                sales.get(ORIGIN, np.nan) / scale,
                sales.get(add_weeks(ORIGIN, -4), np.nan) / scale,
                year[year.index > add_weeks(ORIGIN, -8)].mean() / scale,
                year[year.index > add_weeks(ORIGIN, -13)].std(ddof=0) / scale,
                last / scale,
            ],
            rtol=1e-4,
            atol=1e-5,
        )


def test_a_holiday_marks_the_horizon_it_falls_on(panel: Panel) -> None:
    rows = build_features(panel, [pd.Timestamp("2011-08-19")], 4)
    flagged = rows.loc[rows["is_holiday"] > 0, "horizon"].unique()
    assert flagged.tolist() == [3]  # Labor Day 2011 is in the week of 2011-09-09


def test_every_series_has_a_baseline_even_without_last_year(retailer: SampleData) -> None:
    newest = retailer.sales["week"].max()
    one_week = retailer.sales[retailer.sales["week"] == newest].iloc[:1].assign(dept_id=np.int32(998))
    sales = pd.concat([retailer.sales, one_week])
    calendar = calendar_from_conditions(retailer.conditions)
    rows = build_features(build_panel(sales, retailer.conditions, retailer.stores, calendar, 4), [newest], 4)
    new = rows[rows["dept_id"] == 998]
    assert len(new) == 4
    assert np.isfinite(rows["base_usd"]).all()
    assert (rows["scale_usd"] >= 1.0).all()


def test_a_blend_takes_the_side_that_is_known() -> None:
    values = np.array([[10.0], [20.0], [np.nan]])
    blended = aligned(values, np.array([0.25, 1.5, 0.5]), np.array([2, 2, 0]))
    assert blended.ravel().tolist() == [12.5, 20.0, 10.0]


def test_a_position_past_the_origin_goes_back_a_year() -> None:
    values = np.arange(120.0)[:, None]
    assert aligned(values, np.array([100.0]), np.array([99]))[0, 0] == 48.0


def test_every_feature_is_described_and_made(features: pd.DataFrame) -> None:
    assert set(features.columns) == set(FEATURE_DESCRIPTIONS)
    assert all(features[name].dtype == np.float32 for name in FEATURE_COLUMNS if name != "horizon")


def test_an_origin_outside_the_sales_is_refused(panel: Panel) -> None:
    with pytest.raises(SchemaError, match="origin 2031-01-03 is outside the sales"):
        build_features(panel, [pd.Timestamp("2031-01-03")], 4)


def test_the_first_origin_has_a_year_behind_it(panel: Panel) -> None:
    assert first_origin(panel.weeks) == add_weeks(panel.weeks[0], 52)


def test_sales_of_an_unknown_store_are_refused(retailer: SampleData) -> None:
    calendar = calendar_from_conditions(retailer.conditions)
    with pytest.raises(SchemaError, match="store 3 has sales but is not in stores"):
        build_panel(retailer.sales, retailer.conditions, retailer.stores.iloc[:2], calendar, 4)


def test_threads_of_blas_do_not_move_a_bit() -> None:
    values = np.random.default_rng(1).lognormal(8, 0.3, (143, 3_000))
    weeks = pd.date_range("2010-02-05", periods=len(values), freq="7D")
    series = pd.DataFrame({"store_id": np.repeat(np.arange(50), 60), "dept_id": np.tile(np.arange(60), 50)})
    series = series.assign(store=series["store_id"], dept=series["dept_id"])
    stores = pd.DataFrame({"store_id": np.arange(50), "store_type": "A", "size_sqft": 1})
    unknown = {name: np.full((len(weeks), 50), np.nan) for name in (*CONDITION_COLUMNS, *MARKDOWN_COLUMNS)}
    panel = Panel(weeks, values, series, stores, unknown, np.zeros(len(weeks) + 4, dtype=bool))
    made = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads, user_api="blas"):
            made.append(build_features(panel, list(weeks[-8:]), 4))
    pd.testing.assert_frame_equal(made[0], made[1], check_exact=True)
    pd.testing.assert_frame_equal(made[0], made[2], check_exact=True)
