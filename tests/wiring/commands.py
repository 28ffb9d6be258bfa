"""`demand ...` and other programs in processes of their own, forked from one that has loaded the libraries.

Loading them anew takes longer than most commands. A forked process ends without closing what it has open, as one does
that is killed. The first run of all, what Ctrl-C ends and `test_start_up.py` start a new interpreter, as users do.
"""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from subprocess import CompletedProcess

_CONTEXT = multiprocessing.get_context("forkserver")
# Not demand_assets.definitions, which reads the settings while it loads.
_CONTEXT.set_forkserver_preload(
    [
        "demand_assets.assets.drift", "demand_assets.assets.features", "demand_assets.assets.monitoring",
        "demand_assets.assets.training", "demand_assets.automation", "demand_assets.commands.backtest",
        "demand_assets.commands.keys", "demand_assets.commands.models", "demand_assets.commands.reproduce",
        "demand_assets.commands.run", "demand_assets.commands.scenario",
        "demand_assets.commands.watch", "demand_assets.store.migrations",
        "alembic.command", "distributed", "duckdb", "matplotlib.backends.backend_agg", "mlflow.pyfunc",
        "mlflow.store.model_registry.sqlalchemy_store", "mlflow.store.tracking.sqlalchemy_store", "mlflow.tracking",
        "psycopg", "scipy.sparse", "scipy.stats", "xgboost",
    ]
)  # fmt: skip


def load() -> None:
    """Start the process that others are forked from, unless it runs: it loads what is named above and nothing else."""
    forkserver.ensure_running()


@contextmanager
def running(
    program: Callable[..., object], arguments: tuple[str, ...], environment: Mapping[str, str], folder: Path
) -> Iterator[tuple[BaseProcess, Path, Path]]:
    """`program(*arguments)` at work, with that environment alone and in that folder, and what it prints and has for
    errors: files. To be ended or waited for by the caller."""
    with tempfile.TemporaryDirectory() as outputs:
        printed, errors = (Path(outputs, name) for name in ("stdout", "stderr"))
        for path in (printed, errors):
            path.touch()
        paths = [str(printed), str(errors)]
        process = _CONTEXT.Process(target=_body, args=(program, arguments, dict(environment), str(folder), paths))
        process.start()
        yield process, printed, errors


def forked(
    program: Callable[..., object], arguments: tuple[str, ...], environment: Mapping[str, str], folder: Path
) -> CompletedProcess[str]:
    """What `program(*arguments)` printed and its exit code, with that environment alone and in that folder."""
    with running(program, arguments, environment, folder) as (process, printed, errors):
        process.join()
        assert process.exitcode is not None
        return CompletedProcess(arguments, process.exitcode, printed.read_text(), errors.read_text())


def _body(
    program: Callable[..., object],
    arguments: tuple[str, ...],
    environment: dict[str, str],
    folder: str,
    paths: list[str],
) -> None:
    for number, path in enumerate(paths, start=1):
        opened = os.open(path, os.O_WRONLY)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdout.reconfigure(line_buffering=True)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    program(*arguments)


def demand(*arguments: str) -> None:
    """The command line."""
    from demand_assets.cli import main

    sys.argv = ["demand", *arguments]
    main()


def python(code: str, *arguments: str) -> None:
    """A program given as text."""
    sys.argv = ["-c", *arguments]
    exec(code, {"__name__": "__main__"})
