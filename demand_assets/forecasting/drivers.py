"""Drivers: covariates that are known ahead and may move a forecast, such as a price, a promotion, a planned opening."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, eq=False)
class DriverFrames:
    """What the lake holds of the drivers `names`; a week is named by the day that ends it, NaN is not stated.

    `of_stores`: [store_id, week, NAME...] and `of_series`: [store_id, dept_id, week, NAME...], the values of weeks that
    have ended; a driver is a column of one of them. `plans`: [origin_week, store_id, dept_id, week, NAME...], what was
    planned at an origin for weeks after it; `dept_id` is `totals.ALL` where a value is that of the whole store. At an
    origin without plans the values themselves count as what was planned.
    """

    names: tuple[str, ...]
    of_stores: pd.DataFrame
    of_series: pd.DataFrame
    plans: pd.DataFrame
