"""The registry, as MLflow's own tools see it."""

import sqlite3
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from demand_assets.adapters.arrow_frames import read_frame
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.registry import ModelRegistry, RegisteredVersion
from demand_assets.commands.models import _version_cells
from demand_assets.forecasting.forecaster import Forecaster, fit
from demand_assets.forecasting.models.base import ModelConfig
from demand_assets.forecasting.models.baseline import BaselineConfig
from demand_assets.forecasting.models.lightgbm import LightGBMConfig
from demand_assets.forecasting.models.xgboost import XGBoostConfig
from demand_assets.sample import SampleData


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With one database for all tests: to make one takes MLflow seconds."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture
def registry(folder: Path, tmp_path: Path) -> ModelRegistry:
    """A registered model of the test's own."""
    return ModelRegistry(
        tracking_uri=f"sqlite:///{folder / 'mlflow.db'}",
        artifact_uri=str(folder / "artifacts"),
        model_name=tmp_path.name,
    )


def registered(
    registry: ModelRegistry, features: pd.DataFrame, sales: pd.DataFrame, config: ModelConfig
) -> tuple[RegisteredVersion, Forecaster]:
    as_of = features["origin_week"].max()
    forecaster = fit(features, sales, as_of, config)
    version = registry.register(
        forecaster, dagster_run_id="a", tags={"as_of": f"{as_of:%Y-%m-%d}"}, params={}, metrics={}, figures={},
        sample=features[features["origin_week"] == as_of].head(5), backtest=pd.DataFrame({"x": [1.0]}),
        card="", learnt_from=(),
    )  # fmt: skip
    return version, forecaster


# MLflow's modules of models warn of themselves while they load.
@pytest.mark.filterwarnings("ignore::UserWarning:mlflow")
@pytest.mark.parametrize(
    "config",
    [
        XGBoostConfig(rounds=15, seed=3, threads=1, subsample=1.0),
        LightGBMConfig(rounds=5, seed=3, threads=1),
        BaselineConfig(start="seasonal_naive", seed=3, threads=1),
    ],
    ids=["xgboost", "lightgbm", "baseline"],
)
def test_mlflows_own_tools_forecast_from_rows_as_the_lake_has_them(
    config: ModelConfig,
    registry: ModelRegistry,
    features: pd.DataFrame,
    retailer: SampleData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A pyfunc puts its own code in front.
    monkeypatch.setattr(sys, "path", [*sys.path])
    version, forecaster = registered(registry, features, retailer.sales, config)
    registry.set_alias("production", version.version)
    ParquetLake(uri=str(tmp_path)).write("demand_features", "x", features)
    file = tmp_path / "demand_features" / "x.parquet"
    rows = read_frame(file)
    assert {"int16", "int32", "float32", "float64"} <= set(rows.dtypes.astype(str))
    expected = forecaster.predict(rows)
    pd.testing.assert_frame_equal(registry.load(version).predict(rows), expected)
    mlflow.set_tracking_uri(registry.tracking_uri)
    loaded = mlflow.pyfunc.load_model(f"models:/{registry.model_name}@production")
    # MLflow knows no 16-bit integers.
    for taken in (rows, pd.read_parquet(file)):
        pd.testing.assert_frame_equal(loaded.predict(taken), expected, check_dtype=False, check_exact=True)
    inputs = loaded.metadata.signature.inputs
    assert inputs.input_names() == forecaster.inputs == list(loaded.input_example)
    assert all(column.required for column in inputs)
    assert loaded.metadata.signature.outputs.input_names() == list(expected)
    assert not list(Path(registry.artifact_uri).rglob("*.pkl"))


@pytest.mark.filterwarnings("ignore::UserWarning:mlflow")
def test_a_version_whose_run_was_deleted_for_good_is_listed_without_scores(
    registry: ModelRegistry, folder: Path, tmp_path: Path
) -> None:
    client = mlflow.MlflowClient(tracking_uri=registry.tracking_uri, registry_uri=registry.tracking_uri)
    experiment = client.create_experiment("another", artifact_location=str(tmp_path))
    client.create_registered_model(registry.model_name)
    runs = [client.create_run(experiment).info.run_id for _ in range(2)]
    for run_id, wmae in zip(runs, (1.0, 2.0), strict=True):
        client.log_metric(run_id, "backtest_wmae_xgboost", wmae)
        client.create_model_version(registry.model_name, source=str(tmp_path), run_id=run_id, tags={"model": "xgboost"})
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        for table in ("latest_metrics", "metrics", "tags", "params", "runs"):
            connection.execute(f"DELETE FROM {table} WHERE run_uuid = ?", (runs[0],))
        connection.commit()
    assert [version.metrics for version in registry.versions()] == [{"backtest_wmae_xgboost": 2.0}, {}]
    cells = [_version_cells(asdict(version))["WMAE"] for version in registry.versions()]
    assert cells == ["2", "run deleted"]


def test_tables_that_mlflow_did_not_finish_are_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = ModelRegistry(
        tracking_uri=f"sqlite:///{tmp_path}/mlflow.db", artifact_uri=str(tmp_path / "artifacts"), model_name="model"
    )
    with monkeypatch.context() as patched:

        def killed(engine: object) -> None:
            raise KeyboardInterrupt

        patched.setattr("mlflow.store.db.utils._upgrade_db", killed)
        with pytest.raises(KeyboardInterrupt):
            registry.with_alias("production")
    assert not (tmp_path / "mlflow.db").exists()
    assert registry.with_alias("production") is None
    assert [path.name for path in tmp_path.glob("*.db*")] == ["mlflow.db"]
