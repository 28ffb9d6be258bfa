"""Intervals hold what they promise, by size, horizon and kind of week."""

import numpy as np
import pandas as pd
import pytest

from demand_assets.forecasting.intervals import COLUMNS, PULL_WEEKS, QUANTILES, Calibration, calibrate


def _errors(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    scale = rng.uniform(10, 1000, n)
    horizon = rng.integers(1, 5, n)
    return pd.DataFrame(
        {
            "target_week": pd.Timestamp("2012-01-06") + pd.to_timedelta(7 * rng.integers(0, 40, n), unit="D"),
            "horizon": horizon,
            "scale": scale,
            "is_holiday": rng.random(n) < 0.1,
            "forecast": scale,
            "actual": scale + scale * 0.1 * horizon * rng.standard_normal(n),
        }
    )


def test_intervals_hold_what_they_promise_and_widen_with_the_horizon() -> None:
    calibration, fresh = calibrate(_errors(20_000, 1), 4), _errors(20_000, 2)
    bands = calibration.intervals(
        fresh["forecast"].to_numpy(), fresh["scale"].to_numpy(), fresh["horizon"].to_numpy(),
        fresh["is_holiday"].to_numpy(),
    )  # fmt: skip
    inside = (fresh["actual"] >= bands["p10"]) & (fresh["actual"] <= bands["p90"])
    assert inside.mean() == pytest.approx(0.8, abs=0.02)
    assert inside.groupby(fresh["horizon"]).mean().between(0.77, 0.83).all()
    assert (bands["p10"] <= bands["p50"]).all()
    assert (bands["p50"] <= bands["p90"]).all()
    width = pd.Series((bands["p90"] - bands["p10"]) / fresh["scale"]).groupby(fresh["horizon"]).mean()
    assert width.is_monotonic_increasing


def _plain_calibration(
    points: pd.DataFrame, horizon_weeks: int, prior: Calibration | None
) -> dict[tuple[int, int, int], list[float]]:
    """Segment, horizon from 1 and kind -> scaled error quantiles, with one loop over the rows for each group."""
    rows = [row for row in points.to_dict("records") if not np.isnan(row["actual"])]
    for row in rows:
        row["error"] = (row["actual"] - row["forecast"]) / row["scale"]

    def group(**wanted: object) -> list[dict[str, float]]:
        return [row for row in rows if all(row[name] == value for name, value in wanted.items())]

    def ranked(errors: list[float]) -> list[float]:
        n = len(errors)
        # One of n + 1 ranks, outwards; the median has none to give.
        ranks = [max(0.1 - 0.4 / n, 0.0), 0.5, min(0.9 + 0.4 / n, 1.0)]
        return [float(np.quantile(errors, rank)) for rank in ranks]

    def pulled(held: list[dict[str, float]], unit: str, larger: list[float]) -> list[float]:
        if not held:
            return larger
        weeks = len({row["target_week"] for row in held})
        share = weeks / (weeks + PULL_WEEKS)
        own = ranked([row[unit] for row in held])
        return [share * mine + (1 - share) * other for mine, other in zip(own, larger, strict=True)]

    scales = sorted(row["scale"] for row in rows)
    edges = (
        [np.quantile(scales, share) for share in (0.05, 0.2, 0.4, 0.6, 0.8)] if prior is None else prior.edges.tolist()
    )
    start = {}
    for segment, horizon, kind in np.ndindex(6, horizon_weeks, 2):
        if prior is None:
            low, _, high = pulled(group(horizon=horizon + 1), "error", ranked([row["error"] for row in rows]))
            start[segment, horizon + 1, kind] = [low, 0.0, high]
        else:
            start[segment, horizon + 1, kind] = prior.offsets[segment, horizon, kind].tolist()
    spread = {place: max((offsets[2] - offsets[0]) / 2, 1e-6) for place, offsets in start.items()}
    for row in rows:
        row["segment"] = sum(edge < row["scale"] for edge in edges)
        row["against"] = row["error"] / spread[row["segment"], row["horizon"], int(row["is_holiday"])]
    found = {}
    for (segment, horizon, kind), offsets in start.items():
        same = {"is_holiday": bool(kind)}
        here = {**same, "segment": segment}
        made = [offset / spread[segment, horizon, kind] for offset in offsets]
        for wanted in ({}, same, here, {**here, "horizon": horizon}):
            low, middle, high = pulled(group(**wanted), "against", made)
            made = [low, made[1] if wanted else middle, high]
        found[segment, horizon, kind] = [offset * spread[segment, horizon, kind] for offset in made]
    return found


# Of few errors most groups have none; last, few errors of holidays among many others.
@pytest.mark.parametrize(("count", "flagged"), [(5, 5), (150, 150), (2_400, 2_400), (2_000, 100)])
@pytest.mark.parametrize("judged", [False, True])
def test_a_calibration_equals_a_plain_one(count: int, flagged: int, judged: bool) -> None:
    points = _errors(count, 7)
    points["is_holiday"] &= points.index < flagged
    # Errors that lean to one side, and more so on holidays and for large series; some weeks without an actual.
    lean = points["scale"] * (points["is_holiday"] * 0.3 + points["scale"] / 5_000 + 0.1)
    points = points.assign(actual=points["actual"] + lean)
    points = pd.concat([points, points.head(40).assign(actual=np.nan, scale=1e6)], ignore_index=True)
    prior = calibrate(_errors(3_000, 8), 4) if judged else None
    made = calibrate(points, 4, prior=prior)
    assert made.offsets.shape == (6, 4, 2, 3)
    for (segment, horizon, kind), expected in _plain_calibration(points, 4, prior).items():
        np.testing.assert_allclose(made.offsets[segment, horizon - 1, kind], expected, rtol=1e-10)


def test_own_errors_twice_as_large_as_the_start_s_widen_its_intervals() -> None:
    prior, own = calibrate(_errors(20_000, 1), 4), _errors(20_000, 2)
    own["actual"] = own["forecast"] + 2 * (own["actual"] - own["forecast"])
    few = own[own["target_week"] == own["target_week"].min()]
    wide, between = (calibrate(points, 4, prior=prior).offsets[..., 2] / prior.offsets[..., 2] for points in (own, few))
    assert np.median(wide) == pytest.approx(2.0, abs=0.1)
    assert 1.0 < np.median(between) < 1.7
    np.testing.assert_array_equal(calibrate(own.head(0), 4, prior=prior).offsets, prior.offsets)


def test_a_band_is_that_of_its_size_horizon_and_kind_of_week() -> None:
    # Offsets say where they stand: hundreds are the segment, tens the horizon, 5 a holiday; p10 is 1 less, p90 2 more.
    place = [
        [
            [[100 * segment + 10 * step + 5 * kind + around for around in (-1, 0, 2)] for kind in (0, 1)]
            for step in (1, 2)
        ]
        for segment in (1, 2, 3)
    ]
    calibration = Calibration(np.array([10.0, 20.0]), np.array(place, dtype=float))
    scale, horizon = np.array([2.0, 10.0, 10.5, 20.0, 21.0]), np.array([1, 2, 1, 3, 52])
    bands = calibration.intervals(np.arange(5.0), scale, horizon, np.array([0.0, 0.0, 1.0, 0.0, 1.0]))
    # A scale on an edge belongs to the lower segment; horizons past the last take its offsets.
    expected = np.array([110.0, 120.0, 215.0, 220.0, 325.0])
    for name, around in zip(COLUMNS, (-1, 0, 2), strict=True):
        assert bands[name].tolist() == (np.arange(5.0) + scale * (expected + around)).tolist()
    crossed = Calibration(np.empty(0), np.array([[[[3.0, 1.0, 2.0]] * 2]])).intervals(
        np.zeros(1), np.ones(1), np.array([1]), np.zeros(1)
    )
    assert [crossed[name].tolist() for name in COLUMNS] == [[1.0], [2.0], [3.0]]


def test_without_errors_there_is_no_interval() -> None:
    calibration = calibrate(_errors(5, 1).assign(actual=np.nan), 4)
    bands = calibration.intervals(np.array([5.0]), np.array([1.0]), np.array([1]), np.array([0]))
    assert {name: value.tolist() for name, value in bands.items()} == {name: [5.0] for name in COLUMNS}


def test_a_calibration_survives_json() -> None:
    calibration = calibrate(_errors(2_000, 1), 4)
    again = Calibration.from_dict(calibration.to_dict())
    np.testing.assert_array_equal(again.offsets, calibration.offsets)
    np.testing.assert_array_equal(again.edges, calibration.edges)
    assert again.quantiles == QUANTILES
