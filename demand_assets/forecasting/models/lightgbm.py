"""LightGBM's trees as a model: another library on the same target, weights and rows, judged by the same gate.

An optional extra (`pip install "demand-assets[lightgbm]"`), chosen with DEMAND_MODEL=lightgbm.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from demand_assets.errors import ModelError
from demand_assets.forecasting.models.base import ModelConfig

if TYPE_CHECKING:
    import lightgbm
    from numpy.typing import NDArray

    from demand_assets.forecasting.training import TrainingMatrix

MODEL_FILE = "model.txt"
# From here on the text names settings that decide nothing, the number of threads among them.
_SETTINGS = "\nparameters:\n"


class LightGBMConfig(ModelConfig):
    """Settings of the boosters. `tree_subsample` and `tree_colsample` are the rows and columns that each tree sees.

    `objective` l1 is the absolute error itself, whose leaves are medians; huber rounds its tip within `huber_slope`.
    """

    members: int = Field(default=2, ge=1, le=64)
    subsample: float = Field(default=0.5, gt=0, le=1)
    rounds: int = Field(default=100, ge=1, le=10_000)
    num_leaves: int = Field(default=31, ge=2, le=4096)
    learning_rate: float = Field(default=0.07, gt=0, le=1)
    objective: Literal["l1", "huber"] = "l1"
    huber_slope: float = Field(default=0.1, gt=0)
    tree_subsample: float = Field(default=0.5, gt=0, le=1)
    tree_colsample: float = Field(default=0.5, gt=0, le=1)
    min_child_rows: int = Field(default=100, ge=1)
    max_bin: int = Field(default=63, ge=2, le=1024)

    def booster_params(self, member: int = 0) -> dict[str, Any]:
        """Parameters of one member in lightgbm's own names; the same trees for any number of threads."""
        return {
            "objective": self.objective,
            "alpha": self.huber_slope,
            "num_leaves": self.num_leaves,
            "learning_rate": self.learning_rate,
            "bagging_fraction": self.tree_subsample,
            "bagging_freq": 1,
            "feature_fraction": self.tree_colsample,
            "min_data_in_leaf": self.min_child_rows,
            "max_bin": self.max_bin,
            "seed": self.seed + member,
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": self.threads,
            "verbosity": -1,
        }


# lightgbm is optional and takes a second to import, so it is imported where it is used.
@dataclass(frozen=True, eq=False)
class LightGBM:
    """One booster, saved as text with its feature list."""

    name: ClassVar[str] = "lightgbm"
    settings: ClassVar[type[ModelConfig]] = LightGBMConfig
    libraries: ClassVar[tuple[str, ...]] = ("lightgbm",)
    booster: "lightgbm.Booster"
    threads: int

    @property
    def features(self) -> tuple[str, ...]:
        """The features it was trained on, as the booster's file names them."""
        return tuple(self.booster.feature_name())

    @classmethod
    def fit(cls, matrix: "TrainingMatrix", config: LightGBMConfig, member: int) -> "LightGBM":
        """Train a booster."""
        lightgbm = _library()
        params = config.booster_params(member)
        data = lightgbm.Dataset(
            matrix.X,
            label=matrix.y,
            weight=matrix.weight / matrix.weight.mean(),
            feature_name=list(matrix.features),
            params=params,
        )
        trained = lightgbm.train(params, data, config.rounds)
        # Through its text: what serves is what was saved, and no training rows stay in memory with it.
        return cls(lightgbm.Booster(model_str=_text(trained)), config.threads)

    def predict(self, values: "NDArray[np.float32]") -> "NDArray[np.float64]":
        """(n,) scaled residuals."""
        return np.asarray(self.booster.predict(values, num_threads=self.threads), dtype=float)

    def attributions(
        self, values: "NDArray[np.float32]", group: "NDArray[np.int64]", groups: int
    ) -> "NDArray[np.float64]":
        """(n, groups + 1) TreeSHAP's values by the library itself, added up per group; last the mean."""
        each = np.asarray(self.booster.predict(values, pred_contrib=True, num_threads=self.threads), dtype=float)
        return np.column_stack([each[:, :-1] @ (group[:, None] == np.arange(groups)), each[:, -1]])

    def importance(self) -> "NDArray[np.float64]":
        """(F,) gain: the total improvement of the loss by its splits."""
        return self.booster.feature_importance("gain")

    def save(self, folder: Path) -> None:
        """Write the booster as text."""
        (folder / MODEL_FILE).write_text(_text(self.booster))

    @classmethod
    def load(cls, folder: Path, config: LightGBMConfig) -> "LightGBM":
        """Read the booster."""
        lightgbm = _library()
        try:
            text = (folder / MODEL_FILE).read_text()
            return cls(lightgbm.Booster(model_str=text), config.threads)
        except (OSError, lightgbm.basic.LightGBMError) as error:
            raise ModelError(f"{folder} holds no whole model: {str(error).splitlines()[0]}") from error


def _library() -> Any:
    """The module lightgbm; ModelError where the system lacks what its wheel needs."""
    try:
        import lightgbm
    except OSError as error:
        raise ModelError(f"lightgbm cannot be loaded: {error}; install the system's OpenMP (libgomp1)") from error
    return lightgbm


def _text(booster: "lightgbm.Booster") -> str:
    """The trees as lightgbm writes them, without the settings."""
    return str(booster.model_to_string()).partition(_SETTINGS)[0] + "\n"
