"""Deliveries -> the tables that they make together, as the lake would hold them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from demand_assets.errors import LandingError
from demand_assets.forecasting.calendar import calendar_of, calendar_span
from demand_assets.forecasting.drivers import DriverFrames
from demand_assets.ingestion.ahead import driver_frames_of
from demand_assets.ingestion.columnwise import merge_columnwise
from demand_assets.ingestion.coverage import landed_flags, with_selling_stores
from demand_assets.ingestion.dataset import Dataset
from demand_assets.ingestion.delivery import KEYS, MEMBERS, Delivery
from demand_assets.ingestion.ids import IdTexts
from demand_assets.ingestion.members import extended_keys, merge_members
from demand_assets.ingestion.merge import merge_table, with_same_columns
from demand_assets.ingestion.understanding import Kind


@dataclass(frozen=True, eq=False)
class Tables:
    """All landed rows; store_id and dept_id are keys, whose text ids are in `stores` and `departments`."""

    sales: pd.DataFrame
    covariates: pd.DataFrame
    stores: pd.DataFrame
    departments: pd.DataFrame
    calendar: pd.DataFrame
    of_series: pd.DataFrame | None = None
    drivers: DriverFrames | None = None

    @property
    def ids(self) -> IdTexts:
        """The text ids behind the keys."""
        return IdTexts(
            dict(zip(self.stores["store_id"].tolist(), self.stores["id"], strict=True)),
            dict(zip(self.departments["dept_id"].tolist(), self.departments["id"], strict=True)),
        )


def tables_of(deliveries: Sequence[Delivery], facts: Dataset) -> Tables:
    """The tables of deliveries in landing order. LandingError without any sales."""
    keys = {name: extended_keys(None, deliveries, name) for name in ("store_id", "dept_id")}
    keyed = [delivery.keyed(keys) for delivery in deliveries]
    by_kind: dict[Kind, list[Delivery]] = {kind: [] for kind in KEYS}
    for delivery in keyed:
        by_kind[delivery.kind].append(delivery)
    if not by_kind["sales"]:
        raise LandingError("no file holds sales; land one first")
    sales = _merged(by_kind["sales"])
    covariates = (
        _merged(by_kind["covariates"])
        if by_kind["covariates"]
        else sales.loc[:, ["store_id", "week", "is_holiday"]].iloc[:0]
    )
    covariates = with_selling_stores(covariates, [sales], pd.DatetimeIndex(sales["week"].unique()))
    members = {
        name: merge_members(column, None, (), by_kind[name], keys[column]).frame for name, column in MEMBERS.items()
    }
    calendar = calendar_with(landed_flags([sales, covariates], by_store=facts.holidays.by_store), facts)
    of_series = _of_series(by_kind["series_covariates"])
    drivers = None
    if facts.has_drivers:
        # Of one look at a zone: what is told of later weeks counts as planned at each origin.
        series = pd.DataFrame() if of_series is None else of_series
        drivers = driver_frames_of(facts.covariates, covariates, series, pd.DataFrame())
    return Tables(sales, covariates, members["stores"], members["departments"], calendar, of_series, drivers)


def _of_series(own: Sequence[Delivery]) -> pd.DataFrame | None:
    """The covariates of series of all weeks; None without any."""
    if not own:
        return None
    weeks = pd.DatetimeIndex(sorted({week for one in own for week in one.weeks}), name="week")
    return merge_columnwise(None, {}, own, KEYS["series_covariates"], weeks=weeks).frame


def calendar_with(flags: pd.DataFrame, facts: Dataset) -> pd.DataFrame:
    """The calendar around landed flags or a former calendar; see `calendar_of`."""
    landed = flags.loc[flags["is_landed"], "week"] if "is_landed" in flags else flags["week"]
    return calendar_of(flags, facts.rule, *calendar_span(landed.min(), landed.max()))


def _merged(own: Sequence[Delivery]) -> pd.DataFrame:
    nothing, aligned = with_same_columns(own[0].frame.iloc[:0], own)
    return merge_table(nothing, (), aligned, KEYS[own[0].kind]).frame
