"""Which addresses of artefacts follow a workspace."""

import shutil
from pathlib import Path

import mlflow
import pytest

from demand_assets.adapters.mlflow_files import follow_artifacts


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with one registered version whose artefacts are in `before`."""
    path = tmp_path / "mlflow.db"
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{path}", registry_uri=f"sqlite:///{path}")
    run = client.create_run(client.create_experiment("demand", artifact_location=str(tmp_path / "before")))
    client.log_text(run.info.run_id, "x", "model/file")
    client.create_registered_model("demand")
    client.create_model_version("demand", f"{run.info.artifact_uri}/model", run.info.run_id)
    return path


def artifact_uri(database: Path) -> str:
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{database}", registry_uri=f"sqlite:///{database}")
    (version,) = client.search_model_versions("name = 'demand'")
    return str(client.get_run(version.run_id).info.artifact_uri)


def test_addresses_follow_artefacts_that_were_copied(database: Path, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "before", tmp_path / "after")
    follow_artifacts(database, tmp_path / "after", "demand")
    assert artifact_uri(database).startswith(f"{tmp_path / 'after'}/")


def test_addresses_stay_while_another_folder_lacks_the_artefacts(database: Path, tmp_path: Path) -> None:
    (tmp_path / "after").mkdir()
    follow_artifacts(database, tmp_path / "after", "demand")
    assert artifact_uri(database).startswith(f"{tmp_path / 'before'}/")
