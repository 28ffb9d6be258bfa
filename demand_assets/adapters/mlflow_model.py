"""A registered forecaster as MLflow's own tools load it: `mlflow.pyfunc.load_model("models:/demand_forecaster/1")`.

MLflow copies this file beside the forecaster's files and its code, and runs it when a model is loaded; nothing is
pickled, and neither this package nor its other dependencies need be installed.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from demand_assets.forecasting.forecaster import Forecaster


class ForecasterModel(PythonModel):
    """Rows of demand_features as the lake has them in; out keys, `forecast` and quantiles in the unit of sales."""

    def load_context(self, context: Any) -> None:
        """Read the forecaster's files."""
        (folder,) = context.artifacts.values()
        self._forecaster = Forecaster.load(Path(folder))

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """`Forecaster.predict`."""
        return self._forecaster.predict(model_input)


set_model(ForecasterModel())
