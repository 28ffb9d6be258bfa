from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, String, inspect, text

from demand_assets.errors import StoreError
from demand_assets.store.engine import create_engine_for
from demand_assets.store.migrations import HEAD, migrate, require_current
from demand_assets.store.tables import metadata

SINCE_0003 = {"forecast_totals", "store_conditions", "overrides", "api_keys"}
WEEK, WHEN = "2012-11-02", "2012-10-27 06:00:00.000000"
# A store as revision 0003 has it: store 0 and department 10 are ids, 0 in totals and accuracy is "all".
OLD_ROWS: dict[str, list[tuple[Any, ...]]] = {
    "forecast_vintages": [
        ("v-2", "2012-10-26", 1, "xgboost", "7", "d", "c", "2012-10-27 07:00:00.000000"),
        ("v-1", "2012-10-26", 1, "xgboost", "6", "d", "c", WHEN),
    ],
    "forecasts": [
        ("v-2", 0, 10, WEEK, 1, 90.0, 70.0, 90.0, 110.0, None), ("v-1", 0, 10, WEEK, 1, 80.0, 70.0, 80.0, 90.0, None),
        ("v-2", 2, 10, WEEK, 1, 5.0, 4.0, 5.0, 6.0, 5.5),
    ],
    "forecast_totals": [
        ("v-2", "chain", 0, 0, WEEK, 1, 95.0, None, None, None, 2),
        ("v-2", "store", 0, 0, WEEK, 1, 90.0, 1.0, 2.0, 3.0, 1),
    ],
    "forecast_attributions": [("v-2", 0, 10, WEEK, 84.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)],
    "actuals": [(0, 10, WEEK, 100.0, False), (7, 11, WEEK, 1.0, True)],
    "store_conditions": [(0, WEEK, False, 61.5, 3.5, 211.1, 8.1, None)],
    "forecast_accuracy": [
        (WEEK, "v-2", "xgboost", 1, "chain", 0, 0, 1, 10.0, 10.0, 10.0, -10.0, 100.0, -10.0, 1.0, 2.0, None),
        (WEEK, "v-1", "xgboost", 1, "chain", 0, 0, 1, 20.0, 20.0, 20.0, -20.0, 100.0, -20.0, 0.0, 2.0, None),
    ],
    "overrides": [(1, "key", "hash", 0, 10, WEEK, 1, 95.0, "ann", "fair", WHEN, None, "v-2", 90.0)],
}  # fmt: skip


def _like(context: Any, inspected: Any, declared: Any, in_database: Any, in_code: Any) -> bool | None:
    """SQLite does not bound its texts, so that those of old tables stay as they were declared."""
    texts = isinstance(in_database, String) and isinstance(in_code, String)
    return False if context.dialect.name == "sqlite" and texts else None


def differences(connection: Connection) -> Any:
    options = {"compare_type": _like}
    return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)


def move(connection: Connection, revision: str) -> None:
    """Up or down to a revision."""
    config = Config()
    config.set_main_option("script_location", "demand_assets.store:migrations")
    config.attributes["connection"] = connection
    at = MigrationContext.configure(connection).get_current_revision()
    (command.upgrade if at is None or at < revision else command.downgrade)(config, revision)


def test_migrating_twice_changes_nothing_more(empty_store: str) -> None:
    assert migrate(empty_store) == (None, HEAD)
    assert migrate(empty_store) == (HEAD, HEAD)


def test_migrations_build_the_tables_that_the_code_declares(engine: Engine) -> None:
    with engine.connect() as connection:
        assert differences(connection) == []


def test_the_newest_revisions_can_be_taken_back(engine: Engine) -> None:
    for step in ("0003", "0002", HEAD):
        with engine.begin() as connection:
            move(connection, step)
            tables = set(inspect(connection).get_table_names())
        assert (tables & SINCE_0003) == (set() if step == "0002" else SINCE_0003)
    with engine.connect() as connection:
        assert differences(connection) == []


def test_the_rows_of_an_old_store_are_kept_with_text_ids(engine: Engine) -> None:
    def all_of(query: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in connection.execute(text(query))]

    with engine.begin() as connection:
        move(connection, "0003")
        for table, rows in OLD_ROWS.items():
            for row in rows:
                values = ", ".join("NULL" if value is None else repr(value) for value in row)
                connection.execute(text(f"INSERT INTO {table} VALUES ({values})"))
    with engine.begin() as connection:
        move(connection, HEAD)
        assert differences(connection) == []
        assert all_of("SELECT * FROM stores ORDER BY 1") == [
            (2, "2", None, None),
            (7, "7", None, None),
            (8, "0", None, None),
        ]
        assert all_of("SELECT dept_key, dept_id FROM departments ORDER BY 1") == [(10, "10"), (11, "11")]
        vintages = "SELECT vintage_id, sequence, method, unit, kind FROM forecast_vintages ORDER BY sequence"
        assert all_of(vintages) == [
            ("v-1", 1, "xgboost", "USD", "forecast"),
            ("v-2", 2, "xgboost", "USD", "forecast"),
        ]
        assert all_of("SELECT level, store_key, dept_key FROM forecast_totals ORDER BY 1") == [
            ("chain", 0, 0),
            ("store", 8, 0),
        ]
        for table in ("forecasts", "forecast_attributions", "actuals", "store_conditions", "overrides"):
            assert all_of(f"SELECT count(*) FROM {table} WHERE store_key = 0") == [(0,)], table
        columns = "store_id, dept_id, forecast, vintage_id, unit"
        assert all_of(f"SELECT {columns} FROM latest_forecast ORDER BY 1") == [
            ("0", "10", 90.0, "v-2", "USD"),
            ("2", "10", 5.0, "v-2", "USD"),
        ]
        columns = "store_id, dept_id, forecast, actual, error, unit, vintage_id"
        assert all_of(f"SELECT {columns} FROM forecast_vs_actual") == [("0", "10", 90.0, 100.0, -10.0, "USD", "v-2")]
        columns = "model, points, wmae, bias, coverage, fva, unit"
        assert all_of(f"SELECT {columns} FROM accuracy_by_week") == [("xgboost", 1, 10.0, -10.0, 1.0, 2.0, "USD")]
        with pytest.raises(StoreError, match="revision 0003 cannot hold the id 0 of stores; restore a backup"):
            move(connection, "0003")


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
