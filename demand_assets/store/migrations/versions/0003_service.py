"""Totals and reasons of vintages, conditions of stores, overrides, and keys of the service."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "forecast_totals",
        sa.Column("vintage_id", sa.String(64), sa.ForeignKey("forecast_vintages.vintage_id"), primary_key=True),
        sa.Column("level", sa.String(16), primary_key=True),
        sa.Column("store_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("dept_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("target_week", sa.Date, primary_key=True),
        sa.Column("horizon", sa.SmallInteger, nullable=False),
        sa.Column("forecast_usd", sa.Double, nullable=False),
        sa.Column("p10_usd", sa.Double, nullable=True),
        sa.Column("p50_usd", sa.Double, nullable=True),
        sa.Column("p90_usd", sa.Double, nullable=True),
        sa.Column("series", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "forecast_reasons",
        sa.Column("vintage_id", sa.String(64), sa.ForeignKey("forecast_vintages.vintage_id"), primary_key=True),
        sa.Column("store_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("dept_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("target_week", sa.Date, primary_key=True),
        sa.Column("last_year_usd", sa.Double, nullable=False),
        sa.Column("recent_trend_usd", sa.Double, nullable=False),
        sa.Column("holiday_usd", sa.Double, nullable=False),
        sa.Column("promotion_usd", sa.Double, nullable=False),
        sa.Column("store_usd", sa.Double, nullable=False),
        sa.Column("department_usd", sa.Double, nullable=False),
        sa.Column("weather_economy_usd", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "store_conditions",
        sa.Column("store_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("week", sa.Date, primary_key=True),
        sa.Column("is_holiday", sa.Boolean, nullable=False),
        sa.Column("temperature_f", sa.Double, nullable=True),
        sa.Column("fuel_price_usd", sa.Double, nullable=True),
        sa.Column("cpi", sa.Double, nullable=True),
        sa.Column("unemployment", sa.Double, nullable=True),
        sa.Column("markdown_usd", sa.Double, nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "overrides",
        sa.Column("override_id", sa.Integer, primary_key=True),
        sa.Column("idempotency_key", sa.String(255), nullable=False, unique=True),
        sa.Column("request_hash", sa.String(64), nullable=False),
        sa.Column("store_id", sa.Integer, nullable=False),
        sa.Column("dept_id", sa.Integer, nullable=False),
        sa.Column("target_week", sa.Date, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("override_usd", sa.Double, nullable=True),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("vintage_id", sa.String(64), nullable=False),
        sa.Column("forecast_usd", sa.Double, nullable=False),
        sa.UniqueConstraint("store_id", "dept_id", "target_week", "version", name="uq_overrides_series_week_version"),
    )
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(16), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("key_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
    )
    # Totals read a few weeks of all keys, which the primary key cannot find; from the index alone.
    op.create_index("ix_actuals_week", "actuals", ["week", "store_id", "dept_id", "weekly_sales_usd"])


def downgrade() -> None:
    op.drop_index("ix_actuals_week", "actuals")
    for table in ("api_keys", "overrides", "store_conditions", "forecast_reasons", "forecast_totals"):
        op.drop_table(table)
