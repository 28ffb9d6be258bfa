"""Files of planners' numbers: CSV, what is pasted from a spreadsheet, Excel, JSON -> rows of texts and numbers."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

from api.problems import ProblemError
from demand_assets.contract.spreadsheet import no_formula

MOST_ROWS = 10_000
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MEDIA_TYPES = ("application/json", "text/csv", "text/tab-separated-values", XLSX)
# What people call the columns; what an export calls them comes first.
_COLUMNS = {
    "store_id": ("store_id", "store"),
    "dept_id": ("dept_id", "department", "dept"),
    "week": ("week", "target_week", "date"),
    "override": ("override", "number", "final", "quantity"),
    "change_percent": ("change_percent", "percent"),
    "reason": ("reason",),
    "reason_code": ("reason_code", "code"),
    "expires_at": ("expires_at",),
    "version": ("version",),
}
_PERCENT = re.compile(r"([+-]?[0-9]+(?:[.,][0-9]+)?) ?%")
_NUMBER = re.compile(r"[+-]?[0-9]+[.,][0-9]+|[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
# Thousands in groups, by commas or by points; and what may be either one group of them or a decimal comma.
_GROUPED = re.compile(
    r"[+-]?[1-9][0-9]{0,2}(?:(?:,[0-9]{3})+\.[0-9]+|(?:\.[0-9]{3})+,[0-9]+|(?:,[0-9]{3}){2,}|(?:\.[0-9]{3}){2,})"
)
_EITHER = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
WITHDRAW = "withdraw"

Row = Mapping[str, Any]


def rows_of(content: bytes, media_type: str) -> list[tuple[int, Row]]:
    """(line, row) of each row that has a number, a change in percent or the word `withdraw`; the first line is 1.

    A row with neither is one of an export that nobody has changed. ProblemError for what is no table, lacks a column
    or has more than MOST_ROWS rows.
    """
    media_type = media_type.partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        raise ProblemError(415, f"expected a body of type {', '.join(MEDIA_TYPES)}, got {media_type or 'none'}")
    if media_type == "application/json":
        return _bounded(list(enumerate(_items(content), start=1)))
    table = _sheet(content) if media_type == XLSX else _separated(content)
    header, *lines = table or [[]]
    places = _places([str(name).strip().lower() for name in header])
    rows = [
        (line, {name: _value(name, row[at]) for name, at in places.items() if at < len(row)})
        for line, row in enumerate(lines, start=2)
    ]
    return _bounded([(line, _with_number(row)) for line, row in rows if _has_number(row)])


def _bounded(rows: list[tuple[int, Row]]) -> list[tuple[int, Row]]:
    if not rows:
        raise ProblemError(422, "expected a number in at least one row, got none", errors=[])
    if len(rows) > MOST_ROWS:
        raise ProblemError(413, f"expected at most {MOST_ROWS:,} rows with a number, got {len(rows):,}")
    return rows


def _items(content: bytes) -> Sequence[Row]:
    try:
        body = json.loads(content)
    except ValueError as error:
        raise ProblemError(422, f"the body is not JSON: {error}", errors=[]) from None
    items = body.get("items") if isinstance(body, dict) else None
    if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
        raise ProblemError(422, 'expected {"items": [{...}, ...]}', errors=[])
    return items


def _separated(content: bytes) -> list[Sequence[Any]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProblemError(422, f"expected text in UTF-8, got another byte at {error.start}", errors=[]) from None
    first = text.partition("\n")[0]
    separator = max(";\t,", key=first.count)
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise ProblemError(422, f"the table cannot be read: {error}", errors=[]) from None


def _sheet(content: bytes) -> list[Sequence[Any]]:
    # Loaded for the first workbook only.
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        return list(CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python())
    except (CalamineError, OSError, ValueError) as error:
        raise ProblemError(422, f"the workbook cannot be read: {error}", errors=[]) from None


def _places(header: Sequence[str]) -> dict[str, int]:
    """Column -> its place in the header."""
    found = {
        name: next(header.index(spelling) for spelling in spellings if spelling in header)
        for name, spellings in _COLUMNS.items()
        if set(spellings) & set(header)
    }
    missing = [name for name in ("store_id", "dept_id", "week") if name not in found]
    if not {"override", "change_percent"} & set(found):
        missing.append("override")
    if missing:
        shown = ", ".join(header[:12]) or "none"
        raise ProblemError(422, f"the table has no column {', '.join(missing)}; its columns are {shown}", errors=[])
    return found


def _value(name: str, cell: Any) -> Any:
    """A cell as JSON would have it: ids and dates as text, None for an empty one."""
    if isinstance(cell, str):
        cell = cell.strip()
    if cell == "" or cell is None:
        return None
    if isinstance(cell, datetime) and (name == "week" or cell.time() == time(0)):
        cell = cell.date()
    if isinstance(cell, date):
        return cell.isoformat()
    if name in ("store_id", "dept_id", "reason", "reason_code"):
        if isinstance(cell, str) and cell[:1] == "'" and no_formula(cell[1:]) == cell:
            return cell[1:]  # an export puts it before what a spreadsheet would run
        # A spreadsheet has no whole numbers, and an id is never 1.0.
        return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
    if name in ("override", "change_percent", "version") and isinstance(cell, str):
        return _number(cell)
    return int(cell) if name == "version" and isinstance(cell, float) and cell.is_integer() else cell


def _number(text: str) -> Any:
    """12.5 of "12.5" and "12,5", 1234.5 of "1,234.5" and "1.234,5"; else the text as it is, as of "1,234"."""
    if _GROUPED.fullmatch(text):
        mark = max(text.rfind("."), text.rfind(",")) if {".", ","} <= set(text) else len(text)
        text = text[:mark].replace(",", "").replace(".", "") + "." + text[mark + 1 :]
    elif _EITHER.fullmatch(text) or not _NUMBER.fullmatch(text):
        return text
    number = float(text.replace(",", "."))
    return int(number) if number.is_integer() else number


def _has_number(row: Row) -> bool:
    return row.get("override") is not None or row.get("change_percent") is not None


def _with_number(row: Row) -> Row:
    """`+10%` in place of a number is a change in percent; the word `withdraw` withdraws."""
    given = row.get("override")
    if not isinstance(given, str):
        return row
    if given.lower() == WITHDRAW:
        return {**row, "override": None}
    changed = _PERCENT.fullmatch(given)
    if changed is None:
        return row
    return {**row, "override": None, "change_percent": float(changed[1].replace(",", "."))}
