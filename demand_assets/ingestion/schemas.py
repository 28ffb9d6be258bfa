"""What the ingested frames hold: columns, dtypes, units, and ranges of the columns that are known.

Keys, weekdays and everything that compares rows or files are checks of their own in `quality`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from demand_assets.ingestion.understanding import COVARIATES, Kind

if TYPE_CHECKING:
    import pandas as pd

# Far above any store's week, far below what a column shifted by one would hold (a date or a size read as money).
_MARKDOWN_LIMIT = 1e8


@dataclass(frozen=True)
class Column:
    """One column; `low` to `high`, both included, is the range of its numbers or of the lengths of its texts.

    A `float64` or `int64` column may hold numbers or flags of any size, a `str` column texts of any form.
    """

    dtype: str
    description: str
    unit: str
    low: float = -inf
    high: float = inf
    nullable: bool = False
    # Whether infinite numbers are told with the types; amounts of sales have a check of their own.
    finite: bool = True


_STORE_ID = Column("int32", "Store number", "id", low=0)
_WEEK = Column("datetime64[ns]", "The day that ends the week", "date")
_IS_HOLIDAY = Column("bool", "Whether the week holds a retail holiday; such weeks weigh 5 in WMAE", "flag")


def _condition(description: str, unit: str, low: float, high: float) -> Column:
    return Column("float64", f"{description}; NaN is not reported", unit, low, high, nullable=True)


# One row per store, department and week; sorted by week, store, department.
SALES_COLUMNS = {
    "store_id": _STORE_ID,
    "dept_id": Column("int32", "Department number within the store", "id", low=0),
    "week": _WEEK,
    # Missing and infinite amounts are for the check sales_are_finite, which shows the rows.
    "sales": Column(
        "float64",
        "Sales of the department in the week, net of returns: may be negative",
        "unit of sales",
        nullable=True,
        finite=False,
    ),
    "is_holiday": _IS_HOLIDAY,
}
# One row per store and week; sorted by week, store; runs past the last sales week.
CONDITIONS_COLUMNS = {
    "store_id": _STORE_ID,
    "week": _WEEK,
    "temperature_f": _condition("Mean air temperature in the region", "degrees Fahrenheit", -100, 150),
    "fuel_price": _condition("Fuel price in the region", "USD per gallon", 0, 100),
    **{
        f"markdown{i}": _condition(
            f"Promotional markdown of type {i}, anonymised; may be negative",
            "unit of sales",
            -_MARKDOWN_LIMIT,
            _MARKDOWN_LIMIT,
        )
        for i in range(1, 6)
    },
    "cpi": _condition("Consumer price index of the region", "index points", 0, 10_000),
    "unemployment_pct": _condition("Unemployment rate in the region", "percent", 0, 100),
    "is_holiday": _IS_HOLIDAY,
}
# One row per store; sorted by store.
STORES_COLUMNS = {
    "store_id": _STORE_ID,
    "store_type": Column("str", "Format of the store, such as A, B or C", "category", 1, 40, nullable=True),
    "size_sqft": Column("float64", "Selling area of the store", "square feet", low=1, nullable=True),
}
# One row per week; runs past the last sales week, because a calendar is known ahead.
CALENDAR_COLUMNS = {
    "week": _WEEK,
    "is_holiday": _IS_HOLIDAY,
    "holiday": Column("str", "Names of the holidays of the week, joined by semicolons; empty for none", "text"),
    "is_landed": Column("bool", "Whether the flag was delivered; else it follows the rule and earlier years", "flag"),
}

_DEPT_ID = SALES_COLUMNS["dept_id"]

_NAMES = {
    "id": Column("str", "Id as it was delivered", "text"),
    "name": Column("str", "Name for people; the id where none was delivered", "text", nullable=True),
}

# Columns that every frame of a kind has, and columns it may have whose range is known.
_NEEDED: Mapping[Kind, Mapping[str, Column]] = {
    "sales": {name: column for name, column in SALES_COLUMNS.items() if name != "is_holiday"},
    "covariates": {"store_id": _STORE_ID, "week": _WEEK},
    "series_covariates": {"store_id": _STORE_ID, "dept_id": _DEPT_ID, "week": _WEEK},
    "stores": {"store_id": _STORE_ID},
    "departments": {"dept_id": _DEPT_ID},
}
_KNOWN: Mapping[Kind, Mapping[str, Column]] = {
    "sales": SALES_COLUMNS,
    "covariates": {**CONDITIONS_COLUMNS, "dept_id": _DEPT_ID},
    "series_covariates": {},
    "stores": {**STORES_COLUMNS, **_NAMES},
    "departments": _NAMES,
}
_KEYS = ("week", "store_id", "dept_id")


@dataclass(frozen=True)
class Schema:
    """The columns of one kind of frame, in the frame's order."""

    kind: Kind
    columns: Mapping[str, Column]

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that name a row, in the frame's sort order."""
        return tuple(key for key in _KEYS if key in self.columns)

    def only(self, names: Sequence[str]) -> Schema:
        """The schema of these columns alone."""
        return Schema(self.kind, {name: column for name, column in self.columns.items() if name in names})


def schema_of(kind: Kind, frame: pd.DataFrame) -> Schema:
    """The schema of a frame: what every frame of its kind has, and its own columns beside.

    Columns of sales are fixed. Those of covariates are numbers, those of stores and departments numbers or texts; the
    ones that are known (weather, markdowns and economy of the Walmart files) keep their unit and range.
    """
    needed, known = _NEEDED[kind], _KNOWN[kind]
    names = [str(name) for name in frame if name not in needed and (kind != "sales" or name in known)]
    return Schema(kind, {**needed, **{name: known.get(name) or _own(kind, frame, name) for name in names}})


def _own(kind: Kind, frame: pd.DataFrame, name: str) -> Column:
    is_number = kind in COVARIATES or frame.dtypes[frame.columns == name].iloc[0].kind in "iufb"
    return Column("float64" if is_number else "str", f"{name}, as delivered", "", nullable=True)
