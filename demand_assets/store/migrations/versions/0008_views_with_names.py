"""The views for SQL users end with the names of stores and departments."""

# ruff: noqa: S608

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_NAMES = "coalesce(s.name, s.store_id) AS store_name, coalesce(d.name, d.dept_id) AS dept_name"


def _views(names: str) -> dict[str, str]:
    return {
        "latest_forecast": f"""
        SELECT s.store_id, d.dept_id, f.target_week, f.horizon, f.forecast, f.p10, f.p50, f.p90, f.order_quantity,
               f.unit, f.origin_week, f.vintage_id, f.kind, f.method, f.model_version, f.published_at{names}
        FROM (
            SELECT forecasts.*, v.unit, v.origin_week, v.kind, v.method, v.model_version, v.published_at,
                   row_number() OVER (
                       PARTITION BY store_key, dept_key, target_week ORDER BY v.origin_week DESC, v.sequence DESC
                   ) AS age
            FROM forecasts JOIN forecast_vintages v ON v.vintage_id = forecasts.vintage_id
            WHERE v.kind <> 'scenario'
        ) f
        JOIN stores s ON s.store_key = f.store_key
        JOIN departments d ON d.dept_key = f.dept_key
        WHERE f.age = 1""",
        "forecast_vs_actual": f"""
        SELECT s.store_id, d.dept_id, f.target_week AS week, v.origin_week, f.horizon, f.forecast, f.p10, f.p50, f.p90,
               a.actual, f.forecast - a.actual AS error, a.is_holiday, v.unit, v.vintage_id, v.kind, v.method,
               v.model_version{names}
        FROM (
            SELECT forecast_vintages.*,
                   row_number() OVER (PARTITION BY origin_week ORDER BY sequence DESC) AS age
            FROM forecast_vintages WHERE kind <> 'scenario'
        ) v
        JOIN forecasts f ON f.vintage_id = v.vintage_id
        JOIN actuals a ON a.store_key = f.store_key AND a.dept_key = f.dept_key AND a.week = f.target_week
        JOIN stores s ON s.store_key = f.store_key
        JOIN departments d ON d.dept_key = f.dept_key
        WHERE v.age = 1""",
    }


def upgrade() -> None:
    for name, query in _views(f", {_NAMES}").items():
        if op.get_bind().dialect.name == "postgresql":
            # In place: what was granted on a view, and what others built on it, stays.
            op.execute(f"CREATE OR REPLACE VIEW {name} AS {query}")
        else:
            _make_anew(name, query)


def downgrade() -> None:
    for name, query in _views("").items():
        _make_anew(name, query)


def _make_anew(name: str, query: str) -> None:
    op.execute(f"DROP VIEW {name}")
    op.execute(f"CREATE VIEW {name} AS {query}")
