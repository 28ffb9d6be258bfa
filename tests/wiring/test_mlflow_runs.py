"""A run in MLflow ends with the Dagster run that began it, whatever became of that."""

import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from demand_assets.adapters.registry import DAGSTER_RUN_TAG, ModelRegistry
from demand_assets.automation import end_mlflow_runs
from demand_assets.forecasting.forecaster import fit
from demand_assets.forecasting.models.xgboost import XGBoostConfig
from demand_assets.sample import SampleData
from tests.wiring.conftest import SETTINGS, run, running

# MLflow's modules of models warn of themselves while they load.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mlflow")


def statuses(database: Path) -> list[str]:
    """Of every run in MLflow, in order of their beginning."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60)) as connection:
        return [status for (status,) in connection.execute("select status from runs order by start_time")]


@pytest.mark.long
def test_the_next_run_ends_what_a_killed_training_left_running(
    workspace: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, zone = workspace
    database = home / "mlflow.db"
    before = statuses(database)
    assert set(before) == {"FINISHED"}
    monkeypatch.setitem(SETTINGS, "DEMAND_MODEL_SETTINGS", '{"rounds": 11}')
    with running(home, zone) as (training, _, errors):
        while training.is_alive() and "RUNNING" not in statuses(database):
            time.sleep(0.005)
        training.kill()
        training.join()
        assert training.exitcode == -signal.SIGKILL, errors.read_text()
    monkeypatch.undo()
    assert statuses(database) == [*before, "RUNNING"]
    run(home, zone)
    assert statuses(database) == [*before, "KILLED"]


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(
        tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}",
        artifact_uri=str(tmp_path / "artifacts"),
        model_name="demand",
    )


def register(registry: ModelRegistry, features: pd.DataFrame, sales: pd.DataFrame, figure: str) -> None:
    as_of = features["origin_week"].max()
    registry.register(
        fit(features, sales, as_of, XGBoostConfig(rounds=2, seed=3, threads=1, subsample=1.0)),
        dagster_run_id="a", tags={"as_of": f"{as_of:%Y-%m-%d}"}, params={}, metrics={}, figures={figure: b""},
        sample=features.head(5), backtest=pd.DataFrame({"x": [1.0]}), card="", learnt_from=(),
    )  # fmt: skip


def test_a_training_that_cannot_be_logged_is_a_failed_run(
    registry: ModelRegistry, features: pd.DataFrame, retailer: SampleData, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        register(registry, features, retailer.sales, "no such folder/figure.png")
    assert statuses(tmp_path / "mlflow.db") == ["FAILED"]
    assert registry.versions() == []


def test_the_sensor_ends_the_runs_of_a_failed_run_alone(
    registry: ModelRegistry, features: pd.DataFrame, retailer: SampleData, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    register(registry, features, retailer.sales, "figure.png")
    client = registry._client()
    (experiment,) = {one.experiment_id for one in client.search_experiments() if one.name == "demand"}

    @dg.op
    def fails() -> None:
        raise ValueError

    @dg.job
    def failing() -> None:
        fails()

    failed = failing.execute_in_process(instance=instance, raise_on_error=False)
    for dagster_run_id in (failed.run_id, "another"):
        client.create_run(experiment, tags={DAGSTER_RUN_TAG: dagster_run_id})
    context = dg.build_run_status_sensor_context(
        sensor_name="a", dagster_instance=instance, dagster_run=failed.dagster_run,
        dagster_event=failed.get_run_failure_event(),
    )  # fmt: skip
    end_mlflow_runs(context.for_run_failure(), registry=registry)
    assert statuses(tmp_path / "mlflow.db") == ["FINISHED", "KILLED", "RUNNING"]
