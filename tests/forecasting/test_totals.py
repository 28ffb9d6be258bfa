"""Totals by hand."""

import numpy as np
import pandas as pd

from demand_assets.forecasting.totals import coverage_of_totals, relative_errors, totals


def _points(seed: int, origins: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    weeks = pd.date_range("2011-01-07", periods=origins, freq="14D")
    frame = pd.MultiIndex.from_product([range(1, 6), range(1, 5), weeks, [1, 2]]).to_frame(index=False)
    frame.columns = pd.Index(["store_id", "dept_id", "origin_week", "horizon"])
    frame["target_week"] = frame["origin_week"] + pd.to_timedelta(7 * frame["horizon"], unit="D")
    frame["forecast_usd"] = 100.0 * frame["store_id"] * frame["dept_id"]
    return frame.assign(actual_usd=frame["forecast_usd"] * rng.normal(1, 0.2, len(frame)))


def test_every_level_sums_to_the_chain() -> None:
    points = _points(0, 6)
    forecast = points[points["origin_week"] == points["origin_week"].max()]
    made = totals(forecast, points)
    sums = made.pivot_table(index="target_week", columns="level", values="forecast_usd", aggfunc="sum")
    expected = forecast.groupby("target_week")["forecast_usd"].sum()
    for level in ("store", "department", "chain"):
        np.testing.assert_allclose(sums[level], expected)
    assert made.groupby("level").size().to_dict() == {"chain": 2, "department": 8, "store": 10}
    assert (np.diff(made[["p10_usd", "p50_usd", "p90_usd"]].to_numpy(), axis=1) >= 0).all()
    assert (made.loc[made["level"] == "chain", ["store_id", "dept_id"]] == -1).all(axis=None)


def test_a_total_is_surer_than_its_series() -> None:
    points = _points(1, 20)
    single = (points["actual_usd"] / points["forecast_usd"] - 1).std()
    assert relative_errors(points, "store").std() < 0.75 * single
    assert relative_errors(points, "chain").std() < 0.4 * single


def test_a_missing_actual_counts_on_neither_side() -> None:
    points = pd.DataFrame(
        {
            "store_id": 1,
            "dept_id": [1, 2],
            "origin_week": pd.Timestamp("2011-01-07"),
            "target_week": pd.Timestamp("2011-01-14"),
            "horizon": 1,
            "forecast_usd": [100.0, 900.0],
            "actual_usd": [110.0, np.nan],
        }
    )
    np.testing.assert_allclose(relative_errors(points, "chain"), [0.1])


def test_intervals_hold_what_they_say_out_of_sample() -> None:
    held = coverage_of_totals(_points(2, 60)).set_index("level")["coverage"]
    # The chain has too few totals to tell.
    assert held.drop("chain").between(0.74, 0.88).all()
