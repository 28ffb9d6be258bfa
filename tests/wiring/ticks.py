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
        self.instance, self.minute = instance, 0
        self.state = instance.add_instigator_state(
            InstigatorState(
                origin, InstigatorType.SENSOR, InstigatorStatus.DECLARED_IN_CODE, SensorInstigatorData(min_interval=60)
            )
        )

    def add(self, status: TickStatus, error: str | None = None) -> None:
        cause = None if error is None else SerializableErrorInfo(f"StoreError: {error}\n", [], "StoreError")
        self.minute += 1
        self.instance.create_tick(
            TickData(
                self.state.instigator_origin_id, self.state.instigator_name, InstigatorType.SENSOR, status,
                timestamp=1_341_000_000.0 + 60 * self.minute, selector_id=self.state.selector_id, run_ids=[],
                error=cause and SerializableErrorInfo("SensorExecutionError: outer\n", [], "X", cause),
            )
        )  # fmt: skip
