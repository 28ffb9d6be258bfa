"""Live 60 weeks, one `demand run` each, and say what a week takes: it must not grow with the weeks lived.

    python -m tests.faults.weekly_increments --weeks 60 --folder /tmp/weeks [--forget-events]

Lands a history of 80 weeks, then a file of sales and one of covariates a week, which stay in the landing zone. Prints a
line of JSON per week (seconds, processor time, peak memory, bytes of each part of the workspace, runs and events that
Dagster has), and a table at the end. After each week the runs of Dagster are dated back by a week, so that
`DEMAND_RUN_HISTORY_WEEKS` counts the weeks that were lived. `--forget-events` keeps no events: half of the processor
time of so small a week goes to them.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
from contextlib import closing
from pathlib import Path
from shutil import rmtree
from typing import Any

import click
import pandas as pd

from benchmarks.machine import cpu_seconds, peak_mb
from demand_assets.sample import SampleData, generate, write_csvs
from tests.faults.random_kills import Workspace
from tests.wiring import commands
from tests.wiring.conftest import IN_MEMORY

HISTORY, STEP = 80, 15
# Part -> the paths in a workspace that it is made of.
PARTS = {
    "lake": ("lake",),
    "store": ("store.db",),
    "runs": ("dagster/history/runs.db",),
    "events": ("dagster/history/runs/*.db", "dagster/history/runs/index.db"),
    "step logs": ("dagster/storage",),
    "mlflow": ("mlflow.db", "mlflow-artifacts"),
    "alerts": ("logs",),
}
AGED = [f"UPDATE runs SET {name} = {name} - 604800 WHERE {name} IS NOT NULL" for name in ("start_time", "end_time")]
AGED += ["UPDATE runs SET create_timestamp = strftime('%Y-%m-%d %H:%M:%f', create_timestamp, '-7 days')"]


def measured(*arguments: str) -> None:
    """The command line, then a line of JSON with what this process took."""
    try:
        commands.demand(*arguments)
    except SystemExit as ended:
        if ended.code:
            raise
    click.echo(json.dumps({"cpu_seconds": round(cpu_seconds(), 2), "peak_mb": peak_mb()}))


def land(retailer: SampleData, zone: Path, names: tuple[str, str], chosen: tuple[pd.Series, pd.Series]) -> None:
    """Write the chosen rows of sales and of covariates as two files."""
    made = zone.parent / "made"
    rmtree(made, ignore_errors=True)
    sales, conditions = chosen
    write_csvs(SampleData(retailer.sales[sales], retailer.conditions[conditions], retailer.stores), made)
    for source, name in zip(("train.csv", "features.csv"), names, strict=True):
        (made / source).rename(zone / name)
    (made / "stores.csv").replace(zone / "stores.csv")


def lived(workspace: Workspace, zone: Path, records: Path) -> dict[str, Any]:
    """What one `demand run` took and left behind. RuntimeError with what it said when it fails."""
    arguments = ("run", "--raw-dir", str(zone), "--json")
    environment = workspace.environment | {"DAGSTER_HOME": str(records)}
    environment |= {name: value for name, value in os.environ.items() if name == "DEMAND_RUN_HISTORY_WEEKS"}
    ended = commands.forked(measured, arguments, environment, workspace.home.parent)
    if ended.returncode:
        raise RuntimeError(f"{ended.stdout}\n{ended.stderr}")
    *printed, took = ended.stdout.strip().splitlines()
    summary = json.loads("\n".join(printed))
    return {
        "week": summary["origin_week"],
        "trained": summary["retrained"],
        "seconds": summary["seconds"],
        **json.loads(took),
        **{part: size_of(workspace.home, patterns) for part, patterns in PARTS.items()},
        **counts_of(records / "history"),
    }


def size_of(home: Path, patterns: tuple[str, ...]) -> int:
    """Bytes on disk of what the patterns name."""
    named = {path for pattern in patterns for path in home.glob(pattern)}
    files = {file for path in named for file in ([path] if path.is_file() else path.rglob("*"))}
    return sum(file.stat().st_blocks * 512 for file in files if file.is_file())


def counts_of(history: Path) -> dict[str, int]:
    """Runs that Dagster knows, and events of all of them."""
    databases = [history / "runs.db", *(history / "runs").glob("*.db")]
    tables = {path: "runs" if path.name == "runs.db" else "event_logs" for path in databases}
    counted = {path: _count(path, table) for path, table in tables.items()}
    return {"dagster_runs": counted.pop(databases[0]), "dagster_events": sum(counted.values())}


def _count(database: Path, table: str) -> int:
    with closing(sqlite3.connect(database)) as connection:
        ((rows,),) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
        return int(rows)


def age(records: Path) -> None:
    """Date the runs of Dagster back by a week."""
    with closing(sqlite3.connect(records / "history" / "runs.db")) as connection, connection:
        for statement in AGED:
            connection.execute(statement)


def table_of(weeks: list[dict[str, Any]]) -> str:
    """A Markdown table: the first week, each fifteenth and the last; medians of the weeks since the row before.

    Weeks with a training are not in the medians of time and memory.
    """
    parts = [*PARTS, "dagster_runs", "dagster_events"]
    shown = sorted({1, *range(STEP, len(weeks) + 1, STEP), len(weeks)})
    rows = [f"| week | seconds | processor s | MB | {' | '.join(parts)} |", "|---:" * (len(parts) + 4) + "|"]
    for before, number in zip([0, *shown[:-1]], shown, strict=True):
        plain = [one for one in weeks[before:number] if not one["trained"]] or weeks[before:number]
        middle = [statistics.median(one[name] for one in plain) for name in ("seconds", "cpu_seconds", "peak_mb")]
        cells = [f"{middle[0]:.1f}", f"{middle[1]:.1f}", f"{middle[2]:.0f}"]
        cells += [f"{weeks[number - 1][name] / 1e6:.2f}" for name in PARTS]
        cells += [f"{weeks[number - 1][name]:,}" for name in parts[len(PARTS) :]]
        rows.append(f"| {number} | {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> None:
    """Live the weeks in a folder of its own."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.weekly_increments", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--weeks", type=int, default=60, help="how many are lived after the history")
    parser.add_argument("--folder", type=Path, required=True, help="where the workspace is made; emptied first")
    parser.add_argument("--forget-events", action="store_true", help="keep Dagster's events in memory only")
    asked = parser.parse_args()
    rmtree(asked.folder, ignore_errors=True)
    zone, workspace = asked.folder / "zone", Workspace(asked.folder / "home", None)
    zone.mkdir(parents=True)
    records = workspace.home / "dagster"
    records.mkdir(parents=True)
    own = Path(__file__).parents[2] / "dagster.yaml"
    (records / "dagster.yaml").write_text(IN_MEMORY if asked.forget_events else own.read_text())
    retailer = generate(stores=2, departments=3, weeks=HISTORY + asked.weeks, seed=11)
    dates = sorted(retailer.sales["week"].unique())
    sold, told = retailer.sales["week"], retailer.conditions["week"]
    first = dates[HISTORY - 1]
    commands.load()
    land(retailer, zone, ("train.csv", "features.csv"), (sold <= first, told <= first))
    click.echo(json.dumps(lived(workspace, zone, records)))
    weeks: list[dict[str, Any]] = []
    for week in dates[HISTORY:]:
        names = (f"sales-{week:%Y-%m-%d}.csv", f"covariates-{week:%Y-%m-%d}.csv")
        land(retailer, zone, names, (sold == week, told == week))
        weeks.append(lived(workspace, zone, records))
        age(records)
        click.echo(json.dumps(weeks[-1]))
    click.echo(table_of(weeks))


if __name__ == "__main__":
    main()
