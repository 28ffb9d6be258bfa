from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from importlib import resources
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from demand_assets.errors import StoreError
from demand_assets.store.engine import create_engine_for
from demand_assets.store.migrations import HEAD, migrate, require_current
from demand_assets.store.tables import metadata

SINCE_0003 = {"forecast_totals", "forecast_reasons", "store_conditions", "overrides", "api_keys"}


def test_migrating_twice_changes_nothing_more(empty_store: str) -> None:
    assert migrate(empty_store) == (None, HEAD)
    assert migrate(empty_store) == (HEAD, HEAD)


def test_migrations_build_the_tables_that_the_code_declares(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_newest_revisions_can_be_taken_back(engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "demand_assets.store:migrations")
    for step in ("0003", "0002", HEAD):
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            (command.downgrade if step < HEAD else command.upgrade)(config, step)
            tables = set(inspect(connection).get_table_names())
        assert (tables & SINCE_0003) == (set() if step == "0002" else SINCE_0003)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_head_is_the_newest_revision_file() -> None:
    versions = resources.files("demand_assets.store.migrations") / "versions"
    assert max(file.name for file in versions.iterdir() if file.name[0].isdigit()).startswith(f"{HEAD}_")


def test_several_processes_can_migrate_at_once(empty_store: str) -> None:
    code = (
        "import sys; from demand_assets.store.migrations import migrate; print('ready', flush=True);"
        "sys.stdin.readline(); print(migrate(sys.argv[1])[0])"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, empty_store],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    answers = [child.communicate() for child in children]
    assert [err for _, err in answers] == [""] * 4
    assert sorted(out.strip() for out, _ in answers) == [HEAD] * 3 + ["None"]


def test_migrate_waits_for_another_process_that_makes_the_same_file(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    finish = threading.Timer(0.3, other.execute, ["ROLLBACK"])
    finish.start()
    assert migrate(f"sqlite:///{tmp_path / 'store.db'}") == (None, HEAD)
    finish.join()
    other.close()


def test_migrate_makes_the_folder_of_a_sqlite_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'folder' / 'store.db'}"
    migrate(url)
    engine = create_engine_for(url)
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
    engine.dispose()


def test_a_store_without_tables_is_refused(postgres_url: str) -> None:
    engine = create_engine_for(postgres_url)
    with pytest.raises(StoreError, match=f"no revision, code expects {HEAD}: run `demand migrate`"):
        require_current(engine)
    engine.dispose()


def test_a_store_of_newer_code_is_refused(engine: Engine, store_url: str) -> None:
    require_current(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="revision 9999, code expects"):
        require_current(engine)
    with pytest.raises(StoreError, match="install the newer code"):
        migrate(store_url)


def test_a_missing_sqlite_file_is_refused_and_not_made(tmp_path: Path) -> None:
    engine = create_engine_for(f"sqlite:///{tmp_path / 'store.db'}")
    with pytest.raises(StoreError, match="no such file; run `demand migrate`"):
        require_current(engine)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://demand:hunter2secret@127.0.0.1:1/demand",
        "postgresql://demand@127.0.0.1:1/demand?password=hunter2secret",
        "postgresql://demand:hunter2secret@127.0.0.1:port/demand",
        "mysql://demand:hunter2secret@127.0.0.1/demand",
        "hunter2secret",
    ],
)
def test_an_error_is_one_line_without_the_password(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        migrate(url)
    assert "hunter2secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_password_is_not_repeated(postgres_url: str) -> None:
    wrong = "postgresql://no_such_role:hunter2secret@" + postgres_url.split("@", 1)[-1]
    with pytest.raises(StoreError) as caught:
        migrate(wrong)
    assert "hunter2secret" not in str(caught.value)
    assert "no_such_role" in str(caught.value)
