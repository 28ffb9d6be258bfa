"""Workers of a Dask cluster beside one machine: features, training, and a worker killed while it trains.

Every worker is a process of this machine, and all together have its cores: with fewer cores than workers wall seconds
cannot fall, and what the cluster costs is told by processor seconds.
"""

import os
import signal
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import click

from benchmarks.dask_job import STEPS, Job
from benchmarks.machine import write
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.compute import DaskWorkers, ThisMachine, open_cluster
from demand_assets.cores import usable_cores
from demand_assets.forecasting.ports import Workers
from demand_assets.settings import Settings


def _cpu(workers: Workers) -> dict[str, float]:
    """Processor seconds so far of this process and of the workers that live."""
    own = time.process_time()
    there = sum(workers.client.run(time.process_time).values()) if isinstance(workers, DaskWorkers) else 0.0
    return {"cpu_seconds": own + there}


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
    for step in STEPS:
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
        job = Job(Path(place), stores, rounds, members, threads, training_rows)
        print(f"{job.series:,} series, {job.sales_rows:,} rows of sales, {len(job.origins)} origins, {threads} cores")
        heads = "".join(f"{f'{step}, s':>11}{'CPU s':>8}" for step in ("features", "train", "drift"))
        print(f"{'':<26}{heads}{'WMAE':>10}")
        alone = ThisMachine(threads)
        runs = [{"workers": 0, **job.all_of(alone, f"{place}/local", partial(_cpu, alone))}]
        print(_shown("one machine", runs[0]), flush=True)
        for count in map(int, workers.split(",")):
            there, closing = open_cluster("", count, threads)
            meter = partial(_cpu, there)
            with closing:
                runs.append({"workers": count, **job.all_of(there, f"{place}/{count}", meter)})
                print(_shown(f"{count} workers", runs[-1]), flush=True)
                if kill and count == int(workers.rsplit(",", 1)[-1]):
                    killed: list[float] = []
                    began = time.perf_counter()
                    assassin = threading.Thread(target=_kill_a_trainer, args=(there, kill_after, killed))
                    assassin.start()
                    survived = job.training(there, ParquetLake(uri=f"{place}/{count}"), meter)
                    assassin.join()
                    at = round(killed[0] - began, 1)
                    runs.append({"workers": count, "killed_at": at, "training": survived})
                    print(_shown(f"{count}, one killed at {at} s", runs[-1]))
    payload = {"stores": stores, "series": job.series, "rounds": rounds, "members": members, "threads": threads}
    path = os.path.relpath(write("dask_workers", {**payload, "runs": runs}))
    print(f"features, models and drift are the same to the byte; written to {path}")


if __name__ == "__main__":
    main()
