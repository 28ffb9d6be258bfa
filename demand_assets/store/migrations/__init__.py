"""Revisions of the forecast store: bring one up to date, or refuse one that is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from demand_assets.errors import StoreError
from demand_assets.store.database import grant_service
from demand_assets.store.engine import create_engine_for, parse_url, reading, store_name, write_transaction

# Kept here so that a start-up check need not load alembic; a test compares it with the newest file in versions/.
HEAD = "0012"
_LOCK = 0x64656D616E6401
_SCRIPTS = "demand_assets.store:migrations"


def migrate(url: str) -> tuple[str | None, str]:
    """Bring the store to the newest revision and return (from, to); `from` is None for an empty store.

    Can be repeated and run by several processes at once. Makes the folder of a SQLite file; on PostgreSQL lets the
    service's role read. StoreError when the store is unreachable or at a revision that this code does not know.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        _make_parent(parsed.database or "")
    engine = create_engine_for(url, create=True)
    try:
        with write_transaction(engine, _LOCK) as connection:
            before = _revision(connection)
            if before != HEAD:
                _upgrade(connection, before, store_name(parsed))
            if connection.dialect.name == "postgresql":
                grant_service(connection)
        return before, HEAD
    finally:
        engine.dispose()


def require_current(engine: Engine) -> None:
    """StoreError unless the store is at the revision this code was written for."""
    with reading(engine) as connection:
        found = _revision(connection)
    if found != HEAD:
        shown = "no revision" if found is None else f"revision {found}"
        raise StoreError(f"store is at {shown}, code expects {HEAD}: run `demand migrate`")


def current_engine(url: str) -> Engine:
    """A connected engine of a store at the revision this code was written for; StoreError otherwise."""
    engine = create_engine_for(url)
    try:
        require_current(engine)
    except StoreError:
        engine.dispose()
        raise
    return engine


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """`current_engine`, with its connections closed at the end."""
    engine = current_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return None if found is None else str(found)


def _upgrade(connection: Connection, before: str | None, store: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", _SCRIPTS)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if before is not None and before not in known:
        raise StoreError(f"{store} is at revision {before}, code knows none after {HEAD}; install the newer code")
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)


def _make_parent(database: str) -> None:
    folder = Path(database).absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"folder {folder} of the store cannot be made: {error.strerror}") from error
