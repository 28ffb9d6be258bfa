"""What stores and departments are called, in memory: every answer with ids has their names beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from demand_assets.store.dimensions import DIMENSIONS
from demand_assets.store.reads.members import name_column

# Column of names -> column of the ids it is of.
NAME_COLUMNS = {name_column(name): name for name in DIMENSIONS}


class Names:
    """Column of ids -> id -> name; an id without a name has none."""

    def __init__(self, known: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self._known = known or {name: {} for name in DIMENSIONS}

    def beside(self, row: Mapping[str, Any]) -> dict[str, str | None]:
        """`store_name` and `dept_name` of a row with both ids; null where there is no name."""
        return {column: self._known[name].get(row[name]) for column, name in NAME_COLUMNS.items()}

    def of(self, name: str, ids: Sequence[str | None]) -> list[str | None]:
        """The names of these ids, null where there is none; `name` is that of their column."""
        known = self._known[name]
        return [None if each is None else known.get(each) for each in ids]
