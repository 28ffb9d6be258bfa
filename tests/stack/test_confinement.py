"""A process of a task may do what its definition says, and no more."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.repository.docker_files import ROOT
from tests.stack.confinement import Confinement

TASK: dict[str, Any] = {
    "family": "demand-dev-run",
    "memory": "512",
    "containerDefinitions": [
        {
            "name": "run",
            "user": "10001:10001",
            "readonlyRootFilesystem": True,
            "mountPoints": [{"sourceVolume": "tmp", "containerPath": "/tmp", "readOnly": False}],
            "linuxParameters": {"capabilities": {"add": [], "drop": ["ALL"]}},
        }
    ],
}


@pytest.fixture
def confinement(tmp_path: Path) -> Iterator[Confinement]:
    made = Confinement(tmp_path)
    if made.why_not:
        pytest.skip(made.why_not)
    (tmp_path / "ca.pem").write_text("authority")
    yield made
    made.end()


def run(made: Confinement, *command: str, override: dict[str, Any] | None = None) -> tuple[int, str]:
    wrapped = made.command(TASK, override or {}, command)
    done = subprocess.run(wrapped, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def test_it_is_the_account_of_the_definition_without_rights(confinement: Confinement) -> None:
    code, said = run(
        confinement, "sh", "-c", "id -u; id -G; pwd; grep -E '^(Cap(Prm|Bnd)|NoNewPrivs)' /proc/self/status"
    )
    none = "0" * 16
    assert (code, said.split()) == (
        0,
        ["10001", "10001", "/tmp", "CapPrm:", none, "CapBnd:", none, "NoNewPrivs:", "1"],
    )


def test_it_writes_where_the_definition_mounts_something_and_nowhere_else(confinement: Confinement) -> None:
    places = f"/tmp {ROOT} /opt /etc /usr"
    tried = f"exec 2>&-; cat /opt/certs/rds-global-bundle.pem; for f in {places}; do touch $f/x && echo $f; done"
    assert run(confinement, "sh", "-c", tried)[1] == "authority/tmp\n"
    # Nor does it see what another has written.
    assert "x" not in run(confinement, "ls", "/tmp")[1].split()


def test_it_has_the_programs_of_the_project(confinement: Confinement) -> None:
    code, said = run(confinement, sys.executable, "-c", "import demand_assets; print(demand_assets.__file__)")
    # Below it coverage says, where it is measured, that it can write nothing there.
    assert (code, said.splitlines()[0]) == (0, str(ROOT / "demand_assets" / "__init__.py"))


def test_it_has_the_memory_of_the_task_or_of_what_was_asked_for(confinement: Confinement) -> None:
    if confinement.memory is None:
        pytest.skip("no group with a limit of memory can be made here")
    takes = (sys.executable, "-c", "print(len(b'x' * (300 << 20)))")
    assert run(confinement, *takes)[0] == 0
    assert run(confinement, *takes, override={"memory": 128})[0] == -9
