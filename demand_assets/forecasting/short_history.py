"""What a history too short for a model allows: methods that need no training, judged at the origins that there are.

A model is judged at origins with a year behind them. Before, features are made of the newest origins all the same: the
methods forecast from them and are scored on them. They lack last year, so no model is ever trained on them.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from demand_assets.forecasting.absent import UNKNOWN, AbsentRows
from demand_assets.forecasting.backtest import Backtest, assemble_folds, forecast_stored_origin, rolling_origins
from demand_assets.forecasting.baselines import BASE, UNTRAINED
from demand_assets.forecasting.features import first_origin
from demand_assets.forecasting.forecaster import Forecaster
from demand_assets.forecasting.intervals import QUANTILES, Calibration
from demand_assets.forecasting.methods import weeks_to_learn
from demand_assets.forecasting.models.baseline import Baseline, BaselineConfig
from demand_assets.forecasting.ports import WeeklyTable, Workers
from demand_assets.forecasting.weeks import add_weeks, weeks_between

# A forecast needs an error to say how far off it may be: one week to forecast from, and the one after it.
LEAST_WEEKS = 2
# Origins that untrained methods are judged at, a quarter of a year: all that there are of a shorter history.
JUDGED_ORIGINS = 13


def with_a_year_behind(origins: pd.DatetimeIndex, landed: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Of some origins those whose features have a last year, by the weeks that have `landed`: all a model learns from.

    None when nothing has landed.
    """
    return origins[origins >= first_origin(landed)] if len(landed) else origins[:0]


def model_origins(
    origins: pd.DatetimeIndex, landed: pd.DatetimeIndex, as_of: pd.Timestamp, count: int, step: int, horizon_weeks: int
) -> list[pd.Timestamp]:
    """The origins that a model trained at `as_of` is judged at, of those with features; none: its history is short.

    Where no sales landed in a week of the grid, the newest origin of the `step` weeks up to it stands in.
    """
    able = with_a_year_behind(origins, landed).sort_values()
    if not len(able):
        return []
    first = add_weeks(able.min(), weeks_to_learn(horizon_weeks))
    grid = pd.DatetimeIndex(rolling_origins(as_of, first, len(weeks_between(able[0], as_of)), step, horizon_weeks))
    newest = able[np.maximum(able.searchsorted(grid, side="right") - 1, 0)]
    stands_in = (newest >= first) & (newest <= grid) & (grid - newest < pd.Timedelta(weeks=step))
    return list(newest[stands_in][-count:])


def untrained_origins(origins: pd.DatetimeIndex, as_of: pd.Timestamp) -> list[pd.Timestamp]:
    """The newest origins before `as_of`, at most `JUDGED_ORIGINS`, in order."""
    return list(origins[origins < as_of].sort_values()[-JUDGED_ORIGINS:])


def origins_to_build(
    landed: pd.DatetimeIndex, most: int, count: int, step: int, horizon_weeks: int
) -> list[pd.Timestamp]:
    """Of the weeks that have `landed` those to make features of, in order.

    The newest `most` with a year behind them; of a history too short for a model the newest week and the origins that
    untrained methods are judged at too.
    """
    if not len(landed):
        return []
    landed = landed.sort_values()
    able = with_a_year_behind(landed, landed)[-most:]
    if model_origins(able, landed, landed[-1], count, step, horizon_weeks):
        return list(able)
    return sorted({*able, *untrained_origins(landed, landed[-1]), landed[-1]})


def untrained_backtest(
    features: WeeklyTable,
    sales: WeeklyTable,
    origins: Sequence[pd.Timestamp],
    horizon_weeks: int,
    workers: Workers,
    stores: Sequence[int] | None = None,
    absent: AbsentRows = UNKNOWN,
    quantiles: tuple[float, ...] = QUANTILES,
) -> Backtest:
    """The backtest of the untrained methods alone, at `origins` with stored features; columns as of any backtest."""
    made = workers.map(
        forecast_stored_origin, [_starting_point(origin) for origin in origins], features, sales, stores, absent
    )
    folds = (
        replace(fold, points=fold.points[fold.points["model"].isin(list(UNTRAINED))].reset_index(drop=True))
        for fold in made
    )
    return assemble_folds(folds, origins, horizon_weeks, quantiles)


def _starting_point(origin: pd.Timestamp) -> Forecaster:
    config = BaselineConfig(start=BASE, seed=0, threads=1)
    return Forecaster(members=(Baseline(),), config=config, as_of=origin, calibration=Calibration.none(), rows=0)
