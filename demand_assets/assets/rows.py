"""Frames on their way into the SQL store."""

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    import pyarrow as pa


def store_rows(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Plain values in the frame's order of columns: weeks as dates, None for NaN."""
    columns: list[list[Any]] = [
        [week.date() for week in frame[name]]
        if pd.api.types.is_datetime64_any_dtype(frame[name])
        else [None if value != value else value for value in frame[name].tolist()]
        for name in frame.columns
    ]
    return list(zip(*columns, strict=True))


def store_table(frame: pd.DataFrame) -> "pa.Table":
    """The frame's columns in their order, for what publishes whole columns: weeks as dates, null for NaN."""
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False)
    dated = [
        pa.field(field.name, pa.date32() if pa.types.is_timestamp(field.type) else field.type) for field in table.schema
    ]
    return table.cast(pa.schema(dated))
