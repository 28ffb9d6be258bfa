"""Rows as CSV, Arrow and Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Boolean, Date, DateTime, Float, Integer
from sqlalchemy.types import JSON, TypeEngine

from api.rows import moment


class Format(StrEnum):
    """Forms a list is answered in."""

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
_ACCEPTED = {
    "application/json": Format.JSON,
    "text/csv": Format.CSV,
    "application/vnd.apache.arrow.stream": Format.ARROW,
    "application/vnd.apache.parquet": Format.PARQUET,
}
Columns = Mapping[str, tuple[TypeEngine[Any], Sequence[Any]]]


def accepted(header: str | None) -> Format:
    """The form that an Accept header likes best; JSON where it names none of them."""
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


def render(columns: Columns, form: Format) -> bytes:
    """A table of named, typed columns in one of the forms that are not JSON. Takes its time: call it in a thread."""
    if form is Format.CSV:
        return _csv(columns)
    import pyarrow as pa

    table = pa.table({name: pa.array(_plain(values, kind), _arrow(kind)) for name, (kind, values) in columns.items()})
    sink = io.BytesIO()
    if form is Format.ARROW:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    else:
        import pyarrow.parquet as pq

        pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _plain(values: Sequence[Any], kind: TypeEngine[Any]) -> Sequence[Any]:
    if isinstance(kind, JSON):
        return [None if value is None else json.dumps(value) for value in values]
    return values


def _arrow(kind: TypeEngine[Any]) -> Any:
    import pyarrow as pa

    kind = getattr(kind, "impl", kind)  # UtcDateTime is a DateTime
    if isinstance(kind, Boolean):
        return pa.bool_()
    if isinstance(kind, Integer):
        return pa.int32()
    if isinstance(kind, Float):
        return pa.float64()
    if isinstance(kind, DateTime):
        return pa.timestamp("us", tz="UTC")
    if isinstance(kind, Date):
        return pa.date32()
    return pa.string()


def _csv(columns: Columns) -> bytes:
    text = io.StringIO()
    # With "\n" the standard library would leave a lone "\r" unquoted, which ends a row for a spreadsheet.
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(zip(*(_texts(values, kind) for kind, values in columns.values()), strict=True))
    return text.getvalue().encode()


def _texts(values: Sequence[Any], kind: TypeEngine[Any]) -> Sequence[Any]:
    values = _plain(values, kind)
    kind = getattr(kind, "impl", kind)
    if isinstance(kind, DateTime):
        return [moment(value) if isinstance(value, datetime) else value for value in values]
    if isinstance(kind, Date):
        return [value.isoformat() if isinstance(value, date) else value for value in values]
    if isinstance(kind, Boolean):
        return [str(value).lower() if isinstance(value, bool) else value for value in values]
    if isinstance(kind, (Integer, Float)):
        return values
    return [_no_formula(value) if isinstance(value, str) else value for value in values]


def _no_formula(text: str) -> str:
    """A spreadsheet runs a cell that starts like a formula; a reason or an author is free text."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
