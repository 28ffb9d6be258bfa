"""Rows that are set aside, each with its check and its reason in plain words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from demand_assets.ingestion.dataspec import Accept
from demand_assets.ingestion.rows import too_many, without_repeats, wrong_rows
from tests.ingestion.test_merge import sales
from tests.ingestion.test_quality import CONDITIONS, FRIDAYS, JUDGING, LAST, SALES, STORES, changed, sales_of
from tests.ingestion.test_structure import NO_DATE

NO_ROWS: list[dict[str, object]] = []


def test_good_rows_are_not_set_aside() -> None:
    assert wrong_rows("sales", SALES, JUDGING).to_dict("records") == NO_ROWS
    assert wrong_rows("covariates", CONDITIONS, JUDGING).to_dict("records") == NO_ROWS
    assert wrong_rows("stores", STORES, JUDGING).to_dict("records") == NO_ROWS
    # These are refused as a whole.
    assert wrong_rows("sales", SALES.drop(columns="sales"), JUDGING).empty
    assert wrong_rows("sales", SALES.astype({"week": "str"}), JUDGING).empty
    assert wrong_rows("sales", SALES[:0], JUDGING).empty


def test_each_wrong_row_of_sales_is_named_once_with_its_reason() -> None:
    frame = sales(
        (NO_DATE, 1, 1, 1.0),
        (FRIDAYS[18] - pd.Timedelta(days=1), 1, 1, np.nan),
        (LAST, 1, 1, 1_000.0),
        (LAST, 1, 2, np.nan),
        (LAST, 1, 3, -np.inf),
        (LAST, 1, 777, 1e12),
        (pd.Timestamp("2099-10-26"), 1, 1, 1e12),
    )
    found = wrong_rows("sales", frame, JUDGING, SALES)
    weekday, finite = "sales_weeks_end_on_one_weekday", "sales_are_finite"
    assert list(found.itertuples(index=False, name=None)) == [
        (0, weekday, "week is missing"),
        (1, weekday, "week 2012-05-10 is a Thursday, not a Friday"),
        (3, finite, "sales is missing"),
        (4, finite, "sales is infinite"),
        (
            5,
            "sales_are_possible",
            "sales 1,000,000,000,000 EUR is 151,515,152x the largest amount of the others, 6,600 EUR; if it is right: "
            "demand accept --week 2012-05-18 --check sales_are_possible --reason ...",
        ),
        (6, "sales_weeks_have_begun", "week 2099-10-26 has yet to begin on 2012-06-01"),
    ]


def test_an_amount_that_is_accepted_is_not_set_aside() -> None:
    frame = changed(sales_of(FRIDAYS[-1:]), 0, sales=1e12)
    accept = Accept(week=LAST.date(), check="sales_are_possible", reason="a takeover")
    assert wrong_rows("sales", frame, JUDGING, SALES)["row"].tolist() == [0]
    assert wrong_rows("sales", frame, replace(JUDGING, accepted=(accept,)), SALES).empty


def test_wrong_rows_of_covariates_are_far_ahead_or_infinite() -> None:
    frame = changed(changed(CONDITIONS.assign(price=1.0), 3, price=np.inf, cpi=np.inf), 39, week="2099-01-02")
    assert list(wrong_rows("covariates", frame, JUDGING).itertuples(index=False, name=None)) == [
        (3, "covariates_columns_and_types_are_right", "cpi is infinite"),
        (39, "covariates_weeks_are_within_10_years", "week 2099-01-02 is more than 10 years ahead of 2012-06-01"),
    ]


def test_more_than_1_percent_and_more_than_10_rows_refuse_the_file() -> None:
    reasons = ["sales is infinite", *["sales is missing"] * 10]
    wrong = pd.DataFrame({"file": "train.csv", "line": [9, *range(3, 13)], "check": "sales_are_finite"}).assign(
        reason=reasons
    )
    assert too_many(wrong, 1_100) == ""
    assert too_many(wrong[:10], 20) == ""
    assert too_many(wrong, 1_099) == (
        "train.csv: 11 of 1,099 rows are wrong, more than 1% and 10, so none is taken (sales_are_finite 11); "
        "first, line 3: sales is missing; correct the file and land it again"
    )


def test_a_row_that_comes_twice_counts_once() -> None:
    twice = pd.concat([SALES, SALES.iloc[[7]]]).sort_values(["week", "store_id", "dept_id"], ignore_index=True)
    pd.testing.assert_frame_equal(without_repeats("sales", twice), SALES)
    assert without_repeats("sales", SALES) is SALES
    # Rows that contradict each other stay, for the check to find.
    assert len(without_repeats("sales", pd.concat([SALES, changed(SALES, 0, sales=7.0)[:1]], ignore_index=True))) == 241
