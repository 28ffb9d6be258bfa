"""Kill `demand run` at random times, resume it, and compare the end with that of an undisturbed run.

    python -m tests.faults.random_kills --kills 200 --folder /tmp/kills

A trial lands a fresh history, an increment or a correction, on SQLite or PostgreSQL, kills the command one to five
times by SIGKILL, and runs it to its end. Equal have to be: the rows of the store less their times, each file of the
lake to the byte, versions and aliases of models, the ledger of promotions. Nothing may be left over: no temporary file,
no run of MLflow or Dagster that seems alive. Prints a line for each trial, and exits with 1 if one of them differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import pandas as pd
import psycopg
from sqlalchemy import create_engine, make_url, text

from demand_assets.contract.columns import Type
from demand_assets.contract.tables import TABLES
from demand_assets.sample import SampleData, generate, write_csvs
from tests.conftest import local_postgres
from tests.wiring import commands
from tests.wiring.conftest import copy_workspace, environment_of

SCENARIOS = ("fresh", "increment", "correction")
MOST_KILLS = 5
# Fixed, as landing order and the records of what landed depend on them.
LANDED_AT = 1_300_000_000


@dataclass(frozen=True)
class Workspace:
    """A home and its store; `url` is None for the SQLite file in the home."""

    home: Path
    url: str | None

    @property
    def environment(self) -> dict[str, str]:
        """What `demand` works in it with."""
        return environment_of(self.home) | ({"DEMAND_STORE_URL": self.url} if self.url else {})

    def run(self, zone: Path) -> float:
        """`demand run` to its end; seconds it took. RuntimeError with what it said when it fails."""
        started = time.monotonic()
        ended = commands.forked(commands.demand, ("run", "--raw-dir", str(zone)), self.environment, self.home.parent)
        if ended.returncode:
            raise RuntimeError(f"{ended.stdout}\n{ended.stderr}")
        return time.monotonic() - started

    def kill(self, zone: Path, after: float) -> str:
        """`demand run`, killed after so many seconds; the last line that it printed, empty if it had ended by then."""
        arguments = ("run", "--raw-dir", str(zone))
        with commands.running(commands.demand, arguments, self.environment, self.home.parent) as (process, printed, _):
            process.join(after)
            assert process.pid is not None
            was_alive = process.is_alive()
            if was_alive:
                os.kill(process.pid, signal.SIGKILL)
            process.join()
            lines = printed.read_text().splitlines()
            return (lines[-1].strip() if lines else "before its first line") if was_alive else ""


@dataclass(frozen=True)
class Backend:
    """Where stores are: `server` is the URL of a PostgreSQL server, empty for SQLite."""

    name: str
    server: str = ""

    def empty(self, home: Path) -> Workspace:
        """A workspace with nothing in it."""
        home.mkdir(parents=True)
        return Workspace(home, self._database("") if self.server else None)

    def copy(self, finished: Workspace, home: Path) -> Workspace:
        """Another workspace with the same in it."""
        copy_workspace(finished.home, home)
        return Workspace(
            home, self._database(f' TEMPLATE "{make_url(finished.url).database}"') if finished.url else None
        )

    def remove(self, workspace: Workspace) -> None:
        """Delete a workspace and its store."""
        shutil.rmtree(workspace.home)
        if workspace.url:
            with psycopg.connect(self.server, autocommit=True) as admin:
                admin.execute(f'DROP DATABASE "{make_url(workspace.url).database}" WITH (FORCE)')

    def _database(self, template: str) -> str:
        name = f"kills_{uuid.uuid4().hex}"
        with psycopg.connect(self.server, autocommit=True) as admin:
            admin.execute(f'CREATE DATABASE "{name}"{template}')
        return make_url(self.server).set(database=name).render_as_string(hide_password=False)


@contextmanager
def backends() -> Iterator[list[Backend]]:
    """SQLite and a PostgreSQL server that ends with the block."""
    with local_postgres() as server:
        yield [Backend("sqlite"), Backend("postgresql", server)]


def landing_zones(folder: Path, retailer: SampleData) -> dict[str, Path]:
    """A zone for each scenario: the history, the same with the week after it, the same with a corrected amount."""
    zones = {name: folder / f"zone-{name}" for name in SCENARIOS}
    for zone in zones.values():
        write_csvs(retailer, zone)
    header, *lines = (zones["fresh"] / "train.csv").read_text().splitlines()
    newest = retailer.sales["week"].max()
    following = newest + pd.Timedelta(weeks=1)
    own = [line for line in lines if f"{newest:%Y-%m-%d}" in line]
    delivered = [line.replace(f"{newest:%Y-%m-%d}", f"{following:%Y-%m-%d}") for line in own]
    (zones["increment"] / "delivery.csv").write_text("\n".join([header, *delivered]) + "\n")
    cells = own[0].split(",")
    cells[3] = "4321.5"
    (zones["correction"] / "correction.csv").write_text("\n".join([header, ",".join(cells)]) + "\n")
    for zone in zones.values():
        for path in zone.iterdir():
            late = path.name in ("delivery.csv", "correction.csv")
            os.utime(path, (LANDED_AT + late, LANDED_AT + late))
    return zones


def state_of(workspace: Workspace) -> dict[str, object]:
    """All that has to be equal after a kill, by name; a part that is left over is there under `leftover ...`."""
    return {
        **_store_rows(workspace),
        **_lake_files(workspace.home),
        **_models(workspace.home),
        **_leftovers(workspace.home),
    }


def differences(state: Mapping[str, object], expected: Mapping[str, object]) -> list[str]:
    """What is not as expected, in words."""
    names = sorted({*state, *expected})
    return [
        f"{name}: expected {_shown(expected.get(name))}, got {_shown(state.get(name))}"
        for name in names
        if state.get(name) != expected.get(name)
    ]


def _shown(value: object) -> str:
    return f"{len(value)} rows" if isinstance(value, list) and len(value) > 3 else repr(value)[:300]


def _store_rows(workspace: Workspace) -> dict[str, object]:
    engine = create_engine(workspace.url or f"sqlite:///{workspace.home / 'store.db'}")
    rows: dict[str, object] = {}
    with engine.connect() as connection:
        for table in TABLES:
            names = ", ".join(column.stored_name for column in table.columns if column.type != Type.TIME)
            found = connection.execute(text(f"SELECT {names} FROM {table.name}"))
            rows[f"table {table.name}"] = sorted(map(repr, found))
    engine.dispose()
    return rows


def _lake_files(home: Path) -> dict[str, object]:
    files = [path for path in (home / "lake").rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {f"file {path.relative_to(home)}": hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _models(home: Path) -> dict[str, object]:
    return {
        "aliases": _rows(home / "mlflow.db", "SELECT alias, version FROM registered_model_aliases ORDER BY 1"),
        "versions": _rows(home / "mlflow.db", "SELECT version, current_stage FROM model_versions ORDER BY 1"),
    }


def _leftovers(home: Path) -> dict[str, object]:
    unfinished = "SELECT status, count(*) FROM runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED') GROUP BY 1"
    return {
        "leftover files": sorted(str(path.relative_to(home)) for path in home.rglob(".*") if path.is_file()),
        "leftover MLflow runs": _rows(home / "mlflow.db", "SELECT name FROM runs WHERE status = 'RUNNING'"),
        "leftover Dagster runs": _rows(home / "dagster" / "history" / "runs.db", unfinished),
    }


def _rows(database: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


@dataclass(frozen=True)
class Expected:
    """What a trial starts from (None: nothing), how it has to end, and the seconds of an undisturbed run."""

    start: Workspace | None
    state: Mapping[str, object]
    seconds: float


def expectations(folder: Path, zones: Mapping[str, Path], backend: Backend) -> dict[str, Expected]:
    """The undisturbed runs of each scenario on a backend."""
    made: dict[str, Expected] = {}
    fresh: Workspace | None = None
    for scenario in SCENARIOS:
        home = folder / f"undisturbed-{backend.name}-{scenario}"
        workspace = backend.copy(fresh, home) if fresh else backend.empty(home)
        seconds = workspace.run(zones[scenario])
        made[scenario] = Expected(fresh, state_of(workspace), seconds)
        fresh = fresh or workspace
    return made


def trial(
    folder: Path, zone: Path, backend: Backend, expected: Expected, delays: list[float]
) -> tuple[list[str], list[str]]:
    """Kill after each of the delays and run to the end; where the kills hit, and what is not as expected."""
    home = folder / "trial"
    workspace = backend.copy(expected.start, home) if expected.start else backend.empty(home)
    killed = [workspace.kill(zone, delay) for delay in delays]
    try:
        workspace.run(zone)
        found = differences(state_of(workspace), expected.state)
    except RuntimeError as error:
        found = [f"the run after the kill failed: {error}"]
    if not found:
        backend.remove(workspace)
    else:
        home.rename(folder / f"differs-{uuid.uuid4().hex[:8]}")
    return [line for line in killed if line], found


def main() -> int:
    """Run trials until so many kills have hit."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.random_kills", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="how many have to hit")
    parser.add_argument("--seed", type=int, default=20, help="the same seed draws the same moments")
    parser.add_argument(
        "--folder", type=Path, required=True, help="where workspaces are made; what differs stays there"
    )
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no trial after that")
    asked = parser.parse_args()
    draw = random.Random(asked.seed)
    asked.folder.mkdir(parents=True)
    zones = landing_zones(asked.folder, generate(stores=2, departments=3, weeks=80, seed=11))
    commands.load()
    started, hits, trials, wrong = time.monotonic(), 0, 0, 0
    with backends() as both:
        expected = {backend: expectations(asked.folder, zones, backend) for backend in both}
        while hits < asked.kills and time.monotonic() - started < asked.seconds:
            backend, scenario = both[trials % len(both)], SCENARIOS[trials // len(both) % len(SCENARIOS)]
            due = expected[backend][scenario]
            delays = [draw.uniform(0, due.seconds) for _ in range(draw.randint(1, MOST_KILLS))]
            killed, found = trial(asked.folder, zones[scenario], backend, due, delays)
            trials, hits, wrong = trials + 1, hits + len(killed), wrong + bool(found)
            told = {"store": backend.name, "scenario": scenario, "killed": killed, "differences": found}
            click.echo(json.dumps({"trial": trials, "kills": hits, **told}))
    click.echo(f"{hits} kills in {trials} trials, seed {asked.seed}: {wrong} trials differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
