"""Rows that are set aside with their lines, and files that are refused, on files as they are landed."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import date, timedelta
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from demand_assets.adapters.landed import Contents
from demand_assets.ingestion.context import Context, context_of
from demand_assets.ingestion.dataspec import Accept
from demand_assets.ingestion.ids import IdTexts
from demand_assets.ingestion.mapping import Part
from demand_assets.ingestion.reading import lines_of
from demand_assets.ingestion.screening import Screening, screen_rows
from tests.ingestion.landed import csv, days, parts

TODAY = date(2010, 6, 1)
FRIDAYS = days(12)
SHOPS = ("ZRH-01", "BRN-02")
GOOD = [(day, shop, 100.5 + number) for number, (day, shop) in enumerate(itertools.product(FRIDAYS, SHOPS))]
FUTURE = (date(2099, 1, 2), "ZRH-01", 7.5)
LATER = (date(2099, 1, 9), "BRN-02", 7.5)
TWO = [FUTURE, *GOOD, LATER]
REASON = "week 2099-01-02 has yet to begin on 2010-06-01"


def sales(*rows: tuple[date, str, object]) -> str:
    return csv("date,shop,sales", *rows)


def screened(
    files: Mapping[str, str], today: date = TODAY, *, quarantine: bool = True, accepted: tuple[Accept, ...] = ()
) -> Contents:
    """The contents of a zone of these files."""
    found, rows = parts(files)
    how = Screening(today, accepted, quarantine)
    return Contents.of(found, rows, (), how, partial(lines, files))


def lines(files: Mapping[str, str], part: Part, rows: NDArray[np.intp]) -> list[int]:
    return lines_of(part.source, files[part.file.name].encode(), part.file_rows(rows))


def judging(files: Mapping[str, str]) -> Context:
    return context_of(parts(files)[0].spec, TODAY, IdTexts())


def test_a_row_of_the_future_is_set_aside_with_its_line_and_the_others_land() -> None:
    contents = screened({"sales.csv": sales(*TWO)})
    (rows,) = contents.set_aside
    assert rows[["file", "line", "store_id", "sales", "check"]].to_numpy().tolist() == [
        ["sales.csv", 2, "ZRH-01", 7.5, "sales_weeks_have_begun"],
        ["sales.csv", 27, "BRN-02", 7.5, "sales_weeks_have_begun"],
    ]
    assert rows["reason"].iloc[0] == REASON
    assert (len(contents.deliveries[0].frame), contents.refused) == (24, ())


def test_good_files_are_kept_as_they_are() -> None:
    files = {"sales.csv": sales(*GOOD)}
    whole = parts(files)[1]
    kept, set_aside, refused = screen_rows(whole, judging(files), True, partial(lines, files))
    assert (set_aside, refused) == ([], [])
    assert [part.content_hash for part in kept] == [part.content_hash for part in whole]


def test_the_name_of_the_content_changes_with_what_is_set_aside() -> None:
    files = {"sales.csv": sales(*TWO)}
    hashes = [
        screened(files, day).deliveries[0].content_hash for day in (TODAY, TODAY, date(2099, 1, 1), date(2099, 2, 1))
    ]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_too_many_wrong_rows_refuse_the_file_and_leave_the_others() -> None:
    wrong = [(date(2099, 1, 2) + timedelta(weeks=week), "ZRH-01", 7.5) for week in range(11)]
    contents = screened({"good.csv": sales(*GOOD), "sales.csv": sales(*GOOD, *wrong)})
    (refusal,) = contents.refused
    assert refusal.message.startswith(
        "sales.csv: 11 of 35 rows are wrong, more than 1% and 10, so none is taken (sales_weeks_have_begun 11); "
        f"first, line 26: {REASON}"
    )
    assert contents.set_aside == ()
    assert [one.file.name for one in contents.deliveries] == ["good.csv"]


def test_without_quarantine_a_wrong_row_refuses_its_file_with_its_line() -> None:
    contents = screened({"good.csv": sales(*GOOD), "sales.csv": sales(*TWO)}, quarantine=False)
    assert [one.message for one in contents.refused] == [
        f"sales.csv line 2: {REASON}; line 27: {REASON.replace('01-02', '01-09')}; correct the file and land it again"
    ]
    assert [one.file.name for one in contents.deliveries] == ["good.csv"]


def test_wrong_rows_are_named_in_the_order_of_their_lines() -> None:
    (refusal,) = screened({"sales.csv": sales(TWO[-1], *GOOD, TWO[0])}, quarantine=False).refused
    last = len(GOOD) + 3
    assert refusal.message.startswith(f"sales.csv line 2: {REASON.replace('01-02', '01-09')}; line {last}: {REASON};")


def test_of_many_wrong_rows_five_are_named() -> None:
    wrong = [(date(2099, 1, 2) + timedelta(weeks=week), "ZRH-01", 7.5) for week in range(7)]
    (refusal,) = screened({"sales.csv": sales(*GOOD, *wrong)}, quarantine=False).refused
    assert refusal.message.count("; line ") == 4
    assert "; and 2 more; correct the file" in refusal.message


def test_a_day_in_2099_does_not_make_the_last_real_week_whole() -> None:
    real = [(day, "ZRH-01", 100.5) for day in days(17, step=1, first=date(2010, 2, 1))]
    contents = screened({"pos.csv": sales(*real, (date(2099, 1, 2), "ZRH-01", 100.5))})
    assert [f"{week:%m-%d}" for week in contents.deliveries[0].weeks] == ["02-07", "02-14"]
    assert "week 2010-02-21 is unfinished and left out: its days run to 2010-02-17" in contents.notes
    assert contents.set_aside[0]["line"].tolist() == [19]


def test_a_file_of_sales_on_another_weekday_is_not_moved_to_that_of_the_others() -> None:
    late = (FRIDAYS[-1] + timedelta(days=6), "ZRH-01", 100.5)
    contents = screened({"good.csv": sales(*GOOD), "late.csv": sales(late)})
    assert contents.set_aside[0][["file", "line", "reason"]].to_numpy().tolist() == [
        ["late.csv", 2, "week 2010-04-29 is a Thursday, not a Friday"]
    ]


def test_rows_that_contradict_each_other_refuse_their_file_and_leave_the_others() -> None:
    contents = screened({"good.csv": sales(*GOOD), "sales.csv": sales(*GOOD, (FRIDAYS[0], "ZRH-01", 7.5))})
    (refusal,) = contents.refused
    assert refusal.message == (
        "sales.csv lines 2 and 26: 2 rows contradict another of the same week, store and dept, "
        "first 2010-02-05 store ZRH-01 dept all; "
        "keep the row that is right and land the file again; "
        'or set [sales] repeated = "sum" in demand.toml if they add up'
    )
    assert [one.file.name for one in contents.deliveries] == ["good.csv"]


def test_values_out_of_range_refuse_their_file_with_their_lines() -> None:
    weather = [(day, shop, 40.5) for day, shop in itertools.product(FRIDAYS, SHOPS)]
    weather[3], weather[5] = (*weather[3][:2], 999.0), (*weather[5][:2], -999.0)
    contents = screened({"sales.csv": sales(*GOOD), "weather.csv": csv("date,shop,temperature_f", *weather)})
    (refusal,) = contents.refused
    assert refusal.message == (
        "weather.csv lines 5 and 7: temperature_f is outside -100 to 150 in 2 rows, first 999.0; "
        "correct the file and land it again"
    )


def test_stores_that_contradict_each_other_refuse_their_file_with_their_lines() -> None:
    shops = [("ZRH-01", 900), ("BRN-02", 80), ("BRN-02", 80), ("ZRH-01", 700)]
    files = {"sales.csv": sales(*GOOD), "shops.csv": csv("shop,size", *shops)}
    found, rows = parts(files, '[stores]\nfiles = ["shops.csv"]\n')
    (refusal,) = Contents.of(found, rows, (), Screening(TODAY), partial(lines, files)).refused
    assert refusal.message.startswith("shops.csv lines 2 and 5: 2 rows contradict another of the same store")


def test_an_amount_of_a_table_with_a_column_per_date_is_named_with_its_line() -> None:
    amounts = [[shop, *(100.5 + number for number in range(12))] for shop in ("a", "b", "c", "d")]
    amounts[2][7] = 1e12
    contents = screened({"wide.csv": csv(",".join(["shop", *map(str, FRIDAYS)]), *amounts)})
    assert contents.set_aside[0][["line", "store_id", "sales"]].to_numpy().tolist() == [[4, "c", 1e12]]


def test_a_file_is_read_once_for_the_lines_of_all_its_wrong_rows() -> None:
    wrong = [(date(2099, 1, 2) + timedelta(weeks=week), "ZRH-01", 7.5) for week in range(7)]
    files, asked = {"sales.csv": sales(*GOOD, *wrong)}, []
    found, rows = parts(files)

    def lines_once(part: Part, rows: NDArray[np.intp]) -> list[int]:
        asked.append(part.file.name)
        return lines(files, part, rows)

    Contents.of(found, rows, (), Screening(TODAY), lines_once)
    assert asked == ["sales.csv"]


def test_a_row_that_comes_twice_counts_once() -> None:
    contents = screened({"sales.csv": sales(*GOOD, GOOD[0])})
    assert (len(contents.deliveries[0].frame), contents.refused, contents.set_aside) == (24, (), ())


def test_an_impossible_amount_lands_once_it_is_accepted() -> None:
    odd = (date(2010, 4, 30), "ZRH-01", 1e12)
    files = {"sales.csv": sales(*GOOD, odd)}
    (rows,) = screened(files).set_aside
    assert rows[["line", "check"]].to_numpy().tolist() == [[26, "sales_are_possible"]]
    accept = Accept(week=odd[0], check="sales_are_possible", reason="a takeover")
    assert len(screened(files, accepted=(accept,)).deliveries[0].frame) == 25


@pytest.mark.parametrize("quarantine", [True, False])
def test_stores_are_not_screened_row_by_row(quarantine: bool) -> None:
    files = {"sales.csv": sales(*GOOD), "shops.csv": csv("shop,city", ("ZRH-01", "Zurich"), ("GVA-03", "Geneva"))}
    kinds = [one.kind for one in screened(files, quarantine=quarantine).deliveries]
    assert kinds == ["sales", "stores"]
