"""Columns as the two databases take them, in blocks: rows for SQLite, COPY's binary form for PostgreSQL.

A server takes the binary form in half the time of text.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demand_assets.contract.columns import SPANS_ALL, Column, Type
from demand_assets.store.columns import Columns, Values, Words, taken

# What bounds the memory, and lets the server work on one block while the next is made.
_BLOCK = 1 << 15
_POSTGRES_EPOCH = 10_957  # 2000-01-01, in days after 1970-01-01
_BINARY = {
    Type.ID: ">i4",
    Type.INTEGER: ">i4",
    Type.SMALL: ">i2",
    Type.WEEK: ">i4",
    Type.NUMBER: ">f8",
    Type.FLAG: "u1",
}


def keyed(columns: Columns, keys: Mapping[str, Mapping[str, int]]) -> Columns:
    """The same with the integer keys of the dimensions in place of ids; `keys`: name of the column -> id -> key."""
    values = dict(columns.values)
    for name, known in keys.items():
        texts, codes = values[name]
        # The last place is that of -1, the total that spans all.
        values[name] = np.array([*(known[text] for text in texts), SPANS_ALL], dtype=np.int64)[codes]
    return Columns(columns.table, values)


def sqlite_blocks(columns: Columns) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of plain values, in parts: a row takes ten times as much memory as what it is made from."""
    for part in _parts(columns):
        yield list(zip(*(_plain(part[column.name], column) for column in columns.table.columns), strict=True))


def binary_blocks(columns: Columns) -> Iterator[bytes]:
    """The rows for `COPY table (...) FROM STDIN (FORMAT BINARY)`."""
    yield b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
    for part in _parts(columns):
        yield _binary({column.name: _encoded(part[column.name], column) for column in columns.table.columns})
    yield struct.pack(">h", -1)


def _parts(columns: Columns) -> Iterator[dict[str, Values]]:
    for start in range(0, len(columns), _BLOCK):
        rows = slice(start, start + _BLOCK)
        yield {name: taken(values, rows) for name, values in columns.values.items()}


def _plain(values: Values, column: Column) -> list[Any]:
    if isinstance(values, Words):
        return list(np.array([*values.texts, None], dtype=object)[values.codes].tolist())
    if column.type is Type.WEEK:
        return list(values.astype("datetime64[D]").astype(str).tolist())
    if column.type is Type.NUMBER and column.nullable:
        return [None if value != value else value for value in values.tolist()]
    return list(values.tolist())


def _encoded(values: Values, column: Column) -> tuple[NDArray[Any], Any]:
    """Values in PostgreSQL's binary form, big-endian, and the length of each: -1 is NULL."""
    if isinstance(values, Words):
        texts = [text.encode() for text in values.texts]
        lengths = np.array([*map(len, texts), -1], dtype=np.int32)
        return np.array([*texts, b""])[values.codes], lengths[values.codes]
    given = values - _POSTGRES_EPOCH if column.type is Type.WEEK else values
    encoded = given.astype(_BINARY[column.type])
    width = encoded.dtype.itemsize
    missing = column.type is Type.NUMBER and column.nullable
    return encoded, np.where(np.isnan(values), -1, width) if missing else width


def _binary(columns: Mapping[str, tuple[NDArray[Any], Any]]) -> bytes:
    """Rows of encoded columns as COPY takes them: their number of fields, then each field's length and value."""
    rows = len(next(iter(columns.values()))[0])
    fields: list[tuple[str, Any]] = [("fields", ">i2")]
    for name, (values, _) in columns.items():
        fields += [(f"{name}#", ">i4"), (name, values.dtype)]
    records = np.zeros(rows, dtype=fields)
    records["fields"] = len(columns)
    offsets = {name: place[1] for name, place in (records.dtype.fields or {}).items()}
    sent = np.ones((rows, records.dtype.itemsize), dtype=bool)
    for name, (values, lengths) in columns.items():
        records[name], records[f"{name}#"] = values, lengths
        width, at = values.dtype.itemsize, offsets[name]
        if not np.all(lengths == width):
            # What is past a value's own length is not sent.
            sent[:, at : at + width] = np.arange(width) < np.asarray(lengths)[:, None]
    if sent.all():
        return records.tobytes()
    return records.view(np.uint8).reshape(rows, -1)[sent].tobytes()
