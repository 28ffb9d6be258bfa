"""The registry, as MLflow's own tools see it."""

import sqlite3
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from demand_assets.adapters.registry import ModelRegistry
from demand_assets.commands.models import _version_cells
from demand_assets.forecasting.forecaster import fit
from demand_assets.forecasting.models.xgboost import XGBoostConfig
from demand_assets.sample import SampleData


# MLflow's modules of models warn of themselves while they load.
@pytest.mark.filterwarnings("ignore::UserWarning:mlflow")
def test_a_registered_version_is_loaded_by_mlflows_own_tools(
    features: pd.DataFrame, retailer: SampleData, config: XGBoostConfig, tmp_path: Path
) -> None:
    registry = ModelRegistry(
        tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}",
        artifact_uri=str(tmp_path / "artifacts"),
        model_name="demand",
    )
    as_of = features["origin_week"].max()
    rows = features[features["origin_week"] == as_of].reset_index(drop=True)
    forecaster = fit(features, retailer.sales, as_of, config)
    version = registry.register(
        forecaster, dagster_run_id="a", tags={"as_of": f"{as_of:%Y-%m-%d}"}, params={}, metrics={}, figures={},
        sample=rows.head(5), backtest=pd.DataFrame({"x": [1.0]}),
    )  # fmt: skip
    registry.set_alias("production", version.version)
    expected = forecaster.predict(rows)
    pd.testing.assert_frame_equal(registry.load(version).predict(rows), expected)
    mlflow.set_tracking_uri(registry.tracking_uri)
    loaded = mlflow.pyfunc.load_model("models:/demand@production")
    assert loaded.metadata.signature.inputs.input_names() == forecaster.inputs
    # MLflow knows no 16-bit integers.
    pd.testing.assert_frame_equal(loaded.predict(rows[forecaster.inputs]), expected, check_dtype=False)
    assert not list((tmp_path / "artifacts").rglob("*.pkl"))


@pytest.mark.filterwarnings("ignore::UserWarning:mlflow")
def test_a_version_whose_run_was_deleted_for_good_is_listed_without_scores(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    registry = ModelRegistry(tracking_uri=address, artifact_uri=str(tmp_path / "artifacts"), model_name="demand")
    client = mlflow.MlflowClient(tracking_uri=address, registry_uri=address)
    experiment = client.create_experiment("demand", artifact_location=str(tmp_path / "artifacts"))
    client.create_registered_model("demand")
    runs = [client.create_run(experiment).info.run_id for _ in range(2)]
    for run_id, wmae in zip(runs, (1.0, 2.0), strict=True):
        client.log_metric(run_id, "backtest_wmae_xgboost", wmae)
        client.create_model_version("demand", source=str(tmp_path), run_id=run_id, tags={"model": "xgboost"})
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        for table in ("latest_metrics", "metrics", "tags", "params", "runs"):
            connection.execute(f"DELETE FROM {table} WHERE run_uuid = ?", (runs[0],))
        connection.commit()
    assert [version.metrics for version in registry.versions()] == [{"backtest_wmae_xgboost": 2.0}, {}]
    cells = [_version_cells(asdict(version))["WMAE"] for version in registry.versions()]
    assert cells == ["2", "run deleted"]
