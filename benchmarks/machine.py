"""What every benchmark says beside its figures: the machine they were taken on, and where the results are kept."""

import json
import os
import platform
import resource
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
# What decides a figure beside our own code.
_LIBRARIES = ("dagster", "numpy", "pandas", "pyarrow", "scipy", "sqlalchemy", "psycopg", "xgboost")


def facts() -> dict[str, Any]:
    """Processor, cores this process may use, memory, versions, commit and time: figures without them say nothing."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        # Figures taken beside other work are judged by their ratios; a load above the cores says that they were.
        "load_1_min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _LIBRARIES},
        "commit": _commit(),
    }


def write(name: str, payload: Mapping[str, Any]) -> Path:
    """Write `payload` with the facts to benchmarks/results/NAME.json and return where."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"facts": facts(), **payload}, indent=1, default=str) + "\n")
    return path


def cpu_seconds() -> float:
    """Processor seconds of this process and of its children that have ended: what other work beside it cannot move."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def peak_mb() -> int:
    """Most memory this process has held so far, in MB (2**20 bytes); it never falls, so measure in a child."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    """The commit, with a plus when the tree holds changes that are in none."""
    folder = Path(__file__).parent
    named = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=folder, capture_output=True, text=True)
    if named.returncode:
        return "unknown"
    changed = subprocess.run(["git", "status", "--porcelain", "-uno"], cwd=folder, capture_output=True, text=True)
    return named.stdout.strip() + ("+" if changed.stdout.strip() else "")
