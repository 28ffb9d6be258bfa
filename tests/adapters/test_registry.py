"""The registry, as MLflow's own tools see it."""

from pathlib import Path

import mlflow
import pandas as pd
import pytest

from demand_assets.adapters.registry import ModelRegistry
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
