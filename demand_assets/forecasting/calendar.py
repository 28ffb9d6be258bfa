"""The calendar of a retailer: flags and names of its holidays, and which week of last year a week is like.

A week's counterpart last year is 52 weeks before, except around a holiday that moved (matched to itself) and before
Christmas (matched by days to go: the winner of the Walmart competition, D. Thaler, found that shift to be his most
valuable adjustment). Functions take the calendar as a frame of `CALENDAR_COLUMNS`, one row per week without gaps.
"""

import zlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.errors import SchemaError
from demand_assets.forecasting.alignment import Match, christmas_weeks, matched, occurrences
from demand_assets.forecasting.holidays import (
    CHRISTMAS,
    DAY_OFF,
    EASTER,
    SEPARATOR,
    US_RETAIL,
    HolidayRule,
    named_weeks,
    one_row_a_week,
    regional_weeks,
)
from demand_assets.forecasting.recurrence import recurring_weeks
from demand_assets.forecasting.weeks import (
    WEEKS_PER_YEAR,
    add_weeks,
    week_before,
    week_number,
    weekday_of,
    weeks_between,
)

CALENDAR_COLUMNS = ("week", "is_holiday", "holiday", "is_landed")
# A calendar reaches so many weeks past the last one asked for: holidays after it displace weeks before it.
WEEKS_AHEAD, MARGIN_WEEKS = 54, 8
# Codes of names that are not among `US_RETAIL` follow these.
_CODES = 1_000_000


def calendar_span(
    first: pd.Timestamp, last: pd.Timestamp, horizon_weeks: int = WEEKS_AHEAD
) -> tuple[pd.Timestamp, pd.Timestamp]:
    """First and last week of the calendar of data from `first` to `last`: two years before, a year and more after.

    It begins and ends with a calendar year, so that it changes once a year and not with every week that lands.
    """
    weekday = weekday_of(pd.DatetimeIndex([first, last]))
    start = pd.Timestamp(add_weeks(first, -2 * WEEKS_PER_YEAR).year, 1, 1)
    ahead = add_weeks(last, max(WEEKS_AHEAD, horizon_weeks) + MARGIN_WEEKS)
    return add_weeks(week_before(start, weekday), 1), week_before(pd.Timestamp(ahead.year, 12, 31), weekday)


def calendar_for(
    flags: pd.DataFrame, rule: HolidayRule, weeks: "pd.Series[pd.Timestamp]", horizon: int
) -> pd.DataFrame:
    """`calendar_of` for features of sales with a column of `weeks`, up to `horizon` weeks ahead."""
    return calendar_of(flags, rule, *calendar_span(weeks.min(), weeks.max(), horizon))


def calendar_from_covariates(covariates: pd.DataFrame) -> pd.DataFrame:
    """[week, is_holiday], one row per week of a covariates frame; a week is a holiday if any store says so."""
    return covariates.groupby("week")["is_holiday"].any().reset_index()


def calendar_of(flags: pd.DataFrame, rule: HolidayRule, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    """`CALENDAR_COLUMNS` of every week from `first` to `last`, from landed flags ([week, is_holiday], perhaps empty).

    A landed flag holds. Other weeks are flagged where the retailer's holidays by the rule fall, and where the flagged
    weeks that are none of them recur. `holiday` has the names by the rule, whatever the flag, and those of holidays of
    other regions that the retailer flags. Of a former calendar as `flags` only the weeks with `is_landed` count.
    SchemaError for an unknown country.
    """
    landed = flags[flags["is_landed"]] if "is_landed" in flags.columns else flags
    landed = landed[["week", "is_holiday"]].drop_duplicates("week", keep="last").sort_values("week", ignore_index=True)
    low, high = min([first, *landed["week"][:1]]), max([last, *landed["week"][-1:]])
    weeks = weeks_between(low, high)
    named = pd.concat([named_weeks(rule, low, high), regional_weeks(rule, low, high)], ignore_index=True)
    followed = _followed(named, landed)
    named = named[~named["is_regional"].eq(True) | named["holiday"].isin(followed)]
    held = named["week"][named["holiday"].isin(followed)]
    own = landed["week"][landed["is_holiday"].astype(bool) & ~landed["week"].isin(held)]
    recurs = recurring_weeks(pd.DatetimeIndex(own), landed["week"].max(), weeks)
    known = landed.set_index("week")["is_holiday"].reindex(weeks)
    inferred = pd.Series(weeks.isin(held) | recurs, index=weeks)
    calendar = one_row_a_week(named, weeks).assign(
        is_holiday=known.where(known.notna(), inferred).astype(bool).to_numpy(), is_landed=known.notna().to_numpy()
    )
    return calendar[calendar["week"].between(first, last)].reset_index(drop=True)[list(CALENDAR_COLUMNS)]


def _followed(named: pd.DataFrame, landed: pd.DataFrame) -> list[str]:
    """Names of holidays whose weeks the retailer flags, as far as its landed flags tell.

    Those that the rule flags, unless the retailer flags none of them, or not this one though it came twice; and those
    that it only names where the retailer flags at least half of them, in weeks without one of the former.
    """
    told = landed.set_index("week")["is_holiday"].astype(float)
    ruled, others = named[named["is_holiday"]], named[~named["is_holiday"]]
    seen, flagged = _told(ruled, told)
    if not told.any():
        return list(seen.index)
    trusted = bool(flagged.sum() > 0 or seen.sum() == 0)
    kept = seen.index[trusted & ~((flagged == 0) & (seen > 1))]
    seen, flagged = _told(others, told[~told.index.isin(ruled["week"][ruled["holiday"].isin(kept)])])
    return [*kept, *seen.index[(flagged > 0) & (2 * flagged >= seen)]]


def _told(named: pd.DataFrame, told: "pd.Series[float]") -> "tuple[pd.Series[int], pd.Series[float]]":
    """By name of a holiday how many of its weeks landed, and how many of these with a flag."""
    by_name = named.assign(told=named["week"].map(told)).groupby("holiday")["told"]
    return by_name.count(), by_name.sum()


def names_of(weeks: pd.DatetimeIndex, calendar: pd.DataFrame) -> list[list[str]]:
    """(n,) names of each week's holidays, without Easter and days that stand for others."""
    return [
        [name for name in text.split(SEPARATOR) if name not in ("", EASTER, DAY_OFF)]
        for text in calendar["holiday"].to_numpy()[_places(weeks, calendar)]
    ]


def holiday_kind(weeks: pd.DatetimeIndex, calendar: pd.DataFrame) -> NDArray[np.int32]:
    """(n,) 0 for no named holiday, 1..4 for `US_RETAIL` in order, else a code of the name.

    The code is made of the name's letters alone, so that it stays when the calendar grows. Of several holidays in a
    week Christmas counts, else the first by the alphabet.
    """
    return np.array([_code(names[0]) if names else 0 for names in names_of(weeks, calendar)], dtype=np.int32)


def _code(name: str) -> int:
    if name in US_RETAIL:
        return US_RETAIL.index(name) + 1
    return len(US_RETAIL) + 1 + zlib.crc32(name.encode()) % _CODES


def easter_offset(weeks: pd.DatetimeIndex, calendar: pd.DataFrame) -> NDArray[np.int8]:
    """(n,) weeks from the week that holds Easter Sunday clipped to -4..4; 4 without any Easter."""
    easters = occurrences(calendar).get(EASTER)
    at = _places(weeks, calendar)
    if easters is None:
        return np.full(len(weeks), 4, dtype=np.int8)
    distance = at[:, None] - easters[None, :]
    nearest = distance[np.arange(len(weeks)), np.abs(distance).argmin(axis=1)]
    return np.clip(nearest, -4, 4).astype(np.int8)


def weeks_back(weeks: pd.DatetimeIndex, calendar: pd.DataFrame, *, with_easter: bool = True) -> NDArray[np.float64]:
    """(n,) how many weeks before each week its counterpart of last year lies; fractions mean a blend of two weeks.

    Every named holiday is matched to itself. Where matches contradict each other Christmas comes first, then holidays
    of several weeks, then those of one, each in order of time; a later one is left out as a whole. Without
    `with_easter` spring is matched by date alone, as suits a season that several years were averaged into.
    """
    span = pd.DatetimeIndex(calendar["week"])
    found = occurrences(calendar)
    back = np.full(len(span), float(WEEKS_PER_YEAR))
    days = christmas_weeks(span) if CHRISTMAS in found else np.full(len(span), np.nan)
    matches = [match for name, places in found.items() for match in Match.of(name, places)]
    for week, like in matched(matches, taken=np.flatnonzero(~np.isnan(days)), with_easter=with_easter):
        if 0 <= week < len(back):
            back[week] = WEEKS_PER_YEAR + week - like
    back = np.where(np.isnan(days), back, days)
    return back[_places(weeks, calendar)]


def _places(weeks: pd.DatetimeIndex, calendar: pd.DataFrame) -> NDArray[np.int64]:
    """(n,) rows of the weeks in the calendar; SchemaError when it lacks one."""
    span = pd.DatetimeIndex(calendar["week"])
    at = week_number(weeks) - week_number(span[:1])[0] if len(span) else np.full(len(weeks), -1)
    outside = weeks[(at < 0) | (at >= len(span))]
    if len(outside):
        reach = f"runs from {span[0]:%Y-%m-%d} to {span[-1]:%Y-%m-%d}" if len(span) else "is empty"
        raise SchemaError(f"week {outside[0]:%Y-%m-%d} is not in the holiday calendar, which {reach}; make it anew")
    return at
