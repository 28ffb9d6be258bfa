"""Columns -> Arrow."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from demand_assets.contract.columns import Column, Type

_TYPES = {
    Type.ID: pa.string(),
    Type.TEXT: pa.string(),
    Type.SMALL: pa.int16(),
    Type.INTEGER: pa.int32(),
    Type.NUMBER: pa.float64(),
    Type.FLAG: pa.bool_(),
    Type.WEEK: pa.date32(),
    Type.TIME: pa.timestamp("us", tz="UTC"),
    Type.JSON: pa.string(),
}


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """The Arrow schema of these columns; JSON is its text."""
    return pa.schema([pa.field(column.name, _TYPES[column.type], column.nullable) for column in columns])


def as_stored(table: pa.Table) -> pa.Table:
    """A table as Parquet files have it: a week is a date, as Spark and Athena read no nanoseconds.

    A timestamp without a zone is a week; ValueError when one is not of a whole day.
    """
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and field.type.tz is None:
            column = table.column(place)
            dated = column.cast(_TYPES[Type.WEEK])
            # Arrow drops a time of day without a word.
            if not dated.cast(field.type).equals(column):
                raise ValueError(f"{field.name}: expected weeks, the dates of their last days, got times of day")
            table = table.set_column(place, field.with_type(dated.type), dated)
    return table
