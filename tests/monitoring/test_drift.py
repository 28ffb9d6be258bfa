"""Distances equal plain ones; the same data is no drift; few points are not judged; a shift is named."""

import dataclasses
import itertools
import math
import statistics
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from demand_assets.forecasting.calendar import holiday_kind
from demand_assets.forecasting.features import FEATURES
from demand_assets.forecasting.weeks import add_weeks, weeks_between
from demand_assets.monitoring.drift import (
    REPORT_COLUMNS,
    ROW_KEYS,
    JudgedWeek,
    block_report,
    blocks_of,
    drift_report,
    drift_verdict,
    flags_of,
    joined_report,
    lost_flags,
)
from demand_assets.monitoring.drift_metrics import (
    Distances,
    Weekly,
    department_group,
    distances,
    measured,
    rows_in_group,
    units,
    without_outliers,
)
from demand_assets.monitoring.drift_severity import graded, graded_department_groups, in_words
from demand_assets.monitoring.drift_statistics import (
    bin_counts,
    column_median,
    ks_distance,
    ks_p_value,
    quantile_edges,
    robust_zscore,
    stability_index,
)

WEEK = pd.Timestamp("2012-06-29")
AS_OF = add_weeks(WEEK, -4)
STORES, DEPARTMENTS = 24, (*range(1, 12), *range(20, 30))


def _plain_psi(reference: np.ndarray, now: np.ndarray) -> float:
    ordered = sorted(reference)
    edges = sorted({ordered[round(share * (len(ordered) - 1) / 10)] for share in range(1, 10)})
    total = 0.0
    for place in range(len(edges) + 1):
        low = edges[place - 1] if place else -np.inf
        high = edges[place] if place < len(edges) else np.inf
        expected, actual = (sum(low <= value < high for value in sample) for sample in (reference, now))
        e = (expected + 0.5) / (len(reference) + 0.5 * (len(edges) + 1))
        a = (actual + 0.5) / (len(now) + 0.5 * (len(edges) + 1))
        total += (a - e) * np.log(a / e)
    return total


def psi(reference: np.ndarray, now: np.ndarray) -> float:
    if not len(reference) or not len(now):
        return np.nan
    ordered = np.sort(reference)
    edges = quantile_edges(ordered)
    return float(stability_index(bin_counts(ordered, edges), bin_counts(np.sort(now), edges)))


@pytest.mark.parametrize("seed", range(5))
def test_psi_and_ks_equal_plain_ones(seed: int) -> None:
    draw = np.random.default_rng(seed)
    reference, now = draw.integers(0, 12, 80).astype(float), draw.integers(2, 15, 30).astype(float)
    assert psi(reference, now) == pytest.approx(_plain_psi(reference, now))
    expected = stats.ks_2samp(reference, now, method="asymp")
    distance = ks_distance(np.sort(reference), now)
    assert distance == pytest.approx(expected.statistic)
    p_value = ks_p_value(np.array([distance]), np.array([80]), np.array([30]))[0]
    assert p_value == pytest.approx(stats.kstwobign.sf(distance * np.sqrt(80 * 30 / 110)))


def test_psi_is_zero_for_the_same_sample_and_finite_for_a_bin_that_is_empty() -> None:
    sample = np.arange(100.0)
    assert psi(sample, sample) == 0
    assert 2 < psi(sample, sample + 1000) < 10


def test_medians_leave_gaps_out_and_a_robust_z_score_counts_robust_deviations() -> None:
    history = np.array([[1.0, np.nan], [2.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    np.testing.assert_equal(column_median(history), [2.0, np.nan])
    found = robust_zscore(history, np.array([6.0, 1.0]), 0.1)
    assert found.score[0] == pytest.approx(4 / 1.4826)
    assert found.reach[0] == pytest.approx(4 / 1.4826)
    assert found.weeks.tolist() == [3, 0]


_WINDOWS = [f"{kind}growth_{weeks}" for kind in ("", "dept_", "store_") for weeks in (4, 8, 16)]
_RESIDUALS = [f"residual_{kind}" for kind in ("lag_0", "lag_1", "mean_4", "mean_13")]
_OF_GROUPS = ["dept_residual_mean_4", "store_residual_mean_4"]
_COMPARED = ["temperature_change", "fuel_change", "cpi_change", "unemployment_change"]
_FIXED = ["store_type", "store_size", "department", "weeks_observed"]
# What does not swing with the season, and what another variable told of before.
STEADY = {*_WINDOWS, *_RESIDUALS, *_OF_GROUPS, *_COMPARED, *_FIXED}
LATE = {"lag_1", "lag_2", "lag_3", "lag_4", "lag_7", "lag_12", "residual_lag_1"}


def _median(values: Sequence[float]) -> float:
    held = [value for value in values if not math.isnan(value)]
    return statistics.median(held) if held else math.nan


def _plain_zscore(history: Sequence[float], now: float, least: float) -> tuple[float, float, float, int]:
    """Score, reach, usual value and weeks."""
    held = [value for value in history if not math.isnan(value)]
    usual = _median(held)
    away = [abs(value - usual) for value in held]
    scale = max(1.4826 * _median(away) if away else 0.0, least)
    return (now - usual) / scale, abs(now - usual) / max(scale, *away, 0.0), usual, len(held)


def _plain_grade(
    name: str, cell: tuple[int, int], measures: Distances, weekly: Weekly, sales_share: float, *, season: bool
) -> dict[str, object]:
    """The row of one group and variable, rule by rule."""
    of = {field.name: getattr(measures, field.name)[..., *cell] for field in dataclasses.fields(measures)}
    mean, missing = weekly.mean[:, *cell].tolist(), weekly.missing[:, *cell].tolist()
    spread = of["spread"]
    spread = spread if math.isnan(spread) else max(spread, 0.01 * abs(of["reference_mean"]), 1e-6)
    by_mean = _plain_zscore(mean[:-1], mean[-1], 0.02 * (1.0 if math.isnan(spread) else spread))
    share = (np.nan_to_num(of["reference_missing"]) * of["points"] + 1) / (of["points"] + 2)
    sampling = math.sqrt(share * (1 - share) / (of["points"] + 2))
    by_missing = _plain_zscore(missing[:-1], missing[-1], max(0.005, sampling))
    by_psi = _plain_zscore(of["psi_history"].tolist(), of["psi"], 0.05)
    shift = mean[-1] - (0.0 if season else of["reference_mean"])
    lost = missing[-1] - (0.0 if season else of["reference_missing"])
    compared = sales_share >= 0.005 and of["reference_points"] >= 20
    enough = compared and of["points"] >= 20

    level, by = 0, ""
    judgeable = enough and by_mean[3] >= 12
    score = by_mean[0] if judgeable else math.nan
    for kind, effect, outside, found, floors, judged in (
        ("mean", abs(shift) / spread, abs(by_mean[0]), by_mean, (0.2, 0.5), enough),
        ("missing", lost, by_missing[0], by_missing, (0.03, 0.05), compared),
        ("psi", of["psi"], by_psi[0], by_psi, (1.0, 1.0), enough and not season),
    ):
        reached = 0
        for floor, least_score, least_reach in zip(floors, (6.0, 12.0), (1.2, 2.0), strict=True):
            reached += effect >= floor and outside >= least_score and found[1] > least_reach
        if not judged or found[3] < 12 or (not season and kind != "missing" and name not in STEADY):
            reached = 0
        if name in LATE:
            reached = min(reached, 1)
        if reached > level:
            level, by, score = reached, kind, found[0]
    return {
        "variable": name,
        **{column: of[column] for column in ("points", "reference_points", "psi", "ks", "ks_p")},
        "mean_shift": shift / spread,
        "missing_shift": lost,
        "severity": ("none" if judgeable else "few", "warn", "severe")[level],
        "by": by,
        "score": score,
        "mean_now": mean[-1],
        "mean_usual": by_mean[2],
        "missing_now": missing[-1],
        "missing_usual": by_missing[2],
    }


@pytest.mark.parametrize("seed", range(3))
def test_a_severity_is_that_of_each_group_and_variable_by_itself(seed: int) -> None:
    draw = np.random.default_rng(seed)
    groups, weeks = 12, 15
    variables = [*FEATURES, "prediction"]
    shape = (groups, len(variables))
    history = draw.normal(0.0, 0.03, (weeks, *shape)) * draw.choice([0.0, 0.2, 1.0], shape)
    history[3] *= draw.choice([1.0, 5.0], shape)  # a far week, which the week has to leave behind
    missing = draw.choice([0.0, 0.004, 0.5], shape) + draw.uniform(0.0, 0.002, (weeks, *shape))
    # Twelve of the fourteen weeks before are enough.
    for table in (history, missing):
        table[:-1][draw.random((weeks - 1, *shape)) < 0.1] = np.nan
    history[-1] = draw.choice([-1.0, 1.0], shape) * np.exp(draw.uniform(np.log(0.1), np.log(1.0), shape))
    missing[-1] += draw.choice([-0.4, 0.0, 0.02, 0.04, 0.06, 0.4], shape)  # less may miss than usually, too
    psi_history = draw.uniform(0.0, 0.3, (weeks - 1, *shape)) * draw.choice([0.2, 1.0], shape)
    psi_history += draw.choice([0.0, 5.0], shape, p=[0.8, 0.2])
    psi_history[draw.random(psi_history.shape) < 0.1] = np.nan
    unused = np.zeros(shape)
    measures = Distances(
        points=draw.choice([0, 19, 20, 2000], shape, p=[0.1, 0.1, 0.2, 0.6]),
        reference_points=draw.choice([19, 20, 2000], shape, p=[0.1, 0.2, 0.7]),
        psi=draw.uniform(0.0, 3.0, shape),
        ks=unused,
        ks_p=unused,
        spread=draw.choice([0.0, 0.9, 1.1, np.nan], shape, p=[0.1, 0.4, 0.4, 0.1]),
        reference_mean=draw.choice([0.0, -0.04, -100.0], shape, p=[0.4, 0.4, 0.2]),
        reference_missing=draw.choice([0.0, 0.02, np.nan], shape),
        psi_history=psi_history,
    )
    share = draw.choice([0.0049, 0.005, 0.5], groups, p=[0.1, 0.3, 0.6])
    weekly = Weekly(weeks_between(add_weeks(WEEK, 1 - weeks), WEEK), history, missing)
    for season in (False, True):
        table = graded(variables, measures, weekly, share, season=season)
        expected = pd.DataFrame(
            [
                _plain_grade(name, (group, place), measures, weekly, float(share[group]), season=season)
                for group in range(groups)
                for place, name in enumerate(variables)
            ]
        )
        pd.testing.assert_frame_equal(table[list(expected.columns)], expected, check_dtype=False)
        # Every way to be judged is there.
        reasons = {("none", ""), ("few", ""), *itertools.product(["warn", "severe"], ["mean", "missing"])}
        reasons |= set() if season else {("warn", "psi"), ("severe", "psi")}
        assert set(table[["severity", "by"]].itertuples(index=False, name=None)) == reasons


def _plain_department_group(residual: np.ndarray, points: list[int], mine: list[int]) -> dict[str, object]:
    """One group of departments, numbered as in `residual` (weeks, departments)."""
    judged = [one for one, count in enumerate(points) if count >= 20]
    relative = [[row[one] - _median([row[other] for other in judged]) for one in range(len(row))] for row in residual]
    away, scales = {}, {}
    for one in mine:
        past = [row[one] for row in relative[:-1]]
        away[one] = relative[-1][one] - _median(past)
        scales[one] = max(1.4826 * _median([abs(value - _median(past)) for value in past]), 0.02)
    held = [one for one in mine if one in judged and not math.isnan(away[one])] or mine
    score = sum(min(max(away[one] / scales[one], -4.0), 4.0) for one in held) / len(held)
    shift = statistics.median(away[one] for one in held)
    level = sum(abs(score) >= least for least in (1.0, 2.0)) if abs(shift) >= 0.05 else 0
    return {
        "points": sum(points[one] for one in held),
        "reference_points": len(held) * (len(residual) - 1),
        "mean_shift": shift / statistics.median(scales[one] for one in held),
        "severity": ("none", "warn", "severe")[level] if len(held) >= 4 and len(residual) > 12 else "few",
        "by": "mean" if level else "",
        "score": score,
        "mean_now": statistics.median(residual[-1][one] for one in held),
        "mean_usual": statistics.median(_median([row[one] for row in relative[:-1]]) for one in held),
    }


@pytest.mark.parametrize("weeks", [12, 13, 30])
def test_departments_drift_together_as_plain_medians_say(weeks: int) -> None:
    draw = np.random.default_rng(weeks)
    names = [*range(1, 8), *range(10, 15), *range(20, 24), *range(30, 33), *range(40, 46), 50, *range(60, 66), 100]
    group = np.array(names) // 10
    residual = draw.normal(0.0, 0.03, (weeks, len(names))) * draw.choice([0.1, 1.0, 2.0], len(names))
    residual[-1] += np.array([0.0, -0.045, -0.3, 0.3, 0.06, 0.0, -0.08, 0.0, 0.0, 0.0, 0.5])[group]
    residual[2, 3] = residual[-1, 8] = np.nan  # a week without a value, and a department without one now
    points = np.full(len(names), 20)
    points[[0, 5, names.index(50)]] = 19  # too few series to count; alone in its group, it is still told of
    table = graded_department_groups(residual, points, [str(name) for name in names])
    numbers = sorted(set(group.tolist()))
    expected = pd.DataFrame(
        [_plain_department_group(residual, points.tolist(), np.flatnonzero(group == one).tolist()) for one in numbers]
    )
    pd.testing.assert_frame_equal(table[list(expected.columns)], expected, check_dtype=False)
    assert table["group_id"].tolist() == [f"{ten}0-{ten}9" if ten else "0-9" for ten in numbers]
    assert set(table["group_kind"]) == {"dept_group"}
    assert set(table["variable"]) == {"residual_lag_0"}
    seen = {"few"} if weeks < 13 else {"few", "none", "warn", "severe"}
    assert set(table["severity"]) == seen


def _origins(weeks: pd.DatetimeIndex, seed: int = 1) -> pd.DataFrame:
    """Quiet features: every series wanders a little around its level, the same in every season."""
    draw = np.random.default_rng(seed)
    keys = pd.MultiIndex.from_product(
        [weeks, range(1, STORES + 1), DEPARTMENTS], names=["origin_week", "store_id", "dept_id"]
    ).to_frame(index=False)
    values = {name: draw.normal(1.0, 0.1, len(keys)).astype(np.float32) for name in FEATURES}
    by_store = {
        name: np.float32(1) + keys["store_id"].to_numpy(np.float32) / 100 for name in ("cpi_change", "fuel_change")
    }
    fixed = {
        "horizon": 1,
        "residual_lag_0": draw.normal(0.0, 0.1, len(keys)).astype(np.float32),
        "store_type": np.float32(0),
        "is_holiday": np.float32(0),
        "origin_is_holiday": (holiday_kind(pd.DatetimeIndex(keys["origin_week"])) > 0).astype(np.float32),
        "prediction": values["lag_0"],
        "scale": 1000.0,
    }
    return keys.assign(**{**values, **by_store, **fixed})


HISTORY = _origins(weeks_between(add_weeks(WEEK, -60), WEEK))
NO_HOLIDAY = pd.DataFrame({"target_week": [add_weeks(WEEK, 1)], "is_holiday": [0.0]})


def _report(rows: pd.DataFrame, targets: pd.DataFrame = NO_HOLIDAY) -> pd.DataFrame:
    now = rows["origin_week"] == WEEK
    return drift_report(rows[now], rows[~now], AS_OF, targets)


def _of_variable(rows: pd.DataFrame, name: str, as_of: pd.Timestamp = AS_OF) -> pd.DataFrame:
    """The report's rows about one variable."""
    judged = JudgedWeek.of(rows[rows["origin_week"] == WEEK], as_of)
    block = [dataclasses.replace(unit, variables=(name,)) for unit in units() if name in unit.variables]
    return block_report(lambda columns: rows[list(columns)], judged, block)


def test_a_quiet_week_has_no_drift_and_one_row_per_comparison() -> None:
    report = _report(HISTORY)
    assert list(report.columns) == list(REPORT_COLUMNS)
    assert not report.duplicated(["reference", "group_kind", "group_id", "variable"]).any()
    assert set(report["variable"]) == {*FEATURES, "prediction"}
    assert set(report["reference"]) == {"training", "last_season"}
    verdict = drift_verdict(report)
    assert (verdict.severity, verdict.named, verdict.sales_share) == ("none", (), 0.0)


def test_effects_of_a_row_are_those_of_its_two_samples() -> None:
    report = _report(HISTORY).query("reference == 'training' and group_kind == 'department' and group_id == '3'")
    row = report.set_index("variable").loc["lag_0"]
    own = HISTORY[HISTORY["dept_id"] == 3]
    now = own.loc[own["origin_week"] == WEEK, "lag_0"].to_numpy()
    trained = own["origin_week"].between(add_weeks(AS_OF, -51), AS_OF)
    reference = own.loc[trained, "lag_0"].to_numpy()
    assert (row["points"], row["reference_points"]) == (len(now), len(reference))
    assert row["psi"] == pytest.approx(psi(reference, now))
    assert row["ks"] == pytest.approx(stats.ks_2samp(reference, now).statistic)
    # The mean is of values without outliers, of which there are none here.
    assert row["mean_shift"] == pytest.approx((now.mean() - reference.mean()) / reference.std(), abs=1e-3)


def test_weekly_means_and_changes_are_those_of_each_group_and_week() -> None:
    draw = np.random.default_rng(2)
    weeks = weeks_between(add_weeks(WEEK, -112), WEEK).delete([20, 60])
    groups = 3
    at = np.sort(draw.integers(0, len(weeks), 1500))
    codes = draw.integers(0, groups, len(at))
    values = draw.normal(5.0, 1.0, (len(at), 2))
    values[draw.random(len(at)) < 0.4, 1] = np.nan
    keep = (codes != 2) | (at < 100)  # a group without a row in the newest weeks
    values, at, codes = values[keep], at[keep], codes[keep]
    found = Weekly.of(values, at, codes, groups, weeks)
    changes = found.against_last_season()
    mean, missing = ({} for _ in range(2))
    for place in itertools.product(weeks, range(groups), (0, 1)):
        own = values[(weeks[at] == place[0]) & (codes == place[1]), place[2]]
        held = own[~np.isnan(own)]
        mean[place] = held.mean() if len(held) else math.nan
        missing[place] = 1 - len(held) / len(own) if len(own) else math.nan
    for made, since, plain in ((found, changes, mean), (found, changes, missing)):
        table, change = (made.mean, since.mean) if plain is mean else (made.missing, since.missing)
        np.testing.assert_allclose(table.ravel(), list(plain.values()))
        expected = []
        for week, group, column in itertools.product(weeks[-53:], range(groups), (0, 1)):
            season = [plain.get((add_weeks(week, -52 + away), group, column), math.nan) for away in range(-2, 3)]
            held = [value for value in season if not math.isnan(value)]
            expected.append(plain[week, group, column] - sum(held) / len(held) if held else math.nan)
        np.testing.assert_allclose(change.ravel(), expected, atol=1e-12)
    pd.testing.assert_index_equal(changes.weeks, weeks[-53:])
    np.testing.assert_array_equal(found.recent().mean, found.mean[-53:])


def test_outliers_are_drawn_to_the_range_of_the_reference() -> None:
    reference = np.array([True] * 21 + [False] * 3)
    values = np.append(np.arange(21.0), [-100.0, 100.0, np.nan])
    # 5% and 95% of 0..20 are 1 and 19: one range of 18 more on either side.
    clipped = without_outliers(values[:, None], reference)[:, 0]
    np.testing.assert_array_equal(clipped, [*np.arange(21.0), -17.0, 37.0, np.nan])


def test_no_week_is_judged_with_itself() -> None:
    rows = HISTORY[HISTORY["origin_week"] >= add_weeks(WEEK, -13)].copy()
    now = rows["origin_week"] == WEEK
    before = rows.loc[~now, "residual_lag_0"]
    # A week of fourteen is 7% of the values: with itself in the reference it would widen the range it is held to.
    low, high = before.quantile([0.05, 0.95])
    rows.loc[now, "residual_lag_0"] = 50.0
    report = _of_variable(rows, "residual_lag_0").query("group_kind == 'chain' and reference == 'training'")
    assert report["mean_now"].item() == pytest.approx(2 * high - low, rel=1e-5)
    weekly = before.clip(2 * low - high, 2 * high - low).groupby(rows["origin_week"]).mean()
    assert report["mean_usual"].item() == pytest.approx(weekly.median(), abs=1e-6)


def test_a_champion_that_learnt_from_the_week_is_held_against_the_weeks_before_it() -> None:
    report = _of_variable(HISTORY, "residual_lag_0", WEEK)
    pd.testing.assert_frame_equal(report, _of_variable(HISTORY, "residual_lag_0", add_weeks(WEEK, -1)))
    points = report[report["group_kind"] == "chain"].set_index("reference")["reference_points"]
    series = STORES * len(DEPARTMENTS)
    assert points.to_dict() == {"training": 52 * series, "last_season": 5 * series}


def test_figures_of_a_row_are_those_of_its_weeks() -> None:
    draw = np.random.default_rng(8)
    rows = HISTORY[HISTORY["dept_id"].isin([3, 20])].copy()
    # Values without outliers, of which a mean would be drawn in.
    rows["growth_4"] = np.where(draw.random(len(rows)) > 0.2, draw.uniform(0.5, 1.5, len(rows)), np.nan)
    rows["scale"] = np.where(rows["dept_id"] == 3, 1000.0, 3000.0)
    report = _of_variable(rows, "growth_4").query("group_kind == 'department' and group_id == '3'")
    of = report.set_index("reference").T
    own = rows[rows["dept_id"] == 3].groupby("origin_week")["growth_4"]
    trained = rows.loc[(rows["dept_id"] == 3) & rows["origin_week"].between(add_weeks(AS_OF, -51), AS_OF), "growth_4"]
    mean, missing = own.mean(), own.apply(lambda week: week.isna().mean())
    mean_change, missing_change = (
        table - table.rolling(5, min_periods=1).mean().shift(50) for table in (mean, missing)
    )
    shift = (mean[WEEK] - trained.mean()) / trained.std(ddof=0)
    expected = {
        "training": (missing[WEEK] - trained.isna().mean(), mean[WEEK], mean.iloc[-53:-1].median(), shift, 0.25),
        "last_season": (missing_change[WEEK], mean_change[WEEK], mean_change.iloc[:-1].median()),
    }
    names = ["missing_shift", "mean_now", "mean_usual", "mean_shift", "sales_share"]
    for reference, values in expected.items():
        assert of.loc[names[: len(values)], reference].tolist() == pytest.approx(values, abs=1e-5)


def test_what_stores_have_in_common_is_never_drawn_in_as_an_outlier() -> None:
    rows = _changed("cpi", HISTORY)
    usual = HISTORY.loc[HISTORY["origin_week"] == WEEK, "cpi_change"].mean()
    report = _of_variable(rows, "cpi_change").query("group_kind == 'chain' and reference == 'training'")
    assert report["mean_now"].item() == pytest.approx(100 * usual, rel=1e-5)


def test_a_group_of_departments_counts_the_series_that_have_a_value() -> None:
    lost = (HISTORY["origin_week"] == WEEK) & HISTORY["dept_id"].between(20, 29) & (HISTORY["store_id"] <= 2)
    report = _of_variable(HISTORY.assign(residual_lag_0=HISTORY["residual_lag_0"].mask(lost)), "residual_lag_0")
    groups = report[report["group_kind"] == "dept_group"].set_index("group_id")
    assert groups["points"].to_dict() == {"0-9": 9 * STORES, "10-19": 2 * STORES, "20-29": 10 * (STORES - 2)}
    shares = {"0-9": 9 / 21, "10-19": 2 / 21, "20-29": 10 / 21}
    assert groups["sales_share"].to_dict() == pytest.approx(shares)


@pytest.mark.parametrize("change", [-0.5, 0.5])
def test_a_seasonal_variable_is_held_against_last_season(change: float) -> None:
    rows = _origins(weeks_between(add_weeks(WEEK, -80), WEEK))
    rows.loc[rows["origin_week"] == WEEK, "lag_0"] += change
    report = _of_variable(rows, "lag_0").query("group_kind == 'chain'").set_index("reference")
    assert report["severity"].to_dict() == {"training": "none", "last_season": "severe"}
    assert report.loc["last_season", "mean_now"] == pytest.approx(change, abs=0.1)


@pytest.mark.parametrize(
    ("variable", "kinds"),
    [
        ("lag_0", {"chain", "store_type", "department", "store"}),
        ("prediction", {"chain", "store_type", "department", "store"}),
        ("residual_lag_0", {"chain", "store_type", "department", "store", "dept_group"}),
        ("cpi_change", {"chain", "store_type"}),
        ("store_index", {"chain", "store_type"}),
        ("store_growth_4", {"chain", "store_type"}),
        ("store_size", {"chain", "store_type"}),
        ("markdown_4", {"chain", "store_type"}),
        ("dept_growth_4", {"chain"}),
        ("department", {"chain"}),
        ("is_holiday", {"chain"}),
    ],
)
def test_a_variable_is_compared_in_the_groups_it_can_differ_in(variable: str, kinds: set[str]) -> None:
    rows = _of_variable(HISTORY[HISTORY["origin_week"] >= add_weeks(WEEK, -2)], variable)
    assert set(rows["group_kind"]) == kinds
    # One value a store counts once, however many departments repeat it.
    points = {"cpi_change": STORES, "dept_growth_4": len(DEPARTMENTS), "is_holiday": 1}
    expected = points.get(variable, STORES * len(DEPARTMENTS))
    if variable in points or variable == "lag_0":
        assert set(rows.loc[rows["group_kind"] == "chain", "points"]) == {expected}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({}, "chain: lag_0 up 50% (1 -> 1.5) against training"),
        ({"mean_now": 0.5, "group_kind": "store_type", "group_id": "A"}, "store type A: lag_0 down 50% (1 -> 0.5)"),
        ({"mean_usual": -1.0, "mean_now": -1.5}, "chain: lag_0 down 50% (-1 -> -1.5) against training"),
        ({"mean_usual": 0.2, "mean_now": 0.4}, "chain: lag_0 up (0.2 -> 0.4) against training"),
        ({"mean_usual": -0.21, "mean_now": 0.0}, "chain: lag_0 up 100% (-0.21 -> 0) against training"),
        ({"group_kind": "dept_group", "group_id": "0-9"}, "departments 0-9: lag_0 up 50%"),
        ({"group_kind": "store", "group_id": "7"}, "store 7: lag_0 up 50%"),
        ({"reference": "last_season", "mean_now": -0.3}, "chain: lag_0 -0.3 on last season (usually +1)"),
        ({"by": "missing"}, "chain: lag_0 missing 25% (usually 5%) against training"),
        (
            {"by": "missing", "reference": "last_season"},
            "chain: lag_0 missing +25% on last season (usually +5%)",
        ),
        ({"by": "psi"}, "chain: lag_0 spread differently (PSI 1.25, KS 0.50) against training"),
    ],
)
def test_what_drifted_is_said_in_words(row: dict[str, object], words: str) -> None:
    usual = {
        "group_kind": "chain", "group_id": "all", "variable": "lag_0", "reference": "training", "by": "mean",
        "mean_now": 1.5, "mean_usual": 1.0, "missing_now": 0.25, "missing_usual": 0.05, "psi": 1.25, "ks": 0.5,
    }  # fmt: skip
    assert in_words({**usual, **row}).startswith(words)


def _changed(change: str, rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.copy()
    now = rows["origin_week"] == WEEK
    match change:
        case "department group":
            rows.loc[now & rows["dept_id"].between(20, 29), "residual_lag_0"] += 0.1
        case "stores":
            rows.loc[now & rows["store_id"].isin([3, 7]), "residual_lag_0"] += 1.0
        case "stores fall":
            rows.loc[now & rows["store_id"].isin([3, 7]), "residual_lag_0"] -= 1.0
        case "cpi":
            rows.loc[now, "cpi_change"] *= 100
        case "cpi falls":
            rows.loc[now, "cpi_change"] /= 100
        case "spread":
            # Around the same mean.
            rows.loc[now, "growth_4"] += np.where(np.arange(now.sum()) % 2 == 0, 0.3, -0.3).astype(np.float32)
        case "missing":
            rows.loc[now & (rows["store_id"] % 5 == 0), "lag_0"] = np.nan
        case "flag":
            rows.loc[rows["origin_week"] == add_weeks(WEEK, -52), "origin_is_holiday"] = 1
    return rows


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("department group", "departments 20-29: residual_lag_0 up"),
        ("stores", "store 3: residual_lag_0 up"),
        ("stores fall", "store 3: residual_lag_0 down"),
        ("cpi", "chain: cpi_change up"),
        ("cpi falls", "chain: cpi_change down"),
        ("spread", "chain: growth_4 spread differently (PSI "),
        ("missing", "chain: lag_0 missing 17% (usually 0%)"),
        ("flag", "chain: origin_is_holiday lost its flag in week 2012-06-29"),
    ],
)
def test_a_shift_is_named_with_its_group_and_variable(change: str, named: str) -> None:
    verdict = drift_verdict(_report(_changed(change, HISTORY)))
    assert verdict.severity == "severe"
    assert any(words.startswith(named) for words in verdict.severe), verdict.named


def test_a_lost_flag_of_a_coming_holiday_is_found_by_the_rule_that_earlier_weeks_followed() -> None:
    labor_day = pd.DataFrame({"target_week": [pd.Timestamp("2012-09-07")], "is_holiday": [0.0]})
    verdict = drift_verdict(_report(HISTORY, labor_day))
    assert verdict.severe == ("chain: is_holiday lost its flag in week 2012-09-07 (labor day)",)
    # A retailer that does not flag US holidays has lost nothing.
    other = HISTORY.assign(origin_is_holiday=np.float32(0))
    assert drift_verdict(_report(other, labor_day)).severe == ()


def test_few_points_and_few_weeks_are_not_judged() -> None:
    few_stores = _changed("cpi", HISTORY[HISTORY["store_id"] < 5])
    rows = _report(few_stores).query("variable == 'cpi_change'")
    assert set(rows["severity"]) == {"few"}
    young = HISTORY[HISTORY["origin_week"] > add_weeks(WEEK, -10)]
    assert set(_report(_changed("cpi", young))["severity"]) == {"few"}


def test_one_series_gone_wild_is_no_drift_of_its_store() -> None:
    rows = HISTORY.copy()
    wild = (rows["origin_week"] == WEEK) & (rows["store_id"] == 2) & (rows["dept_id"] == 1)
    rows.loc[wild, ["residual_lag_0", "growth_4", "lag_0"]] = 1e6
    assert drift_verdict(_report(rows)).named == ()


def test_a_verdict_says_the_widest_group_once_and_needs_a_twentieth_of_sales() -> None:
    base = {"week": WEEK, "reference": "training", "variable": "residual_lag_0", "score": 20.0}
    rows = pd.DataFrame(
        [
            {**base, "group_kind": kind, "group_id": name, "severity": level, "sales_share": share, "words": name}
            for kind, name, level, share in (
                ("dept_group", "20-29", "severe", 0.04),
                ("department", "21", "severe", 0.01),
                ("store", "3", "warn", 0.3),
            )
        ]
    )
    verdict = drift_verdict(rows)
    assert (verdict.severity, verdict.named, verdict.severe) == ("warn", ("20-29", "3"), ("20-29",))
    assert verdict.sales_share == 0.04
    assert drift_verdict(rows.assign(sales_share=0.05)).severity == "severe"


def test_a_verdict_says_the_worst_first_and_each_thing_once() -> None:
    rows = pd.DataFrame(
        [
            ("training", "store", "7", "lag_0", "warn", 90.0, 0.4),
            ("training", "department", "21", "residual_lag_0", "severe", -3.0, 0.2),
            ("training", "department", "22", "growth_4", "severe", -30.0, 0.3),
            ("training", "department", "31", "growth_4", "severe", 20.0, 0.1),
            ("last_season", "department", "31", "growth_4", "severe", 25.0, 0.1),  # said once, as the larger one
            ("training", "dept_group", "20-29", "residual_lag_0", "severe", -2.0, 0.35),  # says it for department 21
            ("training", "store_type", "A", "lag_0", "severe", 7.0, 0.7),
            ("training", "chain", "all", "cpi_change", "severe", 7.0, 1.0),
            ("training", "store_type", "B", "cpi_change", "severe", 50.0, 0.3),  # the chain's
            ("training", "store", "9", "lag_2", "severe", 28.0, 0.1),
            ("training", "chain", "all", "lag_4", "warn", 5.0, 1.0),
            ("training", "store", "8", "lag_0", "none", 99.0, 0.4),
        ],
        columns=["reference", "group_kind", "group_id", "variable", "severity", "score", "sales_share"],
    )
    rows = rows.assign(week=WEEK, words=rows["group_id"] + " " + rows["variable"] + " " + rows["reference"].str[:4])
    verdict = drift_verdict(rows.sample(frac=1, random_state=1).reset_index(drop=True))
    wide = ("all cpi_change trai", "A lag_0 trai", "20-29 residual_lag_0 trai")
    severe = (*wide, "22 growth_4 trai", "9 lag_2 trai", "31 growth_4 last")
    assert verdict.severe == severe
    assert verdict.named == (*severe, "all lag_4 trai", "7 lag_0 trai")
    assert (verdict.severity, verdict.sales_share) == ("severe", 1.0)
    # Departments 22 and 31 have 40% of sales; kinds of groups overlap and are not added up.
    narrow = drift_verdict(rows[rows["group_kind"].isin(["department", "dept_group"])])
    assert narrow.sales_share == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("flagged", "lost"),
    [
        # Of two US holiday weeks before, one was flagged: half is enough for a rule.
        (["2012-02-10"], "2012-09-07 (labor day)"),
        (["2011-12-30", "2012-02-10"], "2012-09-07 (labor day)"),
        ([], None),
        # The week 52 weeks before was flagged.
        (["2011-09-16"], "2012-09-14 (a holiday last year)"),
    ],
)
def test_a_flag_is_lost_where_the_rule_or_last_year_had_one(flagged: list[str], lost: str | None) -> None:
    before = weeks_between(pd.Timestamp("2011-09-16"), pd.Timestamp("2012-08-31"))
    # Thanksgiving is left out, so that two US holidays are before the week.
    flags = pd.Series(before.isin(pd.DatetimeIndex(flagged)), index=before).drop(pd.Timestamp("2011-11-25"))
    ahead = pd.DataFrame({"target_week": weeks_between(before[-1], add_weeks(before[-1], 3))[1:], "is_holiday": 0.0})
    found = lost_flags(before[-1], flags, ahead)
    assert found == ({} if lost is None else {"is_holiday": f"chain: is_holiday lost its flag in week {lost}"})
    kept = ahead.assign(is_holiday=1.0)
    assert lost_flags(before[-1], flags, kept) == {}


def test_a_week_that_lost_its_flag_does_not_count_against_the_rule() -> None:
    weeks = weeks_between(pd.Timestamp("2011-12-02"), pd.Timestamp("2012-09-07"))
    flags = pd.Series(weeks == pd.Timestamp("2011-12-30"), index=weeks)  # and not in the week of the Super Bowl
    ahead = pd.DataFrame({"target_week": [add_weeks(weeks[-1], 1)], "is_holiday": [0.0]})
    assert lost_flags(weeks[-1], flags, ahead) == {
        "origin_is_holiday": "chain: origin_is_holiday lost its flag in week 2012-09-07 (labor day)"
    }


def test_rows_of_a_group_are_those_of_its_stores_departments_or_tens_of_departments() -> None:
    rows = pd.DataFrame({"store_id": [1, 1, 2, 2], "dept_id": [9, 10, 19, 20], "store_type": [0, 0, 1, 1]})
    found = {
        (kind, name): rows_in_group(rows, kind, name).tolist()
        for kind, name in (
            ("chain", "all"), ("store_type", "B"), ("store", "1"), ("department", "19"), ("dept_group", "10-19")
        )
    }  # fmt: skip
    assert found == {
        ("chain", "all"): [True, True, True, True],
        ("store_type", "B"): [False, False, True, True],
        ("store", "1"): [True, True, False, False],
        ("department", "19"): [False, False, True, False],
        ("dept_group", "10-19"): [False, True, True, False],
    }


def test_a_past_that_is_not_before_is_refused() -> None:
    with pytest.raises(ValueError, match="rows of one week, got those of 61"):
        drift_report(HISTORY, HISTORY, AS_OF, NO_HOLIDAY)
    with pytest.raises(ValueError, match="a past before 2012-06-29"):
        drift_report(HISTORY[HISTORY["origin_week"] == WEEK], HISTORY, AS_OF, NO_HOLIDAY)


@pytest.mark.parametrize("most", [1, 3 * len(HISTORY), 25 * len(HISTORY)])
def test_a_report_in_blocks_of_variables_is_the_whole_one(most: int) -> None:
    judged = JudgedWeek.of(HISTORY[HISTORY["origin_week"] == WEEK], AS_OF)
    blocks = blocks_of(len(HISTORY), most)
    names = [name for block in blocks for unit in block for name in unit.variables]
    assert sorted(names) == sorted({*FEATURES, "prediction"})
    width = max(1, most // len(HISTORY))
    assert max(sum(len(unit.variables) for unit in block) for block in blocks) <= width
    asked: list[int] = []

    def read(columns: Sequence[str]) -> pd.DataFrame:
        asked.append(len(columns))
        return HISTORY[list(columns)]

    parts = [block_report(read, judged, block) for block in blocks]
    assert max(asked) <= width + len(ROW_KEYS) + 1
    pd.testing.assert_frame_equal(joined_report(parts, judged, flags_of(HISTORY), NO_HOLIDAY), _report(HISTORY))


def test_measured_rows_are_one_per_series_with_the_scaled_forecast(features: pd.DataFrame) -> None:
    rows = measured(features, 2 * features["scale"].to_numpy())
    assert len(rows) == len(features[["store_id", "dept_id", "origin_week"]].drop_duplicates())
    assert (rows["prediction"] == 2).all()
    assert [department_group(dept) for dept in (1, 9, 10, 99)] == ["0-9", "0-9", "10-19", "90-99"]


def test_verdicts_do_not_change() -> None:
    verdict = drift_verdict(_report(HISTORY))
    with pytest.raises(dataclasses.FrozenInstanceError):
        verdict.severity = "severe"  # type: ignore[misc]


def test_distances_are_those_of_each_sample_by_itself() -> None:
    random = np.random.default_rng(5)
    weeks, groups, count = 9, 3, 900
    at, codes = np.sort(random.integers(0, weeks, count)), random.integers(0, groups, count)
    values = random.normal(size=(count, 4)).round(1).astype(np.float32)
    values[random.random(values.shape) < 0.2] = np.nan
    values[(codes == 1) & (at < 6), 2] = np.nan  # nothing to compare with
    values[(codes == 2) & (at == 3), 0] = np.nan  # a week of the history without a value
    keep = (codes != 0) | (at != 4)  # a week of the history without a row
    values, at, codes = values[keep], at[keep], codes[keep]
    reference, earlier, last = np.arange(3, 7), np.arange(2, 8), weeks - 1
    found = distances(values, at, codes, groups, reference, earlier, last)
    for group, column in np.ndindex(groups, values.shape[1]):
        own = values[codes == group, column], at[codes == group]
        then, now = (own[0][np.isin(own[1], which)] for which in (reference, [last]))
        old, new = then[~np.isnan(then)], now[~np.isnan(now)]
        place = (group, column)
        assert found.points[place] == len(new)
        assert found.reference_points[place] == len(old)
        assert found.reference_missing[place] == 1 - len(old) / len(then)
        np.testing.assert_equal(found.psi[place], psi(old, new))
        np.testing.assert_equal(found.ks[place], ks_distance(np.sort(old), new))
        for position, week in enumerate(earlier):
            held = own[0][own[1] == week]
            np.testing.assert_equal(found.psi_history[position, group, column], psi(old, held[~np.isnan(held)]))
        if len(old):
            assert (found.reference_mean[place], found.spread[place]) == (old.mean(dtype=float), old.std(dtype=float))
