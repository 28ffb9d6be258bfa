"""What bodies are put together from: columns of the contract with names beside ids, and what every body says."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, Field

from api.row_models import with_columns
from demand_assets.contract import store
from demand_assets.contract.columns import Column, Table, Type
from demand_assets.contract.store import amount

Item = TypeVar("Item")
Stale = Annotated[
    bool, Field(description="There is a newer vintage than this one, or one is overdue.", examples=[False])
]
_NAMES = {
    "group_id": Column("group_name", Type.TEXT, "Name of a group that is a store or department", nullable=True),
    "store_id": Column("store_name", Type.TEXT, "Name of the store for people; null without one", nullable=True),
    "dept_id": Column("dept_name", Type.TEXT, "Name of the department for people; null without one", nullable=True),
}
QUANTILES = (store.P10, store.P50, store.P90)
FINAL = amount("final", "What counts: a planner's number in force, else the forecast")


def of_final(*columns: Column) -> list[Column]:
    """The columns as they move with the final number, named final_p10 for p10."""
    return [replace(each, name=f"final_{each.name}", text=f"{each.text}, of the final number") for each in columns]


def some(table: Table, *names: str) -> list[Column]:
    """Those columns of a table."""
    return [table.column(name) for name in names]


def named(*columns: Column) -> list[Column]:
    """The columns, a name after each id."""
    return [each for column in columns for each in (column, _NAMES.get(column.name)) if each is not None]


SERIES = named(store.STORE_ID, store.DEPT_ID)


def nullable(*columns: Column) -> list[Column]:
    """The columns, each of which may be null."""
    return [replace(column, nullable=True) for column in columns]


@with_columns(*store.FORECAST_VINTAGES.columns)
class Vintage(BaseModel):
    """One published run: immutable."""


class Envelope(BaseModel):
    """What every body says of where it comes from."""

    vintage: Annotated[
        Vintage | None, Field(description="The vintage this is about, else the newest; null before one.")
    ]
    is_stale: Stale
    unit: Annotated[
        str | None,
        Field(
            description="What amounts count: the unit of the vintage, before one of the dataset; null before both.",
            examples=["USD"],
        ),
    ]


class Listing(Envelope, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next_cursor: Annotated[str | None, Field(description="Ask again with it as `cursor`; null on the last page.")]
