"""What has been delivered of the weeks after the newest sales: conditions for people, plans for forecasts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from demand_assets.contract.columns import SPANS_ALL
from demand_assets.forecasting.drivers import DriverFrames
from demand_assets.ingestion.columnwise import merge_columnwise
from demand_assets.ingestion.dataset import Covariate
from demand_assets.ingestion.delivery import KEYS, Delivery
from demand_assets.ingestion.mapping import columns_of_covariate
from demand_assets.ingestion.order import in_order
from demand_assets.ingestion.understanding import COVARIATES, Kind

PLAN_KEYS = ("origin_week", "store_id", "dept_id", "week")


@dataclass(frozen=True, eq=False)
class Ahead:
    """Rows of the weeks after the newest sales, of each key the newest; None without any.

    `conditions`: all covariates of stores. `plan`: [origin_week, store_id, dept_id, week, NAME...], sorted by these
    keys, with the columns that are known ahead; `dept_id` is `SPANS_ALL` for values of a whole store.
    """

    conditions: pd.DataFrame | None
    plan: pd.DataFrame | None


def weeks_ahead(deliveries: Sequence[Delivery], newest: str) -> Ahead:
    """What deliveries, keyed and in landing order, hold of the weeks after `newest`, the week of the newest sales."""
    origin = pd.Timestamp(newest).as_unit("ns")
    frames = {kind: _after(deliveries, kind, origin) for kind in COVARIATES}
    planned = list(dict.fromkeys(name for one in deliveries for name in one.known_ahead))
    parts = [_planned(frame, planned, origin) for frame in frames.values() if frame is not None]
    parts = [part for part in parts if len(part)]
    # A column is there if it is planned at all: at an origin without a plan of it values that came later count.
    plan = in_order(pd.concat(parts, ignore_index=True), PLAN_KEYS).dropna(axis="columns", how="all") if parts else None
    return Ahead(frames["covariates"], plan)


def _after(deliveries: Sequence[Delivery], kind: Kind, origin: pd.Timestamp) -> pd.DataFrame | None:
    own = [delivery for delivery in deliveries if delivery.kind == kind]
    later = sorted({week for delivery in own for week in delivery.weeks if week > origin})
    if not later:
        return None
    return merge_columnwise(None, {}, own, KEYS[kind], weeks=pd.DatetimeIndex(later, name="week")).frame


def _planned(frame: pd.DataFrame, planned: Sequence[str], origin: pd.Timestamp) -> pd.DataFrame:
    """The rows with a planned value, with the keys of a plan."""
    names = [name for name in planned if name in frame]
    stated = frame[frame[names].notna().any(axis="columns")] if names else frame.iloc[:0]
    dept = stated["dept_id"] if "dept_id" in stated else np.int32(SPANS_ALL)
    return stated.assign(origin_week=origin, dept_id=dept)[[*PLAN_KEYS, *names]]


def known_ahead(covariates: Iterable[Covariate], columns: Iterable[str]) -> list[str]:
    """Those of the columns of a table that hold a covariate that is known ahead, in the order of the covariates."""
    held = list(columns)
    names = [one.name for one in covariates if one.known_ahead]
    return list(dict.fromkeys(column for name in names for column in sorted(columns_of_covariate(name, held))))


def driver_frames_of(
    covariates: Sequence[Covariate], of_stores: pd.DataFrame, of_series: pd.DataFrame, plans: pd.DataFrame
) -> DriverFrames | None:
    """The drivers among rows of `raw_covariates`, `raw_series_covariates` and `plans_ahead`; None without any.

    A column that both levels have is that of series.
    """
    series = known_ahead(covariates, map(str, of_series.columns))
    planned = known_ahead(covariates, map(str, plans.columns))
    stores = [name for name in known_ahead(covariates, map(str, of_stores.columns)) if name not in series]
    names = tuple(dict.fromkeys([*stores, *series]))
    if not names:
        return None
    return DriverFrames(
        names,
        _columns(of_stores, ["store_id", "week", *stores]),
        _columns(of_series, ["store_id", "dept_id", "week", *series]),
        _columns(plans, [*PLAN_KEYS, *(name for name in names if name in planned)]).reindex(
            columns=["origin_week", "store_id", "dept_id", "week", *names]
        ),
    )


def _columns(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """These columns of a frame, or an empty frame of them."""
    if len(frame.columns):
        return frame[list(names)].reset_index(drop=True)
    weeks = {name: np.empty(0, "datetime64[ns]") for name in names if name in ("week", "origin_week")}
    keys = {name: np.empty(0, np.int32) for name in names if name in ("store_id", "dept_id")}
    return pd.DataFrame({name: weeks.get(name, keys.get(name, np.empty(0))) for name in names})
