"""Checks of frames against each other: holiday flags, stores, covariates. Pure and vectorised.

Frames are as `structure.coerce_dtypes` gives them: sorted by week, then store.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.ingestion.context import Context
from demand_assets.ingestion.order import run_starts
from demand_assets.ingestion.outcome import (
    CheckOutcome,
    CheckSpec,
    count,
    first_of,
    first_rows,
    judge,
    plain,
    settle,
    some,
)

_KEYS = ["store_id", "week"]


def stores_are_known(spec: CheckSpec, frame: pd.DataFrame, known: NDArray[np.int64], context: Context) -> CheckOutcome:
    """Every store is among `known`, the stores of the stores table; without a table there is nothing to know."""
    ids = frame["store_id"].to_numpy()
    starts = run_starts([ids])
    # Of each stretch of rows of one store, not of each row.
    stretches = ids[starts]
    strange = ~np.isin(stretches, known) if len(known) else np.zeros(len(stretches), dtype=bool)
    wrong = np.repeat(strange, np.diff(starts, append=len(ids)))
    wrong, accepted = settle(spec, frame["week"].to_numpy(), wrong, context)
    unknown = np.unique(ids[wrong])
    named = some([plain(context.ids.store(store)) for store in unknown[:6]])
    rows = int(wrong.sum())
    stores = count(len(np.unique(stretches)), "store")
    return judge(
        spec,
        frame,
        wrong,
        context,
        fine=f"{stores}, all among the {len(known):,} known" if len(known) else f"{stores}; no stores table has landed",
        fault=f"{count(len(unknown), 'store')} without a row in the stores table ({named}), {count(rows, 'row')}, "
        f"first {first_of(frame, wrong, context.ids)}; {count(len(known), 'store')} known",
        metrics={"rows": len(frame), "rows_of_unknown_stores": rows, "known_stores": len(known)},
        accepted=accepted,
    )


def flags_agree_within_weeks(spec: CheckSpec, frame: pd.DataFrame, context: Context) -> CheckOutcome:
    """All rows of a week carry the same holiday flag; the rows in the minority are the failing ones."""
    if "is_holiday" not in frame:
        return CheckOutcome(spec.name, True, spec.severity, "no holiday flags", {"rows": len(frame)})
    wrong, weeks, holidays = differs_from_its_week(frame)
    if context.holidays_by_store:
        wrong = np.zeros(len(frame), dtype=bool)
    wrong, accepted = settle(spec, frame["week"].to_numpy(), wrong, context)
    rows = int(wrong.sum())
    every = "" if context.holidays_by_store else " in every row"
    return judge(
        spec,
        frame,
        wrong,
        context,
        fine=f"{count(weeks, 'week')}, {holidays} of them holidays{every}",
        fault=f"{count(rows, 'row')} with another holiday flag than most of their week, "
        f"first {first_of(frame, wrong, context.ids)}",
        metrics={"rows": len(frame), "rows_that_differ": rows, "holiday_weeks": holidays},
        accepted=accepted,
    )


def differs_from_its_week(frame: pd.DataFrame) -> tuple[NDArray[np.bool_], int, int]:
    """(n,) mask of the rows whose holiday flag is not the one most rows of their week carry; weeks; weeks with a flag.

    `frame` is sorted by week.
    """
    weeks, flags = frame["week"].to_numpy(), frame["is_holiday"].to_numpy()
    if not len(weeks):
        return np.zeros(0, dtype=bool), 0, 0
    starts = run_starts([weeks])
    sizes = np.diff(starts, append=len(weeks))
    raised = np.add.reduceat(flags, starts, dtype=np.int64)
    dated = ~np.isnat(weeks[starts])
    usual = (raised > sizes / 2) & dated
    return flags != np.repeat(usual, sizes), int(dated.sum()), int((dated & (raised > 0)).sum())


def holiday_flags_agree(
    spec: CheckSpec, sales: pd.DataFrame, covariates: pd.DataFrame, starts: NDArray[np.intp], context: Context
) -> CheckOutcome:
    """One holiday flag per week in all rows of sales, and the same one in covariates for the same store and week.

    `starts`: where the rows of each week and store begin.
    """
    if "is_holiday" not in sales:
        return CheckOutcome(spec.name, True, spec.severity, "no holiday flags in the sales", {"rows": len(sales)})
    sizes = np.diff(starts, append=len(sales))
    flags = sales["is_holiday"].to_numpy()
    found = _told(sales, covariates, starts)
    flagged, known = found.eq(True).to_numpy(), found.notna().to_numpy()
    against = np.repeat(known, sizes) & (np.repeat(flagged, sizes) != flags)
    odd, weeks, holidays = differs_from_its_week(sales)
    if context.holidays_by_store:
        odd = np.zeros(len(sales), dtype=bool)
    wrong, accepted = settle(spec, sales["week"].to_numpy(), against | odd, context)
    shown = np.searchsorted(starts, first_rows(wrong), side="right") - 1
    return judge(
        spec,
        sales,
        wrong,
        context,
        fine=f"{count(weeks, 'week')}, {holidays} of them holidays"
        + (", the same in both files" if known.any() else ""),
        fault=f"{count(int((against & wrong).sum()), 'row')} with another holiday flag than the covariates have, "
        f"{int((odd & wrong).sum()):,} with another than most of their week, "
        f"first {first_of(sales, wrong, context.ids)}",
        metrics={
            "rows": len(sales),
            "rows_compared": int(sizes[known].sum()),
            "rows_against_covariates": int(against.sum()),
            "rows_against_their_week": int(odd.sum()),
            "holiday_weeks": holidays,
        },
        beside={"covariates_flag": found.to_numpy(dtype=object)[shown]},
        accepted=accepted,
    )


def _told(sales: pd.DataFrame, covariates: pd.DataFrame, starts: NDArray[np.intp]) -> pd.Series[Any]:
    """The flag that covariates have for the week and store of each of `starts`, missing where they have none."""
    pairs = _store_weeks(sales, starts)
    if "is_holiday" not in covariates:
        return pd.Series(pd.NA, index=range(len(pairs)), dtype=object)
    told = covariates.drop_duplicates(_KEYS)[[*_KEYS, "is_holiday"]].rename(columns={"is_holiday": "covariates_flag"})
    return pairs.merge(told, on=_KEYS, how="left")["covariates_flag"]


def _store_weeks(sales: pd.DataFrame, starts: NDArray[np.intp]) -> pd.DataFrame:
    """[store_id, week] of the rows at these positions; no other row is copied."""
    return pd.DataFrame({key: sales[key].to_numpy()[starts] for key in _KEYS})


def covariates_cover_the_stores_that_sell(
    spec: CheckSpec, sales: pd.DataFrame, covariates: pd.DataFrame, starts: NDArray[np.intp], context: Context
) -> CheckOutcome:
    """Every store and week with sales has a row of covariates, once covariates have landed."""
    pairs = _store_weeks(sales, starts)
    if covariates.empty:
        fine = f"{count(len(pairs), 'store-week')} with sales; no covariates have landed"
        return CheckOutcome(spec.name, True, spec.severity, fine, {"store_weeks": len(pairs)})
    found = pairs.merge(covariates[_KEYS].drop_duplicates(), on=_KEYS, how="left", indicator=True)
    wrong, accepted = settle(spec, pairs["week"].to_numpy(), (found["_merge"] == "left_only").to_numpy(), context)
    missing = int(wrong.sum())
    stores = pairs["store_id"][wrong].unique()
    named = some([plain(context.ids.store(store)) for store in stores[:6]])
    return judge(
        spec,
        pairs,
        wrong,
        context,
        fine=f"{count(len(pairs), 'store-week')} with sales, all with covariates",
        fault=f"{missing:,} of {count(len(pairs), 'store-week')} with sales have no covariates, "
        f"of {count(len(stores), 'store')} ({named}), first {first_of(pairs, wrong, context.ids)}",
        metrics={"store_weeks": len(pairs), "store_weeks_without_covariates": missing},
        accepted=accepted,
    )
