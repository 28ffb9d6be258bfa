"""Frames on their way into the SQL store."""

from typing import Any

import pandas as pd


def store_rows(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Plain values in the frame's order of columns: weeks as dates, None for NaN."""
    columns: list[list[Any]] = [
        [week.date() for week in frame[name]]
        if pd.api.types.is_datetime64_any_dtype(frame[name])
        else [None if value != value else value for value in frame[name].tolist()]
        for name in frame.columns
    ]
    return list(zip(*columns, strict=True))
