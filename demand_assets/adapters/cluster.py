"""The engine whose work runs on the workers of a Dask cluster.

Each worker does one piece of work at a time, with all its cores. Work that is lost with its worker is done again on
another: Dask repeats what it lost, and what Dask cannot repeat (a training that all workers do together, data sent to
workers that are gone) is begun anew here.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from demand_assets.adapters.cluster_services import set_tasks, stop_unless_shared
from demand_assets.adapters.engine import (
    ROWS_PER_PIECE,
    forecast_stored_origin,
    forecast_with_stored,
    stored_member_rows,
    write_origins,
)
from demand_assets.adapters.lake_rows import LakeRows
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.errors import EngineError

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client, Future, LocalCluster

    from demand_assets.forecasting.backtest import Backtest
    from demand_assets.forecasting.model import Forecaster, MemberRows, ModelConfig
    from demand_assets.forecasting.panel import Panel

Item = TypeVar("Item")
Made = TypeVar("Made")
log = logging.getLogger(__name__)

# Dask has its workers give every freed piece of memory back at once, and arrays then take longer to get than to fill.
# These are the values that the C library comes to by itself where nobody sets any; threads are given by name.
SPAWNED_WITH = {
    "MALLOC_TRIM_THRESHOLD_": "67108864",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
# How often work is begun anew after workers were lost, before the cluster is held to be at fault.
ATTEMPTS = 4
CONNECT_SECONDS, WORKER_SECONDS = 30.0, 300.0
# A peer that vanished without closing its connections is noticed after this long; those that did, at once.
COLLECTIVE_SECONDS = 120
LOST_SECONDS = 10.0
# Share of a worker's memory that the rows of a fit may take, whose joining takes as much for a moment.
FIT_SHARE = 0.3


def worker_facts() -> dict[str, str]:
    """What must be the same on every machine for their parts to fit together, and the threads this one may use."""
    import platform

    import dask
    import distributed
    import numpy as np
    import pandas as pd
    import xgboost

    from demand_assets.provenance import code_version
    from demand_assets.settings import usable_cores

    return {
        "code": code_version(),
        "python": platform.python_version(),
        **{library.__name__: library.__version__ for library in (dask, distributed, np, pd, xgboost)},
        THREADS: os.environ.get("DEMAND_THREADS") or str(usable_cores()),
    }


THREADS = "threads"


class DaskEngine:
    """Work on the cluster of `client`, which is closed by whoever opened it."""

    def __init__(self, client: "Client", workers: int) -> None:
        """`workers`: how many to wait for before work that all of them share; fewer do when no more come."""
        self.client: Any = client
        self.workers = workers
        self._checked: dict[str, str] = {}
        self._threads = 1

    def is_open(self) -> bool:
        """Whether the scheduler is still there."""
        return bool(self.client.status == "running")

    def map(self, function: Callable[..., Made], items: Iterable[Item], *shared: Any) -> Iterator[Made]:
        """`function(*shared, item)` of each item, in order; what is `shared` goes to every worker once.

        EngineError when workers were lost again and again.
        """
        wanted = list(items)
        done = 0
        for attempt in range(1, ATTEMPTS + 1):
            self._ready()
            sent = self.client.scatter(list(shared), broadcast=True, hash=False) if shared else []
            waiting = [self.client.submit(function, *sent, item, pure=False) for item in wanted[done:]]
            try:
                while waiting:
                    made = waiting[0].result()
                    waiting.pop(0)
                    done += 1
                    yield made
            except _lost() as error:
                self._again(attempt, error, f"{function.__name__} after {done} of {len(wanted)}")
            else:
                return

    def _known(self) -> dict[str, dict[str, Any]]:
        """Every worker that the scheduler knows, by address."""
        # Not scheduler_info: in the background it is refreshed with a few workers only, also while it is being read.
        found: dict[str, dict[str, Any]] = self.client.sync(self.client.scheduler.identity, n_workers=-1)["workers"]
        return found

    def _ready(self) -> list[str]:
        """Addresses of the workers, by name, once as many as wanted are there, or no more came for a while.

        EngineError when none is there or one runs other code.
        """
        deadline = time.monotonic() + WORKER_SECONDS
        while True:
            known = self._known()
            if len(known) >= self.workers:
                break
            if time.monotonic() > deadline:
                if known:
                    log.warning("going on with %d of %d workers", len(known), self.workers)
                    break
                raise EngineError(
                    f"no worker joined the Dask scheduler {self.client.scheduler.address} in {WORKER_SECONDS:.0f} s; "
                    "start workers there, or set DEMAND_ENGINE=local"
                )
            time.sleep(0.2)
        unchecked = [address for address in known if address not in self._checked]
        if unchecked:
            self._check(unchecked)
        # By name: an address is another after a restart, and who works on which rows decides a model's last digits.
        return sorted(known, key=lambda address: (len(str(known[address]["name"])), str(known[address]["name"])))

    def _check(self, addresses: Sequence[str]) -> None:
        expected = worker_facts()
        for address, found in self.client.run(worker_facts, workers=list(addresses)).items():
            threads = found.pop(THREADS)
            differing = [name for name, value in found.items() if value != expected[name]]
            if differing:
                name = differing[0]
                raise EngineError(
                    f"worker {address} runs {name} {found[name]}, this process {expected[name]}; "
                    "deploy one image to the scheduler, its workers and the pipeline"
                )
            self._checked[address] = threads
        self._threads = min(int(threads) for threads in self._checked.values())

    def _again(self, attempt: int, error: Exception, what: str) -> None:
        """Take note of lost workers before another attempt; EngineError when it was the last."""
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        if attempt == ATTEMPTS:
            raise EngineError(
                f"{what}: workers were lost {ATTEMPTS} times, last: {cause}; give them more memory, or more of them"
            ) from error
        log.warning("%s: begun anew after a lost worker (%s)", what, cause)

    def write_features(
        self,
        lake: ParquetLake,
        table: str,
        panel: "Panel",
        origins: "Sequence[pd.Timestamp]",
        horizon_weeks: int,
        series_per_block: int,
        notes: Mapping[str, Mapping[str, str]],
    ) -> tuple[int, int]:
        """Each worker makes and writes some origins at a time, so that no row passes this process."""
        # Dealt in turn: later origins have more history, and take four times as long as the first.
        count = min(len(origins), 2 * len(self._ready()))
        parts = [list(origins[first::count]) for first in range(count)]
        shared = (lake.place(table), table, panel, horizon_weeks, series_per_block, self._threads, dict(notes))
        rows, size = zip(*self.map(write_origins, parts, *shared), strict=True)
        return sum(rows), sum(size)

    def backtest(
        self,
        features: LakeRows,
        sales: LakeRows,
        origins: "Sequence[pd.Timestamp]",
        horizon_weeks: int,
        config: "ModelConfig",
        stores: Sequence[int] | None = None,
        progress: "Callable[[pd.Timestamp], None] | None" = None,
    ) -> "Backtest":
        """Origins side by side, each a worker's own while its rows fit there; else one after another by all workers."""
        import pandas as pd

        from demand_assets.forecasting.backtest import assemble_folds, origins_to_forecast
        from demand_assets.forecasting.weeks import as_week

        self._ready()
        stored = pd.DatetimeIndex([as_week(key) for key in features.keys])
        wanted = origins_to_forecast(origins, stored, horizon_weeks)
        here = config.model_copy(update={"threads": self._threads})
        newest = len(features.only(features.keys[-1:]).read(["horizon"]))
        if self._fits(newest * len(features.keys), config):
            # The newest first: it has the most rows, and would else be waited for alone.
            tasks = self.map(forecast_stored_origin, wanted[::-1], features, sales, stores, here)
        else:
            tasks = (self._forecast_together(features, sales, stores, here, origin) for origin in wanted[::-1])
        made = []
        for origin, forecasts in zip(wanted[::-1], tasks, strict=True):
            made.append(forecasts)
            if progress is not None:
                progress(origin)
        return assemble_folds(made[::-1], origins, horizon_weeks, config.quantiles)

    def _fits(self, rows: int, config: "ModelConfig") -> bool:
        """Whether one worker can hold what all members of a fit learn from."""
        from demand_assets.forecasting.features import FEATURES

        known = self._known()
        # Without a limit a worker would not be known to be too small.
        limits = [worker["memory_limit"] for worker in known.values() if worker["memory_limit"]]
        size = rows * len(FEATURES) * 4 * config.members / config.keep_one_in
        return bool(limits) and size <= FIT_SHARE * min(limits)

    def _forecast_together(
        self,
        features: LakeRows,
        sales: LakeRows,
        stores: Sequence[int] | None,
        config: "ModelConfig",
        origin: "pd.Timestamp",
    ) -> "tuple[pd.DataFrame, float]":
        forecaster = self.fit(features, sales, origin, config)
        (made,) = self.map(forecast_with_stored, [origin], features, sales, stores, forecaster)
        return made

    def fit(self, features: LakeRows, sales: LakeRows, as_of: "pd.Timestamp", config: "ModelConfig") -> "Forecaster":
        """Every worker reads some of the weeks, and all train each member together.

        When a worker is lost the member is trained anew by those that are there then. The same rows on as many
        workers give the same model. EngineError when workers were lost again and again.
        """
        from demand_assets.forecasting.model import forecaster_of, require_rows
        from demand_assets.partitions import week_key

        key = week_key(as_of)
        known = features.only([name for name in features.keys if name < key])
        boosters, rows = [], 0
        started = time.perf_counter()
        for member in range(config.members):
            booster, learnt_from = self._member(known, sales, as_of, config, member)
            require_rows(learnt_from, as_of)
            boosters.append(booster)
            rows += learnt_from
        return forecaster_of(boosters, config, as_of, rows, time.perf_counter() - started)

    def _member(
        self, features: LakeRows, sales: LakeRows, as_of: "pd.Timestamp", config: "ModelConfig", member: int
    ) -> tuple[Any, int]:
        """A member's booster and the number of rows it learnt from, in as many attempts as it takes."""
        for attempt in range(1, ATTEMPTS + 1):
            workers = self._ready()
            parts = self._dealt(workers, features, sales, as_of, config, member)
            try:
                return self._watched(workers, partial(self._train, parts, config, member))
            except (*_lost(), *_broken()) as error:
                # An error without a lost worker is of the work itself, and would come again.
                if not self._is_lost(workers, LOST_SECONDS):
                    raise
                self._restart(workers)
                self._again(attempt, error, f"training member {member + 1} of {config.members}")
        raise AssertionError("the last attempt raises")

    def _dealt(
        self,
        workers: Sequence[str],
        features: LakeRows,
        sales: LakeRows,
        as_of: "pd.Timestamp",
        config: "ModelConfig",
        member: int,
    ) -> "dict[str, Future]":
        """What a member learns from, each worker its share; neighbouring weeks, because they share their targets."""
        shares = _shares(features.keys, len(workers))
        return {
            worker: self._on(worker, _part_of_member, features.only(share), sales, as_of, config, member)
            for worker, share in zip(workers, shares, strict=False)
        }

    def _train(self, parts: "Mapping[str, Future]", config: "ModelConfig", member: int) -> tuple[Any, int]:
        """A member's booster, and the number of rows it learnt from; None of none."""
        import xgboost.dask
        from dask import array as dask_array
        from xgboost.collective import Config

        from demand_assets.forecasting.features import FEATURES

        da: Any = dask_array
        sizes = self.client.gather([self._on(worker, _size, part) for worker, part in parts.items()])
        rows = sum(count for count, _ in sizes)
        if not rows:
            return None, 0
        mean = sum(weight for _, weight in sizes) / rows

        def column(name: str, shape: tuple[int, ...], dtype: str) -> Any:
            pieces = [
                da.from_delayed(self._on(worker, _column, part, name, mean), (count, *shape), dtype=dtype)
                for (worker, part), (count, _) in zip(parts.items(), sizes, strict=True)
                if count
            ]
            return da.concatenate(pieces)

        matrix = xgboost.dask.DaskQuantileDMatrix(
            self.client,
            column("values", (len(FEATURES),), "float32"),
            label=column("target", (), "float64"),
            weight=column("weight", (), "float64"),
            feature_names=list(FEATURES),
            max_bin=config.max_bin,
        )
        trained = xgboost.dask.train(
            self.client,
            {**config.booster_params(member), "nthread": self._threads},
            matrix,
            num_boost_round=config.rounds,
            # The tracker waits without end: who waits for it after a worker was lost is started again.
            coll_cfg=Config(timeout=COLLECTIVE_SECONDS),
        )
        return trained["booster"], rows

    def _on(self, worker: str, function: Callable[..., Any], *arguments: Any) -> "Future":
        """Only there: what is lost with its worker is to be dealt anew, not repeated by one that has its own share."""
        made: Future = self.client.submit(function, *arguments, workers=[worker], allow_other_workers=False, pure=False)
        return made

    def _watched(self, workers: Sequence[str], work: Callable[[], Made]) -> Made:
        """What `work` returns or raises; CancelledError when it does neither after one of `workers` is gone.

        Work that is bound to a lost worker would be waited for without end.
        """
        outcome: futures.Future[Made] = futures.Future()

        def run() -> None:
            try:
                outcome.set_result(work())
            except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
                outcome.set_exception(error)

        threading.Thread(target=run, daemon=True, name="training").start()
        while not futures.wait([outcome], timeout=0.5).done:
            if not self._is_lost(workers, 0) or futures.wait([outcome], timeout=LOST_SECONDS).done:
                continue
            if self._is_lost(workers, 0):
                raise futures.CancelledError("a worker is gone, and those it worked with wait for it")
        return outcome.result()

    def _is_lost(self, workers: Sequence[str], seconds: float) -> bool:
        """Whether one of `workers` is gone; the scheduler may learn of it later than those it worked with."""
        deadline = time.monotonic() + seconds
        while not set(workers) - set(self._known()):
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.2)
        return True

    def _restart(self, workers: Sequence[str]) -> None:
        """Free those left of a training that one of them was lost from: some may wait in it for the lost one."""
        left = [address for address in workers if address in self._known()]
        if left:
            self.client.restart_workers(left, timeout=WORKER_SECONDS, raise_for_error=False)

    def predict(self, forecaster: "Forecaster", features: "pd.DataFrame") -> "pd.DataFrame":
        """Pieces of rows side by side; few rows here, since sending them would take longer."""
        import pandas as pd

        if len(features) <= ROWS_PER_PIECE:
            return forecaster.predict(features)
        needed = features[forecaster.inputs]
        pieces = (needed.iloc[first : first + ROWS_PER_PIECE] for first in range(0, len(features), ROWS_PER_PIECE))
        return pd.concat(self.map(_predict, pieces, forecaster), ignore_index=True)


def _predict(forecaster: "Forecaster", features: "pd.DataFrame") -> "pd.DataFrame":
    return forecaster.predict(features)


def _part_of_member(
    features: LakeRows, sales: LakeRows, as_of: "pd.Timestamp", config: "ModelConfig", member: int
) -> "MemberRows":
    (part,) = stored_member_rows(features, sales, as_of, config, [member])
    return part


def _size(part: "MemberRows") -> tuple[int, float]:
    return len(part.target), float(part.weight.sum())


def _column(part: "MemberRows", name: str, mean_weight: float) -> Any:
    return part.weight / mean_weight if name == "weight" else getattr(part, name)


def _shares(keys: Sequence[str], workers: int) -> list[list[str]]:
    """`keys` in order, dealt to as many workers as have any, as evenly as can be."""
    count = min(len(keys), workers)
    ends = [len(keys) * part // count for part in range(1, count + 1)] if count else []
    return [list(keys[first:last]) for first, last in zip([0, *ends], ends, strict=False)]


def _lost() -> tuple[type[Exception], ...]:
    """What Dask raises when work or data is gone with its worker."""
    from distributed.client import FutureCancelledError
    from distributed.comm.core import CommClosedError
    from distributed.scheduler import KilledWorker

    return (futures.CancelledError, FutureCancelledError, CommClosedError, KilledWorker)


def _broken() -> tuple[type[Exception], ...]:
    """What xgboost.dask raises when a worker of a training is gone; each may also mean something else."""
    from xgboost.core import XGBoostError

    # RuntimeError: a worker is missing before it begins; ValueError: its part went to another.
    return (XGBoostError, RuntimeError, ValueError, TimeoutError)


def open_cluster(scheduler: str, workers: int, threads: int, services: str = "") -> "tuple[DaskEngine, ExitStack]":
    """An engine on the cluster at `scheduler`, and what closes it; empty: `workers` processes of this machine.

    A local cluster shares `threads` and memory among its processes. `services` (`cluster/prefix`) names ECS services
    that are started first and stopped at the end. EngineError when the scheduler cannot be reached.
    """
    with ExitStack() as opened:
        if services:
            set_tasks(services, 1, workers)
            stopped = opened.enter_context(ExitStack())
            stopped.callback(set_tasks, services, 0, 0)
        if not scheduler:
            scheduler = opened.enter_context(_local_workers(workers, threads)).scheduler_address
        client = opened.enter_context(_connected(scheduler, CONNECT_SECONDS if not services else WORKER_SECONDS))
        if services:
            # From here on it can be known whether others use the cluster too.
            stopped.pop_all()
            opened.callback(stop_unless_shared, services, client)
        return DaskEngine(client, workers), opened.pop_all()


def _local_workers(workers: int, threads: int) -> "LocalCluster":
    import dask
    from distributed import LocalCluster
    from distributed.system import MEMORY_LIMIT

    with dask.config.set({"distributed.nanny.pre-spawn-environ": {**SPAWNED_WITH}}):
        return LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            memory_limit=int(MEMORY_LIMIT / workers),
            dashboard_address=None,
            # Any free port for health and metrics: the usual one may be another cluster's.
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            worker_dashboard_address=None,
            silence_logs=logging.ERROR,
            env={"DEMAND_THREADS": str(max(1, threads // workers))},
        )


def _connected(scheduler: str, seconds: float) -> "Client":
    from distributed import Client

    try:
        return Client(scheduler, timeout=seconds)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise EngineError(
            f"the Dask scheduler {scheduler} cannot be reached: {(str(error).splitlines() or ['no answer'])[0]}; "
            "start it, correct DEMAND_DASK_SCHEDULER, or set DEMAND_ENGINE=local"
        ) from error
