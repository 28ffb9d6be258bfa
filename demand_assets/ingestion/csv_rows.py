"""Rows of a CSV as Arrow columns, and the lines they stand in."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from demand_assets.errors import SchemaError
from demand_assets.ingestion.dialect import CsvText, line_feeds, short
from demand_assets.ingestion.source import SAMPLE_ROWS, ColumnType
from demand_assets.ingestion.values import (
    CANONICAL_ID,
    FALSE,
    FIRST_DAY,
    LAST_DAY,
    NULLS,
    TRUE,
    convert,
    number_pattern,
)

# A whole file of this size is parsed for its sample; of larger ones, the start and this many places.
_SMALL, _PLACES = 1 << 21, 16
_BLOCK = 1 << 20
# Rows of a sample that are enough to choose the way of reading.
_LOOKS = 500
# Fits the cache of a core, which makes the search for padding twice as fast as with 1 MiB.
_SCAN = 1 << 17
_TYPES = {"id": pa.int64(), "number": pa.float64(), "date": pa.date32(), "flag": pa.bool_(), "text": pa.string()}


@dataclass(frozen=True)
class Ragged:
    """A row with a wrong number of fields: its 0-based place among the rows of the file."""

    row: int
    fields: int
    text: str


def sample(table: CsvText) -> tuple[pa.Table, int | None]:
    """Up to SAMPLE_ROWS rows as text, and how many rows there are if all were parsed. Ragged rows are left out.

    SchemaError when no row has as many fields as the header.
    """
    body = memoryview(table.text)[table.body : table.end]
    if not len(body):
        raise SchemaError(f"{table.name} has a header and no rows; expected at least one row below {_listed(table)}")
    pieces = [body] if len(body) <= _SMALL else list(_places(table, body))
    ragged: list[Ragged] = []
    try:
        read = [_parse(table, piece, strings=True, ragged=ragged) for piece in pieces]
    except pa.ArrowInvalid as error:
        raise _unreadable(table, error) from None
    rows = pa.concat_tables(read)
    if not rows.num_rows and ragged:
        raise ragged_error(table, ragged[0])
    whole = rows.num_rows + len(ragged) if len(pieces) == 1 else None
    return thinned(rows.rename_columns(table.names)), whole


def thinned(rows: pa.Table) -> pa.Table:
    """At most SAMPLE_ROWS rows: the start, then rows spread over the rest."""
    if rows.num_rows <= SAMPLE_ROWS:
        return rows
    half = SAMPLE_ROWS // 2
    spread = np.linspace(half, rows.num_rows - 1, SAMPLE_ROWS - half).astype(np.int64)
    return rows.take(np.concatenate([np.arange(half), spread]))


def typed(
    table: CsvText, columns: Mapping[str, ColumnType], sampled: pa.Table, *, padded: bool = False
) -> pa.Table | None:
    """The columns, straight from bytes where the common way of writing allows; None where only `texts` can tell.

    `sampled` has rows of the table as text: what Arrow can parse is decided by it, and proved by the parsing. `padded`:
    digits may stand behind a zero, so ids are read as text.
    """
    kinds = {position: columns[name] for position, name in wanted(table, columns).items()}
    points = [kind.decimal for kind in kinds.values() if kind.content == "number" and not kind.thousands]
    point = points[0] if points else "."
    padded = padded or _has_padding(table, blocks=1)
    looked = sampled.take(np.linspace(0, sampled.num_rows - 1, min(sampled.num_rows, _LOOKS)).astype(np.int64))
    direct = {
        position
        for position, kind in kinds.items()
        if _is_direct(kind, point) and _looks_plain(looked[position], kind) and not (padded and kind.content == "id")
    }
    types = {p: _TYPES[kind.content] if p in direct else _text_type(kind) for p, kind in kinds.items()}
    # Beside the parsing, which does not hold Python's lock.
    with ThreadPoolExecutor(1) as pool:
        searched = pool.submit(_has_padding, table) if any(kinds[p].content == "id" for p in direct) else None
        try:
            rows = _parse(table, None, types=types, point=point)
        except pa.ArrowInvalid:
            return None
        if searched and searched.result():
            return typed(table, columns, sampled, padded=True)
    return _finished(table, rows, kinds, direct)


def texts(table: CsvText, columns: Mapping[str, ColumnType]) -> tuple[pa.Table, list[Ragged]]:
    """The columns as text, as written; ids, dates and flags dictionary-encoded. Without ragged rows, which come apart.

    SchemaError for what is no CSV after all.
    """
    kinds = {position: columns[name] for position, name in wanted(table, columns).items()}
    types = {position: _text_type(kind) for position, kind in kinds.items()}
    ragged: list[Ragged] = []
    try:
        try:
            rows = _parse(table, None, types=types, strings=True)
        except pa.ArrowInvalid:
            rows = _parse(table, None, types=types, strings=True, ragged=ragged)
    except pa.ArrowInvalid as error:
        raise _unreadable(table, error) from None
    return rows.rename_columns([table.names[position] for position in kinds]), ragged


def _unreadable(table: CsvText, error: pa.ArrowInvalid) -> SchemaError:
    """Why a CSV cannot be parsed: a row longer than a block, with its line, or what Arrow says."""
    found = next(((line, size) for line, size in _sizes(table) if size > _BLOCK), None)
    if found is None:
        return SchemaError(f"{table.name} cannot be read as CSV: {short(str(error))}; save it as CSV (UTF-8)")
    return SchemaError(
        f"{table.name} line {found[0]}: the row has {found[1]:,} characters, expected up to {_BLOCK:,}; "
        "close its quotes or shorten it, and land the file again"
    )


def wanted(table: CsvText, columns: Mapping[str, ColumnType]) -> dict[int, str]:
    """Position -> header of the columns asked for, in file order. SchemaError for one that is absent or there twice."""
    if lacking := [name for name in columns if name not in table.names]:
        raise SchemaError(f"{table.name} lacks {', '.join(lacking)}; has {_listed(table)}")
    if twice := [name for name in columns if table.names.count(name) > 1]:
        raise SchemaError(f"{table.name} names {', '.join(twice)} more than once; rename one of them")
    return {position: name for position, name in enumerate(table.names) if name in columns}


def ragged_error(table: CsvText, row: Ragged) -> SchemaError:
    """What is said of a row with a wrong number of fields."""
    line = lines(table, [row.row])[0]
    return SchemaError(f"{table.name} line {line}: {field_count(table, row)}")


def field_count(table: CsvText, row: Ragged) -> str:
    """How many fields a ragged row has, and how many it should have."""
    hint = " (a trailing comma?)" if row.fields == len(table.names) + 1 else ""
    return (
        f"has {row.fields} field{'' if row.fields == 1 else 's'}{hint}, expected {len(table.names)}: {_listed(table)}"
    )


def lines(table: CsvText, rows: Sequence[int] | NDArray[np.integer[Any]]) -> list[int]:
    """1-based lines of the file in which these 0-based rows begin; `rows` ascend. Blank lines are lines and no rows."""
    if not len(rows):
        return []
    if table.quote:
        return list(_quoted_lines(table, rows))
    text = line_feeds(table.text)
    body = np.frombuffer(text, dtype=np.uint8)[table.body :]
    ends = np.flatnonzero(body == 10)
    starts = np.concatenate([[0], ends + 1])
    filled = np.flatnonzero(np.concatenate([ends, [len(body)]]) > starts)
    return [int(line) + table.first_line for line in filled[np.asarray(rows)]]


def _quoted_lines(table: CsvText, rows: Sequence[int] | NDArray[np.integer[Any]]) -> Iterator[int]:
    reader = _records(table)
    records = filter(None, reader)
    done = 0
    for row in rows:
        # Passes over rows without a step of Python for each.
        next(islice(records, int(row) - done, int(row) - done), None)
        before = reader.line_num
        while not next(reader):
            before = reader.line_num
        done = int(row) + 1
        yield table.first_line + before


def _records(table: CsvText) -> csv._reader:  # type: ignore[name-defined]
    """The rows as the standard library reads them, which counts lines; a field may be as long as the text."""
    csv.field_size_limit(max(csv.field_size_limit(), len(table.text)))
    text = io.TextIOWrapper(io.BytesIO(line_feeds(table.text)[table.body :]), "utf-8", "replace", newline="\n")
    if not table.quote:
        return csv.reader(text, delimiter=table.separator, quoting=csv.QUOTE_NONE)
    return csv.reader(text, delimiter=table.separator, quotechar=table.quote)


def _sizes(table: CsvText) -> Iterator[tuple[int, int]]:
    """The line in which each row begins, and its characters."""
    reader, before = _records(table), 0
    for record in reader:
        yield table.first_line + before, sum(map(len, record)) + len(record)
        before = reader.line_num


def _places(table: CsvText, body: memoryview) -> Iterator[memoryview]:
    """The start of a large body and places spread over it, cut at line ends."""
    size = _SMALL // 2
    yield _cut(body[:size])
    step = (len(body) - size) // _PLACES
    for place in range(1, _PLACES + 1):
        start = size + step * place - (size // _PLACES)
        piece = bytes(body[start : start + size // _PLACES])
        begin = piece.find(b"\n") + 1
        if begin:
            yield _cut(memoryview(piece)[begin:])


def _cut(piece: memoryview) -> memoryview:
    end = bytes(piece).rfind(b"\n")
    return piece[: end + 1] if end >= 0 else piece


def _parse(
    table: CsvText,
    piece: memoryview | None,
    *,
    types: Mapping[int, Any] | None = None,
    point: str = ".",
    strings: bool = False,
    ragged: list[Ragged] | None = None,
) -> pa.Table:
    """Rows of a piece of the body (all of it by default), columns named by position; those in `types` or all as text.

    `strings`: nothing is null. `ragged` takes rows with a wrong number of fields; otherwise they are ArrowInvalid.
    """
    names = [str(position) for position in range(len(table.names))]
    types = types if types is not None else dict.fromkeys(range(len(names)), pa.string())

    def skip(row: pa_csv.InvalidRow) -> str:
        if ragged is not None:
            ragged.append(Ragged((row.number or 1) - 1, row.actual_columns, row.text))
        return "skip"

    return pa_csv.read_csv(
        pa.BufferReader(pa.py_buffer(piece) if piece is not None else pa.py_buffer(table.text).slice(table.body)),
        # Rows are numbered in one thread only.
        read_options=pa_csv.ReadOptions(column_names=names, use_threads=ragged is None, block_size=_BLOCK),
        parse_options=pa_csv.ParseOptions(
            delimiter=table.separator,
            quote_char=table.quote or False,
            newlines_in_values=bool(table.quote),
            invalid_row_handler=skip if ragged is not None else None,
        ),
        convert_options=pa_csv.ConvertOptions(
            include_columns=[str(position) for position in types],
            column_types={str(position): kind for position, kind in types.items()},
            null_values=[] if strings else NULLS,
            strings_can_be_null=not strings,
            true_values=TRUE,
            false_values=FALSE,
            decimal_point=point,
        ),
    )


def _fits(column: Any, kind: ColumnType) -> bool:
    """Whether what Arrow made of a column is what text would give."""
    if kind.content == "text":
        return True
    if kind.content == "number":
        # The sum of finite numbers is finite, and a sum makes no copy.
        return isfinite(pc.sum(column).as_py() or 0.0)
    if column.null_count:
        return kind.may_be_missing
    if kind.content == "id":
        # -07 is a text; Arrow makes it -7.
        return bool(pc.min(column).as_py() >= 0)
    if kind.content == "date":
        ends = pc.min_max(column.cast(pa.int32())).as_py()
        return bool(ends["min"] >= FIRST_DAY and ends["max"] <= LAST_DAY)
    return True


def _finished(
    table: CsvText, rows: pa.Table, kinds: Mapping[int, ColumnType], direct: Collection[int]
) -> pa.Table | None:
    """Columns that were read as text converted and the others proved; None when a value is wrong."""
    done: dict[str, Any] = {}
    for position, kind in kinds.items():
        column = rows.column(str(position))
        if position not in direct:
            column, wrong = convert(column, kind)
            if wrong.any():
                return None
        elif not _fits(column, kind):
            return None
        done[table.names[position]] = column
    return pa.table(done)


def _is_direct(kind: ColumnType, point: str) -> bool:
    """Whether Arrow parses this way of writing; it takes one decimal mark for all columns."""
    if kind.content == "number":
        return not kind.thousands and kind.decimal == point
    return not kind.date_format


def _text_type(kind: ColumnType) -> Any:
    """Text, of few distinct values where the content has few."""
    return pa.dictionary(pa.int32(), pa.string()) if kind.content in ("id", "date", "flag") else pa.string()


def _looks_plain(column: Any, kind: ColumnType) -> bool:
    """Whether a sample of a column is written as Arrow takes it."""
    if kind.content in ("text", "flag"):
        return True
    pattern = {"id": CANONICAL_ID, "date": r"^\d{4}-\d\d-\d\d$"}.get(kind.content, number_pattern(kind.decimal, ""))
    fits = pc.match_substring_regex(column, pattern)
    if kind.content == "number":
        fits = pc.or_(fits, pc.is_in(column, pa.array(NULLS)))
    return bool(pc.all(fits).as_py())


def _has_padding(table: CsvText, blocks: int | None = None) -> bool:
    """Whether a field may begin with a zero before other digits, which Arrow would drop from an integer."""
    text = np.frombuffer(table.text, dtype=np.uint8)[max(table.body - 1, 0) :]
    starts = range(0, len(text), _SCAN)[:blocks]
    return any(_is_padded(text[start : start + _SCAN + 2], ord(table.separator)) for start in starts)


def _is_padded(text: NDArray[np.uint8], separator: int) -> bool:
    # A comma, and all that opens a field beside separators: line ends, quotes, spaces.
    opens = text[:-2] <= ord(",")
    if separator > ord(","):
        opens |= text[:-2] == separator
    opens &= text[1:-1] == ord("0")
    if not opens.any():
        return False
    after = text[2:][opens]
    # x: Arrow reads hexadecimal.
    return bool((((after >= ord("0")) & (after <= ord("9"))) | (after == ord("x")) | (after == ord("X"))).any())


def _listed(table: CsvText) -> str:
    return ", ".join(name or "(no name)" for name in table.names)
