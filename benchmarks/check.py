"""What got slower: key ratios of the benchmarks against those recorded in benchmarks/recorded.json.

A ratio compares two sides of one run, so it holds on another machine; where there is one it is of processor time, which
other work beside it hardly moves. More is better for each of them.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks.features import ALL_FEATURES
from benchmarks.machine import RESULTS

RECORDED = Path(__file__).parent / "recorded.json"
# Of processor time; the same code twice was up to 12% apart on a busy machine.
ALLOWED = 0.25


@dataclass(frozen=True)
class Check:
    """Ratios of one benchmark: how it is run, and what is read of its results."""

    benchmark: str
    arguments: tuple[str, ...]
    ratios: Callable[[Mapping[str, Any]], dict[str, float]]


def _features(result: Mapping[str, Any]) -> dict[str, float]:
    ((rows),) = result["sizes"].values()
    others = (row for row in rows[1:] if row["made by"] != ALL_FEATURES)
    return {f"features, times as fast as {row['made by']}": row["times ours, cpu"] for row in others}


def _ingest(result: Mapping[str, Any]) -> dict[str, float]:
    (measured,) = result["measured"]
    return {"ingestion, of a bare conversion": measured["bare"]["cpu_seconds"] / measured["ingest"]["cpu_seconds"]}


def _reasons(result: Mapping[str, Any]) -> dict[str, float]:
    both = result["xgboost"]["processor_s"], result["look_up"]["processor_s"]
    return {"reasons, times as fast as xgboost": both[0] / both[1]}


def _startup(result: Mapping[str, Any]) -> dict[str, float]:
    return {"start-up, of a bare import of Dagster": 1 / result["definitions_to_bare"]["processor"]}


CHECKS = (
    Check("features", ("--rounds", "1"), _features),
    Check("ingest", ("--times", "1", "--rounds", "2", "--ways", "bare,ingest"), _ingest),
    Check("reasons", ("--repeat", "1"), _reasons),
    Check("startup", ("--repeat", "5"), _startup),
)


def measured() -> dict[str, float]:
    """Each ratio by its name, from running the benchmarks one after the other."""
    found: dict[str, float] = {}
    for check in CHECKS:
        command = [sys.executable, "-m", f"benchmarks.{check.benchmark}", *check.arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found |= check.ratios(json.loads((RESULTS / f"{check.benchmark}.json").read_text()))
    return found


def slower(found: Mapping[str, float], recorded: Mapping[str, float]) -> list[str]:
    """A line for each recorded ratio that is missing, or lower by more than `ALLOWED`."""
    return [
        f"{name}: expected at least {(1 - ALLOWED) * before:.2f}, recorded {before:.2f}, got {found.get(name, 'none')}"
        for name, before in recorded.items()
        if found.get(name, 0.0) < (1 - ALLOWED) * before
    ]


@click.command()
@click.option("--record", is_flag=True, help="Write what is measured as what is expected from now on.")
def main(record: bool) -> None:
    """Print each ratio beside the recorded one; end with an error that names what got slower."""
    found = measured()
    if record:
        RECORDED.write_text(json.dumps({name: round(value, 3) for name, value in found.items()}, indent=1) + "\n")
    recorded: dict[str, float] = json.loads(RECORDED.read_text())
    for name, value in found.items():
        print(f"{name:48}{value:8.2f}  recorded {recorded.get(name, float('nan')):8.2f}")
    if lines := slower(found, recorded):
        raise click.ClickException("slower than recorded\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
