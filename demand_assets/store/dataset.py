"""What the retailer's data are, and what stores and departments are called. Needs neither numpy nor pyarrow."""

from __future__ import annotations

import calendar
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, bindparam, delete, func, insert, select, update

from demand_assets.contract.columns import ID_RULE, is_id, key_name
from demand_assets.errors import StoreError
from demand_assets.store.dimensions import DIMENSIONS, keys_of, natural
from demand_assets.store.engine import write_transaction
from demand_assets.store.tables import actuals, dataset, forecast_vintages, holidays

WEEKDAYS = tuple(calendar.day_name)
"""Monday to Sunday."""
DATASET: Select[Any] = select(*(column for column in dataset.c if not column.primary_key))
"""The one row of `dataset`; none before the pipeline has written it."""
_THE_ROW = 1
_LOCK_DATASET = 0x64656D616E640E


@dataclass(frozen=True)
class Dataset:
    """Unit of sales, weekday that ends a week (0 Monday to 6 Sunday), what people call stores and departments.

    `has_stores`, `has_departments`: whether series have that key; where not, one id stands for all.
    """

    unit: str
    week_ends: int
    store_label: str = "Store"
    dept_label: str = "Department"
    has_stores: bool = True
    has_departments: bool = True


@dataclass(frozen=True)
class Member:
    """A store or department: its id, its name for people, static facts by name (text, number or flag)."""

    id: str
    name: str | None = None
    attributes: Mapping[str, Any] | None = None


def known_dataset(connection: Connection) -> Mapping[str, Any] | None:
    """The row of `dataset` less its key; None before the pipeline has written it."""
    row = connection.execute(DATASET).mappings().first()
    return None if row is None else dict(row)


def publish_dataset(engine: Engine, given: Dataset, now: datetime) -> bool:
    """Make `given` the store's dataset; whether that changed anything. `now` is aware, the caller's clock.

    StoreError for an empty unit or label, a weekday that is none, or one that is not that of the weeks in the store.
    """
    _check(given)
    with write_transaction(engine, _LOCK_DATASET) as connection:
        _check_weekday_kept(connection, given.week_ends)
        found = known_dataset(connection)
        values = asdict(given)
        if found is not None and {name: found[name] for name in values} == values:
            return False
        statement = insert(dataset).values(dataset_key=_THE_ROW) if found is None else update(dataset)
        connection.execute(statement.values(**values, updated_at=now))
        return True


def publish_members(engine: Engine, stores: Sequence[Member], departments: Sequence[Member], now: datetime) -> int:
    """Set names and attributes of these stores and departments; how many were added or changed.

    Ids that are new get a key, in natural order; known ones keep theirs, and those not named stay as they are.
    StoreError for an id that is none or is given twice, or an attribute that JSON cannot hold.
    """
    given = {"store_id": stores, "dept_id": departments}
    for name, members in given.items():
        _check_members(name, members)
    with write_transaction(engine, _LOCK_DATASET) as connection:
        changed = sum(_set_members(connection, name, members) for name, members in given.items())
        if changed:
            # Tells readers that keep names in memory to read them again.
            connection.execute(update(dataset).values(updated_at=now))
        return changed


def publish_holidays(engine: Engine, names: Mapping[date, str]) -> bool:
    """Make `names`, week -> names of its holidays, all that the store knows of them; whether that changed anything.

    StoreError for weeks of another weekday than the store's dataset has.
    """
    with write_transaction(engine, _LOCK_DATASET) as connection:
        found = known_dataset(connection)
        ends: int | None = None if found is None else found["week_ends"]
        other = [week for week in names if week.weekday() != ends]
        if ends is not None and other:
            raise StoreError(f"holidays: expected weeks that end on {WEEKDAYS[ends]}, got {other[0]}")
        if {row.week: row.holiday for row in connection.execute(select(holidays))} == names:
            return False
        connection.execute(delete(holidays))
        if names:
            rows = [{"week": week, "holiday": name} for week, name in names.items()]
            connection.execute(insert(holidays), rows)
        return True


def _check(given: Dataset) -> None:
    for name in ("unit", "store_label", "dept_label"):
        value = getattr(given, name)
        if not is_id(value) or not value.strip():
            raise StoreError(f"dataset: expected {name} to be {ID_RULE}, got {value!r}")
    if given.week_ends not in range(len(WEEKDAYS)):
        raise StoreError(f"dataset: expected week_ends from 0 (Monday) to 6 (Sunday), got {given.week_ends!r}")


def _check_weekday_kept(connection: Connection, week_ends: int) -> None:
    """A store holds weeks of one weekday: others would stand beside them as if they were other weeks."""
    for column in (actuals.c.week, forecast_vintages.c.origin_week):
        week: date | None = connection.execute(select(func.max(column))).scalar_one()
        if week is not None and week.weekday() != week_ends:
            raise StoreError(
                f"expected weeks that end on {WEEKDAYS[week.weekday()]}, as the store holds {week}, got a dataset "
                f"whose weeks end on {WEEKDAYS[week_ends]}; use another store for it"
            )


def _check_members(name: str, members: Sequence[Member]) -> None:
    seen: set[str] = set()
    for each in members:
        if not is_id(each.id):
            raise StoreError(f"{name}: expected {ID_RULE}, got {each.id!r}")
        if each.id in seen:
            raise StoreError(f"{name}: expected each id once, got {each.id!r} more than once")
        if each.name is not None and "\0" in each.name:
            raise StoreError(f"{name} {each.id}: expected a name without the character 0, got {each.name!r}")
        seen.add(each.id)


def _set_members(connection: Connection, name: str, members: Sequence[Member]) -> int:
    table, key = DIMENSIONS[name], key_name(name)
    found = connection.execute(select(table.c[name], table.c.name, table.c.attributes))
    known = {row[0]: (row[1], _canonical(name, row[2])) for row in found}
    keys = keys_of(connection, name, sorted((each.id for each in members), key=natural))
    wanted = {each.id: (each.name or None, _canonical(name, each.attributes)) for each in members}
    changed = [
        {"of_key": keys[each], "name": title, "attributes": None if facts is None else json.loads(facts)}
        for each, (title, facts) in wanted.items()
        if known.get(each) != (title, facts)
    ]
    if changed:
        connection.execute(update(table).where(table.c[key] == bindparam("of_key")), changed)
    return len(changed)


def _canonical(name: str, attributes: Mapping[str, Any] | None) -> str | None:
    """Attributes as one JSON text, so that equal ones compare equal; None where there are none."""
    if not attributes:
        return None
    try:
        return json.dumps(dict(attributes), sort_keys=True, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise StoreError(f"{name}: expected attributes of text, number or flag, got {attributes!r}: {error}") from None
