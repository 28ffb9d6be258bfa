"""`demand ...` and other programs in processes of their own, forked from one that has loaded the libraries.

Loading them anew takes longer than most commands. A forked process ends without closing what it has open, as one does
that is killed. The first run of all, those that are killed and `test_start_up.py` start a new interpreter, as users do.
"""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import CompletedProcess

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "demand_assets.commands.backtest", "demand_assets.commands.keys", "demand_assets.commands.models",
        "demand_assets.commands.reproduce", "demand_assets.commands.run", "demand_assets.commands.scenario",
        "demand_assets.commands.watch",
        "alembic.command", "mlflow.store.model_registry.sqlalchemy_store", "mlflow.store.tracking.sqlalchemy_store",
        "mlflow.tracking", "psycopg", "scipy.sparse", "scipy.stats", "xgboost",
    ]
)  # fmt: skip


def forked(
    program: Callable[..., object], arguments: tuple[str, ...], environment: Mapping[str, str], folder: Path
) -> CompletedProcess[str]:
    """What `program(*arguments)` printed and its exit code, with that environment alone and in that folder."""
    with tempfile.TemporaryDirectory() as outputs:
        paths = [os.path.join(outputs, name) for name in ("stdout", "stderr")]
        process = _CONTEXT.Process(target=_body, args=(program, arguments, dict(environment), str(folder), paths))
        process.start()
        process.join()
        printed, errors = (Path(path).read_text() for path in paths)
        assert process.exitcode is not None
        return CompletedProcess(arguments, process.exitcode, printed, errors)


def _body(
    program: Callable[..., object],
    arguments: tuple[str, ...],
    environment: dict[str, str],
    folder: str,
    paths: list[str],
) -> None:
    for number, path in enumerate(paths, start=1):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, number)
        os.close(opened)
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
