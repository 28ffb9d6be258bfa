"""pandera schemas of the ingested frames: columns, dtypes, units (`metadata["unit"]`), and ranges any retailer keeps.

Keys, Fridays and everything that compares rows or files are checks of their own in `quality`.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandera.pandas as pa

from demand_assets.ingestion.formats import Kind

# Far above any store's week, far below what a column shifted by one would hold (a date or a size read as money).
_MARKDOWN_LIMIT_USD = 1e8


def _column(dtype: str | type, description: str, unit: str, *checks: pa.Check, nullable: bool = False) -> pa.Column:
    return pa.Column(dtype, list(checks), nullable=nullable, description=description, metadata={"unit": unit})


def _store_id() -> pa.Column:
    return _column("int32", "Store number", "id", pa.Check.ge(0))


def _week() -> pa.Column:
    return _column("datetime64[ns]", "The Friday that ends the week", "date")


def _is_holiday() -> pa.Column:
    return _column(bool, "Whether the week holds a retail holiday; such weeks weigh 5 in WMAE", "flag")


def _condition(description: str, unit: str, low: float, high: float) -> pa.Column:
    return _column("float64", f"{description}; NaN is not reported", unit, pa.Check.in_range(low, high), nullable=True)


SALES_SCHEMA = pa.DataFrameSchema(
    {
        "store_id": _store_id(),
        "dept_id": _column("int32", "Department number within the store", "id", pa.Check.ge(0)),
        "week": _week(),
        # Missing and infinite amounts are for the check sales_are_finite, which shows the rows.
        "weekly_sales_usd": _column(
            "float64", "Sales of the department in the week, net of returns: may be negative", "USD", nullable=True
        ),
        "is_holiday": _is_holiday(),
    },
    strict=True,
    name="sales",
    description="One row per store, department and week; sorted by week, store, department",
)

CONDITIONS_SCHEMA = pa.DataFrameSchema(
    {
        "store_id": _store_id(),
        "week": _week(),
        "temperature_f": _condition("Mean air temperature in the region", "degrees Fahrenheit", -100, 150),
        "fuel_price_usd": _condition("Fuel price in the region", "USD per gallon", 0, 100),
        **{
            f"markdown{i}_usd": _condition(
                f"Promotional markdown of type {i}, anonymised; may be negative",
                "USD",
                -_MARKDOWN_LIMIT_USD,
                _MARKDOWN_LIMIT_USD,
            )
            for i in range(1, 6)
        },
        "cpi": _condition("Consumer price index of the region", "index points", 0, 10_000),
        "unemployment_pct": _condition("Unemployment rate in the region", "percent", 0, 100),
        "is_holiday": _is_holiday(),
    },
    strict=True,
    name="conditions",
    description="One row per store and week; sorted by week, store; runs past the last sales week",
)

STORES_SCHEMA = pa.DataFrameSchema(
    {
        "store_id": _store_id(),
        "store_type": _column(str, "Format of the store, such as A, B or C", "category", pa.Check.str_length(1, 40)),
        "size_sqft": _column("int64", "Selling area of the store", "square feet", pa.Check.gt(0)),
    },
    strict=True,
    name="stores",
    description="One row per store; sorted by store",
)

CALENDAR_SCHEMA = pa.DataFrameSchema(
    {"week": _week(), "is_holiday": _is_holiday()},
    strict=True,
    unique=["week"],
    name="calendar",
    description="One row per week; runs past the last sales week, because a calendar is known ahead",
)

SCHEMAS: Mapping[Kind, pa.DataFrameSchema] = {
    "sales": SALES_SCHEMA,
    "conditions": CONDITIONS_SCHEMA,
    "stores": STORES_SCHEMA,
}
