"""What is found in a landing zone before it is understood: tables, how they are written, and a sample of their rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from demand_assets.ingestion.delivery import LandedFile

if TYPE_CHECKING:
    import pyarrow as pa

# Rows of a sample: from the start of the file and from places spread over it.
SAMPLE_ROWS = 5_000


@dataclass(frozen=True)
class Dialect:
    """How a table is written. What is empty does not apply: a Parquet file has no separator."""

    form: Literal["csv", "excel", "parquet", "json lines"]
    encoding: str = ""
    separator: str = ""
    quote: str = ""
    # Lines before the header.
    skipped: int = 0


@dataclass(frozen=True, eq=False)
class Source:
    """One table of a landed file: the file itself, a member of an archive (`part`), or a sheet of a workbook.

    `sample`: some of its rows, all columns, header names stripped; text columns for CSV, typed ones elsewhere. A CSV
    column without a name is "". `rows` is None where it would cost a whole read.
    """

    file: LandedFile
    part: str
    dialect: Dialect
    sample: pa.Table
    rows: int | None

    @property
    def name(self) -> str:
        """`sales.zip`, or `sales.zip: train.csv` for a part of it."""
        return f"{self.file.name}: {self.part}" if self.part else self.file.name


@dataclass(frozen=True)
class ColumnType:
    """What a column is to be read as.

    `id`: int64 where every value is a whole number as Python writes it, else dictionary-encoded text; `number`:
    float64; `date`: date32, of `date_format` (empty: ISO 8601), a time of day is dropped; `flag`: bool; `text`.
    A number may be missing, so may a text, and with `may_be_missing` a flag. `decimal` and `thousands` are the marks
    of a number.
    """

    content: Literal["id", "number", "date", "flag", "text"]
    date_format: str = ""
    decimal: str = "."
    thousands: str = ""
    may_be_missing: bool = False
