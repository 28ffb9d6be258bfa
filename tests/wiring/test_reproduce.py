"""A past vintage, made again: after nothing, after a correction of old weeks, and when something was tampered with."""

import json
import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from tests.wiring.conftest import demand, run


def made_again(home: Path, origin: object, *more: str) -> dict[str, object]:
    ended = demand(home, "reproduce", "--origin", str(origin), "--json", *more)
    assert ended.stdout, ended.stderr
    found: dict[str, object] = json.loads(ended.stdout)
    assert ended.returncode == (0 if found["identical"] else 1)
    return found


def test_a_vintage_is_made_again_to_the_byte_also_after_a_correction(
    workspace: tuple[Path, Path], finished: tuple[Path, dict[str, object]]
) -> None:
    home, zone = workspace
    origin, first = finished[1]["origin_week"], finished[1]["vintage"]
    before = made_again(home, origin)
    assert (before["identical"], before["differences"], before["superseded_inputs"]) == (True, [], 0)

    lines = (zone / "train.csv").read_text().splitlines()
    # Weeks in a row, which one run takes up.
    weeks = sorted({line.split(",")[2] for line in lines[1:]})[60:75]
    changed = [line for line in lines[1:] if line.split(",")[2] in weeks and line.startswith("1,")]
    doubled = [
        ",".join([*line.split(",")[:3], f"{float(line.split(',')[3]) * 1.5:.2f}", line.split(",")[4]])
        for line in changed
    ]
    (zone / "correction.csv").write_text("\n".join([lines[0], *doubled]) + "\n")
    os.utime(zone / "correction.csv", (time.time() + 60, time.time() + 60))
    second = run(home, zone)["vintage"]
    assert second != first
    old = made_again(home, origin, "--vintage", str(first))
    assert (old["identical"], old["differences"], old["made_again_as"]) == (True, [], first)
    assert int(str(old["superseded_inputs"])) > 10
    new = made_again(home, origin)
    assert (new["identical"], new["vintage_id"], new["superseded_inputs"]) == (True, second, 0)

    kept = next((home / "lake" / "raw_sales" / ".versions").rglob("*.parquet"))
    kept.unlink()
    ended = demand(home, "reproduce", "--origin", str(origin), "--vintage", str(first))
    assert ended.returncode == 1
    assert f"expected data version {kept.stem}" in ended.stderr.splitlines()[-1]


def test_a_changed_row_in_the_store_is_named_with_both_values(
    workspace: tuple[Path, Path], finished: tuple[Path, dict[str, object]]
) -> None:
    home = workspace[0]
    with closing(sqlite3.connect(home / "store.db")) as connection, connection:
        query = "select store_id, dept_id, target_week from latest_forecast where kind = 'forecast' limit 1"
        key = connection.execute(query).fetchone()
        series = (
            "(select store_key from stores where store_id = ?), (select dept_key from departments where dept_id = ?)"
        )
        connection.execute(
            f"update forecasts set p90 = 12345678.5 where (store_key, dept_key, target_week) = ({series}, ?)", key
        )
    found = made_again(home, finished[1]["origin_week"])
    assert found["identical"] is False
    (named, hashed) = found["differences"]  # type: ignore[misc]
    assert named.startswith("p90 differs in 1 of ")
    assert f"first store {key[0]}, dept {key[1]}, week {key[2]}: 12345678.5 in the store" in named
    assert "its id is not their hash" in hashed


def test_what_cannot_be_made_again_is_one_clear_line(
    workspace: tuple[Path, Path], finished: tuple[Path, dict[str, object]]
) -> None:
    home, origin = workspace[0], str(finished[1]["origin_week"])
    for arguments, message in (
        (["--origin", "2011-06-23"], "is a Thursday"),
        (["--origin", "2010-03-05"], "no vintage of origin 2010-03-05 was published"),
        (["--origin", origin, "--vintage", "x"], f"has no vintage x; it has {finished[1]['vintage']}"),
    ):
        ended = demand(home, "reproduce", *arguments)
        assert ended.returncode == 1
        assert message in ended.stderr.splitlines()[-1]
    shutil.rmtree(home / "lake" / "published_forecast")
    ended = demand(home, "reproduce", "--origin", origin)
    assert "expected the vintage's file" in ended.stderr.splitlines()[-1]
