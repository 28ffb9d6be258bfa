"""One finished workspace for all workers, and the commands that make it."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SETTINGS = {"DEMAND_ROUNDS": "10", "DEMAND_BACKTEST_ORIGINS": "2", "DEMAND_THREADS": "1", "DEMAND_SEED": "5"}


def environment_of(home: Path) -> dict[str, str]:
    """This process's environment with the settings of the tests and nothing else of the pipeline's."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(("DEMAND_", "DAGSTER_"))}
    return {**own, **SETTINGS, "DEMAND_HOME": str(home)}


def demand(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "demand_assets.cli", *arguments],
        env=environment_of(home),
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def run(home: Path, raw_dir: Path) -> dict[str, object]:
    ended = demand(home, "run", "--raw-dir", str(raw_dir), "--json")
    assert ended.returncode == 0, ended.stderr
    summary: dict[str, object] = json.loads(ended.stdout)
    return summary


@pytest.fixture(scope="session")
def finished(csv_folder: Path, shared_folder: Path) -> tuple[Path, dict[str, object]]:
    """A workspace after `demand run`, and its summary: whoever comes first makes it. Not to be changed."""
    home, summary = shared_folder / "home", shared_folder / "summary.json"
    with open(shared_folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not summary.exists():
            summary.write_text(json.dumps(run(home, csv_folder)))
    return home, json.loads(summary.read_text())


@pytest.fixture
def workspace(finished: tuple[Path, dict[str, object]], csv_folder: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A finished workspace and its landing zone, to change freely."""
    home, zone = tmp_path / "home", tmp_path / "zone"
    # SQLite's companion files come and go while another test reads; closed databases hold everything without them.
    shutil.copytree(finished[0], home, ignore=shutil.ignore_patterns("*-wal", "*-shm"))
    shutil.copytree(csv_folder, zone)
    return home, zone
