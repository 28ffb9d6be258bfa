"""Distances equal plain ones; the same data is no drift; few points are not judged; a shift is named."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from demand_assets.forecasting.calendar import holiday_kind
from demand_assets.forecasting.drift import (
    REPORT_COLUMNS,
    ROW_KEYS,
    JudgedWeek,
    block_report,
    blocks_of,
    drift_report,
    drift_verdict,
    flags_of,
    joined_report,
)
from demand_assets.forecasting.drift_measures import department_group, distances, measured
from demand_assets.forecasting.drift_statistics import column_median, ks_distance, ks_p_value, psi, unusual
from demand_assets.forecasting.features import FEATURE_COLUMNS
from demand_assets.forecasting.weeks import add_weeks, weeks_between

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
    assert np.isnan(psi(sample, np.empty(0)))


def test_medians_leave_gaps_out_and_unusual_counts_robust_deviations() -> None:
    history = np.array([[1.0, np.nan], [2.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    np.testing.assert_equal(column_median(history), [2.0, np.nan])
    found = unusual(history, np.array([6.0, 1.0]), 0.1)
    assert found.score[0] == pytest.approx(4 / 1.4826)
    assert found.reach[0] == pytest.approx(4 / 1.4826)
    assert found.weeks.tolist() == [3, 0]


def _origins(weeks: pd.DatetimeIndex, seed: int = 1) -> pd.DataFrame:
    """Quiet features: every series wanders a little around its level, the same in every season."""
    draw = np.random.default_rng(seed)
    keys = pd.MultiIndex.from_product(
        [weeks, range(1, STORES + 1), DEPARTMENTS], names=["origin_week", "store_id", "dept_id"]
    ).to_frame(index=False)
    values = {name: draw.normal(1.0, 0.1, len(keys)).astype(np.float32) for name in FEATURE_COLUMNS}
    by_store = {
        name: np.float32(1) + keys["store_id"].to_numpy(np.float32) / 100 for name in ("cpi_change", "fuel_change")
    }
    fixed = {
        "horizon": 1,
        "miss_0": draw.normal(0.0, 0.1, len(keys)).astype(np.float32),
        "store_type": np.float32(0),
        "is_holiday": np.float32(0),
        "origin_is_holiday": (holiday_kind(pd.DatetimeIndex(keys["origin_week"])) > 0).astype(np.float32),
        "prediction": values["lag_0"],
        "scale_usd": 1000.0,
    }
    return keys.assign(**{**values, **by_store, **fixed})


HISTORY = _origins(weeks_between(add_weeks(WEEK, -60), WEEK))
NO_HOLIDAY = pd.DataFrame({"target_week": [add_weeks(WEEK, 1)], "is_holiday": [0.0]})


def _report(rows: pd.DataFrame, targets: pd.DataFrame = NO_HOLIDAY) -> pd.DataFrame:
    now = rows["origin_week"] == WEEK
    return drift_report(rows[now], rows[~now], AS_OF, targets)


def test_a_quiet_week_has_no_drift_and_one_row_per_comparison() -> None:
    report = _report(HISTORY)
    assert list(report.columns) == list(REPORT_COLUMNS)
    assert not report.duplicated(["reference", "group_kind", "group_id", "variable"]).any()
    assert set(report["variable"]) == {*FEATURE_COLUMNS, "prediction"}
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


def _changed(change: str, rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.copy()
    now = rows["origin_week"] == WEEK
    match change:
        case "department group":
            rows.loc[now & rows["dept_id"].between(20, 29), "miss_0"] += 0.1
        case "stores":
            rows.loc[now & rows["store_id"].isin([3, 7]), "miss_0"] += 1.0
        case "cpi":
            rows.loc[now, "cpi_change"] *= 100
        case "missing":
            rows.loc[now & (rows["store_id"] % 5 == 0), "lag_0"] = np.nan
        case "flag":
            rows.loc[rows["origin_week"] == add_weeks(WEEK, -52), "origin_is_holiday"] = 1
    return rows


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("department group", "departments 20-29: miss_0 up"),
        ("stores", "store 3: miss_0 up"),
        ("cpi", "chain: cpi_change up"),
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
    rows.loc[wild, ["miss_0", "growth_4", "lag_0"]] = 1e6
    assert drift_verdict(_report(rows)).named == ()


def test_a_verdict_says_the_widest_group_once_and_needs_a_twentieth_of_sales() -> None:
    base = {"week": WEEK, "reference": "training", "variable": "miss_0", "score": 20.0}
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
    assert sorted(names) == sorted({*FEATURE_COLUMNS, "prediction"})
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
    rows = measured(features, 2 * features["scale_usd"].to_numpy())
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
