"""Dagster's events in SQLite: what its own class stores, in one transaction a batch."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import text

from demand_assets.adapters.dagster_internals import SqliteEventLogStorage
from demand_assets.adapters.event_storage import SqliteEvents

WEEKS = dg.StaticPartitionsDefinition([f"2012-10-{day:02}" for day in range(1, 9)])


@dg.asset(partitions_def=WEEKS, backfill_policy=dg.BackfillPolicy.single_run())
def sales(context: dg.AssetExecutionContext) -> None:
    for week in context.partition_keys:
        context.log_event(dg.AssetMaterialization("sales", partition=week, tags={"kind": "raw"}))


def of_all_runs(storage: Any) -> list[list[tuple[Any, ...]]]:
    """What the file of all runs says of assets, less what differs from run to run."""
    with storage.index_connection() as connection:
        return [
            sorted(tuple(row) for row in connection.execute(text(query)))
            for query in (
                "SELECT asset_key, partition, dagster_event_type FROM event_logs WHERE asset_key IS NOT NULL",
                """SELECT e.partition, e.dagster_event_type, t.key
                   FROM asset_event_tags t JOIN event_logs e ON e.id = t.event_id""",
                """SELECT k.asset_key, json_extract(k.last_materialization, '$.dagster_event.message'),
                   k.last_run_id IS NULL, k.last_materialization_timestamp IS NULL FROM asset_keys k""",
            )
        ]


def stored(storage: Any, run_id: str) -> list[tuple[Any, ...]]:
    return [(one.dagster_event_type, one.step_key, one.user_message) for one in storage.get_logs_for_run(run_id)]


OURS = {"event_log_storage": {"module": "demand_assets.adapters.event_storage", "class": "SqliteEvents"}}


def run_in(instance: dg.DagsterInstance) -> str:
    """Run `sales` for all weeks; the run's id."""
    tags = {"dagster/asset_partition_range_start": "2012-10-01", "dagster/asset_partition_range_end": "2012-10-08"}
    result = dg.materialize([sales], instance=instance, tags=tags)
    assert result.success
    assert instance.get_materialized_partitions(sales.key) == set(WEEKS.get_partition_keys())
    return str(result.run_id)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path), overrides=OURS) as own:
        assert isinstance(own.event_log_storage, SqliteEvents)
        yield own


def test_it_stores_what_dagsters_own_class_stores(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    run_id = run_in(instance)
    ours = stored(instance.event_log_storage, run_id)
    with dg.instance_for_test() as other:
        theirs = stored(other.event_log_storage, run_in(other))
        assert of_all_runs(instance.event_log_storage) == of_all_runs(other.event_log_storage)
    assert len(ours) > 8
    assert [kind for kind, *_ in ours] == [kind for kind, *_ in theirs]
    # A process whose instance is another one reads it with Dagster's own class.
    assert stored(SqliteEventLogStorage(str(tmp_path / "history" / "runs")), run_id) == ours


def test_a_batch_with_an_event_that_cannot_be_stored_leaves_nothing(instance: dg.DagsterInstance) -> None:
    storage, run_id = instance.event_log_storage, run_in(instance)
    before = stored(storage, run_id)
    events = list(storage.get_logs_for_run(run_id))
    broken: Any = object()
    with pytest.raises(Exception, match="event"):
        storage.store_event_batch([*events[:5], broken])
    assert stored(storage, run_id) == before
    storage.store_event_batch(events[:5])
    assert len(stored(storage, run_id)) == len(before) + 5


def test_batches_of_processes_at_once_are_all_stored(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    run_id = run_in(instance)
    events = list(instance.event_log_storage.get_logs_for_run(run_id))
    with dg.DagsterInstance.from_config(str(tmp_path)) as other, ThreadPoolExecutor(2) as threads:
        storages = [each.event_log_storage for each in (instance, other)]
        list(threads.map(lambda one: [one.store_event_batch(events) for _ in range(2)], storages))
    assert len(stored(instance.event_log_storage, run_id)) == len(events) * 5
