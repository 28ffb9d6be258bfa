"""Dagster's own storage on one machine: its SQLite files, written with fewer transactions and fewer waits for the disk.

A run over the whole history is some two thousand events, of which Dagster writes each by itself, twice, on a new
connection, and waits for the disk each time: a sixth of the main job. The files and their tables are Dagster's; either
storage reads what the other wrote.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.sql import create_engine
from dagster._core.storage.sqlalchemy_compat import db_result
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.pool import QueuePool

if TYPE_CHECKING:
    from dagster import EventLogEntry
    from dagster._serdes import ConfigurableClassData
    from sqlalchemy import Connection, Engine


class LocalEventLog(SqliteEventLogStorage):
    """Dagster's event log: connections stay open, and events that come together are one transaction."""

    def __init__(self, base_dir: str, inst_data: "ConfigurableClassData | None" = None) -> None:
        self._open: dict[str, Engine] = {}
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> "Iterator[Connection]":
        # One at a time, as Dagster has it: an open connection is never asked for twice.
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _engine(self, shard: str) -> "Engine":
        """The engine of a run's file or of the index; only the index and the last run asked for stay open."""
        if shard not in self._open:
            for other in [name for name in self._open if name != INDEX_SHARD_NAME]:
                self._open.pop(other).dispose()
            engine = create_engine(
                self.conn_string_for_shard(shard),
                poolclass=QueuePool,
                # One stays open; making the tables takes a second for a moment.
                pool_size=1,
                max_overflow=-1,
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
            )
            sqlalchemy_event.listen(engine, "connect", _wait_for_no_disk)
            self._open[shard] = engine
        return self._open[shard]

    def store_event_batch(self, events: "Sequence[EventLogEntry]") -> None:
        """Events of one run: those about assets in one transaction on the run's file and one on the index."""
        together = [one for one in events if one.is_dagster_event and one.dagster_event_type in ASSET_EVENTS]
        if together:
            statements = [self.prepare_insert_event(one) for one in together]
            with self.run_connection(together[0].run_id) as connection:
                for statement in statements:
                    connection.execute(statement)
            with self.index_transaction() as connection:
                ids = []
                for statement in statements:
                    with db_result(connection, statement) as result:
                        ids.append(result.inserted_primary_key[0])
                self._store_asset_event_tags(connection, together, ids)
                # An asset's row holds its newest event of each type, so that the ones before it need not be written.
                newest = {
                    (one.get_dagster_event().asset_key, one.dagster_event_type): (one, number)
                    for one, number in zip(together, ids, strict=True)
                }
                for one, number in newest.values():
                    self._store_asset_event(connection, one, number)
        for one in events:
            if not (one.is_dagster_event and one.dagster_event_type in ASSET_EVENTS):
                self.store_event(one)

    def wipe(self) -> None:
        """Delete every event."""
        self._close()
        super().wipe()

    def dispose(self) -> None:
        """Close what is open."""
        super().dispose()
        self._close()

    def _close(self) -> None:
        while self._open:
            self._open.popitem()[1].dispose()


def _wait_for_no_disk(connection: Any, _record: Any) -> None:
    # With a write-ahead log nothing is torn by a loss of power: at most the last events are lost, which are a record of
    # what was done. What was done is in the lake and the store, which do wait for the disk.
    connection.execute("PRAGMA synchronous=NORMAL")


class LocalStorage(DagsterSqliteStorage):
    """Runs and schedules as Dagster stores them, events in `LocalEventLog`; everything under `base_dir`."""

    def __init__(self, base_dir: str, inst_data: "ConfigurableClassData | None" = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = LocalEventLog(self._event_log_storage._base_dir)

    @classmethod
    def from_config_value(cls, inst_data: "ConfigurableClassData", config_value: Any) -> "LocalStorage":
        """As dagster.yaml asks for it."""
        return cls.from_local(inst_data=inst_data, **config_value)
