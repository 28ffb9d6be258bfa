"""The models that can be trained: one file each.

To add one, write a class that implements `base.Model` and name it in `_OWN`; a package outside this repository names
it as an entry point of the group `demand_assets.models`.
"""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import Any

from demand_assets.errors import ModelError
from demand_assets.forecasting.models.base import Model, ModelConfig
from demand_assets.forecasting.models.baseline import Baseline
from demand_assets.forecasting.models.lightgbm import LightGBM
from demand_assets.forecasting.models.xgboost import XGBoost

_OWN: tuple[type[Model], ...] = (XGBoost, Baseline)
# Models whose library is an extra of this package, named like the model.
_EXTRA: tuple[type[Model], ...] = (LightGBM,)
ENTRY_POINTS = "demand_assets.models"


@cache
def models() -> Mapping[str, type[Model]]:
    """Every model that can be trained, by name; one of an extra where the extra is installed."""
    extra = [model for model in _EXTRA if all(map(_is_installed, model.libraries))]
    found = [*_OWN, *extra, *(point.load() for point in entry_points(group=ENTRY_POINTS))]
    return {model.name: model for model in found}


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def model_named(name: str) -> type[Model]:
    """The model of that name; ModelError when there is none."""
    if name not in models() and name in {model.name for model in _EXTRA}:
        raise ModelError(f"model {name} is an extra that is not installed; pip install 'demand-assets[{name}]'")
    if name not in models():
        raise ModelError(f"there is no model {name}; expected one of: {', '.join(sorted(models()))}")
    return models()[name]


def model_of(config: ModelConfig) -> type[Model]:
    """The model whose settings these are; ModelError when there is none."""
    found = [model for model in models().values() if model.settings is type(config)]
    if not found:
        raise ModelError(f"{type(config).__name__} is of no registered model; register it in {ENTRY_POINTS}")
    return found[0]


def configured(name: str, settings: Mapping[str, Any]) -> ModelConfig:
    """The validated settings of a model; ModelError for an unknown model, ValidationError for a bad setting."""
    return model_named(name).settings(**settings)
