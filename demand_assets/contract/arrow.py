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
