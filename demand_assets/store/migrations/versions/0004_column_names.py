"""Names of columns carry no unit."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_PUBLISHED = {name: name.removesuffix("_usd") for name in ("forecast_usd", "p10_usd", "p50_usd", "p90_usd")}
_ORDER = {"order_usd": "order_quantity"}
_ATTRIBUTED = ("last_year", "recent_trend", "holiday", "promotion", "store", "department", "weather_economy")
_RENAMED = {
    "forecasts": {**_PUBLISHED, **_ORDER},
    "forecast_totals": _PUBLISHED,
    "forecast_reasons": {f"{name}_usd": name for name in _ATTRIBUTED},
    "actuals": {"weekly_sales_usd": "actual"},
    "store_conditions": {"fuel_price_usd": "fuel_price", "markdown_usd": "markdown"},
    "forecast_accuracy": {"actual_usd": "actual", "error_usd": "total_error", "fva_usd": "fva"},
    "forecast_exceptions": {
        "forecast_usd": "forecast",
        "p10_usd": "p10",
        "p90_usd": "p90",
        **_ORDER,
        "actual_usd": "actual",
        "at_risk_usd": "at_risk",
    },
    "overrides": {"override_usd": "override", "forecast_usd": "forecast"},
}


def upgrade() -> None:
    for table, columns in _RENAMED.items():
        for old, new in columns.items():
            op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")


def downgrade() -> None:
    for table, columns in _RENAMED.items():
        for old, new in columns.items():
            op.execute(f"ALTER TABLE {table} RENAME COLUMN {new} TO {old}")
