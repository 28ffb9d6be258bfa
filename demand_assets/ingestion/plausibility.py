"""Checks of sales against their past, the other files, and the weeks around them. Pure and vectorised."""

from __future__ import annotations

import numpy as np
import pandas as pd

from demand_assets.ingestion.outcome import FIRST_ROWS, CheckOutcome, CheckSpec, count, first_of, judge
from demand_assets.ingestion.structure import differs_from_its_week

FACTOR = 20.0
PAST_WEEKS = 8
# A series that sold next to nothing may jump by any factor: below this its past counts as this much.
FLOOR_USD = 1_000.0
STORE_SERIES = 5
COUNT_WEEKS_NEEDED, COUNT_WEEKS = 4, 8
COUNT_LOW, COUNT_HIGH = 0.7, 1.3
_WEEK = pd.Timedelta(weeks=1)


def before(history: pd.DataFrame, sales: pd.DataFrame) -> pd.DataFrame:
    """The rows of `history` in weeks that `sales` does not bring anew and that start before its last week."""
    if history.empty or sales.empty:
        return sales.iloc[:0]
    use = (history["week"] < sales["week"].max()) & ~history["week"].isin(sales["week"].unique())
    return history[use] if use.any() else sales.iloc[:0]


def sales_are_within_20x_of_their_past(spec: CheckSpec, sales: pd.DataFrame, history: pd.DataFrame) -> CheckOutcome:
    """No series, and no store's typical series, is beyond 20x of what it sold in the weeks before.

    For rows whose series has at least 8 earlier weeks: (a) |amount| is at most 20 x max(1,000 USD, the largest |amount|
    of any earlier week); (b) per store and week with at least 5 such rows, the median of |amount| / mean earlier
    |amount| lies within 1/20 and 20, which finds amounts in a wrong unit, too large or too small.
    """
    past = _past_of(sales, history)
    judged = past["weeks"].to_numpy() >= PAST_WEEKS
    amount = sales["weekly_sales_usd"].abs().to_numpy()
    ratio = np.where(judged, amount / np.maximum(past["largest"].to_numpy(), FLOOR_USD), 0.0)
    over = ratio > FACTOR

    mean = past["mean"].to_numpy()
    usable = judged & (mean > 0) & np.isfinite(amount)
    level = pd.Series(np.divide(amount, mean, out=np.full(len(sales), np.nan), where=usable), index=sales.index)
    by_store_week = level.groupby([sales["store_id"], sales["week"]])
    typical = by_store_week.transform("median").to_numpy()
    enough = by_store_week.transform("count").to_numpy() >= STORE_SERIES
    off = usable & enough & ((typical > FACTOR) | (typical < 1 / FACTOR))
    off_pairs = sales.loc[off, ["store_id", "week"]].drop_duplicates()

    wrong = over | off
    faults = []
    if over.any():
        faults.append(
            f"{count(int(over.sum()), 'row')} over {FACTOR:.0f}x their series' past, "
            f"largest {ratio[over].max():,.0f}x, first {first_of(sales, over)}"
        )
    if off.any():
        faults.append(
            f"{count(len(off_pairs), 'store-week')} at {typical[off].min():,.4g}x to {typical[off].max():,.4g}x their "
            f"usual level, first {first_of(off_pairs, np.ones(len(off_pairs), dtype=bool))}"
        )
    levels = typical[usable & enough]
    largest = float(np.nanmax(ratio, initial=0.0))
    fine = f"{count(int(judged.sum()), 'row')} judged, largest {largest:,.1f}x of its past"
    return judge(
        spec,
        sales.assign(largest_before_usd=past["largest"].to_numpy(), times_its_past=ratio, store_level=typical),
        wrong,
        fine=fine if judged.any() else f"no series with {PAST_WEEKS} earlier weeks yet: nothing to compare",
        fault="; ".join(faults) + "; are the amounts in USD?",
        metrics={
            "rows": len(sales),
            "rows_judged": int(judged.sum()),
            "rows_over": int(over.sum()),
            "largest_ratio": largest,
            "store_weeks_off": len(off_pairs),
            "store_level_lowest": float(levels.min()) if len(levels) else 1.0,
            "store_level_highest": float(levels.max()) if len(levels) else 1.0,
            "floor_usd": FLOOR_USD,
        },
    )


def _past_of(sales: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """For every row of sales, over the earlier weeks of its series: `weeks`, `largest` and `mean` |amount| in USD."""
    keys = ["store_id", "dept_id", "week"]
    past_rows = before(history, sales)
    rows = pd.concat([past_rows, sales[list(past_rows.columns)]], ignore_index=True) if len(past_rows) else sales
    # Amounts that are no number have a check of their own; here they would only hide what they are next to.
    amount = rows["weekly_sales_usd"].abs().where(np.isfinite(rows["weekly_sales_usd"]), 0.0)
    weekly = amount.groupby([rows[key] for key in keys], sort=True).max()
    series = weekly.groupby(level=[0, 1], sort=False)
    seen = series.cumcount()
    largest = series.cummax().groupby(level=[0, 1], sort=False).shift(fill_value=0.0)
    mean = (series.cumsum() - weekly) / seen.clip(lower=1)
    past = pd.DataFrame({"weeks": seen, "largest": largest, "mean": mean}).reset_index()
    found = sales[keys].merge(past, on=keys, how="left")
    return found[["weeks", "largest", "mean"]].fillna(0.0)


def holiday_flags_agree(spec: CheckSpec, sales: pd.DataFrame, conditions: pd.DataFrame) -> CheckOutcome:
    """One holiday flag per week in all rows of sales, and the same one in conditions for the same store and week."""
    keys = ["store_id", "week"]
    told = conditions.drop_duplicates(keys)[[*keys, "is_holiday"]].rename(columns={"is_holiday": "conditions_flag"})
    flag = sales[keys].merge(told, on=keys, how="left")["conditions_flag"]
    known = flag.notna().to_numpy()
    against = known & (flag.to_numpy() != sales["is_holiday"].to_numpy())
    odd = differs_from_its_week(sales)
    wrong = against | odd
    holidays = int(sales.loc[sales["is_holiday"], "week"].nunique())
    return judge(
        spec,
        sales.assign(conditions_flag=flag.to_numpy()),
        wrong,
        fine=f"{count(sales['week'].nunique(), 'week')}, {holidays} of them holidays, the same in both files",
        fault=f"{count(int(against.sum()), 'row')} with another holiday flag than conditions have, {int(odd.sum()):,} "
        f"with another than their week's, first {first_of(sales, wrong)}; expected one flag per week",
        metrics={
            "rows": len(sales),
            "rows_compared": int(known.sum()),
            "rows_against_conditions": int(against.sum()),
            "rows_against_their_week": int(odd.sum()),
            "holiday_weeks": holidays,
        },
    )


def row_count_is_in_band(spec: CheckSpec, sales: pd.DataFrame, history: pd.DataFrame) -> CheckOutcome:
    """Each week has 70% to 130% of the median row count of the up to 8 stored weeks before; the first 4 are exempt."""
    counts = pd.concat([before(history, sales)["week"], sales["week"]]).value_counts().sort_index()
    median = counts.rolling(COUNT_WEEKS, min_periods=COUNT_WEEKS_NEEDED).median().shift()
    weeks = pd.DataFrame({"week": counts.index, "rows": counts.to_numpy(), "median_before": median.to_numpy()})
    weeks["share"] = weeks["rows"] / weeks["median_before"]
    weeks = weeks[weeks["week"].isin(sales["week"].unique())].reset_index(drop=True)
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
    weeks = pd.DatetimeIndex(pd.concat([before(history, sales)["week"], sales["week"]]).dropna().unique())
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
    pairs = sales[keys].drop_duplicates().reset_index(drop=True)
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
    wrong = (sales["weekly_sales_usd"] < 0).to_numpy()
    usd = float(sales.loc[wrong, "weekly_sales_usd"].replace(-np.inf, np.nan).sum())
    rows = int(wrong.sum())
    return judge(
        spec,
        sales,
        wrong,
        fine=f"{count(len(sales), 'row')}, none negative",
        fault=f"{rows:,} of {count(len(sales), 'row')} negative, {usd:,.2f} USD together, "
        f"first {first_of(sales, wrong)}; kept as returns",
        metrics={"rows": len(sales), "negative_rows": rows, "negative_usd": usd},
    )
