"""What sales say of covariates: which stores sold, and which weeks they call holidays. Pure."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from demand_assets.ingestion.order import in_order, run_starts

_STORE_WEEK = ("week", "store_id")


def landed_flags(frames: Iterable[pd.DataFrame], *, by_store: bool = False) -> pd.DataFrame:
    """[week, is_holiday] of rows with both, the newest frame last: a week is what most of its stores say.

    Of each store the newest frame counts, there most of its rows, so that one wrong store or file flips no week. Where
    stores have holidays of their own (`by_store`), a week is a holiday if any of its rows says so.
    """
    votes = [_votes(frame, by_store) for frame in frames]
    if not votes:
        return pd.DataFrame({"week": pd.DatetimeIndex([]), "is_holiday": np.empty(0, bool)})
    newest = pd.concat(votes).drop_duplicates(list(_STORE_WEEK), keep="last")
    return _settled(newest.groupby("week")["is_holiday"].mean(), by_store).reset_index()


def _votes(frame: pd.DataFrame, by_store: bool) -> pd.DataFrame:
    """[week, store_id, is_holiday] once per store and week of a frame that is sorted by them."""
    if frame.empty:
        return frame[[*_STORE_WEEK, "is_holiday"]]
    starts = run_starts([frame["week"].to_numpy(), frame["store_id"].to_numpy()])
    rows = frame[list(_STORE_WEEK)].iloc[starts].reset_index(drop=True)
    raised = np.add.reduceat(frame["is_holiday"].to_numpy(dtype=bool), starts, dtype=np.int64)
    share = pd.Series(raised / np.diff(starts, append=len(frame)), index=rows.index)
    return rows.assign(is_holiday=_settled(share, by_store))


def _settled(share: "pd.Series[float]", by_store: bool) -> "pd.Series[bool]":
    return share > 0 if by_store else share > 0.5


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
