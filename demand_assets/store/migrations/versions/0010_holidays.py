"""What the holidays of each week are called."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "holidays",
        sa.Column("week", sa.Date, primary_key=True),
        sa.Column("holiday", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("holidays")
