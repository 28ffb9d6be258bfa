"""Tables as CSV, Excel, Arrow and Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from itertools import islice
from typing import Any

from api.problems import ProblemError
from api.serialization import utc_text
from demand_assets.contract.spreadsheet import no_formula


class Format(StrEnum):
    """Formats a list is answered in."""

    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"
    PARQUET = "parquet"
    XLSX = "xlsx"


MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv; charset=utf-8",
    Format.ARROW: "application/vnd.apache.arrow.stream",
    Format.PARQUET: "application/vnd.apache.parquet",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
COMPRESSED_MEDIA_TYPES = tuple(MEDIA_TYPES[form] for form in (Format.ARROW, Format.PARQUET, Format.XLSX))
"""Of files that gzip makes hardly smaller."""
MOST_ROWS = {Format.XLSX: 50_000}
"""Rows of one file of a form that takes long to write: Excel takes ten times as long as CSV."""
_ACCEPTED = {media.partition(";")[0]: form for form, media in MEDIA_TYPES.items()}
Table = Mapping[str, tuple[type, Sequence[Any]]]
"""Columns by name: the Python type of their values, and the values; None where there is none."""


def accepted(header: str | None) -> Format:
    """The format that an Accept header prefers; JSON where it names none of them."""
    best, best_quality = Format.JSON, 0.0
    for part in (header or "").split(",")[:20]:
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((_number(p[2:]) for p in parameters if p.startswith("q=")), 1.0)
        if media in _ACCEPTED and quality > best_quality:
            best, best_quality = _ACCEPTED[media], quality
    return best


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def render(table: Table, form: Format) -> bytes:
    """`table` in one of the formats that are not JSON. Takes its time: call it in a thread."""
    flat = {name: (kind, _without_objects(kind, values)) for name, (kind, values) in table.items()}
    if form is Format.CSV:
        return _csv(flat)
    if form is Format.XLSX:
        return workbook({"Sheet1": flat})
    # Heavy, and most requests need neither.
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {
        bool: pa.bool_(), int: pa.int32(), float: pa.float64(), date: pa.date32(), datetime: pa.timestamp("us", "UTC")
    }  # fmt: skip
    arrow = pa.table({name: pa.array(values, types.get(kind, pa.string())) for name, (kind, values) in flat.items()})
    sink = io.BytesIO()
    if form is Format.ARROW:
        with pa.ipc.new_stream(sink, arrow.schema) as writer:
            writer.write_table(arrow)
    else:
        pq.write_table(arrow, sink, compression="zstd")
    return sink.getvalue()


def _without_objects(kind: type, values: Sequence[Any]) -> Sequence[Any]:
    """Lists and objects as JSON text."""
    return _each(json.dumps, values) if kind in (list, dict) else values


def _each(convert: Callable[[Any], str], values: Sequence[Any]) -> list[str | None]:
    return [None if value is None else convert(value) for value in values]


def _csv(table: Table) -> bytes:
    text = io.StringIO()
    # With "\n" the standard library would leave a lone "\r" unquoted, which ends a row for a spreadsheet.
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(table)
    rows = zip(*(_cells(kind, values) for kind, values in table.values()), strict=True)
    # In parts, as one call would keep every other thread waiting until its end.
    while part := list(islice(rows, _CSV_PART)):
        writer.writerows(part)
    return text.getvalue().encode()


def _cells(kind: type, values: Sequence[Any]) -> Sequence[Any]:
    convert = _TEXTS.get(kind)
    return values if convert is None else _each(convert, values)


def workbook(sheets: Mapping[str, Table]) -> bytes:
    """Tables by the names of their sheets as one Excel workbook. Takes its time: call it in a thread."""
    # Only asked for by people, a few times a day.
    import xlsxwriter

    sink = io.BytesIO()
    options = {"in_memory": True, "remove_timezone": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(sink, options) as book:
        # The time of writing would make two files of the same rows differ.
        book.set_properties({"created": _NO_TIME})
        head = book.add_format({"bold": True})
        styles = {kind: book.add_format({"num_format": style}) for kind, style in _CELL_STYLES.items()}
        for title, table in sheets.items():
            sheet = book.add_worksheet(title)
            sheet.write_row(0, 0, table, head)
            sheet.freeze_panes(1, 0)
            for at, (name, (kind, values)) in enumerate(table.items()):
                _require_short(name, values)
                sheet.set_column(at, at, max(len(name), 11) + 1)
                sheet.write_column(1, at, values, styles.get(kind))
    return sink.getvalue()


def _require_short(name: str, values: Sequence[Any]) -> None:
    """422 for a text that a cell has no room for: the library would leave it out."""
    longest = max((len(value) for value in values if isinstance(value, str)), default=0)
    if longest > _LONGEST_CELL:
        raise ProblemError(
            422, f"format: {name} has a text of {longest:,} characters, a cell holds {_LONGEST_CELL:,}; ask for csv"
        )


_LONGEST_CELL = 32_767
_CSV_PART = 1000
_NO_TIME = datetime(2000, 1, 1)
_CELL_STYLES: Mapping[type, str] = {date: "yyyy-mm-dd", datetime: "yyyy-mm-dd hh:mm:ss", float: "#,##0.00"}

_TEXTS: Mapping[type, Callable[[Any], str]] = {
    datetime: utc_text,
    date: date.isoformat,
    bool: lambda value: str(value).lower(),
    # Ids, reasons and authors are free text.
    str: no_formula,
}
