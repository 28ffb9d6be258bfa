"""What Dagster reads from the local storage is what it reads from its own, whichever of the two wrote it."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from demand_assets.adapters.dagster_storage import LocalEventLog

WEEKS = dg.DynamicPartitionsDefinition(name="weeks")
KEYS = [f"2012-06-{day:02d}" for day in (1, 8, 15, 22, 29)]
CHECK = dg.AssetCheckSpec("is_made", asset="made", blocking=True)


@dg.asset(partitions_def=WEEKS, backfill_policy=dg.BackfillPolicy.single_run(), check_specs=[CHECK])
def made(context: dg.AssetExecutionContext) -> Any:
    yield dg.AssetCheckResult(passed=True, check_name="is_made")
    yield dg.MaterializeResult(metadata={"weeks": len(context.partition_keys)})


@dg.asset(partitions_def=WEEKS, backfill_policy=dg.BackfillPolicy.single_run(), deps=[made])
def after() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(data_version=dg.DataVersion("one"))


def _live(home: Path) -> None:
    """A range of weeks in one run, then one week again."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.add_dynamic_partitions("weeks", KEYS)
        for first, last in ((KEYS[0], KEYS[-1]), (KEYS[2], KEYS[2])):
            tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
            assert dg.materialize([made, after], instance=instance, tags=tags).success


def _told(home: Path) -> dict[str, Any]:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        runs = sorted(instance.get_run_records(), key=lambda record: record.storage_id)
        told: dict[str, Any] = {"events": [], "checks": []}
        for record in runs:
            entries = instance.all_logs(record.dagster_run.run_id)
            told["events"].append(Counter(str(entry.dagster_event_type) for entry in entries))
        for key in (made.key, after.key):
            log = instance.event_log_storage
            newest = instance.get_latest_materialization_event(key)
            assert newest is not None
            assert newest.asset_materialization is not None
            told[key.to_user_string()] = (
                sorted(instance.get_materialized_partitions(key)),
                newest.asset_materialization.partition,
                newest.run_id == runs[-1].dagster_run.run_id,
                sorted(
                    (partition, tags["dagster/data_version"] if key == after.key else "")
                    for partition, tags in log.get_latest_tags_by_partition(
                        key, dg.DagsterEventType.ASSET_MATERIALIZATION, ["dagster/data_version"]
                    ).items()
                ),
                len(instance.fetch_materializations(key, limit=100).records),
            )
        found = instance.event_log_storage.get_asset_check_execution_history(CHECK.key, limit=10)
        told["checks"] = [str(record.status) for record in found]
        return told


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collected: None) -> tuple[Path, Path]:
    """One home with this project's dagster.yaml, one with Dagster's defaults."""
    ours, plain = tmp_path / "ours", tmp_path / "plain"
    for home in (ours, plain):
        home.mkdir()
    shutil.copyfile(Path(__file__).parents[2] / "dagster.yaml", ours / "dagster.yaml")
    (plain / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    monkeypatch.setenv("DAGSTER_HOME", str(ours))
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
    return ours, plain


def test_either_storage_tells_the_same(homes: tuple[Path, Path]) -> None:
    ours, plain = homes
    _live(ours)
    _live(plain)
    told = _told(ours)
    assert told == _told(plain)
    assert told["made"][0] == KEYS
    shutil.copyfile(plain / "dagster.yaml", ours / "dagster.yaml")
    assert _told(ours) == told


def test_the_storage_is_taken_from_dagster_yaml_and_can_be_wiped(homes: tuple[Path, Path]) -> None:
    _live(homes[0])
    with dg.DagsterInstance.from_config(str(homes[0])) as instance:
        assert isinstance(instance.event_log_storage, LocalEventLog)
        instance.wipe()
        assert instance.get_materialized_partitions(made.key) == set()
    _live(homes[0])
