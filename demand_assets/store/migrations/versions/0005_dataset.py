"""What the retailer's data are: unit, weekday that ends a week, labels; and which unusual findings are accepted.

Names and attributes of stores and departments are in their tables since 0004.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dataset",
        sa.Column("dataset_key", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("week_ends", sa.SmallInteger, nullable=False),
        sa.Column("store_label", sa.Text, nullable=False),
        sa.Column("dept_label", sa.Text, nullable=False),
        sa.Column("has_stores", sa.Boolean, nullable=False),
        sa.Column("has_departments", sa.Boolean, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "accepted_weeks",
        sa.Column("acceptance", sa.Integer, primary_key=True),
        sa.Column("week", sa.Date, nullable=False),
        sa.Column("check_name", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("accepted_by", sa.Text, nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_accepted_weeks_week", "accepted_weeks", ["week", "check_name"])


def downgrade() -> None:
    op.drop_table("accepted_weeks")
    op.drop_table("dataset")
