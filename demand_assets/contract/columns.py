"""What a column and a table are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

# The unit of amounts is a fact of the workspace: it is kept with each vintage.
AMOUNT = "the vintage's unit"
# The key of a total that spans a whole dimension; no row of a dimension has it.
SPANS_ALL = 0
# Characters of an id. PostgreSQL bounds the entries of an index.
LONGEST_ID = 200
# Whatever the retailer writes, but no control characters.
ID_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]+$"
ID_RULE = f"a text of 1 to {LONGEST_ID} characters, none of them a control character"

# What a scenario may be called: it is part of an address, and of a file's name.
SCENARIO_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class Type(Enum):
    """What a column holds; the value is its name in the data dictionary."""

    # The text id of a store or department. Tables of facts keep the integer key of its row in the dimension.
    ID = "id"
    TEXT = "text"
    SMALL = "small integer"
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "flag"
    WEEK = "week"
    TIME = "time"
    JSON = "JSON"


@dataclass(frozen=True)
class Column:
    """One column. `text` says what it holds; `unit` is empty for what is not counted.

    `references`: TABLE.COLUMN whose values these are. A null ID is that of a total that spans the whole dimension.
    """

    name: str
    type: Type
    text: str
    unit: str = ""
    key: bool = False
    nullable: bool = False
    unique: bool = False
    references: str = ""

    @property
    def stored_name(self) -> str:
        """Name of its column in SQL: store_key for store_id."""
        return key_name(self.name) if self.type is Type.ID else self.name


def is_id(text: str) -> bool:
    """Whether a text can be the id of a store or department: ID_RULE."""
    return len(text) <= LONGEST_ID and re.fullmatch(ID_PATTERN, text) is not None


def key_name(name: str) -> str:
    """The column of integer keys that stands for a column of ids: store_key for store_id."""
    return f"{name.removesuffix('_id')}_key"


def texts(*columns: Column) -> dict[str, str]:
    """Name of each column -> what it holds."""
    return {column.name: column.text for column in columns}


@dataclass(frozen=True)
class Table:
    """One table; the columns with `key`, in their order, name a row. `indexes` and `unique`: name -> columns in SQL."""

    name: str
    text: str
    columns: tuple[Column, ...]
    indexes: Mapping[str, Sequence[str]] = field(default_factory=dict, hash=False)
    unique: Mapping[str, Sequence[str]] = field(default_factory=dict, hash=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its columns."""
        return tuple(column.name for column in self.columns)

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the columns that name a row."""
        return tuple(column.name for column in self.columns if column.key)

    def column(self, name: str) -> Column:
        """The column of that name; KeyError when there is none."""
        return {column.name: column for column in self.columns}[name]

    def without(self, *names: str) -> Table:
        """The table less some of its columns."""
        return replace(self, columns=tuple(column for column in self.columns if column.name not in names))
