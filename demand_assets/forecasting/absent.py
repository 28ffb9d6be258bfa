"""What a week without a row of a series means: that nothing was sold, or that nothing is known."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Missing = Literal["zero", "unknown"]


@dataclass(frozen=True, eq=False)
class AbsentRows:
    """`missing` says what an absent row means; `closed` [week, store_id] when stores were shut, NA for the whole chain.

    Sales of a closed week are unknown, whatever `missing` says.
    """

    missing: Missing = "unknown"
    closed: pd.DataFrame | None = None

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


UNKNOWN = AbsentRows()
