"""The fast ways to sort and to group against the plain ones."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from demand_assets.ingestion import merge
from demand_assets.ingestion.merge import SALES_KEYS, merge_week_partitions
from demand_assets.ingestion.order import in_order, run_starts, sort_order
from demand_assets.ingestion.plausibility import _medians
from demand_assets.ingestion.quality import check_sales
from tests.ingestion.test_merge import WEEKS, delivery, sales
from tests.ingestion.test_quality import CONDITIONS, NONE, SALES, STORES, changed

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


def test_runs_begin_where_any_column_changes() -> None:
    columns = [np.array([1, 1, 1, 2, 2]), np.array([5, 5, 6, 6, 6])]
    plain = [0, *(at for at, (a, b) in enumerate(pairwise(zip(*columns, strict=True)), 1) if a != b)]
    assert run_starts(columns).tolist() == plain == [0, 2, 3]


def test_a_sorted_frame_is_not_copied() -> None:
    assert in_order(SALES, SALES_KEYS) is SALES
    shuffled = SALES.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(in_order(shuffled, SALES_KEYS), SALES)


def test_medians_of_runs_are_those_of_pandas() -> None:
    draw = np.random.default_rng(3)
    sizes = draw.integers(1, 12, 200)
    group = np.repeat(np.arange(200), sizes)
    values = np.where(draw.random(len(group)) < 0.3, np.nan, draw.normal(size=len(group)))
    medians, counted = _medians(values, np.cumsum(sizes) - sizes, sizes)
    plain = pd.Series(values).groupby(group)
    np.testing.assert_array_equal(medians, plain.median().to_numpy())
    np.testing.assert_array_equal(counted, plain.count().to_numpy())


def test_what_is_found_does_not_depend_on_the_order_of_rows() -> None:
    bad = changed(SALES, 100, weekly_sales_usd=1e9, is_holiday=True)
    bad = pd.concat([bad, SALES.iloc[[7]]], ignore_index=True)
    found = check_sales(bad.sort_values(list(SALES_KEYS), kind="stable"), NONE, CONDITIONS, STORES)
    shuffled = check_sales(bad.sample(frac=1, random_state=2), NONE, CONDITIONS, STORES)
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
    file = delivery("f", sales(*((week, 1, 1, 1.0) for week in WEEKS)))
    stored = sales((WEEKS[0], 1, 2, 1.0))
    merged = merge_week_partitions(stored, {}, [file], SALES_KEYS, weeks=WEEKS[[0, 2]])
    assert merged.frame["week"].tolist() == [WEEKS[0], WEEKS[0], WEEKS[2]]
