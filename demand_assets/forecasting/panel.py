"""The dense panel: weeks x series matrices, so that every feature is array arithmetic."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.errors import SchemaError
from demand_assets.forecasting.calendar import extend_calendar
from demand_assets.forecasting.weeks import add_weeks, week_number, weeks_between

COVARIATE_COLUMNS = ("temperature_f", "fuel_price", "cpi", "unemployment_pct")
# Series worked on at once: an origin of them takes about 0.1 GB. Walmart's 3,331 series are one block.
SERIES_PER_BLOCK = 32_768
# Columns of sales that a panel needs.
SALES_COLUMNS = ("store_id", "dept_id", "week", "sales")
MARKDOWN_COLUMNS = tuple(f"markdown{number}" for number in range(1, 6))


@dataclass(frozen=True, eq=False)
class Panel:
    """T contiguous weeks x S series (store x dept), and what is known of the stores.

    `sales` (T, S) is in the unit of sales, NaN where there is no row. `covariates` name -> (T, stores). `is_holiday`
    (T + horizon,) runs past the last week: a calendar is known ahead. `series` has S rows: store_id, dept_id, and
    `store`/`dept`, their positions in `stores` and among departments.
    """

    weeks: pd.DatetimeIndex
    sales: NDArray[np.float64]
    series: pd.DataFrame
    stores: pd.DataFrame
    covariates: dict[str, NDArray[np.float64]]
    is_holiday: NDArray[np.bool_]

    @property
    def departments(self) -> int:
        """Number of distinct departments."""
        return int(self.series["dept"].max()) + 1

    def of(self, columns: NDArray[np.int64]) -> "Panel":
        """The panel of some of its series, in the order given; the stores stay as they are."""
        series = self.series.iloc[columns].reset_index(drop=True)
        series["dept"] = np.unique(series["dept"], return_inverse=True)[1]
        return replace(self, sales=self.sales[:, columns], series=series)

    def position(self, weeks: pd.DatetimeIndex) -> NDArray[np.int64]:
        """Row of each week; may lie outside 0..T-1."""
        return week_number(weeks) - week_number(self.weeks[:1])[0]

    def flagged_weeks(self) -> pd.DatetimeIndex:
        """The weeks of `is_holiday`."""
        return weeks_between(self.weeks[0], add_weeks(self.weeks[0], len(self.is_holiday) - 1))


def department_blocks(dept: NDArray[np.int64], series_per_block: int) -> list[NDArray[np.int64]]:
    """Places of the series, in blocks of whole departments, each of at least `series_per_block` but the last.

    `dept` (S,) numbers the departments 0..D-1. ValueError when a block is to have less than one series.
    """
    if series_per_block < 1:
        raise ValueError(f"a block has at least one series, got {series_per_block}")
    sizes = np.bincount(dept)
    # A department goes into the block in which its first series would be.
    number = ((np.cumsum(sizes) - sizes) // series_per_block)[dept]
    return [np.flatnonzero(number == block) for block in np.unique(number)]


def build_panel(
    sales: pd.DataFrame,
    covariates: pd.DataFrame,
    stores: pd.DataFrame,
    calendar: pd.DataFrame,
    horizon_weeks: int,
) -> Panel:
    """The panel of sales, covariates, stores and calendar frames; covariates after the last sales week are left out.

    SchemaError when there are no sales or a store is unknown.
    """
    if sales.empty:
        raise SchemaError("there are no sales to build a panel from; land a sales file first")
    at = week_number(pd.DatetimeIndex(sales["week"]))
    at -= at.min()
    weeks = weeks_between(sales["week"].iloc[at.argmin()], sales["week"].iloc[at.argmax()])
    stores = stores.sort_values("store_id", ignore_index=True)
    known = pd.Index(stores["store_id"])
    codes, column = _distinct_pairs(sales["store_id"].to_numpy(), sales["dept_id"].to_numpy())
    series = pd.DataFrame(
        {name: ids.astype(np.int32) for name, ids in zip(("store_id", "dept_id"), codes, strict=True)}
    )
    series["store"] = known.get_indexer(pd.Index(series["store_id"]))
    if (series["store"] < 0).any():
        missing = series.loc[series["store"] < 0, "store_id"].iloc[0]
        raise SchemaError(f"store {missing} has sales but is not in stores; land a stores file that has it")
    series["dept"] = np.unique(series["dept_id"], return_inverse=True)[1]
    matrix = np.full((len(weeks), len(series)), np.nan)
    place = np.multiply(at, len(series), out=at)
    matrix.ravel()[np.add(place, column, out=place)] = sales["sales"].to_numpy()

    covariates = covariates[covariates["week"].between(weeks[0], weeks[-1])]
    row = week_number(pd.DatetimeIndex(covariates["week"])) - week_number(weeks[:1])[0]
    place = known.get_indexer(pd.Index(covariates["store_id"]))
    held = place >= 0
    by_name = {}
    for name in (*COVARIATE_COLUMNS, *MARKDOWN_COLUMNS):
        values = np.full((len(weeks), len(stores)), np.nan)
        values[row[held], place[held]] = covariates[name].to_numpy()[held]
        by_name[name] = values
    flags = extend_calendar(calendar, weeks[0], add_weeks(weeks[-1], horizon_weeks))["is_holiday"].to_numpy()
    return Panel(weeks, matrix, series, stores, by_name, flags)


def _distinct_pairs(
    first: NDArray[np.integer[Any]], second: NDArray[np.integer[Any]]
) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64]]:
    """The distinct pairs of two (n,) ids >= 0, in order, and the place of each row's among them."""
    width = int(second.max()) + 1
    place, pairs = pd.factorize(first.astype(np.int64) * width + second, sort=True)
    return np.divmod(pairs, width), place
