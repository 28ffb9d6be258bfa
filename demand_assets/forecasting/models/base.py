"""The protocol that every model implements, and the settings that all of them share.

A model learns the scaled residual of `training.TrainingMatrix` and knows nothing of weeks, bases or intervals: these
are `forecasting.forecaster`'s. To add one, write a class in one file and register it (`forecasting.models`).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from demand_assets.forecasting.baselines import BASE
from demand_assets.forecasting.intervals import QUANTILES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from demand_assets.forecasting.training import TrainingMatrix


# A member of fewer rows than these is worse; two shares still differ, which is what averaging lives on.
LEAST_ROWS = 50_000
MOST_OF_FEW = 2


class ModelConfig(BaseModel):
    """How an ensemble is trained. A model adds its own settings in a subclass.

    `members` models are averaged, each trained on its own share `subsample` of the rows. Threads are the caller's
    choice: they decide how fast, not what.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    side_by_side: ClassVar[bool] = False
    """Whether threads of one process may train or ask several at once; in training each takes a part of `threads`."""

    members: int = Field(default=1, ge=1, le=64)
    subsample: float = Field(default=1.0, gt=0, le=1)
    quantiles: tuple[float, ...] = QUANTILES
    seed: int = Field(ge=0, le=2**31 - 1)
    threads: int = Field(ge=1, le=1024)

    @property
    def starts_from(self) -> str:
        """Column of demand_features that the residual is added to."""
        return BASE

    @property
    def corrects(self) -> bool:
        """Whether a model learns a correction, so that what it corrects may be moved and the correction shrunk."""
        return True

    @field_validator("quantiles")
    @classmethod
    def _hold_the_published_ones(cls, quantiles: tuple[float, ...]) -> tuple[float, ...]:
        if not set(QUANTILES) <= set(quantiles) or not all(0 < quantile < 1 for quantile in quantiles):
            raise ValueError("expected numbers between 0 and 1, with 0.1, 0.5 and 0.9 among them")
        return tuple(sorted(set(quantiles)))

    def bounded(self, rows: int, most_rows: int) -> Self:
        """The same for a table of so many `rows`: a member learns from about `most_rows` of them at most.

        Of a small table it learns from more than `subsample`, up to a half: from `LEAST_ROWS`.
        """
        wanted = round(1 / self.subsample)
        enough = min(wanted, max(rows // LEAST_ROWS, MOST_OF_FEW))
        shares = max(enough, -(-rows // most_rows))
        return self if shares == wanted else self.model_copy(update={"subsample": 1 / shares})


class Model(Protocol):
    """One trained member of an ensemble. The same matrix, settings and member number give the same model."""

    name: ClassVar[str]
    settings: ClassVar[type[ModelConfig]]
    """The subclass of `ModelConfig` that `fit` takes."""
    libraries: ClassVar[tuple[str, ...]]
    """Distributions whose versions decide what it computes."""

    @property
    def features(self) -> tuple[str, ...]:
        """The F features it was trained on, in its order."""

    @classmethod
    def fit(cls, matrix: "TrainingMatrix", config: Any, member: int) -> Self:
        """Train member number `member` on a matrix with at least one row."""

    def predict(self, values: "NDArray[np.float32]") -> "NDArray[np.float64]":
        """(n,) scaled residuals of (n, F) features; NaN is missing, and no prediction is NaN."""

    def attributions(
        self, values: "NDArray[np.float32]", group: "NDArray[np.int64]", groups: int
    ) -> "NDArray[np.float64]":
        """(n, groups + 1) how much each group of features moved the prediction; last the mean. Rows sum to it.

        `group` (F,) is each feature's group, 0 to `groups` - 1.
        """

    def importance(self) -> "NDArray[np.float64]":
        """(F,) how much the model relies on each feature, in a measure of its own; 0 is not at all."""

    def save(self, folder: Path) -> None:
        """Write its files into a folder; the same model gives the same bytes. Nothing is pickled."""

    @classmethod
    def load(cls, folder: Path, config: Any) -> Self:
        """Read what `save` wrote; ModelError when a file is missing or damaged."""
