"""What statements are put together from: filters, stretches of weeks, and pages by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Column, ColumnElement, Date, Integer, Select, String, and_, column, literal, tuple_, values
from sqlalchemy.sql import FromClause
from sqlalchemy.sql.selectable import CTE, Join
from sqlalchemy.types import TypeEngine

from demand_assets.contract.columns import SPANS_ALL, key_name
from demand_assets.store.dimensions import DIMENSIONS, ID_NAMES, key_of, keys_having, keys_in
from demand_assets.store.tables import departments, stores

Key = Sequence[Any]


@dataclass(frozen=True)
class Having:
    """A filter of stores or departments: those whose `attribute` has that `value`, of `ids` if there are any."""

    attribute: str
    value: str
    ids: tuple[str, ...] | None = None


Ids = str | tuple[str, ...] | Having | None
"""A filter of stores or departments: one id, any of several, those having an attribute, or None for all."""


@dataclass(frozen=True)
class Order:
    """Columns rows are sorted by, all in one direction, which together are a key; stores and departments by their keys.

    The key of a row, as callers see it, has ids: `names` are those of its values among the row's columns.
    """

    columns: tuple[ColumnElement[Any], ...]
    descending: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the values of a row's key, text ids for stores and departments."""
        return tuple(ID_NAMES.get(str(column.key), str(column.key)) for column in self.columns)

    @property
    def types(self) -> tuple[TypeEngine[Any], ...]:
        """Types of these values."""
        return tuple(String() if column.key in ID_NAMES else column.type for column in self.columns)

    def page(self, statement: Select[Any], after: Key | None, limit: int | None) -> Select[Any]:
        """`statement` sorted, from the row after that of the key `after`, `limit` rows of it."""
        if after is not None:
            seen = tuple_(*(_stored(value, column) for value, column in zip(after, self.columns, strict=True)))
            keys = tuple_(*self.columns)
            statement = statement.where(keys < seen if self.descending else keys > seen)
        ordered = [column.desc() if self.descending else column.asc() for column in self.columns]
        return statement.order_by(*ordered).limit(limit)


def _stored(value: Any, column: ColumnElement[Any]) -> ColumnElement[Any]:
    if column.key not in ID_NAMES:
        return literal(value, column.type)
    return total_key(ID_NAMES[str(column.key)], value)


def total_key(name: str, value: str | None) -> ColumnElement[Any]:
    """The key of an id, or that of the totals that span all where there is none."""
    return literal(SPANS_ALL, Integer) if value is None else key_of(name, value)


def matching(statement: Select[Any], table: FromClause, filters: Mapping[str, Any]) -> Select[Any]:
    """`statement` where each column named in `filters` has that value, ids as `Ids`; None leaves it out."""
    given = {name: value for name, value in filters.items() if value is not None}
    return statement.where(*(equals(table, name, value) for name, value in given.items()))


def equals(table: FromClause, name: str, value: Any) -> ColumnElement[bool]:
    """Whether the column of that name has that value, ids as `Ids`."""
    column: ColumnElement[Any] = table.c[key_name(name) if name in DIMENSIONS else name]
    if name not in DIMENSIONS:
        is_value: ColumnElement[bool] = column == value
        return is_value
    if isinstance(value, Having):
        having = column.in_(keys_having(name, value.attribute, value.value))
        return having if value.ids is None else and_(having, equals(table, name, value.ids))
    ids = (value,) if isinstance(value, str) else value
    return column == key_of(name, ids[0]) if len(ids) == 1 else column.in_(keys_in(name, ids))


def between(
    statement: Select[Any], column: Column[Any] | ColumnElement[Any], start: date | None, end: date | None
) -> Select[Any]:
    """`statement` where `column` lies from `start` to `end`, both included."""
    if start is not None:
        statement = statement.where(column >= start)
    if end is not None:
        statement = statement.where(column <= end)
    return statement


def of_wanted(table: FromClause, keys: Sequence[tuple[str, str, date]]) -> tuple[CTE, Join]:
    """The (store_id, dept_id, week) of `keys` as a table of one statement; that joined with their rows of `table`."""
    names = (column("store_id", String), column("dept_id", String), column("week", Date))
    wanted = values(*names).data(list(keys)).cte("wanted")
    w, t = wanted.c, table.c
    same = (t.store_key == stores.c.store_key) & (t.dept_key == departments.c.dept_key) & (t.target_week == w.week)
    with_keys = wanted.join(stores, stores.c.store_id == w.store_id).join(
        departments, departments.c.dept_id == w.dept_id
    )
    return wanted, with_keys.join(table, same)
