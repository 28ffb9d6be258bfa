"""Bytes of a landed file to its tables, and tables to typed columns, or one line that says what is wrong. Pure.

`sources` finds the tables of a file, `read` reads one. Content tells what a file is, not its name.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json as pa_json
import pyarrow.parquet as pq
from numpy.typing import NDArray

from demand_assets.errors import SchemaError
from demand_assets.ingestion import csv_rows
from demand_assets.ingestion.delivery import LandedFile
from demand_assets.ingestion.dialect import CsvText, dialect_of, open_csv, short
from demand_assets.ingestion.json_lines import first_fault
from demand_assets.ingestion.marks import date_formats, number_marks
from demand_assets.ingestion.source import ColumnType, Dialect, Source
from demand_assets.ingestion.unpacking import form_of, is_table_name, unpacked
from demand_assets.ingestion.values import NULLS, convert, expected, texts
from demand_assets.ingestion.workbooks import sheets

__all__ = ["Fault", "date_formats", "lines_of", "number_marks", "read", "read_or_collect", "sources"]


@dataclass(frozen=True)
class Fault:
    """A value that is not what its column holds: the 1-based line (row of a sheet or Parquet file), header and text.

    A row with a wrong number of fields has no `column`; `value` is the row and `expected` says how many it has.
    """

    line: int
    column: str
    value: str
    expected: str


def sources(file: LandedFile, data: bytes) -> list[Source]:
    """The tables of a landed file, at least one: the file, the members of an archive, the sheets of a workbook.

    `data` is the file as stored or unpacked. SchemaError, one line, for what is no table with a header and rows, for
    encrypted and damaged files; members of an archive that are neither called a table nor are one are passed over.
    """
    found: list[Source] = []
    for member, content in unpacked(file.name, data):
        try:
            found.extend(_sources(file, member, content))
        except SchemaError:
            if not member or is_table_name(member):
                raise
    if not found:
        raise SchemaError(f"{file.name} holds no table with a header and rows; land CSV, Excel, Parquet or JSON lines")
    return found


def read(source: Source, data: bytes, columns: Mapping[str, ColumnType]) -> pa.Table:
    """The columns of a source as typed, all rows, in file order. `data` as `sources` had it.

    SchemaError for columns that are absent or there twice, and for the first value or row that is wrong, with its line.
    """
    opened = _open(source, data, columns)
    if isinstance(opened, CsvText) and (table := csv_rows.typed(opened, columns, source.sample)) is not None:
        return table
    table, faults = _collect(opened, source, columns, all_faults=False)
    if faults:
        raise SchemaError(_message(source, faults[0]))
    return table


def read_or_collect(source: Source, data: bytes, columns: Mapping[str, ColumnType]) -> tuple[pa.Table, list[Fault]]:
    """As `read`, less the rows that are wrong; what is wrong in them, by line. Costs more only if there are any."""
    opened = _open(source, data, columns)
    if isinstance(opened, CsvText) and (table := csv_rows.typed(opened, columns, source.sample)) is not None:
        return table, []
    return _collect(opened, source, columns, all_faults=True)


def lines_of(source: Source, data: bytes, rows: Sequence[int] | NDArray[np.integer[Any]]) -> list[int]:
    """The 1-based lines of the file (rows of the sheet, rows of Parquet) in which these 0-based data rows begin."""
    distinct, place = np.unique(np.asarray(rows, dtype=np.int64), return_inverse=True)
    return [int(line) for line in np.array(_lines(_open(source, data), distinct), dtype=np.int64)[place]]


@dataclass(frozen=True, eq=False)
class _Typed:
    """A table that brings its own types; (n,) 1-based `lines` of its rows."""

    table: pa.Table
    lines: NDArray[np.int64]


def _sources(file: LandedFile, member: str, content: bytes) -> Iterator[Source]:
    name = f"{file.name}: {member}" if member else file.name
    form = form_of(name, content)
    if form == "csv":
        dialect = dialect_of(name, content)
        rows, count = csv_rows.sample(open_csv(name, content, dialect))
        yield Source(file, member, dialect, rows, count)
    elif form == "excel":
        for sheet in sheets(name, content):
            part = f"{member}: {sheet.name}" if member else sheet.name
            yield Source(file, part, Dialect("excel"), _spread(sheet.table), sheet.table.num_rows)
    else:
        table = _parquet(name, content) if form == "parquet" else _json(name, content)
        if not table.num_rows:
            raise SchemaError(f"{name} has no rows; expected at least one row of {', '.join(table.column_names)}")
        yield Source(file, member, Dialect(form), _spread(table), table.num_rows)


def _open(source: Source, data: bytes, wanted: Collection[str] | None = None) -> CsvText | _Typed:
    member, content = next(unpacked(source.file.name, data, source.part))
    form = source.dialect.form
    if form == "csv":
        return open_csv(source.name, content, source.dialect)
    if form == "excel":
        sheet = sheets(source.name, content, source.part.removeprefix(f"{member}: ") if member else source.part)[0]
        return _Typed(sheet.table, sheet.rows)
    if form == "parquet":
        table = _parquet(source.name, content, wanted)
        return _Typed(table, np.arange(1, table.num_rows + 1))
    ends = np.flatnonzero(np.frombuffer(content, np.uint8) == 10)
    lengths = np.diff(np.concatenate([[-1], ends, [len(content)]])) - 1
    return _Typed(_json(source.name, content), np.flatnonzero(lengths > 0) + 1)


def _spread(table: pa.Table) -> pa.Table:
    return csv_rows.thinned(table.rename_columns([name.strip() for name in table.column_names]))


def _parquet(name: str, content: bytes, wanted: Collection[str] | None = None) -> pa.Table:
    """The wanted columns of those that are there, or all."""
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        names = [column for column in file.schema_arrow.names if wanted is None or column.strip() in wanted]
        # All, too, where one is absent: what is there instead is said.
        return file.read(columns=names if len(names) == len(wanted or ()) else None)
    except (pa.ArrowInvalid, OSError) as error:
        raise SchemaError(f"{name} cannot be read as Parquet: {short(str(error))}; land it again") from None


def _json(name: str, content: bytes) -> pa.Table:
    try:
        return pa_json.read_json(io.BytesIO(content.removeprefix(b"\xef\xbb\xbf")))
    except pa.ArrowInvalid as error:
        reason = first_fault(content) or f"cannot be read as JSON lines: {short(str(error))}"
        raise SchemaError(f"{name} {reason}; write one object a line") from None


def _collect(
    opened: CsvText | _Typed, source: Source, columns: Mapping[str, ColumnType], *, all_faults: bool
) -> tuple[pa.Table, list[Fault]]:
    raw, ragged = (
        csv_rows.texts(opened, columns) if isinstance(opened, CsvText) else (_chosen(source, opened.table, columns), [])
    )
    places = _places(raw.num_rows, ragged)
    converted, bad = {}, np.zeros(raw.num_rows, bool)
    wrong: list[tuple[int, str]] = []
    for name in raw.column_names:
        converted[name], mask = convert(raw.column(name), columns[name])
        bad |= mask
        rows = np.flatnonzero(mask)
        wrong.extend((int(row), name) for row in (rows if all_faults else rows[:1]))
    faults = _faults(opened, columns, raw, places, wrong, ragged)
    if not bad.any():
        return pa.table(converted), faults
    if all_faults:
        good = pa.array(~bad)
        kept = raw.filter(good)
        converted = {name: convert(kept.column(name), columns[name])[0] for name in raw.column_names}
    return pa.table(converted), faults


def _chosen(source: Source, table: pa.Table, columns: Mapping[str, ColumnType]) -> pa.Table:
    names = [name.strip() for name in table.column_names]
    if lacking := [name for name in columns if name not in names]:
        raise SchemaError(f"{source.name} lacks {', '.join(lacking)}; has {', '.join(names)}")
    if twice := [name for name in columns if names.count(name) > 1]:
        raise SchemaError(f"{source.name} names {', '.join(twice)} more than once; rename one of them")
    return table.rename_columns(names).select([name for name in names if name in columns])


def _places(count: int, ragged: list[csv_rows.Ragged]) -> NDArray[np.int64]:
    """The row of the file of each row that is not ragged."""
    return np.delete(np.arange(count + len(ragged)), [row.row for row in ragged])


def _faults(
    opened: CsvText | _Typed,
    columns: Mapping[str, ColumnType],
    raw: pa.Table,
    places: NDArray[np.int64],
    wrong: list[tuple[int, str]],
    ragged: list[csv_rows.Ragged],
) -> list[Fault]:
    if not wrong and not ragged:
        return []
    rows = np.unique([*(places[row] for row, _ in wrong), *(row.row for row in ragged)])
    line = dict(zip(rows.tolist(), _lines(opened, rows), strict=True))
    values = [_text(raw.column(name)[row]) for row, name in wrong]
    faults = [
        Fault(line[int(places[row])], name, value, expected(columns[name], value))
        for (row, name), value in zip(wrong, values, strict=True)
    ]
    if isinstance(opened, CsvText):
        faults += [Fault(line[row.row], "", row.text, csv_rows.field_count(opened, row)) for row in ragged]
    return sorted(faults, key=lambda fault: fault.line)


def _lines(opened: CsvText | _Typed, rows: NDArray[np.int64]) -> list[int]:
    if isinstance(opened, CsvText):
        return csv_rows.lines(opened, rows)
    return [int(line) for line in opened.lines[rows]]


def _text(value: Any) -> str:
    text = texts(pa.array([value.as_py()]))[0].as_py()
    return "" if text is None else text


def _message(source: Source, fault: Fault) -> str:
    if source.dialect.form == "excel":
        *members, sheet = source.part.split(": ")
        where = f'{": ".join([source.file.name, *members])} sheet "{sheet}" row {fault.line}'
    else:
        where = f"{source.name} {'row' if source.dialect.form == 'parquet' else 'line'} {fault.line}"
    if not fault.column:
        return f"{where}: {fault.expected}"
    value = "missing" if fault.value.strip() in NULLS else f'"{short(fault.value, 40)}"'
    return f"{where}: {fault.column} is {value}, expected {fault.expected}"
