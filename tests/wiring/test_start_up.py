"""What commands and code locations load before they do anything: every heavy library waits for who needs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text

from demand_assets.commands.instance import sync_at_checkpoints

HEAVY = {
    "alembic", "boto3", "dask", "matplotlib", "mlflow", "psycopg", "scipy", "sklearn",
    "sqlalchemy", "statsmodels", "xgboost",
}  # fmt: skip


def _loaded_by(code: str) -> set[str]:
    """Packages that a fresh interpreter has loaded after `code`."""
    told = f"import sys\n{code}\nprint('loaded', *{{name.split('.')[0] for name in sys.modules}})"
    ended = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return set(ended.stdout.splitlines()[-1].split()[1:])


def test_definitions_load_no_heavy_library() -> None:
    loaded = _loaded_by("import demand_assets.definitions")
    assert {"dagster", "pandas"} <= loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["backtest", "--help"], ["--version"]])
def test_help_loads_next_to_nothing(arguments: list[str]) -> None:
    called = f"main({arguments}, standalone_mode=False)"
    loaded = _loaded_by(f"from demand_assets.cli import main\n{called}")
    assert "click" in loaded
    assert loaded & {*HEAVY, "dagster", "numpy", "pandas", "pyarrow"} == set()


def test_only_dagsters_files_wait_for_the_disk_at_checkpoints_alone(tmp_path: Path) -> None:
    (tmp_path / "dagster").mkdir()
    with sync_at_checkpoints(tmp_path / "dagster"):
        # 1 is NORMAL, 2 is FULL.
        assert [_in(tmp_path / file, "PRAGMA synchronous") for file in ("dagster/index.db", "store.db")] == [1, 2]
    assert _in(tmp_path / "dagster/index.db", "PRAGMA synchronous") == 2


def test_the_log_of_dagsters_files_is_kept_from_one_event_to_the_next(tmp_path: Path) -> None:
    (tmp_path / "dagster").mkdir()
    file = tmp_path / "dagster/index.db"
    logs = []
    with sync_at_checkpoints(tmp_path / "dagster"):
        _in(file, "PRAGMA journal_mode = WAL")
        for table in ("one", "other"):
            _in(file, f"CREATE TABLE {table} AS SELECT 1 AS number")
            logs.append(os.path.getsize(f"{file}-wal"))
    assert 0 < logs[0] < logs[1]
    assert not os.path.exists(f"{file}-wal")
    assert _in(file, "SELECT number FROM other") == 1


def _in(file: Path, statement: str) -> object:
    """What a connection of its own is answered, as Dagster opens one for each event."""
    with create_engine(f"sqlite:///{file}", poolclass=NullPool).begin() as connection:
        found = connection.execute(text(statement))
        return found.scalar_one() if found.returns_rows else None
