"""Workers of a Dask cluster beside one machine: features, training, and a worker killed while it trains.

Every worker is a process of this machine, and all together have its cores: with fewer cores than workers wall seconds
cannot fall, and what the cluster costs is told by processor seconds.
"""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from benchmarks.machine import write
from demand_assets.adapters.arrow_frames import content_version
from demand_assets.adapters.drift_rows import PREDICTIONS_TABLE, DriftRows, stored_predictions, stored_report
from demand_assets.adapters.feature_files import write_features
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.table_refs import TableRef
from demand_assets.compute import DaskWorkers, ThisMachine, open_cluster
from demand_assets.cores import usable_cores
from demand_assets.forecasting.calendar import calendar_for, calendar_from_covariates
from demand_assets.forecasting.features import first_origin
from demand_assets.forecasting.forecaster import Forecaster, train_stored
from demand_assets.forecasting.holidays import US
from demand_assets.forecasting.metrics import bias, wmae
from demand_assets.forecasting.models.xgboost import XGBoost, XGBoostConfig
from demand_assets.forecasting.panel import SERIES_PER_BLOCK, Panel, build_panel
from demand_assets.forecasting.ports import Workers
from demand_assets.forecasting.training import actuals_of
from demand_assets.forecasting.weeks import add_weeks, weeks_between
from demand_assets.monitoring.drift import JudgedWeek
from demand_assets.monitoring.drift_metrics import HISTORY_WEEKS
from demand_assets.partitions import week_key
from demand_assets.sample import generate
from demand_assets.settings import Settings

HORIZON = 4
# As many variables as a job of a hundred times Walmart's size measures at once.
DRIFT_VARIABLES = 6


class _Job:
    """A retailer whose sales are in a lake, and what is asked of workers."""

    def __init__(self, folder: Path, stores: int, rounds: int, members: int, threads: int, most_rows: int) -> None:
        self.folder, self.threads = folder, threads
        data = generate(stores=stores, departments=81, weeks=143, seed=7)
        self.sales_rows = len(data.sales)
        self.lake = ParquetLake(uri=str(folder / "local"))
        for week, rows in data.sales.groupby("week"):
            self.lake.write("raw_sales", week_key(pd.Timestamp(str(week))), rows)
        self.sales = TableRef(self.lake.uri, "raw_sales", tuple(self.lake.partitions("raw_sales")))
        calendar = calendar_for(calendar_from_covariates(data.conditions), US, data.sales["week"], HORIZON)
        self.panel: Panel = build_panel(data.sales, data.conditions, data.stores, calendar, HORIZON)
        self.origins = list(weeks_between(first_origin(self.panel.weeks), self.panel.weeks[-1]))
        # All targets of the judged origin have come.
        self.as_of = add_weeks(self.panel.weeks[-1], -HORIZON)
        self.series = len(self.panel.series)
        made = self.series * HORIZON * len(self.origins)
        self.model: Forecaster | None = None
        self.first: dict[str, Any] = {}
        self.config = XGBoostConfig(rounds=rounds, seed=7, threads=threads, members=members).bounded(made, most_rows)

    def all_of(self, workers: Workers, name: str) -> dict[str, Any]:
        """Features, training and drift."""
        return {
            "features": self.features(workers, name),
            "training": self.training(workers),
            "drift": self.drift(workers),
        }

    def _require_same(self, what: str, made: Any) -> None:
        """SystemExit unless it is what the first workers made."""
        if self.first.setdefault(what, made) != made:
            raise SystemExit(f"{what} differ from what one machine made")

    def features(self, workers: Workers, name: str) -> dict[str, Any]:
        lake = ParquetLake(uri=str(self.folder / name))
        made = _timed(
            workers,
            lambda: write_features(
                workers, lake, "demand_features", self.panel, self.origins, HORIZON, SERIES_PER_BLOCK, {}
            ),
        )
        rows, size = made.pop("result")
        self._require_same("features", lake.versions("demand_features"))
        return {**made, "rows": rows, "bytes": size}

    def training(self, workers: Workers) -> dict[str, Any]:
        features = self._stored_features()
        made = _timed(workers, lambda: next(train_stored(features, self.sales, [self.as_of], self.config, workers)))
        model: Forecaster = made.pop("result")
        self.model = self.model or model
        self._require_same(
            "models", [bytes(one.booster.save_raw()) for one in model.members if isinstance(one, XGBoost)]
        )
        return {**made, "rows": model.rows, **self._scores(model, features)}

    def drift(self, workers: Workers) -> dict[str, Any]:
        """The newest week's report against the year before, by the first model trained."""
        features = self._stored_features()
        keys = features.keys[-1 - HISTORY_WEEKS :]
        features = features.only(keys)
        newest = features.only(keys[-1:]).read(
            ["store_id", "dept_id", "origin_week", "scale", "store_type", "target_week", "is_holiday"]
        )
        judged = JudgedWeek.of(newest, self.as_of)
        rows = DriftRows(features, TableRef(self.lake.uri, PREDICTIONS_TABLE, keys))

        def report() -> pd.DataFrame:
            predicted = workers.map(stored_predictions, keys, features, self.model)
            for key, predictions in zip(keys, predicted, strict=True):
                self.lake.write(PREDICTIONS_TABLE, key, predictions)
            targets = newest[["target_week", "is_holiday"]]
            most_values = DRIFT_VARIABLES * self.series * len(keys)
            return stored_report(rows, judged, targets, self.panel.calendar, lambda _: workers, most_values)

        made = _timed(workers, report)
        self._require_same("drift reports", content_version(made.pop("result")))
        return made

    def _stored_features(self) -> TableRef:
        return TableRef(self.lake.uri, "demand_features", tuple(map(week_key, self.origins)))

    def _scores(self, model: Forecaster, features: TableRef) -> dict[str, float]:
        rows = features.only([week_key(self.as_of)]).read()
        actual = actuals_of(rows, self.sales.only(self.sales.keys[-HORIZON:]).read())
        forecast = model.predict(rows)["forecast"].to_numpy()
        known = ~np.isnan(actual)
        actual, forecast = actual[known], forecast[known]
        return {
            "wmae": wmae(actual, forecast, rows["is_holiday"].to_numpy()[known] > 0),
            "mae": float(mean_absolute_error(actual, forecast)),
            "rmse": float(root_mean_squared_error(actual, forecast)),
            "bias": bias(actual, forecast),
        }


def _cpu(workers: Workers) -> float:
    """Processor seconds so far of this process and of the workers that live."""
    own = time.process_time()
    return own + (sum(workers.client.run(time.process_time).values()) if isinstance(workers, DaskWorkers) else 0.0)


def _timed(workers: Workers, work: Callable[[], Any]) -> dict[str, Any]:
    began, before = time.perf_counter(), _cpu(workers)
    result = work()
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(_cpu(workers) - before, 1),
        "result": result,
    }


def _kill_a_trainer(workers: DaskWorkers, after_seconds: float, killed: list[float]) -> None:
    """SIGKILL to one worker, some seconds after the first of them began to train."""
    while True:
        busy = workers.client.processing()
        training = [worker for worker, keys in busy.items() if any(str(key).startswith("train_part") for key in keys)]
        if training:
            break
        time.sleep(0.1)
    time.sleep(after_seconds)
    os.kill(workers.client.run(os.getpid, workers=training[:1])[training[0]], signal.SIGKILL)
    killed.append(time.perf_counter())


def _shown(name: str, run: dict[str, Any]) -> str:
    took = ""
    for step in ("features", "training", "drift"):
        made = run.get(step)
        took += f"{made['seconds']:>11.1f}{made['cpu_seconds']:>8.1f}" if made else f"{'':>19}"
    return f"{name:<26}{took}{run['training']['wmae']:>10.2f}"


@click.command()
@click.option(
    "--stores", default=450, show_default=True, help="Stores of the invented retailer; 45 are Walmart's size."
)
@click.option("--workers", default="1,2,4", show_default=True, help="Numbers of worker processes to try, in order.")
@click.option("--rounds", default=100, show_default=True)
@click.option("--members", default=2, show_default=True, help="Members of the ensemble: at most as many workers train.")
@click.option(
    "--training-rows",
    default=Settings.model_fields["training_rows"].default,
    show_default=True,
    help="Of more rows a member learns from about as many, as in the job.",
)
@click.option("--kill/--no-kill", default=False, help="Kill a worker while it trains, with the last number of workers.")
@click.option("--kill-after", default=5.0, show_default=True, help="Seconds of training before the kill.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to work; default: a temporary folder.")
def main(
    stores: int,
    workers: str,
    rounds: int,
    members: int,
    training_rows: int,
    kill: bool,
    kill_after: float,
    folder: Path | None,
) -> None:
    """Print seconds and processor seconds of features, training and drift, and WMAE; stop where a result differs."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        threads = usable_cores()
        job = _Job(Path(place), stores, rounds, members, threads, training_rows)
        print(f"{job.series:,} series, {job.sales_rows:,} rows of sales, {len(job.origins)} origins, {threads} cores")
        heads = "".join(f"{f'{step}, s':>11}{'CPU s':>8}" for step in ("features", "train", "drift"))
        print(f"{'':<26}{heads}{'WMAE':>10}")
        runs = [{"workers": 0, **job.all_of(ThisMachine(threads), "local")}]
        print(_shown("one machine", runs[0]), flush=True)
        for count in map(int, workers.split(",")):
            there, closing = open_cluster("", count, threads)
            with closing:
                runs.append({"workers": count, **job.all_of(there, f"{count}")})
                print(_shown(f"{count} workers", runs[-1]), flush=True)
                if kill and count == int(workers.rsplit(",", 1)[-1]):
                    killed: list[float] = []
                    began = time.perf_counter()
                    assassin = threading.Thread(target=_kill_a_trainer, args=(there, kill_after, killed))
                    assassin.start()
                    survived = job.training(there)
                    assassin.join()
                    at = round(killed[0] - began, 1)
                    runs.append({"workers": count, "killed_at": at, "training": survived})
                    print(_shown(f"{count}, one killed at {at} s", runs[-1]))
    payload = {"stores": stores, "series": job.series, "rounds": rounds, "members": members, "threads": threads}
    path = os.path.relpath(write("dask_workers", {**payload, "runs": runs}))
    print(f"features, models and drift are the same to the byte; written to {path}")


if __name__ == "__main__":
    main()
