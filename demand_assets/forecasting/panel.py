"""The dense panel: weeks x series matrices, so that every feature is array arithmetic."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.errors import SchemaError
from demand_assets.forecasting.absent import UNKNOWN, AbsentRows
from demand_assets.forecasting.drivers import Driver, DriverFrames, dense_drivers
from demand_assets.forecasting.weeks import WEEKS_PER_YEAR, add_weeks, week_number, weeks_between

COVARIATE_COLUMNS = ("temperature_f", "fuel_price", "cpi", "unemployment_pct")
# Series worked on at once: an origin of them takes about 0.1 GB. Walmart's 3,331 series are one block.
SERIES_PER_BLOCK = 32_768
# Columns of sales that a panel needs.
SALES_COLUMNS = ("store_id", "dept_id", "week", "sales")
MARKDOWN_COLUMNS = tuple(f"markdown{number}" for number in range(1, 6))


@dataclass(frozen=True, eq=False)
class Panel:
    """T contiguous weeks x S series (store x dept), and what is known of the stores.

    `sales` (T, S) is in the unit of sales, NaN where they are unknown. `covariates` name -> (T, stores). `is_holiday`
    (T + horizon, stores) runs past the last week: a calendar is known ahead. `calendar` has the names of its holidays.
    `series` has S rows: store_id, dept_id, and `store`/`dept`, their positions in `stores` and among departments.
    `has_row` (T, S) says where sales are those of a row; None where all known sales are. `drivers` reach past the last
    week by the horizon too; those of series have S columns.
    """

    weeks: pd.DatetimeIndex
    sales: NDArray[np.float64]
    series: pd.DataFrame
    stores: pd.DataFrame
    covariates: dict[str, NDArray[np.float64]]
    is_holiday: NDArray[np.bool_]
    calendar: pd.DataFrame
    has_row: NDArray[np.bool_] | None = None
    drivers: tuple[Driver, ...] = ()

    @property
    def departments(self) -> int:
        """Number of distinct departments."""
        return int(self.series["dept"].max()) + 1

    def of(self, columns: NDArray[np.int64]) -> "Panel":
        """The panel of some of its series, in the order given; the stores stay as they are."""
        series = self.series.iloc[columns].reset_index(drop=True)
        series["dept"] = np.unique(series["dept"], return_inverse=True)[1]
        has_row = None if self.has_row is None else self.has_row[:, columns]
        drivers = tuple(driver.of(columns) for driver in self.drivers)
        return replace(self, sales=self.sales[:, columns], series=series, has_row=has_row, drivers=drivers)

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
    absent: AbsentRows = UNKNOWN,
    drivers: DriverFrames | None = None,
) -> Panel:
    """The panel of sales, covariates, stores and calendar frames; covariates after the last sales week are left out.

    Covariates and stores may lack columns: their values are unknown then. The holiday flag of a store and week is that
    of the covariates, else that of the calendar, which is one of `calendar_of` and covers the horizon. Where `absent`
    says "zero" an absent row is 0 if the series had one in the 52 weeks before.
    SchemaError when there are no sales, a store is unknown or the calendar lacks a week.
    """
    if sales.empty:
        raise SchemaError("there are no sales to build a panel from; land a sales file first")
    at = week_number(pd.DatetimeIndex(sales["week"]))
    at -= at.min()
    weeks = weeks_between(sales["week"].iloc[at.argmin()], sales["week"].iloc[at.argmax()])
    stores = stores.sort_values("store_id", ignore_index=True)
    known = pd.Index(stores["store_id"])
    codes, column = _distinct_pairs(sales["store_id"].to_numpy(), sales["dept_id"].to_numpy())
    series = _series_of(codes, known)
    matrix = np.full((len(weeks), len(series)), np.nan)
    place = np.multiply(at, len(series), out=at)
    matrix.ravel()[np.add(place, column, out=place)] = sales["sales"].to_numpy()
    has_row = _filled(matrix, weeks, series["store_id"].to_numpy(), absent)
    _censor(matrix, weeks, series, absent.out_of_stock)

    ahead = weeks_between(weeks[0], add_weeks(weeks[-1], horizon_weeks))
    by_store = _ByStore.of(covariates, ahead, known)
    by_name = {
        name: by_store.matrix(name, np.full((len(ahead), len(stores)), np.nan))[: len(weeks)]
        for name in (*COVARIATE_COLUMNS, *MARKDOWN_COLUMNS)
    }
    chain = np.repeat(_flags(calendar, ahead)[:, None], len(stores), axis=1)
    is_holiday = by_store.matrix("is_holiday", chain)
    held = () if drivers is None else tuple(dense_drivers(drivers, ahead, known, series, WEEKS_PER_YEAR))
    return Panel(weeks, matrix, series, stores, by_name, is_holiday, calendar, has_row, held)


def _series_of(codes: tuple[NDArray[np.int64], NDArray[np.int64]], known: "pd.Index[int]") -> pd.DataFrame:
    """The series table of a panel, from the store and department of each; SchemaError for a store not `known`."""
    series = pd.DataFrame(
        {name: ids.astype(np.int32) for name, ids in zip(("store_id", "dept_id"), codes, strict=True)}
    )
    series["store"] = known.get_indexer(pd.Index(series["store_id"]))
    if (series["store"] < 0).any():
        missing = series.loc[series["store"] < 0, "store_id"].iloc[0]
        raise SchemaError(f"store {missing} has sales but is not in stores; land a stores file that has it")
    series["dept"] = np.unique(series["dept_id"], return_inverse=True)[1]
    return series


def _filled(
    matrix: NDArray[np.float64], weeks: pd.DatetimeIndex, stores: NDArray[np.integer[Any]], absent: AbsentRows
) -> NDArray[np.bool_] | None:
    """Make closed weeks of (T, S) sales NaN and absent rows 0, in place; where the rows are, None for all known sales.

    A row of any of the 52 weeks before says that the series lives: later ones are not known yet.
    """
    if absent.closed is not None:
        ids, place = np.unique(stores, return_inverse=True)
        shut = np.column_stack([absent.shut(weeks, np.full(len(weeks), one)) for one in ids])
        matrix[shut[:, place]] = np.nan
    if absent.missing == "unknown":
        return None
    has_row = ~np.isnan(matrix)
    row = np.arange(len(weeks), dtype=np.int32)[:, None]
    newest = np.maximum.accumulate(np.where(has_row, row, -WEEKS_PER_YEAR - 1), axis=0)
    nothing = np.zeros_like(has_row)
    nothing[1:] = ~has_row[1:] & (row[1:] - newest[:-1] <= WEEKS_PER_YEAR)
    if absent.closed is not None:
        nothing &= ~shut[:, place]
    matrix[nothing] = 0.0
    return has_row


def _censor(
    matrix: NDArray[np.float64], weeks: pd.DatetimeIndex, series: pd.DataFrame, out_of_stock: pd.DataFrame | None
) -> None:
    """Make (T, S) sales NaN in place where a series was out of stock: more was asked for than was sold."""
    if out_of_stock is None:
        return
    ids = ["store_id", "dept_id"]
    row = week_number(pd.DatetimeIndex(out_of_stock["week"])) - week_number(weeks[:1])[0]
    column = pd.MultiIndex.from_frame(series[ids]).get_indexer(pd.MultiIndex.from_frame(out_of_stock[ids]))
    there = (row >= 0) & (row < len(weeks)) & (column >= 0)
    matrix[row[there], column[there]] = np.nan


def _flags(calendar: pd.DataFrame, weeks: pd.DatetimeIndex) -> NDArray[np.bool_]:
    """(n,) the chain's flags of the weeks; SchemaError when the calendar lacks one."""
    flags = calendar.set_index("week")["is_holiday"].reindex(weeks)
    if flags.isna().any():
        raise SchemaError(f"the holiday calendar lacks week {weeks[flags.isna()][0]:%Y-%m-%d}; make it anew")
    return flags.to_numpy(dtype=bool)


@dataclass(frozen=True, eq=False)
class _ByStore:
    """Rows of a frame by week and store, with the place of each in a matrix of them."""

    frame: pd.DataFrame
    row: NDArray[np.int64]
    column: NDArray[np.int64]

    @classmethod
    def of(cls, frame: pd.DataFrame, weeks: pd.DatetimeIndex, stores: "pd.Index[int]") -> "_ByStore":
        """The rows of known weeks and stores."""
        frame = frame[frame["week"].between(weeks[0], weeks[-1]) & frame["store_id"].isin(stores)]
        row = week_number(pd.DatetimeIndex(frame["week"])) - week_number(weeks[:1])[0]
        return cls(frame, row, stores.get_indexer(pd.Index(frame["store_id"])))

    def matrix(self, name: str, values: NDArray[Any]) -> NDArray[Any]:
        """(T, stores) `values`, with those of a column where it has any."""
        if name in self.frame.columns:
            held = self.frame[name].notna().to_numpy()
            values[self.row[held], self.column[held]] = self.frame[name].to_numpy()[held]
        return values


def _distinct_pairs(
    first: NDArray[np.integer[Any]], second: NDArray[np.integer[Any]]
) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64]]:
    """The distinct pairs of two (n,) ids >= 0, in order, and the place of each row's among them."""
    width = int(second.max()) + 1
    place, pairs = pd.factorize(first.astype(np.int64) * width + second, sort=True)
    return np.divmod(pairs, width), place
