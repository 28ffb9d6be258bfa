"""Frames against each other: flags, known stores, covariates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from demand_assets.ingestion import agreement
from demand_assets.ingestion.order import run_starts
from demand_assets.ingestion.outcome import CheckOutcome, CheckSpec
from tests.ingestion.test_merge import sales
from tests.ingestion.test_quality import FRIDAYS, JUDGING, NONE
from tests.ingestion.test_structure import NO_DATE, said, shown

SPEC = CheckSpec("the_check", "its rule", "warn", answer="do it")
W1, W2, W3 = FRIDAYS[:3]
BY_STORE = replace(JUDGING, holidays_by_store=True)


def covariates(*rows: tuple[pd.Timestamp, int, bool]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["week", "store_id", "is_holiday"]).astype({"store_id": "int32"})


def starts(frame: pd.DataFrame) -> np.ndarray:
    return run_starts([frame["week"].to_numpy(), frame["store_id"].to_numpy()])


@pytest.mark.parametrize(
    ("known", "description"),
    [
        (
            [1],
            "6 stores without a row in the stores table (2, 3, 4, 5, 6, ...), 6 rows, "
            "first 2012-01-06 store 2 dept 1; 1 store known; do it",
        ),
        (
            [1, 4, 9],
            "5 stores without a row in the stores table (2, 3, 5, 6, 7), 5 rows, "
            "first 2012-01-06 store 2 dept 1; 3 stores known; do it",
        ),
        ([], "7 stores; no stores table has landed"),
        ([*range(1, 1001)], "7 stores, all among the 1,000 known"),
    ],
)
def test_five_unknown_stores_are_named(known: list[int], description: str) -> None:
    frame = sales(*((W1, store, 1, 1.0) for store in range(1, 8)))
    outcome = agreement.stores_are_known(SPEC, frame, np.array(known, dtype="int64"), JUDGING)
    unknown = [store for store in range(1, 8) if known and store not in known]
    metrics = {"rows": 7, "rows_of_unknown_stores": len(unknown), "known_stores": len(known)}
    assert said(outcome) == (not unknown, description, metrics)
    assert not unknown or shown(outcome) == [[str(store), "1"] for store in unknown]


def test_the_flag_of_a_week_is_that_of_more_than_half_its_rows() -> None:
    # Without a date: no flag is right. W1: two of three. W2: one of two is no majority. W3: all.
    weeks = [NO_DATE, NO_DATE, W1, W1, W1, W2, W2, W3]
    frame = sales(*((week, 1, dept, 1.0) for dept, week in enumerate(weeks)))
    frame["is_holiday"] = [True, True, True, False, True, True, False, True]
    outcome = agreement.flags_agree_within_weeks(SPEC, frame, JUDGING)
    assert said(outcome) == (
        False,
        "4 rows with another holiday flag than most of their week, first no date store 1 dept 0; do it",
        {"rows": 8, "rows_that_differ": 4, "holiday_weeks": 3},
    )
    assert shown(outcome) == [["1", "0"], ["1", "1"], ["1", "3"], ["1", "5"]]
    assert said(agreement.flags_agree_within_weeks(SPEC, frame, BY_STORE)) == (
        True,
        "3 weeks, 3 of them holidays",
        {"rows": 8, "rows_that_differ": 0, "holiday_weeks": 3},
    )
    plain = agreement.flags_agree_within_weeks(SPEC, frame.drop(columns="is_holiday"), JUDGING)
    assert said(plain) == (True, "no holiday flags", {"rows": 8})


def agree(frame: pd.DataFrame, told: pd.DataFrame) -> CheckOutcome:
    return agreement.holiday_flags_agree(SPEC, frame, told, starts(frame), JUDGING)


def test_flags_are_compared_with_the_first_row_of_covariates_and_with_their_week() -> None:
    frame = sales(*((week, store, dept, 1.0) for week in (W1, W2) for store in (1, 2, 3) for dept in (1, 2)))
    frame["is_holiday"] = [False] * 5 + [True] + [True] * 6
    told = covariates((W1, 1, True), (W1, 1, False), (W1, 2, False), (W2, 1, True), (W2, 3, False))
    outcome = agree(frame, told)
    assert said(outcome) == (
        False,
        "4 rows with another holiday flag than the covariates have, 1 with another than most of their week, "
        "first 2012-01-06 store 1 dept 1; do it",
        {
            "rows": 12,
            "rows_compared": 8,
            "rows_against_covariates": 4,
            "rows_against_their_week": 1,
            "holiday_weeks": 2,
        },
    )
    assert shown(outcome) == [["1", "1"], ["1", "2"], ["3", "2"], ["3", "1"], ["3", "2"]]
    assert outcome.failing_rows["week"].tolist() == [W1, W1, W1, W2, W2]
    assert [str(flag) for flag in outcome.failing_rows["covariates_flag"]] == ["True", "True", "nan", "False", "False"]
    fine = agree(frame[6:].reset_index(drop=True), covariates((W2, 1, True)))
    assert said(fine) == (
        True,
        "1 week, 1 of them holidays, the same in both files",
        {
            "rows": 6,
            "rows_compared": 2,
            "rows_against_covariates": 0,
            "rows_against_their_week": 0,
            "holiday_weeks": 1,
        },
    )


def test_flags_of_one_file_alone_have_nothing_to_differ_from() -> None:
    frame = sales((W1, 1, 1, 1.0), (W1, 2, 1, 1.0))
    assert agree(frame, NONE).description == "1 week, 0 of them holidays"
    assert agree(frame, covariates((W1, 1, True)).drop(columns="is_holiday")).passed
    plain = agree(frame.drop(columns="is_holiday"), covariates((W1, 1, True)))
    assert said(plain) == (True, "no holiday flags in the sales", {"rows": 2})


def test_every_store_and_week_without_covariates_is_counted_once() -> None:
    frame = sales(*((week, store, dept, 1.0) for week in (W1, W2) for store in (1, 2) for dept in (1, 2)))
    told = covariates((W1, 1, False), (W1, 1, True), (W2, 2, False), (W2, 3, False))

    def cover(given: pd.DataFrame, covariates: pd.DataFrame) -> CheckOutcome:
        return agreement.covariates_cover_the_stores_that_sell(SPEC, given, covariates, starts(given), JUDGING)

    outcome = cover(frame, told)
    assert said(outcome) == (
        False,
        "2 of 4 store-weeks with sales have no covariates, of 2 stores (2, 1), first 2012-01-06 store 2; do it",
        {"store_weeks": 4, "store_weeks_without_covariates": 2},
    )
    assert outcome.failing_rows.to_dict("records") == [{"store_id": "2", "week": W1}, {"store_id": "1", "week": W2}]
    covered = cover(frame[:2], told)
    metrics = {"store_weeks": 1, "store_weeks_without_covariates": 0}
    assert said(covered) == (True, "1 store-week with sales, all with covariates", metrics)
    none = cover(frame, NONE)
    assert said(none) == (True, "4 store-weeks with sales; no covariates have landed", {"store_weeks": 4})
