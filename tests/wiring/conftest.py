"""One finished workspace for all workers, and the commands that make it."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from demand_assets.settings import Settings, read_settings
from tests.conftest import made_once
from tests.wiring import commands

SETTINGS = {
    "DEMAND_MODEL_SETTINGS": '{"rounds": 10}',
    "DEMAND_BACKTEST_ORIGINS": "2",
    "DEMAND_THREADS": "1",
    "DEMAND_SEED": "5",
}


def environment_of(home: Path) -> dict[str, str]:
    """This process's environment with the settings of the tests and nothing else of the pipeline's."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(("DEMAND_", "DAGSTER_"))}
    return {**own, **SETTINGS, "DEMAND_HOME": str(home)}


def demand(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return commands.forked(commands.demand, arguments, environment_of(home), home.parent)


def running(home: Path, raw_dir: Path) -> AbstractContextManager[tuple[BaseProcess, Path, Path]]:
    """`demand run` at work, and the files with what it prints and has for errors."""
    arguments = ("run", "--raw-dir", str(raw_dir))
    return commands.running(commands.demand, arguments, environment_of(home), home.parent)


def run(home: Path, raw_dir: Path) -> dict[str, object]:
    ended = demand(home, "run", "--raw-dir", str(raw_dir), "--json")
    assert ended.returncode == 0, ended.stderr
    summary: dict[str, object] = json.loads(ended.stdout)
    return summary


def copy_workspace(home: Path, to: Path) -> None:
    # SQLite's companion files come and go while another test reads; closed databases hold everything without them.
    shutil.copytree(home, to, ignore=shutil.ignore_patterns("*-wal", "*-shm"))


def started(home: Path, raw_dir: Path, *arguments: str) -> subprocess.Popen[str]:
    """`demand run` as a user starts it."""
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "demand_assets.cli", "run", "--raw-dir", str(raw_dir), *arguments],
        env=environment_of(home), cwd=home.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture(scope="session")
def finished(csv_folder: Path, shared_folder: Path) -> tuple[Path, dict[str, object]]:
    """A workspace after `demand run`, and its summary. Not to be changed."""
    home, summary = shared_folder / "home", shared_folder / "summary.json"

    def make() -> None:
        process = started(home, csv_folder, "--json")
        printed, errors = process.communicate()
        assert process.returncode == 0, errors
        summary.write_text(printed)

    made_once(summary, make)
    return home, json.loads(summary.read_text())


@pytest.fixture
def workspace(finished: tuple[Path, dict[str, object]], csv_folder: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A finished workspace and its landing zone, to change freely."""
    home, zone = tmp_path / "home", tmp_path / "zone"
    copy_workspace(finished[0], home)
    shutil.copytree(csv_folder, zone)
    return home, zone


def finished_settings(workspace: tuple[Path, Path]) -> Settings:
    """The settings that made the finished workspace: others would be a reason to retrain."""
    home, zone = workspace
    own = {name.removeprefix("DEMAND_").lower(): value for name, value in SETTINGS.items()}
    return read_settings(home=home, landing_uri=str(zone), **own)


# Each table of MLflow's and of the store's, without a row.
TABLES = """
from demand_assets.resources import build_resources
from demand_assets.settings import read_settings
from demand_assets.store.migrations import migrate
settings = read_settings()
migrate(settings.store)
assert build_resources(settings)["registry"].with_alias("production") is None
"""
# Of 700 events SQLite takes most of the time that a run on the sample takes.
IN_MEMORY = """
telemetry:
  enabled: false
event_log_storage:
  module: demand_assets.adapters.dagster_internals
  class: InMemoryEventLogStorage
"""


@pytest.fixture
def first_home(shared_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace for a first run, whose tables are made; what the run tells Dagster is forgotten when it ends.

    For tests of what a run publishes. The workspace of `finished` is made from nothing, with records that last.
    """
    made, home, records = shared_folder / "tables", tmp_path / "home", tmp_path / "records"

    def make() -> None:
        made.mkdir()
        ended = commands.forked(commands.python, (TABLES,), environment_of(made), shared_folder)
        assert ended.returncode == 0, ended.stderr

    made_once(shared_folder / "tables.made", make)
    copy_workspace(made, home)
    records.mkdir()
    (records / "dagster.yaml").write_text(IN_MEMORY)
    monkeypatch.setitem(SETTINGS, "DAGSTER_HOME", str(records))
    return home
