"""The three CSV formats a landing zone takes: their headers as Kaggle ships them, and the frame columns they become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["sales", "conditions", "stores"]
Content = Literal["key", "count", "number", "date", "flag", "text"]

# How a message names what a field should have held.
EXPECTED: Mapping[Content, str] = {
    "key": "a whole number",
    "count": "a whole number",
    "number": "a number",
    "date": "a date like 2010-02-05",
    "flag": "TRUE or FALSE",
    "text": "text",
}


@dataclass(frozen=True)
class Field:
    """One CSV column: its `header`, the frame column it becomes, and what it holds.

    A `number` may be missing (`NA` or empty, NaN in the frame); any other content may not.
    """

    header: str
    column: str
    content: Content


@dataclass(frozen=True)
class Format:
    """One kind of file. `keys` are the frame columns that name a row, in the frame's sort order."""

    kind: Kind
    example: str
    fields: tuple[Field, ...]
    keys: tuple[str, ...]

    @property
    def headers(self) -> tuple[str, ...]:
        """The CSV column names, in the shipped order; any order is read."""
        return tuple(field.header for field in self.fields)

    @property
    def columns(self) -> tuple[str, ...]:
        """The frame's column names, in the frame's order."""
        return tuple(field.column for field in self.fields)


SALES = Format(
    "sales",
    "train.csv",
    (
        Field("Store", "store_id", "key"),
        Field("Dept", "dept_id", "key"),
        Field("Date", "week", "date"),
        Field("Weekly_Sales", "sales", "number"),
        Field("IsHoliday", "is_holiday", "flag"),
    ),
    ("week", "store_id", "dept_id"),
)
CONDITIONS = Format(
    "conditions",
    "features.csv",
    (
        Field("Store", "store_id", "key"),
        Field("Date", "week", "date"),
        Field("Temperature", "temperature_f", "number"),
        Field("Fuel_Price", "fuel_price", "number"),
        *(Field(f"MarkDown{i}", f"markdown{i}", "number") for i in range(1, 6)),
        Field("CPI", "cpi", "number"),
        Field("Unemployment", "unemployment_pct", "number"),
        Field("IsHoliday", "is_holiday", "flag"),
    ),
    ("week", "store_id"),
)
STORES = Format(
    "stores",
    "stores.csv",
    (
        Field("Store", "store_id", "key"),
        Field("Type", "store_type", "text"),
        Field("Size", "size_sqft", "count"),
    ),
    ("store_id",),
)
FORMATS: Mapping[Kind, Format] = {"sales": SALES, "conditions": CONDITIONS, "stores": STORES}
