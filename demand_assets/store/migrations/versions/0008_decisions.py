"""Overrides say why by a code, in which upload they came, from where, and whether a second person has to approve."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_LATEST = """
        SELECT s.store_id, d.dept_id, f.target_week, f.horizon, f.forecast, f.p10, f.p50, f.p90, f.order_quantity,
               f.unit, f.origin_week, f.vintage_id, f.method, f.model_version, f.published_at, f.kind,
               coalesce(s.name, s.store_id) AS store_name, coalesce(d.name, d.dept_id) AS dept_name{more}
        FROM (
            SELECT forecasts.*, v.unit, v.origin_week, v.method, v.model_version, v.published_at, v.kind,
                   row_number() OVER (
                       PARTITION BY store_key, dept_key, target_week ORDER BY v.origin_week DESC, v.sequence DESC
                   ) AS age
            FROM forecasts JOIN forecast_vintages v ON v.vintage_id = forecasts.vintage_id
            WHERE v.kind <> 'scenario'
        ) f
        JOIN stores s ON s.store_key = f.store_key
        JOIN departments d ON d.dept_key = f.dept_key{join}
        WHERE f.age = 1"""
# As the service has it: the newest version that is approved or needs no approval, beside the newest vintage alone.
_JOIN = """
        LEFT JOIN (
            SELECT store_key, dept_key, target_week, override, expires_at,
                   row_number() OVER (PARTITION BY store_key, dept_key, target_week ORDER BY version DESC) AS age
            FROM overrides
            WHERE NOT needs_approval OR EXISTS (
                SELECT 1 FROM override_reviews r WHERE r.override_id = overrides.override_id AND r.approved
            )
        ) o ON o.store_key = f.store_key AND o.dept_key = f.dept_key AND o.target_week = f.target_week AND o.age = 1
           AND (o.expires_at IS NULL OR o.expires_at > {now})
           AND f.vintage_id = (
               SELECT vintage_id FROM forecast_vintages WHERE kind <> 'scenario'
               ORDER BY origin_week DESC, sequence DESC LIMIT 1
           )"""
_MORE = ", o.override, coalesce(o.override, f.forecast) AS final"
# As text, as SQLite keeps times.
_NOW = {"postgresql": "now()", "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now')"}


def upgrade() -> None:
    op.add_column("overrides", sa.Column("reason_code", sa.Text))
    op.add_column("overrides", sa.Column("batch_id", sa.Text))
    op.add_column("overrides", sa.Column("client", sa.Text))
    op.add_column("overrides", sa.Column("needs_approval", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index("ix_overrides_batch_id", "overrides", ["batch_id"])
    op.create_table(
        "override_reviews",
        sa.Column(
            "override_id", sa.Integer, sa.ForeignKey("overrides.override_id"), primary_key=True, autoincrement=False
        ),
        sa.Column("approved", sa.Boolean, nullable=False),
        sa.Column("reviewer", sa.Text, nullable=False),
        sa.Column("comment", sa.Text),
        sa.Column("client", sa.Text),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=False),
    )
    dialect = op.get_bind().dialect.name
    query = _LATEST.format(more=_MORE, join=_JOIN.format(now=_NOW[dialect]))
    if dialect == "postgresql":
        # In place: what was granted on the view, and what others built on it, stays.
        op.execute(f"CREATE OR REPLACE VIEW latest_forecast AS {query}")
    else:
        _make_anew(query)


def downgrade() -> None:
    _make_anew(_LATEST.format(more="", join=""))
    op.drop_table("override_reviews")
    op.drop_index("ix_overrides_batch_id", "overrides")
    for name in ("needs_approval", "client", "batch_id", "reason_code"):
        op.drop_column("overrides", name)


def _make_anew(query: str) -> None:
    op.execute("DROP VIEW latest_forecast")
    op.execute(f"CREATE VIEW latest_forecast AS {query}")
