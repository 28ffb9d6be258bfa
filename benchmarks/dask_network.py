"""Dask workers in network namespaces: what goes over the wire, and what less bandwidth and more latency cost.

The run, the scheduler, S3 and each worker are nodes of their own (benchmarks.wire). Workers read the lake from a shared
folder, of which the wire carries nothing, or from S3, of which it carries all. All share the cores of this machine, so
wall seconds do not fall with more workers; bytes, calls, and how much longer a step takes than without limits are what
holds for other machines. It stops where a result differs from that of one machine in a byte.
"""

import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from benchmarks.dask_job import STEPS, Job
from benchmarks.machine import write
from benchmarks.wire import Limits, Wire, WireError, carried, end, processor_seconds
from demand_assets.adapters.files import filesystem_at
from demand_assets.compute import SPAWNED_WITH, ThisMachine, open_cluster
from demand_assets.cores import usable_cores

NO_LIMITS = Limits()
RUN, SCHEDULER, S3 = "run", "scheduler", "s3"
PORT, S3_PORT, BUCKET = 8786, 9000, "lake"
START_SECONDS = 60
# S3 keeps a connection open, and sends an answer at once; moto does neither by itself.
S3_SERVER = """
import sys
from werkzeug.serving import WSGIRequestHandler as Handler
Handler.protocol_version, Handler.disable_nagle_algorithm = "HTTP/1.1", True
from moto.server import main
main(sys.argv[1:])
"""


class Cluster:
    """A scheduler and workers, each in its node, and what their links have carried."""

    def __init__(self, wire: Wire, count: int, threads: int, s3: int, calls: Path, opened: ExitStack) -> None:
        """`s3` is the process of the S3 server, and `calls` its log."""
        self.wire, self.calls = wire, calls
        address = f"tcp://{wire.address(SCHEDULER)}:{PORT}"
        dask = [sys.executable, "-m"]
        log = opened.enter_context((calls.parent / f"dask-{count}.log").open("w"))
        scheduler = wire.start(
            SCHEDULER, [*dask, "distributed.cli.dask_scheduler", "--no-dashboard", "--port", str(PORT)], {}, log
        )
        opened.callback(end, scheduler)
        environment = {**SPAWNED_WITH, "DEMAND_THREADS": str(max(1, threads // count))}
        # As docker/compose.yaml and Terraform start it; its share of the memory is smaller, as it shares the machine.
        worker = ["distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard", "--death-timeout", "300"]
        for number in range(1, count + 1):
            share = ["--memory-limit", f"{0.9 / count:.2f}"]
            opened.callback(end, wire.start(_worker(number), [*dask, *worker, *share], environment, log))
        self.workers, closing = open_cluster(address, count, threads)
        opened.enter_context(closing)
        if self.workers.count < count:
            raise WireError(f"{self.workers.count} of {count} workers came; {log.name} says why")
        # What they import is no part of any step.
        self.workers.client.run(_import_all)
        self.pids = {RUN: os.getpid(), SCHEDULER: scheduler.pid, S3: s3}
        hosts = {wire.address(_worker(number)): _worker(number) for number in range(1, count + 1)}
        for at, pid in self.workers.client.run(os.getpid).items():
            self.pids[hosts[at.split("//")[1].split(":")[0]]] = pid

    def meter(self) -> dict[str, float]:
        """Processor seconds of each node and the relay, bytes into and out of each node, calls of S3."""
        counted = {"cpu relay": self.wire.relay_seconds, "s3 calls": float(self.calls.read_bytes().count(b'HTTP/1.1"'))}
        for node, pid in self.pids.items():
            into, out_of = carried(pid)
            counted |= {f"cpu {node}": processor_seconds(pid), f"into {node}": into, f"out of {node}": out_of}
        return counted


@contextmanager
def _s3_server(wire: Wire, log: Path) -> Iterator[int]:
    """The process of an S3 server that holds the bucket; the environment says where it is."""
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{wire.address(S3)}:{S3_PORT}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with log.open("w") as file:
        server = wire.start(S3, [sys.executable, "-c", S3_SERVER, "-H", wire.address(S3), "-p", str(S3_PORT)], {}, file)
        _wait_for(wire.address(S3), S3_PORT)
        filesystem_at(f"s3://{BUCKET}")[0].mkdir(BUCKET)
        yield server.pid


def _wait_for(address: str, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection((address, port), 1).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise WireError(f"nothing answers at {address}:{port} after {START_SECONDS} s") from error
            time.sleep(0.2)


def _worker(number: int) -> str:
    return f"worker-{number}"


def _import_all() -> None:
    import benchmarks.dask_job  # noqa: F401


def settings_of(
    counts: Sequence[int], mbits: Sequence[float], rtts: Sequence[float], limited: int, every: bool
) -> list[tuple[int, Limits]]:
    """Numbers of workers without limits, then `limited` workers under each limit alone; `every`: all with all."""
    if every:
        return [(count, Limits(rate, rtt)) for count in counts for rate in mbits for rtt in rtts]
    alone = [*(Limits(rate, 0) for rate in mbits if rate), *(Limits(0, rtt) for rtt in rtts if rtt)]
    return [(count, limits) for count in counts for limits in [NO_LIMITS, *(alone if count == limited else ())]]


def _total(made: dict[str, Any], what: str) -> float:
    return float(sum(value for name, value in made.items() if name.startswith(f"{what} worker-")))


def _shown(run: dict[str, Any], bases: dict[tuple[str, int], dict[str, Any]]) -> Iterator[str]:
    base = bases.get((run["lake"], run["workers"]), run)
    for step in STEPS:
        made = run[step]
        megabytes = [
            _total(made, "into"),
            _total(made, "out of"),
            *(made[f"{way} {node}"] for node in (SCHEDULER, RUN) for way in ("into", "out of")),
            made[f"out of {S3}"],
        ]
        yield (
            f"{run['lake']:<7}{run['workers']:>3}  {run['limits']:<22}{step:<9}{made['seconds']:>6.1f}"
            f"{made['seconds'] / max(base[step]['seconds'], 0.1):>6.2f}{_total(made, 'cpu'):>7.1f}"
            f"{made['cpu relay']:>6.1f}"
            + "".join(f"{size / 1e6:>9.2f}" for size in megabytes)
            + f"{made['s3 calls']:>7.0f}"
        )


HEADS = (
    f"{'lake':<7}{'n':>3}  {'each link, round trip':<22}{'step':<9}{'s':>6}{'times':>6}{'CPU s':>7}{'relay':>6}"
    f"{'workers':>9}{'out':>9}{'sched.':>9}{'out':>9}{'run':>9}{'out':>9}{'S3 out':>9}{'calls':>7}"
)


def _measure(
    place: Path, wire: Wire, job: Job, wanted: Sequence[tuple[int, Limits]], lakes: Sequence[str], probe_mb: float
) -> dict[str, Any]:
    """Run the job on one machine, then on each number of workers under each limit; what is written as JSON."""
    wire.limit(NO_LIMITS)
    runs: list[dict[str, Any]] = []
    bases: dict[tuple[str, int], dict[str, Any]] = {}
    probes: dict[str, tuple[float, float]] = {}
    threads = usable_cores()
    print(f"{job.series:,} series, {len(job.origins)} origins, {threads} cores; latency is made by {wire.delayed_by}")
    alone = job.all_of(ThisMachine(threads), f"{place}/alone", dict)
    print(
        "one machine: " + ", ".join(f"{step} {alone[step]['seconds']} s" for step in STEPS), HEADS, sep="\n", flush=True
    )
    with _s3_server(wire, place / "calls.log") as s3:
        for count in dict.fromkeys(count for count, _ in wanted):
            with ExitStack() as opened:
                wire.limit(NO_LIMITS)
                cluster = Cluster(wire, count, threads, s3, place / "calls.log", opened)
                for number, limits in enumerate(limits for other, limits in wanted if other == count):
                    wire.limit(limits)
                    if str(limits) not in probes:
                        probes[str(limits)] = wire.probed(_worker(1), probe_mb)
                        trip, rate = probes[str(limits)]
                        print(f"{limits}: found {trip:.2f} ms and {rate:,.0f} Mbit/s", flush=True)
                    for lake in lakes:
                        uri = f"{f's3://{BUCKET}' if lake == S3 else place}/{count}-{number}"
                        made = job.all_of(cluster.workers, uri, cluster.meter)
                        filesystem, root = filesystem_at(uri)
                        filesystem.rm(root, recursive=True)
                        runs.append({"lake": lake, "workers": count, "limits": str(limits), **made})
                        bases.setdefault((lake, count), runs[-1])
                        print("\n".join(_shown(runs[-1], bases)), flush=True)
    return {"series": job.series, "latency": wire.delayed_by, "alone": alone, "found": probes, "runs": runs}


@click.command()
@click.option("--stores", default=45, show_default=True, help="Stores of the invented retailer; 45 are Walmart's size.")
@click.option("--workers", default="1,2,4", show_default=True, help="Numbers of workers without limits, in order.")
@click.option("--limited", default=2, show_default=True, help="Which of these numbers is also tried with limits.")
@click.option("--mbits", default="0,1000,100", show_default=True, help="Mbit/s of each link, 0 is no limit.")
@click.option("--rtts", default="0,1,10", show_default=True, help="Milliseconds of a round trip between two nodes.")
@click.option("--every", is_flag=True, help="All numbers of workers with all bandwidths and latencies.")
@click.option("--lakes", default="folder,s3", show_default=True, help="Where workers find the lake.")
@click.option("--rounds", default=20, show_default=True)
@click.option("--members", default=2, show_default=True, help="Members of the ensemble: at most as many workers train.")
@click.option(
    "--training-rows", default=200_000, show_default=True, help="Rows that a member learns from; it reads them all."
)
@click.option("--probe-mb", default=20.0, show_default=True, help="Megabytes sent to see the bandwidth of a link.")
def main(
    stores: int,
    workers: str,
    limited: int,
    mbits: str,
    rtts: str,
    every: bool,
    lakes: str,
    rounds: int,
    members: int,
    training_rows: int,
    probe_mb: float,
) -> None:
    """Print seconds, processor seconds, MB into and out of nodes, and calls of S3, for each step and limit."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    counts = [int(count) for count in workers.split(",")]
    rates, trips = ([float(value) for value in text.split(",")] for text in (mbits, rtts))
    wanted = settings_of(counts, rates, trips, limited, every)
    nodes = [RUN, SCHEDULER, S3, *map(_worker, range(1, max(counts) + 1))]
    threads = usable_cores()
    try:
        # S3 serves all workers at once: its end is not what limits them.
        with tempfile.TemporaryDirectory() as place, Wire(nodes, unlimited=(S3,)) as wire:
            job = Job(Path(place), stores, rounds, members, threads, training_rows)
            payload = _measure(Path(place), wire, job, wanted, lakes.split(","), probe_mb)
    except WireError as error:
        raise click.ClickException(str(error)) from error
    path = os.path.relpath(write("dask_network", payload))
    print(f"features, models and drift are the same to the byte; written to {path}")


if __name__ == "__main__":
    main()
