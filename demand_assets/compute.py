"""Where heavy work runs: one verb, map over parts, on this machine or on the workers of a Dask cluster.

What is mapped must be a pure function of its arguments, so both give the same results to the byte. Large inputs are
named, not passed: each worker reads what it needs.

Each Dask worker does one part at a time, with all its cores. A part that is lost with its worker is done again by
another: Dask repeats what it lost, and what Dask cannot repeat (data sent to workers that are gone) is sent again here.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from demand_assets import provenance
from demand_assets.adapters.cluster_services import set_tasks, stop_unless_shared
from demand_assets.cores import usable_cores
from demand_assets.errors import EngineError
from demand_assets.forecasting.ports import Item, Made

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

log = logging.getLogger(__name__)

# Dask has its workers give every freed piece of memory back at once, and arrays then take longer to get than to fill.
# These are the values that the C library comes to by itself where nobody sets any; threads are given by name.
SPAWNED_WITH = {
    "MALLOC_TRIM_THRESHOLD_": "67108864",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
# How often work is sent again after workers were lost, before the cluster is held to be at fault.
ATTEMPTS = 4
CONNECT_SECONDS, WORKER_SECONDS = 30.0, 300.0


class ThisMachine:
    """This process, one part after the other."""

    count = 1

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def map(self, function: Callable[..., Made], parts: Iterable[Item], *shared: Any) -> Iterator[Made]:
        """One after the other."""
        return (function(*shared, part) for part in parts)


class DaskWorkers:
    """The workers of the cluster of `client`, which the caller closes."""

    def __init__(self, client: "Client", wanted: int) -> None:
        """`wanted`: how many workers to wait for; fewer do when no more come, and are then no longer waited for."""
        self.client: Any = client
        self.wanted = wanted
        self._checked: dict[str, int] = {}

    @property
    def is_open(self) -> bool:
        """Whether the scheduler is still there."""
        return bool(self.client.status == "running")

    @property
    def count(self) -> int:
        """Workers that are there; EngineError when none is or one runs other code."""
        return len(self._ready())

    @property
    def threads(self) -> int:
        """Threads of the worker with the fewest; EngineError when none is there or one runs other code."""
        return min(self._checked[address] for address in self._ready())

    def map(self, function: Callable[..., Made], parts: Iterable[Item], *shared: Any) -> Iterator[Made]:
        """`function(*shared, part)` of each part, in order; what is `shared` goes to every worker once.

        EngineError when workers were lost again and again.
        """
        wanted = list(parts)
        done = 0
        for attempt in range(1, ATTEMPTS + 1):
            self._ready()
            sent = self.client.scatter(list(shared), broadcast=True, hash=False) if shared else []
            waiting = [
                self.client.submit(_whole, function, *sent, part, key=f"{function.__name__}-{uuid4()}")
                for part in wanted[done:]
            ]
            try:
                while waiting:
                    made = waiting[0].result()
                    waiting.pop(0)
                    done += 1
                    yield made
            except _lost() as error:
                _note_loss(attempt, error, f"{function.__name__} after {done} of {len(wanted)}")
            else:
                return

    def _known(self) -> Mapping[str, Any]:
        """Every worker that the scheduler knows, by address."""
        # Not scheduler_info: in the background it is refreshed with a few workers only, also while it is being read.
        found: Mapping[str, Any] = self.client.sync(self.client.scheduler.identity, n_workers=-1)["workers"]
        return found

    def _ready(self) -> Sequence[str]:
        """Addresses of the workers, checked, once as many as wanted are there, or no more came for a while."""
        deadline = time.monotonic() + WORKER_SECONDS
        while len(known := self._known()) < self.wanted:
            if time.monotonic() > deadline:
                break
            time.sleep(0.2)
        if not known:
            raise EngineError(
                f"no worker joined the Dask scheduler {self.client.scheduler.address} in {WORKER_SECONDS:.0f} s; "
                "start workers there, or set DEMAND_ENGINE=local"
            )
        if len(known) < self.wanted:
            log.warning("going on with %d of %d workers", len(known), self.wanted)
            self.wanted = len(known)
        self._check([address for address in known if address not in self._checked])
        return list(known)

    def _check(self, addresses: Sequence[str]) -> None:
        """Note the threads of workers that are new here; EngineError when one runs other code than this process."""
        expected = code_facts()
        for address, (facts, threads) in self.client.run(_worker_facts, workers=addresses).items() if addresses else ():
            differing = [name for name, value in facts.items() if value != expected[name]]
            if differing:
                name = differing[0]
                raise EngineError(
                    f"worker {address} runs {name} {facts[name]}, this process {expected[name]}; "
                    "deploy one image to the scheduler, its workers and the pipeline"
                )
            self._checked[address] = threads


def code_facts() -> dict[str, str]:
    """What must be the same on every machine for their parts to fit together."""
    return {
        "code": provenance.code_version(),
        **{name: version(name) for name in ("dask", "distributed")},
        **provenance.libraries(),
    }


def _worker_facts() -> tuple[dict[str, str], int]:
    return code_facts(), int(os.environ.get("DEMAND_THREADS") or usable_cores())


def _whole(function: Callable[..., Made], *arguments: Any) -> Any:
    """What the function makes, an iterator as a list, which can be sent."""
    made = function(*arguments)
    return list(made) if isinstance(made, Iterator) else made


def _note_loss(attempt: int, error: Exception, what: str) -> None:
    """Log that workers were lost before another attempt; EngineError when it was the last."""
    cause = (str(error).splitlines() or [type(error).__name__])[0]
    if attempt == ATTEMPTS:
        raise EngineError(
            f"{what}: workers were lost {ATTEMPTS} times, last: {cause}; give them more memory, or more of them"
        ) from error
    log.warning("%s: sent again after a lost worker (%s)", what, cause)


def _lost() -> tuple[type[Exception], ...]:
    """What Dask raises when work or data is gone with its worker."""
    from distributed.client import FutureCancelledError
    from distributed.comm.core import CommClosedError
    from distributed.scheduler import KilledWorker

    return (futures.CancelledError, FutureCancelledError, CommClosedError, KilledWorker)


def open_cluster(scheduler: str, workers: int, threads: int, services: str = "") -> tuple[DaskWorkers, ExitStack]:
    """The workers of the cluster at `scheduler`, and what closes it; empty: `workers` processes of this machine.

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
        # It drops all but one copy of what was sent to every worker, while more parts that need it are yet to come.
        client.amm.stop()
        return DaskWorkers(client, workers), opened.pop_all()


@contextmanager
def _local_workers(workers: int, threads: int) -> Iterator["LocalCluster"]:
    import dask
    from distributed import LocalCluster
    from distributed.system import MEMORY_LIMIT

    configured = {
        "distributed.nanny.pre-spawn-environ": {**SPAWNED_WITH},
        # A worker that died is started again, but given up for good after this time: 15 s by default, in which a busy
        # machine does not import the libraries.
        "distributed.deploy.lost-worker-timeout": WORKER_SECONDS,
    }
    with (
        dask.config.set(configured),
        LocalCluster(  # type: ignore[no-untyped-call]
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
        ) as cluster,
    ):
        yield cluster


def _connected(scheduler: str, seconds: float) -> "Client":
    from distributed import Client

    try:
        return Client(scheduler, timeout=seconds)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise EngineError(
            f"the Dask scheduler {scheduler} cannot be reached: {(str(error).splitlines() or ['no answer'])[0]}; "
            "start it, correct DEMAND_DASK_SCHEDULER, or set DEMAND_ENGINE=local"
        ) from error
