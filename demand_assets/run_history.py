"""How long Dagster's runs are kept: each is some hundred events, and a file of its own in SQLite."""

from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg

from demand_assets.automation import FINISHED
from demand_assets.resources import Clock

# A tick of a sensor ends after a minute.
_MOST_PER_TICK = 50


def delete_old_runs(instance: dg.DagsterInstance, now: datetime, weeks: int, most: int, *, with_logs: bool) -> int:
    """Delete up to `most` finished runs that are older than `weeks` (0: none), the oldest first; how many there were.

    Their events go with them, and with `with_logs` what their steps printed. So the UI shows the weeks that they alone
    made as missing; the lake and the store, which decide what is due, keep all.
    """
    if weeks == 0:
        return 0
    old = dg.RunsFilter(statuses=list(FINISHED), created_before=now - timedelta(weeks=weeks))
    found = [record.dagster_run.run_id for record in instance.get_run_records(old, limit=most, ascending=True)]
    for run_id in found:
        if with_logs:
            instance.compute_log_manager.delete_logs(prefix=[run_id])
        instance.delete_run(run_id)
        _remove_database(instance, run_id)
    return len(found)


def _remove_database(instance: dg.DagsterInstance, run_id: str) -> None:
    """SQLite keeps the events of each run in a file, which stays as large when they are deleted."""
    from demand_assets.adapters.dagster_internals import SqliteEventLogStorage

    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        database = storage.path_for_shard(run_id)
        for path in (database, f"{database}-wal", f"{database}-shm"):
            Path(path).unlink(missing_ok=True)


def old_runs_sensor(weeks: int, *, with_logs: bool) -> dg.SensorDefinition:
    """A sensor that deletes runs older than `weeks`, some each hour."""

    @dg.sensor(
        name="delete_old_runs",
        minimum_interval_seconds=3600,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Deletes runs older than DEMAND_RUN_HISTORY_WEEKS with their events.",
    )
    def look(context: dg.SensorEvaluationContext, clock: Clock) -> dg.SkipReason:
        deleted = delete_old_runs(context.instance, clock.now(), weeks, _MOST_PER_TICK, with_logs=with_logs)
        return dg.SkipReason(f"{deleted} runs older than {weeks} weeks deleted" if weeks else "all runs are kept")

    return look
