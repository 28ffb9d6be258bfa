"""Rows in the order of their keys: those of a week, a store or a key lie together and need no hashing. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_DAY_NS = 86_400_000_000_000
_NO_DATE = np.iinfo(np.int64).min
# 16-bit numbers are sorted by counting, in a tenth of the time of others.
_COUNTABLE = 1 << 16
# Rows compared at a time: what is computed of them stays in the cache of a core.
_PIECE = 1 << 16


def sort_order(columns: Sequence[NDArray[Any]]) -> NDArray[np.intp] | None:
    """`np.lexsort` of columns given with the most significant first; None where the rows are in that order already.

    Of the last columns, by which rows are often sorted already (a file has series after series), only those are sorted
    by that are not.
    """
    columns = [_comparable(column) for column in columns]
    if len(columns[0]) < 2:
        return None
    unsorted = _unsorted(columns)
    if not unsorted:
        return None
    order: NDArray[np.intp] | None = None
    for column in reversed(columns[:unsorted]):
        small = _small(column)
        step = np.argsort(small if order is None else small[order], kind="stable")
        order = step if order is None else order[step]
    return order


def _unsorted(columns: Sequence[NDArray[Any]]) -> int:
    """How many of the first columns are left to sort by: by those after them the rows are sorted as they are."""
    unsorted = 0
    for start in range(0, len(columns[0]) - 1, _PIECE):
        # Rows of a piece and the first of the next.
        piece = [column[start : start + _PIECE + 1] for column in columns]
        unsorted = max(unsorted, _unsorted_piece(piece))
        if unsorted == len(columns):
            break
    return unsorted


def _unsorted_piece(columns: Sequence[NDArray[Any]]) -> int:
    unsorted = len(columns)
    never_falls = np.ones(len(columns[0]) - 1, dtype=bool)
    for place in range(len(columns) - 1, -1, -1):
        before, after = columns[place][:-1], columns[place][1:]
        never_falls = (after > before) | ((after == before) & never_falls)
        if never_falls.all():
            unsorted = place
    return unsorted


def _comparable(column: NDArray[Any]) -> NDArray[Any]:
    """Dates as integers, so that a missing one has a place: the first."""
    return column.view(np.int64) if column.dtype.kind == "M" else column


def _small(column: NDArray[Any]) -> NDArray[Any]:
    """The same order in 16 bits where that is possible."""
    if column.dtype.kind not in "iu":
        return column
    low, high = int(column.min()), int(column.max())
    if high - low >= _COUNTABLE and column.dtype == np.int64 and low > _NO_DATE:
        days = column // _DAY_NS
        # Faster than the remainders.
        if (days * _DAY_NS == column).all():
            column, low, high = days, low // _DAY_NS, high // _DAY_NS
    return (column - low).astype(np.uint16) if high - low < _COUNTABLE else column


def run_starts(columns: Sequence[NDArray[Any]]) -> NDArray[np.intp]:
    """Where each run of rows that are equal in all `columns` begins; a run is a group where rows are in order."""
    differs = np.ones(len(columns[0]), dtype=bool)
    if len(differs) > 1:
        first, *others = map(_comparable, columns)
        np.not_equal(first[1:], first[:-1], out=differs[1:])
        for column in others:
            differs[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(differs)


def distinct(numbers: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """The distinct numbers, ascending; counted where they lie close together, sorted where they do not."""
    if not len(numbers):
        return np.empty(0, dtype=np.int64)
    low, span = int(numbers.min()), int(numbers.max()) - int(numbers.min()) + 1
    if span > 4 * len(numbers) + 1_000:
        return np.unique(numbers).astype(np.int64)
    seen = np.zeros(span, dtype=bool)
    seen[numbers - low] = True
    return np.flatnonzero(seen) + low


def in_order(frame: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The frame sorted by `keys`, equal keys as they came; the frame itself where it is sorted."""
    order = sort_order([frame[key].to_numpy() for key in keys])
    return frame if order is None else taken(frame, order)


def taken(frame: pd.DataFrame, rows: NDArray[np.intp]) -> pd.DataFrame:
    """The rows at these positions, numbered anew: one copy, where `iloc` and a new index make three."""
    return pd.DataFrame({name: frame[name].array.take(rows) for name in frame.columns}, copy=False)
