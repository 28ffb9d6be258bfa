"""One global XGBoost model over series and horizons: direct, never fed its own forecasts.

It learns the scaled residual (actual - base) / scale, each row weighted by its scale (and by 5 in holiday weeks), so
that under absolute error the sum it minimises would be WMAE itself. The pseudo-Huber loss with a small slope is that
error with a rounded tip: its second derivative lets a round cost half the time, at equal WMAE on the benchmark.

Several members, each with its own seed and its own share of the rows, are averaged (bagging): half of what one model
gets wrong is chance. They are kept as one booster, so that forecasts, contributions and files know of one model.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, field_validator

from demand_assets.errors import ModelError
from demand_assets.forecasting.features import FEATURES
from demand_assets.forecasting.intervals import QUANTILES, Calibration
from demand_assets.forecasting.metrics import HOLIDAY_WEIGHT
from demand_assets.forecasting.weeks import week_number

if TYPE_CHECKING:
    import xgboost
    from numpy.typing import NDArray

MODEL_NAME = "xgboost"
MODEL_FILE, DESCRIPTION_FILE = "model.ubj", "forecaster.json"
_FORECAST_KEYS = ["store_id", "dept_id", "origin_week", "target_week", "horizon"]


class ModelConfig(BaseModel):
    """How one model is trained. Threads are the caller's choice: more than the idle cores make training collapse."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rounds: int = Field(default=100, ge=1, le=10_000)
    max_depth: int = Field(default=6, ge=1, le=16)
    learning_rate: float = Field(default=0.07, gt=0, le=1)
    huber_slope: float = Field(default=0.1, gt=0)
    subsample: float = Field(default=0.5, gt=0, le=1)
    colsample: float = Field(default=0.5, gt=0, le=1)
    min_child_weight: float = Field(default=20.0, ge=0)
    max_bin: int = Field(default=64, ge=2, le=1024)
    keep_one_in: int = Field(default=2, ge=1, le=100_000)
    members: int = Field(default=2, ge=1, le=64)
    quantiles: tuple[float, ...] = QUANTILES
    seed: int = Field(ge=0, le=2**31 - 1)
    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = Field(ge=1, le=1024)

    @field_validator("quantiles")
    @classmethod
    def _hold_the_published_ones(cls, quantiles: tuple[float, ...]) -> tuple[float, ...]:
        if not set(QUANTILES) <= set(quantiles) or not all(0 < quantile < 1 for quantile in quantiles):
            raise ValueError("expected numbers between 0 and 1, with 0.1, 0.5 and 0.9 among them")
        return tuple(sorted(set(quantiles)))

    def booster_params(self, member: int = 0) -> dict[str, Any]:
        """Parameters of one member in xgboost's own names."""
        return {
            "objective": "reg:pseudohubererror",
            "huber_slope": self.huber_slope,
            "tree_method": "hist",
            "max_depth": self.max_depth,
            "eta": self.learning_rate,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample,
            "min_child_weight": self.min_child_weight,
            "max_bin": self.max_bin,
            "seed": self.seed + member,
            "device": self.device,
            "nthread": self.threads,
        }


def thinned(config: ModelConfig, rows: int, most_rows: int) -> ModelConfig:
    """The configuration by which a member learns from about `most_rows` of `rows` feature rows, if they are more."""
    return config.model_copy(update={"keep_one_in": max(config.keep_one_in, -(-rows // most_rows))})


def actuals_of(features: pd.DataFrame, sales: pd.DataFrame) -> "NDArray[np.float64]":
    """(n,) sales in USD of each row's series in its target week; NaN where there are none."""

    def key(frame: pd.DataFrame, week: str) -> "NDArray[np.int64]":
        # Store, dept and week in one integer: a sorted search takes a tenth of a merge's memory.
        series = frame["store_id"].to_numpy(np.int64) << 40 | frame["dept_id"].to_numpy(np.int64) << 20
        return series | week_number(pd.DatetimeIndex(frame[week]))

    held = key(sales, "week")
    order = np.argsort(held, kind="stable")
    held = held[order]
    wanted = key(features, "target_week")
    place = np.minimum(np.searchsorted(held, wanted), max(len(held) - 1, 0))
    values = sales["sales"].to_numpy(dtype=float)[order]
    return np.where(held[place] == wanted, values[place], np.nan) if len(held) else np.full(len(wanted), np.nan)


def training_rows(
    features: pd.DataFrame, actuals: "NDArray[np.float64]", as_of: pd.Timestamp, keep_one_in: int = 1, share: int = 0
) -> "NDArray[np.int64]":
    """Positions of the feature rows to train on at `as_of`: those whose target's sales were known by then.

    `keep_one_in` thins them evenly over series, origins and horizons, and always the same way: rows of neighbouring
    origins and horizons share their targets, so half of them teach nearly as much. `share` says which of the
    `keep_one_in` shares to keep.
    """
    known = (features["target_week"] <= as_of).to_numpy() & ~np.isnan(actuals)
    if keep_one_in > 1:
        # 31 is coprime to any small divisor: neighbours in each key fall into different classes.
        spread = features["store_id"].to_numpy(np.int64) + 31 * features["dept_id"].to_numpy(np.int64)
        spread += week_number(pd.DatetimeIndex(features["origin_week"])) + features["horizon"].to_numpy(np.int64)
        known &= spread % keep_one_in == share % keep_one_in
    return np.flatnonzero(known)


@dataclass(frozen=True, eq=False)
class Forecaster:
    """A trained model with what it needs to forecast: its features, its configuration, its calibrated intervals."""

    booster: "xgboost.Booster"
    config: ModelConfig
    as_of: pd.Timestamp
    calibration: Calibration
    rows: int
    features: tuple[str, ...] = field(default_factory=lambda: tuple(FEATURES))
    fit_seconds: float = field(default=0.0, compare=False)

    @property
    def inputs(self) -> list[str]:
        """The columns of demand_features that `predict` takes."""
        return list(dict.fromkeys([*_FORECAST_KEYS, "base", "scale", "is_holiday", *self.features]))

    def predict(self, features: pd.DataFrame) -> pd.DataFrame:
        """Keys, `forecast` and the configured quantiles in USD for each row of demand_features.

        The quantiles never cross. ModelError when a feature is missing.
        """
        residual = self.booster.predict(self._matrix(features)).astype(float)
        forecast = features["base"].to_numpy() + residual * features["scale"].to_numpy()
        keyed = features[_FORECAST_KEYS].reset_index(drop=True).assign(forecast=forecast)
        intervals = self.calibration.intervals(
            forecast,
            features["scale"].to_numpy(),
            features["horizon"].to_numpy(),
            features["is_holiday"].to_numpy(),
        )
        return keyed.assign(**intervals)

    def contributions(self, features: pd.DataFrame) -> "NDArray[np.float64]":
        """(n, F + 1) what each feature moved the scaled residual by (TreeSHAP); last the mean; rows sum to it.

        ModelError when a feature is missing.
        """
        return self.booster.predict(self._matrix(features), pred_contribs=True).astype(float)

    def values(self, features: pd.DataFrame) -> "NDArray[np.float32]":
        """(n, F) the model's features in its order; ModelError when one is missing."""
        missing = [name for name in self.features if name not in features]
        if missing:
            raise ModelError(f"features lack {missing[0]}, which the model was trained on; rebuild demand_features")
        return features[list(self.features)].to_numpy(dtype=np.float32)

    def _matrix(self, features: pd.DataFrame) -> "xgboost.DMatrix":
        import xgboost

        return xgboost.DMatrix(self.values(features), feature_names=list(self.features), nthread=self.config.threads)

    def importance(self) -> pd.DataFrame:
        """[feature, gain], largest first; gain is the mean improvement of the loss per split, unused features 0."""
        gain = cast("dict[str, float]", self.booster.get_score(importance_type="gain"))
        table = pd.DataFrame({"feature": self.features, "gain": [gain.get(name, 0.0) for name in self.features]})
        return table.sort_values(["gain", "feature"], ascending=[False, True], ignore_index=True)

    def with_calibration(self, calibration: Calibration) -> "Forecaster":
        """The same model with other intervals."""
        return Forecaster(
            self.booster, self.config, self.as_of, calibration, self.rows, self.features, self.fit_seconds
        )

    def save(self, folder: Path) -> None:
        """Write the model (UBJSON) and its description; the same forecaster gives the same bytes."""
        import xgboost

        folder.mkdir(parents=True, exist_ok=True)
        self.booster.save_model(folder / MODEL_FILE)
        described = {
            "as_of": self.as_of.strftime("%Y-%m-%d"),
            "features": list(self.features),
            "config": self.config.model_dump(),
            "calibration": self.calibration.to_dict(),
            "rows": self.rows,
            "xgboost": xgboost.__version__,
        }
        (folder / DESCRIPTION_FILE).write_text(json.dumps(described, indent=1, sort_keys=True) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Forecaster":
        """Read what `save` wrote; ModelError when a file is missing or names a feature that is built no more."""
        import xgboost

        try:
            described: Mapping[str, Any] = json.loads((folder / DESCRIPTION_FILE).read_text())
            booster = xgboost.Booster()
            booster.load_model(folder / MODEL_FILE)
        except (OSError, xgboost.core.XGBoostError) as error:
            raise ModelError(f"{folder} holds no whole model: {str(error).splitlines()[0]}") from error
        gone = [name for name in described["features"] if name not in FEATURES]
        if gone:
            raise ModelError(
                f"{folder}: expected a model trained on features that this code builds, got one that needs "
                f"{', '.join(gone)}; train a new one"
            )
        config = ModelConfig(**described["config"])
        booster.set_param({"nthread": config.threads})
        return cls(
            booster=booster,
            config=config,
            as_of=pd.Timestamp(described["as_of"]),
            calibration=Calibration.from_dict(described["calibration"]),
            rows=int(described["rows"]),
            features=tuple(described["features"]),
        )


@dataclass(frozen=True, eq=False)
class MemberRows:
    """What one member learns from: (n, F) `values`, (n,) scaled residuals as `target`, (n,) `weight` in USD.

    `known` (n,) is the number of the week in which each target was known.
    """

    values: "NDArray[np.float32]"
    target: "NDArray[np.float64]"
    weight: "NDArray[np.float64]"
    known: "NDArray[np.int64]"

    @classmethod
    def none(cls) -> "MemberRows":
        """No rows."""
        return cls(np.empty((0, len(FEATURES)), np.float32), np.empty(0), np.empty(0), np.empty(0, dtype=np.int64))

    @classmethod
    def joined(cls, parts: "Sequence[MemberRows]") -> "MemberRows":
        """The rows of some parts, in their order."""
        return cls(
            np.concatenate([part.values for part in parts]),  # noqa: PD011
            np.concatenate([part.target for part in parts]),
            np.concatenate([part.weight for part in parts]),
            np.concatenate([part.known for part in parts]),
        )

    def by(self, as_of: pd.Timestamp) -> "MemberRows":
        """Those whose target was known at `as_of`."""
        held = self.known <= week_number(pd.DatetimeIndex([as_of]))[0]
        return (
            self
            if held.all()
            else MemberRows(self.values[held], self.target[held], self.weight[held], self.known[held])
        )


def fit(
    features: pd.DataFrame,
    sales: pd.DataFrame,
    as_of: pd.Timestamp,
    config: ModelConfig,
    calibration: Calibration | None = None,
) -> Forecaster:
    """Train on the stored origins whose targets were known at `as_of`; ModelError when there is none."""
    actuals = actuals_of(features, sales)
    members = (member_rows(features, actuals, as_of, config, member) for member in range(config.members))
    return fit_members(members, as_of, config, calibration)


def fit_members(
    members: Iterable[MemberRows], as_of: pd.Timestamp, config: ModelConfig, calibration: Calibration | None = None
) -> Forecaster:
    """A model whose members learn from those of their rows that were known at `as_of`; ModelError without any."""
    boosters, rows, seconds = [], 0, 0.0
    for member, held in enumerate(members):
        known = held.by(as_of)
        require_rows(len(known.target), as_of)
        started = time.perf_counter()
        boosters.append(train_member(known, config, member))
        seconds += time.perf_counter() - started
        rows += len(known.target)
    return forecaster_of(boosters, config, as_of, rows, seconds, calibration)


def require_rows(rows: int, as_of: pd.Timestamp) -> None:
    """ModelError when there is nothing to learn from."""
    if not rows:
        raise ModelError(
            f"no origin has a target known by {as_of:%Y-%m-%d}; training needs 52 weeks of history and one horizon more"
        )


def forecaster_of(
    members: "Sequence[xgboost.Booster]",
    config: ModelConfig,
    as_of: pd.Timestamp,
    rows: int,
    seconds: float,
    calibration: Calibration | None = None,
) -> Forecaster:
    """The members as one model; `rows` they learnt from together in `seconds`."""
    booster = averaged(members)
    booster.set_param({"nthread": config.threads})
    return Forecaster(
        booster, config, as_of, calibration or Calibration.none(config.quantiles), rows, fit_seconds=seconds
    )


def member_rows(
    features: pd.DataFrame, actuals: "NDArray[np.float64]", as_of: pd.Timestamp, config: ModelConfig, member: int
) -> MemberRows:
    """The rows of `features` that one member learns from; of a part of the features, its part of them."""
    rows = training_rows(features, actuals, as_of, config.keep_one_in, member)
    values = np.empty((len(rows), len(FEATURES)), dtype=np.float32)
    for index, name in enumerate(FEATURES):
        values[:, index] = features[name].to_numpy()[rows]
    scale = features["scale"].to_numpy()[rows]
    target = (actuals[rows] - features["base"].to_numpy()[rows]) / scale
    weight = scale * np.where(features["is_holiday"].to_numpy()[rows] > 0, HOLIDAY_WEIGHT, 1.0)
    return MemberRows(values, target, weight, week_number(pd.DatetimeIndex(features["target_week"].iloc[rows])))


def train_member(rows: MemberRows, config: ModelConfig, member: int) -> "xgboost.Booster":
    """One member trained on this machine."""
    import xgboost

    matrix = xgboost.QuantileDMatrix(
        rows.values,
        label=rows.target,
        weight=rows.weight / rows.weight.mean(),
        feature_names=list(FEATURES),
        max_bin=config.max_bin,
        nthread=config.threads,
    )
    return xgboost.train(config.booster_params(member), matrix, num_boost_round=config.rounds)


def averaged(members: "Sequence[xgboost.Booster]") -> "xgboost.Booster":
    """One booster whose prediction is the mean of its members': all their trees, each leaf divided by their number.

    The members must share their features and objective, and have one output. A single member is returned as it is.
    """
    import xgboost

    if len(members) == 1:
        return members[0]
    models = [json.loads(bytes(member.save_raw("json"))) for member in members]
    whole = models[0]
    forest = whole["learner"]["gradient_booster"]["model"]
    trees = [tree for model in models for tree in model["learner"]["gradient_booster"]["model"]["trees"]]
    for number, tree in enumerate(trees):
        leaf = np.asarray(tree["left_children"]) < 0
        # A leaf keeps its value where a split keeps its threshold; base_weights hold each node's own, leaves included.
        split = np.asarray(tree["split_conditions"])
        tree["split_conditions"] = np.where(leaf, split / len(members), split).tolist()
        tree["base_weights"] = (np.asarray(tree["base_weights"]) / len(members)).tolist()
        tree["id"] = number
    forest["trees"] = trees
    forest["tree_info"] = [0] * len(trees)
    forest["gbtree_model_param"]["num_trees"] = str(len(trees))
    forest["iteration_indptr"] = list(range(len(trees) + 1))
    starts = [np.ravel(json.loads(m["learner"]["learner_model_param"]["base_score"])) for m in models]
    whole["learner"]["learner_model_param"]["base_score"] = json.dumps(np.mean(starts, axis=0).tolist())
    booster = xgboost.Booster()
    booster.load_model(bytearray(json.dumps(whole).encode()))
    return booster
