"""What each table of a landing zone is by its columns: sales, covariates, stores, departments, a calendar. Pure."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from typing import Literal

import numpy as np

from demand_assets.ingestion.columns import Table, usual_formats
from demand_assets.ingestion.dataspec import Columns, Covariates, DataSpec, Key, Members, Sales, Wide
from demand_assets.ingestion.dating import Days, parsed, settle
from demand_assets.ingestion.names import by_role, is_row_number, is_variant
from demand_assets.ingestion.understanding import Headers

FileRole = Literal["sales", "covariates", "stores", "departments", "calendar", "not understood"]
# A share of rows that are there twice is an error in the data, not a missing key.
_TWICE = 0.01
# Columns of one name and a number, or with a date for a name, from which a table is wide.
_WIDE = 8


@dataclass(frozen=True, eq=False)
class Layout:
    """A table with the headers of its keys, date and value; `why`: what it lacks to be understood."""

    table: Table
    role: FileRole
    store: Headers = ()
    dept: Headers = ()
    date: str = ""
    value: str = ""
    wide: Wide | None = None
    dates: Mapping[str, dt.date] = field(default_factory=dict)
    why: str = ""

    @property
    def name(self) -> str:
        """The name of its source."""
        return self.table.source.name

    @property
    def keys(self) -> Headers:
        """Headers of what names a row."""
        return (*self.store, *self.dept, *([self.date] if self.date else []))


def file_parts(spec: DataSpec) -> tuple[Sales | Covariates | Members, ...]:
    """The parts of a spec that may name files; sales come first."""
    return (spec.sales, *spec.covariates, spec.stores, spec.departments)


def named(table: Table, patterns: Sequence[str]) -> bool:
    """Whether one of the names or patterns names this table: the file, or a part of it."""
    names = {name.casefold() for name in (table.source.file.name, table.source.part, table.source.name) if name}
    folded = [pattern.casefold() for pattern in patterns]
    # A name may have brackets, which a pattern reads otherwise.
    return any(name == pattern or fnmatch(name, pattern) for pattern in folded for name in names)


def layouts(tables: Sequence[Table], wanted: DataSpec) -> list[Layout]:
    """The layout of each table, in order; series keys are those of the sales."""
    sold = [sales_layout(table, tables, wanted) for table in tables]
    first = next((layout for layout in sold if layout), None)
    if first is None:
        return [
            Layout(table, "not understood", date=_date(table, wanted), why=lacking(table, wanted)) for table in tables
        ]
    sold = [layout and _with_keys_of(layout, first) for layout in sold]
    return [layout or _beside(table, first, wanted) for layout, table in zip(sold, tables, strict=True)]


def sales_layout(table: Table, tables: Sequence[Table], wanted: DataSpec) -> Layout | None:
    """The layout of a table of sales; None for a table of anything else."""
    sales = wanted.sales
    if sales.files and not named(table, sales.files):
        return None
    if any(named(table, part.files) for part in file_parts(wanted)[1:]):
        return None
    wide, dates = _wide(table, tables, wanted)
    day = "" if wide else _date(table, wanted)
    value = "" if wide else table.find(sales.value) if sales.value else _value(table)
    if not wide and not (day and value):
        return None
    layout = Layout(table, "sales", _key(table, wanted.series.store, "store"), (), day, value, wide, dates)
    return replace(layout, dept=_dept(layout, wanted.series.dept))


def lacking(table: Table, wanted: DataSpec) -> str:
    """What a table lacks to be sales, in words."""
    lacks = [what for what, found in (("dates", _date(table, wanted)), ("amounts sold", _value(table))) if not found]
    return f"no column of {' and none of '.join(lacks)} was recognised"


def _value(table: Table) -> str:
    found = by_role(table.headers, "value")
    return next((header for header in found if table.columns[header].is_number), found[0] if found else "")


def _date(table: Table, wanted: DataSpec) -> str:
    blocks = [block.date for block in wanted.covariates if not block.files or named(table, block.files)]
    for declared in (wanted.sales.date, *blocks):
        if declared and (header := table.find(declared)):
            return header
    found = by_role(table.headers, "date")
    if good := [header for header in found if table.columns[header].is_date]:
        return good[0]
    # Dates under a name that nobody foresaw; numbers such as 20100205 need a name that says so.
    dated = [name for name, column in table.columns.items() if column.is_date and not column.marks]
    return dated[0] if dated else found[0] if found and _value(table) else ""


def _key(table: Table, key: Key | Literal[False] | None, role: Literal["store", "dept"]) -> Headers:
    if key is False:
        return ()
    if key is not None:
        return table.find_all([key] if isinstance(key, str) else key)
    return tuple(by_role(table.headers, role)[:1])


def _dept(layout: Layout, key: Key | Literal[False] | None) -> Headers:
    """The departments' key: as declared, or as many columns as it takes to name a row once."""
    table = layout.table
    if key is not None:
        return _key(table, key, "dept")
    dept = tuple(by_role(table.headers, "dept")[:1]) or tuple(by_role(table.headers, "dept_name")[:1])
    if layout.wide:
        return dept
    # Sizes and colours of one product are products of their own, even where a sample shows no two in one week.
    dept += tuple(name for name in table.headers if dept and _is_variant_of(table, name, dept) and name not in dept)
    best, rows = _distinct(layout, dept), table.source.sample.num_rows
    for header in _key_candidates(layout):
        if best >= (1 - _TWICE) * rows:
            break
        if header not in dept and (more := _distinct(layout, (*dept, header))) > best:
            dept, best = (*dept, header), more
    return dept


def _is_variant_of(table: Table, header: str, dept: Headers) -> bool:
    return is_variant(header) and not table.columns[header].is_number and not table.is_constant(header, dept)


def _distinct(layout: Layout, dept: Headers) -> int:
    return len(np.unique(layout.table.groups((*layout.store, *dept, layout.date))))


def _key_candidates(layout: Layout) -> list[str]:
    table = layout.table
    texts = [
        name
        for name, column in table.columns.items()
        if column.is_text and not (column.is_number or column.is_date or column.is_flag or is_row_number(name))
    ]
    found = dict.fromkeys((*by_role(table.headers, "dept"), *texts))
    return [name for name in found if name not in (*layout.store, layout.date, layout.value)]


def _wide(table: Table, tables: Sequence[Table], wanted: DataSpec) -> tuple[Wide | None, dict[str, dt.date]]:
    wide = wanted.sales.wide
    if wide is None:
        return _found_wide(table, tables)
    columns = [name for name in table.headers if fnmatch(name.casefold(), wide.columns.casefold())]
    if not columns:
        return None, {}
    keyed = [other for other in tables if named(other, [wide.file])] if wide.file else []
    if not wide.file:
        return wide, _own_dates(columns, wanted.sales.date_format)
    for other in keyed:
        if (key := other.find(wide.key)) and (day := other.find(wide.date)):
            return wide, _dates_by_key(other, key, day, columns)
    return wide, {}


def _found_wide(table: Table, tables: Sequence[Table]) -> tuple[Wide | None, dict[str, dt.date]]:
    numbered = [name for name in table.headers if re.match(r"\d", name)]
    forms = usual_formats(numbered)
    dated = list(_by_name(numbered, parsed(numbered, forms[0]))) if forms else []
    if len(dated) >= _WIDE:
        return Wide(columns="[0-9]*"), _own_dates(dated, "")
    counted: dict[str, list[str]] = {}
    for name in table.headers:
        if match := re.fullmatch(r"(.*?\D)\d+", name):
            counted.setdefault(match[1], []).append(name)
    for prefix, columns in counted.items():
        if len(columns) < _WIDE:
            continue
        for other in tables:
            for key, column in other.columns.items():
                if other is not table and set(columns) <= set(column.texts) and (day := _dated(other)):
                    wide = Wide(
                        columns=f"{prefix}*", file=other.source.part or other.source.file.name, key=key, date=day
                    )
                    return wide, _dates_by_key(other, key, day, columns)
    return None, {}


def _dated(table: Table) -> str:
    return next((name for name in by_role(table.headers, "date") if table.columns[name].is_date), "")


def _own_dates(columns: Sequence[str], declared: str) -> dict[str, dt.date]:
    forms = [declared] if declared else usual_formats(columns)
    # Forms that fit equally well are a question.
    return {} if len(forms) != 1 else _by_name(columns, parsed(columns, forms[0]))


def _dates_by_key(table: Table, key: str, day: str, columns: Sequence[str]) -> dict[str, dt.date]:
    known = keyed_dates(table, key, day)
    return {name: known[name] for name in columns if name in known}


def keyed_dates(table: Table, key: str, day: str) -> dict[str, dt.date]:
    """Each key in a column of a table -> its date in another; of several dates the last."""
    keys = table.columns[key].rows.to_pylist()
    days = parsed(table.columns[day].rows.to_pylist(), settle(table.columns[day], "", ()).type.date_format)
    order = np.argsort(days, kind="stable")
    return _by_name([keys[place] for place in order], days[order])


def _by_name(names: Sequence[str], days: Days) -> dict[str, dt.date]:
    return {name: day.item() for name, day in zip(names, days, strict=True) if not np.isnat(day)}


def _with_keys_of(layout: Layout, first: Layout) -> Layout:
    """Later deliveries have the keys of the first: a single week never shows which columns it takes."""
    table = layout.table
    return replace(
        layout, store=table.find_all(first.store) or layout.store, dept=table.find_all(first.dept) or layout.dept
    )


def same_layout(layout: Layout, other: Layout) -> bool:
    """Whether two tables of sales may be deliveries of the same: equal keys and value, in any order and case."""

    def fold(one: Layout) -> tuple[Headers, ...]:
        return tuple(tuple(h.casefold() for h in part) for part in (one.store, one.dept, (one.value, one.date)))

    return fold(layout) == fold(other)


def _beside(table: Table, sales: Layout, wanted: DataSpec) -> Layout:
    """The layout of a table that is not sales: its keys are those of the sales, under their name or another."""
    day = _date(table, wanted)
    store = _key(table, wanted.stores.key, "store") if wanted.stores.key else ()
    store = store or _shared_key(table, sales.table, sales.store, "store")
    dept = _key(table, wanted.departments.key, "dept") if wanted.departments.key else ()
    dept = dept or _shared_key(table, sales.table, sales.dept, "dept")
    layout = Layout(table, "not understood", store, dept, day)
    members: tuple[tuple[FileRole, Headers, bool], ...] = (
        ("stores", store, named(table, wanted.stores.files)),
        ("departments", dept, named(table, wanted.departments.files)),
    )
    if day and not any(is_named for _, _, is_named in members):
        return _dated_layout(layout, sales)
    for role, key, is_named in members:
        # Rows that contradict each other in a file that is named are refused with their lines.
        if key and len(table.headers) > len(key) and (is_named or table.is_unique(key)):
            return replace(
                layout, role=role, store=store if role == "stores" else (), dept=dept if role == "departments" else ()
            )
    return replace(layout, why="no dates, and no column that names each store or department once")


def _dated_layout(layout: Layout, sales: Layout) -> Layout:
    table = layout.table
    rest = [name for name in table.headers if name not in layout.keys and not is_row_number(name)]
    if layout.dept and sales.store and not layout.store:
        return replace(layout, why="it has a value per department and date, and none per store")
    if (
        not table.is_unique(layout.keys)
        and len(np.unique(table.groups(layout.keys))) < (1 - _TWICE) * table.source.sample.num_rows
    ):
        named_keys = ", ".join(layout.keys)
        return replace(layout, why=f"several rows have the same {named_keys}")
    if not any(table.columns[name].is_number or table.columns[name].is_flag for name in rest):
        return replace(layout, why="beside keys and dates no column holds numbers")
    only_flags = all(table.columns[name].is_flag or not table.columns[name].is_number for name in rest)
    if layout.dept and set(rest) <= set(by_role(table.headers, "flag")):
        return replace(layout, why="it has no column of amounts sold, and no covariate beside the holiday flag")
    keyless = not layout.store and not layout.dept
    dates_columns = sales.wide is not None and named(table, [sales.wide.file])
    return replace(layout, role="calendar" if keyless and (only_flags or dates_columns) else "covariates")


def _shared_key(table: Table, sales: Table, key: Headers, role: Literal["store", "dept"]) -> Headers:
    if not key:
        return ()
    if found := table.find_all(key):
        return found
    if len(key) > 1:
        return ()
    ids = set(sales.columns[key[0]].texts)
    return next(((name,) for name in by_role(table.headers, role) if ids & set(table.columns[name].texts)), ())


def columns_of(columns: Columns) -> dict[str, str]:
    """Name -> header of declared columns."""
    return dict(columns) if isinstance(columns, Mapping) else {name: name for name in columns}
