"""The fast ways to sort and to group against the plain ones."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from demand_assets.ingestion import merge
from demand_assets.ingestion.merge import merge_week_partitions
from demand_assets.ingestion.order import _PIECE, _small, distinct, in_order, run_starts, sort_order
from demand_assets.ingestion.quality import check_sales
from tests.ingestion.test_merge import SALES_KEYS, WEEKS, delivery, sales
from tests.ingestion.test_quality import CONDITIONS, JUDGING, NONE, SALES, STORES, changed

FRIDAY = np.datetime64("2010-02-05", "ns")


@pytest.mark.parametrize("seed", range(40))
def test_rows_are_sorted_as_lexsort_sorts_them_or_left_where_they_are_sorted(seed: int) -> None:
    draw = np.random.default_rng(seed)
    rows = int(draw.integers(0, 60))
    columns = [draw.integers(0, 4, rows).astype(kind) for kind in ("i4", "u2", "i8")]
    kinds = {0: FRIDAY + columns[0] * np.timedelta64(7, "D"), 1: columns[0] * 100_000.5, 2: columns[0] * 70_000}
    columns[0] = kinds.get(seed % 4, columns[0])
    # Sorted by none, the last, the last two, or all of the columns.
    presorted = np.lexsort(columns[: 3 - seed % 4 : -1] or [np.zeros(rows)])
    columns = [column[presorted] for column in columns]
    expected, order = np.lexsort(columns[::-1]), sort_order(columns)
    np.testing.assert_array_equal(np.arange(rows) if order is None else order, expected)
    if np.array_equal(expected, np.arange(rows)):
        assert order is None


def test_a_missing_date_comes_first_and_dates_that_are_no_days_keep_their_order() -> None:
    days = np.array([FRIDAY, np.datetime64("NaT"), FRIDAY - np.timedelta64(1, "s")])
    order = sort_order([days, np.arange(3)])
    assert order is not None
    assert order.tolist() == [1, 2, 0]
    far = np.array(["2200-01-03", "1700-01-01", "2200-01-03T00:00:01"], dtype="datetime64[ns]")
    assert sort_order([far]).tolist() == [1, 0, 2]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "column",
    [
        np.array([2, 1]),
        np.array([0.7, 0.2, 0.5]),
        np.array([1 << 16, 0, 3]),
        np.array([50_000, 30_000, 80_000]),
        np.array([-30_000, 30_000, -31_000]),
        np.array(["1951-06-01", "1942-01-01", "1960-01-01"], dtype="datetime64[ns]"),
        np.array(["2200-01-03T00:00:01", "1700-01-01", "2200-01-03"], dtype="datetime64[ns]"),
    ],
    ids=["two rows", "fractions", "one more than 16 bits", "past 16 bits", "signs", "before 1970", "times of a day"],
)
def test_numbers_and_dates_at_the_edges_of_16_bits_keep_their_order(column: np.ndarray) -> None:
    order, expected = sort_order([column]), np.argsort(column, kind="stable")
    assert order is not None
    assert order.tolist() == expected.tolist()


def test_what_spans_16_bits_is_sorted_in_16_bits() -> None:
    day = 86_400 * 10**9
    for column, small in (
        (np.array([70_000, 4_464 + 1]), np.array([65_535, 0], dtype="uint16")),
        (np.array([3, 1], dtype="int32"), np.array([2, 0], dtype="uint16")),
        (np.array([20 * day, -25 * day]), np.array([45, 0], dtype="uint16")),
        (np.array([65_536, 0]), np.array([65_536, 0])),
        (np.array([20 * day + 1, 0]), np.array([20 * day + 1, 0])),
        (np.array([0.5, 0.25]), np.array([0.5, 0.25])),
    ):
        np.testing.assert_array_equal(_small(column), small, strict=True)


def test_rows_in_order_by_every_column_are_left_alone() -> None:
    assert sort_order([np.array([1, 1, 2]), np.array([1, 2, 3])]) is None


def test_runs_begin_where_any_column_changes() -> None:
    columns = [np.array([1, 1, 1, 2, 2]), np.array([5, 5, 6, 6, 6])]
    plain = [0, *(at for at, (a, b) in enumerate(pairwise(zip(*columns, strict=True)), 1) if a != b)]
    assert run_starts(columns).tolist() == plain == [0, 2, 3]


def test_a_fall_between_two_pieces_is_seen() -> None:
    days = np.repeat(np.arange(3, dtype=np.int32), _PIECE)
    stores = np.arange(3 * _PIECE, dtype=np.int32) % _PIECE
    assert sort_order([days, stores]) is None
    days[_PIECE - 1], days[_PIECE] = days[_PIECE], days[_PIECE - 1]
    np.testing.assert_array_equal(sort_order([days, stores]), np.lexsort([stores, days]))


@pytest.mark.parametrize("numbers", [[3, 1, 3, -2], [7], [], [0, 2**31 - 1, 0]])
def test_distinct_numbers_ascend(numbers: list[int]) -> None:
    assert distinct(np.array(numbers, dtype=np.int32)).tolist() == sorted(set(numbers))


def test_a_sorted_frame_is_not_copied() -> None:
    assert in_order(SALES, SALES_KEYS) is SALES
    shuffled = SALES.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(in_order(shuffled, SALES_KEYS), SALES)


def test_what_is_found_does_not_depend_on_the_order_of_rows() -> None:
    bad = changed(SALES, 100, sales=1e9, is_holiday=True)
    bad = pd.concat([bad, SALES.iloc[[7]]], ignore_index=True)
    found = check_sales(bad.sort_values(list(SALES_KEYS), kind="stable"), NONE, CONDITIONS, STORES, JUDGING)
    shuffled = check_sales(bad.sample(frac=1, random_state=2), NONE, CONDITIONS, STORES, JUDGING)
    assert [(one.name, one.description, one.metrics) for one in shuffled] == [
        (one.name, one.description, one.metrics) for one in found
    ]


@pytest.mark.parametrize("block", [1, 7, 1 << 21])
def test_a_merge_in_blocks_is_the_merge_of_all(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(4)

    def some() -> pd.DataFrame:
        picked = draw.choice(48, size=20, replace=False)
        return sales(*((WEEKS[k % 3], k // 3 % 4, k // 12, float(k % 2)) for k in picked))

    stored, files = some(), [delivery(f"f{at}", some()) for at in range(3)]
    files.append(delivery("one week", sales((WEEKS[1], 1, 1, 5.0))))
    whole = merge_week_partitions(stored, {}, files, SALES_KEYS, weeks=WEEKS)
    monkeypatch.setattr(merge, "_BLOCK_ROWS", block)
    parts = merge_week_partitions(stored, {}, files, SALES_KEYS, weeks=WEEKS)
    pd.testing.assert_frame_equal(parts.frame, whole.frame)
    assert parts.landings == whole.landings
    assert parts.changed_weeks.equals(whole.changed_weeks)
    assert parts.recorded_weeks.equals(whole.recorded_weeks)


def test_weeks_between_those_asked_for_stay_out() -> None:
    weeks = pd.date_range(WEEKS[0], periods=5, freq="7D")
    file = delivery("f", sales(*((week, 1, 1, 1.0) for week in weeks)))
    stored = sales((weeks[0], 1, 2, 1.0), (weeks[2], 1, 2, 1.0))
    every = pd.concat([file.frame, stored]).sort_values(list(SALES_KEYS))
    for places in ([0, 2], [0, 3], [1, 2, 4], [3], [0, 1, 2, 3, 4]):
        asked = weeks[places]
        expected = every[every["week"].isin(asked)].reset_index(drop=True)
        for before in (stored, stored[:0]):
            merged = merge_week_partitions(before, {}, [file], SALES_KEYS, weeks=asked)
            held = expected if len(before) else expected.query("dept_id == 1").reset_index(drop=True)
            pd.testing.assert_frame_equal(merged.frame, held)
            assert merged.recorded_weeks.tolist() == asked.tolist()


def test_a_stretch_ends_where_other_files_go_in_or_its_block_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "_BLOCK_ROWS", 5)
    weeks = pd.date_range(WEEKS[0], periods=7, freq="7D")
    rows = [2, 1, 0, 2, 1, 4, 1]
    frame = sales(*((week, 1, dept, 1.0) for week, depts in zip(weeks, rows, strict=True) for dept in range(depts)))
    stored = merge._ByWeek(frame, SALES_KEYS)
    # Five rows fill a block: 2 + 1 + 0 + 2, then 1 + 4, then 1.
    same = merge._stretches([(0,)] * 7, [stored], weeks)
    assert same == [slice(0, 4), slice(4, 6), slice(6, 7)]
    assert merge._stretches([(0,), (0,), (1,), (1,), (), (), ()], [stored], weeks) == [
        slice(0, 2),
        slice(2, 4),
        slice(4, 6),
        slice(6, 7),
    ]
    # Rows of all frames count.
    assert merge._stretches([(0,)] * 3, [stored, stored], weeks[:3]) == [slice(0, 1), slice(1, 3)]
