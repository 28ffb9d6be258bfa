"""`demand smoke`: the job asks everything that a run needs, and the command tells how its run ended."""

from pathlib import Path

import dagster as dg
import pytest

from demand_assets.assets.smoke import SMOKE
from demand_assets.commands import smoke
from demand_assets.definitions import job_named
from demand_assets.errors import DeploymentError, SettingsError
from demand_assets.resources import build_resources
from demand_assets.settings import read_settings
from demand_assets.store.migrations import migrate


def test_the_job_asks_lake_models_and_store(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    settings = read_settings(home=tmp_path / "home")
    resources = build_resources(settings)
    job = job_named(SMOKE)
    assert not job.execute_in_process(instance=instance, resources=resources, raise_on_error=False).success
    migrate(settings.store)
    assert job.execute_in_process(instance=instance, resources=resources).success


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (dg.DagsterRunStatus.SUCCESS, ""),
        (dg.DagsterRunStatus.FAILURE, "ended as FAILURE; its log says why"),
        (dg.DagsterRunStatus.STARTED, "is STARTED after 0 s; is the daemon up"),
    ],
)
def test_the_command_tells_how_its_run_ended(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, status: dg.DagsterRunStatus, told: str
) -> None:
    run = instance.create_run_for_job(job_named(SMOKE), status=status)
    monkeypatch.setattr(smoke, "_POLL_S", 0.0)
    if not told:
        smoke._await(run.run_id, 1)
        return
    with pytest.raises(DeploymentError, match=told):
        smoke._await(run.run_id, 0)


def test_a_machine_without_a_workspace_is_told_what_shows_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with pytest.raises(SettingsError, match=r"expected DAGSTER_HOME with a workspace\.yaml"):
        smoke.try_deployment(1)
