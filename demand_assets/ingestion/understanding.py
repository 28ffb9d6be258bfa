"""What has been understood of a landing zone: of each file, of its columns, and what could not be told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from demand_assets.ingestion.dataspec import DataSpec
from demand_assets.ingestion.source import ColumnType, Source

# Rows of each kind are a table of the lake: `raw_series_covariates`, `stores`.
Kind = Literal["sales", "covariates", "series_covariates", "stores", "departments"]
# Rows that are dated, and numbers beside their keys.
COVARIATES: tuple[Kind, ...] = ("covariates", "series_covariates")
Level = Literal["series", "store", "chain"]
Headers = tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What the columns of one source become. One file with everything has a plan of each kind.

    `store`, `dept`: headers whose values are joined with a slash; empty where there is no such key. `date`: header.
    `values`: name -> header, of a sales plan `sales`, else covariates or attributes. `flag`: header of the holiday
    flags or empty. `name`: header of names or empty. `types`: header -> how it is read, of every header used.
    `dates`: of a wide file column -> its date. `days` tells rows that cover a day from rows that cover a week;
    `shift`: days from the date of a row to the day that ends its week, for rows that cover a week. `keyed`: key -> date
    where the column of dates holds keys of another file. Of `values`, `known_ahead` are planned, of `counted` a week
    has the days on which they are set, and `words` are texts, of which each value becomes a flag.
    """

    kind: Kind
    level: Level = "series"
    store: Headers = ()
    dept: Headers = ()
    date: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    flag: str = ""
    name: str = ""
    types: Mapping[str, ColumnType] = field(default_factory=dict)
    dates: Mapping[str, dt.date] = field(default_factory=dict)
    days: bool = False
    shift: int = 0
    keyed: Mapping[str, dt.date] = field(default_factory=dict)
    known_ahead: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileReport:
    """One file as `demand inspect` shows it; what does not apply is empty."""

    name: str
    role: str
    written: str = ""
    dates: str = ""
    frequency: str = ""
    week_ends: str = ""
    keys: str = ""
    value: str = ""
    unit: str = ""
    rows: int | None = None
    first: str = ""
    last: str = ""
    gaps: str = ""
    covariates: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """What the files do not tell, and the line of `demand.toml` that answers it."""

    text: str
    line: str


@dataclass(frozen=True, eq=False)
class Understanding:
    """A landing zone: `spec` is `demand.toml` with what was recognised filled in, `form` the known form or empty.

    `plans`: each source with what its columns become, in landing order. Nothing can be read while there are questions.
    """

    spec: DataSpec
    form: str
    files: tuple[FileReport, ...]
    plans: tuple[tuple[Source, Plan], ...]
    questions: tuple[Question, ...] = ()
    notes: tuple[str, ...] = ()
