"""What-if: which changes of plans each vintage of kind scenario was made from."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "scenarios",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("vintage_id", sa.Text, sa.ForeignKey("forecast_vintages.vintage_id"), nullable=False),
        sa.Column("base_vintage_id", sa.Text, sa.ForeignKey("forecast_vintages.vintage_id"), nullable=False),
        sa.Column("changes", sa.Text, nullable=False),
        sa.Column("series", sa.Integer, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("money", sa.JSON),
        sa.Column("adopted_by", sa.Text),
        sa.Column("adopted_at", sa.DateTime(timezone=True)),
    )


def downgrade() -> None:
    op.drop_table("scenarios")
