"""What a model learns from: rows of demand_features whose sales have come, as one matrix per ensemble member.

The target is the scaled residual (actual - base) / scale. Each row is weighted by its scale, and by 5 in holiday weeks:
the weighted absolute error is then WMAE itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from demand_assets.errors import ModelError
from demand_assets.forecasting.absent import UNKNOWN, AbsentRows, series_week
from demand_assets.forecasting.features import FEATURES, driver_feature, features_of
from demand_assets.forecasting.metrics import HOLIDAY_WEIGHT
from demand_assets.forecasting.panel import SALES_COLUMNS
from demand_assets.forecasting.ports import WeeklyTable
from demand_assets.forecasting.weeks import week_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A feature that varies among the series of a week in no more than this share of the weeks names the week.
RARELY = 0.02
NO_SALES = pd.DataFrame(
    {"store_id": [], "dept_id": [], "week": pd.DatetimeIndex([]), "sales": []}, columns=list(SALES_COLUMNS)
)


@dataclass(frozen=True, eq=False)
class TrainingMatrix:
    """What one member learns from: (n, F) features `X`, (n,) scaled residuals `y`, (n,) `weight`.

    `known` (n,) is the number of the week in which each target was known; `features` names the F columns.
    """

    X: "NDArray[np.float32]"
    y: "NDArray[np.float64]"
    weight: "NDArray[np.float64]"
    known: "NDArray[np.int64]"
    features: tuple[str, ...] = field(default_factory=lambda: tuple(FEATURES))

    def __len__(self) -> int:
        return len(self.y)

    def column(self, name: str) -> "NDArray[np.float32]":
        """(n,) values of one feature; ValueError when it is none of the matrix."""
        return self.X[:, self.features.index(name)]

    @property
    def is_holiday(self) -> "NDArray[np.bool_]":
        """(n,) whether the target is a holiday week."""
        return self.column("is_holiday") > 0

    @property
    def scale(self) -> "NDArray[np.float64]":
        """(n,) scale of each row's series, in the unit of sales."""
        return self.weight / _importance(self.is_holiday)

    def week_names(self) -> "NDArray[np.int64]":
        """Positions of the features that are the same for all series of a week: they only tell which week it is.

        A tree that may split on them learns each past week by heart. The horizon is none of them, nor what is known
        ahead of a driver: a promotion of the whole chain comes again. None without a week of several series.
        """
        group = self.known * (int(self.column("horizon").max()) + 1) + self.column("horizon").astype(np.int64)
        order = np.argsort(group, kind="stable")
        first = np.flatnonzero(np.diff(group[order], prepend=-1))
        several = np.diff(first, append=len(order)) > 1
        if not several.any():
            return np.empty(0, dtype=np.int64)
        names = [
            place
            for place, name in enumerate(self.features)
            if name != "horizon"
            and driver_feature(name) is None
            and _varies(self.X[order, place], first, several) <= RARELY
        ]
        return np.array(names, dtype=np.int64)

    @classmethod
    def empty(cls) -> "TrainingMatrix":
        """A matrix without rows."""
        X = np.empty((0, len(FEATURES)), np.float32)
        return cls(X, np.empty(0), np.empty(0), np.empty(0, dtype=np.int64))

    @classmethod
    def joined(cls, parts: "Sequence[TrainingMatrix]") -> "TrainingMatrix":
        """The rows of at least one matrix of the same features, in their order."""
        return cls(
            np.concatenate([part.X for part in parts]),
            np.concatenate([part.y for part in parts]),
            np.concatenate([part.weight for part in parts]),
            np.concatenate([part.known for part in parts]),
            parts[0].features,
        )

    def known_by(self, as_of: pd.Timestamp) -> "TrainingMatrix":
        """The rows whose target was known at `as_of`; ModelError when there is none."""
        held = self.known <= week_number(pd.DatetimeIndex([as_of]))[0]
        if not held.any():
            raise ModelError(
                f"no origin has a target known by {as_of:%Y-%m-%d}; training needs 52 weeks of history and one "
                "horizon more"
            )
        if held.all():
            return self
        return replace(self, X=self.X[held], y=self.y[held], weight=self.weight[held], known=self.known[held])


def _varies(values: "NDArray[np.float32]", first: "NDArray[np.int64]", several: "NDArray[np.bool_]") -> float:
    """Share of those of the groups that begin at `first` in which values differ; a missing one is a value too."""
    known = np.where(np.isnan(values), np.float32(np.inf), values)
    differ = np.minimum.reduceat(known, first) < np.maximum.reduceat(known, first)
    return float(differ[several].mean())


def _importance(is_holiday: "NDArray[np.bool_]") -> "NDArray[np.float64]":
    """(n,) weight of a unit of error."""
    return np.where(is_holiday, HOLIDAY_WEIGHT, 1.0)


def actuals_of(
    features: pd.DataFrame, sales: pd.DataFrame, absent: AbsentRows = UNKNOWN, newest: pd.Timestamp | None = None
) -> "NDArray[np.float64]":
    """(n,) sales of each row's series in its target week, in the unit of sales; NaN where they are unknown.

    An absent row is 0 where `absent` says so, up to the `newest` week of all sales: that of `sales` where it is left
    out.
    """
    targets = pd.DatetimeIndex(features["target_week"])
    stores, depts = features["store_id"].to_numpy(), features["dept_id"].to_numpy()
    newest = sales["week"].max() if newest is None else newest
    unsold = np.where(absent.sold_nothing(targets, stores, newest), 0.0, np.nan)
    held = series_week(sales["store_id"].to_numpy(), sales["dept_id"].to_numpy(), pd.DatetimeIndex(sales["week"]))
    order = np.argsort(held, kind="stable")
    held = held[order]
    wanted = series_week(stores, depts, targets)
    place = np.minimum(np.searchsorted(held, wanted), max(len(held) - 1, 0))
    values = sales["sales"].to_numpy(dtype=float)[order]
    found = np.where(held[place] == wanted, values[place], unsold) if len(held) else unsold
    return np.where(absent.shut(targets, stores) | absent.ran_out(targets, stores, depts), np.nan, found)


def training_rows(
    features: pd.DataFrame, actuals: "NDArray[np.float64]", as_of: pd.Timestamp, subsample: float = 1.0, member: int = 0
) -> "NDArray[np.int64]":
    """Positions of the feature rows that a member learns from at `as_of`: their target's sales were known by then.

    `subsample` is the share of these rows to keep, taken as the nearest 1/n. Those kept are spread evenly over series,
    origins and horizons, and are the same every time: rows of neighbouring origins and horizons share their targets,
    so half of them teach nearly as much. Members keep different shares; member n keeps the same one as member 0.
    """
    known = (features["target_week"] <= as_of).to_numpy() & ~np.isnan(actuals)
    shares = round(1 / subsample)
    if shares > 1:
        # 31 is coprime to any small divisor: neighbours in each key fall into different classes.
        spread = features["store_id"].to_numpy(np.int64) + 31 * features["dept_id"].to_numpy(np.int64)
        spread += week_number(pd.DatetimeIndex(features["origin_week"])) + features["horizon"].to_numpy(np.int64)
        known &= spread % shares == member % shares
    return np.flatnonzero(known)


def training_matrix(
    features: pd.DataFrame, actuals: "NDArray[np.float64]", as_of: pd.Timestamp, subsample: float, member: int
) -> TrainingMatrix:
    """The rows of `features` that one member learns from; of a part of the features, its part of them."""
    rows = training_rows(features, actuals, as_of, subsample, member)
    names = tuple(features_of(features.columns))
    X = np.empty((len(rows), len(names)), dtype=np.float32)
    for index, name in enumerate(names):
        X[:, index] = features[name].to_numpy()[rows]
    scale = features["scale"].to_numpy()[rows]
    y = (actuals[rows] - features["base"].to_numpy()[rows]) / scale
    weight = scale * _importance(features["is_holiday"].to_numpy()[rows] > 0)
    return TrainingMatrix(X, y, weight, week_number(pd.DatetimeIndex(features["target_week"].iloc[rows])), names)


def stored_matrices(
    features: WeeklyTable,
    sales: WeeklyTable,
    as_of: pd.Timestamp,
    subsample: float,
    members: Sequence[int],
    absent: AbsentRows = UNKNOWN,
) -> list[TrainingMatrix]:
    """`training_matrix` of each of `members` from stored tables: weeks are read once, and one at a time."""
    parts: list[list[TrainingMatrix]] = [[] for _ in members]
    read: dict[str, pd.DataFrame] = {}
    newest = f"{as_of:%Y-%m-%d}"
    for _, frame in features.only([key for key in features.keys if key < newest]).weeks():
        targets = [f"{week:%Y-%m-%d}" for week in frame["target_week"].unique() if week <= as_of]
        # Neighbouring origins share all targets but one: each week of sales is read once and dropped when it is past.
        read = {name: read[name] for name in targets if name in read}
        read |= dict(sales.only([name for name in targets if name not in read]).weeks(SALES_COLUMNS))
        if not read and absent.missing == "unknown":
            continue
        sold = pd.concat(read.values(), ignore_index=True) if read else NO_SALES
        actuals = actuals_of(frame, sold, absent, as_of)
        for held, member in zip(parts, members, strict=True):
            held.append(training_matrix(frame, actuals, as_of, subsample, member))
    joined = []
    # Popped, so that the parts of one member go before the next is joined.
    while parts:
        joined.append(TrainingMatrix.joined(parts.pop(0) or [TrainingMatrix.empty()]))
    return joined
