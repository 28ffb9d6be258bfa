"""Several tables as one Excel workbook."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from functools import partial
from itertools import chain, count
from typing import Any

from fastapi import APIRouter, Response

from api.bodies import Cell, NewSheet, NewWorkbook
from api.formats import MEDIA_TYPES, Format, Table, workbook
from api.parameters import NO_PARAMETERS
from api.problems import problem_responses
from api.service import ServiceDep

router = APIRouter(prefix="/v1", tags=["Data"])

_LONGEST_NAME = 31
# Excel also takes no name that begins or ends with an apostrophe, and keeps "History" for itself.
_NOT_IN_NAMES = re.compile(r"[\[\]:*?/\\\x00-\x1f\x7f]+")
_DATE = re.compile(r"[0-9]{4}-[01][0-9]-[0-3][0-9]")
_XLSX: dict[str, Any] = {MEDIA_TYPES[Format.XLSX]: {"schema": {"type": "string", "format": "binary"}}}


@router.post(
    "/workbooks",
    summary="Tables as one Excel workbook",
    response_class=Response,
    responses={200: {"content": _XLSX, "description": "The workbook."}, **problem_responses(413)},
    dependencies=[NO_PARAMETERS],
)
async def make_workbook(service: ServiceDep, wanted: NewWorkbook) -> Response:
    """A sheet per table, in their order, as a page of the dashboard shows them; nothing is stored.

    A text is never a formula. A column whose texts are all dates YYYY-MM-DD is one of dates.
    """
    sheets = dict(zip(_names([each.name for each in wanted.sheets]), map(_table, wanted.sheets), strict=True))
    content = await service.in_thread(partial(workbook, sheets))
    headers = {"Content-Disposition": 'attachment; filename="tables.xlsx"', "Cache-Control": "no-store"}
    return Response(content, headers=headers, media_type=MEDIA_TYPES[Format.XLSX])


def _names(wanted: Sequence[str]) -> list[str]:
    """Names that Excel takes, no two alike in any case."""
    made: dict[str, str] = {"history": ""}
    for text in wanted:
        plain = _NOT_IN_NAMES.sub(" ", text).strip(" '")[:_LONGEST_NAME].rstrip(" '") or "Table"
        numbered = (_cut(plain, f" ({number})") for number in count(2))
        name = next(each for each in chain([plain], numbered) if each.casefold() not in made)
        made[name.casefold()] = name
    return list(made.values())[1:]


def _cut(text: str, ending: str) -> str:
    return text[: _LONGEST_NAME - len(ending)] + ending


def _table(sheet: NewSheet) -> Table:
    """Columns by name; one that is there twice has its number behind it, so that none is lost."""
    columns: dict[str, tuple[type, Sequence[Any]]] = {}
    for number, column in enumerate(sheet.columns, start=1):
        name = column.name if column.name not in columns else f"{column.name} ({number})"
        columns[name] = _typed(column.values)
    return columns


def _typed(values: Sequence[Cell]) -> tuple[type, Sequence[Any]]:
    """Values and their type: whole numbers are shown without decimals, texts that are all dates are dates."""
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, str) and _DATE.fullmatch(value) for value in known):
        try:
            return date, [None if value is None else date.fromisoformat(str(value)) for value in values]
        except ValueError:  # a day that the calendar does not have is a text
            return str, values
    return (float if any(isinstance(value, float) and not value.is_integer() for value in known) else str), values
