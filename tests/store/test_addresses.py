"""Addresses of the store, what is said of its errors, and files with names that are no URL."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from demand_assets.errors import StoreError, StoreUnavailableError
from demand_assets.store.engine import create_engine_for, parse_url, store_error, store_name


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:////data/store.db", "SQLite file /data/store.db"),
        ("sqlite+pysqlite:///store.db", "SQLite file store.db"),
        ("postgresql://ann:hunter2@db:5433/demand?sslmode=require", "PostgreSQL db:5433/demand"),
        ("postgres://db/demand", "PostgreSQL db/demand"),
        ("postgresql+psycopg2:///demand?host=/run/pg&password=hunter2", "PostgreSQL /run/pg/demand"),
        ("postgresql+psycopg://ann@/", "PostgreSQL localhost/"),
    ],
)
def test_a_store_is_named_without_user_and_password(url: str, name: str) -> None:
    assert store_name(parse_url(url)) == name


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite://", "expected a SQLite file, got an in-memory store"),
        ("sqlite:///:memory:", "expected a SQLite file, got an in-memory store"),
        ("mysql://ann:hunter2@db/demand", "expected sqlite:/// or postgresql://, got mysql://"),
        ("postgresql+asyncpg://ann:hunter2@db/d", "expected sqlite:/// or postgresql://, got postgresql+asyncpg://"),
        ("ann:hunter2@db", "store URL cannot be read"),
        ("postgresql://ann:hunter2@db:port/demand", "store URL cannot be read"),
    ],
)
def test_an_address_of_no_store_is_refused_without_its_password(url: str, said: str) -> None:
    with pytest.raises(StoreError, match=re.escape(said)) as refused:
        parse_url(url)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize("url", ["postgresql://ann:hunter2@db/d", "postgresql://ann@db/d?password=hunter2"])
def test_an_error_of_the_store_is_one_line_without_its_password(url: str) -> None:
    error = psycopg.OperationalError("  no way in with hunter2, hunter2\nHINT: ask ann\n")
    assert str(store_error(parse_url(url), error)) == "PostgreSQL db/d cannot be used: no way in with ***, ***"
    assert str(store_error(parse_url(url), TimeoutError())) == "PostgreSQL db/d cannot be used: TimeoutError"


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (psycopg.OperationalError("no server"), True),  # no state: no connection was made at all
        (psycopg.errors.ConnectionFailure("lost"), True),
        (psycopg.errors.AdminShutdown("going down"), True),
        (psycopg.errors.CannotConnectNow("coming up"), True),
        (psycopg.errors.QueryCanceled("too slow"), False),
        (psycopg.errors.TooManyConnections("full"), False),
        (psycopg.errors.DiskFull("full"), False),
        (psycopg.errors.UndefinedTable("no table"), False),
        (psycopg.InterfaceError("closed"), False),
        (OSError("no server"), False),
    ],
)
def test_only_a_server_that_is_away_is_worth_waiting_for(error: Exception, away: bool) -> None:
    told = store_error(parse_url("postgresql://db/d"), error)
    assert type(told) is (StoreUnavailableError if away else StoreError)


def test_a_file_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "100%25 #1 ä"
    folder.mkdir()
    engine = create_engine_for(f"sqlite:///{folder / 'a b.db'}", create=True)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
    engine.dispose()
    assert [path.name for path in folder.iterdir()] == ["a b.db"]
