"""How the values of a text column are written: the marks of its numbers, the form of its dates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from demand_assets.ingestion.values import NULLS, number_pattern, parse_dates, plain_numbers

# (decimal, thousands), most plausible first. Without a thousands mark before those with: a mark is claimed only where
# it is seen. A point or comma before three digits alone comes last, see `number_marks`.
_MARKS = ((".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))
_GROUPS = {".": r"^[+-]?[1-9]\d{0,2}(?:\.\d{3})+$", ",": r"^[+-]?[1-9]\d{0,2}(?:,\d{3})+$"}
# Day before month, so that the form most of the world writes comes first where both fit.
_DATE_FORMATS = (
    "",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y%m%d",
    *(f"%d{mark}%m{mark}%Y" for mark in "/-."),
    *(f"%m{mark}%d{mark}%Y" for mark in "/-"),
    *(f"%d{mark}%m{mark}%y" for mark in "/-."),
    *(f"%m{mark}%d{mark}%y" for mark in "/-"),
    *(f"%d{mark}%{month}{mark}%{year}" for mark in "- " for month in "bB" for year in "Yy"),
)


def number_marks(values: Sequence[str]) -> tuple[str, str] | None:
    """(decimal, thousands) of a sample of texts, or None when they are no numbers; missing values say nothing.

    Where every comma is followed by groups of exactly three digits (`1,234`), it separates thousands: an export
    writes the same digits behind a decimal comma in every row or strips zeros, and only amounts have groups without
    exception. A lone point is the other way round, because `1.234` is how programs write fractions: it separates
    thousands only where it does so twice in a value (`1.234.567`).
    """
    text = _distinct(values)
    if not len(text):
        return None
    # As most are written; nothing need be taken off them.
    if _all(pc.match_substring_regex(text, number_pattern(*_MARKS[0]))):
        return _MARKS[0]
    numbers = plain_numbers(text)
    grouped = pc.match_substring_regex(numbers, _GROUPS[","])
    if pc.any(pc.match_substring(numbers, ",")).as_py() and _only_groups(numbers, grouped):
        return ".", ","
    return next((marks for marks in _MARKS if _all(pc.match_substring_regex(numbers, number_pattern(*marks)))), None)


def date_formats(values: Sequence[str]) -> list[str]:
    """Every strptime format ("" is ISO 8601) that fits each of these texts, with or without a time of day behind it.

    Several where days and months cannot be told apart, day first; none for mixed forms and for no dates.
    """
    text = _distinct(values)
    return [form for form in _DATE_FORMATS if len(text) and not parse_dates(text, form).null_count]


def _distinct(values: Sequence[str]) -> Any:
    text = pc.unique(pc.utf8_trim_whitespace(pa.array(values, pa.string())).drop_null())
    return text.filter(pc.invert(pc.is_in(text, pa.array(NULLS))))


def _only_groups(numbers: Any, grouped: Any) -> bool:
    """Whether each number is whole, and commas in it separate groups."""
    whole = pc.match_substring_regex(numbers, r"^[+-]?\d+$")
    return _all(pc.or_(grouped, whole))


def _all(fits: Any) -> bool:
    return bool(pc.all(fits).as_py())
