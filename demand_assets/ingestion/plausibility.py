"""Checks of amounts against what the series, its store, its department and the chain sold. Pure and vectorised.

Frames are as `structure.coerce_dtypes` gives them: sorted by week, store and department.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.ingestion.context import Context
from demand_assets.ingestion.order import run_starts
from demand_assets.ingestion.outcome import (
    FIRST_ROWS,
    CheckOutcome,
    CheckSpec,
    count,
    first_of,
    first_rows,
    judge,
    settle,
)

FACTOR = 20.0
# What no promotion, opening or change of unit explains.
ABSURD = 1_000.0
PAST_WEEKS = 8
STORE_SERIES = 5
# Rows of a week from which its typical amount is taken.
_SAMPLE = 509
# Weeks from which the chain's typical amount is taken.
_SAMPLED_WEEKS = 128
_MOST = np.finfo(np.float64).max
# Stores x departments, or ids, of which a number each is kept without a thought.
_SMALL_GRID = 1 << 22
Weeks = Mapping[pd.Timestamp, slice]


def amounts_are_possible(
    spec: CheckSpec, sales: pd.DataFrame, absurd: NDArray[np.bool_], limit: float, context: Context
) -> CheckOutcome:
    """No |amount| is over `limit`, 1,000 x the largest that any series of the chain, so of its store or dept, had.

    `absurd` is as `over` gives it.
    """
    wrong, accepted = settle(spec, sales["week"].to_numpy(), absurd, context)
    at = first_rows(wrong)
    amounts, rows = np.abs(sales["sales"].to_numpy()[at]), int(wrong.sum())
    largest = limit / ABSURD
    first = "" if not rows else f"{first_of(sales, wrong, context.ids)} with {context.amount(float(amounts[0]))}"
    return judge(
        spec,
        sales,
        wrong,
        context,
        fine=f"{count(len(sales), 'row')}, none over {ABSURD:,.0f}x the largest of the others, {largest:,.0f}"
        if np.isfinite(limit)
        else f"{count(len(sales), 'row')}; nothing to compare",
        fault=f"{count(rows, 'row')} over {ABSURD:,.0f}x the largest amount of any store or department, "
        f"{context.amount(largest)}; first {first}",
        metrics={"rows": len(sales), "rows_over": rows, "largest_of_the_chain": largest if rows else 0.0},
        beside={"times_the_largest": amounts / largest} if rows else None,
        accepted=accepted,
    )


def possible_limit(sales: pd.DataFrame, history: pd.DataFrame, own: Weeks, stored: Weeks) -> float:
    """The largest |amount| that can be right: 1,000 x the largest that the chain had; inf where nothing was sold.

    `own` and `stored` are the weeks of the judged sales and of the history. In the former, where an absurd amount may
    be, what is within 1,000 x the typical amount counts as had.
    """
    past = history["sales"].to_numpy() if stored else np.empty(0)
    amounts = sales["sales"].to_numpy()
    weeks = [(amounts, rows) for rows in own.values()] + [(past, rows) for rows in stored.values()]
    typical = lower_median([_typical(of[rows]) for of, rows in weeks[:: 1 + len(weeks) // _SAMPLED_WEEKS]])
    largest = _largest(past)
    for rows in own.values():
        most = _largest(amounts[rows])
        if most > ABSURD * typical:
            sizes = np.abs(amounts[rows])
            most = _largest(sizes[sizes <= ABSURD * typical])
        largest = max(largest, most)
    return ABSURD * largest if largest > 0 else np.inf


def over(sales: pd.DataFrame, own: Weeks, limit: float) -> NDArray[np.bool_]:
    """(n,) mask of the finite amounts over a limit, in size; only the weeks that have any are looked through."""
    amounts = sales["sales"].to_numpy()
    wrong = np.zeros(len(sales), dtype=bool)
    for rows in own.values():
        if _largest(amounts[rows]) > limit:
            wrong[rows] = (np.abs(amounts[rows]) > limit) & np.isfinite(amounts[rows])
    return wrong


def _largest(amounts: NDArray[np.float64]) -> float:
    """The largest finite |amount|; 0 without any."""
    if not len(amounts):
        return 0.0
    largest = max(float(np.fmax.reduce(amounts)), -float(np.fmin.reduce(amounts)))
    if np.isfinite(largest):
        return largest
    return float(np.abs(amounts[np.isfinite(amounts)]).max(initial=0.0))


def _typical(amounts: NDArray[np.float64]) -> float:
    """Median |amount| of the rows of a week that sold something; 0 without any. Of many rows, of some evenly spread."""
    some = amounts if len(amounts) <= _SAMPLE else amounts[np.linspace(0, len(amounts) - 1, _SAMPLE).astype(np.intp)]
    sold = np.abs(some[np.isfinite(some) & (some != 0)])
    return float(np.sort(sold)[len(sold) // 2]) if len(sold) else 0.0


def lower_median(values: Sequence[float]) -> float:
    """The median of the positive values, the lower one of an even number; 0 without any."""
    positive = sorted(value for value in values if value > 0)
    return positive[(len(positive) - 1) // 2] if positive else 0.0


def sales_are_within_20x_of_their_past(
    spec: CheckSpec,
    sales: pd.DataFrame,
    history: pd.DataFrame,
    own: Weeks,
    earlier: Weeks,
    context: Context,
) -> CheckOutcome:
    """No series, and no store as a whole, is beyond 20x of what it sold in the weeks before.

    (a) |amount| is at most 20 x its `WeekPast.reference`; (b) per store and week with at least 5 series of 8 earlier
    weeks, no more than half of them are over 20 x, or under a 20th of, their mean before, which finds amounts in a
    wrong unit.
    """
    amounts, stores = sales["sales"].to_numpy(), sales["store_id"].to_numpy()
    high, off = np.zeros(len(sales), dtype=bool), np.zeros(len(sales), dtype=bool)
    rows_judged, largest = 0, 0.0
    references, means = np.zeros(FIRST_ROWS), np.zeros(FIRST_ROWS)
    taken = context.reasons(spec.name)
    shown = 0
    # Week by week, with what each series sold until then: the memory is that of one week, however long the history.
    for past in pasts(sales, history, own, earlier):
        rows = past.rows
        judged = past.reference > 0
        if not judged.any():
            continue
        rows_judged += int(judged.sum())
        amount = past.amount
        ratio = np.divide(amount, past.reference, out=np.zeros(len(amount)), where=judged)
        high[rows] = ratio > FACTOR
        largest = max(largest, float(ratio.max(initial=0.0)))
        off[rows] = _store_is_off(stores[rows], past)
        if past.week in taken:
            continue
        at = first_rows(high[rows] | off[rows])[: FIRST_ROWS - shown]
        references[shown : shown + len(at)], means[shown : shown + len(at)] = past.reference[at], past.mean[at]
        shown += len(at)

    wrong, accepted = settle(spec, sales["week"].to_numpy(), high | off, context)
    high, off = high & wrong, off & wrong
    faults = []
    if high.any():
        faults.append(
            f"{count(int(high.sum()), 'row')} over {FACTOR:.0f}x their past, largest {largest:,.0f}x, "
            f"first {first_of(sales, high, context.ids)}"
        )
    # Looked for only where a row is off: choosing rows by a mask takes long, also where it chooses none.
    store_weeks = sales.loc[off, ["store_id", "week"]].drop_duplicates() if off.any() else sales[:0]
    if len(store_weeks):
        faults.append(
            f"{count(len(store_weeks), 'store-week')} with most series over {FACTOR:.0f}x or under a "
            f"{FACTOR:.0f}th of their past, first {first_of(sales[['store_id', 'week']], off, context.ids)}"
        )
    sold = np.abs(amounts[first_rows(wrong)])
    return judge(
        spec,
        sales,
        wrong,
        context,
        fine=f"{count(rows_judged, 'row')} judged, largest {largest:,.1f}x of its past"
        if rows_judged
        else f"fewer than {PAST_WEEKS} earlier weeks: nothing to compare",
        fault="; ".join(faults),
        metrics={
            "rows": len(sales),
            "rows_judged": rows_judged,
            "rows_over": int(high.sum()),
            "largest_ratio": largest,
            "store_weeks_off": len(store_weeks),
        },
        beside={
            "compared_with": references[:shown],
            "times_that": sold / references[:shown],
            "mean_before": means[:shown],
        }
        if shown
        else None,
        accepted=accepted,
    )


def _store_is_off(stores: NDArray[np.int64], past: WeekPast) -> NDArray[np.bool_]:
    """(n,) mask of the judged rows of the stores most of whose series are far from their mean, of one week's rows."""
    usable = (past.weeks >= PAST_WEEKS) & (past.mean > 0) & past.finite
    starts = run_starts([stores])
    # Up or down, not both together: series that scatter are no change of unit.
    far = [usable & (past.amount > FACTOR * past.mean), usable & (past.amount < past.mean / FACTOR)]
    number, *beyond = (np.add.reduceat(mask, starts, dtype=np.int64) for mask in (usable, *far))
    strange = (number >= STORE_SERIES) & (np.maximum(*beyond) > number / 2)
    if not strange.any():
        return np.zeros(len(stores), dtype=bool)
    return usable & np.repeat(strange, np.diff(starts, append=len(stores)))


@dataclass(frozen=True, eq=False)
class WeekPast:
    """The rows of one week of sales, and what was sold in the weeks before, each (n,).

    `amount`: |amount|, 0 where it is not `finite`. `weeks`, `largest`, `mean`:
    number of earlier weeks of the series, and its largest and mean |amount| in them; 0 without any. `reference`: what
    20 x is taken of: the largest of the series, of a series with fewer than 8 weeks that of its store and its
    department, where both are new that of the chain; at least the chain's typical amount; 0 before the chain's 9th
    week.
    """

    week: pd.Timestamp
    rows: slice
    amount: NDArray[np.float64]
    finite: NDArray[np.bool_]
    weeks: NDArray[np.int64]
    largest: NDArray[np.float64]
    mean: NDArray[np.float64]
    reference: NDArray[np.float64]


def pasts(sales: pd.DataFrame, history: pd.DataFrame, own: Weeks, earlier: Weeks) -> Iterator[WeekPast]:
    """The past of each week of sales: `own` are its weeks, `earlier` those of the history before and between them."""
    if not own:
        return
    frames = [sales, history] if earlier else [sales]
    number = _series_numbers(frames)
    weeks = np.zeros(number.count, dtype=np.int64)
    largest, total = np.zeros(number.count), np.zeros(number.count)
    typical: list[float] = []
    for week in sorted({*own, *earlier}):
        frame, rows = (sales, own[week]) if week in own else (history, earlier[week])
        series = number.of(frame, rows)
        amount = np.abs(frame["sales"].to_numpy()[rows])
        # Amounts that are no number have a check of their own; here they would only hide what they are next to.
        finite = amount <= _MOST
        amount = np.where(finite, amount, 0.0)
        if frame is sales:
            seen, most = weeks[series], largest[series]
            reference = np.zeros(len(series))
            if len(typical) >= PAST_WEEKS:
                reference = most.copy()
                young = np.flatnonzero(seen < PAST_WEEKS)
                if len(young):
                    reference[young] = np.maximum(most[young], number.near(largest, series[young]))
                np.maximum(reference, lower_median(typical), out=reference)
            yield WeekPast(week, rows, amount, finite, seen, most, total[series] / np.maximum(seen, 1), reference)
        # A key twice in a week counts once, with its larger amount.
        first = run_starts([series])
        if len(first) < len(series):
            series, amount = series[first], np.maximum.reduceat(amount, first)
        weeks[series] += 1
        largest[series] = np.maximum(largest[series], amount)
        total[series] += amount
        typical.append(_typical(amount))


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

    def near(self, largest: NDArray[np.float64], series: NDArray[np.int64]) -> NDArray[np.float64]:
        """For some series the largest of (count,) values in their store or department, where both have none in all."""
        if self.keys is None:
            grid = largest.reshape(-1, self.depts)
            store, dept = np.divmod(series, self.depts)
            found = np.maximum(grid.max(axis=1)[store], grid.max(axis=0)[dept])
        else:
            parts = (self.keys >> 32, self.keys & 0xFFFFFFFF)
            found = np.maximum(*(_largest_of(part, largest)[series] for part in parts))
        return np.asarray(np.where(found > 0, found, largest.max()))


def _largest_of(groups: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) the largest value of the group that each is in."""
    distinct, place = np.unique(groups, return_inverse=True)
    most = np.zeros(len(distinct))
    np.maximum.at(most, place, values)
    return most[place]


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


def negative_sales_are_returns(spec: CheckSpec, sales: pd.DataFrame, context: Context) -> CheckOutcome:
    """Negative amounts are returns: kept, counted, and shown."""
    wrong, accepted = settle(spec, sales["week"].to_numpy(), (sales["sales"] < 0).to_numpy(), context)
    amounts = sales["sales"].to_numpy()[wrong]
    together = float(amounts[np.isfinite(amounts)].sum())
    rows = int(wrong.sum())
    return judge(
        spec,
        sales,
        wrong,
        context,
        fine=f"{count(len(sales), 'row')}, none negative",
        fault=f"{rows:,} of {count(len(sales), 'row')} negative, {context.amount(together)} together, "
        f"first {first_of(sales, wrong, context.ids)}",
        metrics={"rows": len(sales), "negative_rows": rows, "negative": together},
        accepted=accepted,
    )
