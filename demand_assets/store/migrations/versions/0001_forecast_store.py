"""Vintages, their forecasts, actuals and accuracy."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "forecast_vintages",
        sa.Column("vintage_id", sa.String(64), primary_key=True),
        sa.Column("origin_week", sa.Date, nullable=False),
        sa.Column("horizon_weeks", sa.SmallInteger, nullable=False),
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("data_version", sa.Text, nullable=False),
        sa.Column("code_version", sa.Text, nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_forecast_vintages_origin_week", "forecast_vintages", ["origin_week"])
    op.create_table(
        "forecasts",
        sa.Column("vintage_id", sa.String(64), sa.ForeignKey("forecast_vintages.vintage_id"), primary_key=True),
        sa.Column("store_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("dept_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("target_week", sa.Date, primary_key=True),
        sa.Column("horizon", sa.SmallInteger, nullable=False),
        sa.Column("forecast_usd", sa.Double, nullable=False),
        sa.Column("p10_usd", sa.Double, nullable=False),
        sa.Column("p50_usd", sa.Double, nullable=False),
        sa.Column("p90_usd", sa.Double, nullable=False),
        sa.Column("order_usd", sa.Double, nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_forecasts_series_week", "forecasts", ["store_id", "dept_id", "target_week"])
    op.create_table(
        "actuals",
        sa.Column("store_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("dept_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("week", sa.Date, primary_key=True),
        sa.Column("weekly_sales_usd", sa.Double, nullable=False),
        sa.Column("is_holiday", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "forecast_accuracy",
        sa.Column("week", sa.Date, primary_key=True),
        sa.Column("vintage_id", sa.String(64), primary_key=True),
        sa.Column("model", sa.String(128), primary_key=True),
        sa.Column("horizon", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("points", sa.Integer, nullable=False),
        sa.Column("wmae", sa.Double, nullable=False),
        sa.Column("mae", sa.Double, nullable=False),
        sa.Column("rmse", sa.Double, nullable=False),
        sa.Column("bias", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    for table in ("forecast_accuracy", "actuals", "forecasts", "forecast_vintages"):
        op.drop_table(table)
