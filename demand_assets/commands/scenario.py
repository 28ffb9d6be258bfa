"""`demand scenario`: what if plans were others."""

import getpass
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demand_assets.commands.terminal import print_json, print_list, print_table, terminal
from demand_assets.settings import read_settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

_MOST_MOVERS = 10


def make(name: str, path: Path, author: str | None, as_json: bool) -> None:
    """Score and publish the scenario, and print it beside the forecast it was made from."""
    terminal(stderr=True).print(f"Scoring scenario {name} ...")
    from demand_assets.assets.scenarios import Asked, make_scenario, read_changes_file
    from demand_assets.resources import build_resources
    from demand_assets.store.migrations import opened

    settings = read_settings()
    resources = build_resources(settings)
    asked = Asked(name, read_changes_file(path), author or getpass.getuser(), path.name)
    with opened(settings.store) as engine:
        make_scenario(asked, resources["lake"], resources["registry"], engine, resources["clock"].now())
    show(name, as_json)


def show(name: str, as_json: bool) -> None:
    """Print a scenario: weeks in units, money and orders, before and after, and the series it moves most."""
    from demand_assets.store.engine import reading
    from demand_assets.store.migrations import opened

    with opened(read_settings().store) as engine, reading(engine) as connection:
        found = _comparison(connection, name)
    if as_json:
        print_json(found)
    else:
        _print(found)


def list_scenarios(as_json: bool) -> None:
    """Print every scenario, the newest first."""
    from demand_assets.store.engine import reading
    from demand_assets.store.migrations import opened
    from demand_assets.store.reads import scenarios as reads

    with opened(read_settings().store) as engine, reading(engine) as connection:
        statement = reads.SCENARIOS_ORDER.page(reads.scenarios_with_totals(), None, None)
        rows = [dict(row) for row in connection.execute(statement).mappings()]
    print_list("Scenarios", rows, _cells, "there is no scenario yet: demand scenario NAME CHANGES.csv", as_json)


def adopt(name: str, author: str | None, as_json: bool) -> None:
    """Make overrides of the forecasts that a scenario moves, and print how many."""
    from demand_assets.resources import build_resources
    from demand_assets.store.migrations import opened
    from demand_assets.store.scenarios import adopt_scenario

    settings = read_settings()
    now = build_resources(settings)["clock"].now()
    with opened(settings.store) as engine:
        adoption = adopt_scenario(engine, name, author or getpass.getuser(), now)
    if as_json:
        print_json({"name": name, **asdict(adoption)})
        return
    kept = f"; {adoption.kept:,} keep the number a planner had given" if adoption.kept else ""
    words = f"scenario {name}: {adoption.added:,} overrides added{kept}"
    terminal().print(words if adoption.added else f"scenario {name} was adopted already")


def _comparison(connection: "Connection", name: str) -> dict[str, Any]:
    from demand_assets.store.reads import scenarios as reads
    from demand_assets.store.scenarios import require_scenario

    row = require_scenario(connection, name)
    ids = (row["vintage_id"], row["base_vintage_id"])
    weeks, movers = (
        [dict(each) for each in connection.execute(statement).mappings()]
        for statement in (reads.weeks_of(*ids), reads.movers(*ids, most=_MOST_MOVERS))
    )
    return {**row, "weeks": weeks, "movers": movers}


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "scenario": row["name"],
        "origin": f"{row['origin_week']}",
        "forecast": _amount(row["base_forecast"]),
        "scenario's": _amount(row["forecast"]),
        "change": _percent(row["forecast"], row["base_forecast"]),
        "by": row["author"],
        "at": f"{row['created_at']:%Y-%m-%d %H:%M}",
        "adopted": row["adopted_by"] or "",
    }


def _print(found: Mapping[str, Any]) -> None:
    unit = found["unit"]
    title = f"Scenario {found['name']} beside forecast {found['base_vintage_id']}, chain, in {unit}"
    rows = [_week_cells(row, found["money"]) for row in found["weeks"]]
    print_table(title, rows, numbers=[heading for heading in rows[0] if heading != "week"])
    terminal().print(f"{found['series']:,} series have changed plans; nothing but this scenario was written")
    if not found["movers"]:
        words = f"no forecast is moved: {found['method']}, which made it, does not follow these plans"
        terminal().print(words)
    else:
        movers = [_mover_cells(row) for row in found["movers"]]
        print_table(f"Moved most, all weeks, in {unit}", movers, numbers=["before", "after", "difference", "change"])


def _week_cells(row: Mapping[str, Any], money: Mapping[str, Any] | None) -> dict[str, str]:
    week = f"{row['target_week']}"
    cells = {
        "week": week,
        "before": _amount(row["base_forecast"]),
        "after": _amount(row["forecast"]),
        "change": _percent(row["forecast"], row["base_forecast"]),
        "orders before": _amount(row["base_order_quantity"]),
        "orders after": _amount(row["order_quantity"]),
    }
    if money:
        before, after = money.get(week, (None, None))
        cells |= {"money before": _amount(before), "money after": _amount(after)}
    return cells


def _mover_cells(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "store": row["store_id"],
        "dept": row["dept_id"],
        "before": _amount(row["base_forecast"]),
        "after": _amount(row["forecast"]),
        "difference": f"{row['difference']:+,.1f}",
        "change": _percent(row["forecast"], row["base_forecast"]),
    }


def _amount(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"


def _percent(after: float | None, before: float | None) -> str:
    return f"{after / before - 1:+.1%}" if after is not None and before else ""
