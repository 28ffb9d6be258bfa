"""Stores and departments: what they are called and their static facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, String, func, literal, select, union_all

from demand_assets.contract.columns import key_name
from demand_assets.store.dimensions import DIMENSIONS, attributes_of
from demand_assets.store.reads.statements import Order
from demand_assets.store.reads.totals import KEYS

ORDERS = {name: Order((table.c[key_name(name)],)) for name, table in DIMENSIONS.items()}
"""Order of `members` by the column of ids."""


def members(name: str, ids: Sequence[str] | None = None) -> Select[Any]:
    """(id, name, attributes) of every store, or of these; `name` is store_id, or dept_id for departments."""
    d = DIMENSIONS[name].c
    statement = select(d[name], d.name.label(name_column(name)), d.attributes)
    return statement if ids is None else statement.where(d[name].in_(ids))


def name_column(name: str) -> str:
    """store_name for store_id."""
    return f"{name.removesuffix('_id')}_name"


NAMES: dict[str, Select[Any]] = {
    name: select(table.c[name], table.c.name).where(table.c.name.is_not(None)) for name, table in DIMENSIONS.items()
}
"""Column of ids -> (id, name) of each store or department that has a name."""


def attributes() -> tuple[Select[Any], Order]:
    """(level, attribute, value, members): each value of each attribute, and how many have it; and the order."""
    parts = []
    for level, name in KEYS.items():
        known = attributes_of(name).c
        counted = select(
            literal(level, String).label("level"), known.attribute, known.value, func.count().label("members")
        )
        parts.append(counted.group_by(known.attribute, known.value))
    found = union_all(*parts).subquery()
    return select(found), Order((found.c.level, found.c.attribute, found.c.value))


def is_attribute(name: str, attribute: str, value: str | None = None) -> Select[Any]:
    """A row if some store or department has that attribute, with that value if one is given."""
    known = attributes_of(name).c
    found = select(literal(1)).where(known.attribute == attribute)
    return (found if value is None else found.where(known.value == value)).limit(1)
