"""A trained ensemble with what it needs to forecast: base and scale of each row, and calibrated intervals.

Several members, each with its own seed and its own share of the rows, are averaged (bagging): half of what one model
gets wrong is chance.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from demand_assets.errors import ModelError
from demand_assets.forecasting.absent import UNKNOWN, AbsentRows
from demand_assets.forecasting.baselines import model_rows
from demand_assets.forecasting.features import features_of
from demand_assets.forecasting.intervals import Calibration, calibrate, calibrate_errors, not_below
from demand_assets.forecasting.models import configured, model_named, model_of
from demand_assets.forecasting.models.base import Model, ModelConfig
from demand_assets.forecasting.models.baseline import BaselineConfig
from demand_assets.forecasting.ports import WeeklyTable, Workers, dealt
from demand_assets.forecasting.shrinkage import EXPECTED, Shrink, learn_shrink
from demand_assets.forecasting.start import Start, learn_start, spread_rows
from demand_assets.forecasting.training import TrainingMatrix, actuals_of, stored_matrices, training_matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

DESCRIPTION_FILE = "forecaster.json"
# Rows that are forecast at a time: about 100 MB of features.
ROWS_PER_PIECE = 400_000
# Past errors of the start that intervals are learnt from: a bound on memory that leaves hundreds per week and size.
MOST_ERRORS = 200_000
# Rows in the matrices of trainings side by side: each is there twice for a moment, about a gigabyte in all.
ROWS_AT_ONCE = 2_000_000
_FORECAST_KEYS = ["store_id", "dept_id", "origin_week", "target_week", "horizon"]


@dataclass(frozen=True, eq=False)
class Forecaster:
    """Forecast = start + `shrink` x scaled residual x scale, and never below the row's `floor`.

    The start is the base, moved by `start`; the residual is the mean of the members; `rows` they learnt from together
    in `fit_seconds`. With `Start.none` and a shrink of 0 the forecast is the base.
    """

    members: tuple[Model, ...]
    config: ModelConfig
    as_of: pd.Timestamp
    calibration: Calibration
    rows: int
    fit_seconds: float = field(default=0.0, compare=False)
    start: Start = field(default_factory=Start.none)
    shrink: Shrink = field(default_factory=lambda: Shrink.of_all(1.0))

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.members[0].name

    @property
    def method(self) -> str:
        """What people call it: the model, or the untrained method that serves as one."""
        return self.config.starts_from if isinstance(self.config, BaselineConfig) else self.model

    @property
    def features(self) -> tuple[str, ...]:
        """The features that the members take, in their order."""
        return self.members[0].features

    @property
    def inputs(self) -> list[str]:
        """The columns of demand_features that `predict` takes."""
        return list(
            dict.fromkeys(
                [
                    *_FORECAST_KEYS,
                    self.config.starts_from,
                    "scale",
                    "floor",
                    "is_holiday",
                    *self.features,
                    *self.start.inputs,
                ]
            )
        )

    def predict(self, features: pd.DataFrame) -> pd.DataFrame:
        """Keys, `forecast` and the configured quantiles, in the unit of sales, for each row of demand_features.

        The quantiles never cross. ModelError when a feature is missing.
        """
        scale, floor = features["scale"].to_numpy(), features["floor"].to_numpy()
        start, residual = self.parts(features)
        forecast = np.maximum(start + self.shrink.of(scale) * residual * scale, floor)
        keyed = features[_FORECAST_KEYS].reset_index(drop=True).assign(forecast=forecast)
        intervals = self.calibration.intervals(
            forecast,
            scale,
            features["horizon"].to_numpy(),
            features["is_holiday"].to_numpy(),
        )
        return keyed.assign(**not_below(floor, intervals))

    def parts(self, features: pd.DataFrame) -> tuple["NDArray[np.float64]", "NDArray[np.float64]"]:
        """(n,) starts in the unit of sales, and (n,) scaled residuals as the members say them, not yet shrunk."""
        values = self._values(features)
        residual: NDArray[np.float64] = np.mean([member.predict(values) for member in self.members], axis=0)
        moved = self.start_moves(features).sum(axis=1) * features["scale"].to_numpy()
        return features[self.config.starts_from].to_numpy() + moved, residual

    def start_moves(self, features: pd.DataFrame) -> "NDArray[np.float64]":
        """(n, K) how far each of `start.ESTIMATES` moves the start from the base, scaled."""
        return self.start.moves(lambda name: features[name].to_numpy(), len(features))

    def attributions(self, features: pd.DataFrame, group: "NDArray[np.int64]", groups: int) -> "NDArray[np.float64]":
        """(n, groups + 1) how much each group of features moved the shrunk residual; last the mean; rows sum to it.

        `group` (F,) is each feature's group, 0 to `groups` - 1. ModelError when a feature is missing.
        """
        values = self._values(features)
        at_once = min(self.config.threads, len(self.members)) if self.config.side_by_side else 1
        with ThreadPoolExecutor(at_once) as pool:
            each = list(pool.map(lambda member: member.attributions(values, group, groups), self.members))
        moved = np.mean(each, axis=0)
        shrunk: NDArray[np.float64] = moved * self.shrink.of(features["scale"].to_numpy())[:, None]
        return shrunk

    def _values(self, features: pd.DataFrame) -> "NDArray[np.float32]":
        """(n, F) the members' features in their order; ModelError when one is missing."""
        missing = [name for name in self.features if name not in features]
        if missing:
            raise ModelError(f"features lack {missing[0]}, which the model was trained on; rebuild demand_features")
        return features[list(self.features)].to_numpy(dtype=np.float32)

    def importance(self) -> pd.DataFrame:
        """[feature, importance], largest first: the mean of what each member says of a feature."""
        mean = np.mean([member.importance() for member in self.members], axis=0)
        table = pd.DataFrame({"feature": self.features, "importance": mean})
        return table.sort_values(["importance", "feature"], ascending=[False, True], ignore_index=True)

    def judged(self, points: pd.DataFrame, horizon_weeks: int) -> "Forecaster":
        """The same members, shrunk and with intervals by what came of the forecasts in its backtest's `points`."""
        own = model_rows(points)
        calibration = calibrate(own, horizon_weeks, self.config.quantiles, self.calibration)
        return replace(self, shrink=learn_shrink(own), calibration=calibration)

    def save(self, folder: Path) -> None:
        """Write a description and a folder of each member; the same forecaster gives the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        for number, member in enumerate(self.members):
            place = _member_folder(folder, number)
            place.mkdir(exist_ok=True)
            member.save(place)
        described = {
            "model": self.model,
            "as_of": self.as_of.strftime("%Y-%m-%d"),
            "features": list(self.features),
            "config": self.config.model_dump(),
            "calibration": self.calibration.to_dict(),
            "rows": self.rows,
            "start": self.start.to_dict(),
            "shrink": self.shrink.to_dict(),
        }
        (folder / DESCRIPTION_FILE).write_text(json.dumps(described, indent=1, sort_keys=True) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Forecaster":
        """Read what `save` wrote; ModelError when a file is missing, or a feature, model or setting is no more."""
        try:
            described: Mapping[str, Any] = json.loads((folder / DESCRIPTION_FILE).read_text())
        except OSError as error:
            raise ModelError(f"{folder} holds no whole model: {error}") from error
        known = features_of(described["features"])
        gone = [name for name in described["features"] if name not in known]
        if gone:
            raise ModelError(
                f"{folder}: expected a model trained on features that this code builds, got one that needs "
                f"{', '.join(gone)}; train a new one"
            )
        model = model_named(described.get("model", "without a name"))
        try:
            config = configured(described["model"], described["config"])
        except ValidationError as error:
            raise ModelError(f"{folder}: the model's settings are not those of this code; train a new one") from error
        return cls(
            members=tuple(model.load(_member_folder(folder, number), config) for number in range(config.members)),
            config=config,
            as_of=pd.Timestamp(described["as_of"]),
            calibration=Calibration.from_dict(described["calibration"]),
            rows=int(described["rows"]),
            # One that was saved without them started from the base and believed all of its correction.
            start=Start.from_dict(described.get("start", {})),
            shrink=Shrink.from_dict(described["shrink"]) if "shrink" in described else Shrink.of_all(1.0),
        )


def _member_folder(folder: Path, number: int) -> Path:
    return folder / f"member_{number + 1}"


@dataclass(frozen=True, eq=False)
class TrainedMember:
    """Member `number` of the ensemble of a week, the rows that it learnt from, and the seconds that took.

    `start` is what its residuals are of, and `calibration` holds the errors of that start.
    """

    as_of: pd.Timestamp
    number: int
    model: Model
    rows: int
    seconds: float
    start: Start
    calibration: Calibration


@dataclass(frozen=True)
class TrainingPart:
    """Members to train at several weeks: work that reads its rows once."""

    members: tuple[int, ...]
    weeks: tuple[pd.Timestamp, ...]


def training_parts(weeks: Sequence[pd.Timestamp], members: int, workers: int) -> list[TrainingPart]:
    """All members at all `weeks` as one part; for several workers, parts of one member and some weeks each."""
    if workers == 1:
        return [TrainingPart(tuple(range(members)), tuple(weeks))]
    shares = dealt(weeks, max(2, workers // members))
    return [TrainingPart((member,), tuple(share)) for share in shares for member in range(members)]


def train_part(
    features: WeeklyTable, sales: WeeklyTable, config: ModelConfig, absent: AbsentRows, part: TrainingPart
) -> Iterator[TrainedMember]:
    """Train the members of one part on stored rows whose targets were known; ModelError when there is none.

    They come week by week, while the next ones are trained. A member depends on its number, the rows and the settings
    alone, wherever and with whatever else it is trained.
    """
    matrices = stored_matrices(features, sales, max(part.weeks), config.subsample, part.members, absent)
    wanted = [
        (matrix, week, member)
        for week in sorted(part.weeks)
        for member, matrix in zip(part.members, matrices, strict=True)
    ]
    at_once = 1
    if config.side_by_side:
        most = max(len(matrix) for matrix in matrices)
        at_once = min(config.threads, len(wanted), max(1, ROWS_AT_ONCE // max(most, 1)))
    each = config.model_copy(update={"threads": max(1, config.threads // at_once)})
    pool = ThreadPoolExecutor(at_once)
    try:
        yield from pool.map(lambda one: _trained(one[0], one[1], each, one[2]), wanted)
    finally:
        # An interrupt waits for the trainings under way and begins no other.
        pool.shutdown(cancel_futures=True)


def _trained(matrix: TrainingMatrix, as_of: pd.Timestamp, config: ModelConfig, member: int) -> TrainedMember:
    known = matrix.known_by(as_of)
    started = time.perf_counter()
    start = learn_start(known) if config.corrects else Start.none()
    left = replace(known, y=known.y - start.moves(known.column, len(known)).sum(axis=1))
    calibration = _start_calibration(left, config.quantiles)
    names = left.week_names()
    if len(names):
        # Missing, so that no model can split on what only tells which week it is. `known_by` may have copied nothing.
        X = known.X.copy() if known is matrix else known.X
        X[:, names] = np.nan
        left = replace(left, X=X)
    model = model_of(config).fit(left, config, member)
    return TrainedMember(as_of, member, model, len(known), time.perf_counter() - started, start, calibration)


def _start_calibration(matrix: TrainingMatrix, quantiles: tuple[float, ...]) -> Calibration:
    """Intervals from the errors that the start made at all past origins: they need no model that was trained then."""
    rows = spread_rows(len(matrix), MOST_ERRORS)
    horizon = matrix.column("horizon")[rows].astype(np.int64)
    return calibrate_errors(
        matrix.y[rows],
        matrix.scale[rows],
        horizon,
        matrix.is_holiday[rows],
        matrix.known[rows],
        int(horizon.max()),
        quantiles,
    )


def forecasters(
    trained: Iterable[TrainedMember], config: ModelConfig, weeks: Sequence[pd.Timestamp]
) -> Iterator[Forecaster]:
    """One forecaster per week of `weeks` that members were trained at, in order, as soon as its last member is there.

    Its intervals are those of the start's errors, and its corrections shrunk as is expected of any: no forecast of its
    own was judged yet.
    """
    due, held = sorted(weeks), {week: list[TrainedMember]() for week in weeks}
    for one in trained:
        held[one.as_of].append(one)
        while due and len(held[due[0]]) == config.members:
            yield _forecaster(sorted(held.pop(due.pop(0)), key=lambda one: one.number), config)


def _forecaster(members: Sequence[TrainedMember], config: ModelConfig) -> Forecaster:
    return Forecaster(
        members=tuple(one.model for one in members),
        config=config,
        as_of=members[0].as_of,
        # Another member's share of the rows has the same errors, near enough.
        calibration=members[0].calibration,
        rows=sum(one.rows for one in members),
        fit_seconds=sum(one.seconds for one in members),
        start=Start(np.mean([one.start.weights for one in members], axis=0), members[0].start.has_drivers),
        shrink=Shrink.of_all(EXPECTED if config.corrects else 0.0),
    )


def fit(
    features: pd.DataFrame,
    sales: pd.DataFrame,
    as_of: pd.Timestamp,
    config: ModelConfig,
    absent: AbsentRows = UNKNOWN,
) -> Forecaster:
    """Train on the origins of `features` whose targets were known at `as_of`; ModelError when there is none."""
    actuals = actuals_of(features, sales, absent)
    trained = (
        _trained(training_matrix(features, actuals, as_of, config.subsample, member), as_of, config, member)
        for member in range(config.members)
    )
    return next(forecasters(trained, config, [as_of]))


def train_stored(
    features: WeeklyTable,
    sales: WeeklyTable,
    weeks: Sequence[pd.Timestamp],
    config: ModelConfig,
    workers: Workers,
    absent: AbsentRows = UNKNOWN,
) -> Iterator[Forecaster]:
    """One forecaster per week, in order, of what was known then; ModelError when there was nothing to learn from."""
    parts = training_parts(weeks, config.members, workers.count)
    there = config.model_copy(update={"threads": workers.threads})
    trained = chain.from_iterable(workers.map(train_part, parts, features, sales, there, absent))
    return forecasters(trained, config, weeks)


def predict_pieces(forecaster: Forecaster, features: pd.DataFrame, workers: Workers) -> pd.DataFrame:
    """`Forecaster.predict` of many rows, piece by piece."""
    needed = features[forecaster.inputs]
    pieces = [needed.iloc[first : first + ROWS_PER_PIECE] for first in range(0, len(features), ROWS_PER_PIECE)]
    return pd.concat(workers.map(Forecaster.predict, pieces, forecaster), ignore_index=True)
