"""A forecaster as a folder of MLflow's flavour pyfunc: model from code, with its code, signature and requirements."""

import shutil
import tempfile
import warnings
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import TYPE_CHECKING

from demand_assets.forecasting.models import ENTRY_POINTS, model_of
from demand_assets.provenance import code_files, code_version

if TYPE_CHECKING:
    import pandas as pd

    from demand_assets.forecasting.forecaster import Forecaster

FORECASTER = "forecaster"
# What the code of a forecast imports, whatever the model is.
_IMPORTED = ("mlflow", "numpy", "pandas", "pydantic", "python-dateutil", "scipy", "threadpoolctl")


def save_pyfunc(forecaster: "Forecaster", sample: "pd.DataFrame", folder: Path) -> None:
    """Write the forecaster as a pyfunc that a process with its `requirements` alone can load.

    `sample` are some rows of demand_features: the input example, from which the signature's types are read.
    """
    import mlflow.pyfunc
    from mlflow.models import infer_signature

    from demand_assets.adapters import mlflow_model

    rows = sample[forecaster.inputs]
    with tempfile.TemporaryDirectory() as parent, warnings.catch_warnings():
        # Hints about integer columns and missing values: the keys are never missing.
        warnings.simplefilter("ignore", UserWarning)
        parts = Path(parent) / FORECASTER
        forecaster.save(parts)
        mlflow.pyfunc.save_model(
            str(folder),
            python_model=mlflow_model.__file__,
            artifacts={FORECASTER: str(parts)},
            code_paths=[str(_copied_code(Path(parent)))],
            # Without a missing value: where the example has one, MLflow takes the column for one that may be absent.
            signature=infer_signature(rows.fillna(0), forecaster.predict(rows)),
            input_example=rows,
            # Given, because MLflow would otherwise load the model in a second process to find them.
            pip_requirements=requirements(forecaster),
            # A vintage of the same code version is what this model returns, to the digit.
            metadata={"code_version": code_version("forecast")},
        )


def requirements(forecaster: "Forecaster") -> list[str]:
    """The pinned distributions that a process needs to load the forecaster from its folder."""
    own = [
        point.dist.name for point in entry_points(group=ENTRY_POINTS, name=forecaster.model) if point.dist is not None
    ]
    names = [*_IMPORTED, *model_of(forecaster.config).libraries, *own]
    return [f"{name}=={version(name)}" for name in dict.fromkeys(names)]


def _copied_code(parent: Path) -> Path:
    """The modules that decide a forecast, as a package in `parent`."""
    for name, path in code_files("forecast").items():
        place = parent / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    return parent / "demand_assets"
