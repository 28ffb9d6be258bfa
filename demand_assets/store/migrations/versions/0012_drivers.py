"""Prices, promotions and other drivers, as they were and as they are planned; markdowns are one of them."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "drivers",
        sa.Column("driver_key", sa.Integer, primary_key=True),
        sa.Column("driver", sa.Text, nullable=False, unique=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("known_ahead", sa.Boolean, nullable=False),
    )
    op.create_table(
        "driver_values",
        *(sa.Column(name, sa.Integer, primary_key=True, autoincrement=False) for name in ("store_key", "dept_key")),
        sa.Column("driver_key", sa.Integer, sa.ForeignKey("drivers.driver_key"), primary_key=True, autoincrement=False),
        sa.Column("first_week", sa.Date, primary_key=True),
        sa.Column("last_week", sa.Date, nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("is_planned", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    # The next run publishes them as a driver.
    op.execute("ALTER TABLE store_conditions DROP COLUMN markdown")


def downgrade() -> None:
    op.add_column("store_conditions", sa.Column("markdown", sa.Double))
    op.drop_table("driver_values")
    op.drop_table("drivers")
