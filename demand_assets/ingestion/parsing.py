"""CSV bytes to a typed frame, or one line that says which row is wrong. Pure: bytes in, frame out."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from demand_assets.errors import SchemaError
from demand_assets.ingestion.formats import EXPECTED, FORMATS, SALES, Content, Field, Format

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ARROW_TYPES: dict[Content, Callable[[], Any]] = {
    "key": pa.int32,
    "count": pa.int64,
    "number": pa.float64,
    "date": pa.date32,
    "flag": pa.bool_,
    "text": pa.string,
}
_BOM = b"\xef\xbb\xbf"
# What nanosecond timestamps can hold, in whole years.
_FIRST_YEAR, _LAST_YEAR = 1678, 2261


def parse_csv(name: str, data: bytes) -> tuple[Format, pd.DataFrame]:
    """The format of a CSV and its rows as a frame of that format, sorted by its keys, duplicates kept in file order.

    Takes a byte order mark, LF, CRLF or bare CR, blank lines, and columns in any order; `NA` and empty are missing.
    SchemaError names the file and the line for a header that fits no format, extra columns, a row with a wrong number
    of fields, or a field that does not hold what its column must.
    """
    text = data.removeprefix(_BOM)
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not text.strip():
        raise SchemaError(f"{name} is empty; expected a header {', '.join(_example(name).headers)}")
    start = len(text) - len(text.lstrip(b"\n"))
    head, _, body = text[start:].partition(b"\n")
    format_, fields = _match_header(name, head)
    if not body.strip(b"\n"):
        raise SchemaError(f"{name} has a header and no rows; expected at least one row of {', '.join(format_.headers)}")
    try:
        table = _read(body, fields, threads=True)
    except pa.ArrowInvalid:
        raise _explain(name, text, body, fields) from None
    for field in fields:
        _refuse_missing(name, text, table.column(field.column), field)
    arrays = {field.column: _to_numpy(name, text, table.column(field.column), field) for field in format_.fields}
    order = np.lexsort([arrays[key] for key in reversed(format_.keys)])
    return format_, pd.DataFrame({column: values[order] for column, values in arrays.items()})


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


def _read(body: bytes, fields: Sequence[Field], *, threads: bool) -> Any:
    return pa_csv.read_csv(
        pa.BufferReader(body),
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


def _explain(name: str, text: bytes, body: bytes, fields: Sequence[Field]) -> SchemaError:
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


def _wrong(name: str, text: bytes, row: int, field: Field, value: str) -> SchemaError:
    line = _line_number(text, row)
    return SchemaError(f"{name} line {line}: {field.header} is {value}, expected {EXPECTED[field.content]}")


def _line_number(text: bytes, row: int) -> int:
    """The 1-based line in the file of the 1-based data row; blank lines count as lines and not as rows."""
    ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n"))
    starts = np.concatenate([[0], ends + 1])
    filled = np.concatenate([ends, [len(text)]]) > starts
    return int(np.flatnonzero(filled)[row]) + 1


def _refuse_missing(name: str, text: bytes, column: Any, field: Field) -> None:
    if field.content == "number" or not column.null_count:
        return
    row = int(np.flatnonzero(pc.is_null(column).to_numpy())[0]) + 1
    raise _wrong(name, text, row, field, "missing")


def _to_numpy(name: str, text: bytes, column: Any, field: Field) -> NDArray[Any]:
    if field.content == "date":
        year = pc.year(column).to_numpy()
        outside = (year < _FIRST_YEAR) | (year > _LAST_YEAR)
        if outside.any():
            row = int(np.flatnonzero(outside)[0])
            raise _wrong(name, text, row + 1, field, f'"{column[row].as_py()}"')
        column = column.cast(pa.timestamp("ns"))
    values: NDArray[Any] = column.to_numpy()
    return values


def _short(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
