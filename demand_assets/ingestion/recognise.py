"""What the files of a landing zone hold: roles of files and columns, dates, keys and units, and what cannot be told.

What `demand.toml` states wins, then what a known form declares, then what names and values of columns say. Pure.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import numpy as np

from demand_assets.errors import SchemaError
from demand_assets.ingestion import dating
from demand_assets.ingestion.columns import Table
from demand_assets.ingestion.dataspec import WEEKDAYS, DataSpec, Weekday
from demand_assets.ingestion.dating import Dates, Frequency
from demand_assets.ingestion.extras import Beside, beside, missing_headers
from demand_assets.ingestion.forms import Form, form_of
from demand_assets.ingestion.layout import Layout, file_parts, keyed_dates, layouts, named, same_layout
from demand_assets.ingestion.names import names_week_start, unit_in
from demand_assets.ingestion.plans import plans_of
from demand_assets.ingestion.reports import report_of
from demand_assets.ingestion.source import Source
from demand_assets.ingestion.stated import stated
from demand_assets.ingestion.understanding import Question, Understanding

_DATA = frozenset(
    (
        ".csv",
        ".tsv",
        ".txt",
        ".tab",
        ".dat",
        ".psv",
        ".xlsx",
        ".xls",
        ".xlsm",
        ".xlsb",
        ".ods",
        ".parquet",
        ".pq",
        ".json",
        ".jsonl",
        ".ndjson",
        ".gz",
        ".zip",
        ".bz2",
        ".xz",
        ".zst",
    )
)
_PACKED = frozenset((".gz", ".zip", ".bz2", ".xz", ".zst"))
# Beside the data in what people download; they hold no sales.
_NO_DATA = ("test", "samplesubmission", "expect", "readme", "license", "licence", "changelog", "notes")


@dataclass
class _Zone:
    """What is known of a zone while it is being understood."""

    given: DataSpec
    wanted: DataSpec
    form: Form | None
    layouts: list[Layout]
    questions: list[Question] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def sales(self) -> list[Layout]:
        return [layout for layout in self.layouts if layout.role == "sales"]


def passed_over(name: str) -> bool:
    """Whether a file, by its name, is known to hold no data: demand.toml, README, test.csv, pictures, hidden files."""
    path = PurePath(name.casefold())
    stem = path.with_suffix("") if path.suffix in _PACKED and PurePath(path.stem).suffix in _DATA else path
    plain = stem.stem.replace("_", "").replace("-", "").replace(" ", "")
    return path.suffix not in _DATA or name.startswith((".", "~$")) or plain in _NO_DATA


def understand(sources: Sequence[Source], given: DataSpec | None = None) -> Understanding:
    """What the tables of a landing zone hold, each source in landing order.

    `given` is what `demand.toml` states. Tables that fit nothing are reported and stop nothing; what cannot be told
    is a question. SchemaError when `given` names columns that no file has.
    """
    given = given or DataSpec()
    read, skipped = _to_read(sources, given)
    tables = [Table(source) for source in read]
    form = form_of([table.headers for table in tables])
    if form:
        read, skipped = _form_reads(read, skipped, form, given)
        tables = [table for table in tables if table.source in read]
    wanted = overlaid(form.spec if form else DataSpec(), given)
    zone = _Zone(given, wanted, form, layouts(tables, wanted))
    _refuse_missing(zone)
    if not zone.sales:
        return _nothing_sold(zone)
    _one_layout(zone)
    return _understood(zone, skipped)


def overlaid(below: DataSpec, above: DataSpec) -> DataSpec:
    """Both specs in one: a key that `above` states wins over the same key of `below`."""
    under, over = (spec.model_dump(exclude_unset=True) for spec in (below, above))
    return DataSpec.model_validate(_over(under, over))


def open_questions(understanding: Understanding) -> str:
    """All open questions in one line, each with the line of `demand.toml` that answers it."""
    asked = "; ".join(
        f"({number}) {question.text}: add {' '.join(question.line.split())}"
        for number, question in enumerate(understanding.questions, 1)
    )
    count = len(understanding.questions)
    return f"{count} open question{'s' * (count > 1)}, to be answered in demand.toml: {asked}"


def _over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(under)
    for key, value in over.items():
        nested = isinstance(value, Mapping) and isinstance(both.get(key), Mapping) and key != "columns"
        both[key] = _over(both[key], value) if nested else value
    return both


def _to_read(sources: Sequence[Source], given: DataSpec) -> tuple[list[Source], list[tuple[Source, str]]]:
    asked = {name.casefold() for part in file_parts(given) for name in part.files}
    read, skipped = [], []
    for source in sources:
        name = source.part if PurePath(source.part).suffix else source.file.name
        if passed_over(name) and not asked & {name.casefold(), source.file.name.casefold()}:
            skipped.append((source, "it is known to hold no data"))
        else:
            read.append(source)
    return read, skipped


def _form_reads(
    read: list[Source], skipped: list[tuple[Source, str]], form: Form, given: DataSpec
) -> tuple[list[Source], list[tuple[Source, str]]]:
    reasons = {name.casefold(): why for name, why in form.form.passed_over.items()}
    kept, more = [], []
    for source in read:
        bare = PurePath(source.part or source.file.name).name.casefold()
        reason = reasons.get(bare.removesuffix(".gz").removesuffix(".zip"))
        asked = any(bare in (name.casefold() for name in block.files) for block in given.covariates)
        (more.append((source, reason)) if reason and not asked else kept.append(source))
    return kept, [*skipped, *more]


def _refuse_missing(zone: _Zone) -> None:
    if missing := missing_headers(zone.layouts, zone.given):
        has = "; ".join(f"{layout.name} has {', '.join(layout.table.headers)}" for layout in zone.layouts)
        raise SchemaError(f"demand.toml names columns that no file has: {', '.join(missing)}; {has}")


def _nothing_sold(zone: _Zone) -> Understanding:
    files = "; ".join(
        f"{layout.name} has {', '.join(layout.table.headers[:20])} ({layout.why})" for layout in zone.layouts
    )
    text = (
        "No file was recognised as sales, with a column such as date, week or ds and one such as sales, revenue or "
        f"qty: {files or 'there are no data files'}"
    )
    question = Question(text, '[sales]\nfiles = ["..."]\ndate = "..."\nvalue = "..."')
    reports = tuple(report_of(layout, None, Beside(), None) for layout in zone.layouts)
    return Understanding(zone.given, zone.form.name if zone.form else "", reports, (), (question,))


def _one_layout(zone: _Zone) -> None:
    """Of tables that look like sales in different layouts nobody can tell which are meant."""
    first = max(zone.sales, key=lambda layout: (len(layout.keys), layout.table.source.rows or 0))
    others = [layout for layout in zone.sales if not same_layout(layout, first)]
    if not others:
        return
    shown = "; ".join(f"{layout.name} has {', '.join((*layout.keys, layout.value))}" for layout in (first, *others))
    names = ", ".join(f'"{layout.table.source.file.name}"' for layout in zone.sales if layout not in others)
    zone.questions.append(
        Question(f"Files of different columns look like sales: {shown}", f"[sales]\nfiles = [{names}]")
    )


def _understood(zone: _Zone, skipped: Sequence[tuple[Source, str]]) -> Understanding:
    dates = _dates(zone)
    days = _days(zone.sales, dates)
    frequency = _frequency(zone, days, any(dates[one.name].choices for one in zone.sales if one.name in dates))
    week_ends, starts = _week_ends(zone, days, frequency)
    _joined_keys(zone)
    columns = beside(zone.layouts, zone.wanted)
    unit = _unit(zone)
    plans = [
        (layout.table.source, plan)
        for layout, extra in zip(zone.layouts, columns, strict=True)
        for plan in plans_of(layout, extra, dates.get(layout.name), frequency, week_ends, days)
    ]
    _holidays(zone, columns)
    spec = stated(zone.wanted, zone.layouts, columns, dates, unit, week_ends, frequency, starts)
    reports = [
        report_of(layout, dates.get(layout.name), extra, spec if layout.role == "sales" else None)
        for layout, extra in zip(zone.layouts, columns, strict=True)
    ]
    zone.notes += [f"{source.name} is not read: {why}" for source, why in skipped]
    form = zone.form.name if zone.form else ""
    return Understanding(spec, form, tuple(reports), tuple(plans), tuple(zone.questions), tuple(zone.notes))


def _days(sales: Sequence[Layout], dates: Mapping[str, Dates]) -> dating.Days:
    """Distinct dates of all sales, ascending; of all files where those of the sales cannot be read at all."""
    every = [dates[layout.name].days for layout in sales if layout.name in dates]
    every += [np.array(list(layout.dates.values()), dtype="datetime64[D]") for layout in sales]
    days = np.unique(np.concatenate(every))
    wide = any(layout.wide for layout in sales)
    return days if len(days) or wide else np.unique(np.concatenate([found.days for found in dates.values()]))


def _dates(zone: _Zone) -> dict[str, Dates]:
    """Name of each layout with a date column -> its dates; sales first, whose form settles that of the others."""
    found: dict[str, Dates] = {}
    declared = zone.wanted.sales.date_format
    dated = sorted((layout for layout in zone.layouts if layout.date), key=lambda layout: layout.role != "sales")
    plain = [layout.table.columns[layout.date].usual_formats for layout in dated]
    known = {forms[0] for forms in plain if len(forms) == 1}
    for layout in dated:
        if keyed := _keyed(zone, layout):
            found[layout.name] = dating.by_key(layout.table.columns[layout.date], keyed)
            continue
        form = declared if layout.role == "sales" else _declared_form(zone.wanted, layout)
        found[layout.name] = dates = dating.settle(layout.table.columns[layout.date], form, sorted(known))
        if dates.note:
            known.add(dates.type.date_format)
            zone.notes.append(f"{layout.name}: {dates.note}")
        if dates.choices and layout.role != "not understood":
            zone.questions.append(_which_form(layout, dates))
    return found


def _keyed(zone: _Zone, layout: Layout) -> Mapping[str, dt.date]:
    """Key -> date where the dates of a layout are keys of another table; SchemaError where no table has them."""
    blocks = [one for one in zone.wanted.covariates if one.dates and named(layout.table, one.files)]
    given = next((one.dates for one in blocks if layout.date == layout.table.find(one.date)), None)
    if given is None:
        return {}
    for other in (one.table for one in zone.layouts):
        if named(other, [given.file]) and (key := other.find(given.key)) and (day := other.find(given.date)):
            return keyed_dates(other, key, day)
    raise SchemaError(
        f"the dates of {layout.name} are keys of {given.file}, columns {given.key} and {given.date}: no file has them; "
        "land it, or correct [[covariates]] dates in demand.toml"
    )


def _declared_form(wanted: DataSpec, layout: Layout) -> str:
    for block in wanted.covariates:
        if block.date_format and any(layout.table.find(header) for header in block.columns):
            return block.date_format
    column = layout.table.columns[layout.date]
    return wanted.sales.date_format if wanted.sales.date_format in column.usual_formats else ""


def _which_form(layout: Layout, dates: Dates) -> Question:
    example = layout.table.columns[layout.date].texts[0]
    ways = " or ".join(dating.in_words(form) for form in dates.choices)
    lines = "  # or ".join(f'date_format = "{form}"' for form in dates.choices)
    return Question(f"{layout.name}: {layout.date} such as {example} may be {ways}", f"[sales]\n{lines}")


def _frequency(zone: _Zone, days: dating.Days, open_dates: bool) -> Frequency:
    """What a row of the sales covers; empty where that is a question, or the dates are."""
    if zone.wanted.sales.frequency:
        return zone.wanted.sales.frequency
    if open_dates:
        return ""
    if not len(days):
        zone.questions.append(_no_dates(zone.sales[0]))
        return ""
    found = dating.frequency(days) or _said(zone.sales[0].value)
    if found == "monthly":
        text = "Sales come once a month, and weeks cannot be made of months: bring daily or weekly sales"
        zone.questions.append(Question(text, '[sales]\nfiles = ["..."]  # daily or weekly sales'))
    if found == "":
        text = f"All sales are of one date, {days[0]}: that does not tell whether a row covers a day or a week"
        zone.questions.append(Question(text, '[sales]\nfrequency = "weekly"  # or frequency = "daily"'))
    return "" if found == "monthly" else found


def _no_dates(sales: Layout) -> Question:
    if sales.wide:
        line = '[sales.wide]\ncolumns = "d_*"\nfile = "..."\nkey = "..."\ndate = "..."'
        return Question("Sales have a column per date, and no file gives the dates", line)
    examples = ", ".join(sales.table.columns[sales.date].texts[:3])
    text = f"{sales.name}: {sales.date} holds no dates that are known: {examples}"
    return Question(text, '[sales]\ndate = "..."\ndate_format = "..."')


def _said(header: str) -> Frequency:
    """What a column of amounts says by its name that a row covers: Weekly_Sales; empty where it says nothing."""
    name = header.casefold()
    return "weekly" if "week" in name else "daily" if "daily" in name else ""


def _week_ends(zone: _Zone, days: dating.Days, frequency: Frequency) -> tuple[Weekday | None, bool]:
    """The weekday that ends a week, and whether the dates name the day that starts one."""
    given, usual = zone.given.data.week_ends, zone.wanted.data.week_ends
    if not frequency or not len(days):
        return given, zone.wanted.sales.week_starts
    if frequency == "daily":
        if not usual:
            zone.notes.append("days are summed to weeks that end on Sunday; [data] week_ends names another day")
        return usual or "sunday", False
    named = dating.weekday(days)
    starts = zone.wanted.sales.week_starts or any(names_week_start(layout.date) for layout in zone.sales)
    before = WEEKDAYS[(WEEKDAYS.index(named) + 6) % 7]
    if given and starts and given == named:
        text = f"Dates are {named.capitalize()}s and start the weeks, which then end on {before.capitalize()}"
        zone.questions.append(Question(text, f'[data]\nweek_ends = "{before}"'))
    if given or starts:
        return given or before, starts
    if named in ("sunday", "monday"):
        zone.notes.append(
            f"dates are {named.capitalize()}s and are taken as the days that end the weeks; "
            "if they start them, set [sales] week_starts = true"
        )
    return named, False


def _joined_keys(zone: _Zone) -> None:
    dept = zone.sales[0].dept
    if len(dept) > 1 and not zone.wanted.series.dept:
        zone.notes.append(f"a series is a {' / '.join(dept)} of a store: {dept[0]} alone does not tell rows apart")


def _unit(zone: _Zone) -> str:
    if zone.given.data.unit:
        return zone.given.data.unit
    headers = [(layout, header) for layout in zone.sales for header in (layout.value, *layout.dates) if header]
    values = [layout.table.columns[header] for layout, header in headers]
    if hint := next((unit for column in values if (unit := unit_in(column.header))), ""):
        return hint
    whole_is_usual = zone.form is not None and zone.form.form.whole_amounts
    if values and not whole_is_usual and all(column.is_whole for column in values):
        if zone.wanted.data.unit != "pieces":
            zone.notes.append("amounts are whole numbers and are taken as pieces; [data] unit names another unit")
        return "pieces"
    return zone.wanted.data.unit or "units"


def _holidays(zone: _Zone, columns: Sequence[Beside]) -> None:
    holidays = zone.wanted.holidays
    if not any(extra.flag for extra in columns) and not (holidays.country or holidays.retail):
        zone.notes.append('no holidays are known; [holidays] country = "DE" takes those of a country')
