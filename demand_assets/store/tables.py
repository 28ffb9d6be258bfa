"""Tables of the forecast store. Weeks are the Friday that ends them, money is USD per week, times are UTC."""

from __future__ import annotations

from datetime import UTC, datetime

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
    String,
    Table,
    Text,
    UniqueConstraint,
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
    Column("forecast", Double, nullable=False),
    Column("p10", Double, nullable=False),
    Column("p50", Double, nullable=False),
    Column("p90", Double, nullable=False),
    Column("order_quantity", Double, nullable=True),
    Index("ix_forecasts_series_week", "store_id", "dept_id", "target_week"),
    sqlite_with_rowid=False,
)

# Forecasts of stores, departments and the chain; ids are 0 where the total spans all.
forecast_totals = Table(
    "forecast_totals",
    metadata,
    Column("vintage_id", String(64), ForeignKey("forecast_vintages.vintage_id"), primary_key=True),
    Column("level", String(16), primary_key=True),
    Column("store_id", Integer, primary_key=True, autoincrement=False),
    Column("dept_id", Integer, primary_key=True, autoincrement=False),
    Column("target_week", Date, primary_key=True),
    Column("horizon", SmallInteger, nullable=False),
    Column("forecast", Double, nullable=False),
    Column("p10", Double, nullable=True),
    Column("p50", Double, nullable=True),
    Column("p90", Double, nullable=True),
    Column("series", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# What moved a forecast, in a planner's words; the reasons of a row sum to its forecast.
forecast_reasons = Table(
    "forecast_reasons",
    metadata,
    Column("vintage_id", String(64), ForeignKey("forecast_vintages.vintage_id"), primary_key=True),
    Column("store_id", Integer, primary_key=True, autoincrement=False),
    Column("dept_id", Integer, primary_key=True, autoincrement=False),
    Column("target_week", Date, primary_key=True),
    Column("last_year", Double, nullable=False),
    Column("recent_trend", Double, nullable=False),
    Column("holiday", Double, nullable=False),
    Column("promotion", Double, nullable=False),
    Column("store", Double, nullable=False),
    Column("department", Double, nullable=False),
    Column("weather_economy", Double, nullable=False),
    sqlite_with_rowid=False,
)

actuals = Table(
    "actuals",
    metadata,
    Column("store_id", Integer, primary_key=True, autoincrement=False),
    Column("dept_id", Integer, primary_key=True, autoincrement=False),
    Column("week", Date, primary_key=True),
    Column("actual", Double, nullable=False),
    Column("is_holiday", Boolean, nullable=False),
    # Holds what the totals of a stretch of weeks need, so that they are read from it alone.
    Index("ix_actuals_week", "week", "store_id", "dept_id", "actual"),
    sqlite_with_rowid=False,
)

# Weeks after the last sales too, as far as they have been delivered: holidays and markdowns are planned ahead.
store_conditions = Table(
    "store_conditions",
    metadata,
    Column("store_id", Integer, primary_key=True, autoincrement=False),
    Column("week", Date, primary_key=True),
    Column("is_holiday", Boolean, nullable=False),
    Column("temperature_f", Double, nullable=True),
    Column("fuel_price", Double, nullable=True),
    Column("cpi", Double, nullable=True),
    Column("unemployment", Double, nullable=True),
    Column("markdown", Double, nullable=True),
    sqlite_with_rowid=False,
)

# One row per week x vintage x model x horizon x total; ids of no one are 0, as in forecast_totals.
forecast_accuracy = Table(
    "forecast_accuracy",
    metadata,
    Column("week", Date, primary_key=True),
    Column("vintage_id", String(64), primary_key=True),
    Column("model", String(128), primary_key=True),
    Column("horizon", SmallInteger, primary_key=True, autoincrement=False),
    Column("level", String(16), primary_key=True),
    Column("store_id", Integer, primary_key=True, autoincrement=False),
    Column("dept_id", Integer, primary_key=True, autoincrement=False),
    Column("points", Integer, nullable=False),
    Column("wmae", Double, nullable=False),
    Column("mae", Double, nullable=False),
    Column("rmse", Double, nullable=False),
    Column("bias", Double, nullable=False),
    Column("actual", Double, nullable=False),
    Column("total_error", Double, nullable=False),
    Column("coverage", Double, nullable=True),
    Column("fva", Double, nullable=True),
    Column("tracking_signal", Double, nullable=True),
    sqlite_with_rowid=False,
)

forecast_exceptions = Table(
    "forecast_exceptions",
    metadata,
    Column("week", Date, primary_key=True),
    Column("vintage_id", String(64), primary_key=True),
    Column("store_id", Integer, primary_key=True, autoincrement=False),
    Column("dept_id", Integer, primary_key=True, autoincrement=False),
    Column("rank", Integer, nullable=False),
    Column("horizon", SmallInteger, nullable=False),
    Column("forecast", Double, nullable=False),
    Column("p10", Double, nullable=False),
    Column("p90", Double, nullable=False),
    Column("order_quantity", Double, nullable=True),
    Column("actual", Double, nullable=False),
    Column("at_risk", Double, nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_with_rowid=False,
)

drift_reports = Table(
    "drift_reports",
    metadata,
    Column("week", Date, primary_key=True),
    Column("reference", String(16), primary_key=True),
    Column("group_kind", String(16), primary_key=True),
    Column("group_id", String(16), primary_key=True),
    Column("variable", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("points", Integer, nullable=False),
    Column("reference_points", Integer, nullable=False),
    Column("psi", Double, nullable=True),
    Column("ks", Double, nullable=True),
    Column("ks_p", Double, nullable=True),
    Column("mean_shift", Double, nullable=True),
    Column("missing_shift", Double, nullable=True),
    Column("severity", String(8), nullable=False),
    sqlite_with_rowid=False,
)

# The ledger of what was and was not put into production: rows are only ever added. `decision_key` names what was
# decided, so that a gate that runs again after a crash finds its decision; requests of people have none.
promotions = Table(
    "promotions",
    metadata,
    Column("promotion_id", Integer, primary_key=True),
    Column("decision_key", String(64), nullable=True, unique=True),
    Column("decided_at", UtcDateTime, nullable=False),
    Column("model_name", Text, nullable=False),
    Column("action", String(16), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("from_version", Text, nullable=True),
    Column("to_version", Text, nullable=False),
    Column("forced", Boolean, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("as_of", Date, nullable=True),
    Column("reasons", JSON, nullable=False),
    Column("figures", JSON, nullable=False),
    Column("data_version", Text, nullable=False),
    Column("code_version", Text, nullable=False),
    Index("ix_promotions_model_outcome", "model_name", "outcome"),
)

# Planners' numbers beside the model's: a change is another version, a withdrawal a version without a number.
overrides = Table(
    "overrides",
    metadata,
    Column("override_id", Integer, primary_key=True),
    Column("idempotency_key", String(255), nullable=False, unique=True),
    Column("request_hash", String(64), nullable=False),
    Column("store_id", Integer, nullable=False),
    Column("dept_id", Integer, nullable=False),
    Column("target_week", Date, nullable=False),
    Column("version", Integer, nullable=False),
    Column("override", Double, nullable=True),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=True),
    Column("vintage_id", String(64), nullable=False),
    Column("forecast", Double, nullable=False),
    UniqueConstraint("store_id", "dept_id", "target_week", "version", name="uq_overrides_series_week_version"),
)

# A key itself is shown once and never kept, only its SHA-256.
api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String(16), primary_key=True),
    Column("name", Text, nullable=False),
    Column("key_hash", String(64), nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=True),
    Column("revoked_at", UtcDateTime, nullable=True),
)
