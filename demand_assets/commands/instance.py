"""The Dagster instance of a workspace, and the commands that have it to themselves."""

import fcntl
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demand_assets.errors import DemandError
from demand_assets.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

_PACKAGE = Path(__file__).parents[1]


def prepare_dagster_home(settings: Settings) -> Path:
    """DAGSTER_HOME with this project's dagster.yaml in it; one that the user has set is left as it is."""
    given = os.environ.get("DAGSTER_HOME")
    if given:
        return Path(given)
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    # Beside the package in a checkout, inside it when installed from a wheel.
    source = next(path for path in (_PACKAGE.parent / "dagster.yaml", _PACKAGE / "dagster.yaml") if path.exists())
    target = home / "dagster.yaml"
    if not target.exists() or target.read_bytes() != source.read_bytes():
        temporary = home / f".dagster.yaml.{os.getpid()}"
        shutil.copyfile(source, temporary)
        temporary.replace(target)
    return home


@contextmanager
def sync_at_checkpoints(folder: Path) -> Iterator[None]:
    """Let SQLite files of this process in `folder` wait for the disk at checkpoints, not at every commit.

    Dagster opens a connection for each event and commits it by itself. In WAL mode nothing is lost when a process is
    killed; a power cut may lose the newest events, and never damages a file. The last connection to close makes a
    checkpoint and removes the WAL, so one more stays open for each file.
    Sources: https://sqlite.org/pragma.html#pragma_synchronous and https://sqlite.org/wal.html#the_wal_file.
    """
    from sqlalchemy import Engine, event

    lock = threading.Lock()
    with ExitStack() as opened:
        held: dict[str, sqlite3.Connection] = {}

        def connected(connection: Any, _: Any) -> None:
            if not isinstance(connection, sqlite3.Connection):
                return
            (_, _, file) = connection.execute("PRAGMA database_list").fetchone()
            if not file or not Path(file).is_relative_to(folder):
                return
            connection.execute("PRAGMA synchronous = NORMAL")
            with lock:
                if file not in held:
                    held[file] = opened.enter_context(closing(sqlite3.connect(file, check_same_thread=False)))
                # It counts as open once it has read the file in WAL mode, which Dagster sets after connecting.
                held[file].execute("PRAGMA schema_version").fetchone()

        event.listen(Engine, "connect", connected)
        opened.callback(event.remove, Engine, "connect", connected)
        yield


def child_environment(settings: Settings) -> dict[str, str]:
    """Environment of a process that shall work on the same workspace."""
    return {
        **os.environ,
        **settings.environment(),
        "DAGSTER_HOME": str(prepare_dagster_home(settings)),
        # A run over many weeks records as many materialisations, which PostgreSQL then writes together.
        "DAGSTER_EVENT_BATCH_SIZE": "1000",
        # One event says which weeks a run plans to make of an asset, not one a week: SQLite waits for the disk at each.
        "DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }


@contextmanager
def only_run(home: Path) -> Iterator[None]:
    """Hold the workspace, so that two runs never write the same lake at once. The lock dies with the process."""
    home.mkdir(parents=True, exist_ok=True)
    with open(home / "run.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemandError(f"another `demand run` is at work in {home}; wait for it to end") from None
        yield


def fail_orphaned_runs(instance: "dg.DagsterInstance", settings: Settings) -> None:
    """Mark the runs of `demand run` that a kill left unfinished as failed, and end their MLflow runs.

    The lock says that none is alive.
    """
    import dagster as dg

    from demand_assets.alerting import COMMAND_TAG
    from demand_assets.automation import UNFINISHED
    from demand_assets.resources import build_resources

    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED, tags={COMMAND_TAG: "run"})):
        build_resources(settings)["registry"].end_runs_of(run.run_id)
        instance.report_run_failed(run, "The process of this run was killed; it has been run again.")
