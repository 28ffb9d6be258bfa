"""Columns -> fields of pydantic models."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from pydantic import Field
from pydantic.fields import FieldInfo

from demand_assets.contract.columns import Column, Type

_TYPES: dict[Type, Any] = {
    Type.ID: str,
    Type.TEXT: str,
    Type.SMALL: int,
    Type.INTEGER: int,
    Type.NUMBER: float,
    Type.FLAG: bool,
    Type.WEEK: date,
    Type.TIME: datetime,
    Type.JSON: Any,
}


def model_fields(columns: Iterable[Column]) -> dict[str, tuple[Any, FieldInfo]]:
    """Name -> (type, field) of each column, for `pydantic.create_model`; every field is required."""
    return {column.name: (_annotation(column), Field(description=described(column))) for column in columns}


def _annotation(column: Column) -> Any:
    kind = _TYPES[column.type]
    return kind | None if column.nullable and kind is not Any else kind


def described(column: Column) -> str:
    """What a column holds, and what it counts."""
    return f"{column.text} [{column.unit}]" if column.unit else column.text
