"""Dagster's event log on one machine, as fast as a run over many weeks needs it.

Dagster's own class makes an engine for each event, so every statement is compiled anew, and commits each event of a
batch by itself, two or three times. Both took a third of a first run on the sample (docs/decisions.md).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, NullPool, create_engine

from demand_assets.adapters.dagster_internals import SqliteEventLogStorage

if TYPE_CHECKING:
    from dagster import DagsterInstance, EventLogEntry

# How long a process waits for another that writes, as in Dagster's own class.
_BUSY_S = 30
# Runs whose engines are kept; a process writes to one at a time, and a web server reads of several.
_ENGINES = 16


class SqliteEvents(SqliteEventLogStorage):
    """One SQLite file for each run and one for all, in the folder where Dagster's own class has them.

    The folder is that of the instance, which is known once there is one. A setting with the folder's name would be
    wrong in a workspace that was moved, and DAGSTER_HOME is not set for an instance that ends with its command.
    """

    def __init__(self, inst_data: Any = None) -> None:
        self._inst_data = inst_data
        self._engine = lru_cache(_ENGINES)(self._made)
        self._batch = threading.local()

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
            self._batch.connections, self._batch.opened = {}, opened
            try:
                super().store_event_batch(events)
            finally:
                del self._batch.connections

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        held: dict[str, Connection] | None = getattr(self._batch, "connections", None)
        if held is None:
            with self._db_lock, self._engine(shard).begin() as connection:
                yield connection
            return
        if shard not in held:
            held[shard] = self._batch.opened.enter_context(self._engine(shard).begin())
        yield held[shard]

    def _made(self, shard: str) -> Engine:
        address = self.conn_string_for_shard(shard)
        engine = create_engine(address, poolclass=NullPool, connect_args={"timeout": _BUSY_S})
        if shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        return engine
