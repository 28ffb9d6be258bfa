"""The only arithmetic on weeks. A week is named by the day that ends it; all weeks of a retailer end on one weekday.

Weekdays are numbered from 0, Monday, to 6, Sunday.
"""

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DAYS = 7
WEEKS_PER_YEAR = 52  # not 53: the same week last year, so that holidays line up
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_EPOCH_S = 24 * 3600  # 1970-01-02, from which weeks are counted
_WEEK_S = DAYS * 24 * 3600
_TICKS_PER_S = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def as_week(value: str | date | pd.Timestamp, weekday: int) -> pd.Timestamp:
    """The week named by an ISO date; ValueError naming the nearest weeks when the day is no `weekday`."""
    week = pd.Timestamp(value).normalize()
    if week.dayofweek != weekday:
        before = week_before(week, weekday)
        after = before + pd.Timedelta(days=DAYS)
        raise ValueError(
            f"{week:%Y-%m-%d} is a {week:%A}; a week is named by its {WEEKDAYS[weekday]}, "
            f"the nearest are {before:%Y-%m-%d} and {after:%Y-%m-%d}"
        )
    return week


def weekday_of(weeks: pd.DatetimeIndex) -> int:
    """The weekday that all `weeks` end on; ValueError when there is none or they differ."""
    if not len(weeks):
        raise ValueError("expected weeks, got none")
    weekday = int(weeks[0].dayofweek)
    for week in weeks[weeks.dayofweek != weekday][:1]:
        as_week(week, weekday)
    return weekday


def week_before(day: pd.Timestamp, weekday: int) -> pd.Timestamp:
    """The newest week that ends on a `weekday` and not after `day`."""
    return day - pd.Timedelta(days=(day.dayofweek - weekday) % DAYS)


def week_of_day(days: pd.DatetimeIndex, weekday: int) -> pd.DatetimeIndex:
    """The week that contains each day."""
    return days + pd.to_timedelta((weekday - days.dayofweek) % DAYS, unit="D")


def days_past_friday(weekday: int) -> int:
    """Days from the Friday nearest to a `weekday` to it, -3..3: Thursday -1, Saturday 1, Sunday 2."""
    return (weekday - WEEKDAYS.index("Friday") + 3) % DAYS - 3


def add_weeks(week: pd.Timestamp, weeks: int) -> pd.Timestamp:
    """The week that many weeks later (earlier when negative)."""
    return week + pd.Timedelta(days=DAYS * weeks)


def newest_ended(moment: datetime, weekday: int) -> pd.Timestamp:
    """The newest week that has ended at an aware `moment`: a day ends at midnight UTC."""
    day = pd.Timestamp(moment.astimezone(UTC)).tz_localize(None).normalize() - pd.Timedelta(days=1)
    return week_before(day, weekday)


def weeks_between(first: pd.Timestamp, last: pd.Timestamp) -> pd.DatetimeIndex:
    """Every week from `first` to `last`, both included."""
    return pd.date_range(first, last, freq=f"{DAYS}D", name="week")


def week_number(weeks: pd.DatetimeIndex) -> NDArray[np.int64]:
    """Weeks since 1970-01-02, so that differences of weeks that end on one weekday are numbers of weeks."""
    ticks = _TICKS_PER_S[weeks.unit]
    number = weeks.to_numpy().view(np.int64) - _EPOCH_S * ticks
    return np.floor_divide(number, _WEEK_S * ticks, out=number)
