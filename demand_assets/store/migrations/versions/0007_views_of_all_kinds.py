"""The views for SQL users take in vintages of kind backtest, and end with the kind and the names of a series."""

# ruff: noqa: S608

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_KIND = ", v.kind"
_NAMES = "coalesce(s.name, s.store_id) AS store_name, coalesce(d.name, d.dept_id) AS dept_name"


def _views(wanted: str, kind: str, names: str) -> dict[str, str]:
    """The views of vintages that are `wanted`, with more columns at their end."""
    of_latest = kind.replace("v.", "f.")
    # Vintages, the newest of each origin with age 1.
    newest = f"""(
            SELECT forecast_vintages.*,
                   row_number() OVER (PARTITION BY origin_week ORDER BY sequence DESC) AS age
            FROM forecast_vintages WHERE {wanted}
        )"""
    return {
        "latest_forecast": f"""
        SELECT s.store_id, d.dept_id, f.target_week, f.horizon, f.forecast, f.p10, f.p50, f.p90, f.order_quantity,
               f.unit, f.origin_week, f.vintage_id, f.method, f.model_version, f.published_at{of_latest}{names}
        FROM (
            SELECT forecasts.*, v.unit, v.origin_week, v.method, v.model_version, v.published_at{kind},
                   row_number() OVER (
                       PARTITION BY store_key, dept_key, target_week ORDER BY v.origin_week DESC, v.sequence DESC
                   ) AS age
            FROM forecasts JOIN forecast_vintages v ON v.vintage_id = forecasts.vintage_id
            WHERE v.{wanted}
        ) f
        JOIN stores s ON s.store_key = f.store_key
        JOIN departments d ON d.dept_key = f.dept_key
        WHERE f.age = 1""",
        "forecast_vs_actual": f"""
        SELECT s.store_id, d.dept_id, f.target_week AS week, v.origin_week, f.horizon, f.forecast, f.p10, f.p50, f.p90,
               a.actual, f.forecast - a.actual AS error, a.is_holiday, v.unit, v.vintage_id, v.method,
               v.model_version{kind}{names}
        FROM {newest} v
        JOIN forecasts f ON f.vintage_id = v.vintage_id
        JOIN actuals a ON a.store_key = f.store_key AND a.dept_key = f.dept_key AND a.week = f.target_week
        JOIN stores s ON s.store_key = f.store_key
        JOIN departments d ON d.dept_key = f.dept_key
        WHERE v.age = 1""",
        "accuracy_by_week": f"""
        SELECT a.week, a.model, sum(a.points) AS points, sum(a.wmae * a.points) / sum(a.points) AS wmae,
               sum(a.bias * a.points) / sum(a.points) AS bias,
               sum(a.coverage * a.points) / sum(CASE WHEN a.coverage IS NOT NULL THEN a.points END) AS coverage,
               sum(a.fva * a.points) / sum(CASE WHEN a.fva IS NOT NULL THEN a.points END) AS fva, v.unit
        FROM {newest} v
        JOIN forecast_accuracy a ON a.vintage_id = v.vintage_id
        WHERE v.age = 1 AND a.level = 'chain' AND a.points > 0
        GROUP BY a.week, a.model, v.unit""",
    }


def upgrade() -> None:
    for name, query in _views("kind <> 'scenario'", _KIND, f", {_NAMES}").items():
        if op.get_bind().dialect.name == "postgresql":
            # In place: what was granted on a view, and what others built on it, stays.
            op.execute(f"CREATE OR REPLACE VIEW {name} AS {query}")
        else:
            _make_anew(name, query)


def downgrade() -> None:
    for name, query in _views("kind = 'forecast'", "", "").items():
        _make_anew(name, query)


def _make_anew(name: str, query: str) -> None:
    op.execute(f"DROP VIEW {name}")
    op.execute(f"CREATE VIEW {name} AS {query}")
