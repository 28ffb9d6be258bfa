"""Ids of stores and departments are text; facts carry the integer keys of the dimension tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, ScalarSelect, Select, String, Table, func, insert, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import Subquery
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from demand_assets.contract.columns import key_name
from demand_assets.store.tables import departments, stores

DIMENSIONS: Mapping[str, Table] = {"store_id": stores, "dept_id": departments}
ID_NAMES = {key_name(name): name for name in DIMENSIONS}
_LOCK_DIMENSIONS = 0x64656D616E640C


def natural(text: str) -> tuple[tuple[tuple[str, int, str], ...], str]:
    """Sorts texts as people count: "2" before "10"."""
    parts = re.findall(r"([^0-9]*)0*([0-9]*)", text)
    return tuple((words, len(digits), digits) for words, digits in parts), text


def key_of(name: str, value: str) -> ScalarSelect[Any]:
    """The key of an id in SQL, for the column of that name; NULL for an id that nothing was published of."""
    dimension = DIMENSIONS[name]
    return select(dimension.c[key_name(name)]).where(dimension.c[name] == value).scalar_subquery()


def keys_in(name: str, values: Sequence[str]) -> Select[Any]:
    """The keys of these ids in SQL, for the column of that name."""
    dimension = DIMENSIONS[name]
    return select(dimension.c[key_name(name)]).where(dimension.c[name].in_(values))


class _FactText(FunctionElement[str]):
    """The text of a value of `json_each`, whose second argument is the type that SQLite says it has."""

    type = String()
    inherit_cache = True


@compiles(_FactText, "postgresql")
def _fact_text_in_postgresql(element: _FactText, compiler: SQLCompiler, **options: Any) -> str:
    value, _ = element.clauses
    return f"({compiler.process(value, **options)} #>> '{{}}')"


@compiles(_FactText, "sqlite")
def _fact_text_in_sqlite(element: _FactText, compiler: SQLCompiler, **options: Any) -> str:
    value, kind = (compiler.process(each, **options) for each in element.clauses)
    # It keeps flags as numbers.
    return f"(CASE WHEN {kind} IN ('true', 'false') THEN {kind} ELSE CAST({value} AS TEXT) END)"


def attributes_of(name: str) -> Subquery:
    """(store_key, attribute, value), one row per static fact of a store; numbers and flags as JSON writes them.

    `name` is store_id, or dept_id for departments.
    """
    d = DIMENSIONS[name].c
    pairs = func.json_each(d.attributes).table_valued("key", "value", "type", joins_implicitly=True)
    value = _FactText(pairs.c.value, pairs.c.type).label("value")
    facts = select(d[key_name(name)], pairs.c.key.label("attribute"), value).where(d.attributes.is_not(None))
    return facts.subquery()


def keys_having(name: str, attribute: str, value: str) -> Select[Any]:
    """The keys of stores or departments whose attribute has that value, as `attributes_of` writes it."""
    known = attributes_of(name).c
    return select(known[key_name(name)]).where(known.attribute == attribute, known.value == value)


def ids_among(name: str, values: Sequence[str]) -> Select[Any]:
    """Those of `values` that are ids of the column of that name."""
    column = DIMENSIONS[name].c[name]
    return select(column).where(column.in_(values))


def id_of(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The id of a column of keys in SQL, named store_id for store_key; NULL where a total spans all."""
    name = ID_NAMES[str(column.key)]
    dimension = DIMENSIONS[name]
    return select(dimension.c[name]).where(dimension.c[key_name(name)] == column).scalar_subquery().label(name)


def shown(table: Table | Subquery, *but: str) -> list[ColumnElement[Any]]:
    """Columns of a table as readers get them: ids in place of keys, less those named in `but`."""
    return [_shown(column) for column in table.c if column.name not in but]


def _shown(column: Column[Any] | ColumnElement[Any]) -> ColumnElement[Any]:
    return id_of(column) if column.key in ID_NAMES else column


def keys_of(connection: Connection, name: str, ids: Sequence[str]) -> dict[str, int]:
    """Id -> key of the dimension of the column `name`; ids that are new to it are added, in the order given."""
    known = _keys(connection, name)
    if set(ids) <= known.keys():
        return known
    if connection.dialect.name == "postgresql":
        # Others may add the same id at this moment; what they have added is seen once they have committed.
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK_DIMENSIONS)))
        known = _keys(connection, name)
    new = [each for each in ids if each not in known]
    first = max(known.values(), default=0) + 1
    added = {each: first + at for at, each in enumerate(new)}
    if added:
        rows = [{key_name(name): key, name: each} for each, key in added.items()]
        connection.execute(insert(DIMENSIONS[name]), rows)
    return known | added


def _keys(connection: Connection, name: str) -> dict[str, int]:
    dimension = DIMENSIONS[name]
    found = connection.execute(select(dimension.c[name], dimension.c[key_name(name)]))
    return {str(each): int(key) for each, key in found}
