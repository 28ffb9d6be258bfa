"""Rolling-origin backtest: at each origin, train on what was known then, forecast, and score beside the baselines."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from demand_assets.errors import ModelError
from demand_assets.forecasting.absent import UNKNOWN, AbsentRows
from demand_assets.forecasting.baselines import UNTRAINED
from demand_assets.forecasting.forecaster import Forecaster, fit, train_stored
from demand_assets.forecasting.intervals import INPUTS, Calibration, calibrate, not_below, quantile_column
from demand_assets.forecasting.methods import weeks_to_judge
from demand_assets.forecasting.models.base import ModelConfig
from demand_assets.forecasting.panel import SALES_COLUMNS
from demand_assets.forecasting.ports import WeeklyTable, Workers
from demand_assets.forecasting.shrinkage import Shrink, learn_shrink
from demand_assets.forecasting.training import actuals_of
from demand_assets.forecasting.weeks import add_weeks, week_number, weeks_between

COLUMNS = (
    "store_id",
    "dept_id",
    "origin_week",
    "target_week",
    "horizon",
    "model",
    "forecast",
    "actual",
    "is_holiday",
    "scale",
    "floor",
    "start",
    "residual",
)
_POINT = ["origin_week", "store_id", "dept_id", "target_week"]
# Origins before the first scored one, forecast only so that its shrinkage has corrections to learn from. From
# `MANY_ORIGINS` scored ones on, the first weighs too little to be worth two more trainings.
WARM_UP_ORIGINS = 2
MANY_ORIGINS = 6


@dataclass(frozen=True, eq=False)
class Fold:
    """One origin's `points`, and what its forecaster knows before any forecast was judged: its `calibration`.

    A model's forecast is `start` + shrink x `residual` x scale, shrunk as far as is expected of any; that of a
    baseline is its start. None is below `floor`.
    """

    points: pd.DataFrame
    calibration: Calibration
    corrects: bool
    seconds: float


@dataclass(frozen=True, eq=False)
class Backtest:
    """`cv_results`: one row per series x origin x target x model, columns `COLUMNS` and the quantiles.

    The actual is NaN where none is known. `kept` is the model of the origin that was asked for, not judged yet.
    """

    cv_results: pd.DataFrame
    fit_seconds: float
    kept: Forecaster | None = None


def rolling_origins(
    as_of: pd.Timestamp, first: pd.Timestamp, count: int, step: int, horizon_weeks: int
) -> list[pd.Timestamp]:
    """The newest `count` origins that can be scored at `as_of`, `step` weeks apart, none before `first`.

    They lie on a grid fixed in absolute time, so that models trained in different weeks are scored on shared origins.
    """
    last = add_weeks(as_of, -weeks_to_judge(horizon_weeks))
    if last < first:
        return []
    candidates = weeks_between(first, last)
    on_grid = candidates[week_number(candidates) % step == 0]
    return list(on_grid[-count:])


def sample_stores(series: pd.DataFrame, most_series: int) -> list[int] | None:
    """Ids of evenly spread stores that hold about `most_series` of the series; None when there are no more than that.

    `series` has one row per series, with its `store_id`. Whole stores, so that their totals can be scored too; totals
    of departments and of the chain are then those of the sample.
    """
    if len(series) <= most_series:
        return None
    stores = np.unique(series["store_id"])
    count = max(1, len(stores) * most_series // len(series))
    drawn: list[int] = stores[np.linspace(0, len(stores) - 1, count).round().astype(np.int64)].tolist()
    return drawn


def backtest(
    features: pd.DataFrame,
    sales: pd.DataFrame,
    origins: Sequence[pd.Timestamp],
    horizon_weeks: int,
    config: ModelConfig,
    progress: Callable[[pd.Timestamp], None] | None = None,
    absent: AbsentRows = UNKNOWN,
) -> Backtest:
    """Forecasts of the model and of every baseline at `origins`, each from what was known at that origin.

    `features` holds the stored origins, those before `origins` to train on included. Intervals at an origin come from
    the errors of earlier origins whose targets were known by then; where few are scored, two more serve the first.
    ModelError when an origin has no features or nothing before it to train on.
    """
    stored = pd.DatetimeIndex(features["origin_week"].unique())
    wanted = origins_to_forecast(origins, stored, horizon_weeks)
    made = (
        forecast_origin(
            fit(features, sales, origin, config, absent),
            features[features["origin_week"] == origin].reset_index(drop=True),
            sales,
            absent=absent,
        )
        for origin in wanted
    )
    return assemble_folds(_told(wanted, made, progress), origins, horizon_weeks, config.quantiles)


def _told(
    origins: Sequence[pd.Timestamp], made: Iterable[Fold], progress: Callable[[pd.Timestamp], None] | None
) -> Iterator[Fold]:
    for origin, fold in zip(origins, made, strict=True):
        if progress is not None:
            progress(origin)
        yield fold


def backtest_stored(
    features: WeeklyTable,
    sales: WeeklyTable,
    origins: Sequence[pd.Timestamp],
    horizon_weeks: int,
    config: ModelConfig,
    workers: Workers,
    stores: Sequence[int] | None = None,
    progress: Callable[[pd.Timestamp], None] | None = None,
    absent: AbsentRows = UNKNOWN,
    keep: pd.Timestamp | None = None,
) -> Backtest:
    """`backtest` of stored tables, mapped over `workers`: trainings first, then forecasts origin by origin.

    Only the series of `stores` are forecast where they are given. `keep` names the origin whose model is kept.
    """
    stored = pd.DatetimeIndex(features.keys)
    wanted = origins_to_forecast(origins, stored, horizon_weeks)
    kept: list[Forecaster] = []
    trained = _keeping(train_stored(features, sales, wanted, config, workers, absent), keep, kept)
    made = workers.map(forecast_stored_origin, trained, features, sales, stores, absent)
    judged = assemble_folds(_told(wanted, made, progress), origins, horizon_weeks, config.quantiles)
    return replace(judged, kept=kept[0]) if kept else judged


def _keeping(
    trained: Iterable[Forecaster], wanted: pd.Timestamp | None, kept: list[Forecaster]
) -> Iterator[Forecaster]:
    for one in trained:
        if one.as_of == wanted:
            kept.append(one)
        yield one


def forecast_stored_origin(
    features: WeeklyTable, sales: WeeklyTable, stores: Sequence[int] | None, absent: AbsentRows, forecaster: Forecaster
) -> Fold:
    """`forecast_origin` of the week that the forecaster was trained at; sales are read only as the actuals."""
    origin = forecaster.as_of
    rows = features.only([f"{origin:%Y-%m-%d}"]).read()
    held = sales.only([f"{add_weeks(origin, int(step)):%Y-%m-%d}" for step in rows["horizon"].unique()])
    # No target has come yet: the columns of any week, without its rows.
    known = held.read(SALES_COLUMNS) if held.keys else sales.only(sales.keys[-1:]).read(SALES_COLUMNS).iloc[:0]
    return forecast_origin(forecaster, rows, known, stores, absent, pd.Timestamp(sales.keys[-1]))


def origins_to_forecast(
    origins: Sequence[pd.Timestamp], stored: pd.DatetimeIndex, horizon_weeks: int
) -> list[pd.Timestamp]:
    """The origins to forecast so that `origins` can be scored, in order: they, and up to two to warm few of them up.

    ModelError when one of them is not among the `stored` origins.
    """
    stored, origins = stored.sort_values(), sorted(origins)
    lacking = [origin for origin in origins if origin not in stored]
    if lacking:
        raise ModelError(
            f"origin {lacking[0]:%Y-%m-%d} has no features; it needs 52 weeks of sales before it and sales in that week"
        )
    return [*_warm_up(origins, stored, horizon_weeks), *origins]


def forecast_origin(
    forecaster: Forecaster,
    rows: pd.DataFrame,
    sales: pd.DataFrame,
    stores: Sequence[int] | None = None,
    absent: AbsentRows = UNKNOWN,
    newest: pd.Timestamp | None = None,
) -> Fold:
    """Forecasts of the model and every baseline from one origin, whose features are `rows`; seconds of its training.

    One row per series x target x model, `COLUMNS`, model by model in the order of the features; only series of
    `stores` where they are given. `sales` holds the actuals; `absent` and `newest` as for `actuals_of`.
    """
    if stores is not None:
        rows = rows[rows["store_id"].isin(stores)].reset_index(drop=True)
    start, residual = forecaster.parts(rows)
    starts = {forecaster.model: start} | {name: rows[name].to_numpy() for name in UNTRAINED}
    keyed = rows[["store_id", "dept_id", "origin_week", "target_week", "horizon", "scale", "floor"]].assign(
        is_holiday=rows["is_holiday"].to_numpy() > 0, actual=actuals_of(rows, sales, absent, newest)
    )
    made = {name: residual if name == forecaster.model else np.zeros(len(rows)) for name in starts}
    points = [
        keyed.assign(
            model=name, start=begun, residual=made[name], forecast=_shrunk(forecaster.shrink, keyed, begun, made[name])
        )
        for name, begun in starts.items()
    ]
    return Fold(
        pd.concat(points, ignore_index=True)[list(COLUMNS)],
        forecaster.calibration,
        forecaster.config.corrects,
        forecaster.fit_seconds,
    )


def assemble_folds(
    made: Iterable[Fold],
    origins: Sequence[pd.Timestamp],
    horizon_weeks: int,
    quantiles: tuple[float, ...],
) -> Backtest:
    """The backtest of `origins` from what `forecast_origin` made of each of `origins_to_forecast`, in that order."""
    scored: list[pd.DataFrame] = []
    seconds = 0.0
    for fold in made:
        seconds += fold.seconds
        past = pd.concat(scored) if scored else fold.points[:0]
        # Known at the origin: an error counts from the week its target ended.
        known = past[past["target_week"] <= fold.points["origin_week"].iloc[0]]
        for name, points in fold.points.groupby("model", sort=False):
            judged = known[known["model"] == name]
            if fold.corrects and name not in UNTRAINED:
                shrink = learn_shrink(judged)
                points = points.assign(forecast=_shrunk(shrink, points, points["start"], points["residual"]))
            calibration = calibrate(judged, horizon_weeks, quantiles, fold.calibration)
            intervals = calibration.intervals(*(points[column].to_numpy() for column in INPUTS))
            scored.append(points.assign(**not_below(points["floor"].to_numpy(), intervals)))
    after = COLUMNS.index("forecast") + 1
    columns = [*COLUMNS[:after], *map(quantile_column, quantiles), *COLUMNS[after:]]
    # In place, and the parts dropped first: all points of large retailers are not in memory several times over.
    points = pd.concat([part[columns] for part in scored if part["origin_week"].iloc[0] in origins], ignore_index=True)
    scored.clear()
    points.sort_values(["model", *_POINT], ignore_index=True, inplace=True)  # noqa: PD002
    return Backtest(points, seconds)


def _shrunk(shrink: Shrink, points: pd.DataFrame, start: ArrayLike, residual: ArrayLike) -> NDArray[np.float64]:
    """(n,) forecasts from starts and residuals that are not shrunk yet."""
    scale = points["scale"].to_numpy()
    made = np.asarray(start) + shrink.of(scale) * np.asarray(residual) * scale
    return np.maximum(made, points["floor"].to_numpy())


def _warm_up(origins: Sequence[pd.Timestamp], stored: pd.DatetimeIndex, horizon_weeks: int) -> list[pd.Timestamp]:
    """Before few `origins` up to two earlier ones, a horizon apart, that have something to train on themselves."""
    if not 0 < len(origins) < MANY_ORIGINS:
        return []
    trainable = add_weeks(stored[0], 1)
    wanted = [add_weeks(origins[0], -horizon_weeks * back) for back in range(WARM_UP_ORIGINS, 0, -1)]
    return [origin for origin in wanted if origin >= trainable and origin in stored and origin not in origins]
