"""Dagster's event log on one machine, as fast as a run over many weeks needs it.

Dagster's own class makes an engine for each event, so every statement is compiled anew, commits each event of a batch
by itself, two or three times, asks for each whether its tables are there, and notes each as its asset's newest.
That took a third of a first run on the sample (docs/decisions.md).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, inspect

from demand_assets.adapters.dagster_internals import INDEX_SHARD_NAME, SqliteEventLogStorage

if TYPE_CHECKING:
    from dagster import DagsterInstance, EventLogEntry

# How long a process waits for another that writes, as in Dagster's own class.
_BUSY_S = 30
# Runs whose engines are kept; a process writes to one at a time, and a web server reads of several.
_ENGINES = 16


@dataclass(eq=False)
class _Batch:
    """Events that are being stored together: a connection to each file, and what is written once at their end."""

    opened: ExitStack
    connections: dict[str, Connection] = field(default_factory=dict)
    tagged: list[tuple[EventLogEntry, int]] = field(default_factory=list)
    # By asset and kind of event, in order of what came last: an asset's row keeps the newest of each.
    newest: dict[tuple[Any, Any], tuple[EventLogEntry, int]] = field(default_factory=dict)


class SqliteEvents(SqliteEventLogStorage):
    """One SQLite file for each run and one for all, in the folder where Dagster's own class has them.

    The folder is that of the instance, which is known once there is one. A setting with the folder's name would be
    wrong in a workspace that was moved, and DAGSTER_HOME is not set for an instance that ends with its command.
    """

    def __init__(self, inst_data: Any = None) -> None:
        self._inst_data = inst_data
        self._engine = lru_cache(_ENGINES)(self._made)
        self._tables: set[str] = set()
        self._local = threading.local()

    def register_instance(self, instance: DagsterInstance) -> None:
        """Dagster calls it before it stores or reads anything."""
        super().__init__(str(Path(instance.root_directory) / "history" / "runs"), self._inst_data)
        super().register_instance(instance)

    @classmethod
    def config_type(cls) -> Any:
        """There is nothing to set."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> SqliteEvents:
        """As an instance asks for it."""
        return cls(inst_data)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events in one transaction for each file: all of them, or none after a crash."""
        with self._db_lock, ExitStack() as opened:
            batch = self._local.batch = _Batch(opened)
            try:
                super().store_event_batch(events)
                if batch.tagged:
                    with self._connect(INDEX_SHARD_NAME) as connection:
                        super()._store_asset_event_tags(connection, *zip(*batch.tagged, strict=True))
                        for event, event_id in batch.newest.values():
                            super()._store_asset_event(connection, event, event_id)
            finally:
                del self._local.batch

    def has_table(self, table_name: str) -> bool:
        """Whether the file of all runs has a table; one that is there stays."""
        if table_name not in self._tables:
            with self._engine(INDEX_SHARD_NAME).connect() as connection:
                if not inspect(connection).has_table(table_name):
                    return False
            self._tables.add(table_name)
        return True

    def _store_asset_event_tags(
        self, conn: Connection, events: Sequence[EventLogEntry], event_ids: Sequence[int]
    ) -> None:
        batch = self._of_batch()
        if batch is None:
            super()._store_asset_event_tags(conn, events, event_ids)
        else:
            batch.tagged += zip(events, event_ids, strict=True)

    def _store_asset_event(self, conn: Connection, event: EventLogEntry, event_id: int) -> None:
        batch = self._of_batch()
        if batch is None:
            super()._store_asset_event(conn, event, event_id)
        else:
            told = event.get_dagster_event()
            batch.newest.pop((told.asset_key, told.event_type), None)
            batch.newest[told.asset_key, told.event_type] = event, event_id

    def _of_batch(self) -> _Batch | None:
        return getattr(self._local, "batch", None)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        batch = self._of_batch()
        if batch is None:
            with self._db_lock, self._engine(shard).begin() as connection:
                yield connection
            return
        if shard not in batch.connections:
            batch.connections[shard] = batch.opened.enter_context(self._engine(shard).begin())
        yield batch.connections[shard]

    def _made(self, shard: str) -> Engine:
        address = self.conn_string_for_shard(shard)
        engine = create_engine(address, poolclass=NullPool, connect_args={"timeout": _BUSY_S})
        if shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        return engine
