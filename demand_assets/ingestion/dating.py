"""Dates of the files: their form, how often they come, and which weekday ends a week. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from demand_assets.ingestion.columns import Column
from demand_assets.ingestion.dataspec import WEEKDAYS, Weekday
from demand_assets.ingestion.source import ColumnType
from demand_assets.ingestion.values import parse_dates

Frequency = Literal["weekly", "daily", ""]
Days = NDArray[np.datetime64]
ISO = "%Y-%m-%d"
# Of distinct dates: a typing error among them does not turn weekly data into daily.
_MOST = 0.8
_READABLE = {
    "%d": "day",
    "%m": "month",
    "%Y": "year",
    "%y": "year of two digits",
    "%b": "name of month",
    "%B": "name of month",
}


@dataclass(frozen=True, eq=False)
class Dates:
    """A column of dates as it is to be read; `days`: distinct dates of the sample, ascending.

    `choices` are the forms it may be in when it cannot be told which; `note` says how it was told. `keyed`: key -> date
    of a column that holds keys of another file.
    """

    type: ColumnType
    days: Days
    note: str = ""
    choices: tuple[str, ...] = ()
    keyed: Mapping[str, dt.date] = field(default_factory=dict)


def by_key(column: Column, keyed: Mapping[str, dt.date]) -> Dates:
    """The dates of a column of keys."""
    days = np.array([keyed[key] for key in column.texts if key in keyed], dtype="datetime64[D]")
    return Dates(ColumnType("id"), np.unique(days), keyed=keyed)


def settle(column: Column, declared: str, others: Sequence[str]) -> Dates:
    """The form of a column of dates: as declared, as its values allow, as in `others`, or as weekdays tell."""
    if column.is_typed_date:
        return Dates(ColumnType("date"), days_of(column.texts, ""))
    forms = [declared] if declared else column.usual_formats or [""]
    if len(forms) > 1 and (shared := [form for form in forms if form in others]):
        forms = shared
    note = ""
    if len(forms) > 1:
        forms, note = _by_weekday(column, forms)
    chosen = forms[0]
    date_type = ColumnType("date", date_format="" if chosen == ISO else chosen)
    return Dates(date_type, days_of(column.texts, chosen), note, tuple(forms) if len(forms) > 1 else ())


def parsed(texts: Sequence[str], form: str) -> Days:
    """(n,) day that each text names in a form; NaT for what is none, which is left to the reader to refuse."""
    return parse_dates(pa.array(texts, pa.string()), form).to_numpy(zero_copy_only=False).astype("datetime64[D]")  # type: ignore[no-any-return]


def days_of(texts: Sequence[str], form: str) -> Days:
    """Distinct days that texts name in a form, ascending."""
    days = parsed(texts, form)
    return np.unique(days[~np.isnat(days)])


def in_words(form: str) -> str:
    """A form of dates for people: %d/%m/%Y is day/month/year."""
    form = form or ISO
    for code, word in _READABLE.items():
        form = form.replace(code, word)
    return form


def frequency(days: Days) -> Literal["weekly", "daily", "monthly", ""]:
    """How often rows come, by their distinct dates; empty when one date is all there is."""
    if len(days) < 2:
        return ""
    if np.bincount(_weekdays(days), minlength=7).max() >= _MOST * len(days):
        return "weekly"
    months = days.astype("datetime64[M]")
    first = (days == months.astype("datetime64[D]")).mean()
    last = (days + 1 == (months + 1).astype("datetime64[D]")).mean()
    return "monthly" if max(first, last) >= _MOST else "daily"


def weekday(days: Days) -> Weekday:
    """The weekday on which most dates fall."""
    return WEEKDAYS[int(np.bincount(_weekdays(days), minlength=7).argmax())]


def days_to(end: Weekday, start: Weekday) -> int:
    """Days from a weekday to the next one of another name, 0 to 6."""
    return (WEEKDAYS.index(end) - WEEKDAYS.index(start)) % 7


def gaps(days: Days, step: int) -> int:
    """How many dates are absent between the first and the last, `step` days apart."""
    if len(days) < 2:
        return 0
    return max(int((days[-1] - days[0]).astype(np.int64)) // step + 1 - len(days), 0)


def _by_weekday(column: Column, forms: list[str]) -> tuple[list[str], str]:
    """Of weekly data only the right reading puts all dates on one weekday."""
    read = {form: days_of(column.texts, form) for form in forms}
    weekly = [form for form, days in read.items() if len(days) > 2 and len(np.unique(_weekdays(days))) == 1]
    if len(weekly) != 1:
        return forms, ""
    on = weekday(read[weekly[0]]).capitalize()
    others = " or ".join(in_words(form) for form in forms if form != weekly[0])
    note = f"dates are read as {in_words(weekly[0])}: every one is then a {on}; as {others} they are not one weekday"
    return weekly, note


def _weekdays(days: Days) -> NDArray[np.int64]:
    # 1970-01-01 was a Thursday.
    return (days.astype(np.int64) + 3) % 7
