"""What commands and code locations load before they do anything: every heavy library waits for who needs it."""

import subprocess
import sys
from pathlib import Path

import pytest

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
    code = """
import sys
from pathlib import Path
from pathlib import Path
from sqlalchemy import create_engine, text
from demand_assets.commands.instance import sync_at_checkpoints
folder = Path(sys.argv[1])
sync_at_checkpoints(folder / "dagster")
for file in ("dagster/index.db", "store.db"):
    with create_engine(f"sqlite:///{folder / file}").connect() as connection:
        print(connection.execute(text("PRAGMA synchronous")).scalar_one())
"""
    (tmp_path / "dagster").mkdir()
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    # 1 is NORMAL, 2 is FULL.
    assert ended.stdout.split() == ["1", "2"]
