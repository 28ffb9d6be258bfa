"""Eight hostile clients beside normal reads: how much slower the reads get, and how much memory the service takes.

Each kind of client is tried by itself, on each protocol class of the server: a header of 60 MB, one that never ends,
one that comes byte by byte, and trailers that never end. A client that is refused begins again after a second, as one
does that waits for its answer. The reads are `GET /health`, one after the other, on one connection.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import Event, Process
from multiprocessing.synchronize import Event as EventType
from pathlib import Path

import click
import httpx

from benchmarks.machine import write
from demand_assets.store.migrations import migrate

CLIENTS, AGAIN_S = 8, 1.0
HEAD = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nA: "
# Made once: 60 MB written anew for each connection would measure the clients' memory bus.
LARGE = HEAD + b"x" * 60_000_000 + b"\r\n\r\n"
CHUNKED = b"POST /v1/forecasts:batch HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: "


def large(connection: socket.socket) -> None:
    """One header of 60 MB."""
    connection.sendall(LARGE)


def endless(connection: socket.socket) -> None:
    """A header that never ends."""
    connection.sendall(HEAD)
    while True:
        connection.sendall(b"x" * 65536)


def slow(connection: socket.socket) -> None:
    """A header that comes byte by byte."""
    connection.sendall(HEAD)
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def trailers(connection: socket.socket) -> None:
    """Trailers that never end."""
    connection.sendall(CHUNKED)
    while True:
        connection.sendall(b"x" * 65536)


KINDS: dict[str, Callable[[socket.socket], None]] = {
    "60 MB header": large, "endless header": endless, "byte by byte": slow, "endless trailers": trailers
}  # fmt: skip


def attack(port: int, kind: str, ended: EventType) -> None:
    """Be a hostile client until `ended`; refused, come back after a second."""
    while not ended.is_set():
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                KINDS[kind](connection)
        except OSError:
            ended.wait(AGAIN_S)


def reads(port: int, seconds: float) -> dict[str, float]:
    """Latencies (ms) of reads one after the other, a hundredth of a second apart."""
    taken = []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            began = time.perf_counter()
            client.get("/health")
            taken.append((time.perf_counter() - began) * 1000)
            time.sleep(0.01)
    at = statistics.quantiles(taken, n=100)
    return {"reads": len(taken), "p50": at[49], "p99": at[98], "max": max(taken)}


@contextmanager
def service(protocol: str, folder: Path) -> Iterator[tuple[int, int]]:
    """(port, process id) of the service on one protocol class."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    url = f"sqlite:///{folder / 'store.db'}"
    migrate(url)
    plain = {name: value for name, value in os.environ.items() if not name.startswith("DEMAND_")}
    # Without httptools the service takes h11 by itself.
    hide = "import sys; sys.modules['httptools'] = None; " if protocol == "h11" else ""
    process = subprocess.Popen(
        [sys.executable, "-c", hide + "from api.__main__ import main; main()"],
        env=plain | {"DEMAND_STORE_URL": url, "DEMAND_API_PORT": str(port), "DEMAND_API_LOG_LEVEL": "error"},
    )
    try:
        _await(port)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(timeout=60)


def _await(port: int) -> None:
    for _ in range(600):
        try:
            httpx.get(f"http://127.0.0.1:{port}/health", timeout=5)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise click.ClickException("the service did not answer within 60 s")


def resident_mb(pid: int) -> float:
    """Most memory the process has held, in MB (2**20 bytes)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def beside(port: int, kind: str, seconds: float) -> dict[str, float]:
    """The reads beside eight clients of a kind."""
    ended = Event()
    clients = [Process(target=attack, args=(port, kind, ended), daemon=True) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(1)
    figures = reads(port, seconds)
    ended.set()
    for client in clients:
        client.terminate()
        client.join()
    return figures


@click.command()
@click.option("--seconds", default=10.0, show_default=True, help="Length of each measurement.")
def main(seconds: float) -> None:
    """Print the table and write benchmarks/results/hostile_clients.json."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    for protocol in ("httptools", "h11"):
        with tempfile.TemporaryDirectory() as name, service(protocol, Path(name)) as (port, pid):
            reads(port, 1)
            rows = {"nobody": reads(port, seconds) | {"peak MB": resident_mb(pid)}}
            for kind in KINDS:
                rows[kind] = beside(port, kind, seconds) | {"peak MB": resident_mb(pid)}
            rows["nobody again"] = reads(port, seconds) | {"peak MB": resident_mb(pid)}
        table[protocol] = rows
        click.echo(f"{protocol:18} {'reads':>6} {'p50 ms':>7} {'p99 ms':>7} {'x p99':>6} {'max ms':>7} {'MB':>5}")
        alone = rows["nobody"]["p99"]
        for kind, row in rows.items():
            shown = f"{row['reads']:6.0f} {row['p50']:7.1f} {row['p99']:7.1f} {row['p99'] / alone:6.1f}"
            click.echo(f"  {kind:16} {shown} {row['max']:7.1f} {row['peak MB']:5.0f}")
    click.echo(json.dumps({"written": str(write("hostile_clients", {"table": table}))}))


if __name__ == "__main__":
    main()
