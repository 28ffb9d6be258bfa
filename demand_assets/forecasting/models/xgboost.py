"""Gradient boosted trees: one booster per member, direct over series and horizons, never fed its own forecasts.

Under absolute error the sum that a booster minimises would be WMAE itself. The pseudo-Huber loss with a small slope is
that error with a rounded tip: its second derivative lets a round cost half the time, at equal WMAE on the benchmark.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import numpy as np
from pydantic import Field

from demand_assets.errors import ModelError
from demand_assets.forecasting.models.base import ModelConfig
from demand_assets.forecasting.shapley import DEEPEST, Forest, Tree, grouped_attributions
from demand_assets.forecasting.start import spread_rows

if TYPE_CHECKING:
    import xgboost
    from numpy.typing import NDArray

    from demand_assets.forecasting.training import TrainingMatrix

MODEL_FILE = "model.ubj"
# Rows that say where a member's bins begin: sketching all of them would take as long again as cutting them.
ROWS_TO_CUT_BY = 20_000


class XGBoostConfig(ModelConfig):
    """Settings of the boosters. `tree_subsample` and `tree_colsample` are the rows and columns that each tree sees.

    These two save no time: the method `hist` counts rows and columns that a tree does not see too. A smaller share of
    the rows for each of more members does.
    """

    side_by_side: ClassVar[bool] = True

    members: int = Field(default=4, ge=1, le=64)
    subsample: float = Field(default=0.125, gt=0, le=1)
    rounds: int = Field(default=100, ge=1, le=10_000)
    max_depth: int = Field(default=6, ge=1, le=16)
    learning_rate: float = Field(default=0.07, gt=0, le=1)
    huber_slope: float = Field(default=0.1, gt=0)
    tree_subsample: float = Field(default=1.0, gt=0, le=1)
    tree_colsample: float = Field(default=0.5, gt=0, le=1)
    min_child_weight: float = Field(default=20.0, ge=0)
    max_bin: int = Field(default=64, ge=2, le=1024)
    device: Literal["cpu", "cuda"] = "cpu"

    def booster_params(self, member: int = 0) -> dict[str, Any]:
        """Parameters of one member in xgboost's own names."""
        return {
            "objective": "reg:pseudohubererror",
            "huber_slope": self.huber_slope,
            "tree_method": "hist",
            "max_depth": self.max_depth,
            "eta": self.learning_rate,
            "subsample": self.tree_subsample,
            "colsample_bytree": self.tree_colsample,
            "min_child_weight": self.min_child_weight,
            "max_bin": self.max_bin,
            "seed": self.seed + member,
            "device": self.device,
            "nthread": self.threads,
        }


# xgboost takes seconds to import, so it is imported where it is used.
@dataclass(frozen=True, eq=False)
class XGBoost:
    """One booster, saved as UBJSON with its feature list."""

    name: ClassVar[str] = "xgboost"
    settings: ClassVar[type[ModelConfig]] = XGBoostConfig
    libraries: ClassVar[tuple[str, ...]] = ("xgboost",)
    booster: "xgboost.Booster"
    threads: int

    @property
    def features(self) -> tuple[str, ...]:
        """The features it was trained on, as the booster's file names them."""
        return tuple(self.booster.feature_names or ())

    @classmethod
    def fit(cls, matrix: "TrainingMatrix", config: XGBoostConfig, member: int) -> "XGBoost":
        """Train a booster."""
        import xgboost

        weight = matrix.weight / matrix.weight.mean()

        def binned(rows: "NDArray[np.int64] | slice", cuts: "xgboost.DMatrix | None" = None) -> "xgboost.DMatrix":
            return xgboost.QuantileDMatrix(
                matrix.X[rows],
                label=matrix.y[rows],
                weight=weight[rows],
                feature_names=list(matrix.features),
                max_bin=config.max_bin,
                nthread=config.threads,
                ref=cuts,
            )

        data = binned(slice(None), binned(spread_rows(len(matrix), ROWS_TO_CUT_BY)))
        return cls(xgboost.train(config.booster_params(member), data, config.rounds), config.threads)

    def predict(self, values: "NDArray[np.float32]") -> "NDArray[np.float64]":
        """(n,) scaled residuals."""
        return self.booster.predict(self._matrix(values)).astype(float)

    def attributions(
        self, values: "NDArray[np.float32]", group: "NDArray[np.int64]", groups: int
    ) -> "NDArray[np.float64]":
        """(n, groups + 1) Shapley values of TreeSHAP's game, looked up in tables; of deep trees by TreeSHAP itself."""
        forest = self.forest()
        if forest is not None:
            return grouped_attributions(forest, values, group, groups)
        each = self.booster.predict(self._matrix(values), pred_contribs=True).astype(float)
        return np.column_stack([each[:, :-1] @ (group[:, None] == np.arange(groups)), each[:, -1]])

    def forest(self) -> Forest | None:
        """Its trees for looking Shapley values up; None when one is deeper than `DEEPEST`."""
        learner = json.loads(bytes(self.booster.save_raw("json")))["learner"]
        trees = [_tree(tree) for tree in learner["gradient_booster"]["model"]["trees"]]
        if max(tree.depth for tree in trees) > DEEPEST:
            return None
        start = float(np.ravel(json.loads(learner["learner_model_param"]["base_score"]))[0])
        return Forest.of(trees, start)

    def importance(self) -> "NDArray[np.float64]":
        """(F,) gain: the mean improvement of the loss per split."""
        gain = cast("dict[str, float]", self.booster.get_score(importance_type="gain"))
        return np.array([gain.get(name, 0.0) for name in self.features])

    def save(self, folder: Path) -> None:
        """Write the booster."""
        self.booster.save_model(folder / MODEL_FILE)

    @classmethod
    def load(cls, folder: Path, config: XGBoostConfig) -> "XGBoost":
        """Read the booster."""
        import xgboost

        booster = xgboost.Booster()
        try:
            booster.load_model(folder / MODEL_FILE)
        except xgboost.core.XGBoostError as error:
            raise ModelError(f"{folder} holds no whole model: {str(error).splitlines()[0]}") from error
        booster.set_param({"nthread": config.threads})
        return cls(booster, config.threads)

    def _matrix(self, values: "NDArray[np.float32]") -> "xgboost.DMatrix":
        import xgboost

        return xgboost.DMatrix(values, feature_names=list(self.features), nthread=self.threads)


def _tree(tree: dict[str, Any]) -> Tree:
    """One tree of the booster's JSON."""
    return Tree(
        left=np.asarray(tree["left_children"], dtype=np.int64),
        right=np.asarray(tree["right_children"], dtype=np.int64),
        feature=np.asarray(tree["split_indices"], dtype=np.int64),
        condition=np.asarray(tree["split_conditions"], dtype=np.float32),
        default_left=np.asarray(tree["default_left"]).astype(bool),
        cover=np.asarray(tree["sum_hessian"], dtype=np.float64),
    )
