"""Whole columns on their way into the store: what `rows` does row by row, done by array for vintages of any size.

The checks, the order, and the hash are those of `rows` to the letter; the rows go to PostgreSQL in COPY's binary form,
which a server takes in half the time of text. Needs numpy and pyarrow, which a reader of the store may lack: only
publishing a table loads this module.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sqlalchemy import Boolean, Date, Double, Integer, SmallInteger, String, Table

from demand_assets.errors import StoreError
from demand_assets.store.rows import (
    FINITE,
    FINITE_OR_NONE,
    FLAG,
    INTEGER,
    MAX_INTEGER,
    TEXT,
    WEEK,
    Check,
    HasKeys,
    Row,
    checked,
)

# Rows made into bytes at a time: what bounds the memory, and lets the server work on one block while the next is made.
_BLOCK = 1 << 15
# Arrow writes numbers as text without Python's lock; the hash needs all of them before anything can be sent.
_THREADS = 4
_FRIDAY = 4
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday
_POSTGRES_EPOCH = 10_957  # 2000-01-01, in days after 1970-01-01
# Where Arrow writes a double as Python's repr does, apart from the ".0" of whole ones; beyond, the exponent differs.
_PLAIN_FROM, _PLAIN_TO = 1e-4, 1e10


class CanonicalColumns:
    """Columns in canonical form, sorted by key: weeks as days after 1970-01-01, missing numbers as NaN."""

    def __init__(self, checks: Mapping[str, Check], key: Sequence[str], values: Mapping[str, NDArray[Any]]) -> None:
        self._checks = checks
        self._key = key
        self._values = values

    def __len__(self) -> int:
        return len(next(iter(self._values.values())))

    def rows(self) -> list[Row]:
        """The rows as `rows.canonical` has them."""
        columns = []
        for name, check in self._checks.items():
            values = self._values[name]
            if check is WEEK:
                columns.append(values.astype("datetime64[D]").astype(str).tolist())
            elif check is FINITE_OR_NONE:
                columns.append([None if value != value else value for value in values.tolist()])
            else:
                columns.append(values.tolist())
        return list(zip(*columns, strict=True))

    def blocks(self) -> Iterator[list[Row]]:
        """The rows, in parts: a row takes ten times as much memory as what it is made from."""
        for start in range(0, len(self), _BLOCK):
            part = {name: column[start : start + _BLOCK] for name, column in self._values.items()}
            yield CanonicalColumns(self._checks, self._key, part).rows()

    def pairs(self, weeks: str, numbers: str) -> set[tuple[str, int]]:
        """Distinct (ISO week, number) of two columns."""
        both = np.unique(self._values[weeks].astype(np.int64) << 32 | self._values[numbers])
        days = (both >> 32).astype("datetime64[D]").astype(str).tolist()
        return set(zip(days, (both & MAX_INTEGER).tolist(), strict=True))

    def keys(self) -> list[Row]:
        """The key of every row, in order."""
        return CanonicalColumns({name: self._checks[name] for name in self._key}, self._key, self._values).rows()

    def has_keys_of(self, other: HasKeys) -> bool:
        """Whether both have the same keys."""
        if not isinstance(other, CanonicalColumns):
            return self.keys() == other.keys()
        return list(self._key) == list(other._key) and all(
            np.array_equal(self._values[name], other._values[name]) for name in self._key
        )

    def content_hash(self) -> str:
        """`rows.content_hash` of the rows."""
        digest = hashlib.sha256()
        with ThreadPoolExecutor(_THREADS) as pool:
            for start in range(0, len(self), _BLOCK):
                lines = self._lines(pool, slice(start, start + _BLOCK))
                digest.update(lines if start + _BLOCK < len(self) else lines[:-1])  # no line break after the last
        return digest.hexdigest()

    def _lines(self, pool: ThreadPoolExecutor, part: slice) -> memoryview:
        """What `repr` makes of each row, and a line break after each."""
        columns = (self._values[name][part] for name in self._checks)
        pieces: list[Any] = []
        for shown in pool.map(_represented, columns, self._checks.values()):
            pieces += [", " if pieces else "(", shown]
        joined = pc.binary_join_element_wise(*pieces, ")\n", "")
        # One string after the other: the column's own buffer is the text.
        return memoryview(joined.buffers()[2])[: pc.sum(pc.binary_length(joined)).as_py()]

    def copied(self, table: Table, vintage_id: str | None = None) -> Iterator[bytes]:
        """The rows for `COPY table (...) FROM STDIN (FORMAT BINARY)`, in blocks; of a vintage, its id before each."""
        yield b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
        first = {} if vintage_id is None else {"vintage_id": np.array([vintage_id.encode()])}
        for start in range(0, len(self), _BLOCK):
            part = {name: self._values[name][start : start + _BLOCK] for name in self._checks}
            yield _binary({**first, **{name: _encoded(part[name], table.columns[name].type) for name in part}})
        yield struct.pack(">h", -1)


def canonical_columns(table: pa.Table, checks: Mapping[str, Check], key: Sequence[str], what: str) -> CanonicalColumns:
    """`rows.canonical` of the rows of a table whose columns come in the order of `checks`; null is None.

    Weeks are dates (date32). StoreError as there, naming the first wrong value.
    """
    if table.num_columns != len(checks):
        raise StoreError(
            f"{what}: expected rows of {len(checks)} values ({', '.join(checks)}), got {[table.num_columns]}"
        )
    values = {
        name: _clean(column.combine_chunks(), name, check, what)
        for column, (name, check) in zip(table.columns, checks.items(), strict=True)
    }
    keys = [values[name] for name in key]
    if len(table) > 1:
        if not _ascending(keys):
            order = np.lexsort(keys[::-1])
            values = {name: column[order] for name, column in values.items()}
            keys = [values[name] for name in key]
        same = np.logical_and.reduce([column[1:] == column[:-1] for column in keys])
        if same.any():
            at = slice(int(np.argmax(same)), int(np.argmax(same)) + 1)
            twice = CanonicalColumns(checks, key, {name: column[at] for name, column in values.items()}).keys()[0]
            shown = ", ".join(f"{name} {value}" for name, value in zip(key, twice, strict=True))
            raise StoreError(
                f"{what}: expected one row per {', '.join(key)}, got {shown} more than once; drop duplicates"
            )
    return CanonicalColumns(checks, key, values)


def _ascending(keys: Sequence[NDArray[Any]]) -> bool:
    """Whether the rows are sorted by `keys` already, as forecasts are: telling costs a tenth of sorting."""
    after = np.zeros(len(keys[0]) - 1, dtype=bool)
    for column in reversed(keys):
        after = (column[1:] > column[:-1]) | ((column[1:] == column[:-1]) & after)
    same = np.logical_and.reduce([column[1:] == column[:-1] for column in keys])
    return bool((after | same).all())


def _clean(column: Any, name: str, check: Check, what: str) -> NDArray[Any]:
    """One column as an array; what a check would refuse is given to it, so that it says why."""
    missing = column.is_null().to_numpy(zero_copy_only=False)
    if check is WEEK:
        if not pa.types.is_date32(column.type):
            _refuse(column, np.ones(len(column), dtype=bool), name, check, what)
        days: NDArray[np.int32] = column.cast(pa.int32()).fill_null(0).to_numpy()
        _refuse(column, missing | ((days + _EPOCH_WEEKDAY) % 7 != _FRIDAY), name, check, what)
        return days
    if check is TEXT:
        right = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        given = column.fill_null("") if right else pa.array([""] * len(column))
        wrong = pc.or_(pc.equal(given, ""), pc.match_substring(given, "\0"))
        _refuse(column, wrong.to_numpy(zero_copy_only=False), name, check, what)
        return np.asarray(given.to_numpy(zero_copy_only=False), dtype=str)
    if check is FLAG:
        right = pa.types.is_boolean(column.type)
        _refuse(column, missing if right else np.ones(len(column), dtype=bool), name, check, what)
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=bool)
    if check is INTEGER:
        given = _numbers(column, name, check, what)
        with np.errstate(invalid="ignore"):
            wrong = missing | ~((given >= 0) & (given <= MAX_INTEGER) & (given == np.floor(given)))
        _refuse(column, wrong, name, check, what)
        return given.astype(np.int64)
    if check not in (FINITE, FINITE_OR_NONE):
        raise StoreError(f"{what}: {name} cannot be published as a column; give rows")
    given = _numbers(column, name, check, what).astype(np.float64)
    wrong = ~np.isfinite(given)
    _refuse(column, wrong & ~missing if check is FINITE_OR_NONE else wrong, name, check, what)
    return given + 0.0  # -0.0 and 0.0 are the same forecast, so they must hash the same


def _numbers(column: Any, name: str, check: Check, what: str) -> NDArray[Any]:
    """Null becomes NaN."""
    number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)
    if not number:
        _refuse(column, np.ones(len(column), dtype=bool), name, check, what)
    given: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return given.astype(np.float64) if given.dtype == object else given


def _refuse(column: Any, wrong: NDArray[np.bool_], name: str, check: Check, what: str) -> None:
    if not wrong.any():
        return
    value = column[int(np.argmax(wrong))].as_py()
    # A frame's missing number arrives as null; it was a NaN, and is named so.
    checked([float("nan") if value is None and check in (FINITE, INTEGER) else value], name, check, what)
    raise StoreError(f"{what}: {name} cannot be of type {column.type}, got {value}")


def _represented(values: NDArray[Any], check: Check) -> Any:
    """What Python's `repr` makes of each value, as an Arrow string column."""
    if check is WEEK:
        days = pa.array(values.astype(np.int32)).cast(pa.date32()).cast(pa.string())
        return pc.binary_join_element_wise("'", days, "'", "")
    if check is TEXT:
        distinct, which = np.unique(values, return_inverse=True)
        return pa.array([repr(str(value)) for value in distinct]).take(pa.array(which))
    if check is INTEGER:
        return pa.array(values).cast(pa.string())
    size = np.abs(values)
    whole = values == np.rint(values)
    shown = pa.array(values).cast(pa.string())
    if whole.any():
        shown = pc.binary_join_element_wise(shown, pc.if_else(pa.array(whole), ".0", ""), "")
    odd = ~(((size >= _PLAIN_FROM) & (size < _PLAIN_TO)) | (values == 0.0))
    if odd.any():
        told = [repr(None if value != value else value) for value in values[odd].tolist()]
        shown = pc.replace_with_mask(shown, pa.array(odd), pa.array(told, pa.string()))
    return shown


def _binary(columns: Mapping[str, NDArray[Any]]) -> bytes:
    """Rows of encoded columns as COPY takes them: their number of fields, then each field's length and value.

    A column of one value has it in every row.
    """
    rows = max(len(values) for values in columns.values())
    fields: list[tuple[str, Any]] = [("fields", ">i2")]
    for name, values in columns.items():
        fields += [(f"{name}#", ">i4"), (name, values.dtype)]
    records = np.zeros(rows, dtype=fields)
    records["fields"] = len(columns)
    offsets = {name: place[1] for name, place in (records.dtype.fields or {}).items()}
    sent = np.ones((rows, records.dtype.itemsize), dtype=bool)
    for name, values in columns.items():
        width, at = values.dtype.itemsize, offsets[name]
        records[name], records[f"{name}#"] = values, width
        if values.dtype.kind == "S":
            # Its own length instead of the longest one's: what is past it is not sent.
            length = np.char.str_len(values)
            records[f"{name}#"] = length
            sent[:, at : at + width] = np.arange(width) < length[:, None]
        elif values.dtype.kind == "f" and (missing := np.isnan(values)).any():
            records[f"{name}#"][missing] = -1  # NULL: a length of -1 and no value
            sent[missing, at : at + width] = False
    if sent.all():
        return records.tobytes()
    return records.view(np.uint8).reshape(rows, -1)[sent].tobytes()


def _encoded(values: NDArray[Any], kind: Any) -> NDArray[Any]:
    """Values as PostgreSQL's binary form of a column of this type has them: big-endian, days after 2000-01-01."""
    if isinstance(kind, SmallInteger):
        return values.astype(">i2")
    if isinstance(kind, Integer):
        return values.astype(">i4")
    if isinstance(kind, Date):
        return (values - _POSTGRES_EPOCH).astype(">i4")
    if isinstance(kind, Double):
        return values.astype(">f8")
    if isinstance(kind, Boolean):
        return values.astype(np.uint8)
    if isinstance(kind, String):
        return np.char.encode(values, "utf-8")
    raise TypeError(f"no binary form of {kind} is known here")
