"""Writes to the forecast store. Each is one transaction that can be repeated; forecasts are only ever added."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg
from sqlalchemy import Connection, Engine, Table, delete, insert, select

from demand_assets.errors import StoreError
from demand_assets.store.engine import store_error, write_transaction
from demand_assets.store.rows import (
    ACCURACY,
    ACTUAL,
    CONDITION,
    DRIFT,
    EXCEPTION,
    FORECAST,
    REASON,
    TOTAL,
    CanonicalRows,
    Check,
    Row,
    canonical,
)
from demand_assets.store.tables import (
    actuals,
    drift_reports,
    forecast_accuracy,
    forecast_exceptions,
    forecast_reasons,
    forecast_totals,
    forecast_vintages,
    forecasts,
    store_conditions,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from demand_assets.store.columns import CanonicalColumns

    Given: TypeAlias = "Iterable[tuple[Any, ...]] | pa.Table"
    Canonical: TypeAlias = CanonicalRows | CanonicalColumns

# Advisory locks of PostgreSQL, one per table that is written; SQLite has one writer anyhow.
_LOCK_VINTAGES = 0x64656D616E6402
_LOCK_ACTUALS = 0x64656D616E6403
_LOCK_ACCURACY = 0x64656D616E6404
_LOCK_DRIFT = 0x64656D616E6407
_LOCK_EXCEPTIONS = 0x64656D616E6408
_LOCK_CONDITIONS = 0x64656D616E640B


@dataclass(frozen=True)
class VintageRecord:
    """What one vintage was made of; `published_at` is aware, the caller's clock, and no part of the identity."""

    origin_week: date
    horizon_weeks: int
    model_name: str
    model_version: str
    data_version: str
    code_version: str
    published_at: datetime


@dataclass(frozen=True)
class PublishResult:
    """The vintage, whether it was new to the store, and the rows it has."""

    vintage_id: str
    inserted: bool
    rows: int


def vintage_id_for(
    origin_week: date,
    horizon_weeks: int,
    model_name: str,
    model_version: str,
    data_version: str,
    code_version: str,
    content_hash: str,
) -> str:
    """`ORIGIN-` and 16 hex digits of what went in and what came out; the same for the same, whenever published."""
    identity = {
        "origin_week": origin_week.isoformat(),
        "horizon_weeks": horizon_weeks,
        "model_name": model_name,
        "model_version": model_version,
        "data_version": data_version,
        "code_version": code_version,
        "content": content_hash,
    }
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return f"{origin_week.isoformat()}-{digest[:16]}"


def publish_vintage(
    engine: Engine,
    record: VintageRecord,
    rows: Given,
    totals: Given = (),
    reasons: Given = (),
) -> PublishResult:
    """Add one vintage with its forecasts, totals and reasons, all or none; the same forecasts again add nothing.

    `rows`: (store_id, dept_id, target_week, horizon, forecast, p10, p50, p90, order_quantity or None), one
    per store x dept x target week, in any order. `totals` and `reasons`: the columns of their tables less the vintage,
    one reason row per forecast; a vintage that is there without any gets them. The vintage's id is of `rows` alone.
    Each may be an Arrow table with these columns in this order, weeks as date32: the same vintage, many times faster.
    StoreError for no rows, a key twice, NaN or infinity, a week that is not `horizon` weeks after the origin, reasons
    of other forecasts, or a store that cannot be used.
    """
    series_week = ("store_id", "dept_id", "target_week")
    clean = _canonical(rows, FORECAST, series_week, "forecasts")
    summed = _canonical(totals, TOTAL, ("level", *series_week), "forecast totals")
    explained = _canonical(reasons, REASON, series_week, "forecast reasons")
    _check_record(record, clean)
    # A handful of pairs, however many rows.
    _check_weeks(record, clean.pairs("target_week", "horizon") | summed.pairs("target_week", "horizon"))
    if len(explained) and not explained.has_keys_of(clean):
        raise StoreError(
            f"expected one row of reasons per forecast, got {len(explained)} for {len(clean)} forecasts of origin "
            f"{record.origin_week}; make both from the same features"
        )
    vintage_id = vintage_id_for(
        record.origin_week,
        record.horizon_weeks,
        record.model_name,
        record.model_version,
        record.data_version,
        record.code_version,
        clean.content_hash(),
    )
    with write_transaction(engine, _LOCK_VINTAGES) as connection:
        known = select(forecast_vintages.c.vintage_id).where(forecast_vintages.c.vintage_id == vintage_id)
        is_new = connection.execute(known).first() is None
        if is_new:
            connection.execute(insert(forecast_vintages).values(vintage_id=vintage_id, **asdict(record)))
        _add_once(connection, forecasts, FORECAST, vintage_id, clean)
        _add_once(connection, forecast_totals, TOTAL, vintage_id, summed)
        _add_once(connection, forecast_reasons, REASON, vintage_id, explained)
    return PublishResult(vintage_id, inserted=is_new, rows=len(clean))


def publish_conditions(engine: Engine, rows: Iterable[tuple[Any, ...]]) -> int:
    """Insert or correct rows of the columns of `store_conditions`, in their order; return how many changed.

    One row per store x week, weeks to come included; all but the holiday flag may be None. StoreError as for
    `publish_actuals`.
    """
    clean = _canonical(rows, CONDITION, ("store_id", "week"), "store conditions")
    return _upsert(engine, _LOCK_CONDITIONS, store_conditions, clean)


def publish_actuals(engine: Engine, rows: Given) -> int:
    """Insert or correct sales (store_id, dept_id, week, actual, is_holiday); return how many rows changed.

    May be an Arrow table with these columns, weeks as date32. A row equal to the stored one is not written. StoreError
    for a key twice, NaN or infinity, or a store that cannot be used.
    """
    clean = _canonical(rows, ACTUAL, ("store_id", "dept_id", "week"), "actuals")
    return _upsert(engine, _LOCK_ACTUALS, actuals, clean)


def publish_accuracy(engine: Engine, rows: Iterable[tuple[Any, ...]]) -> int:
    """Insert or correct rows of the columns of `forecast_accuracy`, in their order; return how many changed.

    One row per week x vintage x model x horizon x level x store_id x dept_id; errors in USD. StoreError as for
    `publish_actuals`.
    """
    keys = [column.name for column in forecast_accuracy.primary_key.columns]
    clean = _canonical(rows, ACCURACY, keys, "forecast accuracy")
    return _upsert(engine, _LOCK_ACCURACY, forecast_accuracy, clean)


def publish_drift(engine: Engine, week: date, rows: Iterable[tuple[Any, ...]]) -> int:
    """Make `rows` the whole drift report of a week, in place of the one before; return how many rows it has.

    One row per week x reference x group_kind x group_id x variable, then kind, points, reference_points, psi, ks, ks_p,
    mean_shift, missing_shift (each of the five may be None) and severity. StoreError as for `publish_actuals`, and for
    a row of another week.
    """
    clean = canonical(rows, DRIFT, ("week", "reference", "group_kind", "group_id", "variable"), "drift report")
    return _replace_week(engine, _LOCK_DRIFT, drift_reports, week, clean)


def publish_exceptions(engine: Engine, week: date, rows: Iterable[tuple[Any, ...]]) -> int:
    """Put rows of the columns of `forecast_exceptions`, in their order, in place of those of `week`; return how many.

    One row per week x vintage x store_id x dept_id. No rows: the week has no exceptions any more. StoreError as for
    `publish_actuals`, and for a row of another week.
    """
    keys = [column.name for column in forecast_exceptions.primary_key.columns]
    clean = canonical(rows, EXCEPTION, keys, "forecast exceptions")
    return _replace_week(engine, _LOCK_EXCEPTIONS, forecast_exceptions, week, clean)


def _replace_week(engine: Engine, lock: int, table: Table, week: date, rows: list[Row]) -> int:
    """Replaced, not merged: a row that a correction took away must not linger. The week is the first column."""
    others = sorted({row[0] for row in rows} - {week.isoformat()})
    if others:
        raise StoreError(f"{table.name}: expected rows of {week}, got rows of {others[0]}; publish each week by itself")
    names = [column.name for column in table.columns]
    with write_transaction(engine, lock) as connection:
        connection.execute(delete(table).where(table.c.week == week))
        if engine.dialect.name == "postgresql":
            _copy(connection, table.name, names, rows)
        elif rows:
            connection.exec_driver_sql(_sqlite_insert(table.name, names), rows)
    return len(rows)


def _canonical(given: Given, columns: dict[str, Check], key: Sequence[str], what: str) -> Canonical:
    if not hasattr(given, "column_names"):
        return CanonicalRows(columns, key, canonical(given, columns, key, what))
    # numpy and pyarrow, which a reader of the store may lack.
    from demand_assets.store.columns import canonical_columns

    return canonical_columns(given, columns, key, what)


def _check_record(record: VintageRecord, rows: Canonical) -> None:
    if not len(rows):
        raise StoreError(f"expected forecasts of origin {record.origin_week}, got no rows; a vintage is never empty")
    if type(record.origin_week) is not date or record.origin_week.weekday() != 4:
        raise StoreError(f"expected an origin week that is a Friday, got {record.origin_week}")
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


def _add_once(
    connection: Connection, table: Table, columns: Mapping[str, Check], vintage_id: str, rows: Canonical
) -> None:
    """Rows of one vintage, unless it has some in that table: what was published stays as it was."""
    held = select(table.c.vintage_id).where(table.c.vintage_id == vintage_id).limit(1)
    if not len(rows) or connection.execute(held).first() is not None:
        return
    names = ("vintage_id", *columns)
    if connection.engine.dialect.name == "sqlite":
        for block in rows.blocks():
            connection.exec_driver_sql(_sqlite_insert(table.name, names), [(vintage_id, *row) for row in block])
    elif isinstance(rows, CanonicalRows):
        _copy(connection, table.name, names, ((vintage_id, *row) for row in rows.rows()))
    else:
        _copy_binary(connection, table.name, names, rows.copied(table, vintage_id))


def _upsert(engine: Engine, lock: int, table: Table, rows: Canonical) -> int:
    if not len(rows):
        return 0
    names = [column.name for column in table.columns]
    keys = [column.name for column in table.primary_key.columns]
    values = [name for name in names if name not in keys]
    # Names come from the table above, never from a caller.
    stored = ", ".join(f"{table.name}.{name}" for name in values)
    given = ", ".join(f"excluded.{name}" for name in values)
    on_conflict = (
        f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET ({', '.join(values)}) = ({given})"
        f" WHERE ({stored}) IS DISTINCT FROM ({given})"
    )
    with write_transaction(engine, lock) as connection:
        if engine.dialect.name == "postgresql":
            staging = f"staged_{table.name}"
            connection.exec_driver_sql(f"CREATE TEMP TABLE {staging} (LIKE {table.name}) ON COMMIT DROP")
            if isinstance(rows, CanonicalRows):
                _copy(connection, staging, names, rows.rows())
            else:
                _copy_binary(connection, staging, names, rows.copied(table))
            columns = ", ".join(names)
            merge = f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {staging}{on_conflict}"  # noqa: S608
            return connection.exec_driver_sql(merge).rowcount
        # SQLite compares rows with IS NOT since ever, with IS DISTINCT FROM only since 3.39.
        merge = _sqlite_insert(table.name, names) + on_conflict.replace("IS DISTINCT FROM", "IS NOT")
        return sum(connection.exec_driver_sql(merge, block).rowcount for block in rows.blocks())


def _sqlite_insert(table: str, names: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608


def _copy(connection: Connection, table: str, names: Sequence[str], rows: Iterable[Row]) -> None:
    with _copying(connection, f"COPY {table} ({', '.join(names)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _copy_binary(connection: Connection, table: str, names: Sequence[str], blocks: Iterable[bytes]) -> None:
    with _copying(connection, f"COPY {table} ({', '.join(names)}) FROM STDIN (FORMAT BINARY)") as copy:
        for block in blocks:
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
