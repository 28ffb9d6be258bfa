"""The whole main job against a single-file script with mlforecast and LightGBM, one after the other in one run.

The script is what an analyst writes in an afternoon: read the CSVs, fill gaps with 0, train one LightGBM per week ahead
on lags and the calendar, do so again at each origin of the backtest, forecast, write Parquet. It has no records, store,
intervals, reasons, totals, drift or gate.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pandas as pd

from benchmarks.machine import write

HORIZON = 4
LAGS = (1, 2, 3, 4, 5, 6, 8, 13, 26, 39, 50, 51, 52, 53, 54)
TREES = 250


def wmae(points: pd.DataFrame) -> float:
    """Weighted mean absolute error of [forecast, actual, is_holiday]; holiday weeks count five times."""
    weight = points["is_holiday"].map({True: 5.0, False: 1.0})
    return float(((points["forecast"] - points["actual"]).abs() * weight).sum() / weight.sum())


def peer(raw_dir: Path, origins: list[pd.Timestamp], output: Path, threads: int) -> float:
    """Forecast from each origin and from the newest week, write the latter's to `output`; WMAE over the origins."""
    import lightgbm
    from mlforecast import MLForecast

    sales = pd.read_csv(raw_dir / "train.csv", parse_dates=["Date"])
    holidays = sales.groupby("Date")["IsHoliday"].max()
    ids = sales["Store"].astype(str) + "_" + sales["Dept"].astype(str)
    rows = sales.assign(unique_id=ids, ds=sales["Date"], y=sales["Weekly_Sales"])[["unique_id", "ds", "y"]]
    scored = []
    for origin in [*origins, rows["ds"].max()]:
        known = rows[rows["ds"] <= origin]
        alive = known.groupby("unique_id")["ds"].max() > origin - pd.Timedelta(weeks=52)
        wide = known.pivot_table(index="ds", columns="unique_id", values="y")[alive.index[alive]]
        filled = wide.asfreq("7D").fillna(0.0).melt(ignore_index=False, value_name="y").reset_index()
        model = MLForecast(
            models={
                "forecast": lightgbm.LGBMRegressor(
                    n_estimators=TREES, num_threads=threads, objective="l1", verbosity=-1, random_state=1
                )
            },
            freq="7D",
            lags=list(LAGS),
            date_features=["week", "month"],
            num_threads=threads,
        )
        model.fit(filled, static_features=[], max_horizon=HORIZON)
        scored.append(model.predict(HORIZON).assign(origin=origin))
    scored[-1].to_parquet(output)
    points = pd.concat(scored[:-1]).merge(rows.rename(columns={"y": "actual"}), on=["unique_id", "ds"])
    return wmae(points.assign(is_holiday=points["ds"].map(holidays)))


def _timed(command: list[str], environment: dict[str, str]) -> tuple[dict[str, Any], dict[str, float]]:
    """What a process printed as JSON, with its wall seconds and processor seconds, start-up included."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(ended.stdout), {"seconds": time.perf_counter() - began, "cpu_seconds": cpu}


@click.command()
@click.option("--raw-dir", required=True, type=click.Path(exists=True, path_type=Path), help="Walmart's CSVs.")
@click.option("--threads", default=2, show_default=True)
@click.option("--origins", help="Run the script alone, at these origins, and print its error.")
@click.option("--output", type=click.Path(path_type=Path), help="Where the script alone writes its forecast.")
def main(raw_dir: Path, threads: int, origins: str | None, output: Path | None) -> None:
    """Print wall and processor seconds and WMAE of both at the same origins, and their ratio."""
    if origins is not None and output is not None:
        weeks = [pd.Timestamp(each) for each in origins.split(",")]
        print(json.dumps({"wmae": peer(raw_dir, weeks, output, threads)}))
        return
    if find_spec("mlforecast") is None:
        raise click.ClickException("mlforecast is not installed; run it as make bench BENCH=peer_script")
    with tempfile.TemporaryDirectory() as folder:
        home = {"DEMAND_HOME": str(Path(folder) / "home"), "DEMAND_THREADS": str(threads)}
        command = [sys.executable, "-m", "demand_assets.cli", "run", "--raw-dir", str(raw_dir.resolve()), "--json"]
        ours, own = _timed(command, home)
        judged = str(ours["backtest_origins"]).replace(" ", "")
        command = [
            sys.executable, "-m", "benchmarks.peer_script", "--raw-dir", str(raw_dir), "--threads", str(threads),
            "--origins", judged, "--output", str(Path(folder) / "forecast.parquet"),
        ]  # fmt: skip
        theirs, other = _timed(command, {})
    sides = {
        "demand run": {**own, "wmae": ours["wmae"][ours["method"]]},
        "mlforecast + LightGBM": {**other, "wmae": theirs["wmae"]},
    }
    ratios = {name: own[name] / other[name] for name in own}
    write("peer_script", {"origins": judged, "sides": sides, "ratios": ratios})
    for name, side in sides.items():
        print(f"{name:24}{side['seconds']:8.1f} s{side['cpu_seconds']:8.1f} s of processor{side['wmae']:10,.1f} WMAE")
    print(f"{'ratio':24}{ratios['seconds']:8.2f}  {ratios['cpu_seconds']:8.2f}")


if __name__ == "__main__":
    main()
