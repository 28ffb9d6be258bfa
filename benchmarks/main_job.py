"""The main job, timed: whole run against the seconds inside xgboost in that run, and peak memory.

Runs `demand run` in a fresh workspace, as a user would, and once more on the same data.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import click

RESULTS = Path(__file__).parent / "results"


def _run(raw_dir: str, home: Path, threads: int) -> dict[str, object]:
    command = [sys.executable, "-m", "demand_assets.cli", "run", "--raw-dir", raw_dir, "--json"]
    environment = {**os.environ, "DEMAND_HOME": str(home), "DEMAND_THREADS": str(threads)}
    ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    summary: dict[str, object] = json.loads(ended.stdout)
    return summary


@click.command()
@click.option("--raw-dir", help="Landing zone; default: sample data of Walmart's size.")
@click.option(
    "--threads", default=2, show_default=True, help="Threads of heavy work; the process is bound to as many cores."
)
def main(raw_dir: str | None, threads: int) -> None:
    """Print wall seconds, seconds in fits, their ratio and peak memory, for a first and a second run."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    with tempfile.TemporaryDirectory() as folder:
        if raw_dir is None:
            raw_dir = str(Path(folder) / "sample")
            subprocess.run([sys.executable, "-m", "demand_assets.cli", "sample", raw_dir, "--plain"], check=True)
        home = Path(folder) / "workspace"
        first, second = (_run(os.path.abspath(raw_dir), home, threads) for _ in range(2))
    facts = {"machine": platform.platform(), "cores": threads, "python": platform.python_version()}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "main_job.json").write_text(json.dumps({"facts": facts, "first": first, "second": second}, indent=1))
    wall, inside = float(str(first["seconds"])), float(str(first["fit_seconds"]))
    print(f"sales rows            {first['rows_landed']:>12,}")
    print(f"whole run             {wall:>12.1f} s on {threads} cores")
    print(f"inside fits           {inside:>12.1f} s")
    print(f"ratio                 {wall / inside:>12.2f}")
    print(f"peak memory           {first['peak_memory_mb']:>12,} MB")
    print(f"second run, unchanged {float(str(second['seconds'])):>12.1f} s")
    print(f"WMAE                  {first['wmae']}")


if __name__ == "__main__":
    main()
