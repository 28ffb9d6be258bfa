"""From what a table is to the plans by which its rows are read. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from demand_assets.ingestion import dating
from demand_assets.ingestion.dataspec import WEEKDAYS, Weekday
from demand_assets.ingestion.dating import Dates, Days, Frequency
from demand_assets.ingestion.extras import Beside, Extra
from demand_assets.ingestion.layout import Layout
from demand_assets.ingestion.source import ColumnType
from demand_assets.ingestion.understanding import Headers, Kind, Level, Plan

_ID, _FLAG, _TEXT = ColumnType("id"), ColumnType("flag"), ColumnType("text")
_COVARIATE_FLAG = ColumnType("flag", may_be_missing=True)


def plans_of(
    layout: Layout,
    columns: Beside,
    dates: Dates | None,
    frequency: Frequency,
    week_ends: Weekday | None,
    sold: Days,
) -> Iterator[Plan]:
    """The plans of one layout: sales, covariates of each level, stores, departments; none of a file not understood.

    `sold` are the distinct dates of all sales.
    """
    if layout.role == "not understood":
        return
    days, shift = _weeks(layout, dates, frequency, week_ends, sold)
    if layout.role == "sales":
        yield _sales(layout, columns.flag, dates, days, shift)
    if layout.date and dates:
        if dates.keyed and week_ends and not days:
            dates, shift = replace(dates, keyed=_ends(dates.keyed, week_ends)), 0
        yield from _covariates(layout, columns, dates, days, shift)
    members: tuple[tuple[Kind, Headers, str], ...] = (
        ("stores", layout.store, columns.store_name),
        ("departments", layout.dept, columns.dept_name),
    )
    for kind, key, name in members:
        extras = columns.of(kind)
        if layout.role == kind or extras or name:
            yield _members(layout, kind, key, name, extras)


def _ends(keyed: Mapping[str, dt.date], week_ends: Weekday) -> dict[str, dt.date]:
    """The day that ends the week of each key: its last day may be an earlier one where the dates are cut short."""
    return {key: day + dt.timedelta(dating.days_to(week_ends, WEEKDAYS[day.weekday()])) for key, day in keyed.items()}


def _weeks(
    layout: Layout, dates: Dates | None, frequency: Frequency, week_ends: Weekday | None, sold: Days
) -> tuple[bool, int]:
    """Whether rows cover days, and how many days a row's week ends after its date."""
    own_days = dates.days if dates else np.array(list(layout.dates.values()), dtype="datetime64[D]")
    if not len(own_days) or week_ends is None:
        return frequency == "daily", 0
    is_sales = layout.role == "sales"
    # A file of sales on another weekday than the others is wrong, and is not moved to theirs.
    days = sold if is_sales else own_days
    if dates and dates.keyed:
        # All keys tell how often they come; a file may hold one of them.
        days = np.unique(np.array(list(dates.keyed.values()), dtype="datetime64[D]"))
    own = frequency if is_sales else dating.frequency(days) or frequency
    return own == "daily", 0 if own == "daily" else dating.days_to(week_ends, dating.weekday(days))


def _sales(layout: Layout, flag: str, dates: Dates | None, days: bool, shift: int) -> Plan:
    table = layout.table
    types = dict.fromkeys((*layout.store, *layout.dept), _ID)
    values = {"sales": layout.value} if layout.value else {}
    types |= {header: table.columns[header].number() for header in (*values.values(), *layout.dates)}
    if layout.date and dates:
        types[layout.date] = dates.type
    if flag:
        types[flag] = _FLAG
    return Plan(
        "sales", "series", layout.store, layout.dept, layout.date, values, flag, "", types, layout.dates, days, shift
    )


def _covariates(layout: Layout, columns: Beside, dates: Dates, days: bool, shift: int) -> Iterator[Plan]:
    own_flag = columns.flag if layout.role != "sales" else ""
    grouped: dict[Level, list[Extra]] = {}
    if own_flag:
        # The flags of a file are those of its stores, even where all else in it is of series.
        grouped["store" if layout.store else "chain"] = []
    for extra in columns.of("covariates"):
        grouped.setdefault(extra.level, []).append(extra)
    levels = [level for level in grouped if level != "series"]
    for level, extras in grouped.items():
        kind: Kind = "series_covariates" if level == "series" else "covariates"
        store: Headers = layout.store if level != "chain" else ()
        dept: Headers = layout.dept if level == "series" else ()
        flag = own_flag if levels[:1] == [level] else ""
        types = dict.fromkeys((*store, *dept), _ID) | {layout.date: dates.type}
        types |= {extra.header: _TEXT if extra.is_words else _number(layout, extra.header) for extra in extras}
        if flag:
            types[flag] = _FLAG
        yield Plan(
            kind,
            level,
            store,
            dept,
            layout.date,
            {extra.name: extra.header for extra in extras},
            flag,
            types=types,
            days=days,
            shift=shift,
            keyed=dates.keyed,
            known_ahead=tuple(extra.name for extra in extras if extra.known_ahead),
            counted=tuple(extra.name for extra in extras if extra.weekly == "days"),
            words=tuple(extra.name for extra in extras if extra.is_words),
        )


def _number(layout: Layout, header: str) -> ColumnType:
    """A covariate is a number; a flag of words is read as one, and counts as 0 or 1."""
    column = layout.table.columns[header]
    return _COVARIATE_FLAG if column.is_text and column.is_flag and column.marks is None else column.number()


def _members(layout: Layout, kind: Kind, key: Headers, name: str, extras: Sequence[Extra]) -> Plan:
    types = dict.fromkeys(key, _ID)
    types |= {extra.header: layout.table.columns[extra.header].fact() for extra in extras}
    if name:
        types[name] = _TEXT
    values = {extra.name: extra.header for extra in extras}
    store, dept = (key, ()) if kind == "stores" else ((), key)
    level: Level = "store" if kind == "stores" else "series"
    return Plan(kind, level, store, dept, "", values, "", name, types)
