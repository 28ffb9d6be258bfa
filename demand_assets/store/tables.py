"""Tables of the forecast store. Weeks are the Friday that ends them, money is USD per week, times are UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
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
    String,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator

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


metadata = MetaData()

forecast_vintages = Table(
    "forecast_vintages",
    metadata,
    Column("vintage_id", String(64), primary_key=True),
    Column("origin_week", Date, nullable=False),
    Column("horizon_weeks", SmallInteger, nullable=False),
    Column("model_name", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("data_version", Text, nullable=False),
    Column("code_version", Text, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Index("ix_forecast_vintages_origin_week", "origin_week"),
)

forecasts = Table(
    "forecasts",
    metadata,
    Column("vintage_id", String(64), ForeignKey("forecast_vintages.vintage_id"), primary_key=True),
    Column("store_id", Integer, primary_key=True, autoincrement=False),
    Column("dept_id", Integer, primary_key=True, autoincrement=False),
    Column("target_week", Date, primary_key=True),
    Column("horizon", SmallInteger, nullable=False),
    Column("forecast_usd", Double, nullable=False),
    Column("p10_usd", Double, nullable=False),
    Column("p50_usd", Double, nullable=False),
    Column("p90_usd", Double, nullable=False),
    Column("order_usd", Double, nullable=True),
    Index("ix_forecasts_series_week", "store_id", "dept_id", "target_week"),
    sqlite_with_rowid=False,
)

actuals = Table(
    "actuals",
    metadata,
    Column("store_id", Integer, primary_key=True, autoincrement=False),
    Column("dept_id", Integer, primary_key=True, autoincrement=False),
    Column("week", Date, primary_key=True),
    Column("weekly_sales_usd", Double, nullable=False),
    Column("is_holiday", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

forecast_accuracy = Table(
    "forecast_accuracy",
    metadata,
    Column("week", Date, primary_key=True),
    Column("vintage_id", String(64), primary_key=True),
    Column("model", String(128), primary_key=True),
    Column("horizon", SmallInteger, primary_key=True, autoincrement=False),
    Column("points", Integer, nullable=False),
    Column("wmae", Double, nullable=False),
    Column("mae", Double, nullable=False),
    Column("rmse", Double, nullable=False),
    Column("bias", Double, nullable=False),
    sqlite_with_rowid=False,
)
