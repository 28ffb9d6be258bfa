"""Ticks of a sensor in Dagster's records."""

import dagster as dg

from demand_assets.adapters.dagster_internals import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    LoadableTargetOrigin,
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
    SensorInstigatorData,
    SerializableErrorInfo,
    TickData,
    TickStatus,
)


class Ticks:
    """Ticks of one sensor as the daemon records them, a minute apart."""

    def __init__(self, instance: dg.DagsterInstance, name: str) -> None:
        location = ManagedGrpcPythonEnvCodeLocationOrigin(
            LoadableTargetOrigin(module_name="demand_assets.definitions"), location_name="demand"
        )
        origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), name)
        self.instance, self.minute, self.failed = instance, 0, 0
        self.state = instance.add_instigator_state(
            InstigatorState(
                origin, InstigatorType.SENSOR, InstigatorStatus.DECLARED_IN_CODE, SensorInstigatorData(min_interval=60)
            )
        )

    def add(self, status: TickStatus, error: str | None = None, *kinds: str) -> None:
        """A tick; `kinds` are the classes of its error from the outermost to the one that says `error`."""
        info: SerializableErrorInfo | None = None
        for kind in reversed(kinds or ("SensorExecutionError", "StoreError")):
            info = error and SerializableErrorInfo(f"{kind}: {'outer' if info else error}\n", [], kind, info)
        self.minute += 1
        self.failed = self.failed + 1 if status == TickStatus.FAILURE else 0
        self.instance.create_tick(
            TickData(
                self.state.instigator_origin_id, self.state.instigator_name, InstigatorType.SENSOR, status,
                timestamp=1_341_000_000.0 + 60 * self.minute, selector_id=self.state.selector_id, run_ids=[],
                error=info, consecutive_failure_count=self.failed,
            )
        )  # fmt: skip
