"""What sales say of covariates: which stores sold, and which weeks they call holidays. Pure."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from demand_assets.forecasting.calendar import calendar_from_covariates
from demand_assets.ingestion.order import in_order, run_starts

_STORE_WEEK = ("week", "store_id")


def landed_flags(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """[week, is_holiday] of rows with both, the newest frame last; a week is a holiday if any of its rows says so."""
    flags = [calendar_from_covariates(frame) for frame in frames]
    return pd.concat(flags) if flags else pd.DataFrame({"week": pd.DatetimeIndex([]), "is_holiday": np.empty(0, bool)})


def with_selling_stores(
    covariates: pd.DataFrame, sold: Sequence[pd.DataFrame], weeks: pd.DatetimeIndex
) -> pd.DataFrame:
    """The covariates, and a row with the flag alone for each store that sold in one of `weeks` without having one.

    `sold` are frames of sales, sorted by week and store.
    """
    pairs = [_selling(frame, weeks) for frame in sold]
    pairs = [frame for frame in pairs if len(frame)]
    if not pairs:
        return covariates
    selling = pd.concat(pairs).drop_duplicates(list(_STORE_WEEK), keep="last")
    held = pd.MultiIndex.from_frame(covariates[list(_STORE_WEEK)])
    new = selling[~pd.MultiIndex.from_frame(selling[list(_STORE_WEEK)]).isin(held)]
    if new.empty:
        return covariates
    added = new.reindex(columns=covariates.columns).astype({"store_id": "int32", "is_holiday": bool})
    numbers = [name for name in covariates.columns if name not in ("store_id", "week", "is_holiday")]
    added = added.astype(dict.fromkeys(numbers, "float64"))
    return in_order(pd.concat([covariates, added], ignore_index=True) if len(covariates) else added, _STORE_WEEK)


def _selling(frame: pd.DataFrame, weeks: pd.DatetimeIndex) -> pd.DataFrame:
    """[week, store_id, is_holiday] once per store that sold in one of `weeks`."""
    starts = run_starts([frame["week"].to_numpy(), frame["store_id"].to_numpy()])
    rows = frame[["week", "store_id", "is_holiday"]].iloc[starts]
    return rows[rows["week"].isin(weeks)]


def with_values(covariates: pd.DataFrame) -> pd.DataFrame:
    """The rows that have a covariate beside the flag; none where no covariates have landed."""
    names = [name for name in covariates.columns if name not in ("store_id", "week", "is_holiday")]
    return covariates[covariates[names].notna().any(axis=1)] if names else covariates.iloc[:0]


def with_facts(stores: pd.DataFrame) -> pd.DataFrame:
    """The stores of which a file told something; none where no file of stores has landed."""
    facts = [name for name in stores.columns if name not in ("store_id", "id", "name")]
    return stores[stores[facts].notna().any(axis=1)] if facts else stores.iloc[:0]
