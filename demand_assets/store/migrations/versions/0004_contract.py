"""Names without units, ids as text beside integer keys, vintages with unit, kind and sequence, alerts, views.

The key of an id is the integer that stood for it, so that facts are renamed and not rewritten. 0 becomes the key of
totals that span a whole dimension: a store or department with the id 0 gets a key of its own.
"""

# Every name in a statement is one of this file.
# ruff: noqa: S608

import sqlalchemy as sa
from alembic import op

from demand_assets.errors import StoreError

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_PUBLISHED = {name: name.removesuffix("_usd") for name in ("forecast_usd", "p10_usd", "p50_usd", "p90_usd")}
_ORDER = {"order_usd": "order_quantity"}
_ATTRIBUTED = ("last_year", "recent_trend", "holiday", "promotion", "store", "department", "weather_economy")
_STORE, _DEPT = {"store_id": "store_key"}, {"dept_id": "dept_key"}
_SERIES = {**_STORE, **_DEPT}
_RENAMED = {
    "forecast_vintages": {"model_name": "method"},
    "forecasts": {**_SERIES, **_PUBLISHED, **_ORDER},
    "forecast_totals": {**_SERIES, **_PUBLISHED},
    "forecast_attributions": {**_SERIES, **{f"{name}_usd": name for name in _ATTRIBUTED}},
    "actuals": {**_SERIES, "weekly_sales_usd": "actual"},
    "store_conditions": {**_STORE, "fuel_price_usd": "fuel_price", "markdown_usd": "markdown"},
    "forecast_accuracy": {**_SERIES, "actual_usd": "actual", "error_usd": "total_error", "fva_usd": "fva"},
    "forecast_exceptions": {
        **_SERIES,
        "forecast_usd": "forecast",
        "p10_usd": "p10",
        "p90_usd": "p90",
        **_ORDER,
        "actual_usd": "actual",
        "at_risk_usd": "at_risk",
    },
    "overrides": {**_SERIES, "override_usd": "override", "forecast_usd": "forecast"},
}
# Dimension -> its key, its id, and the level of totals that are of one of its rows.
_DIMENSIONS = {"stores": ("store_key", "store_id", "store"), "departments": ("dept_key", "dept_id", "department")}
_TOTALS = ("forecast_totals", "forecast_accuracy")
_TEXTS = {
    "forecast_vintages": ("vintage_id",),
    "forecasts": ("vintage_id",),
    "forecast_totals": ("vintage_id", "level"),
    "forecast_attributions": ("vintage_id",),
    "forecast_accuracy": ("vintage_id", "model", "level"),
    "forecast_exceptions": ("vintage_id",),
    "drift_reports": ("reference", "group_kind", "group_id", "variable", "kind", "severity"),
    "promotions": ("decision_key", "action", "outcome"),
    "overrides": ("idempotency_key", "request_hash", "vintage_id"),
    "api_keys": ("key_id", "key_hash"),
}
# Vintages, the newest of each origin with age 1.
_NEWEST = """(
            SELECT forecast_vintages.*,
                   row_number() OVER (PARTITION BY origin_week ORDER BY sequence DESC) AS age
            FROM forecast_vintages WHERE kind = 'forecast'
        )"""
_VIEWS = {
    "latest_forecast": """
        SELECT s.store_id, d.dept_id, f.target_week, f.horizon, f.forecast, f.p10, f.p50, f.p90, f.order_quantity,
               f.unit, f.origin_week, f.vintage_id, f.method, f.model_version, f.published_at
        FROM (
            SELECT forecasts.*, v.unit, v.origin_week, v.method, v.model_version, v.published_at,
                   row_number() OVER (
                       PARTITION BY store_key, dept_key, target_week ORDER BY v.origin_week DESC, v.sequence DESC
                   ) AS age
            FROM forecasts JOIN forecast_vintages v ON v.vintage_id = forecasts.vintage_id
            WHERE v.kind = 'forecast'
        ) f
        JOIN stores s ON s.store_key = f.store_key
        JOIN departments d ON d.dept_key = f.dept_key
        WHERE f.age = 1""",
    "forecast_vs_actual": f"""
        SELECT s.store_id, d.dept_id, f.target_week AS week, v.origin_week, f.horizon, f.forecast, f.p10, f.p50, f.p90,
               a.actual, f.forecast - a.actual AS error, a.is_holiday, v.unit, v.vintage_id, v.method, v.model_version
        FROM {_NEWEST} v
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
        FROM {_NEWEST} v
        JOIN forecast_accuracy a ON a.vintage_id = v.vintage_id
        WHERE v.age = 1 AND a.level = 'chain' AND a.points > 0
        GROUP BY a.week, a.model, v.unit""",
}


def upgrade() -> None:
    op.rename_table("forecast_reasons", "forecast_attributions")
    _rename(_RENAMED)
    if op.get_bind().dialect.name == "postgresql":
        # SQLite does not bound its texts.
        for table, columns in _TEXTS.items():
            for column in columns:
                op.alter_column(table, column, type_=sa.Text)
    for dimension, (key, name, level) in _DIMENSIONS.items():
        _make_dimension(dimension, key, name, level)
    _complete_vintages()
    op.create_table(
        "alerts",
        sa.Column("alert_key", sa.Text, primary_key=True),
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("alert", sa.JSON, nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sqlite_with_rowid=False,
    )
    for view, query in _VIEWS.items():
        op.execute(f"CREATE VIEW {view} AS {query}")


def _rename(tables: dict[str, dict[str, str]]) -> None:
    for table, columns in tables.items():
        for old, new in columns.items():
            op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")


def _make_dimension(dimension: str, key: str, name: str, level: str) -> None:
    op.create_table(
        dimension,
        sa.Column(key, sa.Integer, primary_key=True),
        sa.Column(name, sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=True),
        sa.Column("attributes", sa.JSON, nullable=True),
    )
    held = {
        table: f" WHERE level = '{level}'" if table in _TOTALS else ""
        for table, columns in _RENAMED.items()
        if key in columns.values()
    }
    ids = " UNION ".join(f"SELECT {key} AS id FROM {table}{of}" for table, of in held.items())
    found = list(op.get_bind().execute(sa.text(f"SELECT id FROM ({ids}) AS found ORDER BY id")).scalars())
    keys = {each: each for each in found}
    if 0 in keys:
        keys[0] = max(found) + 1
        for table, of in held.items():
            also = f"{of} AND {key} = 0" if of else f" WHERE {key} = 0"
            op.execute(f"UPDATE {table} SET {key} = {keys[0]}{also}")
    rows = [{key: number, name: str(each)} for each, number in keys.items()]
    op.bulk_insert(sa.table(dimension, sa.column(key), sa.column(name)), rows)


def _complete_vintages() -> None:
    v = "forecast_vintages"
    op.execute(f"ALTER TABLE {v} ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0")
    op.execute(f"ALTER TABLE {v} ADD COLUMN unit TEXT NOT NULL DEFAULT 'USD'")
    op.execute(f"ALTER TABLE {v} ADD COLUMN kind TEXT NOT NULL DEFAULT 'forecast'")
    op.execute(
        f"UPDATE {v} SET sequence = (SELECT count(*) FROM {v} o"
        f" WHERE (o.published_at, o.vintage_id) <= ({v}.published_at, {v}.vintage_id))"
    )
    if op.get_bind().dialect.name == "postgresql":
        for column in ("sequence", "unit", "kind"):
            op.execute(f"ALTER TABLE {v} ALTER COLUMN {column} DROP DEFAULT")


def downgrade() -> None:
    bind = op.get_bind()
    for dimension, (key, name, _) in _DIMENSIONS.items():
        other = bind.execute(
            sa.text(f"SELECT {name} FROM {dimension} WHERE {name} <> CAST({key} AS TEXT) LIMIT 1")
        ).scalar_one_or_none()
        if other is not None:
            raise StoreError(
                f"revision 0003 cannot hold the id {other} of {dimension}; restore a backup from before 0004"
            )
    for view in _VIEWS:
        op.execute(f"DROP VIEW {view}")
    for table in ("alerts", *_DIMENSIONS):
        op.drop_table(table)
    for column in ("sequence", "unit", "kind"):
        op.execute(f"ALTER TABLE forecast_vintages DROP COLUMN {column}")
    _rename({table: {new: old for old, new in columns.items()} for table, columns in _RENAMED.items()})
    op.rename_table("forecast_attributions", "forecast_reasons")
