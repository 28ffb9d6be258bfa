"""What a workspace holds, and the next week of its landing zone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd

from demand_assets.sample import SampleData


def rows_of(home: Path) -> list[tuple[object, ...]]:
    """Everything the store holds but the time of publication."""
    with closing(sqlite3.connect(home / "store.db")) as connection:
        forecasts = connection.execute("select * from forecasts order by 1, 2, 3, 4").fetchall()
        actuals = connection.execute("select * from actuals order by 1, 2, 3").fetchall()
        totals = connection.execute("select * from forecast_totals order by 1, 2, 3, 4, 5").fetchall()
        reasons = connection.execute("select * from forecast_attributions order by 1, 2, 3, 4").fetchall()
        conditions = connection.execute("select * from store_conditions order by 1, 2").fetchall()
    return [*forecasts, *actuals, *totals, *reasons, *conditions]


def files_of(home: Path) -> dict[str, bytes]:
    return {str(path.relative_to(home)): path.read_bytes() for path in sorted((home / "lake").rglob("*.parquet"))}


def deliver_week_after(zone: Path, retailer: SampleData) -> list[str]:
    """Lines of a new file with the week after the history: the newest week's sales once more."""
    newest = retailer.sales["week"].max()
    following = newest + pd.Timedelta(weeks=1)
    rows = (zone / "train.csv").read_text().splitlines()
    delivered = [
        line.replace(f"{newest:%Y-%m-%d}", f"{following:%Y-%m-%d}") for line in rows if f"{newest:%Y-%m-%d}" in line
    ]
    (zone / "delivery.csv").write_text("\n".join([rows[0], *delivered]) + "\n")
    return delivered
