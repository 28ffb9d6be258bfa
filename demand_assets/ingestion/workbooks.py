"""Sheets of an Excel workbook as Arrow tables."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from demand_assets.errors import SchemaError

# A header is looked for in this many rows: titles and dates of a report come above it.
_HEADER_ROWS = 50


@dataclass(frozen=True, eq=False)
class Sheet:
    """A sheet with a header and rows: (n,) 1-based `rows` of the sheet, of each row of `table`."""

    name: str
    table: pa.Table
    rows: NDArray[np.int64]


def sheets(name: str, data: bytes, only: str = "") -> list[Sheet]:
    """The sheets of a workbook that hold a table, or one of them. SchemaError when the workbook cannot be opened."""
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(data)) as workbook:
            wanted = [only] if only else workbook.sheet_names
            found = [_sheet(sheet, workbook.get_sheet_by_name(sheet)) for sheet in wanted]
    except PasswordError:
        raise SchemaError(f"{name} is encrypted; save it without a password") from None
    except CalamineError as error:
        raise SchemaError(f"{name} cannot be read as Excel ({error}); save it as xlsx or CSV (UTF-8)") from None
    return [sheet for sheet in found if sheet is not None]


def _sheet(name: str, sheet: Any) -> Sheet | None:
    cells = sheet.to_python()
    header = _header(cells)
    if header is None:
        return None
    rows = [(row, cells[row]) for row in range(header + 1, len(cells)) if any(cell != "" for cell in cells[row])]
    if not rows:
        return None
    first_row = (sheet.start or (0, 0))[0]
    columns = [_column(values) for values in zip(*(cells for _, cells in rows), strict=True)]
    names = [_text(cell).strip() for cell in cells[header]]
    numbers = np.array([row for row, _ in rows]) + first_row + 1
    return Sheet(name, pa.Table.from_arrays(columns, names), numbers)


def _header(cells: Sequence[Sequence[Any]]) -> int | None:
    """The first row that is as wide as the table and holds text first; titles above it are narrower."""
    widths = [sum(cell != "" for cell in row) for row in cells[:_HEADER_ROWS]]
    wide = max(widths, default=0)
    for row, width in enumerate(widths):
        if width and width >= wide - 1 and any(isinstance(cell, str) and cell for cell in cells[row]):
            named = [cell for cell in cells[row] if cell != ""]
            return row if sum(isinstance(cell, str) for cell in named) * 2 >= len(named) or _is_wide(named) else None
    return None


def _is_wide(named: Sequence[Any]) -> bool:
    """Whether a header names a column per date."""
    return isinstance(named[0], str) and all(isinstance(cell, date) for cell in named[-2:])


def _column(values: Sequence[Any]) -> Any:
    """The values of a column as the one type they share, or as text; an empty cell is missing."""
    present = {type(value) for value in values if value != ""}
    if present and present <= {int, float}:
        return pa.array([None if value == "" else float(value) for value in values], pa.float64())
    if present == {date}:
        return pa.array([None if value == "" else value for value in values], pa.date32())
    if present and present <= {date, datetime}:
        # A date is a datetime's superclass, not one.
        return pa.array([None if value == "" else datetime.fromisoformat(str(value)) for value in values])
    if present == {bool}:
        return pa.array([None if value == "" else value for value in values], pa.bool_())
    return pa.array([None if value == "" else _text(value) for value in values], pa.string())


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    return value.isoformat() if isinstance(value, date | time) else str(value)
