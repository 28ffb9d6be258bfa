"""Columns -> SQLAlchemy."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator, TypeEngine

from demand_assets.contract import columns as contract
from demand_assets.contract.columns import Type
from demand_assets.contract.models import described
from demand_assets.errors import StoreError


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, kept and returned in UTC; SQLite has no time zones, so one is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; StoreError for a datetime without a time zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise StoreError(f"expected a time with a zone, got {value.isoformat()}; pass it in UTC")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the time in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_TYPES: dict[Type, type[TypeEngine[Any]] | TypeEngine[Any]] = {
    Type.ID: Integer,
    Type.TEXT: Text,
    Type.SMALL: SmallInteger,
    Type.INTEGER: Integer,
    Type.NUMBER: Double,
    Type.FLAG: Boolean,
    Type.WEEK: Date,
    Type.TIME: UtcDateTime,
    # None is NULL, not the JSON text null.
    Type.JSON: JSON(none_as_null=True),
}


def sql_table(table: contract.Table, metadata: MetaData) -> Table:
    """The table in SQL. Migrations make it; a test compares the two."""
    return Table(
        table.name,
        metadata,
        *map(_column, table.columns),
        *(Index(name, *columns) for name, columns in table.indexes.items()),
        *(UniqueConstraint(*columns, name=name) for name, columns in table.unique.items()),
        comment=table.text,
    )


def _column(column: contract.Column) -> Column[Any]:
    # A total that spans a whole dimension has the key SPANS_ALL there, so a key is never null.
    nullable = column.nullable and column.type is not Type.ID
    return Column(
        column.stored_name,
        _TYPES[column.type],
        *([ForeignKey(column.references)] if column.references else []),
        primary_key=column.key,
        nullable=nullable,
        unique=column.unique or None,
        comment=_comment(column),
    )


def _comment(column: contract.Column) -> str:
    if column.type is not Type.ID:
        return described(column)
    dimension = "stores" if column.name == "store_id" else "departments"
    return f"Its key in {dimension}" + ("; 0 where the total spans them all" if column.nullable else "")
