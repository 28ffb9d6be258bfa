"""`demand scenario` on a small made-up retailer whose prices move its sales."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg

from demand_assets.automation import scenario_job
from demand_assets.resources import build_resources
from demand_assets.settings import read_settings
from tests.wiring.conftest import demand, run
from tests.wiring.priced import write_priced

CHANGES = "dept_id,week,covariate,change\nmilk,2012-11-02,price,*0.5\n"
BESIDE = """
    select s.store_id, d.dept_id, f.target_week, f.forecast from forecasts f join stores s using (store_key)
    join departments d using (dept_key) where f.vintage_id = ? order by 1, 2, 3
"""
PLANNED = """
    select s.store_id, v.first_week, v.last_week, v.value from driver_values v join drivers using (driver_key)
    join stores s using (store_key) join departments d using (dept_key)
    where driver = 'price' and dept_id = 'milk' and is_planned order by 1, 2
"""


def rows(home: Path, statement: str, *values: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(home / "store.db")) as connection:
        return connection.execute(statement, values).fetchall()


def scenario(home: Path, *arguments: str) -> dict[str, Any]:
    ended = demand(home, "scenario", *arguments, "--json")
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_half_a_price_moves_its_forecasts_up_and_nothing_else(
    first_home: Path, tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: Any
) -> None:
    home, file = first_home, tmp_path / "half.csv"
    write_priced(tmp_path / "zone")
    vintage = str(run(home, tmp_path / "zone")["vintage"])
    file.write_text(CHANGES)
    before = rows(home, BESIDE, vintage)
    found = scenario(home, "half-milk", str(file))
    assert (found["base_vintage_id"], found["series"]) == (vintage, 2)
    assert rows(home, BESIDE, vintage) == before
    after = rows(home, BESIDE, found["vintage_id"])
    grown = {now[:3]: now[3] / was[3] for was, now in zip(before, after, strict=True)}
    moved = {key: growth for key, growth in grown.items() if growth != 1.0}
    assert set(moved) >= {("Nord", "milk", "2012-11-02"), ("Sued", "milk", "2012-11-02")}
    # Sales quadruple at half the price; of ten rounds of trees the effect on base alone is asked.
    assert all(growth > 2.5 for (_, _, week), growth in moved.items() if week == "2012-11-02")
    assert {key[1] for key in moved} == {"milk"}
    # What people see beside the forecast is the plan as it landed.
    assert rows(home, PLANNED) == [(store, "2012-11-02", "2012-11-23", 2.0) for store in ("Nord", "Sued")]
    assert rows(home, "select count(*) from overrides") == [(0,)]

    # Again by the job: the same scenario to the byte, so nothing is added.
    monkeypatch.setenv("DEMAND_HOME", str(home))
    settings = read_settings()
    config = {"ops": {"make_scenario": {"config": {"name": "half-milk", "changes": CHANGES}}}}
    assert scenario_job.execute_in_process(config, instance=instance, resources=build_resources(settings)).success
    assert scenario(home, "half-milk") == found
    assert rows(home, "select count(*) from forecast_vintages where kind = 'scenario'") == [(1,)]

    shown = demand(home, "scenario", "half-milk").stdout
    assert "Scenario half-milk beside forecast" in shown
    assert "2 series have changed plans" in shown
    assert "half-milk" in demand(home, "scenario", "--list").stdout

    assert scenario(home, "half-milk", "--adopt", "--author", "ann") == {
        "name": "half-milk",
        "added": len(moved),
        "kept": 0,
    }
    assert rows(home, "select distinct author, reason from overrides") == [("ann", "scenario half-milk")]
    assert "was adopted already" in demand(home, "scenario", "half-milk", "--adopt").stdout


def test_a_name_and_changes_that_are_wrong_are_told_in_one_line(finished: tuple[Path, Any], tmp_path: Path) -> None:
    file = tmp_path / "c.csv"
    file.write_text(CHANGES)
    home = finished[0]
    for arguments, words in (
        (("../x", str(file)), "demand: expected a name of letters"),
        (("x", str(file)), "demand: expected a covariate that is known ahead, got none"),
        (("x",), "demand: expected the name of a scenario (there is none), got 'x'"),
    ):
        ended = demand(home, "scenario", *arguments)
        assert (ended.returncode, ended.stderr.splitlines()[-1][: len(words)]) == (1, words)
