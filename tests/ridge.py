"""A second model in one file: ridge regression by scikit-learn."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge as Regression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from demand_assets.errors import ModelError
from demand_assets.forecasting.models.base import ModelConfig
from demand_assets.forecasting.training import TrainingMatrix


class RidgeConfig(ModelConfig):
    alpha: float = Field(default=100.0, gt=0)


@dataclass(frozen=True, eq=False)
class Ridge:
    name: ClassVar[str] = "ridge"
    settings: ClassVar[type[ModelConfig]] = RidgeConfig
    libraries: ClassVar[tuple[str, ...]] = ("scikit-learn",)
    features: tuple[str, ...]
    # (F,) each: what stands in for missing values, mean and deviation of the filled ones, and the coefficients.
    fill: NDArray[np.float64]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    coefficient: NDArray[np.float64]
    intercept: float

    @classmethod
    def fit(cls, matrix: TrainingMatrix, config: RidgeConfig, member: int) -> "Ridge":
        imputer, scaler = SimpleImputer(keep_empty_features=True), StandardScaler()
        prepared = make_pipeline(imputer, scaler).fit_transform(matrix.X.astype(float))
        model = Regression(alpha=config.alpha * matrix.weight.mean()).fit(prepared, matrix.y, matrix.weight)
        return cls(
            matrix.features, imputer.statistics_, scaler.mean_, scaler.scale_, model.coef_, float(model.intercept_)
        )

    def predict(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        return self._moved(values).sum(axis=1) + self.intercept

    def attributions(self, values: NDArray[np.float32], group: NDArray[np.int64], groups: int) -> NDArray[np.float64]:
        grouped = self._moved(values) @ (group[:, None] == np.arange(groups))
        return np.column_stack([grouped, np.full(len(values), self.intercept)])

    def importance(self) -> NDArray[np.float64]:
        return np.abs(self.coefficient)

    def save(self, folder: Path) -> None:
        np.savez(folder / "ridge.npz", **vars(self))

    @classmethod
    def load(cls, folder: Path, config: RidgeConfig) -> "Ridge":
        try:
            with np.load(folder / "ridge.npz") as held:
                read: dict[str, Any] = dict(held)
        except OSError as error:
            raise ModelError(f"{folder} holds no whole model: {error}") from error
        return cls(tuple(read.pop("features").tolist()), intercept=float(read.pop("intercept")), **read)

    def _moved(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        filled = np.where(np.isnan(values), self.fill, values)
        return (filled - self.mean) / self.deviation * self.coefficient
