"""Runs of Dagster older than a setting are deleted, and with them all that they fill the disk with."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import dagster as dg
import pytest
import yaml

from demand_assets.resources import Clock
from demand_assets.run_history import delete_old_runs, old_runs_sensor

YEAR = timedelta(weeks=52)


@dg.op
def speak() -> None:
    click.echo("said")


@dg.job
def speaking() -> None:
    speak()


@contextmanager
def opened(folder: Path, **settings: object) -> Iterator[dg.DagsterInstance]:
    (folder / "dagster.yaml").write_text(yaml.safe_dump({"telemetry": {"enabled": False}, **settings}))
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        yield instance


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """One on SQLite, without a run."""
    with opened(tmp_path) as made:
        yield made


def ran(instance: dg.DagsterInstance) -> str:
    return speaking.execute_in_process(instance=instance).run_id


def files_of(folder: Path, run_id: str) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if run_id in str(path) and path.is_file())


def test_a_run_older_than_the_history_goes_with_its_events_and_logs(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    old, between, new = ran(instance), datetime.now(UTC), ran(instance)
    assert any(name.endswith(".out") for name in files_of(tmp_path, old))
    assert delete_old_runs(instance, between + YEAR, 52, 10, with_logs=True) == 1
    assert [run.run_id for run in instance.get_runs()] == [new]
    assert files_of(tmp_path, old) == []
    assert files_of(tmp_path, new) != []
    assert len(instance.all_logs(new)) > 5


def test_a_deleted_run_leaves_no_event_in_postgresql(postgres_url: str, tmp_path: Path) -> None:
    with opened(tmp_path, storage={"postgres": {"postgres_url": postgres_url}}) as instance:
        old, between, new = ran(instance), datetime.now(UTC), ran(instance)
        assert delete_old_runs(instance, between + YEAR, 52, 10, with_logs=True) == 1
        assert [run.run_id for run in instance.get_runs()] == [new]
        assert instance.all_logs(old) == []
        assert len(instance.all_logs(new)) > 5


def test_runs_that_have_not_ended_are_kept(instance: dg.DagsterInstance) -> None:
    unfinished = (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
    kept = [instance.create_run_for_job(speaking, status=status).run_id for status in unfinished]
    ran(instance)
    assert delete_old_runs(instance, datetime.now(UTC) + 2 * YEAR, 52, 10, with_logs=True) == 1
    assert {run.run_id for run in instance.get_runs()} == set(kept)


def test_the_oldest_runs_go_first_and_no_more_than_asked_for(instance: dg.DagsterInstance) -> None:
    runs = [ran(instance) for _ in range(3)]
    assert delete_old_runs(instance, datetime.now(UTC) + 2 * YEAR, 52, 2, with_logs=False) == 2
    assert [run.run_id for run in instance.get_runs()] == runs[2:]


def test_a_history_of_no_weeks_is_kept_for_ever(instance: dg.DagsterInstance) -> None:
    ran(instance)
    assert delete_old_runs(instance, datetime.now(UTC) + 99 * YEAR, 0, 10, with_logs=True) == 0
    assert len(instance.get_runs()) == 1


def test_the_sensor_deletes_old_runs_and_says_how_many(instance: dg.DagsterInstance) -> None:
    ran(instance)
    clock = Clock(fixed_at=(datetime.now(UTC) + 2 * YEAR).isoformat())
    context = dg.build_sensor_context(instance=instance, resources={"clock": clock})
    skipped = old_runs_sensor(52, with_logs=True)(context)
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message == "1 runs older than 52 weeks deleted"
    assert instance.get_runs() == []
