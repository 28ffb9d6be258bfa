"""Writes to the forecast store. Each is one transaction that can be repeated; forecasts are only ever added.

What is published is an Arrow table with the columns of `contract.store`, or a few rows in the order of those columns.
Ids are text; those that are new to the store are added to its dimension tables in the same transaction.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeAlias

import numpy as np
import psycopg
import pyarrow as pa
from sqlalchemy import Connection, Engine, delete, func, insert, select

from demand_assets.contract import distributions
from demand_assets.contract.columns import Table, Type
from demand_assets.contract.drivers import DRIVER_VALUES, DRIVERS
from demand_assets.contract.store import (
    ACTUALS,
    DRIFT_REPORTS,
    FORECAST_ACCURACY,
    FORECAST_ATTRIBUTIONS,
    FORECAST_EXCEPTIONS,
    FORECAST_KIND,
    FORECAST_TOTALS,
    FORECASTS,
    STORE_CONDITIONS,
)
from demand_assets.errors import StoreError
from demand_assets.store.blocks import binary_blocks, keyed, sqlite_blocks
from demand_assets.store.columns import Columns, Words, columns_of
from demand_assets.store.dataset import WEEKDAYS, known_dataset
from demand_assets.store.dimensions import keys_of
from demand_assets.store.engine import store_error, write_transaction
from demand_assets.store.tables import drivers as drivers_table
from demand_assets.store.tables import forecast_vintages, metadata

Given: TypeAlias = "Iterable[Sequence[Any]] | pa.Table"

# Advisory locks of PostgreSQL, one per table that is written; SQLite has one writer anyhow.
LOCK_VINTAGES = 0x64656D616E6402
_LOCK_ACTUALS = 0x64656D616E6403
_LOCK_ACCURACY = 0x64656D616E6404
_LOCK_DRIFT = 0x64656D616E6407
_LOCK_EXCEPTIONS = 0x64656D616E6408
_LOCK_CONDITIONS = 0x64656D616E640B
_LOCK_DRIVERS = 0x64656D616E640D


@dataclass(frozen=True)
class VintageRecord:
    """What one vintage was made of; `published_at` is aware, the caller's clock, and no part of the identity.

    `method` is the algorithm, `unit` what the amounts count, `kind` "forecast", "backtest" or "scenario".
    """

    origin_week: date
    horizon_weeks: int
    method: str
    model_version: str
    data_version: str
    code_version: str
    published_at: datetime
    unit: str
    kind: str = FORECAST_KIND


@dataclass(frozen=True)
class PublishResult:
    """The vintage, whether it was new to the store, and the rows it has."""

    vintage_id: str
    inserted: bool
    rows: int


def vintage_id_for(record: VintageRecord, content_hash: str) -> str:
    """`ORIGIN-` and 16 hex digits of what went in and what came out; the same for the same, whenever published."""
    origin = record.origin_week.isoformat()
    identity = {**asdict(record), "origin_week": origin, "content": content_hash}
    del identity["published_at"]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return f"{origin}-{digest[:16]}"


def forecast_hash(rows: Given) -> str:
    """The content hash of forecasts that is part of their vintage's id."""
    return columns_of(rows, FORECASTS.without("vintage_id")).content_hash()


@dataclass(frozen=True)
class Vintage:
    """A vintage that can be added: its record, its id, and its columns by table."""

    record: VintageRecord
    vintage_id: str
    parts: Mapping[Table, Columns]


def publish_vintage(
    engine: Engine, record: VintageRecord, rows: Given, totals: Given = (), attributions: Given = ()
) -> PublishResult:
    """Add one vintage with its forecasts, totals and attributions, all or none; the same forecasts again add nothing.

    StoreError as for `checked_vintage`, or for a store that cannot be used.
    """
    return publish_checked(engine, checked_vintage(record, rows, totals, attributions))


def publish_checked(engine: Engine, vintage: Vintage) -> PublishResult:
    """`publish_vintage` of one that was checked before. StoreError for a store that cannot be used."""
    with write_transaction(engine, LOCK_VINTAGES) as connection:
        return add_vintage(connection, vintage)


def checked_vintage(record: VintageRecord, rows: Given, totals: Given = (), attributions: Given = ()) -> Vintage:
    """A vintage whose parts fit together.

    `rows`, `totals` and `attributions` have the columns of their tables less the vintage, in any order of rows, one
    attribution per forecast; a vintage that is there without any gets them. The vintage's id is of `rows` alone.
    StoreError for no rows, a key twice, NaN or infinity, a week that is not `horizon` weeks after the origin, or
    attributions of other forecasts.
    """
    parts = {
        table: columns_of(given, table.without("vintage_id"))
        for table, given in ((FORECASTS, rows), (FORECAST_TOTALS, totals), (FORECAST_ATTRIBUTIONS, attributions))
    }
    clean, summed, explained = parts.values()
    _check_record(record, clean)
    # A handful of pairs, however many rows.
    _check_weeks(record, clean.pairs("target_week", "horizon") | summed.pairs("target_week", "horizon"))
    if len(explained) and not explained.has_keys_of(clean):
        raise StoreError(
            f"expected one row of attributions per forecast, got {len(explained)} for {len(clean)} forecasts of origin "
            f"{record.origin_week}; make both from the same features"
        )
    return Vintage(record, vintage_id_for(record, clean.content_hash()), parts)


def add_vintage(connection: Connection, vintage: Vintage) -> PublishResult:
    """Add it as the last in the sequence unless it is there; in a transaction that holds `LOCK_VINTAGES`."""
    is_new = _add_vintage(connection, vintage.vintage_id, vintage.record)
    for table, columns in vintage.parts.items():
        _add_once(connection, table, vintage.vintage_id, columns)
    return PublishResult(vintage.vintage_id, inserted=is_new, rows=len(vintage.parts[FORECASTS]))


def publish_conditions(engine: Engine, rows: Given) -> int:
    """Insert or correct rows of `store_conditions`; return how many changed. StoreError as for `publish_actuals`."""
    return _upsert(engine, _LOCK_CONDITIONS, columns_of(rows, STORE_CONDITIONS))


def publish_drivers(engine: Engine, drivers: Given, values: Given) -> int:
    """Make these all drivers and values that the store has; return how many rows of values were added or taken away.

    A driver keeps the key that it has in the store; `driver_key` of both only says which values are whose. StoreError
    as for `publish_actuals`.
    """
    given, found = columns_of(drivers, DRIVERS), columns_of(values, DRIVER_VALUES)
    names, numbers, used = given.text_of("driver"), given.numbers("driver_key"), found.numbers("driver_key")
    if not np.isin(used, numbers).all():
        raise StoreError(f"driver_values: expected values of the drivers {', '.join(names)}, got those of another")
    with write_transaction(engine, _LOCK_DRIVERS) as connection:
        d = drivers_table.c
        known = {str(name): int(key) for name, key in connection.execute(select(d.driver, d.driver_key))}
        first = max(known.values(), default=0) + 1
        kept = known | {name: first + at for at, name in enumerate(name for name in names if name not in known)}
        keys = np.array([kept[name] for name in names], dtype=np.int64)
        _merge(connection, given.with_values("driver_key", keys))
        # Rows are sorted by their key.
        own = found.with_values("driver_key", keys[np.searchsorted(numbers, used)])
        changed = _replace_all(connection, _keyed(connection, own))
        connection.execute(delete(drivers_table).where(d.driver.not_in(names)))
        return changed


def publish_actuals(engine: Engine, rows: Given) -> int:
    """Insert or correct rows of `actuals`; return how many changed.

    A row equal to the stored one is not written. StoreError for a key twice, NaN or infinity, or a store that cannot
    be used.
    """
    return _upsert(engine, _LOCK_ACTUALS, columns_of(rows, ACTUALS))


def publish_accuracy(engine: Engine, rows: Given) -> int:
    """Insert or correct rows of `forecast_accuracy`; return how many changed. StoreError as for `publish_actuals`."""
    return _upsert(engine, _LOCK_ACCURACY, columns_of(rows, FORECAST_ACCURACY))


def publish_drift(engine: Engine, week: date, rows: Given) -> int:
    """Make `rows` of `drift_reports` the whole report of a week, in place of the one before; return how many it has.

    StoreError as for `publish_actuals`, and for a row of another week.
    """
    return _replace_week(engine, _LOCK_DRIFT, week, columns_of(rows, DRIFT_REPORTS))


def publish_distributions(engine: Engine, week: date, quantiles: Given, histograms: Given) -> int:
    """Make these all that is told of the distributions of a week, in place of what was; return how many rows it has.

    StoreError as for `publish_actuals`, and for a row of another week.
    """
    parts = columns_of(quantiles, distributions.QUANTILES), columns_of(histograms, distributions.HISTOGRAMS)
    return _replace_week(engine, _LOCK_DRIFT, week, *parts)


def publish_exceptions(engine: Engine, week: date, rows: Given) -> int:
    """Put rows of `forecast_exceptions` in place of those of `week`; return how many. No rows: there are none any more.

    StoreError as for `publish_actuals`, and for a row of another week.
    """
    return _replace_week(engine, _LOCK_EXCEPTIONS, week, columns_of(rows, FORECAST_EXCEPTIONS))


def _replace_week(engine: Engine, lock: int, week: date, *parts: Columns) -> int:
    """Replaced, not merged: a row that a correction took away must not linger. Of several tables all or none."""
    for columns in parts:
        others = [other for other in columns.weeks("week") if other != week.isoformat()]
        if others:
            name = columns.table.name
            raise StoreError(f"{name}: expected rows of {week}, got rows of {others[0]}; publish each week by itself")
    with write_transaction(engine, lock) as connection:
        for columns in parts:
            table = metadata.tables[columns.table.name]
            connection.execute(delete(table).where(table.c.week == week))
            _insert(connection, columns.table.name, _keyed(connection, columns))
    return sum(map(len, parts))


def _check_record(record: VintageRecord, rows: Columns) -> None:
    if not len(rows):
        raise StoreError(f"expected forecasts of origin {record.origin_week}, got no rows; a vintage is never empty")
    if type(record.origin_week) is not date:
        raise StoreError(f"expected an origin week that is a date, got {record.origin_week!r}")
    if record.published_at.tzinfo is None:
        raise StoreError(f"expected published_at with a time zone, got {record.published_at.isoformat()}; pass UTC")


def _check_weeks(record: VintageRecord, found: set[tuple[str, int]]) -> None:
    allowed = {
        (record.origin_week + timedelta(weeks=ahead)).isoformat(): ahead for ahead in range(1, record.horizon_weeks + 1)
    }
    for week, horizon in sorted(found):
        if allowed.get(week) != horizon:
            raise StoreError(
                f"expected target weeks 1 to {record.horizon_weeks} weeks after origin {record.origin_week}, "
                f"got {week} with horizon {horizon}"
            )


def _add_vintage(connection: Connection, vintage_id: str, record: VintageRecord) -> bool:
    """Add the vintage as the last in the sequence unless it is there; whether it was added."""
    v = forecast_vintages.c
    if connection.execute(select(v.vintage_id).where(v.vintage_id == vintage_id)).first() is not None:
        return False
    last = connection.execute(select(func.coalesce(func.max(v.sequence), 0))).scalar_one()
    connection.execute(insert(forecast_vintages).values(vintage_id=vintage_id, sequence=last + 1, **asdict(record)))
    return True


def _add_once(connection: Connection, table: Table, vintage_id: str, columns: Columns) -> None:
    """Rows of one vintage, unless it has some in that table: what was published stays as it was."""
    held = metadata.tables[table.name].c.vintage_id
    if not len(columns) or connection.execute(select(held).where(held == vintage_id).limit(1)).first() is not None:
        return
    vintage = Words((vintage_id,), np.zeros(len(columns), dtype=np.int32))
    whole = Columns(table, {"vintage_id": vintage, **columns.values})
    _insert(connection, table.name, _keyed(connection, whole))


def _keyed(connection: Connection, columns: Columns) -> Columns:
    """The columns with keys in place of ids; ids that are new to the store are added.

    StoreError for weeks of another weekday than the store's dataset has.
    """
    _check_weekday(connection, columns)
    ids = [column.name for column in columns.table.columns if column.type is Type.ID]
    return keyed(columns, {name: keys_of(connection, name, columns.texts(name)) for name in ids})


def _check_weekday(connection: Connection, columns: Columns) -> None:
    found = known_dataset(connection)
    weeks = [column.name for column in columns.table.columns if column.type is Type.WEEK]
    if found is None or not len(columns):
        return
    for name in weeks:
        # Of a column all weeks have one weekday, or it would have been refused before.
        first = date.fromisoformat(columns.weeks(name)[0])
        if first.weekday() != found["week_ends"]:
            raise StoreError(
                f"{columns.table.name}: expected {name} to be a {WEEKDAYS[found['week_ends']]} as in the store's "
                f"dataset, got {first}, a {WEEKDAYS[first.weekday()]}"
            )


def _upsert(engine: Engine, lock: int, columns: Columns) -> int:
    if not len(columns):
        return 0
    with write_transaction(engine, lock) as connection:
        return _merge(connection, _keyed(connection, columns))


def _merge(connection: Connection, ready: Columns) -> int:
    """Insert the rows, or correct those of the same key; how many changed."""
    table = ready.table
    name, names = table.name, _stored_names(table)
    keys = [column.stored_name for column in table.columns if column.key]
    values = [each for each in names if each not in keys]
    # Names come from the contract, never from a caller.
    stored = ", ".join(f"{name}.{each}" for each in values)
    given = ", ".join(f"excluded.{each}" for each in values)
    on_conflict = (
        f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET ({', '.join(values)}) = ({given})"
        f" WHERE ({stored}) IS DISTINCT FROM ({given})"
    )
    if connection.dialect.name == "postgresql":
        listed, staging = ", ".join(names), _staged(connection, ready)
        merge = f"INSERT INTO {name} ({listed}) SELECT {listed} FROM {staging}{on_conflict}"  # noqa: S608
        return connection.exec_driver_sql(merge).rowcount
    # SQLite compares rows with IS NOT since ever, with IS DISTINCT FROM only since 3.39.
    merge = _sqlite_insert(name, names) + on_conflict.replace("IS DISTINCT FROM", "IS NOT")
    return sum(connection.exec_driver_sql(merge, block).rowcount for block in sqlite_blocks(ready))


def _replace_all(connection: Connection, ready: Columns) -> int:
    """Make these all rows of their table. Only rows that differ are written; how many were added or taken away."""
    name, listed = ready.table.name, ", ".join(_stored_names(ready.table))
    keys = ", ".join(column.stored_name for column in ready.table.columns if column.key)
    staging = _staged(connection, ready)
    other = f"SELECT {listed} FROM {name} EXCEPT SELECT {listed} FROM {staging}"  # noqa: S608
    new = f"SELECT {listed} FROM {staging} EXCEPT SELECT {listed} FROM {name}"  # noqa: S608
    away = f"DELETE FROM {name} WHERE ({keys}) IN (SELECT {keys} FROM ({other}) AS other)"  # noqa: S608
    statements = (away, f"INSERT INTO {name} ({listed}) {new}")
    changed = sum(connection.exec_driver_sql(each).rowcount for each in statements)
    if connection.dialect.name != "postgresql":
        connection.exec_driver_sql(f"DROP TABLE {staging}")
    return changed


def _staged(connection: Connection, ready: Columns) -> str:
    """The rows in a temporary table of this name, which PostgreSQL drops with the end of the transaction."""
    name, staging = ready.table.name, f"staged_{ready.table.name}"
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"CREATE TEMP TABLE {staging} (LIKE {name}) ON COMMIT DROP")
    else:
        connection.exec_driver_sql(f"CREATE TEMP TABLE {staging} AS SELECT * FROM {name} WHERE false")  # noqa: S608
    _insert(connection, staging, ready)
    return staging


def _insert(connection: Connection, name: str, columns: Columns) -> None:
    if connection.dialect.name == "postgresql":
        _copy(connection, name, columns)
        return
    statement = _sqlite_insert(name, _stored_names(columns.table))
    for block in sqlite_blocks(columns):
        connection.exec_driver_sql(statement, block)


def _stored_names(table: Table) -> list[str]:
    return [column.stored_name for column in table.columns]


def _sqlite_insert(table: str, names: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608


def _copy(connection: Connection, name: str, columns: Columns) -> None:
    names = ", ".join(_stored_names(columns.table))
    with _copying(connection, f"COPY {name} ({names}) FROM STDIN (FORMAT BINARY)") as copy:
        for block in binary_blocks(columns):
            copy.write(block)


@contextmanager
def _copying(connection: Connection, statement: str) -> Iterator[Any]:
    raw: Any = connection.connection.driver_connection
    try:
        with raw.cursor() as cursor, cursor.copy(statement) as copy:
            yield copy
    except psycopg.Error as error:
        # COPY is past SQLAlchemy, so its errors do not reach the engine's handler.
        raise store_error(connection.engine.url, error) from error
