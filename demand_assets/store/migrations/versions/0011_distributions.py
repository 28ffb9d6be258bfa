"""How features and forecasts of each week are distributed."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_QUANTILES = ("q000", "q001", "q005", "q010", "q025", "q050", "q075", "q090", "q095", "q099", "q100")


def upgrade() -> None:
    op.create_table(
        "distribution_quantiles",
        *_keys(),
        sa.Column("points", sa.Integer, nullable=False),
        sa.Column("missing", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Double) for name in ("mean", "deviation", *_QUANTILES)),
    )
    op.create_table(
        "distribution_histograms",
        *_keys(),
        sa.Column("bin", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("low", sa.Double),
        sa.Column("high", sa.Double),
        sa.Column("points", sa.Integer, nullable=False),
    )


def _keys() -> list[sa.Column[Any]]:
    return [
        sa.Column("week", sa.Date, primary_key=True),
        sa.Column("variable", sa.Text, primary_key=True),
        sa.Column("sample", sa.Text, primary_key=True),
    ]


def downgrade() -> None:
    op.drop_table("distribution_histograms")
    op.drop_table("distribution_quantiles")
