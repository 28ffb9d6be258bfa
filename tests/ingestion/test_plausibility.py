"""The limits of what sales are judged by, to the row and to the cent."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from demand_assets.ingestion import plausibility
from demand_assets.ingestion.outcome import CheckSpec
from tests.ingestion.test_merge import sales
from tests.ingestion.test_quality import FRIDAYS, NONE
from tests.ingestion.test_structure import NO_DATE, said, shown

SPEC = CheckSpec("the_check", "its rule", "warn")
NOTHING = sales()
EIGHT, NINTH, TENTH = FRIDAYS[:8], FRIDAYS[8], FRIDAYS[9]


def past_and(series: dict[tuple[int, int], tuple[float, float]], weeks: pd.DatetimeIndex = EIGHT) -> pd.DataFrame:
    """Of each store and department the same amount in all of `weeks`, and another in the week after them."""
    last = weeks[-1] + pd.Timedelta(weeks=1)
    past = [(week, *key, before) for week in weeks for key, (before, _) in series.items()]
    return sales(*past, *((last, *key, now) for key, (_, now) in series.items()))


def test_20x_of_the_past_or_of_1000_is_the_last_amount_that_passes() -> None:
    frame = past_and({(1, 1): (100, 20_000), (1, 2): (2_000, 40_000), (1, 3): (100, 20_000.5), (1, 4): (100, -20_001)})
    for given, history, rows in ((frame, NOTHING, 36), (frame[32:].reset_index(drop=True), frame[:32], 4)):
        outcome = plausibility.sales_are_within_20x_of_their_past(SPEC, given, history)
        assert (outcome.name, outcome.severity) == ("the_check", "warn")
        assert said(outcome) == (
            False,
            "2 rows over 20x their series' past, largest 20x, first 2012-03-02 store 1 dept 3; "
            "are the amounts in the usual unit?",
            {
                "rows": rows,
                "rows_judged": 4,
                "rows_over": 2,
                "largest_ratio": 20.001,
                # Four series are too few for a level of their store.
                "store_weeks_off": 0,
                "store_level_lowest": 1.0,
                "store_level_highest": 1.0,
                "floor": 1_000.0,
            },
        )
        # The level of the store is the median of 200, 20, 200.005 and 200.01.
        pd.testing.assert_frame_equal(
            outcome.failing_rows,
            frame[34:]
            .reset_index(drop=True)
            .assign(largest_before=100.0, times_its_past=[20.0005, 20.001], store_level=200.0025),
        )


def test_a_series_with_seven_earlier_weeks_is_not_judged() -> None:
    series = {(1, dept): (100.0, 1e9) for dept in range(1, 6)}
    seven = plausibility.sales_are_within_20x_of_their_past(SPEC, past_and(series, EIGHT[:7]), NOTHING)
    assert said(seven) == (
        True,
        "no series with 8 earlier weeks yet: nothing to compare",
        {
            "rows": 40,
            "rows_judged": 0,
            "rows_over": 0,
            "largest_ratio": 0.0,
            "store_weeks_off": 0,
            "store_level_lowest": 1.0,
            "store_level_highest": 1.0,
            "floor": 1_000.0,
        },
    )
    # Beside one that is judged, a young one still is not.
    young = pd.concat([sales((EIGHT[0], 1, 9, 500.0)), past_and({**series, (1, 9): (500.0, 750.0)}, EIGHT[1:])])
    young = young.sort_values(["week", "store_id", "dept_id"], ignore_index=True)
    outcome = plausibility.sales_are_within_20x_of_their_past(SPEC, young, NOTHING)
    assert (outcome.passed, outcome.description) == (True, "1 row judged, largest 0.8x of its past")
    assert (outcome.metrics["rows_judged"], outcome.metrics["largest_ratio"]) == (1, 0.75)


def test_a_store_is_off_where_the_median_of_five_series_is_beyond_20x_or_a_20th() -> None:
    def store(number: int, now: float, depts: int = 5) -> dict[tuple[int, int], tuple[float, float]]:
        return {(number, dept): (100.0, now) for dept in range(1, depts + 1)}

    frame = past_and(
        {
            **store(1, 2_000.0),  # 20x
            **store(2, 5.0),  # a 20th
            **store(3, 2_001.0),
            (3, 6): (0.0, 5.0),  # has no level
            **store(4, 4.9),
            (4, 6): (100.0, np.nan),
            **store(5, 0.1, depts=4),
            (6, 1): (100.0, 30_000.0),
        }
    )
    outcome = plausibility.sales_are_within_20x_of_their_past(SPEC, frame, NOTHING)
    assert said(outcome) == (
        False,
        "1 row over 20x their series' past, largest 30x, first 2012-03-02 store 6 dept 1; "
        "2 store-weeks at 0.049x to 20.01x their usual level, first 2012-03-02 store 3; "
        "are the amounts in the usual unit?",
        {
            "rows": 27 * 9,
            "rows_judged": 27,
            "rows_over": 1,
            "largest_ratio": 30.0,
            "store_weeks_off": 2,
            "store_level_lowest": pytest.approx(0.049),
            "store_level_highest": 20.01,
            "floor": 1_000.0,
        },
    )
    assert shown(outcome) == [*([3, dept] for dept in range(1, 6)), *([4, dept] for dept in range(1, 6)), [6, 1]]
    beside = outcome.failing_rows[["largest_before", "times_its_past", "store_level"]].to_numpy()
    expected = [[100, 2.001, 20.01]] * 5 + [[100, 0.0049, 0.049]] * 5 + [[100, 30, 300]]
    np.testing.assert_allclose(beside, expected)


def test_of_rows_in_several_weeks_the_first_20_are_shown_beside_their_past() -> None:
    depts = range(1, 13)
    weeks = [*((week, 1_000.0) for week in EIGHT), (NINTH, 1e5), (TENTH, 1e7)]
    frame = sales(*((week, 1, dept, usd) for week, usd in weeks for dept in depts))
    outcome = plausibility.sales_are_within_20x_of_their_past(SPEC, frame, NOTHING)
    assert outcome.metrics["rows_over"] == 24
    assert outcome.failing_rows["week"].tolist() == [NINTH] * 12 + [TENTH] * 8
    assert outcome.failing_rows["largest_before"].tolist() == [1e3] * 12 + [1e5] * 8
    assert outcome.failing_rows["times_its_past"].tolist() == [100.0] * 20
    # 1e7 over the mean of eight weeks of 1,000 and one of 100,000.
    assert outcome.failing_rows["store_level"].tolist() == [100.0] * 12 + [1e7 / 12_000] * 8


def test_the_past_counts_a_key_once_and_amounts_that_are_no_number_as_nothing() -> None:
    w1, w2, w3 = FRIDAYS[:3]
    history = sales((w1, 1, 1, 2.0), (w1, 1, 1, -7.0), (w1, 1, 2, np.inf), (w2, 1, 1, 99.0), (w3, 1, 1, 99.0))
    given = sales((w2, 1, 1, 3.0), (w2, 1, 2, np.nan), (w3, -1, -1, 1.0), (w3, 1, 1, 4.0), (w3, 1, 2, 4.0))
    (at_w2, weeks_2, largest_2, mean_2), (at_w3, weeks_3, largest_3, mean_3) = plausibility.pasts(given, history)
    assert (at_w2, at_w3) == (slice(0, 2), slice(2, 5))
    # W2 and W3 of the history come anew in the sales.
    assert [weeks_2.tolist(), largest_2.tolist(), mean_2.tolist()] == [[1, 1], [7, 0], [7, 0]]
    assert [weeks_3.tolist(), largest_3.tolist(), mean_3.tolist()] == [[0, 2, 2], [0, 7, 0], [0, 5, 0]]


def test_what_is_before_starts_before_the_last_week_and_does_not_come_anew() -> None:
    w1, w2, w3, w4 = FRIDAYS[:4]
    history = sales((NO_DATE, 1, 1, 1.0), *((week, 1, dept, 1.0) for week in (w1, w2, w3, w4) for dept in (1, 2)))
    given = sales((w1, 1, 1, 1.0), (w3, 1, 1, 1.0))
    assert plausibility.week_slices(given) == {w1: slice(0, 1), w3: slice(1, 2)}
    assert plausibility.week_slices(history) == dict(
        zip((w1, w2, w3, w4), (slice(1, 3), slice(3, 5), slice(5, 7), slice(7, 9)), strict=True)
    )
    assert plausibility.before(history, given) == {w2: slice(3, 5)}
    assert plausibility.before(history, sales((w3, 1, 1, 1.0))) == {w1: slice(1, 3), w2: slice(3, 5)}
    assert plausibility.before(history, NONE) == plausibility.before(NONE, given) == {}
    assert plausibility.before(history, sales((NO_DATE, 1, 1, 1.0))) == {}


def rows_per_week(*counts: int) -> pd.DataFrame:
    return sales(*((week, 1, dept, 1.0) for week, rows in zip(FRIDAYS, counts, strict=False) for dept in range(rows)))


@pytest.mark.parametrize(
    ("counts", "judged", "shares"),
    [
        ((10, 10, 10, 1), 0, "too few weeks to compare"),
        ((10, 10, 10, 10, 7, 13), 2, "70% to 130%"),
        ((1,), 0, "too few weeks to compare"),
    ],
)
def test_70_to_130_percent_of_the_usual_rows_pass(counts: tuple[int, ...], judged: int, shares: str) -> None:
    outcome = plausibility.row_count_is_in_band(SPEC, rows_per_week(*counts), NOTHING)
    metrics = {
        "weeks": len(counts),
        "weeks_judged": judged,
        "weeks_out_of_band": 0,
        "lowest_share": 0.7 if judged else 1.0,
        "highest_share": 1.3 if judged else 1.0,
    }
    assert said(outcome) == (True, f"{judged} weeks judged, rows per week against the 8 before: {shares}", metrics)


def test_weeks_outside_the_band_are_shown_with_what_is_usual() -> None:
    # The medians before the last three are 100, 100 and 100.
    frame = rows_per_week(100, 100, 100, 100, 100, 100, 69, 131)
    outcome = plausibility.row_count_is_in_band(SPEC, frame, NOTHING)
    assert said(outcome) == (
        False,
        "2 weeks outside 70% to 130% of the usual row count, first 2012-02-17 with 69 against 100; "
        "is the delivery whole?",
        {"weeks": 8, "weeks_judged": 4, "weeks_out_of_band": 2, "lowest_share": 0.69, "highest_share": 1.31},
    )
    assert outcome.failing_rows.to_dict("records") == [
        {"week": FRIDAYS[6], "rows": 69, "median_before": 100.0, "share": 0.69},
        {"week": FRIDAYS[7], "rows": 131, "median_before": 100.0, "share": 1.31},
    ]


def test_what_is_usual_is_the_median_of_the_eight_weeks_before() -> None:
    # With a ninth week it would be 20, with seven 20 too; later weeks and those that come anew do not count.
    frame = rows_per_week(100, 10, 10, 10, 10, 20, 20, 20, 20, 99, 50)
    given = rows_per_week(*[0] * 9, 15)
    outcome = plausibility.row_count_is_in_band(SPEC, given, frame)
    assert said(outcome) == (
        True,
        "1 week judged, rows per week against the 8 before: 100% to 100%",
        {"weeks": 1, "weeks_judged": 1, "weeks_out_of_band": 0, "lowest_share": 1.0, "highest_share": 1.0},
    )


def test_gaps_are_counted_from_the_first_stored_week_to_the_last_one_given() -> None:
    def weeks(*places: int) -> pd.DataFrame:
        return sales(*((FRIDAYS[0] + pd.Timedelta(weeks=place), 1, 1, 1.0) for place in places))

    thursday = sales((FRIDAYS[2] - pd.Timedelta(days=1), 1, 1, 1.0))
    for given, stored, passed, description, metrics in (
        (weeks(3), weeks(1, 2, 4), True, "3 weeks without a gap, 2012-01-13 to 2012-01-27", (3, 0)),
        (weeks(0), NOTHING, True, "1 week without a gap, 2012-01-06 to 2012-01-06", (1, 0)),
        (thursday, NOTHING, True, "0 weeks without a gap, no weeks", (0, 0)),
        (
            weeks(1, 3),
            NOTHING,
            False,
            "1 week missing, first 2012-01-20, in 2012-01-13 to 2012-01-27; land them",
            (2, 1),
        ),
        (
            weeks(30),
            weeks(0, 4, 30, 31),
            False,
            "28 weeks missing, first 2012-01-13, in 2012-01-06 to 2012-08-03; land them",
            (3, 28),
        ),
    ):
        outcome = plausibility.no_week_is_missing(SPEC, given, stored)
        assert said(outcome) == (passed, description, dict(zip(("weeks", "weeks_missing"), metrics, strict=True)))
        assert (outcome.name, outcome.severity) == ("the_check", "warn")
    gaps = [*range(1, 4), *range(5, 30)]
    assert outcome.failing_rows["week"].tolist() == [FRIDAYS[0] + pd.Timedelta(weeks=place) for place in gaps[:20]]


def conditions(*rows: tuple[pd.Timestamp, int, bool]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["week", "store_id", "is_holiday"]).astype({"store_id": "int32"})


def test_flags_are_compared_with_the_first_row_of_conditions_and_with_their_week() -> None:
    w1, w2 = FRIDAYS[:2]
    frame = sales(*((week, store, dept, 1.0) for week in (w1, w2) for store in (1, 2, 3) for dept in (1, 2)))
    frame["is_holiday"] = [False] * 5 + [True] + [True] * 6
    told = conditions((w1, 1, True), (w1, 1, False), (w1, 2, False), (w2, 1, True), (w2, 3, False))
    outcome = plausibility.holiday_flags_agree(SPEC, frame, told)
    assert said(outcome) == (
        False,
        "4 rows with another holiday flag than conditions have, 1 with another than their week's, "
        "first 2012-01-06 store 1 dept 1; expected one flag per week",
        {
            "rows": 12,
            "rows_compared": 8,
            "rows_against_conditions": 4,
            "rows_against_their_week": 1,
            "holiday_weeks": 2,
        },
    )
    assert shown(outcome) == [[1, 1], [1, 2], [3, 2], [3, 1], [3, 2]]
    assert outcome.failing_rows["week"].tolist() == [w1, w1, w1, w2, w2]
    assert [str(flag) for flag in outcome.failing_rows["conditions_flag"]] == ["True", "True", "nan", "False", "False"]
    fine = plausibility.holiday_flags_agree(SPEC, frame[6:].reset_index(drop=True), conditions((w2, 1, True)))
    assert said(fine) == (
        True,
        "1 week, 1 of them holidays, the same in both files",
        {
            "rows": 6,
            "rows_compared": 2,
            "rows_against_conditions": 0,
            "rows_against_their_week": 0,
            "holiday_weeks": 1,
        },
    )


def test_every_store_and_week_without_conditions_is_counted_once() -> None:
    w1, w2 = FRIDAYS[:2]
    frame = sales(*((week, store, dept, 1.0) for week in (w1, w2) for store in (1, 2) for dept in (1, 2)))
    told = conditions((w1, 1, False), (w1, 1, True), (w2, 2, False), (w2, 3, False))
    outcome = plausibility.conditions_cover_the_stores_that_sell(SPEC, frame, told)
    assert said(outcome) == (
        False,
        "2 of 4 store-weeks with sales have no conditions, first 2012-01-06 store 2; "
        "land a features.csv that covers them",
        {"store_weeks": 4, "store_weeks_without_conditions": 2},
    )
    assert outcome.failing_rows.to_dict("records") == [{"store_id": 2, "week": w1}, {"store_id": 1, "week": w2}]
    covered = plausibility.conditions_cover_the_stores_that_sell(SPEC, frame[:2], told)
    metrics = {"store_weeks": 1, "store_weeks_without_conditions": 0}
    assert said(covered) == (True, "1 store-week with sales, all with conditions", metrics)


def test_negative_amounts_are_summed_as_far_as_they_are_finite() -> None:
    frame = sales(*((FRIDAYS[0], 1, dept, usd) for dept, usd in enumerate((0.0, -1.25, -np.inf, np.nan, -1_000, 5))))
    outcome = plausibility.negative_sales_are_returns(SPEC, frame)
    assert said(outcome) == (
        False,
        "3 of 6 rows negative, -1,001.25 together, first 2012-01-06 store 1 dept 1; kept as returns",
        {"rows": 6, "negative_rows": 3, "negative": -1001.25},
    )
    assert shown(outcome) == [[1, 1], [1, 2], [1, 4]]
    none = plausibility.negative_sales_are_returns(SPEC, frame[:1])
    assert said(none) == (True, "1 row, none negative", {"rows": 1, "negative_rows": 0, "negative": 0.0})
