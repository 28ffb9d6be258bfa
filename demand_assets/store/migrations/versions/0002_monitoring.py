"""The promotion ledger, drift reports, exceptions, and accuracy of stores, departments and the chain."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Derived from forecasts and actuals: it is scored anew in its finer form, not converted.
    op.drop_table("forecast_accuracy")
    op.create_table(
        "forecast_accuracy",
        sa.Column("week", sa.Date, primary_key=True),
        sa.Column("vintage_id", sa.String(64), primary_key=True),
        sa.Column("model", sa.String(128), primary_key=True),
        sa.Column("horizon", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("level", sa.String(16), primary_key=True),
        sa.Column("store_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("dept_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("points", sa.Integer, nullable=False),
        sa.Column("wmae", sa.Double, nullable=False),
        sa.Column("mae", sa.Double, nullable=False),
        sa.Column("rmse", sa.Double, nullable=False),
        sa.Column("bias", sa.Double, nullable=False),
        sa.Column("actual_usd", sa.Double, nullable=False),
        sa.Column("error_usd", sa.Double, nullable=False),
        sa.Column("coverage", sa.Double, nullable=True),
        sa.Column("fva_usd", sa.Double, nullable=True),
        sa.Column("tracking_signal", sa.Double, nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "forecast_exceptions",
        sa.Column("week", sa.Date, primary_key=True),
        sa.Column("vintage_id", sa.String(64), primary_key=True),
        sa.Column("store_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("dept_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("horizon", sa.SmallInteger, nullable=False),
        sa.Column("forecast_usd", sa.Double, nullable=False),
        sa.Column("p10_usd", sa.Double, nullable=False),
        sa.Column("p90_usd", sa.Double, nullable=False),
        sa.Column("order_usd", sa.Double, nullable=True),
        sa.Column("actual_usd", sa.Double, nullable=False),
        sa.Column("at_risk_usd", sa.Double, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "drift_reports",
        sa.Column("week", sa.Date, primary_key=True),
        sa.Column("reference", sa.String(16), primary_key=True),
        sa.Column("group_kind", sa.String(16), primary_key=True),
        sa.Column("group_id", sa.String(16), primary_key=True),
        sa.Column("variable", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("points", sa.Integer, nullable=False),
        sa.Column("reference_points", sa.Integer, nullable=False),
        sa.Column("psi", sa.Double, nullable=True),
        sa.Column("ks", sa.Double, nullable=True),
        sa.Column("ks_p", sa.Double, nullable=True),
        sa.Column("mean_shift", sa.Double, nullable=True),
        sa.Column("missing_shift", sa.Double, nullable=True),
        sa.Column("severity", sa.String(8), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "promotions",
        sa.Column("promotion_id", sa.Integer, primary_key=True),
        sa.Column("decision_key", sa.String(64), nullable=True, unique=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("from_version", sa.Text, nullable=True),
        sa.Column("to_version", sa.Text, nullable=False),
        sa.Column("forced", sa.Boolean, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("as_of", sa.Date, nullable=True),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("figures", sa.JSON, nullable=False),
        sa.Column("data_version", sa.Text, nullable=False),
        sa.Column("code_version", sa.Text, nullable=False),
    )
    op.create_index("ix_promotions_model_outcome", "promotions", ["model_name", "outcome"])


def downgrade() -> None:
    for table in ("promotions", "drift_reports", "forecast_exceptions", "forecast_accuracy"):
        op.drop_table(table)
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
