"""Scenarios: vintages on changed plans. They stand beside the forecast until a person adopts one as overrides."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, String, cast, func, insert, literal, select, tuple_, update

from demand_assets.contract.columns import SCENARIO_PATTERN
from demand_assets.errors import ScenarioError
from demand_assets.store.engine import write_transaction
from demand_assets.store.overrides import LOCK_OVERRIDES
from demand_assets.store.publish import LOCK_VINTAGES, Given, VintageRecord, add_vintage, checked_vintage
from demand_assets.store.queries import newest_vintage
from demand_assets.store.reads.overrides import keys_in_force
from demand_assets.store.reads.scenarios import beside, scenarios_with_totals
from demand_assets.store.tables import overrides, scenarios


@dataclass(frozen=True)
class ScenarioRecord:
    """What was asked for: the CSV of changes as given, on which vintage, by whom; `series` have changed plans.

    `money`: ISO week -> [base, scenario] forecast at its prices; None where no price is known.
    """

    name: str
    base_vintage_id: str
    changes: str
    series: int
    author: str
    money: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Adoption:
    """Overrides that were added, and series x weeks that kept the number a planner had given already."""

    added: int
    kept: int


def require_name(connection: Connection, name: str, base_vintage_id: str, changes: str) -> None:
    """ScenarioError unless the name is well formed, and free or that of the same changes of the same vintage."""
    if not re.fullmatch(SCENARIO_PATTERN, name):
        raise ScenarioError(
            f"expected a name of letters, digits, dots, hyphens and underscores, at most 64, got {name!r}"
        )
    known = _known(connection, name)
    asked = {"changes": changes, "base_vintage_id": base_vintage_id}
    other = [what for what, value in asked.items() if known is not None and known[what] != value]
    if known is not None and other:
        words = {"changes": "other changes", "base_vintage_id": f"the forecast {known['base_vintage_id']}"}
        raise ScenarioError(
            f"scenario {name} exists, by {known['author']}, of {' and '.join(words[each] for each in other)}; "
            "a scenario stays as it is: choose another name"
        )


def publish_scenario(
    engine: Engine, scenario: ScenarioRecord, vintage: VintageRecord, rows: Given, totals: Given = ()
) -> tuple[Mapping[str, Any], bool]:
    """Add a scenario with its vintage, in one transaction; its row of `scenarios_with_totals`, and whether it is new.

    The same scenario again adds nothing. ScenarioError for a name that is another scenario's, StoreError as for
    `publish_vintage`.
    """
    checked = checked_vintage(vintage, rows, totals)
    with write_transaction(engine, LOCK_VINTAGES) as connection:
        require_name(connection, scenario.name, scenario.base_vintage_id, scenario.changes)
        known = _known(connection, scenario.name)
        if known is not None and known["vintage_id"] != checked.vintage_id:
            raise ScenarioError(
                f"scenario {scenario.name} is vintage {known['vintage_id']}, of code {known['code_version']}; now it "
                f"is {checked.vintage_id}, of code {vintage.code_version}: choose another name"
            )
        if known is None:
            add_vintage(connection, checked)
            values = {**asdict(scenario), "vintage_id": checked.vintage_id, "created_at": vintage.published_at}
            connection.execute(insert(scenarios).values(values))
        made = require_scenario(connection, scenario.name)
    assert made is not None
    return made, known is None


def adopt_scenario(engine: Engine, name: str, author: str, now: datetime) -> Adoption:
    """Make the forecasts that a scenario moves overrides, with reason `scenario NAME`, in one transaction.

    A series and week that has a planner's number in force keeps it. Adopting again adds nothing. ScenarioError for a
    scenario that there is not, whose base is no longer the newest forecast, or that has nothing to adopt.
    """
    with write_transaction(engine, LOCK_OVERRIDES) as connection:
        scenario = require_scenario(connection, name)
        if scenario["adopted_at"] is not None:
            return Adoption(0, 0)
        newest = newest_vintage(connection)
        if newest is None or newest["vintage_id"] != scenario["base_vintage_id"]:
            raise ScenarioError(
                f"scenario {name} stands beside forecast {scenario['base_vintage_id']}, which is no longer the newest; "
                "make it again on the newest, under another name"
            )
        adoption = _add_overrides(connection, scenario, author, now)
        if not adoption.added:
            raise ScenarioError(
                f"scenario {name} has nothing to adopt: {adoption.kept} forecasts that it moves have a planner's number"
                if adoption.kept
                else f"scenario {name} has nothing to adopt: it moves no forecast"
            )
        adopted = {"adopted_by": author, "adopted_at": now}
        connection.execute(update(scenarios).where(scenarios.c.name == name).values(adopted))
        return adoption


def require_scenario(connection: Connection, name: str) -> Mapping[str, Any]:
    """Its row of `scenarios_with_totals`; ScenarioError naming those that there are."""
    known = _known(connection, name)
    if known is None:
        names = list(connection.execute(select(scenarios.c.name).order_by(scenarios.c.name)).scalars())
        raise ScenarioError(f"expected the name of a scenario ({', '.join(names) or 'there is none'}), got {name!r}")
    return known


def _known(connection: Connection, name: str) -> Mapping[str, Any] | None:
    row = connection.execute(scenarios_with_totals(name=name)).mappings().first()
    return None if row is None else dict(row)


def _add_overrides(connection: Connection, scenario: Mapping[str, Any], author: str, now: datetime) -> Adoption:
    own, base, pairs = beside(scenario["vintage_id"], scenario["base_vintage_id"])
    o = own.c
    key = tuple_(o.store_key, o.dept_key, o.target_week)
    moved = pairs.where(o.forecast != base.c.forecast)
    is_kept = key.in_(keys_in_force(now))
    # psycopg does not say how many rows an INSERT from a SELECT added; the lock keeps both counts true.
    counted = [moved.add_columns(func.count()).where(each) for each in (~is_kept, is_kept)]
    adoption = Adoption(*(int(connection.execute(each).scalar_one()) for each in counted))
    v = overrides.c
    before = (
        select(func.count())
        .where(v.store_key == o.store_key, v.dept_key == o.dept_key, v.target_week == o.target_week)
        .scalar_subquery()
    )
    parts = [cast(each, String) for each in (o.store_key, o.dept_key, o.target_week)]
    request = f"scenario:{scenario['name']}"
    values = {
        # As each is named by its scenario, none can be added twice.
        "idempotency_key": literal(f"{request}:", String) + parts[0] + ":" + parts[1] + ":" + parts[2],
        "request_hash": literal(hashlib.sha256(f"{request}:{scenario['vintage_id']}".encode()).hexdigest(), String),
        "store_key": o.store_key,
        "dept_key": o.dept_key,
        "target_week": o.target_week,
        "version": before + 1,
        "override": o.forecast,
        "author": literal(author, String),
        "reason": literal(f"scenario {scenario['name']}", String),
        "needs_approval": literal(False),
        "created_at": literal(now, v.created_at.type),
        "vintage_id": base.c.vintage_id,
        "forecast": base.c.forecast,
    }
    chosen = moved.add_columns(*(each.label(name) for name, each in values.items())).where(~is_kept)
    connection.execute(insert(overrides).from_select(list(values), chosen))
    return adoption
