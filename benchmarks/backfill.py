"""A backfill of 100 weeks as the Dagster UI asks for it, against the same computation by direct calls.

A real webserver and daemon work on a workspace of sample data; the backfill is launched by the mutation that the UI
sends. Shown are the runs it became, and where its time went: until the daemon took it up, until the run's process was
there, and inside the run. Bare is what the asset computes, called directly: rows read from the lake, the computation,
Parquet written to another lake; in a process of its own, after its imports, the best of three times.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import click

from benchmarks.machine import cpu_seconds, write

_LAUNCH = """
mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
_ROUNDS = 3
_ASSETS = ("demand_features", "raw_sales")


def prepare(home: Path, csvs: Path) -> None:
    """A workspace in which every week has landed."""
    from benchmarks.ingest import run_of_dagster

    run_of_dagster(csvs, home)


def bare_features(home: Path, keys: list[str]) -> None:
    """Features of `keys` from the lake's rows into a lake beside it."""
    import pandas as pd

    from demand_assets.adapters.feature_files import write_features
    from demand_assets.adapters.parquet import ParquetLake
    from demand_assets.compute import ThisMachine
    from demand_assets.forecasting.panel import SERIES_PER_BLOCK, build_panel
    from demand_assets.settings import read_settings

    settings = read_settings()
    lake, beside = ParquetLake(uri=settings.lake), ParquetLake(uri=str(home / "bare"))
    weekly = [lake.read(name, [key for key in lake.partitions(name) if key <= keys[-1]]) for name in _RAW]
    whole = [lake.read(name, None) for name in ("stores", "holiday_calendar")]
    sales, conditions, stores, calendar = (frame for frame in (*weekly, *whole) if frame is not None)
    panel = build_panel(sales, conditions, stores, calendar, settings.horizon_weeks)
    origins = [pd.Timestamp(key) for key in keys]
    metadata: dict[str, dict[str, str]] = {}
    here = ThisMachine(settings.threads)
    write_features(here, beside, "demand_features", panel, origins, settings.horizon_weeks, SERIES_PER_BLOCK, metadata)


def bare_sales(home: Path, keys: list[str]) -> None:
    """The sales of `keys` from the landing zone, checked, into a lake beside it."""
    import pandas as pd

    from benchmarks.ingest import write_weeks
    from demand_assets.adapters.landed import forget
    from demand_assets.adapters.landing import LandingZone
    from demand_assets.adapters.parquet import ParquetLake
    from demand_assets.ingestion.context import Context
    from demand_assets.ingestion.delivery import KEYS
    from demand_assets.ingestion.merge import merge_week_partitions
    from demand_assets.ingestion.outcome import raise_on_failure
    from demand_assets.ingestion.quality import PAST_COLUMNS, check_sales
    from demand_assets.planning import keyed
    from demand_assets.settings import read_settings

    settings = read_settings()
    forget()
    judging = Context(today=date.today())
    lake, beside = ParquetLake(uri=settings.lake), ParquetLake(uri=str(home / "bare"))
    landed = keyed(LandingZone(settings.landing).read_all(["sales"]), lake)
    stores, conditions = lake.read("stores", None), lake.read("raw_covariates", lake.partitions("raw_covariates"))
    assert stores is not None
    assert conditions is not None
    weeks = pd.DatetimeIndex([pd.Timestamp(key) for key in keys])
    merged = merge_week_partitions(landed[0].frame.iloc[:0], {}, landed, KEYS["sales"], weeks=weeks)
    earlier = lake.read("raw_sales", [key for key in lake.partitions("raw_sales") if key < keys[0]], PAST_COLUMNS)
    raise_on_failure(check_sales(merged.frame, earlier, conditions, stores, judging))
    write_weeks(beside, "raw_sales", merged)


_RAW = ("raw_sales", "raw_covariates")
_BARE = {"demand_features": bare_features, "raw_sales": bare_sales}


def _child(asset: str, home: Path, keys: list[str]) -> None:
    # Once before, on one week: first calls and imports are in no figure.
    _BARE[asset](home, keys[-1:])
    shutil.rmtree(home / "bare")
    told: dict[str, float] = {}
    for _ in range(_ROUNDS):
        began, cpu = time.perf_counter(), cpu_seconds()
        _BARE[asset](home, keys)
        seconds = time.perf_counter() - began
        if seconds < told.get("seconds", seconds + 1):
            told = {"seconds": seconds, "cpu_seconds": cpu_seconds() - cpu}
        shutil.rmtree(home / "bare")
    print(json.dumps(told))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def dagster(environment: Mapping[str, str], home: Path) -> Iterator[str]:
    """A webserver and a daemon on the workspace; the address of the one's GraphQL endpoint."""
    port, folder = _free_port(), Path(sys.executable).parent
    code = ["-m", "demand_assets.definitions"]
    commands = [
        [str(folder / "dagster-webserver"), *code, "-h", "127.0.0.1", "-p", str(port)],
        [str(folder / "dagster-daemon"), "run", *code],
    ]
    processes = []
    try:
        for at, command in enumerate(commands):
            with open(home / f"server-{at}.log", "ab") as log:
                # Groups of their own: Dagster's servers have children that would outlive them.
                processes.append(
                    subprocess.Popen(command, env=dict(environment), stdout=log, stderr=log, start_new_session=True)
                )
        _await(f"http://127.0.0.1:{port}/server_info", processes[0])
        yield f"http://127.0.0.1:{port}/graphql"
    finally:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            for process in processes:
                try:
                    os.killpg(process.pid, sign)
                except ProcessLookupError:
                    continue
            time.sleep(3)
        for process in processes:
            process.wait(timeout=30)


def _await(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=10):
                return
        except OSError:
            time.sleep(0.5)
    raise click.ClickException(f"{address} did not answer; its log is in the workspace")


def launch(address: str, asset: str, keys: list[str]) -> str:
    """The id of a backfill, asked for as the UI asks."""
    params = {"assetSelection": [{"path": [asset]}], "partitionNames": keys, "tags": []}
    body = json.dumps({"query": _LAUNCH, "variables": {"params": params}}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        told = json.load(answer)
    made = told.get("data", {}).get("launchPartitionBackfill", {})
    if made.get("__typename") != "LaunchBackfillSuccess":
        raise click.ClickException(f"the backfill was refused: {json.dumps(told)[:500]}")
    return str(made["backfillId"])


def follow(instance: Any, backfill: str, asked: float) -> dict[str, Any]:
    """Wait for a backfill; the runs it became and seconds from the request until each step of the way."""
    import dagster as dg

    ended = ("COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED")
    tagged = dg.RunsFilter(tags={"dagster/backfill": backfill})
    deadline = time.monotonic() + 900
    while time.monotonic() < deadline:
        records = instance.get_run_records(tagged)
        # The backfill itself is marked at the daemon's next look; what was asked for is there when its runs are.
        if records and all(record.dagster_run.is_finished for record in records):
            break
        if instance.get_backfill(backfill).status.value in ended:
            break
        time.sleep(0.25)
    if not records or not all(record.dagster_run.is_success for record in records):
        raise click.ClickException(f"backfill {backfill} did not succeed: {instance.get_backfill(backfill)}")
    first, last = records[-1], records[0]
    events = instance.all_logs(first.dagster_run.run_id, of_type=dg.DagsterEventType.PIPELINE_STARTING)
    steps = instance.get_run_step_stats(first.dagster_run.run_id)
    return {
        "runs": len(records),
        "until_run_is_made": first.create_timestamp.timestamp() - asked,
        "until_launched": events[0].timestamp - asked if events else None,
        "until_started": first.start_time - asked,
        "until_ended": last.end_time - asked,
        "run_seconds": sum(record.end_time - record.start_time for record in records),
        "step_seconds": sum(step.end_time - step.start_time for step in steps),
    }


@click.command()
@click.option("--weeks", default=100, show_default=True, help="Weeks per backfill, the newest.")
@click.option("--stores", default=45, show_default=True, help="Stores of the sample; 45 is Walmart's size.")
@click.option("--assets", default=",".join(_ASSETS), show_default=True, help="What is backfilled, one after the other.")
@click.option("--child", hidden=True)
@click.option("--home", hidden=True, type=click.Path(path_type=Path))
def main(weeks: int, stores: int, assets: str, child: str | None, home: Path | None) -> None:
    """Print the runs that a backfill became, its seconds, and those of the same computation by direct calls."""
    if child and home:
        name, *keys = child.split(",")
        if name == "prepare":
            prepare(home, Path(keys[0]))
        else:
            _child(name, home, keys)
        return
    home = Path(tempfile.mkdtemp(prefix="backfill-"))
    csvs = home / "csvs"
    demand = [sys.executable, "-m", "demand_assets.cli", "sample", str(csvs), "--plain", "--stores", str(stores)]
    own = [sys.executable, "-m", "benchmarks.backfill", "--home", str(home), "--child"]
    measured: dict[str, Any] = {}
    try:
        subprocess.run(demand, check=True, stdout=subprocess.DEVNULL)
        subprocess.run([*own, f"prepare,{csvs}"], check=True, stdout=subprocess.DEVNULL)

        from demand_assets.commands.instance import child_environment
        from demand_assets.settings import read_settings

        environment = child_environment(read_settings(home=home, landing_uri=str(csvs)))
        os.environ.update(environment)
        import dagster as dg

        with dg.DagsterInstance.get() as instance:
            keys = list(instance.get_dynamic_partitions("weeks"))[-weeks:]
            with dagster(environment, home) as address:
                for asset in assets.split(","):
                    asked = time.time()
                    measured[asset] = follow(instance, launch(address, asset, keys), asked)
        for asset in assets.split(","):
            told = subprocess.run([*own, ",".join([asset, *keys])], check=True, capture_output=True, text=True)
            measured[asset]["bare"] = json.loads(told.stdout.splitlines()[-1])
    finally:
        shutil.rmtree(home, ignore_errors=True)
    heads = ("runs", "in run", "in step", "bare", "run/bare", "step/bare", "taken up", "process", "all")
    print(f"{weeks} weeks, {stores} stores; seconds")
    print(f"{'asset':16}" + "".join(f"{head:>10}" for head in heads))
    for asset, one in measured.items():
        bare = one["bare"]["seconds"]
        began = one["until_launched"] or one["until_run_is_made"]
        print(
            f"{asset:16}{one['runs']:10}{one['run_seconds']:10.2f}{one['step_seconds']:10.2f}{bare:10.2f}"
            f"{one['run_seconds'] / bare:10.2f}{one['step_seconds'] / bare:10.2f}{began:10.2f}"
            f"{one['until_started'] - began:10.2f}{one['until_ended']:10.2f}"
        )
    print(f"written to {write('backfill', {'weeks': weeks, 'stores': stores, 'measured': measured})}")


if __name__ == "__main__":
    main()
