"""What the ingested frames hold: columns, dtypes, units, and ranges that any retailer keeps.

Keys, Fridays and everything that compares rows or files are checks of their own in `quality`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from demand_assets.ingestion.formats import Kind

# Far above any store's week, far below what a column shifted by one would hold (a date or a size read as money).
_MARKDOWN_LIMIT = 1e8


@dataclass(frozen=True)
class Column:
    """One column; `low` to `high`, both included, is the range of its numbers or of the lengths of its texts."""

    dtype: str
    description: str
    unit: str
    low: float = -inf
    high: float = inf
    nullable: bool = False


_STORE_ID = Column("int32", "Store number", "id", low=0)
_WEEK = Column("datetime64[ns]", "The Friday that ends the week", "date")
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
    "store_type": Column("str", "Format of the store, such as A, B or C", "category", 1, 40),
    "size_sqft": Column("int64", "Selling area of the store", "square feet", low=1),
}
# One row per week; runs past the last sales week, because a calendar is known ahead.
CALENDAR_COLUMNS = {
    "week": _WEEK,
    "is_holiday": _IS_HOLIDAY,
    "holiday": Column("str", "Names of the holidays of the week, joined by semicolons; empty for none", "text"),
    "is_landed": Column("bool", "Whether the flag was delivered; else it follows the rule and earlier years", "flag"),
}

COLUMNS: Mapping[Kind, Mapping[str, Column]] = {
    "sales": SALES_COLUMNS,
    "conditions": CONDITIONS_COLUMNS,
    "stores": STORES_COLUMNS,
}
