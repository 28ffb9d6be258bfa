"""One more week: what the weekly job takes when a week's CSVs land in a workspace that has a history and a champion.

Lands a history, trains, lives a few weeks so that there are vintages to score and drift reports to compare with, then
lands the last week and runs the `weekly` job in a fresh process, as the launcher would. Start-up is the time until the
first step begins; work is the sum over the assets, the imports that their bodies make included.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import pandas as pd

from benchmarks.machine import cpu_seconds, peak_mb, write

HISTORY, CONDITIONS = "history.csv", "conditions.csv"


def _land(raw_dir: Path, zone: Path, last: str, weeks: list[str]) -> None:
    """The history up to `last` as one file each of sales and conditions, then a pair of files for each of `weeks`."""
    zone.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(raw_dir / "stores.csv", zone / "stores.csv")
    sales = pd.read_csv(raw_dir / "train.csv", dtype=str, keep_default_na=False)
    conditions = pd.read_csv(raw_dir / "features.csv", dtype=str, keep_default_na=False)
    for frame, name in ((sales, HISTORY), (conditions, CONDITIONS)):
        frame[frame["Date"] <= last].to_csv(zone / name, index=False)
    for week in weeks:
        sales[sales["Date"] == week].to_csv(zone / f"sales-{week}.csv", index=False)
        conditions[conditions["Date"] == week].to_csv(zone / f"conditions-{week}.csv", index=False)


def _run_job(job: str, first: str, last: str, began: float) -> None:
    """In a process of its own: register what has landed, run `job` for the weeks, print what it took as JSON.

    `began` is the parent's clock just before this process was started.
    """
    import dagster as dg

    from demand_assets.adapters.landing import LandingZone
    from demand_assets.landed_weeks import weeks_of
    from demand_assets.partitions import range_tags, register_weeks, week_key
    from demand_assets.settings import read_settings
    from demand_assets.store.migrations import migrate

    settings = read_settings()
    if not (settings.home / "store.db").exists():
        migrate(settings.store)
    with dg.DagsterInstance.get() as instance:
        if job == "ingest":
            register_weeks(
                instance, [week_key(week) for week in weeks_of(LandingZone(settings.landing).read_all(["sales"]))]
            )
        elif job == "weekly":
            register_weeks(instance, {*instance.get_dynamic_partitions("weeks"), last})
        before = cpu_seconds()
        tags = range_tags(first, last) if first != last else {"dagster/partition": last}
        result = dg.execute_job(
            dg.build_reconstructable_job("demand_assets.definitions", "job_named", (job,)),
            instance=instance,
            tags=tags,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=True,
        )
        ended = time.time()
        seconds: dict[str, float] = {}
        starts: list[float] = []
        for entry in instance.all_logs(result.run_id):
            event = entry.dagster_event
            if event is None or entry.step_key is None:
                continue
            if event.event_type_value == "STEP_START":
                starts.append(entry.timestamp)
            elif event.event_type_value == "STEP_SUCCESS":
                seconds[entry.step_key] = round(event.step_success_data.duration_ms / 1000, 3)
    print(
        json.dumps(
            {
                "start_up": round(min(starts) - began, 2),
                "seconds_per_asset": seconds,
                "work": round(sum(seconds.values()), 2),
                "wall": round(ended - began, 2),
                "start_up_cpu_seconds": round(before, 2),
                "work_cpu_seconds": round(cpu_seconds() - before, 2),
                "peak_memory_mb": peak_mb(),
            }
        )
    )


def _in_child(home: Path, job: str, first: str, last: str, threads: int) -> dict[str, Any]:
    from demand_assets.commands.instance import child_environment
    from demand_assets.settings import read_settings

    settings = read_settings(
        home=home,
        landing_uri=str(home / "landing"),
        threads=threads,
        backtest_origins=2,
        clock=f"{last}T06:00:00+00:00",
    )
    began = time.time()
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.weekly_increment", "--child", f"{job}:{first}:{last}:{began}"],
        env=child_environment(settings),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    report: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return report


def _prepare(raw_dir: Path, home: Path, weeks: list[str], threads: int) -> None:
    """A workspace in which all but the last of `weeks` were lived: the first from its history on, the others weekly."""
    shutil.rmtree(home, ignore_errors=True)
    first, *lived = weeks[:-1]
    _land(raw_dir, home / "landing", first, lived)
    for name in (*(f"sales-{week}.csv" for week in lived), *(f"conditions-{week}.csv" for week in lived)):
        (home / "landing" / name).rename(home / name)
    begins = pd.read_csv(home / "landing" / HISTORY, usecols=["Date"])["Date"].min()
    _in_child(home, "ingest", begins, first, threads)
    _in_child(home, "build_features", begins, first, threads)
    _in_child(home, "train_and_forecast", first, first, threads)
    for week in lived:
        for name in (f"sales-{week}.csv", f"conditions-{week}.csv"):
            (home / name).rename(home / "landing" / name)
        _in_child(home, "weekly", week, week, threads)


@click.command()
@click.option(
    "--raw-dir", type=click.Path(path_type=Path, exists=True), help="Folder with the 3 CSVs; default: sample."
)
@click.option("--weeks", "lived", default=6, show_default=True, help="Weeks lived since the training.")
@click.option("--repeat", default=3, show_default=True, help="Times the last week is run, each from the same state.")
@click.option("--threads", default=2, show_default=True)
@click.option(
    "--home", default=".demand/weekly-increment", show_default=True, type=click.Path(path_type=Path, resolve_path=True)
)
@click.option("--reuse", is_flag=True, help="Start from the state that the last call prepared at --home.")
@click.option("--child", hidden=True)
def main(
    raw_dir: Path | None, lived: int, repeat: int, threads: int, home: Path, reuse: bool, child: str | None
) -> None:
    """Print seconds per asset of one more week, their sum, and start-up beside it; the median run of --repeat."""
    if child:
        job, first, last, began = child.split(":")
        _run_job(job, first, last, float(began))
        return
    with tempfile.TemporaryDirectory() as folder:
        if raw_dir is None:
            raw_dir = Path(folder)
            subprocess.run([sys.executable, "-m", "demand_assets.cli", "sample", folder, "--plain"], check=True)
        dates = sorted(set(pd.read_csv(raw_dir / "train.csv", usecols=["Date"])["Date"]))
        weeks = dates[-lived - 2 :]
        # MLflow keeps absolute paths, so the state is copied away and back instead of being made elsewhere.
        workspace, prepared = home / "workspace", home / "prepared"
        if not (reuse and prepared.exists()):
            _prepare(raw_dir, workspace, weeks, threads)
            shutil.rmtree(prepared, ignore_errors=True)
            shutil.copytree(workspace, prepared)
        runs = []
        for _ in range(repeat):
            shutil.rmtree(workspace, ignore_errors=True)
            shutil.copytree(prepared, workspace)
            _land(raw_dir, Path(folder) / "all", weeks[0], weeks[-1:])
            for kind in ("sales", "conditions"):
                name = f"{kind}-{weeks[-1]}.csv"
                shutil.copyfile(Path(folder) / "all" / name, workspace / "landing" / name)
            runs.append(_in_child(workspace, "weekly", weeks[-1], weeks[-1], threads))
    median = sorted(runs, key=lambda run: run["work"])[len(runs) // 2]
    path = write("weekly_increment", {"week": weeks[-1], "lived": lived, "threads": threads, **median, "runs": runs})
    for name, seconds in median["seconds_per_asset"].items():
        print(f"{name:<24}{seconds:>8.2f} s")
    print(f"{'work, all assets':<24}{median['work']:>8.2f} s")
    print(f"{'  of processor time':<24}{median['work_cpu_seconds']:>8.2f} s, both cores together")
    print(f"{'start-up':<24}{median['start_up']:>8.2f} s, {median['start_up_cpu_seconds']:.2f} s of processor time")
    print(f"{'whole process':<24}{median['wall']:>8.2f} s")
    print(f"{'peak memory':<24}{median['peak_memory_mb']:>8,} MB")
    print(f"written to {os.path.relpath(path)}")


if __name__ == "__main__":
    main()
