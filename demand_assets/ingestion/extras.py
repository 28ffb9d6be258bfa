"""Columns beside keys, dates and amounts: which are covariates, which attributes, which are left out. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from demand_assets.ingestion.columns import Column
from demand_assets.ingestion.dataspec import Covariates, DataSpec, Members
from demand_assets.ingestion.layout import Layout, columns_of, named
from demand_assets.ingestion.marks import number_marks
from demand_assets.ingestion.names import by_role, is_known_ahead, is_row_number, role_of
from demand_assets.ingestion.understanding import Kind, Level

# Of a text covariate each value becomes a flag; of more values than this it is left out.
MOST_WORDS = 12
Weekly = Literal["mean", "days"]


@dataclass(frozen=True)
class Extra:
    """One column of a layout: what it becomes, under which name.

    `weekly`: what a week has of daily values, None until it is settled. `is_words`: texts, each value a flag.
    """

    header: str
    name: str
    kind: Kind
    level: Level = "store"
    known_ahead: bool = False
    weekly: Weekly | None = None
    is_words: bool = False


@dataclass(frozen=True)
class Beside:
    """What the columns of one layout become beside its sales; `left_out`: header with the reason."""

    extras: tuple[Extra, ...] = ()
    flag: str = ""
    store_name: str = ""
    dept_name: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What its columns are beside sales."""
        named: dict[Kind, str] = {"stores": self.store_name, "departments": self.dept_name}
        kinds: tuple[Kind, ...] = ("covariates", "stores", "departments")
        return tuple(kind for kind in kinds if self.of(kind) or named.get(kind))

    def of(self, kind: Kind) -> list[Extra]:
        """Its columns of a kind."""
        return [extra for extra in self.extras if extra.kind == kind]


def beside(found: Sequence[Layout], wanted: DataSpec) -> list[Beside]:
    """What the columns of each layout become, in the order of `found`."""
    declared = _declared(found, wanted)
    recognised = _recognised(found, wanted)
    flags = [_flag(layout, wanted) for layout in found]
    # A week without holidays has none of the words that say in other files what the column holds.
    words = {
        extra.header.casefold()
        for layout, *given in zip(found, declared, recognised, strict=True)
        for extra in (*given[0], *given[1])
        if extra.kind == "covariates" and _is_words(layout.table.columns[extra.header])
    }
    answers = []
    for layout, known, guessed, flag in zip(found, declared, recognised, flags, strict=True):
        used = {*layout.keys, layout.value, flag, *layout.dates}
        used |= {layout.table.find(one.wide.key) for one in found if one.wide and layout.role == "calendar"}
        names = [_name(layout, wanted, role, used) for role in ("store", "dept")]
        used = (used | set(names)) - {""}
        kept: dict[str, Extra] = {}
        for extra in (*known, *guessed):
            if extra.header not in used and not _has_too_many_words(layout, extra):
                kept.setdefault(extra.header, _settled(layout, extra, words))
        known_file = layout.role != "not understood"
        left = [header for header in layout.table.headers if known_file and header not in used and header not in kept]
        asked = {extra.header for extra in known}
        reasons = tuple(f"{header or '(no name)'}: {_why_left(layout, header, header in asked)}" for header in left)
        answers.append(Beside(tuple(kept.values()), flag, names[0], names[1], reasons))
    return answers


def _settled(layout: Layout, extra: Extra, words: set[str]) -> Extra:
    """The column with what a week has of its days, and whether it holds texts."""
    if extra.kind != "covariates":
        return extra
    is_words = extra.header.casefold() in words
    counted = is_words or layout.table.columns[extra.header].is_flag
    return replace(extra, weekly=extra.weekly or ("days" if counted else "mean"), is_words=is_words)


def _is_text(column: Column) -> bool:
    """Whether a column holds words, not numbers or flags of which some are mistyped."""
    if not column.is_text or column.is_number or column.is_flag or column.is_date:
        return False
    return 2 * sum(number_marks([text]) is not None for text in column.texts) <= len(column.texts)


def _is_words(column: Column) -> bool:
    return _is_text(column) and len(column.texts) <= MOST_WORDS


def _has_too_many_words(layout: Layout, extra: Extra) -> bool:
    column = layout.table.columns[extra.header]
    return extra.kind == "covariates" and _is_text(column) and not _is_words(column)


def is_declared(wanted: DataSpec, kind: Kind) -> bool:
    """Whether `demand.toml` or the known form says which columns are of this kind: then no other is."""
    if kind == "covariates":
        return "covariates" in wanted.model_fields_set
    return "columns" in _members(wanted, kind).model_fields_set


def missing_headers(found: Sequence[Layout], given: DataSpec) -> list[str]:
    """Columns that `demand.toml` names and no file has, as `key is 'Header'`."""
    keys = [("series.store", given.series.store), ("series.dept", given.series.dept)]
    keys += [("stores.key", given.stores.key), ("departments.key", given.departments.key)]
    asked = [(where, header) for where, key in keys if key for header in ((key,) if isinstance(key, str) else key)]
    asked += [
        ("series.store_name", given.series.store_name),
        ("series.dept_name", given.series.dept_name),
        ("sales.date", given.sales.date),
        ("sales.value", given.sales.value),
        ("holidays.column", given.holidays.column),
    ]
    groups = [("covariates", block.columns) for block in given.covariates]
    groups += [("stores", given.stores.columns), ("departments", given.departments.columns)]
    asked += [(f"{where}.columns", header) for where, columns in groups for header in columns_of(columns).values()]
    return [
        f"{where} is {header!r}"
        for where, header in asked
        if header and not any(layout.table.find(header) for layout in found)
    ]


def _members(wanted: DataSpec, kind: Kind) -> Members:
    return wanted.stores if kind == "stores" else wanted.departments


def _flag(layout: Layout, wanted: DataSpec) -> str:
    if layout.role not in ("sales", "covariates", "calendar"):
        return ""
    if wanted.holidays.column:
        return layout.table.find(wanted.holidays.column)
    if wanted.holidays.country or "column" in wanted.holidays.model_fields_set:
        return ""
    found = by_role(layout.table.headers, "flag")
    return next((header for header in found if layout.table.columns[header].is_flag), "")


def _name(layout: Layout, wanted: DataSpec, role: str, used: set[str]) -> str:
    """The column of the names of stores or departments, if it has one name for each."""
    key = layout.store if role == "store" else layout.dept
    given = wanted.series.store_name if role == "store" else wanted.series.dept_name
    table = layout.table
    if not key:
        return ""
    found = [table.find(given)] if given else by_role(table.headers, "store_name" if role == "store" else "dept_name")
    return next((name for name in found if name and name not in used and table.is_constant(name, key)), "")


def _declared(found: Sequence[Layout], wanted: DataSpec) -> list[list[Extra]]:
    answers: list[list[Extra]] = [[] for _ in found]
    by_dept = any(layout.dept for layout in found if layout.role == "sales")
    for block in wanted.covariates:
        for name, header in columns_of(block.columns).items():
            extra = Extra(header, name, "covariates", block.level, block.known_ahead, block.weekly)
            _give(answers, found, extra, block, [_can_hold(layout, block.level, by_dept) for layout in found])
    for kind in ("stores", "departments"):
        members = _members(wanted, kind)
        columns = columns_of(members.columns)
        for name, header in columns.items():
            able = [bool(layout.store if kind == "stores" else layout.dept) for layout in found]
            _give(answers, found, Extra(header, name, kind), members, able)
    return answers


def _can_hold(layout: Layout, level: Level, by_dept: bool) -> bool:
    """Whether rows of a layout say of which series, store or date a covariate is."""
    if not layout.date or layout.role == "not understood":
        return False
    if level == "chain":
        return True
    return layout.role == "sales" or bool(layout.dept if level == "series" and by_dept else layout.store)


def _give(
    answers: list[list[Extra]], found: Sequence[Layout], extra: Extra, part: Covariates | Members, able: Sequence[bool]
) -> None:
    """Give a declared column to the layouts that have it: to files beside the sales before the sales themselves.

    What is known ahead may be in both: what was is told with the sales, and what is planned in a file beside them.
    """
    holders = [
        index
        for index, layout in enumerate(found)
        if able[index]
        and layout.table.find(extra.header)
        and (not part.files or named(layout.table, part.files))
        and layout.table.find(extra.header) not in layout.keys
    ]
    own = {"stores": "stores", "departments": "departments", "covariates": "covariates"}[extra.kind]
    ranks = {index: 0 if found[index].role == own else 2 if found[index].role == "sales" else 1 for index in holders}
    for index in holders:
        if extra.known_ahead or ranks[index] == min(ranks.values()):
            answers[index].append(replace(extra, header=found[index].table.find(extra.header)))


def _recognised(found: Sequence[Layout], wanted: DataSpec) -> list[list[Extra]]:
    answers: list[list[Extra]] = [[] for _ in found]
    # What is known ahead may be told in the sales as well, if it is of the same level there.
    elsewhere: dict[str, tuple[Level, bool]] = {}
    for index, layout in enumerate(found):
        if layout.role not in ("sales", "not understood"):
            answers[index] = [extra for extra in _beside_sales(layout) if not is_declared(wanted, extra.kind)]
            elsewhere |= {extra.header.casefold(): (extra.level, extra.known_ahead) for extra in answers[index]}
    sold = [index for index, layout in enumerate(found) if layout.role == "sales"]
    # The largest shows best what a column is constant within; later deliveries may hold a single week.
    largest = max(sold, key=lambda index: found[index].table.source.sample.num_rows, default=None)
    extras = [] if largest is None else list(_within_sales(found[largest]))
    for index in sold:
        table = found[index].table
        for extra in extras:
            header = table.find(extra.header)
            told = elsewhere.get(header.casefold())
            # A row of sales is of a series, and can tell what is planned by series.
            of_series = told == ("series", True)
            if header and (of_series or told in (None, (extra.level, True))) and not is_declared(wanted, extra.kind):
                level = "series" if of_series else extra.level
                answers[index].append(replace(extra, header=header, level=level))
    return answers


def _free(layout: Layout) -> list[str]:
    taken = {*layout.keys, layout.value, *layout.dates}
    return [name for name in layout.table.headers if name not in taken and not is_row_number(name)]


def _beside_sales(layout: Layout) -> Iterator[Extra]:
    kind: Kind = "covariates" if layout.role in ("covariates", "calendar") else layout.role  # type: ignore[assignment]
    level: Level = "store" if layout.store and not layout.dept else "series" if layout.dept else "chain"
    for header in _free(layout):
        column = layout.table.columns[header]
        if kind != "covariates":
            yield Extra(header, header, kind)
        elif column.is_number or column.is_flag or (is_known_ahead(header) and _is_words(column)):
            yield Extra(header, header, kind, level, is_known_ahead(header))


def _within_sales(layout: Layout) -> Iterator[Extra]:
    """What columns of a table of sales are, by what they are constant within."""
    for header in _free(layout):
        if extra := _within(layout, header):
            yield extra


def _within(layout: Layout, header: str) -> Extra | None:
    table, column = layout.table, layout.table.columns[header]
    ahead = is_known_ahead(header)
    if (len(column.texts) < 2 and not ahead) or role_of(header) in ("date", "value", "flag"):
        return None
    if not ahead and (column.is_number or not column.is_date):
        if layout.store and table.is_constant(header, layout.store):
            return Extra(header, header, "stores")
        if layout.dept and table.is_constant(header, layout.dept):
            return Extra(header, header, "departments")
    if not (column.is_number or column.is_flag or (ahead and _is_words(column))) or not layout.date:
        return None
    level: Level = "series"
    if not layout.dept or table.is_constant(header, (*layout.store, layout.date)):
        level = "store" if layout.store else "chain"
    return Extra(header, header, "covariates", level, ahead)


def _why_left(layout: Layout, header: str, is_asked: bool) -> str:
    column = layout.table.columns[header]
    if is_row_number(header):
        return "row numbers"
    if not column.texts:
        return "no values"
    if len(column.texts) == 1:
        return f"one value, {column.texts[0][:40]!r}"
    if _is_text(column) and (is_known_ahead(header) or is_asked):
        return f"{len(column.texts)} or more texts; a covariate is a number, a flag or one of up to {MOST_WORDS} texts"
    if role_of(header) == "value":
        return "another amount than the one taken as sales"
    return "not used"
