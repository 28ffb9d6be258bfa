"""The same data is no drift; few points are not judged; a shift is named."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from scipy import stats

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
from tests.monitoring.drift_rows import (
    AS_OF,
    CALENDAR,
    DEPARTMENTS,
    HISTORY,
    NO_HOLIDAY,
    STORES,
    WEEK,
    changed,
    origins,
    psi,
    report_of,
    report_on,
)


def test_a_quiet_week_has_no_drift_and_one_row_per_comparison() -> None:
    report = report_of(HISTORY)
    assert list(report.columns) == list(REPORT_COLUMNS)
    assert not report.duplicated(["reference", "group_kind", "group_id", "variable"]).any()
    assert set(report["variable"]) == {*FEATURES, "prediction"}
    assert set(report["reference"]) == {"training", "last_season"}
    verdict = drift_verdict(report)
    assert (verdict.severity, verdict.named, verdict.sales_share) == ("none", (), 0.0)


def test_effects_of_a_row_are_those_of_its_two_samples() -> None:
    report = report_of(HISTORY).query("reference == 'training' and group_kind == 'department' and group_id == '3'")
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


def test_no_week_is_judged_with_itself() -> None:
    rows = HISTORY[HISTORY["origin_week"] >= add_weeks(WEEK, -13)].copy()
    now = rows["origin_week"] == WEEK
    before = rows.loc[~now, "residual_lag_0"]
    # A week of fourteen is 7% of the values: with itself in the reference it would widen the range it is held to.
    low, high = before.quantile([0.05, 0.95])
    rows.loc[now, "residual_lag_0"] = 50.0
    report = report_on(rows, "residual_lag_0").query("group_kind == 'chain' and reference == 'training'")
    assert report["mean_now"].item() == pytest.approx(2 * high - low, rel=1e-5)
    weekly = before.clip(2 * low - high, 2 * high - low).groupby(rows["origin_week"]).mean()
    assert report["mean_usual"].item() == pytest.approx(weekly.median(), abs=1e-6)


def test_a_champion_that_learnt_from_the_week_is_held_against_the_weeks_before_it() -> None:
    report = report_on(HISTORY, "residual_lag_0", WEEK)
    pd.testing.assert_frame_equal(report, report_on(HISTORY, "residual_lag_0", add_weeks(WEEK, -1)))
    points = report[report["group_kind"] == "chain"].set_index("reference")["reference_points"]
    series = STORES * len(DEPARTMENTS)
    assert points.to_dict() == {"training": 52 * series, "last_season": 5 * series}


def test_figures_of_a_row_are_those_of_its_weeks() -> None:
    draw = np.random.default_rng(8)
    rows = HISTORY[HISTORY["dept_id"].isin([3, 20])].copy()
    # Values without outliers, of which a mean would be drawn in.
    rows["growth_4"] = np.where(draw.random(len(rows)) > 0.2, draw.uniform(0.5, 1.5, len(rows)), np.nan)
    rows["scale"] = np.where(rows["dept_id"] == 3, 1000.0, 3000.0)
    report = report_on(rows, "growth_4").query("group_kind == 'department' and group_id == '3'")
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
    rows = changed("cpi", HISTORY)
    usual = HISTORY.loc[HISTORY["origin_week"] == WEEK, "cpi_change"].mean()
    report = report_on(rows, "cpi_change").query("group_kind == 'chain' and reference == 'training'")
    assert report["mean_now"].item() == pytest.approx(100 * usual, rel=1e-5)


def test_a_group_of_departments_counts_the_series_that_have_a_value() -> None:
    lost = (HISTORY["origin_week"] == WEEK) & HISTORY["dept_id"].between(20, 29) & (HISTORY["store_id"] <= 2)
    report = report_on(HISTORY.assign(residual_lag_0=HISTORY["residual_lag_0"].mask(lost)), "residual_lag_0")
    groups = report[report["group_kind"] == "dept_group"].set_index("group_id")
    assert groups["points"].to_dict() == {"0-9": 9 * STORES, "10-19": 2 * STORES, "20-29": 10 * (STORES - 2)}
    shares = {"0-9": 9 / 21, "10-19": 2 / 21, "20-29": 10 / 21}
    assert groups["sales_share"].to_dict() == pytest.approx(shares)


@pytest.mark.parametrize("change", [-0.5, 0.5])
def test_a_seasonal_variable_is_held_against_last_season(change: float) -> None:
    rows = origins(weeks_between(add_weeks(WEEK, -80), WEEK))
    rows.loc[rows["origin_week"] == WEEK, "lag_0"] += change
    report = report_on(rows, "lag_0").query("group_kind == 'chain'").set_index("reference")
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
    rows = report_on(HISTORY[HISTORY["origin_week"] >= add_weeks(WEEK, -2)], variable)
    assert set(rows["group_kind"]) == kinds
    # One value a store counts once, however many departments repeat it.
    points = {"cpi_change": STORES, "dept_growth_4": len(DEPARTMENTS), "is_holiday": 1}
    expected = points.get(variable, STORES * len(DEPARTMENTS))
    if variable in points or variable == "lag_0":
        assert set(rows.loc[rows["group_kind"] == "chain", "points"]) == {expected}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("department group", "departments 20-29: Newest week against last year up"),
        ("stores", "store 3: Newest week against last year up"),
        ("stores fall", "store 3: Newest week against last year down"),
        ("cpi", "chain: Consumer prices against last year up"),
        ("cpi falls", "chain: Consumer prices against last year down"),
        ("spread", "chain: Growth on last year, 4 weeks spread differently (PSI "),
        ("missing", "chain: Newest sales missing 17% (usually 0%)"),
        ("flag", "chain: Holiday in the newest week lost its flag in week 2012-06-29"),
    ],
)
def test_a_shift_is_named_with_its_group_and_variable(change: str, named: str) -> None:
    verdict = drift_verdict(report_of(changed(change, HISTORY)))
    assert verdict.severity == "severe"
    assert any(words.startswith(named) for words in verdict.severe), verdict.named


def test_a_lost_flag_of_a_coming_holiday_is_found_by_the_rule_that_earlier_weeks_followed() -> None:
    labor_day = pd.DataFrame({"target_week": [pd.Timestamp("2012-09-07")], "is_holiday": [0.0]})
    verdict = drift_verdict(report_of(HISTORY, labor_day))
    assert verdict.severe == ("chain: Holiday in the week lost its flag in week 2012-09-07 (labor day)",)
    # A retailer that does not flag US holidays has lost nothing.
    other = HISTORY.assign(origin_is_holiday=np.float32(0))
    assert drift_verdict(report_of(other, labor_day)).severe == ()


def test_few_points_and_few_weeks_are_not_judged() -> None:
    few_stores = changed("cpi", HISTORY[HISTORY["store_id"] < 5])
    rows = report_of(few_stores).query("variable == 'cpi_change'")
    assert set(rows["severity"]) == {"few"}
    young = HISTORY[HISTORY["origin_week"] > add_weeks(WEEK, -10)]
    assert set(report_of(changed("cpi", young))["severity"]) == {"few"}


def test_one_series_gone_wild_is_no_drift_of_its_store() -> None:
    rows = HISTORY.copy()
    wild = (rows["origin_week"] == WEEK) & (rows["store_id"] == 2) & (rows["dept_id"] == 1)
    rows.loc[wild, ["residual_lag_0", "growth_4", "lag_0"]] = 1e6
    assert drift_verdict(report_of(rows)).named == ()


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
    found = lost_flags(before[-1], flags, ahead, CALENDAR)
    assert found == ({} if lost is None else {"is_holiday": f"chain: Holiday in the week lost its flag in week {lost}"})
    kept = ahead.assign(is_holiday=1.0)
    assert lost_flags(before[-1], flags, kept, CALENDAR) == {}


def test_a_week_that_lost_its_flag_does_not_count_against_the_rule() -> None:
    weeks = weeks_between(pd.Timestamp("2011-12-02"), pd.Timestamp("2012-09-07"))
    flags = pd.Series(weeks == pd.Timestamp("2011-12-30"), index=weeks)  # and not in the week of the Super Bowl
    ahead = pd.DataFrame({"target_week": [add_weeks(weeks[-1], 1)], "is_holiday": [0.0]})
    assert lost_flags(weeks[-1], flags, ahead, CALENDAR) == {
        "origin_is_holiday": "chain: Holiday in the newest week lost its flag in week 2012-09-07 (labor day)"
    }


def test_a_past_that_is_not_before_is_refused() -> None:
    with pytest.raises(ValueError, match="rows of one week, got those of 61"):
        drift_report(HISTORY, HISTORY, AS_OF, NO_HOLIDAY, CALENDAR)
    with pytest.raises(ValueError, match="a past before 2012-06-29"):
        drift_report(HISTORY[HISTORY["origin_week"] == WEEK], HISTORY, AS_OF, NO_HOLIDAY, CALENDAR)


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
    made = joined_report(parts, judged, flags_of(HISTORY), NO_HOLIDAY, CALENDAR)
    pd.testing.assert_frame_equal(made, report_of(HISTORY))


def test_verdicts_do_not_change() -> None:
    verdict = drift_verdict(report_of(HISTORY))
    with pytest.raises(dataclasses.FrozenInstanceError):
        verdict.severity = "severe"  # type: ignore[misc]
