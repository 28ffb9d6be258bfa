"""The cluster engine beside one machine: features, training, and a worker killed in mid-training.

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
from demand_assets.adapters.cluster import DaskEngine, open_cluster
from demand_assets.adapters.engine import Engine, LocalEngine
from demand_assets.forecasting.model import Forecaster, ModelConfig, actuals_of, thinned

from benchmarks.machine import write
from demand_assets.adapters.drift_rows import PREDICTIONS_TABLE, DriftRows, stored_predictions, stored_report
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.table_refs import TableRef
from demand_assets.forecasting.calendar import calendar_from_conditions
from demand_assets.forecasting.drift import JudgedWeek
from demand_assets.forecasting.drift_measures import HISTORY_WEEKS
from demand_assets.forecasting.features import first_origin
from demand_assets.forecasting.metrics import bias, mae, rmse, wmae
from demand_assets.forecasting.panel import SERIES_PER_BLOCK, Panel, build_panel
from demand_assets.forecasting.weeks import add_weeks, weeks_between
from demand_assets.partitions import week_key
from demand_assets.sample import generate
from demand_assets.settings import Settings, usable_cores

HORIZON = 4
# As many variables as a job of a hundred times Walmart's size measures at once.
DRIFT_VARIABLES = 6


class _Job:
    """A retailer whose sales are in a lake, and what is asked of an engine."""

    def __init__(self, folder: Path, stores: int, rounds: int, threads: int, most_rows: int) -> None:
        self.folder, self.threads = folder, threads
        data = generate(stores=stores, departments=81, weeks=143, seed=7)
        self.sales_rows = len(data.sales)
        self.lake = ParquetLake(uri=str(folder / "local"))
        for week, rows in data.sales.groupby("week"):
            self.lake.write("raw_sales", week_key(pd.Timestamp(str(week))), rows)
        self.sales = TableRef(self.lake.uri, "raw_sales", tuple(self.lake.partitions("raw_sales")))
        calendar = calendar_from_conditions(data.conditions)
        self.panel: Panel = build_panel(data.sales, data.conditions, data.stores, calendar, HORIZON)
        self.origins = list(weeks_between(first_origin(self.panel.weeks), self.panel.weeks[-1]))
        # All targets of the judged origin have come.
        self.as_of = add_weeks(self.panel.weeks[-1], -HORIZON)
        self.series = len(self.panel.series)
        made = self.series * HORIZON * len(self.origins)
        self.model: Forecaster | None = None
        self.config = thinned(ModelConfig(rounds=rounds, seed=7, threads=threads), made, most_rows)

    def features(self, engine: Engine, name: str) -> dict[str, Any]:
        lake = ParquetLake(uri=str(self.folder / name))
        made = _timed(
            engine,
            lambda: engine.write_features(
                lake, "demand_features", self.panel, self.origins, HORIZON, SERIES_PER_BLOCK, {}
            ),
        )
        rows, size = made.pop("result")
        return {**made, "rows": rows, "bytes": size, "versions": lake.versions("demand_features")}

    def training(self, engine: Engine, seed: int = 7) -> dict[str, Any]:
        features = self._stored_features()
        config = self.config.model_copy(update={"seed": seed})
        made = _timed(engine, lambda: engine.fit(features, self.sales, self.as_of, config))
        model: Forecaster = made.pop("result")
        self.model = self.model or model
        return {**made, "rows": model.rows, **self._scores(model, features)}

    def drift(self, engine: Engine) -> dict[str, Any]:
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
            predicted = engine.map(stored_predictions, keys, features, self.model)
            for key, predictions in zip(keys, predicted, strict=True):
                self.lake.write(PREDICTIONS_TABLE, key, predictions)
            targets = newest[["target_week", "is_holiday"]]
            most_values = DRIFT_VARIABLES * self.series * len(keys)
            return stored_report(rows, judged, targets, lambda _: engine, most_values)

        return _timed(engine, report)

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
            **{measure.__name__: measure(actual, forecast) for measure in (mae, rmse, bias)},
        }


def _cpu(engine: Engine) -> float:
    """Processor seconds so far of this process and of the workers that live."""
    own = time.process_time()
    return own + (sum(engine.client.run(time.process_time).values()) if isinstance(engine, DaskEngine) else 0.0)


def _timed(engine: Engine, work: Callable[[], Any]) -> dict[str, Any]:
    began, before = time.perf_counter(), _cpu(engine)
    result = work()
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(_cpu(engine) - before, 1),
        "result": result,
    }


def _kill_a_trainer(engine: DaskEngine, after_seconds: float, killed: list[float]) -> None:
    """SIGKILL to one worker, some seconds after all of them began to train."""
    workers = len(engine.client.scheduler_info(n_workers=-1)["workers"])
    while True:
        busy = engine.client.processing()
        training = [worker for worker, keys in busy.items() if any(str(key).startswith("fn-") for key in keys)]
        if len(training) == workers:
            break
        time.sleep(0.1)
    time.sleep(after_seconds)
    os.kill(engine.client.run(os.getpid, workers=training[-1:])[training[-1]], signal.SIGKILL)
    killed.append(time.perf_counter())


def _shown(name: str, run: dict[str, Any], reference: dict[str, Any]) -> str:
    took = ""
    for step in ("features", "training", "drift"):
        made = run.get(step)
        took += f"{made['seconds']:>11.1f}{made['cpu_seconds']:>8.1f}" if made else f"{'':>19}"
    changes = "".join(f"{run['training'][figure] / reference[figure] - 1:>+10.3%}" for figure in ("wmae", "rmse"))
    return f"{name:<26}{took}{run['training']['wmae']:>10.2f}{changes}"


@click.command()
@click.option(
    "--stores", default=450, show_default=True, help="Stores of the invented retailer; 45 are Walmart's size."
)
@click.option("--workers", default="1,2,4", show_default=True, help="Numbers of worker processes to try, in order.")
@click.option("--rounds", default=100, show_default=True)
@click.option(
    "--training-rows",
    default=Settings.model_fields["training_rows"].default,
    show_default=True,
    help="Of more rows a member learns from about as many, as in the job.",
)
@click.option("--kill/--no-kill", default=False, help="Kill a worker in mid-training, with the last number of workers.")
@click.option("--kill-after", default=5.0, show_default=True, help="Seconds of training before the kill.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to work; default: a temporary folder.")
def main(
    stores: int, workers: str, rounds: int, training_rows: int, kill: bool, kill_after: float, folder: Path | None
) -> None:
    """Print seconds and processor seconds of features, training and drift, WMAE, and changes against one machine.

    What another seed changes on one machine says how large a change is.
    """
    with tempfile.TemporaryDirectory(dir=folder) as place:
        threads = usable_cores()
        job = _Job(Path(place), stores, rounds, threads, training_rows)
        print(f"{job.series:,} series, {job.sales_rows:,} rows of sales, {len(job.origins)} origins, {threads} cores")
        heads = "".join(f"{f'{step}, s':>11}{'CPU s':>8}" for step in ("features", "train", "drift"))
        print(f"{'':<26}{heads}{'WMAE':>10}{'change':>10}{'of RMSE':>10}")
        here = LocalEngine(threads)
        alone: dict[str, Any] = {"engine": "local", "features": job.features(here, "local")}
        versions = alone["features"].pop("versions")
        reference = alone["training"] = job.training(here)
        alone["drift"] = job.drift(here)
        report = alone["drift"].pop("result")
        print(_shown("one machine", alone, reference), flush=True)
        runs = [alone, {"engine": "local", "seed": 8, "training": job.training(here, seed=8)}]
        print(_shown("one machine, other seed", runs[-1], reference), flush=True)
        counts = [int(count) for count in workers.split(",")]
        for count in counts:
            engine, closing = open_cluster("", count, threads)
            with closing:
                run: dict[str, Any] = {"engine": "dask", "workers": count, "features": job.features(engine, f"{count}")}
                if run["features"].pop("versions") != versions:
                    raise SystemExit(f"{count} workers made other features than one machine")
                run["training"], run["drift"] = job.training(engine), job.drift(engine)
                pd.testing.assert_frame_equal(run["drift"].pop("result"), report)
                runs.append(run)
                print(_shown(f"{count} workers", run, reference), flush=True)
                if kill and count == counts[-1]:
                    killed: list[float] = []
                    began = time.perf_counter()
                    assassin = threading.Thread(target=_kill_a_trainer, args=(engine, kill_after, killed))
                    assassin.start()
                    survived = job.training(engine)
                    assassin.join()
                    at = round(killed[0] - began, 1)
                    runs.append({"engine": "dask", "workers": count, "killed_at": at, "training": survived})
                    print(_shown(f"{count} workers, killed", runs[-1], reference))
                    print(
                        f"a worker was killed after {at} s; the model is the one of {count} undisturbed workers: "
                        f"{survived['wmae'] == run['training']['wmae']}"
                    )
    payload = {"stores": stores, "series": job.series, "rounds": rounds, "threads": threads, "runs": runs}
    print(f"features and drift are the same; written to {os.path.relpath(write('dask_workers', payload))}")


if __name__ == "__main__":
    main()
