"""Which weeks, stores and departments sell, and checks of what is missing or new among them. Pure and vectorised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.ingestion.context import Context
from demand_assets.ingestion.order import distinct, run_starts
from demand_assets.ingestion.outcome import CheckOutcome, CheckSpec, count, judge, plain, settle, some

COUNT_WEEKS_NEEDED, COUNT_WEEKS = 4, 8
COUNT_LOW, COUNT_HIGH = 0.7, 1.3
# A store or department that sold in each of so many weeks has stopped when it sells no more.
REGULAR_WEEKS = 4
_WEEK = pd.Timedelta(weeks=1)
# More than any number of rows.
_MANY = np.iinfo(np.int64).max


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


@dataclass(frozen=True, eq=False)
class Presence:
    """Rows per week and store, and what is new in the newest week.

    `weeks` ascend, `brought` (W,) tells those that are judged from those stored before; `rows` is (W, S) for `stores`
    (S,). `is_newest`: no later week is stored. `new_depts` sell in the last of the weeks for the first time,
    `gone_depts` did in each of the 4 before it.
    """

    weeks: pd.DatetimeIndex
    brought: NDArray[np.bool_]
    stores: NDArray[np.int64]
    rows: NDArray[np.int64]
    is_newest: bool
    new_depts: NDArray[np.int64]
    gone_depts: NDArray[np.int64]


def presence(
    sales: pd.DataFrame, history: pd.DataFrame, own: Mapping[pd.Timestamp, slice], earlier: Mapping[pd.Timestamp, slice]
) -> Presence:
    """The presence of the weeks of sales (`own`) among the `earlier` ones of the history; as `week_slices` of each."""
    weeks = sorted({*own, *earlier})
    parts = [(sales, own[week]) if week in own else (history, earlier[week]) for week in weeks]
    stores, sizes = [], []
    for frame, rows in parts:
        ids = frame["store_id"].to_numpy()[rows]
        starts = run_starts([ids])
        stores.append(ids[starts])
        sizes.append(np.diff(starts, append=len(ids)))
    all_stores, rows_of = _grid(stores, sizes)
    newest = history["week"].iloc[-1] if len(history) else pd.NaT
    return Presence(
        pd.DatetimeIndex(weeks),
        np.array([week in own for week in weeks], dtype=bool),
        all_stores,
        rows_of,
        bool(weeks) and not newest > weeks[-1],
        *_dept_news([frame["dept_id"].to_numpy()[rows] for frame, rows in parts]),
    )


def _dept_news(depts: Sequence[NDArray[np.integer]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of the departments of each week's rows: those new in the last week, and those that have stopped in it."""
    if len(depts) < 2:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    *recent, last = (distinct(ids) for ids in depts[-REGULAR_WEEKS - 1 :])
    new = np.setdiff1d(last, np.concatenate(recent))
    for ids in depts[: -REGULAR_WEEKS - 1]:
        # The older weeks are looked through for candidates alone, of which there are few.
        if len(new):
            new = new[~np.isin(new, ids[np.isin(ids, new)])]
    return new, np.setdiff1d(reduce(np.intersect1d, recent), last)


def _grid(ids: list[NDArray[np.int64]], values: list[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All distinct ids, and the value of each week and id, 0 where it has none."""
    if not ids:
        return np.empty(0, dtype=np.int64), np.empty((0, 0), dtype=np.int64)
    every, place = np.unique(np.concatenate(ids), return_inverse=True)
    cell = np.repeat(np.arange(len(ids)), [len(each) for each in ids]) * len(every) + place
    grid = np.bincount(cell, np.concatenate(values), minlength=len(ids) * len(every))
    return every.astype(np.int64), grid.astype(np.int64).reshape(len(ids), len(every))


def row_count_is_in_band(spec: CheckSpec, found: Presence, context: Context) -> CheckOutcome:
    """The stores that sell in a week have 70% to 130% of their usual rows.

    Usual is each store's median over the up to 8 weeks before in which it sold, 4 at least. The first week of all is
    compared with the 8 after it, because an export often begins inside a week. Stores that are absent, new or gone
    are left to the checks that name them.
    """
    places = np.flatnonzero(found.brought)
    usual = np.zeros(len(places))
    rows = np.zeros(len(places), dtype=np.int64)
    for at, place in enumerate(places):
        near = slice(1, COUNT_WEEKS + 1) if place == 0 else slice(max(0, place - COUNT_WEEKS), place)
        medians = _medians(found.rows[near])
        judged = (medians > 0) & (found.rows[place] > 0)
        usual[at], rows[at] = medians[judged].sum(), found.rows[place][judged].sum()
    weeks = pd.DataFrame({"week": found.weeks[found.brought], "rows": rows, "usual_rows": usual})
    share = np.divide(rows, usual, out=np.full(len(places), np.nan), where=usual > 0)
    weeks["share"] = share
    wrong, accepted = settle(spec, weeks["week"].to_numpy(), (share < COUNT_LOW) | (share > COUNT_HIGH), context)
    judged_shares = share[~np.isnan(share)]
    worst = weeks.iloc[int(np.argmax(wrong))] if wrong.any() else None
    example = "" if worst is None else f"{worst['week']:%Y-%m-%d} with {worst['rows']:,.0f}"
    example += "" if worst is None else f" against {worst['usual_rows']:,.0f}"
    span = f"{judged_shares.min():.0%} to {judged_shares.max():.0%}" if len(judged_shares) else "too few to compare"
    return judge(
        spec,
        weeks,
        wrong,
        context,
        fine=f"{count(len(judged_shares), 'week')} judged, rows against those usual for the same stores: {span}",
        fault=f"{count(int(wrong.sum()), 'week')} outside {COUNT_LOW:.0%} to {COUNT_HIGH:.0%} of the usual rows, "
        f"first {example}",
        metrics={
            "weeks": len(weeks),
            "weeks_judged": len(judged_shares),
            "weeks_out_of_band": int(wrong.sum()),
            "lowest_share": float(judged_shares.min()) if len(judged_shares) else 1.0,
            "highest_share": float(judged_shares.max()) if len(judged_shares) else 1.0,
        },
        accepted=accepted,
    )


def _medians(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """(S,) medians of (W, S) over the weeks with rows; 0 for fewer than 4 of them."""
    if not len(rows):
        return np.zeros(rows.shape[1])
    weeks = (rows > 0).sum(axis=0)
    ordered = np.sort(np.where(rows > 0, rows, _MANY), axis=0)
    last = np.maximum(weeks, 1)
    low, high = (np.take_along_axis(ordered, at[None], axis=0)[0] for at in ((last - 1) // 2, last // 2))
    return np.where(weeks >= COUNT_WEEKS_NEEDED, low / 2 + high / 2, 0.0)


def no_week_is_missing(spec: CheckSpec, found: Presence, context: Context) -> CheckOutcome:
    """No week is missing between a week that is judged and the one before it; weeks of a closed chain are not."""
    steps = (found.weeks[1:] - found.weeks[:-1]) // _WEEK
    gaps = np.flatnonzero((steps > 1) & found.brought[1:])
    missing = [
        week
        for last, following in zip(found.weeks[gaps], found.weeks[gaps + 1], strict=True)
        for week in pd.date_range(last + _WEEK, following - _WEEK, freq=_WEEK)
        if week not in context.chain_closed
    ]
    rows = pd.DataFrame({"week": pd.DatetimeIndex(missing)})
    wrong, accepted = settle(spec, rows["week"].to_numpy(), np.ones(len(rows), dtype=bool), context)
    left = rows["week"][wrong]
    span = f"{found.weeks[0]:%Y-%m-%d} to {found.weeks[-1]:%Y-%m-%d}" if len(found.weeks) else "no weeks"
    return judge(
        spec,
        rows,
        wrong,
        context,
        fine=f"{count(len(found.weeks), 'week')} without a gap, {span}",
        fault=f"{count(len(left), 'week')} of {span} without any sale: {some([f'{week:%Y-%m-%d}' for week in left])}",
        metrics={"weeks": len(found.weeks), "weeks_missing": len(left)},
        accepted=accepted,
    )


def stores_sell_every_week(spec: CheckSpec, found: Presence, context: Context) -> CheckOutcome:
    """No store is absent for weeks and then sells again in a week that is judged; closed weeks do not count.

    Weeks in which the whole chain has no row are left to `no_week_is_missing`.
    """
    shut = _shut(found, context)
    wrong, accepted = settle(spec, shut["week"].to_numpy(), np.ones(len(shut), dtype=bool), context)
    left = shut[wrong]
    named = some(
        [
            f"store {plain(context.ids.store(store))} for {count(weeks, 'week')}, {week:%Y-%m-%d} to {until:%Y-%m-%d}"
            for store, week, until, weeks in left.head(6).itertuples(index=False)
        ]
    )
    return judge(
        spec,
        shut,
        wrong,
        context,
        fine=f"{count(len(found.stores), 'store')}, none absent between weeks in which it sold",
        fault=f"without any sale: {named}; these weeks count as {context.missing}",
        metrics={"stores": len(found.stores), "times_shut": len(left), "store_weeks_shut": int(left["weeks"].sum())},
        accepted=accepted,
    )


def _shut(found: Presence, context: Context) -> pd.DataFrame:
    """Stretches of weeks that a store is absent before it sells again: store_id, week, until, weeks; by week."""
    sold = found.rows > 0
    inside = np.logical_or.accumulate(sold) & np.logical_or.accumulate(sold[::-1])[::-1]
    store, week = np.nonzero((sold | (_closed(found, context) & inside)).T)
    ends = np.flatnonzero((store[1:] == store[:-1]) & (week[1:] > week[:-1] + 1))
    ends = ends[found.brought[week[ends + 1]]]
    first, until = week[ends] + 1, week[ends + 1] - 1
    shut = pd.DataFrame(
        {
            "store_id": found.stores[store[ends]],
            "week": found.weeks[first],
            "until": found.weeks[until],
            "weeks": until - first + 1,
        }
    )
    return shut.sort_values(["week", "store_id"], ignore_index=True)


def _closed(found: Presence, context: Context) -> NDArray[np.bool_]:
    """(W, S) weeks in which a store did not trade, as somebody declared."""
    closed = np.zeros(found.rows.shape, dtype=bool)
    texts = np.array([context.ids.store(store) for store in found.stores], dtype=object)
    for each in context.closed:
        here = np.isin(texts, each.stores) if each.stores else np.ones(len(texts), dtype=bool)
        closed |= np.outer(found.weeks == pd.Timestamp(each.week), here)
    return closed


def no_store_or_dept_starts_or_stops(spec: CheckSpec, found: Presence, context: Context) -> CheckOutcome:
    """The newest week has the stores and departments that sold in each of the 4 weeks before, and no new ones."""
    if len(found.weeks) < 2 or not (found.brought[-1] and found.is_newest):
        return CheckOutcome(spec.name, True, spec.severity, "no newest week with weeks before it")
    trading = ~_closed(found, context)[-1]
    new_stores, gone_stores = _news(found.rows > 0)
    gone_stores &= trading
    news = {
        ("starts", "store"): [context.ids.store(store) for store in found.stores[new_stores]],
        ("stops", "store"): [context.ids.store(store) for store in found.stores[gone_stores]],
        ("starts", "dept"): [context.ids.dept(dept) for dept in found.new_depts],
        ("stops", "dept"): [context.ids.dept(dept) for dept in found.gone_depts],
    }
    changes = pd.DataFrame(
        [(found.weeks[-1], verb, what, text) for (verb, what), texts in news.items() for text in texts],
        columns=["week", "change", "what", "id"],
    ).astype({"week": "datetime64[ns]"})
    wrong, accepted = settle(spec, changes["week"].to_numpy(), np.ones(len(changes), dtype=bool), context)
    parts = [f"{verb} {what} {some([plain(text) for text in texts])}" for (verb, what), texts in news.items() if texts]
    return judge(
        spec,
        changes,
        wrong,
        context,
        fine=f"{found.weeks[-1]:%Y-%m-%d} has the stores and departments of the weeks before",
        fault=f"in {found.weeks[-1]:%Y-%m-%d}: {', '.join(parts)}",
        metrics={
            "stores_new": int(new_stores.sum()),
            "stores_gone": int(gone_stores.sum()),
            "depts_new": len(found.new_depts),
            "depts_gone": len(found.gone_depts),
        },
        accepted=accepted,
    )


def _news(sold: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of (W, n) sales by week: what sells in the last week for the first time, and what has stopped selling in it."""
    last, past = sold[-1], sold[:-1]
    return last & ~past.any(axis=0), ~last & past[-REGULAR_WEEKS:].all(axis=0)
