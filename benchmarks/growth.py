"""From Walmart's size to a hundred times as many series: seconds and peak memory of each step, and how fast they grow.

Each size is the sample generator's data, run by `demand run` in a process and a workspace of its own, as a user would.
What is bounded on purpose is said in the table: the origins whose features are made, the rows a member learns from,
the series that the backtest judges.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from benchmarks import machine

WALMART_STORES = 45
STEPS = {
    "ingest": ("stores", "holiday_calendar", "raw_covariates", "raw_sales"),
    "features": ("demand_features",),
    "train": ("backtest_report", "trained_model", "promoted_model"),
    "forecast": ("weekly_forecast", "forecast_totals", "forecast_attributions"),
    "publish": ("published_forecast", "published_conditions", "published_drivers"),
    "watch": ("drift_report", "forecast_accuracy", "forecast_exceptions"),
}


def measure(size: int, folder: Path, threads: int, settings: dict[str, str], memory_gib: float) -> dict[str, Any]:
    """Run the main job on `size` times Walmart's series; what it said, with seconds of the sample before."""
    environment = {
        **os.environ,
        **settings,
        "DEMAND_HOME": str(folder / f"home-{size}"),
        "DEMAND_THREADS": str(threads),
    }
    raw = folder / f"raw-{size}"
    demand = [sys.executable, "-m", "demand_assets.cli"]
    stores = str(WALMART_STORES * size)
    if not raw.exists():
        subprocess.run(
            [*demand, "sample", str(raw), "--plain", "--stores", stores], check=True, stdout=subprocess.DEVNULL
        )
    # Address space is larger than what is touched: a bound on it, not a measure, so that a machine is not dragged down.
    limit = f"ulimit -v {int(memory_gib * 2**20) * 3}; exec "
    command = limit + " ".join([*demand, "run", "--raw-dir", str(raw), "--json"])
    ended = subprocess.run(["bash", "-c", command], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    said: dict[str, Any] = json.loads(ended.stdout)
    spent = said["seconds_per_asset"]
    steps = {step: round(sum(spent.get(name, 0.0) for name in names), 1) for step, names in STEPS.items()}
    shutil.rmtree(folder / f"home-{size}")
    return {
        "times Walmart": size,
        "series": said["series"],
        "rows": said["rows_landed"],
        **steps,
        "all": round(said["seconds"], 1),
        "peak_mb": said["peak_memory_mb"],
        "wmae": said["wmae"],
        "seconds_per_asset": spent,
    }


def exponent(sizes: list[float], values: list[float]) -> float:
    """Slope of log value over log size: 1 is linear."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


@click.command()
@click.option("--sizes", default="1,10", show_default=True, help="Times Walmart's series, comma-separated.")
@click.option("--threads", default=2, show_default=True)
@click.option("--origins", default=52, show_default=True, help="Newest origins whose features are made.")
@click.option("--training-rows", default=1_000_000, show_default=True, help="Most rows a member learns from.")
@click.option("--backtest-series", default=20_000, show_default=True, help="Most series the backtest judges.")
@click.option("--backtest-origins", default=2, show_default=True)
@click.option("--memory-gib", default=12.0, show_default=True, help="What the job may take.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where data and workspaces go; default: a new one.")
def main(
    sizes: str,
    threads: int,
    origins: int,
    training_rows: int,
    backtest_series: int,
    backtest_origins: int,
    memory_gib: float,
    folder: Path | None,
) -> None:
    """Print a row per size, the fitted exponents, and write all as JSON."""
    settings = {
        "DEMAND_FEATURE_ORIGINS": str(origins),
        "DEMAND_TRAINING_ROWS": str(training_rows),
        "DEMAND_BACKTEST_SERIES": str(backtest_series),
        "DEMAND_BACKTEST_ORIGINS": str(backtest_origins),
    }
    wanted = [int(size) for size in sizes.split(",")]
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        place = folder or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        for size in wanted:
            found.append(measure(size, place, threads, settings, memory_gib))
            shown = pd.DataFrame(found).drop(columns=["wmae", "seconds_per_asset"])
            click.echo(shown.to_string(index=False) + "\n")
    grown: dict[str, float] = {}
    if len(found) > 1:
        for name in ("all", *STEPS):
            grown[name] = round(exponent([row["times Walmart"] for row in found], [row[name] for row in found]), 2)
        grown["peak_mb"] = round(
            exponent([row["times Walmart"] for row in found], [row["peak_mb"] for row in found]), 2
        )
        click.echo("exponents: " + ", ".join(f"{name} {value}" for name, value in grown.items()))
    machine.write("growth", {"settings": settings, "threads": threads, "sizes": found, "exponents": grown})


if __name__ == "__main__":
    main()
