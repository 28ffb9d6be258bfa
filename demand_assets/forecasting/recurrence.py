"""When a retailer's own holidays recur, from the weeks that it flagged."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.forecasting.weeks import DAYS, WEEKS_PER_YEAR, add_weeks, week_of_day, weekday_of


@dataclass(frozen=True)
class _Days:
    """Days among which a holiday lies, itself unknown."""

    first: pd.Timestamp
    last: pd.Timestamp

    def in_year_of(self, other: "_Days") -> "_Days":
        """The same days of the year, near to the `other` ones."""
        years = round((other.first - self.first).days / 365.25)
        return _Days(self.first + pd.DateOffset(years=years), self.last + pd.DateOffset(years=years))

    def shared(self, other: "_Days") -> int:
        """How many days both have."""
        return max((min(self.last, other.last) - max(self.first, other.first)).days + 1, 0)

    def within(self, other: "_Days") -> "_Days":
        """The days that both have."""
        return replace(self, first=max(self.first, other.first), last=min(self.last, other.last))


def recurring_weeks(flagged: pd.DatetimeIndex, newest: pd.Timestamp, weeks: pd.DatetimeIndex) -> NDArray[np.bool_]:
    """(n,) which of `weeks` hold a holiday of the retailer's own, that it `flagged` in the year to the `newest` week.

    A holiday lies on one day of the year among the seven of its week, and of those it shares with the flagged weeks of
    earlier years; taken is the middle one. 52 weeks would move it by a day or two a year.
    """
    holidays: list[_Days] = []
    for week in flagged.sort_values()[::-1]:
        days = _Days(week - pd.Timedelta(days=DAYS - 1), week)
        shared = [held.shared(days.in_year_of(held)) for held in holidays]
        if shared and max(shared) > 0:
            best = int(np.argmax(shared))
            holidays[best] = holidays[best].within(days.in_year_of(holidays[best]))
        elif week >= add_weeks(newest, -WEEKS_PER_YEAR):
            holidays.append(days)
    if not holidays:
        return np.zeros(len(weeks), dtype=np.bool_)
    middle = [held.first + pd.Timedelta(days=(held.last - held.first).days // 2) for held in holidays]
    years = range(weeks[0].year - 1, weeks[-1].year + 2)
    dates = [day + pd.DateOffset(years=year - day.year) for day in middle for year in years]
    found: NDArray[np.bool_] = weeks.isin(week_of_day(pd.DatetimeIndex(dates), weekday_of(weeks)))
    return found
