"""Lags, window means and deviations of every series at every week, against pandas groupby, polars and mlforecast.

Each contender starts from the rows of the lake in the form it likes best and ends with a table of one row per series
and week. The same thirteen columns are made, and compared, before anything is timed. Last, the whole of
demand_features beside them: sixty-five columns for each of four horizons.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from benchmarks import machine
from demand_assets.adapters.landing import LandingZone
from demand_assets.forecasting.features import build_features, first_origin
from demand_assets.forecasting.features.history import DEVIATIONS, MEANS
from demand_assets.forecasting.features.recent import LAGS
from demand_assets.forecasting.panel import build_panel
from demand_assets.forecasting.weeks import weeks_between
from demand_assets.forecasting.windows import window_statistics

KEYS = ["store_id", "dept_id"]
# Ours alone, with what the others do not make.
ALL_FEATURES = "all of demand_features"
HORIZON = 4
COLUMNS = [
    *(f"lag_{lag}" for lag in LAGS),
    *(f"mean_{weeks}" for weeks in MEANS),
    *(f"deviation_{weeks}" for weeks in DEVIATIONS),
]


def ours(
    sales: pd.DataFrame, conditions: pd.DataFrame, stores: pd.DataFrame, calendar: pd.DataFrame, threads: int
) -> pd.DataFrame:
    """The columns by the code that makes demand_features, unscaled."""
    panel = build_panel(sales, conditions, stores, calendar, HORIZON)
    means, deviations = window_statistics(panel.sales, MEANS, DEVIATIONS, threads, np.float32)
    weeks, series = panel.sales.shape
    # Weeks before the first are missing: a lag is then the same matrix, read so many rows higher.
    earlier = np.full((max(LAGS) + weeks, series), np.nan, dtype=np.float32)
    earlier[max(LAGS) :] = panel.sales
    known = ~np.isnan(panel.sales)
    sold, in_week = np.flatnonzero(known), known.sum(axis=1)
    column = sold - np.repeat(np.arange(weeks) * series, in_week)
    sources = [earlier[max(LAGS) - lag :].ravel() for lag in LAGS]
    sources += [matrix.ravel() for matrix in (*means.values(), *deviations.values())]
    made = np.empty((len(sources), len(sold)), dtype=np.float32)
    keys = {name: panel.series[name].to_numpy().take(column) for name in KEYS}
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda source, into: source.take(sold, out=into, mode="clip"), sources, made))
    columns = {**keys, "week": np.repeat(panel.weeks.to_numpy(), in_week), **dict(zip(COLUMNS, made, strict=True))}
    return pd.DataFrame(columns, copy=False)


def by_pandas_transform(filled: pd.DataFrame) -> pd.DataFrame:
    """The columns by a function of each group, as tutorials write them."""
    groups = filled.groupby("unique_id", sort=False)["y"]
    columns = {f"lag_{lag}": groups.transform(lambda y, lag=lag: y.shift(lag)) for lag in LAGS}
    for weeks in MEANS:
        columns[f"mean_{weeks}"] = groups.transform(lambda y, k=weeks: y.rolling(k, min_periods=1).mean())
    for weeks in DEVIATIONS:
        columns[f"deviation_{weeks}"] = groups.transform(lambda y, k=weeks: y.rolling(k, min_periods=1).std(ddof=0))
    return filled[["unique_id", "ds"]].assign(**columns)


def by_pandas(filled: pd.DataFrame) -> pd.DataFrame:
    """The columns by pandas' own grouped shifts and windows."""
    groups = filled.groupby("unique_id", sort=False)["y"]
    columns = {f"lag_{lag}": groups.shift(lag) for lag in LAGS}
    for weeks in MEANS:
        columns[f"mean_{weeks}"] = groups.rolling(weeks, min_periods=1).mean().droplevel(0)
    for weeks in DEVIATIONS:
        columns[f"deviation_{weeks}"] = groups.rolling(weeks, min_periods=1).std(ddof=0).droplevel(0)
    return filled[["unique_id", "ds"]].assign(**columns)


def by_polars(filled: Any) -> Any:
    """The columns by polars expressions over each series, in one pass."""
    import polars as pl

    y = pl.col("y")
    return filled.select(
        "unique_id",
        "ds",
        *(y.shift(lag).over("unique_id").alias(f"lag_{lag}") for lag in LAGS),
        *(y.rolling_mean(weeks, min_samples=1).over("unique_id").alias(f"mean_{weeks}") for weeks in MEANS),
        *(
            y.rolling_std(weeks, min_samples=1, ddof=0).over("unique_id").alias(f"deviation_{weeks}")
            for weeks in DEVIATIONS
        ),
    )


def by_mlforecast(filled: Any, threads: int) -> Any:
    """The columns by mlforecast's compiled transforms."""
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean, RollingStd

    # It reads "lag 1" as this week's value of a target shifted by one: its windows end before the week they stand in.
    forecast = MLForecast(
        models=[],
        freq="W-FRI" if isinstance(filled, pd.DataFrame) else "1w",
        lags=[lag + 1 for lag in LAGS],
        lag_transforms={
            1: [
                *(RollingMean(weeks, min_samples=1) for weeks in MEANS),
                *(RollingStd(weeks, min_samples=2) for weeks in DEVIATIONS),
            ]
        },
        num_threads=threads,
    )
    return forecast.preprocess(filled, static_features=[], dropna=False)


def _filled(sales: pd.DataFrame) -> pd.DataFrame:
    """Every week between a series' first and last, missing ones as zero: what the others ask for before they start."""
    ids = sales["store_id"].to_numpy(np.int64) * 1000 + sales["dept_id"].to_numpy(np.int64)
    wide = (
        pd.DataFrame({"unique_id": ids, "ds": sales["week"], "y": sales["sales"]})
        .pivot_table(index="ds", columns="unique_id", values="y")
        .asfreq("W-FRI")
    )
    long = wide.melt(ignore_index=False, value_name="y").reset_index()
    first = long["y"].notna().groupby(long["unique_id"]).cummax()
    last = long["y"].notna()[::-1].groupby(long["unique_id"][::-1]).cummax()[::-1]
    held = long[first & last].fillna({"y": 0.0})
    return held.sort_values(["unique_id", "ds"], ignore_index=True)[["unique_id", "ds", "y"]]


def _timed(make: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median wall and processor seconds."""
    walls, spent = [], []
    for _ in range(rounds):
        started, before = time.perf_counter(), time.process_time()
        make()
        walls.append(time.perf_counter() - started)
        spent.append(time.process_time() - before)
    return statistics.median(walls), statistics.median(spent)


def _differs(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """Largest relative difference of the columns, NaN being equal to NaN."""
    worst = 0.0
    for name in COLUMNS:
        a, b = one[name].to_numpy(dtype=float), other[name].to_numpy(dtype=float)
        if (np.isnan(a) != np.isnan(b)).any():
            raise AssertionError(f"{name}: one has a value where the other has none")
        # A deviation is the root of a difference of squares: what it can carry is seven digits of the level.
        size = np.maximum(np.abs(b), 1.0 if not name.startswith("deviation") else np.nanmax(np.abs(b)) * 1e-2)
        worst = max(worst, float(np.nanmax(np.abs(a - b) / size)))
    return worst


def measure(raw_dir: str, threads: int, rounds: int) -> list[dict[str, Any]]:
    """One row per contender: seconds, and how often as fast this code is."""
    import polars as pl

    landed = LandingZone(raw_dir).contents().tables()
    conditions, stores, calendar = landed.covariates, landed.stores, landed.calendar
    filled = _filled(landed.sales)
    # All start from the same rows: the gaps, which only this code takes as they are, are filled for all.
    sales = pd.DataFrame(
        {
            "store_id": (filled["unique_id"] // 1000).astype(np.int32),
            "dept_id": (filled["unique_id"] % 1000).astype(np.int32),
            "week": filled["ds"],
            "sales": filled["y"],
        }
    )
    # As the lake has them, week by week; the others want theirs series by series.
    sales = sales.sort_values(["week", *KEYS], ignore_index=True)
    polars_rows = pl.from_pandas(filled)
    contenders: dict[str, Callable[[], Any]] = {
        "this code": lambda: ours(sales, conditions, stores, calendar, threads),
        "mlforecast": lambda: by_mlforecast(filled, threads),
        "mlforecast on polars": lambda: by_mlforecast(polars_rows, threads),
        "polars": lambda: by_polars(polars_rows),
        "pandas groupby": lambda: by_pandas(filled),
        "pandas groupby, transform": lambda: by_pandas_transform(filled),
    }
    mine = contenders["this code"]().sort_values([*KEYS, "week"], ignore_index=True)
    assert _differs(mine, by_pandas(filled)) < 1e-3
    assert _differs(mine, by_polars(polars_rows).to_pandas()) < 1e-3
    assert len(by_mlforecast(filled, threads)) == len(mine)
    rows: list[dict[str, Any]] = []
    for name, make in contenders.items():
        wall, spent = _timed(make, 1 if name.endswith("transform") else rounds)
        rows.append(_row(name, len(mine), wall, spent, rows))
    panel = build_panel(landed.sales, conditions, stores, calendar, HORIZON)
    origins = list(weeks_between(first_origin(panel.weeks), panel.weeks[-1]))
    wall, spent = _timed(lambda: build_features(panel, origins, HORIZON, threads), 1)
    rows.append(_row(ALL_FEATURES, len(origins) * len(panel.series) * HORIZON, wall, spent, rows))
    return rows


def _row(name: str, rows: int, wall: float, spent: float, before: list[dict[str, Any]]) -> dict[str, Any]:
    first = before[0] if before else {"wall_s": wall, "cpu_s": spent}
    return {
        "made by": name,
        "rows": rows,
        "wall_s": wall,
        "cpu_s": spent,
        "times ours, wall": wall / first["wall_s"],
        "times ours, cpu": spent / first["cpu_s"],
    }


@click.command()
@click.option("--raw-dir", help="Landing zone; default: sample data of Walmart's size.")
@click.option("--stores", default="45", show_default=True, help="Stores of the sample data, comma-separated sizes.")
@click.option("--threads", default=2, show_default=True)
@click.option("--rounds", default=3, show_default=True, help="Medians of so many.")
def main(raw_dir: str | None, stores: str, threads: int, rounds: int) -> None:
    """Print seconds and ratios per contender and size; write them as JSON."""
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        sources = {"given": raw_dir} if raw_dir else {}
        if not raw_dir:
            from demand_assets.sample import write_csvs

            for size in stores.split(","):
                sources[f"{size} stores"] = str(Path(folder) / size)
                _sample(Path(folder) / size, int(size), write_csvs)
        for name, source in sources.items():
            found[name] = measure(str(source), threads, rounds)
            table = pd.DataFrame(found[name]).round(3)
            click.echo(f"\n{name}\n{table.to_string(index=False)}")
    machine.write("features", {"threads": threads, "rounds": rounds, "sizes": found})


def _sample(folder: Path, stores: int, write: Any) -> None:
    import subprocess
    import sys

    command = [sys.executable, "-m", "demand_assets.cli", "sample", str(folder), "--plain", "--stores", str(stores)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
