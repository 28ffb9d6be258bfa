"""Ingesting CSVs against a bare pyarrow conversion of the same CSVs, and what both need at ten and a hundred times.

Bare is `pyarrow.csv.read_csv` and `pyarrow.parquet.write_table` of each file into one file, unsorted and unchecked.
Ingesting ends with the weekly Parquet files of the lake, every check made: by the functions that the assets call, and
as the steps of those assets in an `ingest` run of Dagster, which keeps a record of every partition. Each is done in a
process of its own, after its imports; megabytes are those of the CSVs (10**6 bytes), and the best of the rounds counts.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import click

from benchmarks.machine import cpu_seconds, peak_mb, write

WALMART_STORES = 45
INGESTED = ("dataset", "stores", "departments", "holiday_calendar", "raw_covariates", "raw_sales")


def bare(folder: Path, target: Path) -> None:
    """Every CSV as one Parquet file."""
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    for path in sorted(folder.glob("*.csv")):
        data = path.read_bytes()
        # stores.csv ends its lines with a bare carriage return, which Arrow does not take for a line's end.
        table = pa_csv.read_csv(_source(data.replace(b"\r", b"\n") if b"\r" in data[:100] else data))
        pq.write_table(table, target / f"{path.stem}.parquet")


def _source(data: bytes) -> Any:
    import pyarrow as pa

    return pa.BufferReader(data)


def ingest(folder: Path, target: Path) -> None:
    """What the assets of the `ingest` job do with the landing zone, less Dagster, the calendar and the SQL store."""
    from demand_assets.adapters.landing import LandingZone
    from demand_assets.adapters.parquet import ParquetLake
    from demand_assets.ingestion.context import Context
    from demand_assets.ingestion.coverage import with_facts
    from demand_assets.ingestion.delivery import KEYS
    from demand_assets.ingestion.members import extended_keys, merge_members
    from demand_assets.ingestion.merge import merge_week_partitions
    from demand_assets.ingestion.outcome import raise_on_failure
    from demand_assets.ingestion.quality import check_covariates, check_members, check_sales
    from demand_assets.planning import keyed, landings_metadata

    judging = Context(today=date.today())
    zone, lake = LandingZone(str(folder)), ParquetLake(uri=str(target))
    landed = keyed(zone.read_all(), lake)
    by_kind = {kind: [one for one in landed if one.kind == kind] for kind in KEYS}
    for kind, column in (("stores", "store_id"), ("departments", "dept_id")):
        keys = extended_keys(None, landed, column)
        table = merge_members(column, None, (), by_kind[kind], keys)  # type: ignore[index]
        raise_on_failure(check_members(kind, table.frame, judging))  # type: ignore[arg-type]
        lake.write(kind, None, table.frame, landings_metadata(table.landings), keep=True)
        if kind == "stores":
            stores = with_facts(table.frame)
    sold, covariates = by_kind["sales"], by_kind["covariates"]
    made = merge_week_partitions(covariates[0].frame.iloc[:0], {}, covariates, KEYS["covariates"], weeks=sold[0].weeks)
    conditions = made.frame
    raise_on_failure(check_covariates(conditions, stores, judging))
    write_weeks(lake, "raw_covariates", made)
    made = merge_week_partitions(sold[0].frame.iloc[:0], {}, sold, KEYS["sales"], weeks=sold[0].weeks)
    raise_on_failure(check_sales(made.frame, None, conditions, stores, judging))
    write_weeks(lake, "raw_sales", made)


def write_weeks(lake: Any, name: str, made: Any) -> None:
    """One file per week of what a merge gave, four at a time as the assets write them."""
    from demand_assets.ingestion.order import run_starts
    from demand_assets.planning import landings_metadata

    starts = run_starts([made.frame["week"].to_numpy()]).tolist()

    def put(start: int, end: int) -> None:
        week = made.frame["week"].iloc[start]
        rows = made.frame.iloc[start:end]
        lake.write(name, f"{week:%Y-%m-%d}", rows, landings_metadata(made.landings[week]), keep=True)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, starts, [*starts[1:], len(made.frame)]))


def run_of_dagster(folder: Path, target: Path) -> dict[str, float]:
    """The `ingest` job over all weeks, in this process: seconds of the run, start-up left out, and of each asset."""
    import dagster as dg

    from demand_assets.adapters.landed import forget
    from demand_assets.adapters.landing import LandingZone
    from demand_assets.commands.instance import child_environment
    from demand_assets.landed_weeks import weeks_of
    from demand_assets.partitions import range_tags, register_weeks, week_key
    from demand_assets.settings import read_settings
    from demand_assets.store.migrations import migrate

    settings = read_settings(home=target, landing_uri=str(folder))
    os.environ.update(child_environment(settings))
    migrate(settings.store)
    with dg.DagsterInstance.get() as instance:
        known = [week_key(week) for week in weeks_of(LandingZone(str(folder)).read_all(["sales"]))]
        register_weeks(instance, known)
        forget()
        job = dg.build_reconstructable_job("demand_assets.definitions", "job_named", ("ingest",))
        began = time.perf_counter()
        ended = dg.execute_job(
            job,
            instance=instance,
            tags=range_tags(known[0], known[-1]),
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        assert ended.success
        seconds = {"run": time.perf_counter() - began}
        for step in instance.get_run_step_stats(ended.run_id):
            seconds[step.step_key] = float(step.end_time or 0) - float(step.start_time or 0)
        return seconds


def _warm(ways: str, small: Path) -> None:
    """Once on a small retailer: imports and first calls are in no figure."""
    with tempfile.TemporaryDirectory() as folder:
        {"bare": bare, "ingest": ingest}[ways](small, Path(folder))


def _child(way: str, folder: Path, small: Path) -> None:
    told: dict[str, Any]
    with tempfile.TemporaryDirectory(dir=folder.parent) as target:
        if way == "dagster":
            steps = run_of_dagster(folder, Path(target))
            # Publishing, and the actuals and scores that the run also brings into the SQL store, are no ingestion.
            own = sum(steps[name] for name in INGESTED)
            told = {"seconds": own, "cpu_seconds": cpu_seconds(), "peak_mb": peak_mb(), "steps": steps}
        else:
            _warm(way, small)
            began, cpu = time.perf_counter(), cpu_seconds()
            {"bare": bare, "ingest": ingest}[way](folder, Path(target))
            told = {
                "seconds": time.perf_counter() - began,
                "cpu_seconds": cpu_seconds() - cpu,
                "peak_mb": peak_mb(),
            }
    print(json.dumps(told))


def measure(way: str, folder: Path, small: Path) -> Mapping[str, Any]:
    """Seconds, CPU seconds and peak memory of one way over the CSVs of a folder, in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.ingest",
        "--child",
        way,
        "--folder",
        str(folder),
        "--small",
        str(small),
    ]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        raise click.ClickException(f"{way} over {folder} ended with code {ended.returncode}:\n{ended.stderr[-3000:]}")
    told: Mapping[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return told


def _sample(folder: Path, stores: int) -> Path:
    if not folder.exists():
        subprocess.run(
            [sys.executable, "-m", "demand_assets.cli", "sample", str(folder), "--plain", "--stores", str(stores)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return folder


@click.command()
@click.option("--times", multiple=True, default=[1, 10], show_default=True, help="Sizes, in times Walmart's.")
@click.option("--rounds", default=3, show_default=True, help="Times each is done; the best counts.")
@click.option("--ways", default="bare,ingest,dagster", show_default=True, help="What is timed.")
@click.option("--work", type=click.Path(path_type=Path), help="Folder for the CSVs, kept.  [default: a temporary one]")
@click.option("--child", hidden=True)
@click.option("--folder", hidden=True, type=click.Path(path_type=Path))
@click.option("--small", hidden=True, type=click.Path(path_type=Path))
def main(
    times: tuple[int, ...],
    rounds: int,
    ways: str,
    work: Path | None,
    child: str | None,
    folder: Path | None,
    small: Path | None,
) -> None:
    """Print megabytes per second of ingesting and of a bare conversion, and peak memory, at each size."""
    if child and folder and small:
        _child(child, folder, small)
        return
    own = work is None
    work = work or Path(tempfile.mkdtemp(prefix="ingest-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        little = _sample(work / "small", 2)
        measured = []
        heads = ("seconds", "CPU s", "MB/s", "of bare", "of its CPU", "peak MB")
        print(f"{'size':>5} {'MB':>7} {'way':8}" + "".join(f"{head:>11}" for head in heads))
        for size in times:
            csvs = _sample(work / f"x{size}", WALMART_STORES * size)
            megabytes = sum(path.stat().st_size for path in csvs.iterdir()) / 1e6
            best: dict[str, Mapping[str, Any]] = {}
            for _ in range(rounds):
                for way in ways.split(","):
                    told = measure(way, csvs, little)
                    if way not in best or told["seconds"] < best[way]["seconds"]:
                        best[way] = told
            for way, told in best.items():
                share, of_cpu = (
                    best["bare"][name] / told[name] if "bare" in best else float("nan")
                    for name in ("seconds", "cpu_seconds")
                )
                print(
                    f"{size:>4}x {megabytes:7.1f} {way:8}{told['seconds']:11.2f}{told['cpu_seconds']:11.2f}"
                    f"{megabytes / told['seconds']:11.1f}{share:11.0%}{of_cpu:11.0%}{told['peak_mb']:11,.0f}"
                )
            measured.append({"times": size, "megabytes": megabytes, **best})
    finally:
        if own:
            shutil.rmtree(work, ignore_errors=True)
    print(f"written to {write('ingest', {'rounds': rounds, 'measured': measured})}")


if __name__ == "__main__":
    main()
