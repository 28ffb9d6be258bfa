"""One finished workspace for all workers, and the commands that make it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
