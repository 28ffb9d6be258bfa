"""Deliver data in ways that nobody plans for, and say what came of it.

    python -m tests.faults.odd_deliveries processes --folder /tmp/odd

- `files`: 10,000 files of two rows, read as one landing zone
- `moving`: a file that grows, and one that comes and goes, while the zone is read
- `processes`: the same delivery by five processes at once
- `names`: the same delivery under six names
- `corrections`: corrections 1, 4 and 52 weeks back, with `demand reproduce` after each
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from shutil import copy2, copytree, rmtree

import click
import pandas as pd

from demand_assets.adapters.landing import LandingZone
from demand_assets.errors import LandingError
from demand_assets.sample import generate
from tests.faults.random_kills import LANDED_AT, Backend, Workspace, differences, landing_zones, state_of
from tests.wiring import commands

FILES, WEEKS, LOOKS = 10_000, 80, 30


def files(folder: Path) -> None:
    """Read ten thousand files."""
    zone = folder / "zone-files"
    zone.mkdir()
    weeks = pd.date_range("2011-01-07", periods=WEEKS, freq="W-FRI")
    for week, store in itertools.product(weeks, range(1, FILES // WEEKS + 1)):
        rows = [f"{store},{dept},{week:%Y-%m-%d},{1000 + store + dept + week.dayofyear}.5" for dept in (1, 2)]
        text = "\n".join(["Store,Dept,Date,Weekly_Sales", *rows]) + "\n"
        (zone / f"s{store:03}-{week:%Y%m%d}.csv").write_text(text)
    started, processor = time.monotonic(), time.process_time()
    contents = LandingZone(str(zone)).contents()
    rows_read = sum(len(one.frame) for one in contents.deliveries)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    click.echo(
        f"{len(contents.deliveries):,} files, {rows_read:,} rows, {len(contents.refused)} refused: "
        f"{time.monotonic() - started:.0f} s, {time.process_time() - processor:.0f} s of processor time, {most:,} MB"
    )


def moving(folder: Path) -> None:
    """Read a zone while a file in it grows, then while one comes and goes."""
    zone = copytree(zones(folder)["fresh"], folder / "zone-moving")
    late, text = zone / "late.csv", (zone / "train.csv").read_text()
    late.write_text(text)

    def grow() -> None:
        with open(late, "a") as opened:
            opened.write("1,1,2011-01-07,5.5,FALSE\n")

    def come_and_go() -> None:
        late.unlink(missing_ok=True)
        time.sleep(0.002)
        late.write_text(text)

    for name, change in (("grows", grow), ("comes and goes", come_and_go)):
        with meanwhile(change):
            found = Counter(looked(zone) for _ in range(LOOKS))
        click.echo(f"{name}: {dict(found)}")


def looked(zone: Path) -> str:
    """What reading a zone says; errors of other kinds are faults."""
    try:
        LandingZone(str(zone)).contents()
    except LandingError as error:
        return str(error)
    return "read"


@contextmanager
def meanwhile(change: Callable[[], None]) -> Iterator[None]:
    """Do this again and again in a thread until the block ends."""
    ended = threading.Event()

    def again() -> None:
        while not ended.wait(0.002):
            change()

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def processes(folder: Path) -> None:
    """Deliver the same week by five processes at once."""
    start, expected = undisturbed(folder)
    workspace = Backend("sqlite").copy(start, folder / "processes")
    zone = zones(folder)["increment"]
    with ThreadPoolExecutor(5) as pool:
        told = Counter(pool.map(lambda _: said(workspace, "run", "--raw-dir", str(zone)), range(5)))
    click.echo(f"{dict(told)}; differences: {differences(state_of(workspace), expected)}")


def names(folder: Path) -> None:
    """Deliver the same week under six names."""
    start, expected = undisturbed(folder)
    workspace = Backend("sqlite").copy(start, folder / "names")
    zone = copytree(zones(folder)["increment"], folder / "zone-names")
    for number in range(5):
        copy2(zone / "delivery.csv", zone / f"delivery-{number}.csv")
    told = said(workspace, "run", "--raw-dir", str(zone))
    click.echo(f"{told}; differences: {differences(state_of(workspace), expected)}")


def corrections(folder: Path) -> None:
    """Correct weeks ever further back, and make the newest vintage again after each."""
    start, _ = undisturbed(folder)
    workspace = Backend("sqlite").copy(start, folder / "corrections")
    zone = copytree(zones(folder)["fresh"], folder / "zone-corrections")
    header, *rows = (zone / "train.csv").read_text().splitlines()
    weeks = sorted({row.split(",")[2] for row in rows})
    for number, back in enumerate((1, 4, 52), 1):
        cells = next(row for row in rows if weeks[-1 - back] in row).split(",")
        cells[3] = str(float(cells[3]) + 1000 + number)
        path = zone / f"correction-{back}.csv"
        path.write_text("\n".join([header, ",".join(cells)]) + "\n")
        os.utime(path, (LANDED_AT + number, LANDED_AT + number))
        ran = said(workspace, "run", "--raw-dir", str(zone))
        click.echo(f"{back} weeks back: {ran}; reproduce: {said(workspace, 'reproduce', '--origin', weeks[-1])}")


def said(workspace: Workspace, *arguments: str) -> str:
    """`done`, or the error of a command."""
    ended = commands.forked(commands.demand, arguments, workspace.environment, workspace.home.parent)
    return "done" if ended.returncode == 0 else f"exit code {ended.returncode}: {ended.stderr.strip()}"


def zones(folder: Path) -> dict[str, Path]:
    """The landing zones of `random_kills`."""
    return landing_zones(folder, generate(stores=2, departments=3, weeks=80, seed=11))


def undisturbed(folder: Path) -> tuple[Workspace, dict[str, object]]:
    """A workspace with the history, and the state after one undisturbed delivery to it."""
    sqlite, own = Backend("sqlite"), zones(folder)
    start = sqlite.empty(folder / "history")
    start.run(own["fresh"])
    after = sqlite.copy(start, folder / "undisturbed")
    after.run(own["increment"])
    return start, state_of(after)


TRIES: dict[str, Callable[[Path], None]] = {one.__name__: one for one in (files, moving, processes, names, corrections)}


def main() -> None:
    """Try one of them in a folder of its own."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.odd_deliveries", description=__doc__.splitlines()[0])
    parser.add_argument("which", choices=TRIES)
    parser.add_argument("--folder", type=Path, required=True, help="where workspaces are made; emptied first")
    asked = parser.parse_args()
    folder = asked.folder / asked.which
    rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    commands.load()
    TRIES[asked.which](folder)


if __name__ == "__main__":
    main()
