"""What this project takes from private modules of Dagster, for want of a public name. Nothing else imports them.

A private name may change with any release, which is one reason why pyproject.toml pins Dagster to the patch.

Pipeline:
- `DagsterEventBatchMetadata`: events reported with it reach the storage together (`assets.versions`).
- `InstigatorStatus`, `TickStatus`: `DagsterInstance.get_ticks` takes and returns them (`alerting`).
- `SerializableErrorInfo`: what failed steps and ticks say of their error (`alerting`).
- `DynamicPartitionsTable`, `SqlEventLogStorage`: partitions are put into another order in one transaction
  (`partitions`).
- `SqliteEventLogStorage`: whose files of deleted runs are removed (`run_history`), and which is made faster
  (`event_storage`). `INDEX_SHARD_NAME`: its file of all runs.
- `LocalArtifactStorage`: the class that a `dagster.yaml` must name to give the folder another place (`docker/`).

Tests only:
- `NoOpComputeLogManager`: the class by which an instance keeps nothing of what steps print.
- `InMemoryEventLogStorage`: the class by which an instance forgets what its runs told when it ends.
- `ComputeIOType`: the argument of a compute log manager's `open_log_stream`.
- `InstigatorState`, `TickData` and what they are made of: ticks as the daemon records them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dagster._core.definitions.run_request import InstigatorType
from dagster._core.events import DagsterEventBatchMetadata
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.storage.compute_log_manager import ComputeIOType
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._utils.error import SerializableErrorInfo  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from dagster._core.storage.event_log import InMemoryEventLogStorage, SqlEventLogStorage
    from dagster._core.storage.event_log.schema import DynamicPartitionsTable
    from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage

__all__ = [
    "INDEX_SHARD_NAME",
    "ComputeIOType",
    "DagsterEventBatchMetadata",
    "DynamicPartitionsTable",
    "InMemoryEventLogStorage",
    "InstigatorState",
    "InstigatorStatus",
    "InstigatorType",
    "LoadableTargetOrigin",
    "LocalArtifactStorage",
    "ManagedGrpcPythonEnvCodeLocationOrigin",
    "NoOpComputeLogManager",
    "RemoteInstigatorOrigin",
    "RemoteRepositoryOrigin",
    "SensorInstigatorData",
    "SerializableErrorInfo",
    "SqlEventLogStorage",
    "SqliteEventLogStorage",
    "TickData",
    "TickStatus",
]

_LATE = {
    "INDEX_SHARD_NAME": "dagster._core.storage.event_log.sqlite.sqlite_event_log",
    "DynamicPartitionsTable": "dagster._core.storage.event_log.schema",
    "InMemoryEventLogStorage": "dagster._core.storage.event_log",
    "SqlEventLogStorage": "dagster._core.storage.event_log",
    "SqliteEventLogStorage": "dagster._core.storage.event_log",
}


def __getattr__(name: str) -> Any:
    """What loads SQLAlchemy and alembic with it, when it is asked for: definitions load without them."""
    if name not in _LATE:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(_LATE[name]), name)
