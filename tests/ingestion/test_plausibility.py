"""The limits of what amounts are judged by, to the row and to the cent."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from demand_assets.ingestion import plausibility
from demand_assets.ingestion.outcome import CheckOutcome, CheckSpec
from demand_assets.ingestion.plausibility import WeekPast
from demand_assets.ingestion.presence import week_slices
from tests.ingestion.test_merge import sales
from tests.ingestion.test_quality import FRIDAYS, JUDGING, NONE, SALES
from tests.ingestion.test_structure import said, shown

SPEC = CheckSpec("the_check", "its rule", "warn", answer="do it")
NOTHING = sales()
EIGHT, NINTH, TENTH = FRIDAYS[:8], FRIDAYS[8], FRIDAYS[9]
Series = dict[tuple[int, int], tuple[float, float]]


def past_and(series: Series, weeks: pd.DatetimeIndex = EIGHT) -> pd.DataFrame:
    """Of each store and department the same amount in all of `weeks`, and another in the week after them."""
    last = weeks[-1] + pd.Timedelta(weeks=1)
    past = [(week, *key, before) for week in weeks for key, (before, _) in series.items()]
    return sales(*past, *((last, *key, now) for key, (_, now) in series.items()))


def slices(given: pd.DataFrame, history: pd.DataFrame) -> tuple[plausibility.Weeks, plausibility.Weeks]:
    own = week_slices(given)
    return own, {week: at for week, at in week_slices(history).items() if week < max(own) and week not in own}


def pasts(given: pd.DataFrame, history: pd.DataFrame) -> Iterator[WeekPast]:
    return plausibility.pasts(given, history, *slices(given, history))


def within_20x(given: pd.DataFrame, history: pd.DataFrame = NOTHING) -> CheckOutcome:
    return plausibility.sales_are_within_20x_of_their_past(SPEC, given, history, *slices(given, history), JUDGING)


def possible(given: pd.DataFrame, history: pd.DataFrame = NOTHING) -> CheckOutcome:
    own = week_slices(given)
    limit = plausibility.possible_limit(given, history, own, week_slices(history))
    return plausibility.amounts_are_possible(SPEC, given, plausibility.over(given, own, limit), limit, JUDGING)


def test_20x_of_the_past_or_of_the_typical_amount_is_the_last_that_passes() -> None:
    # The typical amount is that of most series, 1,000.
    most: Series = {(9, dept): (1_000, 1_000) for dept in range(4)}
    frame = past_and(
        {
            (1, 1): (100, 20_000),
            (1, 2): (2_000, 40_000),
            (1, 3): (100, 20_000.5),
            (1, 4): (100, -20_001),
            **most,
        }
    )
    for given, history, rows in ((frame, NOTHING, 72), (frame[64:].reset_index(drop=True), frame[:64], 8)):
        outcome = within_20x(given, history)
        assert (outcome.name, outcome.severity) == ("the_check", "warn")
        assert said(outcome) == (
            False,
            "2 rows over 20x their past, largest 20x, first 2012-03-02 store 1 dept 3; do it",
            {"rows": rows, "rows_judged": 8, "rows_over": 2, "largest_ratio": 20.001, "store_weeks_off": 0},
        )
        pd.testing.assert_frame_equal(
            outcome.failing_rows,
            pd.DataFrame(
                {
                    "store_id": ["1", "1"],
                    "dept_id": ["3", "4"],
                    "week": [NINTH, NINTH],
                    "sales": [20_000.5, -20_001],
                    "is_holiday": [False, False],
                    "compared_with": 1_000.0,
                    "times_that": [20.0005, 20.001],
                    "mean_before": 100.0,
                }
            ),
        )


def test_before_the_ninth_week_there_is_nothing_to_compare() -> None:
    seven = within_20x(past_and({(1, dept): (100.0, 5e4) for dept in range(1, 6)}, EIGHT[:7]))
    assert said(seven) == (
        True,
        "fewer than 8 earlier weeks: nothing to compare",
        {"rows": 40, "rows_judged": 0, "rows_over": 0, "largest_ratio": 0.0, "store_weeks_off": 0},
    )


@pytest.mark.parametrize("small_grid", [0, 1 << 22], ids=["keys", "grid"])
def test_a_new_series_is_judged_by_its_store_and_department_and_else_by_the_chain(
    small_grid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plausibility, "_SMALL_GRID", small_grid)
    far = 1 if small_grid else 1_000_000
    past = past_and({(1, 1): (100, 100), (1, 2 * far): (500, 500), (2, 1): (300, 300)}, FRIDAYS[:9])
    new = sales(
        (TENTH, 1, 1, 100.0),
        (TENTH, 2, 2 * far, 10_000.0),  # of store 2 300, of department 2 500
        (TENTH, 2, 3 * far, 6_000.5),  # of store 2 300, a new department; typical is 300
        (TENTH, 3, 1, 6_000.0),  # of department 1 300
        (TENTH, 4, 4 * far, 10_000.5),  # both new: of the chain 500
    )
    (week,) = pasts(new, past)
    assert week.reference.tolist() == [300, 500, 300, 300, 500]
    outcome = within_20x(new, past)
    assert shown(outcome) == [["2", str(3 * far)], ["4", str(4 * far)]]


def test_a_large_new_store_warns_and_is_possible() -> None:
    new = sales(*((FRIDAYS[19], 1, dept, 1e3) for dept in range(3)), (FRIDAYS[19], 7, 1, 150_000.0))
    assert said(within_20x(new, SALES))[:2] == (
        False,
        "1 row over 20x their past, largest 36x, first 2012-05-18 store 7 dept 1; do it",
    )
    assert possible(new, SALES).passed


def test_a_store_is_off_where_most_of_five_series_are_beyond_20x_or_a_20th() -> None:
    def store(number: int, now: float, depts: int = 5) -> Series:
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
            **store(6, 4.9, depts=3),
            **{(6, dept): (100.0, 100.0) for dept in range(4, 7)},  # half of six are no majority
            (7, 1): (100.0, 30_000.0),
        }
    )
    outcome = within_20x(frame)
    assert said(outcome) == (
        False,
        "6 rows over 20x their past, largest 300x, first 2012-03-02 store 3 dept 1; "
        "2 store-weeks with most series over 20x or under a 20th of their past, first 2012-03-02 store 3; do it",
        {"rows": 33 * 9, "rows_judged": 33, "rows_over": 6, "largest_ratio": 300.0, "store_weeks_off": 2},
    )
    assert shown(outcome) == [
        *(["3", str(dept)] for dept in range(1, 6)),
        *(["4", str(dept)] for dept in range(1, 6)),
        ["7", "1"],
    ]
    beside = outcome.failing_rows[["compared_with", "times_that", "mean_before"]].to_numpy()
    expected = [[100, 20.01, 100]] * 5 + [[100, 0.049, 100]] * 5 + [[100, 300, 100]]
    np.testing.assert_allclose(beside, expected)


def test_of_rows_in_several_weeks_the_first_20_are_shown_beside_their_past() -> None:
    depts = range(1, 13)
    weeks = [*((week, 1_000.0) for week in EIGHT), (NINTH, 1e5), (TENTH, 1e7)]
    outcome = within_20x(sales(*((week, 1, dept, amount) for week, amount in weeks for dept in depts)))
    assert outcome.metrics["rows_over"] == 24
    assert outcome.failing_rows["week"].tolist() == [NINTH] * 12 + [TENTH] * 8
    assert outcome.failing_rows["compared_with"].tolist() == [1e3] * 12 + [1e5] * 8
    assert outcome.failing_rows["times_that"].tolist() == [100.0] * 20
    # The mean of eight weeks of 1,000 and one of 100,000.
    assert outcome.failing_rows["mean_before"].tolist() == [1_000.0] * 12 + [12_000.0] * 8


def test_the_past_counts_a_key_once_and_amounts_that_are_no_number_as_nothing() -> None:
    w1, w2, w3 = FRIDAYS[:3]
    history = sales((w1, 1, 1, 2.0), (w1, 1, 1, -7.0), (w1, 1, 2, np.inf), (w2, 1, 1, 99.0), (w3, 1, 1, 99.0))
    given = sales((w2, 1, 1, 3.0), (w2, 1, 2, np.nan), (w3, -1, -1, 1.0), (w3, 1, 1, 4.0), (w3, 1, 2, 4.0))
    at_w2, at_w3 = pasts(given, history)
    assert [(one.week, one.rows) for one in (at_w2, at_w3)] == [(w2, slice(0, 2)), (w3, slice(2, 5))]
    # W2 and W3 of the history come anew in the sales.
    assert [at_w2.weeks.tolist(), at_w2.largest.tolist(), at_w2.mean.tolist()] == [[1, 1], [7, 0], [7, 0]]
    assert [at_w3.weeks.tolist(), at_w3.largest.tolist(), at_w3.mean.tolist()] == [[0, 2, 2], [0, 7, 0], [0, 5, 0]]
    assert [at_w2.amount.tolist(), at_w2.finite.tolist()] == [[3, 0], [True, False]]


def plain_past(frame: pd.DataFrame) -> list[tuple[int, float, float]]:
    """The slow reference: for each row, the earlier weeks of its series, one at a time."""
    found = []
    for row in frame.itertuples():
        past = frame[(frame.store_id == row.store_id) & (frame.dept_id == row.dept_id) & (frame.week < row.week)]
        amounts = past["sales"].abs()
        found.append((len(past), amounts.max() if len(past) else 0.0, amounts.mean() if len(past) else 0.0))
    return found


@pytest.mark.parametrize("small_grid", [0, 1 << 22], ids=["keys", "grid"])
def test_the_past_of_every_row_is_the_plain_one(small_grid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plausibility, "_SMALL_GRID", small_grid)
    rng = np.random.default_rng(7)
    frame = SALES.assign(sales=rng.normal(0, 100, len(SALES)))
    if not small_grid:
        frame["dept_id"] = frame["dept_id"].replace(6, 1_000_000).astype("int32")
    frame = frame.sample(150, random_state=1).sort_values(["week", "store_id", "dept_id"], ignore_index=True)
    history, last = frame[frame["week"] < FRIDAYS[12]], frame[frame["week"] >= FRIDAYS[9]].reset_index(drop=True)
    for given, before in ((frame, NONE), (last, history)):
        parts = list(pasts(given, before))
        assert [row for part in parts for row in range(part.rows.start, part.rows.stop)] == list(range(len(given)))
        past = pd.DataFrame(
            {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("weeks", "largest", "mean")}
        )
        expected = pd.DataFrame(plain_past(frame), columns=["weeks", "largest", "mean"])[-len(given) :]
        pd.testing.assert_frame_equal(past, expected.reset_index(drop=True), check_dtype=False)


def test_1000x_of_the_largest_of_the_chain_is_the_last_amount_that_is_possible() -> None:
    # 6,600 is the largest of the chain.
    for amount, passes in ((6.6e6, True), (-6.6e6, True), (6.6e6 + 1, False), (-1e12, False)):
        new = sales((FRIDAYS[19], 1, 1, 1_000.0), (FRIDAYS[19], 9, 777, amount))
        assert possible(new, SALES[:228]).passed == passes
    assert said(possible(new, SALES[:228])) == (
        False,
        "1 row over 1,000x the largest amount of any store or department, 6,600 EUR; "
        "first 2012-05-18 store 9 dept 777 with 1,000,000,000,000 EUR; do it",
        {"rows": 2, "rows_over": 1, "largest_of_the_chain": 6_600.0},
    )
    assert said(possible(SALES)) == (
        True,
        "240 rows, none over 1,000x the largest of the others, 6,600",
        {"rows": 240, "rows_over": 0, "largest_of_the_chain": 0.0},
    )


@pytest.mark.parametrize("week", [0, 7, 19])
def test_an_impossible_amount_is_found_in_any_week_of_a_first_landing(week: int) -> None:
    first = pd.concat([SALES, sales((FRIDAYS[week], 9, 777, 1e12), (FRIDAYS[week], 9, 778, 1e14))])
    first = first.sort_values(["week", "store_id", "dept_id"], ignore_index=True)
    assert shown(possible(first)) == [["9", "777"], ["9", "778"]]


def test_what_is_no_number_is_no_impossible_amount() -> None:
    assert possible(sales((FRIDAYS[0], 1, 1, np.inf), (FRIDAYS[0], 1, 2, np.nan), (FRIDAYS[0], 1, 3, 5.0))).passed
    assert possible(sales((FRIDAYS[0], 1, 1, 0.0))).description == "1 row; nothing to compare"


def test_negative_amounts_are_summed_as_far_as_they_are_finite() -> None:
    amounts = enumerate((0.0, -1.25, -np.inf, np.nan, -1_000, 5))
    frame = sales(*((FRIDAYS[0], 1, dept, amount) for dept, amount in amounts))
    outcome = plausibility.negative_sales_are_returns(SPEC, frame, JUDGING)
    assert said(outcome) == (
        False,
        "3 of 6 rows negative, -1,001.25 EUR together, first 2012-01-06 store 1 dept 1; do it",
        {"rows": 6, "negative_rows": 3, "negative": -1001.25},
    )
    assert shown(outcome) == [["1", "1"], ["1", "2"], ["1", "4"]]
    none = plausibility.negative_sales_are_returns(SPEC, frame[:1], JUDGING)
    assert said(none) == (True, "1 row, none negative", {"rows": 1, "negative_rows": 0, "negative": 0.0})
