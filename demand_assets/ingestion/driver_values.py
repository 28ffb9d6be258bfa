"""Drivers of weeks that charts show and of planned weeks, as the store keeps them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from demand_assets.contract.drivers import DRIVER_VALUES, DRIVERS, FLAG_KIND, MARKDOWN, NUMBER_KIND
from demand_assets.forecasting.drivers import ALL, DriverFrames

# A plan may reach further than any forecast.
PLANNED_WEEKS = 52
_KEYS = ["store_id", "dept_id", "week"]
_MARKDOWNS = re.compile(r"markdown\d")


def markdowns_among(columns: Iterable[str]) -> list[str]:
    """Those of the columns of raw covariates that are kinds of markdowns."""
    return [name for name in columns if _MARKDOWNS.fullmatch(name)]


def driver_tables(
    frames: DriverFrames | None, covariates: pd.DataFrame | None, ahead: pd.DataFrame | None, newest: pd.Timestamp
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The columns of `DRIVERS`, and those of `DRIVER_VALUES` with integer keys, `ALL` for a whole store.

    `covariates` and `ahead` are raw covariates to week `newest` and after it, of which only markdowns are read.
    """
    drivers: list[tuple[int, str, str, bool]] = []
    values: list[pd.DataFrame] = []
    for name, known_ahead, frame in _told(frames, covariates, ahead, newest):
        stated = frame[frame["value"].notna() & (frame["week"] <= newest + pd.Timedelta(weeks=PLANNED_WEEKS))]
        if stated.empty:
            continue
        kind = FLAG_KIND if stated["value"].isin((0, 1)).all() else NUMBER_KIND
        drivers.append((len(drivers) + 1, name, kind, known_ahead))
        values.append(_stretches(stated, newest).assign(driver_key=len(drivers)))
    columns = list(DRIVER_VALUES.names)
    found = pd.concat(values, ignore_index=True)[columns] if values else _no_values()
    table = pd.DataFrame(drivers, columns=list(DRIVERS.names))
    return table.astype({"driver_key": np.int32, "known_ahead": bool}), found


def _told(
    frames: DriverFrames | None, covariates: pd.DataFrame | None, ahead: pd.DataFrame | None, newest: pd.Timestamp
) -> Iterator[tuple[str, bool, pd.DataFrame]]:
    """Each driver's name, whether forecasts know it ahead, and [store_id, dept_id, week, value]."""
    names: tuple[str, ...] = ()
    if frames is not None:
        names = frames.names
        planned = frames.plans[frames.plans["origin_week"] == newest]
        stores = frames.of_stores.assign(dept_id=np.int32(ALL))
        for name in names:
            known = stores if name in stores.columns else frames.of_series
            yield name, True, _together([known, planned], name)
    parts = [frame for frame in (covariates, ahead) if frame is not None]
    kinds = {name for frame in parts for name in markdowns_among(map(str, frame.columns))}
    # A retailer that plans them has each as a driver of its own.
    if kinds and not kinds & set(names) and MARKDOWN not in names:
        yield MARKDOWN, False, _together([_with_sum(frame) for frame in parts], MARKDOWN)


def _with_sum(frame: pd.DataFrame) -> pd.DataFrame:
    """Markdowns of a store's week together: missing only where all kinds are."""
    summed = frame[markdowns_among(map(str, frame.columns))].sum(axis=1, min_count=1)
    return frame[["store_id", "week"]].assign(dept_id=np.int32(ALL), **{MARKDOWN: summed})


def _together(frames: list[pd.DataFrame], name: str) -> pd.DataFrame:
    columns = [*_KEYS, name]
    held = [frame[columns] for frame in frames if name in frame.columns and len(frame)]
    whole = pd.concat(held, ignore_index=True) if held else pd.DataFrame(columns=columns, dtype=float)
    return whole.rename(columns={name: "value"})


def _stretches(stated: pd.DataFrame, newest: pd.Timestamp) -> pd.DataFrame:
    """The columns of `DRIVER_VALUES` less the driver: weeks that follow each other with one value as one row.

    None has both weeks to `newest` and weeks after it.
    """
    store, dept = (stated[name].to_numpy(np.int64) for name in ("store_id", "dept_id"))
    week, value = stated["week"].to_numpy("datetime64[D]"), stated["value"].to_numpy(np.float64)
    order = np.lexsort((week, dept, store))
    store, dept, week, value = store[order], dept[order], week[order], value[order]
    is_planned = week > newest.to_datetime64().astype("datetime64[D]")
    starts = np.ones(len(week), dtype=bool)
    starts[1:] = np.diff(week) != np.timedelta64(7, "D")
    for column in (store, dept, value, is_planned):
        starts[1:] |= column[1:] != column[:-1]
    first = np.flatnonzero(starts)
    last = np.append(first[1:], len(week)) - 1
    return pd.DataFrame(
        {
            "store_id": store[first],
            "dept_id": dept[first],
            "first_week": week[first].astype("datetime64[ns]"),
            "last_week": week[last].astype("datetime64[ns]"),
            "value": value[first],
            "is_planned": is_planned[first],
        }
    )


def _no_values() -> pd.DataFrame:
    weeks, keys = np.empty(0, "datetime64[ns]"), np.empty(0, np.int64)
    made = {"first_week": weeks, "last_week": weeks, "value": np.empty(0), "is_planned": np.empty(0, bool)}
    return pd.DataFrame({name: made.get(name, keys) for name in DRIVER_VALUES.names})
