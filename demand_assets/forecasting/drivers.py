"""Drivers: covariates that are known ahead and may move a forecast, such as a price, a promotion, a planned opening."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.contract.columns import SPANS_ALL
from demand_assets.forecasting.weeks import week_number

# Stands for all stores or all departments; the columns stay plain integers.
ALL = SPANS_ALL
OF_STORE, OF_SERIES = "store", "series"
Values = NDArray[np.float32]
Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DriverFrames:
    """What the lake holds of the drivers `names`; a week is named by the day that ends it, NaN is not stated.

    `of_stores`: [store_id, week, NAME...] and `of_series`: [store_id, dept_id, week, NAME...], the values of weeks that
    have ended; a driver is a column of one of them. `plans`: [origin_week, store_id, dept_id, week, NAME...], what was
    planned at an origin for weeks after it; `dept_id` is `ALL` where a value is that of the whole store. At an
    origin without plans the values themselves count as what was planned.
    """

    names: tuple[str, ...]
    of_stores: pd.DataFrame
    of_series: pd.DataFrame
    plans: pd.DataFrame


def column_names(names: Sequence[str]) -> dict[str, str]:
    """Driver -> its name in columns: lower case, words joined by single underscores, each name once.

    Two drivers that would share a name are told apart by a number, in the order of `names`.
    """
    made: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[\W_]+", "_", name).strip("_").lower() or "driver"
        taken, number = plain, 1
        while taken in made.values():
            number += 1
            taken = f"{plain}_{number}"
        made[name] = taken
    return made


@dataclass(frozen=True, eq=False)
class Plans:
    """Values of a driver planned at an origin: (P,) origin row, week row, column and value, in order of origin."""

    origin: Places
    week: Places
    column: Places
    value: Values

    @classmethod
    def of(cls, origin: Places, week: Places, column: Places, value: Values) -> "Plans":
        """In any order; of a value that is planned twice at an origin the later one counts."""
        order = np.argsort(origin, kind="stable")
        return cls(origin[order], week[order], column[order], value[order])

    def at(self, row: int) -> slice:
        """Where the plans of an origin are."""
        first, last = np.searchsorted(self.origin, [row, row + 1])
        return slice(int(first), int(last))

    def of_columns(self, columns: Places, width: int) -> "Plans":
        """Those of some of `width` columns, numbered by their place in `columns`."""
        place = np.full(width, -1)
        place[columns] = np.arange(len(columns))
        held = place[self.column] >= 0
        return Plans(self.origin[held], self.week[held], place[self.column[held]], self.value[held])


@dataclass(frozen=True, eq=False)
class Driver:
    """One driver of a panel of T weeks: `values` (T + horizon, n) of its n stores or series, NaN where not stated.

    `name` is that of its columns; `level` is `OF_STORE` or `OF_SERIES`. `is_ratio`: changes are measured as ratios, as
    those of prices are, else as differences.
    """

    name: str
    level: str
    values: Values
    plans: Plans
    is_ratio: bool

    def known_at(self, row: int, horizon_weeks: int) -> Values:
        """(row + 1 + H, n) what an origin knows: values to it, and for the H weeks after it what was planned then.

        At an origin without plans of the driver the values themselves count as planned; at one with plans a value that
        is not among them is NaN, as it will be at the newest origin.
        """
        plans, last = self.plans.at(row), row + 1 + horizon_weeks
        known = np.full((last, self.values.shape[1]), np.nan, dtype=np.float32)
        held = self.values[: row + 1 if plans.stop > plans.start else last]
        known[: len(held)] = held
        week = self.plans.week[plans]
        ahead = (week > row) & (week < last)
        known[week[ahead], self.plans.column[plans][ahead]] = self.plans.value[plans][ahead]
        return known

    def of(self, columns: Places) -> "Driver":
        """The driver of some series of its panel; that of stores stays as it is."""
        if self.level == OF_STORE:
            return self
        plans = self.plans.of_columns(columns, self.values.shape[1])
        return replace(self, values=np.ascontiguousarray(self.values[:, columns]), plans=plans)


def dense_drivers(
    frames: DriverFrames, weeks: pd.DatetimeIndex, stores: "pd.Index[int]", series: pd.DataFrame, first_origin: int
) -> Iterator[Driver]:
    """The drivers over `weeks`, of `stores` and `series` [store_id, dept_id]; other stores and series are left out.

    Whether changes are ratios is told by the weeks to `first_origin`, which every origin knows: a driver of positive
    values only is one; the weeks to the first one with a value, if none of these has any.
    """
    start = week_number(weeks[:1])[0]
    of_series = _SeriesPlaces(series)
    for name, column_name in column_names(frames.names).items():
        level = OF_STORE if name in frames.of_stores.columns else OF_SERIES
        frame = frames.of_stores if level == OF_STORE else frames.of_series
        width = len(stores) if level == OF_STORE else len(series)
        values = np.full((len(weeks), width), np.nan, dtype=np.float32)
        if name in frame.columns:
            row = week_number(pd.DatetimeIndex(frame["week"])) - start
            column = stores.get_indexer(pd.Index(frame["store_id"])) if level == OF_STORE else of_series.of(frame)
            held = (row >= 0) & (row < len(weeks)) & (column >= 0) & frame[name].notna().to_numpy()
            values[row[held], column[held]] = frame[name].to_numpy(dtype=np.float32)[held]
        plans = _plans_of(frames.plans, name, level, start, stores, of_series)
        yield Driver(column_name, level, values, plans, _is_positive(values, first_origin))


def _is_positive(values: Values, first_origin: int) -> bool:
    stated = ~np.isnan(values)
    with_value = np.flatnonzero(stated.any(axis=1))
    if not len(with_value):
        return False
    early = slice(0, max(first_origin, int(with_value[0])) + 1)
    return bool((values[early][stated[early]] > 0).all())


class _SeriesPlaces:
    """Places of series by their ids."""

    def __init__(self, series: pd.DataFrame) -> None:
        self.index = pd.Index(self._keys(series))
        by_store = series["store_id"].to_numpy()
        self.order = np.argsort(by_store, kind="stable")
        self.stores = by_store[self.order]

    @staticmethod
    def _keys(frame: pd.DataFrame) -> Places:
        return frame["store_id"].to_numpy(np.int64) << 32 | frame["dept_id"].to_numpy(np.int64)

    def of(self, frame: pd.DataFrame) -> Places:
        """(n,) place of each row's series, -1 for none."""
        return self.index.get_indexer(pd.Index(self._keys(frame)))

    def of_store(self, stores: NDArray[np.integer[Any]]) -> tuple[Places, Places]:
        """The rows of (n,) stores, each once for every series of it, and the places of these."""
        first, last = (np.searchsorted(self.stores, stores, side=side) for side in ("left", "right"))
        count = last - first
        row = np.repeat(np.arange(len(stores)), count)
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        return row, self.order[first[row] + within]


def _plans_of(
    plans: pd.DataFrame, name: str, level: str, start: int, stores: "pd.Index[int]", of_series: _SeriesPlaces
) -> Plans:
    """The plans of one driver; one of the whole store counts for each of its series that has none of its own."""
    if name not in plans.columns:
        plans = plans.iloc[:0].assign(**{name: np.float32()})
    held = plans[plans[name].notna()]
    origin, week = (week_number(pd.DatetimeIndex(held[column])) - start for column in ("origin_week", "week"))
    value = held[name].to_numpy(dtype=np.float32)
    whole = held["dept_id"].to_numpy() == ALL
    if level == OF_STORE:
        row, column = np.flatnonzero(whole), stores.get_indexer(pd.Index(held["store_id"]))[whole]
    else:
        of_stores = np.flatnonzero(whole)
        spread, all_of_store = of_series.of_store(held["store_id"].to_numpy()[of_stores])
        own = np.flatnonzero(~whole)
        # Own values come last, so that they count.
        row = np.concatenate([of_stores[spread], own])
        column = np.concatenate([all_of_store, of_series.of(held.iloc[own])])
    known = column >= 0
    row, column = row[known], column[known]
    return Plans.of(origin[row], week[row], column, value[row])
