"""What commands and code locations load before they do anything: every heavy library waits for who needs it."""

import subprocess
import sys

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
