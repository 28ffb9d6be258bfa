"""Dagster's own commands in a clean clone, with no variable of this project or of Dagster's set."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.waiting import GUARD_S, answers, until
from tests.wiring.test_dev_servers import free_ports

# Each command starts Dagster anew.
pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
JOBS = {"ingest", "build_features", "train_and_forecast", "weekly"}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a checkout that Dagster looks at, with a small landing zone in the default workspace."""
    folder = tmp_path_factory.mktemp("clone") / "checkout"
    folder.mkdir()
    for name in ("pyproject.toml", "dagster.yaml", "workspace.yaml"):
        shutil.copy(ROOT / name, folder)
    for name in ("demand_assets", "api"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    ended = called(folder, "demand", "sample", ".demand/workspace/landing", "--stores", "2", "--weeks", "60")
    assert ended.returncode == 0, ended.stderr
    return folder


def environment(clone: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("DEMAND_", "DAGSTER_"))}
    # The checkout takes the place of the installed package; programs keep what they remember of a user beside it.
    return {**own, "PYTHONPATH": str(clone), "HOME": str(clone.parent)}


def command(program: str, *arguments: str) -> list[str]:
    return [sys.executable, str(Path(sys.executable).parent / program), *arguments]


def called(clone: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(program, *arguments), cwd=clone, env=environment(clone), capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (("dagster", "definitions", "validate"), "All code locations passed validation"),
        (("dagster", "job", "list"), "train_and_forecast"),
        (("dagster", "asset", "materialize", "--select", "stores", "-m", "demand_assets.definitions"), "RUN_SUCCESS"),
        (("dg", "check", "defs"), "All definitions loaded successfully"),
        (("dg", "launch", "--assets", "stores"), "RUN_SUCCESS"),
    ],
    ids=lambda given: given if isinstance(given, str) else " ".join(given),
)
def test_a_command_works(clone: Path, arguments: tuple[str, ...], printed: str) -> None:
    ended = called(clone, *arguments)
    assert ended.returncode == 0, ended.stderr
    assert printed in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_dg_lists_every_job(clone: Path) -> None:
    ended = called(clone, "dg", "list", "defs", "--json")
    assert ended.returncode == 0, ended.stderr
    assert {job["name"] for job in json.loads(ended.stdout)["jobs"]} >= JOBS


@pytest.fixture
def server(clone: Path, request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    (port,) = free_ports(1)
    with open(clone.parent / "server.log", "wb") as log:
        process = subprocess.Popen(
            command(*request.param, "-p", str(port)), cwd=clone, env=environment(clone), stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    yield process, port
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize(
    "server", [("dagster", "dev"), ("dagster-webserver", "-w", "workspace.yaml")], ids=" ".join, indirect=True
)
def test_a_server_starts_answers_and_stops(clone: Path, server: tuple[subprocess.Popen[bytes], int]) -> None:
    process, port = server
    log = clone.parent / "server.log"

    def printed() -> int:
        return log.stat().st_size

    until(lambda: answers(f"http://127.0.0.1:{port}/server_info"), process, progress=printed)
    assert jobs_of(port) >= JOBS
    if "dev" in process.args:
        # A daemon that is interrupted while it starts does not end.
        until(lambda: all_daemons_are_at_work(port), process, progress=printed)
    # As Ctrl-C does: to all processes of the terminal.
    os.killpg(process.pid, signal.SIGINT)
    # `dagster dev` says how far it is at least once a minute.
    until(lambda: process.poll() is not None, progress=printed)
    until(lambda: not alive(process.pid), progress=printed)
    assert not answers(f"http://127.0.0.1:{port}/server_info")


def asked(port: int, query: str) -> Any:
    """What the UI's server answers a query of GraphQL."""
    return httpx.post(f"http://127.0.0.1:{port}/graphql", json={"query": query}, timeout=GUARD_S).json()["data"]


def all_daemons_are_at_work(port: int) -> bool:
    """Whether each of Dagster's daemons has said once that it is alive."""
    query = "{ instance { daemonHealth { allDaemonStatuses { required lastHeartbeatTime } } } }"
    daemons = asked(port, query)["instance"]["daemonHealth"]["allDaemonStatuses"]
    return all(daemon["lastHeartbeatTime"] for daemon in daemons if daemon["required"])


def jobs_of(port: int) -> set[str]:
    """The jobs of the location `demand`, as the UI sees them."""
    query = "{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError {"
    query += " ... on RepositoryLocation { repositories { jobs { name } } } } } } } }"
    (location,) = asked(port, query)["workspaceOrError"]["locationEntries"]
    assert location["name"] == "demand"
    (repository,) = location["locationOrLoadError"]["repositories"]
    return {job["name"] for job in repository["jobs"]}


def alive(group: int) -> bool:
    """Whether any process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
