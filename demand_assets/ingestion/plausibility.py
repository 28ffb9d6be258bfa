"""Checks of sales against their past, the other files, and the weeks around them. Pure and vectorised.

Frames are as `structure.coerce_dtypes` gives them: sorted by week, store and department.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.ingestion.order import run_starts
from demand_assets.ingestion.outcome import FIRST_ROWS, CheckOutcome, CheckSpec, count, first_of, first_rows, judge
from demand_assets.ingestion.structure import differs_from_its_week

FACTOR = 20.0
PAST_WEEKS = 8
# Stores x departments of which a number each is kept without a thought.
_SMALL_GRID = 1 << 22
# A series that sold next to nothing may jump by any factor: below this its past counts as this much.
FLOOR = 1_000.0
STORE_SERIES = 5
COUNT_WEEKS_NEEDED, COUNT_WEEKS = 4, 8
COUNT_LOW, COUNT_HIGH = 0.7, 1.3
_WEEK = pd.Timedelta(weeks=1)


def week_slices(frame: pd.DataFrame) -> dict[pd.Timestamp, slice]:
    """The rows of each week of a frame that is sorted by week, in order; rows without a date are in none."""
    if frame.empty:
        return {}
    weeks = frame["week"].to_numpy()
    starts = run_starts([weeks])
    ends = [*starts[1:].tolist(), len(weeks)]
    return {
        week: slice(start, end)
        for week, start, end in zip(pd.DatetimeIndex(weeks[starts]), starts.tolist(), ends, strict=True)
        if not pd.isna(week)
    }


def before(history: pd.DataFrame, sales: pd.DataFrame) -> dict[pd.Timestamp, slice]:
    """The weeks of `history` that `sales` does not bring anew and that start before its last week."""
    brought = week_slices(sales)
    if not brought:
        return {}
    last = max(brought)
    return {week: rows for week, rows in week_slices(history).items() if week < last and week not in brought}


def sales_are_within_20x_of_their_past(spec: CheckSpec, sales: pd.DataFrame, history: pd.DataFrame) -> CheckOutcome:
    """No series, and no store's typical series, is beyond 20x of what it sold in the weeks before.

    For rows whose series has at least 8 earlier weeks: (a) |amount| is at most 20 x max(1,000, the largest |amount|
    of any earlier week); (b) per store and week with at least 5 such rows, the median of |amount| / mean earlier
    |amount| lies within 1/20 and 20, which finds amounts in a wrong unit, too large or too small.
    """
    stores, usd = sales["store_id"].to_numpy(), sales["sales"].to_numpy()
    over, off = np.zeros(len(sales), dtype=bool), np.zeros(len(sales), dtype=bool)
    rows_judged, store_weeks_off, largest = 0, 0, 0.0
    levels, levels_off = [], []
    shown: dict[str, list[float]] = {"largest_before": [], "times_its_past": [], "store_level": []}
    # Week by week, with what each series sold until then: the memory is that of one week, however long the history.
    for rows, weeks, most, mean in pasts(sales, history):
        judged = weeks >= PAST_WEEKS
        if not judged.any():
            continue
        rows_judged += int(judged.sum())
        amount = np.abs(usd[rows])
        ratio = np.where(judged, amount / np.maximum(most, FLOOR), 0.0)
        over[rows] = ratio > FACTOR
        largest = max(largest, float(np.nanmax(ratio, initial=0.0)))

        usable = judged & (mean > 0) & np.isfinite(amount)
        level = np.divide(amount, mean, out=np.full(len(amount), np.nan), where=usable)
        starts = run_starts([stores[rows]])
        sizes = np.diff(starts, append=len(amount))
        by_store = pd.Series(level).groupby(np.repeat(np.arange(len(sizes)), sizes))
        medians = by_store.median().to_numpy()
        enough = by_store.count().to_numpy() >= STORE_SERIES
        strange = enough & ((medians > FACTOR) | (medians < 1 / FACTOR))
        levels.append(medians[enough])
        levels_off.append(medians[strange])
        store_weeks_off += int(strange.sum())
        off[rows] = usable & np.repeat(strange, sizes)
        for at in first_rows(over[rows] | off[rows])[: FIRST_ROWS - len(shown["store_level"])]:
            shown["largest_before"].append(most[at])
            shown["times_its_past"].append(ratio[at])
            shown["store_level"].append(float(np.repeat(medians, sizes)[at]))

    faults = []
    if over.any():
        faults.append(
            f"{count(int(over.sum()), 'row')} over {FACTOR:.0f}x their series' past, "
            f"largest {largest:,.0f}x, first {first_of(sales, over)}"
        )
    if off.any():
        strange_levels = np.concatenate(levels_off)
        faults.append(
            f"{count(store_weeks_off, 'store-week')} at {strange_levels.min():,.4g}x to {strange_levels.max():,.4g}x "
            f"their usual level, first {first_of(sales[['store_id', 'week']], off)}"
        )
    usual = np.concatenate(levels) if levels else np.empty(0)
    fine = f"{count(rows_judged, 'row')} judged, largest {largest:,.1f}x of its past"
    return judge(
        spec,
        sales,
        over | off,
        fine=fine if rows_judged else f"no series with {PAST_WEEKS} earlier weeks yet: nothing to compare",
        fault="; ".join(faults) + "; are the amounts in the usual unit?",
        metrics={
            "rows": len(sales),
            "rows_judged": rows_judged,
            "rows_over": int(over.sum()),
            "largest_ratio": largest,
            "store_weeks_off": store_weeks_off,
            "store_level_lowest": float(usual.min()) if len(usual) else 1.0,
            "store_level_highest": float(usual.max()) if len(usual) else 1.0,
            "floor": FLOOR,
        },
        beside={name: np.asarray(values, dtype=float) for name, values in shown.items()},
    )


def pasts(
    sales: pd.DataFrame, history: pd.DataFrame
) -> Iterator[tuple[slice, NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]]:
    """For each week of sales, its rows, and for every row over the earlier weeks of its series: their number, and the
    largest and the mean |amount|; 0 where there are none.
    """
    own, earlier = week_slices(sales), before(history, sales)
    number = _series_numbers([sales, history] if earlier else [sales])
    weeks = np.zeros(number.count, dtype=np.int64)
    largest, total = np.zeros(number.count), np.zeros(number.count)
    for week in sorted({*own, *earlier}):
        frame, rows = (sales, own[week]) if week in own else (history, earlier[week])
        series = number.of(frame, rows)
        if frame is sales:
            seen = weeks[series]
            yield rows, seen, largest[series], total[series] / np.maximum(seen, 1)
        amount = np.abs(frame["sales"].to_numpy()[rows])
        # Amounts that are no number have a check of their own; here they would only hide what they are next to.
        amount = np.where(np.isfinite(amount), amount, 0.0)
        # A key twice in a week counts once, with its larger amount.
        first = run_starts([series])
        if len(first) < len(series):
            series, amount = series[first], np.maximum.reduceat(amount, first)
        weeks[series] += 1
        largest[series] = np.maximum(largest[series], amount)
        total[series] += amount


@dataclass(frozen=True)
class _SeriesNumbers:
    """A number below `count` for every series: its place in the grid of stores x departments, or among its keys."""

    count: int
    first_store: int
    first_dept: int
    depts: int
    keys: NDArray[np.int64] | None

    def of(self, frame: pd.DataFrame, rows: slice) -> NDArray[np.int64]:
        """The numbers of the series of these rows."""
        if self.keys is not None:
            return np.asarray(np.searchsorted(self.keys, _key(frame, rows)), dtype=np.int64)
        store = frame["store_id"].to_numpy()[rows].astype(np.int64)
        dept = frame["dept_id"].to_numpy()[rows].astype(np.int64)
        numbers: NDArray[np.int64] = (store - self.first_store) * self.depts + (dept - self.first_dept)
        return numbers


def _series_numbers(frames: Sequence[pd.DataFrame]) -> _SeriesNumbers:
    ids = {name: [frame[name].to_numpy() for frame in frames] for name in ("store_id", "dept_id")}
    low = {name: min(int(values.min()) for values in arrays) for name, arrays in ids.items()}
    span = {name: max(int(values.max()) for values in arrays) - low[name] + 1 for name, arrays in ids.items()}
    grid = span["store_id"] * span["dept_id"]
    if grid <= max(_SMALL_GRID, sum(map(len, frames))):
        return _SeriesNumbers(grid, low["store_id"], low["dept_id"], span["dept_id"], None)
    keys = np.unique(np.concatenate([_key(frame, slice(None)) for frame in frames]))
    return _SeriesNumbers(len(keys), 0, 0, 0, keys)


def _key(frame: pd.DataFrame, rows: slice) -> NDArray[np.int64]:
    store = frame["store_id"].to_numpy()[rows].astype(np.int64)
    return store << 32 | frame["dept_id"].to_numpy()[rows].astype(np.int64) & 0xFFFFFFFF


def holiday_flags_agree(spec: CheckSpec, sales: pd.DataFrame, conditions: pd.DataFrame) -> CheckOutcome:
    """One holiday flag per week in all rows of sales, and the same one in conditions for the same store and week."""
    keys = ["store_id", "week"]
    told = conditions.drop_duplicates(keys)[[*keys, "is_holiday"]].rename(columns={"is_holiday": "conditions_flag"})
    # One look-up per store and week, whose rows lie together.
    starts = run_starts([sales["week"].to_numpy(), sales["store_id"].to_numpy()])
    sizes = np.diff(starts, append=len(sales))
    found = sales[keys].iloc[starts].merge(told, on=keys, how="left")["conditions_flag"]
    flagged, known = found.eq(True).to_numpy(), found.notna().to_numpy()
    against = np.repeat(known, sizes) & (np.repeat(flagged, sizes) != sales["is_holiday"].to_numpy())
    odd, weeks, holidays = differs_from_its_week(sales)
    wrong = against | odd
    shown = np.searchsorted(starts, first_rows(wrong), side="right") - 1
    return judge(
        spec,
        sales,
        wrong,
        fine=f"{count(weeks, 'week')}, {holidays} of them holidays, the same in both files",
        fault=f"{count(int(against.sum()), 'row')} with another holiday flag than conditions have, {int(odd.sum()):,} "
        f"with another than their week's, first {first_of(sales, wrong)}; expected one flag per week",
        metrics={
            "rows": len(sales),
            "rows_compared": int(sizes[known].sum()),
            "rows_against_conditions": int(against.sum()),
            "rows_against_their_week": int(odd.sum()),
            "holiday_weeks": holidays,
        },
        beside={"conditions_flag": found.to_numpy(dtype=object)[shown]},
    )


def row_count_is_in_band(spec: CheckSpec, sales: pd.DataFrame, history: pd.DataFrame) -> CheckOutcome:
    """Each week has 70% to 130% of the median row count of the up to 8 stored weeks before; the first 4 are exempt."""
    own = week_slices(sales)
    rows = {week: at.stop - at.start for week, at in {**before(history, sales), **own}.items()}
    counts = pd.Series(rows, index=pd.DatetimeIndex(list(rows)), dtype="int64").sort_index()
    median = counts.rolling(COUNT_WEEKS, min_periods=COUNT_WEEKS_NEEDED).median().shift()
    weeks = pd.DataFrame({"week": counts.index, "rows": counts.to_numpy(), "median_before": median.to_numpy()})
    weeks["share"] = weeks["rows"] / weeks["median_before"]
    weeks = weeks[weeks["week"].isin(list(own))].reset_index(drop=True)
    share = weeks["share"].to_numpy()
    wrong = (share < COUNT_LOW) | (share > COUNT_HIGH)
    judged = share[~np.isnan(share)]
    worst = weeks.iloc[int(np.argmax(wrong))] if wrong.any() else None
    example = (
        ""
        if worst is None
        else (f"first {worst['week']:%Y-%m-%d} with {worst['rows']:,.0f} against {worst['median_before']:,.0f}")
    )
    span = f"{judged.min():.0%} to {judged.max():.0%}" if len(judged) else "too few weeks to compare"
    return judge(
        spec,
        weeks,
        wrong,
        fine=f"{count(len(judged), 'week')} judged, rows per week against the {COUNT_WEEKS} before: {span}",
        fault=f"{count(int(wrong.sum()), 'week')} outside {COUNT_LOW:.0%} to {COUNT_HIGH:.0%} of the usual row count, "
        f"{example}; is the delivery whole?",
        metrics={
            "weeks": len(weeks),
            "weeks_judged": len(judged),
            "weeks_out_of_band": int(wrong.sum()),
            "lowest_share": float(judged.min()) if len(judged) else 1.0,
            "highest_share": float(judged.max()) if len(judged) else 1.0,
        },
    )


def no_week_is_missing(spec: CheckSpec, sales: pd.DataFrame, history: pd.DataFrame) -> CheckOutcome:
    """Every Friday from the first stored week to the last of `sales` has rows."""
    weeks = pd.DatetimeIndex([*before(history, sales), *week_slices(sales)])
    weeks = weeks[weeks.dayofweek == 4].sort_values()
    expected = pd.date_range(weeks[0], weeks[-1], freq=_WEEK) if len(weeks) else weeks
    gaps = pd.DataFrame({"week": expected.difference(weeks)})
    span = f"{weeks[0]:%Y-%m-%d} to {weeks[-1]:%Y-%m-%d}" if len(weeks) else "no weeks"
    return CheckOutcome(
        spec.name,
        gaps.empty,
        spec.severity,
        f"{count(len(weeks), 'week')} without a gap, {span}"
        if gaps.empty
        else f"{count(len(gaps), 'week')} missing, first {gaps['week'].iloc[0]:%Y-%m-%d}, in {span}; land them",
        {"weeks": len(weeks), "weeks_missing": len(gaps)},
        gaps.head(FIRST_ROWS),
    )


def conditions_cover_the_stores_that_sell(
    spec: CheckSpec, sales: pd.DataFrame, conditions: pd.DataFrame
) -> CheckOutcome:
    """Every store and week with sales has a row of conditions."""
    keys = ["store_id", "week"]
    starts = run_starts([sales["week"].to_numpy(), sales["store_id"].to_numpy()])
    pairs = sales[keys].iloc[starts].reset_index(drop=True)
    found = pairs.merge(conditions[keys].drop_duplicates(), on=keys, how="left", indicator=True)
    wrong = (found["_merge"] == "left_only").to_numpy()
    missing = int(wrong.sum())
    return judge(
        spec,
        pairs,
        wrong,
        fine=f"{count(len(pairs), 'store-week')} with sales, all with conditions",
        fault=f"{missing:,} of {count(len(pairs), 'store-week')} with sales have no conditions, "
        f"first {first_of(pairs, wrong)}; land a features.csv that covers them",
        metrics={"store_weeks": len(pairs), "store_weeks_without_conditions": missing},
    )


def negative_sales_are_returns(spec: CheckSpec, sales: pd.DataFrame) -> CheckOutcome:
    """Negative amounts are returns: kept, counted, and shown."""
    wrong = (sales["sales"] < 0).to_numpy()
    amounts = sales["sales"].to_numpy()[wrong]
    usd = float(amounts[np.isfinite(amounts)].sum())
    rows = int(wrong.sum())
    return judge(
        spec,
        sales,
        wrong,
        fine=f"{count(len(sales), 'row')}, none negative",
        fault=f"{rows:,} of {count(len(sales), 'row')} negative, {usd:,.2f} together, "
        f"first {first_of(sales, wrong)}; kept as returns",
        metrics={"rows": len(sales), "negative_rows": rows, "negative": usd},
    )
