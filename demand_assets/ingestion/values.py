"""What the values of a column become: ids, numbers, dates, flags. Vectorised over the distinct values of a column."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from demand_assets.contract.columns import ID_PATTERN, ID_RULE, LONGEST_ID
from demand_assets.ingestion.source import ColumnType

# What says in common exports that there is no value.
NULLS = ("", "NA", "N/A", "NULL", "null", "NaN", "nan", "None", "#N/A", "-")
_TRUE = ("true", "yes", "y", "1", "j", "ja", "oui")
_FALSE = ("false", "no", "n", "0", "nein", "non")
# The same as written; what is written otherwise (yEs) goes the slower way through text.
TRUE, FALSE = ([f(word) for word in words for f in (str, str.upper, str.title)] for words in (_TRUE, _FALSE))
# What nanosecond timestamps can hold, in whole years, as days after 1970-01-01.
FIRST_DAY, LAST_DAY = ((date(*day) - date(1970, 1, 1)).days for day in ((1678, 1, 1), (2261, 12, 31)))
# Day 0 of Excel's calendar, which has a 29 February 1900 that never was.
_EXCEL_EPOCH = (date(1899, 12, 30) - date(1970, 1, 1)).days
CANONICAL_ID = r"^(?:0|-?[1-9]\d{0,17})$"
TIME_OF_DAY = r"[T ]+\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[AaPp][Mm])?(?: ?(?:Z|UTC|[+-]\d{2}:?\d{2}))?$"
_CURRENCY = r"(?:\p{Sc}|CHF|USD|EUR|GBP|JPY|CAD|AUD|SEK|NOK|DKK|PLN|CZK|R\$|kr\.?|zł|Fr\.)"
_SPACES = "[\u00a0\u202f\u2009]"

Parsed = tuple[Any, NDArray[np.bool_]]


def convert(column: pa.ChunkedArray, kind: ColumnType) -> Parsed:
    """A column as `kind`, null where a value is missing or wrong, and an (n,) mask of the rows that are wrong.

    A missing number or text is not wrong; a missing id, date or flag is.
    """
    values = _combined(column)
    if pa.types.is_string(values.type) or pa.types.is_dictionary(values.type):
        return _from_text(values, kind)
    return _from_typed(values, kind)


def expected(kind: ColumnType, value: str) -> str:
    """What a message says that a wrong value should have been."""
    if kind.content == "id":
        return "an id" if value.strip() in NULLS else ID_RULE
    if kind.content == "date":
        return f"a date like {date(2010, 2, 5).strftime(kind.date_format or '%Y-%m-%d')}"
    if kind.content == "number" and (kind.thousands or kind.decimal != "."):
        return f"a number like 1{kind.thousands}234{kind.decimal}5"
    return {"number": "a number", "flag": "TRUE or FALSE", "text": "text"}[kind.content]


def plain_numbers(text: Any) -> Any:
    """Number texts less what does not change them: spaces around, currency, other ways to write a minus."""
    text = pc.utf8_trim_whitespace(pc.replace_substring_regex(text, _SPACES, " "))
    text = pc.replace_substring_regex(text, "\u2212", "-")
    text = pc.replace_substring_regex(text, "\u2019", "'")
    text = pc.replace_substring_regex(text, rf"^([(+-]?)\s*{_CURRENCY}\s*", r"\1")
    text = pc.replace_substring_regex(text, rf"\s*{_CURRENCY}(\)?)$", r"\1")
    # (1.5) in accounts, 1.5- in SAP
    text = pc.replace_substring_regex(text, r"^\((.+)\)$", r"-\1")
    return pc.replace_substring_regex(text, r"^([^-].*)-$", r"-\1")


def number_pattern(decimal: str, thousands: str) -> str:
    """The regular expression of a number with these marks."""
    point, mark = re.escape(decimal), re.escape(thousands)
    # Groups of two before the last three are how India writes lakhs.
    grouped = rf"\d{{1,3}}(?:{mark}\d{{2,3}})*{mark}\d{{3}}|" if thousands else ""
    return rf"^[+-]?(?:(?:{grouped}\d+)(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?$"


def parse_dates(text: Any, date_format: str) -> Any:
    """Date texts as date32, null where they are not of `date_format` (empty: ISO 8601); a time of day is dropped."""
    if not re.search(r"%[HIMSpfzZ]", date_format):
        text = pc.replace_substring_regex(text, TIME_OF_DAY, "")
    days = pc.unique(text)
    if date_format == "%Y%m%d":
        # pandas reads 2010205 as well.
        days = pc.if_else(pc.match_substring_regex(days, r"^\d{8}$"), days, None)
    parsed = pd.to_datetime(days.to_pandas(), format=date_format or "%Y-%m-%d", errors="coerce", exact=True)
    dates = pa.array(parsed.dt.tz_localize(None)).cast(pa.date32(), safe=False)
    return dates.take(pc.index_in(text, days))


def _combined(column: pa.ChunkedArray) -> Any:
    kind = column.type
    if pa.types.is_dictionary(kind) and not pa.types.is_string(kind.value_type):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_null(kind):
        column = column.cast(pa.string())
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    return column.combine_chunks()


def _from_text(values: Any, kind: ColumnType) -> Parsed:
    if kind.content == "text":
        text = values.cast(pa.string())
        return pc.if_else(pc.is_in(text, pa.array(NULLS)), None, text), np.zeros(len(text), bool)
    encoded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    distinct = pc.utf8_trim_whitespace(encoded.dictionary)
    missing = pc.is_in(distinct, pa.array(NULLS))
    parsed = _PARSE[kind.content](pc.if_else(missing, None, distinct), kind)
    wrong = parsed.is_null()
    optional = kind.content == "number" or kind.may_be_missing
    if optional:
        wrong = pc.and_not(wrong, missing)
    taken = parsed.take(encoded.indices)
    wrong_rows = wrong.take(encoded.indices).fill_null(not optional)
    return _ids(taken) if kind.content == "id" else taken, wrong_rows.to_numpy(zero_copy_only=False)


def _from_typed(values: Any, kind: ColumnType) -> Parsed:
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    number = pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_decimal(values.type)
    if kind.content == "number" and (number or pa.types.is_boolean(values.type)):
        return values.cast(pa.float64(), safe=False), np.zeros(len(values), bool)
    if kind.content == "date" and (pa.types.is_date(values.type) or pa.types.is_timestamp(values.type)):
        return _within(values.cast(pa.date32(), safe=False))
    if kind.content == "date" and number and not kind.date_format:
        serial = pc.floor(values.cast(pa.float64())).cast(pa.int32(), safe=False)
        return _within(pc.add(serial, pa.scalar(_EXCEL_EPOCH, pa.int32())).cast(pa.date32()))
    if kind.content == "flag" and pa.types.is_boolean(values.type):
        wrong = values.is_null().to_numpy(zero_copy_only=False)
        return values, np.zeros(len(values), bool) if kind.may_be_missing else wrong
    return _from_text(texts(values), kind)


def texts(values: Any) -> Any:
    """Typed values as people write them: whole floats without a decimal point, dates in ISO form."""
    if pa.types.is_floating(values.type):
        # Above 2**53 a float is not one whole number but several.
        whole = pc.and_(pc.equal(values, pc.floor(values)), pc.less(pc.abs(values), 2.0**53))
        values = values.cast(pa.int64()) if pc.all(whole).as_py() is not False else values
    return values.cast(pa.string())


def _within(days: Any) -> Parsed:
    count = days.cast(pa.int32())
    fits = pc.and_(pc.greater_equal(count, FIRST_DAY), pc.less_equal(count, LAST_DAY)).fill_null(False)
    return pc.if_else(fits, days, None), ~fits.to_numpy(zero_copy_only=False)


def _ids(text: Any) -> Any:
    present = text.drop_null()
    if pc.all(pc.match_substring_regex(pc.unique(present), CANONICAL_ID)).as_py() is not False:
        return text.cast(pa.int64())
    return text.dictionary_encode()


def _can_be_ids(text: Any) -> Any:
    """Which texts the store takes as ids."""
    return pc.and_(pc.match_substring_regex(text, ID_PATTERN), pc.less_equal(pc.utf8_length(text), LONGEST_ID))


def _numbers(text: Any, kind: ColumnType) -> Any:
    text = plain_numbers(text)
    fits = pc.match_substring_regex(text, number_pattern(kind.decimal, kind.thousands))
    text = pc.if_else(fits, text, None)
    if kind.thousands:
        text = pc.replace_substring(text, kind.thousands, "")
    numbers = pc.replace_substring(text, kind.decimal, ".").cast(pa.float64())
    return pc.if_else(pc.is_finite(numbers), numbers, None)


def _flags(text: Any, _: ColumnType) -> Any:
    lower = pc.utf8_lower(text)
    known = pc.is_in(lower, pa.array(_TRUE + _FALSE))
    return pc.if_else(known, pc.is_in(lower, pa.array(_TRUE)), None)


_PARSE: Mapping[str, Callable[[Any, ColumnType], Any]] = {
    "id": lambda text, _: pc.if_else(_can_be_ids(text), text, None),
    "number": _numbers,
    "date": lambda text, kind: parse_dates(text, kind.date_format),
    "flag": _flags,
}
