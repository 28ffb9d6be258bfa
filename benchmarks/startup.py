"""Start-up: how long `demand --help` takes, and loading the definitions beside a bare import of dagster and pandas.

Each in fresh processes, in turn, so that other work on the machine meets all of them alike; the medians are compared.
"""

import os
import resource
import subprocess
import sys
import time
from statistics import median

import click

from benchmarks.machine import write

CASES = {
    "bare": [sys.executable, "-c", "import dagster, pandas"],
    "definitions": [sys.executable, "-c", "import demand_assets.definitions"],
    "help": [sys.executable, "-m", "demand_assets.cli", "--help"],
    "python": [sys.executable, "-c", "pass"],
}


def _timed(command: list[str]) -> tuple[float, float]:
    """(wall, processor) seconds of one process."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@click.command()
@click.option("--repeat", default=9, show_default=True, help="Processes of each kind.")
def main(repeat: int) -> None:
    """Print medians of wall and processor seconds, and the ratio of the definitions to the bare import."""
    for command in CASES.values():
        _timed(command)  # once for the disk cache
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    for _ in range(repeat):
        for name, command in CASES.items():
            taken[name].append(_timed(command))
    wall = {name: round(median(one for one, _ in times), 3) for name, times in taken.items()}
    cpu = {name: round(median(one for _, one in times), 3) for name, times in taken.items()}
    ratios = {name: round(of["definitions"] / of["bare"], 2) for name, of in (("wall", wall), ("processor", cpu))}
    path = write("startup", {"repeat": repeat, "wall_s": wall, "processor_s": cpu, "definitions_to_bare": ratios})
    print(f"{'seconds, median':<36}{'wall':>8}{'processor':>11}")
    for name, words in {
        "help": "demand --help",
        "bare": "import dagster, pandas",
        "definitions": "import demand_assets.definitions",
        "python": "python -c pass",
    }.items():
        print(f"{words:<36}{wall[name]:>8.2f}{cpu[name]:>11.2f}")
    print(f"{'definitions to the bare import':<36}{ratios['wall']:>8.2f}{ratios['processor']:>11.2f}")
    print(f"written to {os.path.relpath(path)}")


if __name__ == "__main__":
    main()
