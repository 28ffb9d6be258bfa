"""CSV bytes to a typed frame, or one line that says which row is wrong. Pure: bytes in, frame out."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from demand_assets.errors import SchemaError
from demand_assets.ingestion.formats import EXPECTED, FORMATS, SALES, Content, Field, Format
from demand_assets.ingestion.order import sort_order

_ARROW_TYPES: dict[Content, Callable[[], Any]] = {
    "key": pa.int32,
    "count": pa.int64,
    "number": pa.float64,
    "date": pa.date32,
    "flag": pa.bool_,
    "text": pa.string,
}
_BOM = b"\xef\xbb\xbf"
_LINE_END, _HEAD = ord("\n"), 1 << 16
# What nanosecond timestamps can hold, in whole years, as days after 1970-01-01.
_FIRST_DAY, _LAST_DAY = ((date(*day) - date(1970, 1, 1)).days for day in ((1678, 1, 1), (2261, 12, 31)))


def read_columns(name: str, data: bytes) -> tuple[Format, dict[str, Any]]:
    """The format of a CSV and its columns as typed Arrow arrays, in file order.

    Takes a byte order mark, LF, CRLF or bare CR, blank lines, and columns in any order; `NA` and empty are missing.
    SchemaError names the file and the line for a header that fits no format, extra columns, a row with a wrong number
    of fields, or a field that does not hold what its column must.
    """
    text = memoryview(data)[len(_BOM) if data.startswith(_BOM) else 0 :]
    if b"\r" in data:
        text = memoryview(bytes(text).replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    start, stop = _filled(text)
    if start == stop:
        raise SchemaError(f"{name} is empty; expected a header {', '.join(_example(name).headers)}")
    format_, fields, body = _header(name, text, start)
    if body >= stop:
        raise SchemaError(f"{name} has a header and no rows; expected at least one row of {', '.join(format_.headers)}")
    try:
        table = _read(text[body:], fields, threads=True)
    except pa.ArrowInvalid:
        raise _explain(name, bytes(text), text[body:], fields) from None
    for field in fields:
        _refuse_missing(name, text, table.column(field.column), field)
        if field.content == "date":
            _refuse_outside(name, text, table.column(field.column), field)
    return format_, {field.column: table.column(field.column) for field in fields}


def format_of(name: str, start: bytes) -> Format | None:
    """The format that a header line says, from the first bytes of a CSV; None if the line does not end in them.

    SchemaError as `read_columns` for a header that fits no format.
    """
    text = start.removeprefix(_BOM).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    first = len(text) - len(text.lstrip(b"\n"))
    return _header(name, memoryview(text), first)[0] if b"\n" in text[first:] else None


def sorted_frame(format_: Format, columns: dict[str, Any]) -> pd.DataFrame:
    """The columns of `read_columns` as a frame, sorted by the format's keys, equal keys in file order.

    Takes each column out of `columns` when it comes to it, so that no time has all of them twice.
    """
    # Sorted by days, which are fewer bits than the nanoseconds of the frame.
    keys = [columns[key] for key in format_.keys]
    order = sort_order([(key.cast(pa.int32()) if pa.types.is_date32(key.type) else key).to_numpy() for key in keys])
    del keys
    ordered: dict[str, NDArray[Any]] = {}
    for name in format_.columns:
        column = columns.pop(name)
        values = (column.cast(pa.timestamp("ns")) if pa.types.is_date32(column.type) else column).to_numpy()
        del column
        ordered[name] = np.array(values) if order is None else values[order]
    # Not joined into blocks, which would have all of them twice after all.
    return pd.DataFrame(ordered, copy=False)


def _filled(text: memoryview) -> tuple[int, int]:
    """Where a text begins and ends, less the line ends before and after it; a text of white space alone is empty."""
    start, stop = 0, len(text)
    while start < stop and text[start] == _LINE_END:
        start += 1
    while stop > start and text[stop - 1] == _LINE_END:
        stop -= 1
    return (start, stop) if bytes(text[start : start + _HEAD]).strip() or bytes(text[start:stop]).strip() else (0, 0)


def _header(name: str, text: memoryview, start: int) -> tuple[Format, list[Field], int]:
    """What the line at `start` names, and where the rows after it begin."""
    size = _HEAD
    while (end := bytes(text[start : start + size]).find(b"\n")) < 0 and start + size < len(text):
        size *= 2
    line = bytes(text[start : start + end]) if end >= 0 else bytes(text[start:])
    format_, fields = _match_header(name, line)
    return format_, fields, start + len(line) + 1


def _example(name: str) -> Format:
    """The format whose shipped file has this name; sales when none has, because that is what lands weekly."""
    return next((f for f in FORMATS.values() if name.lower().startswith(f.example)), SALES)


def _match_header(name: str, head: bytes) -> tuple[Format, list[Field]]:
    try:
        names = [column.strip() for column in next(csv.reader([head.decode("utf-8")], strict=True))]
    except (UnicodeDecodeError, csv.Error):
        raise SchemaError(f"{name} is not a UTF-8 CSV: its first line cannot be read; save it as CSV (UTF-8)") from None
    if any("\0" in column for column in names):
        raise SchemaError(f"{name} is not a UTF-8 CSV: its first line holds NUL bytes; save it as CSV (UTF-8)")

    def overlap(format_: Format) -> tuple[int, float]:
        shared = len(set(format_.headers) & set(names))
        return shared, shared / len(format_.headers)

    best = max(FORMATS.values(), key=overlap)
    has = ", ".join(column or "(no name)" for column in names)
    if overlap(best)[0] == 0:
        expected = " or ".join(f"{kind} ({', '.join(f.headers)})" for kind, f in FORMATS.items())
        raise SchemaError(f"{name} has {_short(has)}; expected {expected}")
    if lacking := [column for column in best.headers if column not in names]:
        raise SchemaError(f"{name} lacks {', '.join(lacking)}; has {has}")
    if twice := sorted({column for column in names if names.count(column) > 1 and column}):
        raise SchemaError(f"{name} names {', '.join(twice)} more than once; expected {', '.join(best.headers)}")
    if extra := [column or "(no name)" for column in names if column not in best.headers]:
        raise SchemaError(
            f"{name} has unknown columns: {_short(', '.join(extra))}; expected only {', '.join(best.headers)}"
        )
    by_header = {field.header: field for field in best.fields}
    return best, [by_header[column] for column in names]


def _read(body: memoryview, fields: Sequence[Field], *, threads: bool) -> Any:
    return pa_csv.read_csv(
        pa.BufferReader(pa.py_buffer(body)),
        read_options=pa_csv.ReadOptions(
            column_names=[field.column for field in fields],
            use_threads=threads,
            # One block when diagnosing, so that the row in the message is the row in the file.
            block_size=1 << 20 if threads else len(body) + 1,
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types={field.column: _ARROW_TYPES[field.content]() for field in fields},
            null_values=["", "NA"],
            strings_can_be_null=True,
        ),
    )


def _explain(name: str, text: bytes, body: memoryview, fields: Sequence[Field]) -> SchemaError:
    """Reads once more in one thread, which makes Arrow count rows, and puts its complaint in the user's words."""
    try:
        _read(body, fields, threads=False)
    except pa.ArrowInvalid as error:
        complaint = " ".join(str(error).split())
    else:
        complaint = "it parses in one thread and not in several; are there line breaks inside quotes?"
    if match := re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", complaint):
        row, expected, got = (int(number) for number in match.groups())
        hint = " (a trailing comma?)" if got == expected + 1 else ""
        return SchemaError(
            f"{name} line {_line_number(text, row)}: has {got} fields{hint}, expected {expected}: "
            f"{', '.join(field.header for field in fields)}"
        )
    if match := re.search(r"In CSV column #(\d+): Row #(\d+): .*?invalid value '(.*)'", complaint):
        field, row, value = fields[int(match[1])], int(match[2]), match[3]
        return _wrong(name, text, row, field, f'"{_short(value, 40)}"')
    return SchemaError(f"{name} cannot be read as CSV: {_short(complaint)}; expected comma-separated UTF-8 text")


def _wrong(name: str, text: bytes | memoryview, row: int, field: Field, value: str) -> SchemaError:
    line = _line_number(text, row)
    return SchemaError(f"{name} line {line}: {field.header} is {value}, expected {EXPECTED[field.content]}")


def _line_number(text: bytes | memoryview, row: int) -> int:
    """The 1-based line in the file of the 1-based data row; blank lines count as lines and not as rows."""
    ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n"))
    starts = np.concatenate([[0], ends + 1])
    filled = np.concatenate([ends, [len(text)]]) > starts
    return int(np.flatnonzero(filled)[row]) + 1


def _refuse_missing(name: str, text: memoryview, column: Any, field: Field) -> None:
    if field.content == "number" or not column.null_count:
        return
    row = int(np.flatnonzero(pc.is_null(column).to_numpy())[0]) + 1
    raise _wrong(name, text, row, field, "missing")


def _refuse_outside(name: str, text: memoryview, column: Any, field: Field) -> None:
    days = column.cast(pa.int32())
    if pc.min(days).as_py() >= _FIRST_DAY and pc.max(days).as_py() <= _LAST_DAY:
        return
    row = int(np.flatnonzero((days.to_numpy() < _FIRST_DAY) | (days.to_numpy() > _LAST_DAY))[0])
    raise _wrong(name, text, row + 1, field, f'"{column[row].as_py()}"')


def _short(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
