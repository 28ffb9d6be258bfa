"""Weeks whose demand the rows of sales do not tell: without a row, with a closed store, or out of stock."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.forecasting.weeks import week_number

Missing = Literal["zero", "unknown"]


@dataclass(frozen=True, eq=False)
class AbsentRows:
    """`missing` says what an absent row means; `closed` [week, store_id] when stores were shut, NA for the whole chain.

    `out_of_stock` [week, store_id, dept_id] are the weeks in which a series could not sell all that was asked for.
    Demand of a closed week, and of one out of stock, is unknown, whatever `missing` and the row of sales say.
    """

    missing: Missing = "unknown"
    closed: pd.DataFrame | None = None
    out_of_stock: pd.DataFrame | None = None

    def ran_out(
        self, weeks: pd.DatetimeIndex, stores: NDArray[np.integer[Any]], depts: NDArray[np.integer[Any]]
    ) -> NDArray[np.bool_]:
        """(n,) whether the series was out of stock in the week, of (n,) weeks, store and department ids."""
        out = self.out_of_stock
        if out is None or out.empty:
            return np.zeros(len(weeks), dtype=np.bool_)
        held = series_week(out["store_id"].to_numpy(), out["dept_id"].to_numpy(), pd.DatetimeIndex(out["week"]))
        return np.isin(series_week(stores, depts, weeks), held)

    def shut(self, weeks: pd.DatetimeIndex, stores: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """(n,) whether the store was shut in the week, of (n,) weeks and store ids."""
        found = np.zeros(len(weeks), dtype=np.bool_)
        if self.closed is None or self.closed.empty:
            return found
        near = np.flatnonzero(weeks.isin(self.closed["week"]))
        chain = self.closed["store_id"].isna()
        pairs = pd.MultiIndex.from_frame(self.closed.loc[~chain, ["week", "store_id"]].astype({"store_id": np.int64}))
        own = pd.MultiIndex.from_arrays([weeks[near], stores[near].astype(np.int64)])
        found[near] = weeks[near].isin(self.closed.loc[chain, "week"]) | own.isin(pairs)
        return found

    def stores_shut(self, week: pd.Timestamp) -> list[int]:
        """Ids of the stores that are named as shut in the week."""
        if self.closed is None:
            return []
        return [int(store) for store in self.closed.loc[self.closed["week"] == week, "store_id"].dropna()]

    def sold_nothing(
        self, weeks: pd.DatetimeIndex, stores: NDArray[np.integer[Any]], newest: pd.Timestamp
    ) -> NDArray[np.bool_]:
        """(n,) whether an absent row of the store and week means no sales; weeks after the `newest` are to come."""
        if self.missing == "unknown":
            return np.zeros(len(weeks), dtype=np.bool_)
        return (weeks <= newest) & ~self.shut(weeks, stores)


def series_week(
    stores: NDArray[np.integer[Any]], depts: NDArray[np.integer[Any]], weeks: pd.DatetimeIndex
) -> NDArray[np.int64]:
    """(n,) one integer for each store, department and week: a sorted search takes a tenth of a merge's memory."""
    return stores.astype(np.int64) << 40 | depts.astype(np.int64) << 20 | week_number(weeks)


UNKNOWN = AbsentRows()
