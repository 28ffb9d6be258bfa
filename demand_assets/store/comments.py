"""Comments on tables, views and columns in PostgreSQL: what the contract says of each."""

from __future__ import annotations

from sqlalchemy import Column, Connection, MetaData, Table, Text, inspect
from sqlalchemy.engine import Inspector
from sqlalchemy.schema import DDL, SetColumnComment, SetTableComment

from demand_assets.contract.models import described
from demand_assets.contract.views import VIEWS
from demand_assets.store.tables import metadata


def describe(connection: Connection) -> None:
    """Set the comment of every table, view and column that the store has; SQLite has no comments."""
    if not connection.dialect.supports_comments:
        return
    inspector = inspect(connection)
    for table in metadata.sorted_tables:
        if inspector.has_table(table.name):
            connection.execute(SetTableComment(table))
            _describe_columns(connection, inspector, table)
    for view in VIEWS:
        if view.name in inspector.get_view_names():
            quoted = view.text.replace("'", "''").replace("%", "%%")
            comment = DDL(f"COMMENT ON VIEW {view.name} IS '{quoted}'")  # type: ignore[no-untyped-call]
            connection.execute(comment)
            columns = (Column(each.name, Text, comment=described(each)) for each in view.columns)
            _describe_columns(connection, inspector, Table(view.name, MetaData(), *columns))


def _describe_columns(connection: Connection, inspector: Inspector, table: Table) -> None:
    # An older revision, which the store may have been taken back to, lacks columns.
    present = {column["name"] for column in inspector.get_columns(table.name)}
    for column in table.columns:
        if column.name in present:
            connection.execute(SetColumnComment(column))
