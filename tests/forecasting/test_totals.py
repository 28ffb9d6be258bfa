"""Totals: sums that agree, and quantiles from the totals' own errors."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from demand_assets.errors import ModelError
from demand_assets.forecasting.drivers import ALL
from demand_assets.forecasting.intervals import Calibration, calibrate
from demand_assets.forecasting.totals import (
    CHAIN,
    COLUMNS,
    DEPARTMENT,
    MIN_POINTS,
    STORE,
    calibrate_totals,
    differences,
    rolling_coverage,
    total,
    total_points,
)
from demand_assets.forecasting.weeks import add_weeks

ORIGIN = pd.Timestamp("2012-01-06")
TARGET = pd.Timestamp("2012-01-13")
PLAIN = {level: Calibration(np.empty(0), np.tile([-0.1, 0.0, 0.2], (1, 1, 2, 1))) for level in (STORE, DEPARTMENT)} | {
    CHAIN: Calibration(np.empty(0), np.tile([-0.05, 0.01, 0.02], (1, 1, 2, 1)))
}


def _forecast() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "store_id": [1, 1, 2],
            "dept_id": [1, 7, 1],
            "origin_week": ORIGIN,
            "target_week": TARGET,
            "horizon": 1,
            "forecast": [100.0, 20.0, 50.0],
            "scale": [90.0, 10.0, 100.0],
            "is_holiday": False,
        }
    )


def _points(origins: int, stores: int = 6, depts: int = 5, seed: int = 0) -> pd.DataFrame:
    """A backtest of independent errors at origins four weeks apart, of known size 10% of the scale."""
    draw = np.random.default_rng(seed)
    rows = pd.DataFrame(
        [
            (store, dept, add_weeks(ORIGIN, 4 * number), add_weeks(ORIGIN, 4 * number + ahead), ahead)
            for store, dept, number, ahead in itertools.product(
                range(1, stores + 1), range(1, depts + 1), range(origins), range(1, 5)
            )
        ],
        columns=["store_id", "dept_id", "origin_week", "target_week", "horizon"],
    )
    scale = 1000.0 * rows["store_id"]
    forecast = scale * draw.normal(1, 0.1, len(rows))
    return rows.assign(
        model="xgboost",
        forecast=forecast,
        actual=forecast + scale * draw.normal(0, 0.1, len(rows)),
        is_holiday=False,
        scale=scale,
    )


def test_totals_by_hand() -> None:
    expected = pd.DataFrame(
        [
            (STORE, 1, ALL, ORIGIN, TARGET, 1, 120.0, 110.0, 120.0, 140.0, 2),
            (STORE, 2, ALL, ORIGIN, TARGET, 1, 50.0, 40.0, 50.0, 70.0, 1),
            (DEPARTMENT, ALL, 1, ORIGIN, TARGET, 1, 150.0, 131.0, 150.0, 188.0, 2),
            (DEPARTMENT, ALL, 7, ORIGIN, TARGET, 1, 20.0, 19.0, 20.0, 22.0, 1),
            (CHAIN, ALL, ALL, ORIGIN, TARGET, 1, 170.0, 160.0, 172.0, 174.0, 3),
        ],
        columns=list(COLUMNS),
    )
    pd.testing.assert_frame_equal(total(_forecast(), PLAIN), expected, check_dtype=False)


def test_every_level_sums_to_the_chain() -> None:
    points = _points(2)
    totals = total(points, calibrate_totals(total_points(points), 4))
    sums = totals.pivot_table(index=["origin_week", "target_week"], columns="level", values="forecast", aggfunc="sum")
    assert len(sums) == 8
    np.testing.assert_allclose(sums[STORE], sums[CHAIN], rtol=1e-12)
    np.testing.assert_allclose(sums[DEPARTMENT], sums[CHAIN], rtol=1e-12)


def test_totals_equal_a_slow_reference() -> None:
    points = _points(2, seed=4).sample(frac=0.8, random_state=1)
    points.loc[points.index[:30], "actual"] = np.nan
    other = points.assign(model="seasonal_naive", forecast=1e9)
    made = total_points(pd.concat([other, points]))
    keys = ["level", "store_id", "dept_id", "target_week"]
    expected: dict[tuple[object, ...], list[float]] = {}
    for row in points.to_dict(orient="records"):
        if np.isnan(row["actual"]):
            continue
        for level, store, dept in (
            (STORE, row["store_id"], ALL),
            (DEPARTMENT, ALL, row["dept_id"]),
            (CHAIN, ALL, ALL),
        ):
            sums = expected.setdefault((level, store, dept, row["target_week"]), [0.0, 0.0, 0.0, 0.0])
            for index, value in enumerate((row["forecast"], row["actual"], row["scale"], 1.0)):
                sums[index] += value
    values = made.set_index(keys)[["forecast", "actual", "scale", "series"]]
    assert set(values.index) == set(expected)
    np.testing.assert_allclose(values.to_numpy(), [expected[key] for key in values.index])


def test_few_errors_give_students_t_and_fewer_a_wider_one() -> None:
    totals = total_points(_points(2))
    chain = totals[totals["level"] == CHAIN]
    error = ((chain["actual"] - chain["forecast"]) / chain["scale"]).to_numpy()
    assert len(error) == 8 < MIN_POINTS
    # Of two origins: the four errors of each are one another's.
    expected = [error.mean() + t.ppf(q, 1) * error.std(ddof=1) * np.sqrt(3 / 2) for q in (0.1, 0.5, 0.9)]
    made = calibrate_totals(totals, 4)[CHAIN]
    for horizon, holiday in itertools.product((1, 4), (False, True)):
        bands = made.intervals(np.array([0.0]), np.array([1.0]), np.array([horizon]), np.array([holiday]))
        np.testing.assert_allclose(np.concatenate(list(bands.values())), expected)
    assert calibrate_totals(totals[totals["target_week"] <= add_weeks(ORIGIN, 2)], 4)[CHAIN].is_none


def _of_one_size(totals: pd.DataFrame) -> Calibration:
    scale = totals["scale"]
    return calibrate(totals.assign(forecast=totals["forecast"] / scale, actual=totals["actual"] / scale, scale=1.0), 4)


def test_enough_errors_are_calibrated_as_those_of_series_are() -> None:
    totals = total_points(_points(15))
    made = calibrate_totals(totals, 4)
    stores = totals[totals["level"] == STORE]
    np.testing.assert_array_equal(made[STORE].offsets, calibrate(stores, 4).offsets)
    chain = totals[totals["level"] == CHAIN]
    np.testing.assert_array_equal(made[CHAIN].offsets, _of_one_size(chain).offsets[:1])
    assert made[CHAIN].offsets.shape == (1, 4, 2, 3)


def test_intervals_of_totals_are_narrower_than_sums_of_quantiles_and_cover() -> None:
    points = _points(30, seed=2)
    covered = rolling_coverage(total_points(points), 4).set_index("level")
    assert covered["points"].to_dict() == {STORE: 6 * 112, DEPARTMENT: 5 * 112, CHAIN: 112}
    assert covered["weeks"].to_dict() == dict.fromkeys([STORE, DEPARTMENT, CHAIN], 112)
    assert covered["coverage"].between(0.74, 0.86).all()
    np.testing.assert_allclose(covered[["below", "coverage", "above"]].sum(axis=1), 1.0)
    totals = total(points, calibrate_totals(total_points(points), 4))
    own = calibrate(points, 4).intervals(
        *(points[name].to_numpy() for name in ("forecast", "scale", "horizon", "is_holiday"))
    )
    summed = (own["p90"] - own["p10"]).sum()
    chain = totals[totals["level"] == CHAIN]
    # Independent errors add up by their squares: 30 of unequal size to about a fifth of their sum.
    assert (chain["p90"] - chain["p10"]).sum() < summed / 3
    bands = totals[["p10", "p50", "p90"]].to_numpy()
    assert (np.diff(bands, axis=1) >= 0).all()


def test_coverage_learns_from_errors_known_at_the_origin_only() -> None:
    totals = total_points(_points(4))
    changed = totals.assign(actual=totals["actual"].where(totals["origin_week"] != totals["origin_week"].max(), 1e12))
    before, after = (rolling_coverage(one, 4).set_index("level") for one in (totals, changed))
    # Of two scored origins the last one missed; the first one's intervals did not move.
    last = totals["origin_week"].max()
    first = rolling_coverage(totals[totals["origin_week"] < last], 4).set_index("level")
    assert (after["coverage"] == first["coverage"] / 2).all()
    assert (before["points"] == after["points"]).all()
    assert rolling_coverage(total_points(_points(2)), 4).empty


def test_a_level_begins_with_three_errors_and_is_calibrated_by_ranks_from_fifty_on() -> None:
    totals = total_points(_points(15))
    chain = totals[totals["level"] == CHAIN]
    error = ((chain["actual"] - chain["forecast"]) / chain["scale"]).to_numpy()
    assert calibrate_totals(chain.head(2), 4)[CHAIN].is_none
    for count in (3, 49):
        own = error[:count]
        origins = -(-count // 4)
        spread = own.std(ddof=1) * np.sqrt(1 + 1 / origins)
        expected = own.mean() + t.ppf([0.1, 0.5, 0.9], max(origins - 1, 1)) * spread
        np.testing.assert_allclose(calibrate_totals(chain.head(count), 4)[CHAIN].offsets[0, 0, 0], expected)
    made = calibrate_totals(chain.head(50), 4)[CHAIN].offsets
    np.testing.assert_array_equal(made, _of_one_size(chain.head(50)).offsets[:1])


def test_a_total_takes_the_band_of_its_horizon_and_of_holidays() -> None:
    offsets = np.arange(12.0).reshape(1, 2, 2, 3) / 100
    calibrations = {level: Calibration(np.empty(0), offsets) for level in (STORE, DEPARTMENT, CHAIN)}
    # One flagged series makes the total a holiday's.
    later = _forecast().assign(horizon=2, target_week=add_weeks(TARGET, 1), is_holiday=[True, False, False])
    totals = total(pd.concat([_forecast(), later]), calibrations)
    chain = totals[totals["level"] == CHAIN].set_index("horizon")
    assert chain.loc[1, ["p10", "p50", "p90"]].tolist() == [170.0, 172.0, 174.0]
    assert chain.loc[2, ["p10", "p50", "p90"]].tolist() == pytest.approx([188.0, 190.0, 192.0])


def test_coverage_of_an_origin_counts_errors_of_targets_that_had_ended() -> None:
    weeks = [add_weeks(ORIGIN, number) for number in range(5)]
    rows = [
        (weeks[0], weeks[1], -1.0), (weeks[0], weeks[2], 0.0),
        # Of the second origin's errors only the first was known at the third one.
        (weeks[1], weeks[2], 1.0), (weeks[1], weeks[3], 100.0),
        (weeks[2], weeks[3], 2.0), (weeks[2], weeks[4], -4.0),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["origin_week", "target_week", "actual"])
    horizon = (frame["target_week"] - frame["origin_week"]).dt.days // 7
    totals = frame.assign(level=CHAIN, horizon=horizon, forecast=0.0, scale=1.0, is_holiday=False)
    # Errors of -1, 0 and 1 of two origins: mean 0, deviation 1; p10 and p90 are 3.08 * sqrt(3 / 2) = 3.77 away.
    expected = {"level": CHAIN, "points": 2, "weeks": 2, "below": 0.5, "coverage": 0.5, "above": 0.0}
    assert rolling_coverage(totals, 2).to_dict("records") == [expected]
    above = rolling_coverage(totals.assign(actual=-totals["actual"]), 2).to_dict("records")
    assert above == [{**expected, "below": 0.0, "above": 0.5}]


@pytest.mark.parametrize("off", [0.01, -0.01])
def test_a_total_that_differs_or_lacks_its_series_is_found(off: float) -> None:
    forecast = _forecast()
    totals = total(forecast, PLAIN)
    assert differences(totals, forecast)["agrees"].all()
    totals.loc[totals["store_id"] == 2, "forecast"] += off
    closed = totals[totals["store_id"] == 1].assign(store_id=9)
    found = differences(pd.concat([totals[totals["dept_id"] != 7], closed]), forecast)
    wrong = found[~found["agrees"]].set_index(["level", "store_id", "dept_id"])[["total", "sum_of_series"]]
    assert sorted(wrong.index) == [(DEPARTMENT, ALL, 7), (STORE, 2, ALL), (STORE, 9, ALL)]
    np.testing.assert_array_equal(wrong.loc[(DEPARTMENT, ALL, 7)], [np.nan, 20.0])
    np.testing.assert_array_equal(wrong.loc[(STORE, 2, ALL)], [50.0 + off, 50.0])
    np.testing.assert_array_equal(wrong.loc[(STORE, 9, ALL)], [120.0, np.nan])


@pytest.mark.parametrize(("off", "agrees"), [(0.9, True), (1.1, False), (-1.1, False)])
def test_what_rounding_may_change_is_a_billionth_of_the_absolute_forecasts(off: float, agrees: bool) -> None:
    # Sales and returns cancel out, so that a billionth of their sum would be next to nothing.
    forecast = _forecast().assign(store_id=1, dept_id=[1, 2, 3], forecast=[5e8, -4e8, -1e8])
    totals = total(forecast, PLAIN)
    totals.loc[totals["level"] == CHAIN, "forecast"] += off
    found = differences(totals, forecast)
    assert found.loc[found["level"] == CHAIN, "agrees"].tolist() == [agrees]


def test_a_series_without_scale_or_there_twice_is_refused() -> None:
    forecast = _forecast()
    with pytest.raises(ModelError, match="got 0 doubled and 3 without"):
        total(forecast.assign(scale=np.nan), PLAIN)
    with pytest.raises(ModelError, match="got 3 doubled and 0 without"):
        total(pd.concat([forecast, forecast]), PLAIN)
