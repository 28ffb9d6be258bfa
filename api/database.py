"""The store, read without blocking the event loop: asyncpg for PostgreSQL, a few threads for SQLite.

Both run the same SQLAlchemy Core statements; asyncpg gets them as text, since its own pool is twice as fast as going
through SQLAlchemy's (benchmarks/api_speed.py).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

import asyncpg
from sqlalchemy import Engine, Select
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect

from demand_assets.errors import StoreError
from demand_assets.store.engine import create_engine_for, parse_url, reading, store_error, store_name

Row = Sequence[Any]
Statement = Select[Any]
Result = TypeVar("Result")
_CHUNK = 2000
_QUERY_S = 20.0
# Classes of errors that are the store's state, not a bug in the query: connection, resources, operator, system,
# authorisation, no such database; and the three that mean another schema than the code's.
_STORE_CLASSES = ("08", "53", "57", "58", "28", "3D", "55")
_STORE_STATES = ("42P01", "42703", "42501")
# asyncpg raises InternalClientError for a server that goes away just as a query is sent.
_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)


class BusyError(StoreError):
    """Nobody gave a connection back in time: the store can be used, by fewer at once."""


class Database(Protocol):
    """Reads, and writes as a function of a synchronous engine; StoreError when the store cannot be used."""

    async def fetch(self, statement: Statement, values: Mapping[str, Any] | None = None) -> list[Row]:
        """Every row; `values` of its bind parameters."""
        ...

    def stream(self, statement: Statement) -> AsyncIterator[list[Row]]:
        """Rows in lists of 2,000, so that a large answer never holds the event loop for long."""
        ...

    async def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """`function(engine, *arguments)` in a thread, for what writes."""
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...


def database_for(url: str, pool_size: int, patience_s: float) -> Database:
    """The database at `url`; StoreError for an address that is neither SQLite nor PostgreSQL. Connects on first use.

    A PostgreSQL that gives no connection within `patience_s` seconds is a StoreError.
    """
    if parse_url(url).get_backend_name() == "sqlite":
        return SqliteDatabase(url, pool_size)
    return PostgresDatabase(url, pool_size, patience_s)


async def fetch_maps(
    database: Database, statement: Statement, values: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Every row by the names of its columns."""
    names = statement.selected_columns.keys()
    return [dict(zip(names, row, strict=True)) for row in await database.fetch(statement, values)]


class _Threads:
    def __init__(self, url: str, pool_size: int) -> None:
        self.engine: Engine = create_engine_for(url)
        self._threads = ThreadPoolExecutor(pool_size, thread_name_prefix="store")

    async def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(self.engine, *arguments))

    async def close(self) -> None:
        self._threads.shutdown(wait=True)
        self.engine.dispose()


class SqliteDatabase(_Threads):
    """A SQLite file."""

    async def fetch(self, statement: Statement, values: Mapping[str, Any] | None = None) -> list[Row]:
        """See Database."""

        def read(engine: Engine) -> list[Row]:
            with reading(engine) as connection:
                return list(connection.execute(statement, dict(values or {})))

        return await self.run(read)

    async def stream(self, statement: Statement) -> AsyncIterator[list[Row]]:
        """See Database."""
        rows = await self.fetch(statement)
        for start in range(0, len(rows), _CHUNK):
            yield rows[start : start + _CHUNK]
            await asyncio.sleep(0)


class PostgresDatabase(_Threads):
    """A PostgreSQL database; the pool is opened when it is first needed, and again after the server was gone."""

    def __init__(self, url: str, pool_size: int, patience_s: float) -> None:
        super().__init__(url, pool_size)
        self._patience_s = patience_s
        self._parsed = parse_url(url)
        self._address = self._parsed.set(drivername="postgresql").render_as_string(hide_password=False)
        self._size = pool_size
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        # The pool lets a newcomer overtake those who wait, which some would do for long; this does not.
        self._turn, self._opening = asyncio.Semaphore(pool_size), asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        # Text and order of parameters of statements that are run again and again, which hold their own identity.
        self._compiled: dict[Statement, tuple[str, tuple[tuple[str, Any], ...]]] = {}

    async def fetch(self, statement: Statement, values: Mapping[str, Any] | None = None) -> list[Row]:
        """See Database."""
        sql, arguments = self._prepared(statement, values)
        began = time.monotonic()
        try:
            async with self._connection() as connection:
                return list(await connection.fetch(sql, *arguments, timeout=_QUERY_S))
        except _FAILURES as error:
            raise self._translated(error, time.monotonic() - began) from error

    async def stream(self, statement: Statement) -> AsyncIterator[list[Row]]:
        """See Database."""
        sql, arguments = self._prepared(statement, None)
        began = time.monotonic()
        try:
            async with self._connection() as connection, connection.transaction(readonly=True):
                cursor = await connection.cursor(sql, *arguments, timeout=_QUERY_S)
                while rows := await cursor.fetch(_CHUNK, timeout=_QUERY_S):
                    yield list(rows)
        except _FAILURES as error:
            raise self._translated(error, time.monotonic() - began) from error

    async def close(self) -> None:
        """See Database."""
        if self._pool is not None and self._loop is asyncio.get_running_loop():
            self._pool.terminate()
        await super().close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # Another loop than before, as of an application called in process: what was opened belongs to the old one.
            self._loop, self._pool, self._turn = loop, None, asyncio.Semaphore(self._size)
            self._opening = asyncio.Lock()
        if self._turn.locked():
            began = time.monotonic()
            try:
                async with asyncio.timeout(self._patience_s):
                    await self._turn.acquire()
            except TimeoutError:
                text = f"busy: no connection was free for {time.monotonic() - began:.0f} s"
                raise BusyError(f"{store_name(self._parsed)} is {text}") from None
        else:
            await self._turn.acquire()
        try:
            if self._pool is None:
                async with self._opening:
                    self._pool = self._pool or await self._opened()
            async with self._pool.acquire() as connection:
                try:
                    yield connection
                except asyncpg.InternalClientError:
                    connection.terminate()  # what it would answer next is not known
                    raise
        finally:
            self._turn.release()

    async def _opened(self) -> asyncpg.Pool[asyncpg.Record]:
        pool: asyncpg.Pool[asyncpg.Record] = await asyncpg.create_pool(
            self._address,
            # None is kept for its own sake: during an outage the pool would log a traceback for each try to have one.
            min_size=0,
            max_size=self._size,
            timeout=self._patience_s,
            init=_set_codecs,
            connection_class=_Stateless,
            server_settings={"application_name": "demand-api"},
        )
        return pool

    def _prepared(self, statement: Statement, values: Mapping[str, Any] | None) -> tuple[str, list[Any]]:
        if values is not None:
            # The statement's own constants, such as its limit, are parameters too.
            kept = self._compiled.get(statement)
            if kept is None:
                compiled = statement.compile(dialect=_DIALECT)
                fixed = [(name, compiled.params[name]) for name in compiled.positiontup or ()]
                kept = self._compiled[statement] = (str(compiled), tuple(fixed))
            return kept[0], [values.get(name, fixed) for name, fixed in kept[1]]
        compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
        given = compiled.params
        return str(compiled), [given[name] for name in compiled.positiontup or ()]

    def _translated(self, error: Exception, seconds: float) -> Exception:
        state = getattr(error, "sqlstate", None)
        if state is not None and not (state.startswith(_STORE_CLASSES) or state in _STORE_STATES):
            return error  # a bug in the query; asking again would not help
        if isinstance(error, TimeoutError):
            return store_error(self._parsed, TimeoutError(f"no answer after {seconds:.0f} s"))
        return store_error(self._parsed, error)


class _Stateless(asyncpg.Connection):  # type: ignore[misc]
    """A connection on which nothing is set that the next one to use it would have to undo."""

    def get_reset_query(self) -> str:
        """None: it would be another round trip for each query."""
        return ""


async def _set_codecs(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


_DIALECT = asyncpg_dialect()  # type: ignore[no-untyped-call]
