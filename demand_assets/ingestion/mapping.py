"""Typed tables -> the rows of each kind: sales and covariates of weeks, stores, departments. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from demand_assets.ingestion.delivery import LandedFile
from demand_assets.ingestion.ids import ONLY_ID, IdColumn, in_natural_order, joined
from demand_assets.ingestion.source import Source
from demand_assets.ingestion.understanding import Plan

_DAYS = 7
# Names of columns that every table of their kind has, or may have.
_TAKEN = frozenset({"store_id", "dept_id", "id", "name", "week", "day", "sales", "is_holiday"})


@dataclass(frozen=True, eq=False)
class Part:
    """The rows of one plan of one source, in file order, under the names of the lake.

    `ids` as of a Delivery. `day` is the date of a row that covers a day; `week` that of a row that covers a week.
    """

    source: Source
    plan: Plan
    frame: pd.DataFrame
    ids: dict[str, tuple[str, ...]]
    content_hash: str

    @property
    def file(self) -> LandedFile:
        """The landed file that its source is a table of."""
        return self.source.file


def part_of(source: Source, plan: Plan, table: pa.Table, content_hash: str) -> Part:
    """The rows of a table read as the plan says."""
    ids: dict[str, tuple[str, ...]] = {}
    columns: dict[str, Any] = {}
    for name, headers in (("store_id", plan.store), ("dept_id", plan.dept)):
        if _has(plan, name):
            column = _id_column(table, headers)
            columns[name] = column.codes.astype(np.int32, copy=False)
            if column.texts is not None:
                ids[name] = column.texts
    if plan.dates:
        return Part(source, plan, _long(table, plan, columns), ids, content_hash)
    if plan.date:
        columns["day" if plan.days else "week"] = _dates(table.column(plan.date), 0 if plan.days else plan.shift)
    for name, header in plan.values.items():  # noqa: PD011
        columns[name if plan.kind == "sales" else _free(name)] = _values(table.column(header))
    if plan.flag:
        columns["is_holiday"] = table.column(plan.flag).to_numpy(zero_copy_only=False).astype(bool)
    if plan.name:
        columns["name"] = table.column(plan.name).to_pandas()
    frame = pd.DataFrame(columns, copy=False)
    if plan.kind in ("stores", "departments"):
        # A file of sales tells the facts of a store in each of its rows.
        frame = frame.drop_duplicates(ignore_index=True)
    return Part(source, plan, frame, ids, content_hash)


def _dates(column: pa.ChunkedArray, shift: int) -> Any:
    """(n,) datetime64[ns]: dates moved by so many days."""
    if not shift:
        return column.cast(pa.timestamp("ns")).to_numpy()
    return (column.cast(pa.int32()).to_numpy() + np.int32(shift)).astype("datetime64[D]").astype("datetime64[ns]")


def _free(name: str) -> str:
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
    return joined([_one_id(table.column(header)) for header in headers])


def _one_id(column: pa.ChunkedArray) -> IdColumn:
    if pa.types.is_integer(column.type):
        numbers = column.to_numpy()
        if not len(numbers) or (numbers.min() >= -(2**31) and numbers.max() < 2**31):
            return IdColumn(numbers)
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
    return column.to_pandas() if pa.types.is_string(column.type) else column.to_numpy(zero_copy_only=False)


def _long(table: pa.Table, plan: Plan, ids: dict[str, Any]) -> pd.DataFrame:
    """One row per series and date of a table with a column per date, from the first sale of each series on."""
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
    return pd.DataFrame({**columns, "sales": cells[kept]})


def with_common_ids(parts: Sequence[Part]) -> tuple[list[pd.DataFrame], dict[str, tuple[str, ...]]]:
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
