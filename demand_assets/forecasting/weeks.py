"""The only arithmetic on weeks. A week is named by the Friday that ends it."""

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FRIDAY = 4
DAYS = 7
WEEKS_PER_YEAR = 52  # not 53: the same week last year, so that holidays line up
_EPOCH_S = 24 * 3600  # 1970-01-02, the first Friday of Unix time
_WEEK_S = DAYS * 24 * 3600
_TICKS_PER_S = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def as_week(value: str | date | pd.Timestamp) -> pd.Timestamp:
    """The week named by an ISO date; ValueError naming the nearest Fridays when it is no Friday."""
    week = pd.Timestamp(value).normalize()
    if week.dayofweek != FRIDAY:
        before = week - pd.Timedelta(days=(week.dayofweek - FRIDAY) % DAYS)
        after = before + pd.Timedelta(days=DAYS)
        raise ValueError(
            f"{week:%Y-%m-%d} is a {week:%A}; a week is named by its Friday, "
            f"the nearest are {before:%Y-%m-%d} and {after:%Y-%m-%d}"
        )
    return week


def add_weeks(week: pd.Timestamp, weeks: int) -> pd.Timestamp:
    """The week that many weeks later (earlier when negative)."""
    return week + pd.Timedelta(days=DAYS * weeks)


def newest_ended(moment: datetime) -> pd.Timestamp:
    """The newest week that has ended at an aware `moment`: a Friday ends at midnight UTC."""
    day = pd.Timestamp(moment.astimezone(UTC)).tz_localize(None).normalize() - pd.Timedelta(days=1)
    return day - pd.Timedelta(days=(day.dayofweek - FRIDAY) % DAYS)


def weeks_between(first: pd.Timestamp, last: pd.Timestamp) -> pd.DatetimeIndex:
    """Every week from `first` to `last`, both included."""
    return pd.date_range(first, last, freq=f"{DAYS}D", name="week")


def week_number(weeks: pd.DatetimeIndex) -> NDArray[np.int64]:
    """Weeks since 1970-01-02, so that differences are numbers of weeks."""
    ticks = _TICKS_PER_S[weeks.unit]
    number = weeks.to_numpy().view(np.int64) - _EPOCH_S * ticks
    return np.floor_divide(number, _WEEK_S * ticks, out=number)
