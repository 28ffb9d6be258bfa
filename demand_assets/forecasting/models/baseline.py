"""A baseline as a model: nothing is learnt, and the forecast is where it starts. It serves until a model beats it."""

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from demand_assets.forecasting.baselines import BASE, UNTRAINED
from demand_assets.forecasting.models.base import ModelConfig
from demand_assets.forecasting.training import TrainingMatrix


class BaselineConfig(ModelConfig):
    """Which column of demand_features is the forecast."""

    start: str = Field(default=BASE, description="base, or the name of a baseline.")

    @property
    def starts_from(self) -> str:
        """The column that is the forecast."""
        return self.start

    @field_validator("start")
    @classmethod
    def _is_a_column(cls, start: str) -> str:
        if start not in UNTRAINED:
            raise ValueError(f"expected one of {', '.join(UNTRAINED)}")
        return start


class Baseline:
    """Scaled residuals of 0: the forecast is its start."""

    name: ClassVar[str] = "baseline"
    settings: ClassVar[type[ModelConfig]] = BaselineConfig
    libraries: ClassVar[tuple[str, ...]] = ("numpy",)
    features: tuple[str, ...] = ()

    @classmethod
    def fit(cls, matrix: TrainingMatrix, config: Any, member: int) -> Self:
        """Nothing is learnt."""
        return cls()

    def predict(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n,) zeros."""
        return np.zeros(len(values))

    def attributions(self, values: NDArray[np.float32], group: NDArray[np.int64], groups: int) -> NDArray[np.float64]:
        """(n, groups + 1) zeros: no feature moves the forecast."""
        return np.zeros((len(values), groups + 1))

    def importance(self) -> NDArray[np.float64]:
        """(0,) there are no features."""
        return np.zeros(0)

    def save(self, folder: Path) -> None:
        """Write nothing: the settings say all."""

    @classmethod
    def load(cls, folder: Path, config: Any) -> Self:
        """The model that the settings describe."""
        return cls()
