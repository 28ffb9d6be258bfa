"""Typed tables -> the rows of each kind: sales and covariates of weeks, stores, departments. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from demand_assets.contract.columns import ID_RULE, LONGEST_ID
from demand_assets.errors import SchemaError
from demand_assets.ingestion.delivery import KEYS, MEMBERS, LandedFile
from demand_assets.ingestion.extras import MOST_WORDS
from demand_assets.ingestion.ids import ONLY_ID, IdColumn, in_natural_order, joined
from demand_assets.ingestion.order import sort_order
from demand_assets.ingestion.source import Source
from demand_assets.ingestion.understanding import Plan
from demand_assets.ingestion.values import FALSE, NULLS

_DAYS = 7
_DAY_NS = 86_400_000_000_000
# Names of columns that every table of their kind has, or may have.
_NOTHING = frozenset((*(word.casefold() for word in (*FALSE, *NULLS)), "none", "nothing"))
_TAKEN = frozenset({"store_id", "dept_id", "id", "name", "week", "day", "sales", "is_holiday"})


class HasIds(Protocol):
    """Rows with ids as of a Delivery."""

    @property
    def frame(self) -> pd.DataFrame:
        """The rows."""
        ...

    @property
    def ids(self) -> Mapping[str, tuple[str, ...]]:
        """Text ids behind the numbers."""
        ...


@dataclass(frozen=True, eq=False)
class Part:
    """The rows of one plan of one source under the names of the lake: rows of weeks by their keys, others as they came.

    `ids` as of a Delivery. `day` is the date of a row that covers a day; `week` that of a row that covers a week.
    `order`: (n,) the row of the file that each row was; None where they are as in the file. `starts`: of a table with
    a column per date the first row that each row of the file makes, ascending.
    """

    source: Source
    plan: Plan
    frame: pd.DataFrame
    ids: Mapping[str, tuple[str, ...]]
    content_hash: str
    order: NDArray[np.intp] | None = None
    starts: NDArray[np.intp] | None = None

    def file_rows(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """The 0-based data rows of the file that rows at these positions of `frame` come from."""
        if self.starts is not None:
            return np.searchsorted(self.starts, rows, side="right") - 1
        return rows if self.order is None else self.order[rows]

    @property
    def known_ahead(self) -> tuple[str, ...]:
        """Columns of values that are planned before their week."""
        return tuple(self._columns(self.plan.known_ahead))

    @property
    def counted(self) -> tuple[str, ...]:
        """Columns of which a week has the number of days on which they are set."""
        return tuple(self._columns(self.plan.counted))

    def words(self) -> dict[str, list[str]]:
        """Name of each column of texts -> its columns of flags."""
        return {name: list(self._columns([name])) for name in self.plan.words}

    def _columns(self, names: Sequence[str]) -> Iterator[str]:
        for name in names:
            yield from columns_of_covariate(lake_name(name), map(str, self.frame.columns))

    @property
    def file(self) -> LandedFile:
        """The landed file that its source is a table of."""
        return self.source.file


def part_of(source: Source, plan: Plan, table: pa.Table, content_hash: str) -> Part:
    """The rows of a table read as the plan says."""
    ids: dict[str, tuple[str, ...]] = {}
    keys: dict[str, NDArray[np.int32]] = {}
    for name, headers in (("store_id", plan.store), ("dept_id", plan.dept)):
        if _has(plan, name):
            column = _id_column(table, headers)
            keys[name] = column.codes.astype(np.int32, copy=False)
            if column.texts is not None:
                ids[name] = column.texts
    if plan.dates:
        frame, starts = _long(table, plan, keys)
        return Part(source, plan, frame, ids, content_hash, starts=starts)
    order = None
    if plan.date:
        keys["day" if plan.days else "week"] = _days(source, plan, table)
        # Days are sorted by the week they are in, which what ends a week decides.
        order = None if plan.days or plan.level == "chain" else sort_order([keys[name] for name in KEYS[plan.kind]])
    columns: dict[str, Any] = {}
    for name in list(keys):
        # One after the other, so that no time has all of them twice.
        codes = _taken(keys.pop(name), order)
        columns[name] = codes if name in ("store_id", "dept_id") else _timestamps(codes)
    for name, values in _beside(source, plan, table):
        columns[name] = _taken(values, order)
    frame = pd.DataFrame(columns, copy=False)
    if plan.kind in MEMBERS:
        # A file of sales tells the facts of a store in each of its rows.
        order = np.flatnonzero(~frame.duplicated())
        frame = frame.iloc[order].reset_index(drop=True)
    return Part(source, plan, frame, ids, content_hash, order)


def _beside(source: Source, plan: Plan, table: pa.Table) -> Iterator[tuple[str, Any]]:
    """Name and (n,) values of each column beside the keys, in file order."""
    for name, header in plan.values.items():  # noqa: PD011
        if name in plan.words:
            yield from _flags_of_words(source, lake_name(name), table.column(header)).items()
        else:
            yield name if plan.kind == "sales" else lake_name(name), _values(table.column(header))
    if plan.flag:
        yield "is_holiday", table.column(plan.flag).to_numpy(zero_copy_only=False).astype(bool, copy=False)
    if plan.name:
        yield "name", _values(table.column(plan.name))


def _taken(values: Any, order: NDArray[np.intp] | None) -> Any:
    return values if order is None else values.take(order)


def _days(source: Source, plan: Plan, table: pa.Table) -> NDArray[np.int32]:
    """(n,) days since 1970: the day that a row covers, or the one that ends its week."""
    keyed = plan.keyed
    days = _keyed_days(source, plan, table) if keyed else table.column(plan.date).cast(pa.int32()).to_numpy()
    return days if plan.days or not plan.shift else days + np.int32(plan.shift)


def _timestamps(days: NDArray[np.int32]) -> NDArray[np.datetime64]:
    """(n,) datetime64[ns] of days since 1970."""
    moments = days.astype(np.int64)
    moments *= _DAY_NS
    return moments.view("datetime64[ns]")


def _keyed_days(source: Source, plan: Plan, table: pa.Table) -> NDArray[np.int32]:
    """(n,) days since 1970 of the rows of a table whose dates are keys; SchemaError for a key without a date."""
    ids = _one_id(table.column(plan.date))
    codes, place = np.unique(ids.codes, return_inverse=True)
    keys = [str(code) if ids.texts is None else ids.texts[code] for code in codes.tolist()]
    if unknown := [key for key in keys if key not in plan.keyed]:
        raise SchemaError(
            f"{source.name}: {plan.date} is {unknown[0]!r}, expected a key of the file of its dates; land that whole"
        )
    return np.array([plan.keyed[key] for key in keys], dtype="datetime64[D]").astype(np.int32)[place]


def _flags_of_words(source: Source, name: str, column: pa.ChunkedArray) -> dict[str, NDArray[np.float64]]:
    """A flag for each text of a column, NAME=TEXT; none for texts that say no. SchemaError for too many of them."""
    whole = column.cast(pa.string()).dictionary_encode().unify_dictionaries().combine_chunks()
    codes, words = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False), whole.dictionary.to_pylist()
    flags = {
        f"{name}={word}": (codes == place).astype(np.float64)
        for place, word in enumerate(words)
        if word.casefold() not in _NOTHING
    }
    if len(flags) > MOST_WORDS:
        raise SchemaError(
            f"{source.name}: {name} has {len(flags)} texts, each a flag, expected up to {MOST_WORDS}; leave the column "
            "out of [[covariates]] columns in demand.toml"
        )
    return dict(sorted(flags.items()))


def lake_name(name: str) -> str:
    """The name of a covariate or fact that is no name of the lake's own: M5's dept_id of an item becomes dept."""
    if name not in _TAKEN:
        return name
    shorter = name.removesuffix("_id")
    return shorter if shorter not in _TAKEN else f"{name}_fact"


def _has(plan: Plan, name: str) -> bool:
    """Whether rows of the plan have this id."""
    if plan.kind in ("stores", "departments"):
        return (plan.kind == "stores") == (name == "store_id")
    return name == "store_id" if plan.level == "store" else plan.level == "series"


def _id_column(table: pa.Table, headers: Sequence[str]) -> IdColumn:
    """The ids that these columns make together; `ONLY_ID` where there are none."""
    if not headers:
        return IdColumn(np.zeros(len(table), dtype=np.int64), (ONLY_ID,))
    made = joined([_one_id(table.column(header)) for header in headers])
    if long := next((text for text in made.texts or () if len(text) > LONGEST_ID), ""):
        raise SchemaError(f"{' and '.join(headers)} make the id {long[:60]!r}..., expected {ID_RULE}")
    return made


def _one_id(column: pa.ChunkedArray) -> IdColumn:
    if pa.types.is_integer(column.type):
        ends = pc.min_max(column).as_py()
        if not len(column) or (ends["min"] >= -(2**31) and ends["max"] < 2**31):
            return IdColumn(column.cast(pa.int32()).to_numpy())
        # Keys have 32 bits: longer numbers, such as bar codes, are ids like any text.
        column = column.cast(pa.string()).dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    texts = whole.dictionary.to_pylist()
    # In natural order, so that rows sorted by code are sorted by id.
    ordered = in_natural_order(texts)
    place = {text: number for number, text in enumerate(ordered)}
    code = np.array([place[text] for text in texts], dtype=np.int64)
    return IdColumn(code[whole.indices.to_numpy()], tuple(ordered))


def _values(column: pa.ChunkedArray) -> Any:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8()).cast(pa.float64())
    return column.to_numpy(zero_copy_only=False)


def _long(table: pa.Table, plan: Plan, ids: dict[str, Any]) -> tuple[pd.DataFrame, NDArray[np.intp]]:
    """One row per series and date of a table with a column per date, from the first sale of each series on.

    And the first of the rows that each row of the table makes.
    """
    headers = sorted(plan.dates, key=lambda header: plan.dates[header])
    cells = np.column_stack([table.column(header).to_numpy() for header in headers])
    # Such a table has a cell for every date, also before a series existed.
    kept = np.maximum.accumulate(np.nan_to_num(cells) != 0, axis=1) & ~np.isnan(cells)
    row, at = np.nonzero(kept)
    dates = np.array([plan.dates[header] for header in headers], dtype="datetime64[D]") + (
        0 if plan.days else plan.shift
    )
    columns = {name: codes[row] for name, codes in ids.items()}
    columns["day" if plan.days else "week"] = dates[at].astype("datetime64[ns]")
    starts = np.concatenate([[0], np.cumsum(kept.sum(axis=1))[:-1]])
    return pd.DataFrame({**columns, "sales": cells[kept]}), starts


def columns_of_covariate(name: str, columns: Iterable[str]) -> Iterator[str]:
    """Those of the columns that hold a covariate: its own, or a flag NAME=TEXT for each of its texts."""
    yield from (column for column in columns if column == name or column.startswith(f"{name}="))


def with_all_words(parts: Sequence[Part]) -> list[Part]:
    """The parts, each with a flag for every text of a column in any of them: what a part lacks is not set in it."""
    found: dict[str, set[str]] = {}
    for part in parts:
        for name, columns in part.words().items():
            found.setdefault(name, set()).update(columns)
    answers = []
    for part in parts:
        absent = sorted({column for name in part.plan.words for column in found[name]} - set(part.frame.columns))
        answers.append(replace(part, frame=part.frame.assign(**dict.fromkeys(absent, 0.0))) if absent else part)
    return answers


def with_common_ids(parts: Sequence[HasIds]) -> tuple[list[pd.DataFrame], dict[str, tuple[str, ...]]]:
    """The frames of the parts with ids that mean the same in each of them, and the texts behind them."""
    frames = [part.frame for part in parts]
    ids: dict[str, tuple[str, ...]] = {}
    for column in ("store_id", "dept_id"):
        holding = [number for number, part in enumerate(parts) if column in part.frame]
        if not any(column in parts[number].ids for number in holding):
            continue
        columns = {
            number: IdColumn(frames[number][column].to_numpy(), parts[number].ids.get(column)) for number in holding
        }
        texts = in_natural_order(text for one in columns.values() for text in one.present())
        place = {text: number for number, text in enumerate(texts)}
        for number, one in columns.items():
            frames[number] = frames[number].assign(**{column: one.keys(place)})
        ids[column] = tuple(texts)
    return frames, ids


def week_of_day(days: NDArray[np.datetime64], weekday: int) -> NDArray[np.datetime64]:
    """The day that ends the week of each day; `weekday` 0 is Monday."""
    number = days.astype("datetime64[D]").astype(np.int64)
    # 1970-01-01 was a Thursday.
    ahead = (weekday - (number + 3)) % _DAYS
    return (number + ahead).astype("datetime64[D]").astype("datetime64[ns]")
