"""What a machine does to a command is one line; so is Ctrl-C."""

from __future__ import annotations

import errno
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from sqlalchemy.exc import OperationalError

from demand_assets import cli
from demand_assets.commands import run
from demand_assets.commands.mishaps import mishap
from tests.wiring.conftest import environment_of, started


def sqlite_error(code: int, said: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(said)
    error.sqlite_errorcode = code
    return error


MISHAPS = (
    (OSError(errno.ENOSPC, "No space left on device", "/lake/x"), "/lake/x: there is no space left; "),
    (OSError(errno.EROFS, "Read-only file system", "/home"), "/home: this file system is read-only; "),
    (PermissionError(errno.EACCES, "Permission denied", "/home"), "/home: permission denied; "),
    (OSError(errno.EFBIG, "File too large"), "a file may not grow that large here; "),
    (MemoryError(), "there is not enough memory; "),
    (
        sqlite_error(sqlite3.SQLITE_FULL, "disk is full"),
        "a database of the workspace: disk is full: there is no space ",
    ),
    (sqlite_error(sqlite3.SQLITE_READONLY, "readonly"), "a database of the workspace: readonly: "),
)


@pytest.mark.parametrize(("error", "said"), MISHAPS)
def test_a_mishap_is_told_in_one_line_wherever_a_library_put_it(error: Exception, said: str) -> None:
    wrapped = RuntimeError("the library's own words")
    wrapped.__cause__ = error
    for each in (error, wrapped, OperationalError("select 1", None, error)):
        line = mishap(each)
        assert line is not None
        assert line.startswith(said)
        assert "\n" not in line


def test_a_fault_of_the_code_is_no_mishap() -> None:
    assert mishap(KeyError("x")) is None
    assert mishap(sqlite_error(sqlite3.SQLITE_ERROR, "no such table")) is None


@pytest.mark.parametrize(
    ("error", "said", "code"),
    [
        (OSError(errno.ENOSPC, "full"), "demand: there is no space left; free some and run again\n", 1),
        (KeyboardInterrupt(), "demand: interrupted; run again\n", 130),
    ],
)
def test_the_command_line_ends_with_that_line(error: BaseException, said: str, code: int) -> None:
    @click.group(cls=cli._Commands)
    def program() -> None: ...

    @program.command()
    def broken() -> None:
        raise error

    ended = CliRunner().invoke(program, ["broken"])
    assert (ended.output, ended.exit_code) == (said, code)


def test_a_disk_that_fills_is_one_line(tmp_path: Path) -> None:
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        "from demand_assets.cli import main; main(['sample', 'zone'])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        # Coverage could not write its file either, and would say so.
        env=environment_of(tmp_path / "home") | {"COVERAGE_PROCESS_CONFIG": "", "COVERAGE_PROCESS_START": ""},
        capture_output=True,
        text=True,
    )
    said = "demand: a file may not grow that large here; raise the limit (ulimit -f) and run again\n"
    assert (ended.stderr, ended.returncode) == (said, 1)


def test_an_error_while_a_run_is_followed_is_raised_by_the_command_and_not_printed() -> None:
    progress = run.Progress()
    full = sqlite_error(sqlite3.SQLITE_FULL, "disk is full")

    def follow() -> None:
        raise full

    run._watch(follow, progress)
    assert progress.lost is full


def test_ctrl_c_in_a_run_is_one_line_without_an_alert(tmp_path: Path, csv_folder: Path) -> None:
    home = tmp_path / "home"
    process = started(home, csv_folder)
    assert process.stdout is not None
    # A run is at work by then.
    next(line for line in process.stdout if line.startswith("  done"))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert (errors, process.returncode) == ("demand: interrupted; run again\n", 130)
    assert (home / "logs" / "alerts.log").read_text() == ""
