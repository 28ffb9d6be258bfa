"""What SQL users are given: comments, views, a role that only reads, and the queries of docs/sql.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, inspect, text

from demand_assets.contract.models import described
from demand_assets.contract.tables import TABLES
from demand_assets.contract.views import VIEWS
from demand_assets.store.engine import create_engine_for
from demand_assets.store.migrations import migrate
from tests.api.stores import fill_full

DOCS = Path(__file__).parents[2] / "docs"
QUERIES = re.findall(r"```sql\n(.*?)```", (DOCS / "sql.md").read_text(), re.DOTALL)
FIRST_ROWS: tuple[tuple[Any, ...], ...] = (
    ("2012-11-02", "3", 131.0, 121.0, 151.0, 136.0, "USD"),
    ("2012-10-19", 3, 503.0),
    ("1", "3", 2, -150.0, 150.0),
    (1, 6, 1 / 6),
    ("2012-10-26", "final", 4, 11.75, 0.75, 4.25, "USD"),
    ("1", "3", "2012-11-02", 131.0, 1.99),
)


@pytest.fixture
def filled(empty_store: str) -> Iterator[Engine]:
    fill_full(empty_store)
    engine = create_engine_for(empty_store)
    yield engine
    engine.dispose()


def plain(value: Any) -> Any:
    """A value as both databases give it: SQLite has no dates, PostgreSQL has decimals."""
    return str(value) if isinstance(value, str | date) else pytest.approx(float(value))


def test_every_query_of_the_page_answers(filled: Engine) -> None:
    with filled.connect() as connection:
        first = [connection.execute(text(query)).all()[0] for query in QUERIES]
    assert tuple(tuple(map(plain, row)) for row in first) == FIRST_ROWS


def test_the_views_have_the_columns_that_are_declared(engine: Engine) -> None:
    inspector = inspect(engine)
    for view in VIEWS:
        assert [column["name"] for column in inspector.get_columns(view.name)] == list(view.names)


def test_names_stand_beside_ids(filled: Engine) -> None:
    with filled.begin() as connection:
        connection.execute(text("UPDATE stores SET name = 'North' WHERE store_id = '1'"))
        for view in ("latest_forecast", "forecast_vs_actual"):
            named = connection.execute(
                text(f"SELECT DISTINCT store_id, store_name, dept_name FROM {view} ORDER BY 1, 3")
            )
            assert [tuple(row) for row in named] == [("1", "North", "3"), ("1", "North", "4"), ("2", "2", "3")]


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Engine]:
    migrate(postgres_url)
    engine = create_engine_for(postgres_url)
    yield engine
    engine.dispose()


def test_every_table_view_and_column_has_its_comment(postgres: Engine) -> None:
    inspector = inspect(postgres)
    for table in TABLES:
        assert inspector.get_table_comment(table.name) == {"text": table.text}
        assert all(column["comment"] for column in inspector.get_columns(table.name))
    for view in VIEWS:
        assert inspector.get_table_comment(view.name) == {"text": view.text}
        comments = {column["name"]: column["comment"] for column in inspector.get_columns(view.name)}
        assert comments == {column.name: described(column) for column in view.columns}
    comments = {column["name"]: column["comment"] for column in inspector.get_columns("forecast_totals")}
    assert comments["store_key"] == "Its key in stores; 0 where the total spans them all"
    assert comments["p10"] == "10% quantile of the total [the vintage's unit]"


def test_the_role_reads_everything_but_keys_and_writes_nothing(postgres: Engine) -> None:
    address = postgres.url.set(drivername="postgresql").render_as_string(hide_password=False)
    script = (DOCS / "read-only-role.sql").read_text()
    with psycopg.connect(address, autocommit=True) as connection:
        for _ in range(2):
            connection.execute(script)
        connection.execute("CREATE TABLE later (x int)")
        connection.execute("SET ROLE demand_reader")
        for name in ("forecasts", "latest_forecast", "accuracy_by_week", "later"):
            connection.execute(f"SELECT * FROM {name}")
        for refused in ("SELECT * FROM api_keys", "DELETE FROM overrides", "CREATE TABLE mine (x int)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(refused)
        connection.execute("RESET ROLE")
        connection.execute("DROP OWNED BY demand_reader; DROP ROLE demand_reader")
