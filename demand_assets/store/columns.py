"""Columns on their way into the store: checked against the contract, put into one canonical form, sorted by key.

All of it works by array, so that a vintage of any size takes seconds. Needs numpy and pyarrow, which a reader of the
store may lack: only publishing loads this module.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from demand_assets.contract.arrow import arrow_schema
from demand_assets.contract.columns import ID_RULE, Column, Table, Type, is_id
from demand_assets.errors import StoreError
from demand_assets.store.dimensions import natural

_MOST = {Type.SMALL: 2**15 - 1, Type.INTEGER: 2**31 - 1}
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday


class Words(NamedTuple):
    """A column of texts: the distinct ones in natural order, and for each row the place of its text; -1 is null."""

    texts: tuple[str, ...]
    codes: NDArray[np.int32]


Values: TypeAlias = "NDArray[Any] | Words"
Rows: TypeAlias = "slice | NDArray[np.int64]"


def taken(values: Values, rows: Rows) -> Values:
    """Those rows of a column."""
    return Words(values.texts, values.codes[rows]) if isinstance(values, Words) else values[rows]


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns of `table` in canonical form, sorted by key: weeks as days after 1970-01-01, missing numbers as NaN."""

    table: Table
    values: Mapping[str, Values]

    def __len__(self) -> int:
        return len(_sortable(next(iter(self.values.values()))))

    def pairs(self, weeks: str, numbers: str) -> set[tuple[str, int]]:
        """Distinct (ISO week, number) of two columns."""
        both = np.unique(_sortable(self.values[weeks]).astype(np.int64) << 32 | _sortable(self.values[numbers]))
        return set(zip(_iso(both >> 32), (both & _MOST[Type.INTEGER]).tolist(), strict=True))

    def weeks(self, name: str) -> list[str]:
        """Distinct ISO weeks of a column, in order."""
        return _iso(np.unique(_sortable(self.values[name])))

    def texts(self, name: str) -> tuple[str, ...]:
        """Distinct texts of a column of texts or ids, in natural order."""
        values = self.values[name]
        return values.texts if isinstance(values, Words) else ()

    def text_of(self, name: str) -> list[str]:
        """The text of each row of a column without nulls."""
        values = self.values[name]
        return [values.texts[code] for code in values.codes] if isinstance(values, Words) else []

    def numbers(self, name: str) -> NDArray[Any]:
        """A column of numbers."""
        return _sortable(self.values[name])

    def with_values(self, name: str, values: Values) -> Columns:
        """The same with other values of a column, in the order of the rows."""
        return Columns(self.table, {**self.values, name: values})

    def has_keys_of(self, other: Columns) -> bool:
        """Whether both have the same keys."""
        return self.table.keys == other.table.keys and all(
            _same(self.values[name], other.values[name]) for name in self.table.keys
        )

    def content_hash(self) -> str:
        """SHA-256 of the rows: the same whatever order, number type or sign of zero they were given in."""
        digest = hashlib.sha256(json.dumps([len(self), *self.table.names]).encode())
        for values in self.values.values():
            if isinstance(values, Words):
                digest.update(json.dumps(values.texts).encode())
            array = np.ascontiguousarray(_sortable(values))
            digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).data)
        return digest.hexdigest()


def columns_of(given: Iterable[Sequence[Any]] | pa.Table, table: Table) -> Columns:
    """Columns of an Arrow table with the names of `table`, or of a few rows with its columns in order; null is None.

    Weeks are dates (date32), ids and texts are strings, dictionary-encoded or not. StoreError for other columns, a
    value that its column does not take (the first is named), or a key given twice.
    """
    found = given if isinstance(given, pa.Table) else _from_rows(list(given), table)
    if set(found.column_names) != set(table.names) or found.num_columns != len(table.columns):
        raise StoreError(
            f"{table.name}: expected the columns {', '.join(table.names)}, got {', '.join(found.column_names)}"
        )
    values = {column.name: _checked(found[column.name], column, table.name) for column in table.columns}
    return _sorted(Columns(table, values)) if len(found) > 1 else Columns(table, values)


def _from_rows(rows: Sequence[Sequence[Any]], table: Table) -> pa.Table:
    if not rows:
        return arrow_schema(table.columns).empty_table()
    widths = set(map(len, rows))
    if widths != {len(table.columns)}:
        raise StoreError(
            f"{table.name}: expected rows of {len(table.columns)} values ({', '.join(table.names)}), "
            f"got {sorted(widths)}"
        )
    arrays = {}
    for name, values in zip(table.names, zip(*rows, strict=True), strict=True):
        try:
            arrays[name] = pa.array(values)
        except (pa.ArrowException, OverflowError) as error:
            raise StoreError(f"{table.name}: {name} holds values of several kinds: {error}") from error
    return pa.table(arrays)


def _sorted(columns: Columns) -> Columns:
    keys = [_sortable(columns.values[name]) for name in columns.table.keys]
    if not _ascending(keys):
        order = np.lexsort(keys[::-1])
        columns = Columns(columns.table, {name: taken(values, order) for name, values in columns.values.items()})
        keys = [key[order] for key in keys]
    same = np.logical_and.reduce([key[1:] == key[:-1] for key in keys])
    if same.any():
        at = int(np.argmax(same))
        shown = ", ".join(f"{name} {_shown(columns.values[name], at)}" for name in columns.table.keys)
        raise StoreError(
            f"{columns.table.name}: expected one row per {', '.join(columns.table.keys)}, got {shown} more than once; "
            "drop duplicates"
        )
    return columns


def _ascending(keys: Sequence[NDArray[Any]]) -> bool:
    """Whether the rows are sorted by `keys` already, as forecasts are: telling costs a tenth of sorting."""
    after = np.zeros(len(keys[0]) - 1, dtype=bool)
    for key in reversed(keys):
        after = (key[1:] > key[:-1]) | ((key[1:] == key[:-1]) & after)
    same = np.logical_and.reduce([key[1:] == key[:-1] for key in keys])
    return bool((after | same).all())


def _sortable(values: Values) -> NDArray[Any]:
    return values.codes if isinstance(values, Words) else values


def _same(left: Values, right: Values) -> bool:
    texts = (values.texts if isinstance(values, Words) else () for values in (left, right))
    return len(set(texts)) == 1 and np.array_equal(_sortable(left), _sortable(right))


def _iso(days: NDArray[Any]) -> list[str]:
    return list(days.astype("datetime64[D]").astype(str).tolist())


def _shown(values: Values, at: int) -> Any:
    if isinstance(values, Words):
        return values.texts[values.codes[at]] if values.codes[at] >= 0 else None
    return _iso(values[at : at + 1])[0] if values.dtype == np.int32 else values[at]


def _checked(column: pa.ChunkedArray, wanted: Column, what: str) -> Values:
    """One column in canonical form; StoreError naming the first value that it does not take."""
    if pa.types.is_null(column.type):
        column = column.cast(arrow_schema([wanted]).field(0).type)
    try:
        return _CHECKS.get(wanted.type, _integers)(column, wanted)
    except _WrongError as error:
        raise StoreError(f"{what}: {wanted.name} must be {error}") from None


class _WrongError(ValueError):
    """What a column must be, and what was given."""


def _require(column: pa.ChunkedArray, wrong: NDArray[np.bool_], expected: str) -> None:
    if wrong.any():
        raise _WrongError(f"{expected}, got {column[int(np.argmax(wrong))].as_py()}")


def _require_type(column: pa.ChunkedArray, right: bool, expected: str) -> None:
    if not right:
        value = next((value.as_py() for value in column if value.is_valid), None)
        raise _WrongError(f"{expected}, got {value!r} of type {column.type}")


def _missing(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.asarray(column.is_null().to_numpy())


def _texts(column: pa.ChunkedArray, wanted: Column) -> Words:
    held = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    _require_type(column, pa.types.is_string(held) or pa.types.is_large_string(held), "a text")
    if not wanted.nullable:
        _require(column, _missing(column), "a text")
    encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    # A dictionary may hold a text twice, and texts that no row has.
    distinct = encoded.dictionary.dictionary_encode()
    place = np.append(distinct.indices.fill_null(-1).to_numpy(zero_copy_only=False), -1)
    codes = place[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)]
    used = np.unique(codes[codes >= 0])
    texts = [distinct.dictionary[at].as_py() for at in used.tolist()]
    for text in texts:
        if not text or "\0" in text:
            raise _WrongError(f"a text, got {text!r}")
        if wanted.type is Type.ID and not is_id(text):
            raise _WrongError(f"{ID_RULE}, got {text!r}")
    order = sorted(range(len(texts)), key=lambda at: natural(texts[at]))
    rank = np.full(len(distinct.dictionary) + 1, -1, dtype=np.int32)
    rank[used[order]] = np.arange(len(order), dtype=np.int32)
    return Words(tuple(texts[at] for at in order), rank[codes])


def _weeks(column: pa.ChunkedArray, wanted: Column) -> NDArray[Any]:
    _require_type(column, pa.types.is_date32(column.type), "a date")
    _require(column, _missing(column), "a date")
    days: NDArray[np.int32] = column.cast(pa.int32()).to_numpy()
    if len(days):
        _require(column, weekday_of(days) != weekday_of(days[:1]), f"the same weekday as {_iso(days[:1])[0]}")
    return days


def weekday_of(days: NDArray[np.int32]) -> NDArray[np.int32]:
    """0 (Monday) to 6 (Sunday) of each of (n,) days after 1970-01-01."""
    return np.asarray((days + _EPOCH_WEEKDAY) % 7, dtype=np.int32)


def _flags(column: pa.ChunkedArray, wanted: Column) -> NDArray[Any]:
    _require_type(column, pa.types.is_boolean(column.type), "true or false")
    _require(column, _missing(column), "true or false")
    return np.asarray(column.to_numpy(), dtype=bool)


def _numbers(column: pa.ChunkedArray, expected: str) -> NDArray[Any]:
    """Null becomes NaN."""
    right = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    _require_type(column, right, expected)
    return np.asarray(column.to_numpy())


def _integers(column: pa.ChunkedArray, wanted: Column) -> NDArray[Any]:
    most = _MOST[wanted.type]
    expected = f"an integer from 0 to {most}"
    given = _numbers(column, expected)
    with np.errstate(invalid="ignore"):
        _require(column, ~((given >= 0) & (given <= most) & (given == np.floor(given))), expected)
    return given.astype(np.int64)


def _amounts(column: pa.ChunkedArray, wanted: Column) -> NDArray[Any]:
    given = _numbers(column, "a finite number").astype(np.float64)
    missing = _missing(column) if wanted.nullable else np.zeros(len(given), dtype=bool)
    _require(column, ~np.isfinite(given) & ~missing, "a finite number")
    given = given + 0.0  # -0.0 and 0.0 are the same forecast, so they must hash the same
    given[missing] = np.nan
    return given


_CHECKS: Mapping[Type, Callable[[pa.ChunkedArray, Column], Values]] = {
    Type.ID: _texts,
    Type.TEXT: _texts,
    Type.WEEK: _weeks,
    Type.FLAG: _flags,
    Type.NUMBER: _amounts,
}
