"""Tables as CSV, Arrow and Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from api.serialization import utc_text
from demand_assets.contract.spreadsheet import no_formula


class Format(StrEnum):
    """Formats a list is answered in."""

    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"
    PARQUET = "parquet"


MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv; charset=utf-8",
    Format.ARROW: "application/vnd.apache.arrow.stream",
    Format.PARQUET: "application/vnd.apache.parquet",
}
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
    writer.writerows(zip(*(_cells(kind, values) for kind, values in table.values()), strict=True))
    return text.getvalue().encode()


def _cells(kind: type, values: Sequence[Any]) -> Sequence[Any]:
    convert = _TEXTS.get(kind)
    return values if convert is None else _each(convert, values)


_TEXTS: Mapping[type, Callable[[Any], str]] = {
    datetime: utc_text,
    date: date.isoformat,
    bool: lambda value: str(value).lower(),
    # Ids, reasons and authors are free text.
    str: no_formula,
}
