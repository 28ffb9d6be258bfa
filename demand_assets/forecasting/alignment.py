"""Which week of last year each week is matched to around holidays, as places in a calendar of weeks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.forecasting.holidays import CHRISTMAS, DAY_OFF, EASTER, GOLDEN_WEEK, SEPARATOR, holiday_date
from demand_assets.forecasting.weeks import DAYS, WEEKS_PER_YEAR, days_past_friday, weekday_of

_LUNAR = ("lunar", "chinese", "korean", "vietnamese")
# Weeks from the holiday's own that carry its sales pattern, of holidays for which these are more than their own.
_SEVERAL_WEEKS = (-1, 0, 1)
_LONG = (EASTER, "thanksgiving", "eid ", *(f"{whose} new year" for whose in _LUNAR), GOLDEN_WEEK)
# What moves with Easter.
_OF_EASTER = (EASTER, "good friday", "maundy", "holy ", "ascension", "pentecost", "whit ", "corpus christi", "carnival")
# A holiday is matched to its occurrence of so many weeks before: it moves by up to five weeks, Easter does.
_LEAST_WEEKS, _MOST_WEEKS = WEEKS_PER_YEAR - 6, WEEKS_PER_YEAR + 6
# Days from Christmas Day to the Friday nearest to a week's end, for weeks that are matched by days to go.
_DAYS_BEFORE, _DAYS_AFTER = -15, 6


def occurrences(calendar: pd.DataFrame) -> dict[str, NDArray[np.int64]]:
    """Name -> places of the weeks in which the holiday begins, in order. A holiday of two weeks begins in the first."""
    names = calendar["holiday"].reset_index(drop=True).str.split(SEPARATOR).explode()
    names = names[~names.isin(["", DAY_OFF])]
    places = {str(name): np.asarray(held.index, dtype=np.int64) for name, held in names.groupby(names)}
    return {name: at[np.diff(at, prepend=-2) > 1] for name, at in sorted(places.items())}


def christmas_weeks(span: pd.DatetimeIndex) -> NDArray[np.float64]:
    """(n,) weeks back of the weeks before Christmas by days to go, NaN elsewhere.

    The date is fixed, so its weekday moves by a day or two a year. Days are counted from the nearest Friday, so that
    data moved by a day with the weekday that ends a week are matched alike.
    """
    fridays = span - pd.Timedelta(days=days_past_friday(weekday_of(span)))
    back = np.full(len(span), np.nan)
    for year in range(span[0].year, span[-1].year + 2):
        christmas, before = holiday_date(CHRISTMAS, year), holiday_date(CHRISTMAS, year - 1)
        days = (fridays - christmas).days
        back[(days >= _DAYS_BEFORE) & (days <= _DAYS_AFTER)] = (christmas - before).days / DAYS
    return back


@dataclass(frozen=True, order=True)
class Match:
    """A holiday in the week `place`, and the week `like` to which its own of last year comes 52 weeks later.

    The order is that of precedence: holidays of several weeks first, then those of one, each in order of time.
    """

    rank: int
    place: int
    name: str
    like: int

    @classmethod
    def of(cls, name: str, places: NDArray[np.int64]) -> "Iterator[Match]":
        """The matches of each occurrence to the one nearest to 52 weeks before."""
        if name == CHRISTMAS:
            return
        rank = 0 if name.lower().startswith(_LONG) else 1
        for place in places:
            away = place - places
            near = places[(away >= _LEAST_WEEKS) & (away <= _MOST_WEEKS)]
            if len(near):
                last = near[np.abs(place - near - WEEKS_PER_YEAR).argmin()]
                yield cls(rank, int(place), name, int(last) + WEEKS_PER_YEAR)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Each week of the holiday with the one it is like."""
        return [(self.place + offset, self.like + offset) for offset in (_SEVERAL_WEEKS if self.rank == 0 else (0,))]

    @property
    def stretch(self) -> tuple[int, int]:
        """First and last week that the match touches."""
        weeks = [week for pair in self.pairs for week in pair]
        return min(weeks), max(weeks)

    @property
    def is_of_easter(self) -> bool:
        """Whether the holiday moves with Easter."""
        return self.name.lower().startswith(_OF_EASTER)


def matched(
    matches: Iterable[Match], taken: NDArray[np.int64], *, with_easter: bool = True
) -> Iterator[tuple[int, int]]:
    """(week, like) of all weeks around the holidays; the weeks that they displace are matched in order.

    A match that touches a `taken` week, or contradicts one of higher precedence, is left out as a whole.
    """
    fixed, likes, used = set(taken.tolist()), dict[int, int](), dict[int, int]()
    stretches: list[tuple[int, int]] = []
    for match in sorted(matches):
        if match.is_of_easter and not with_easter:
            continue
        first, last = match.stretch
        apart = fixed.isdisjoint(range(first, last + 1))
        if apart and all(likes.get(week, like) == like and used.get(like, week) == week for week, like in match.pairs):
            likes |= dict(match.pairs)
            used |= {like: week for week, like in match.pairs}
            stretches.append(match.stretch)
    for first, last in _joined(stretches):
        weeks = range(first, last + 1)
        displaced = [week for week in weeks if week not in likes]
        free = [week for week in weeks if week not in used]
        yield from zip(displaced, free, strict=True)
    yield from likes.items()


def _joined(stretches: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The stretches, those that overlap as one."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(stretches):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined
