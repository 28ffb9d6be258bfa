"""Engines of the forecast store: SQLite (embedded default) and PostgreSQL through psycopg 3."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy import exc as sa_exc

from demand_assets.errors import StoreError, StoreUnavailableError

BUSY_TIMEOUT_S = 30
CONNECT_TIMEOUT_S = 5
POOL_WAIT_S = 10

_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2")
_SQLITE = ("sqlite", "sqlite+pysqlite")
# Undefined table or column, and no permission: the store is not what the code expects, which is not a bug in the query.
_WRONG_STORE_STATES = ("42P01", "42703", "42501")
# A connection that was lost, and a server that is going down or coming up; without a state: none was made at all.
_AWAY_STATES = ("08", "57P", "")
_LONGEST_WAIT_S = 15.0


def parse_url(url: str) -> URL:
    """The address as SQLAlchemy and psycopg 3 read it; StoreError (without the address) if it is neither store.

    All that follows `sqlite:///` is the file, a `?` too: options of SQLite are not read.
    """
    scheme, _, file = url.partition(":///")
    if scheme in _SQLITE and file not in ("", ":memory:"):
        return URL.create("sqlite+pysqlite", database=file)
    try:
        parsed = make_url(url)
    except (sa_exc.ArgumentError, ValueError):
        # The address itself stays out of the message and of its cause: it may hold a password.
        raise StoreError("store URL cannot be read; expected sqlite:///FILE or postgresql://USER@HOST/DB") from None
    if parsed.drivername in _POSTGRES:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in _SQLITE:
        raise StoreError("expected a SQLite file, got an in-memory store; use sqlite:///FILE")
    raise StoreError(f"expected sqlite:/// or postgresql://, got {parsed.drivername}://")


def store_name(url: URL) -> str:
    """What messages call the store: a file, or host and database; no user, password or option."""
    if url.get_backend_name() == "sqlite":
        return f"SQLite file {url.database}"
    port = f":{url.port}" if url.port else ""
    return f"PostgreSQL {url.host or url.query.get('host') or 'localhost'}{port}/{url.database or ''}"


def store_error(url: URL, error: BaseException) -> StoreError:
    """One line about a driver's error, with any password taken out; StoreUnavailableError where waiting may help."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    text = lines[0].strip()
    for secret in (url.password, url.query.get("password")):
        if isinstance(secret, str) and secret:
            text = text.replace(secret, "***")
    kind = StoreUnavailableError if _is_away(error) else StoreError
    return kind(f"{store_name(url)} cannot be used: {text}")


def _is_away(error: BaseException) -> bool:
    if not isinstance(error, psycopg.OperationalError):
        return False
    state = error.sqlstate or ""
    return any(state.startswith(prefix) if prefix else not state for prefix in _AWAY_STATES)


def await_store(url: str, patience_s: float) -> None:
    """Return once the store answers; StoreUnavailableError when it has not within that many seconds."""
    deadline, wait = time.monotonic() + patience_s, 0.5
    while True:
        engine = create_engine_for(url)
        try:
            with reading(engine) as connection:
                connection.execute(select(1))
            return
        except StoreUnavailableError:
            if time.monotonic() + wait > deadline:
                raise
        finally:
            engine.dispose()
        # Between half of it and all, so that tasks that lost the same server do not return in step.
        time.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311
        wait = min(2 * wait, _LONGEST_WAIT_S)


def create_engine_for(url: str, *, create: bool = False) -> Engine:
    """Engine of the store at `url`; connects on first use, and failing to raises StoreError in one line.

    A SQLite file must exist unless `create`; its folder must exist in any case.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = _sqlite_engine(parsed, create=create)
    else:
        engine = create_engine(
            parsed,
            hide_parameters=True,
            pool_pre_ping=True,  # a failover leaves dead connections in the pool
            pool_size=8,
            max_overflow=8,
            pool_timeout=POOL_WAIT_S,
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S} if "connect_timeout" not in parsed.query else {},
        )

    @event.listens_for(engine, "handle_error")
    def _to_store_error(context: Any) -> None:
        error = context.sqlalchemy_exception
        state = getattr(context.original_exception, "sqlstate", None)
        unusable = (sa_exc.OperationalError, sa_exc.InterfaceError, sa_exc.InternalError)
        if context.is_disconnect or isinstance(error, unusable) or state in _WRONG_STORE_STATES:
            if context.is_pre_ping:
                return  # the pool replaces the connection itself
            raise store_error(parsed, context.original_exception) from None

    return engine


def is_to_come(url: str) -> bool:
    """Whether a store has yet to be made: SQLite's file is not there. What a server holds it has to say itself."""
    parsed = parse_url(url)
    return parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists()


def _sqlite_engine(url: URL, *, create: bool) -> Engine:
    path = Path(url.database or "").absolute()
    address = f"file:{quote(str(path))}?mode={'rwc' if create else 'rw'}"

    def connect() -> sqlite3.Connection:
        if not create and not path.exists():
            # sqlite3 only says "unable to open database file".
            raise sqlite3.OperationalError("no such file; run `demand migrate`")
        # No implicit BEGIN by the driver: the "begin" event below says which kind a transaction is.
        connection = sqlite3.connect(
            address, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA foreign_keys = ON")
        if create:
            _use_wal(connection)
        return connection

    engine = create_engine(url, creator=connect, hide_parameters=True, pool_timeout=POOL_WAIT_S)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        kind = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {kind}")

    return engine


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch the file to WAL, which it then keeps; readers and the one writer no longer wait for each other."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # While another process is about to write, SQLite fails this at once, whatever its busy timeout: two
            # processes that make the same file meet here.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for queries; StoreError when the store is down or no connection comes free in time."""
    try:
        connection = engine.connect()
    except sa_exc.TimeoutError:
        raise StoreError(f"{store_name(engine.url)} has no free connection after {POOL_WAIT_S} s") from None
    with connection:
        yield connection


@contextmanager
def write_transaction(engine: Engine, lock: int) -> Iterator[Connection]:
    """One transaction, alone among the writers that take the same `lock`; all of it is kept or none."""
    with reading(engine) as connection:
        # IMMEDIATE waits for the writer before; a DEFERRED one would fail when it turns from reading to writing.
        connection.execution_options(sqlite_begin="IMMEDIATE")
        with connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(lock)))
            yield connection
