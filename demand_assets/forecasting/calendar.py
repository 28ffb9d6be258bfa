"""Holidays, and which week of last year a week is like.

US retail weeks: Super Bowl, Labor Day, Thanksgiving and Christmas are the weeks the Walmart data flags. Easter is not
flagged but moves by up to five weeks. A week's counterpart last year is 52 weeks before, except around a holiday that
moved (matched to itself) and before Christmas (matched by days to go: the winner of the Walmart competition, D. Thaler,
found that shift to be his most valuable adjustment).
"""

from datetime import date
from functools import cache

import numpy as np
import pandas as pd
from dateutil.easter import easter
from dateutil.relativedelta import MO, SU, TH, relativedelta
from numpy.typing import NDArray

from demand_assets.forecasting.weeks import DAYS, FRIDAY, WEEKS_PER_YEAR, week_number, weeks_between

EASTER = "easter"
HOLIDAYS = ("super_bowl", "labor_day", "thanksgiving", "christmas")
# Weeks after the holiday's own that still carry its sales pattern, and before it.
_EASTER_WINDOW = (-1, 0, 1)
_MOVABLE = {"super_bowl": (0,), "labor_day": (0,), "thanksgiving": (-1, 0, 1), EASTER: _EASTER_WINDOW}


def holiday_date(name: str, year: int) -> pd.Timestamp:
    """The day of a holiday in a year; Easter is the Western one. ValueError for an unknown holiday."""
    rules = {
        # Until 2021 the first Sunday of February, the second one since 2022.
        "super_bowl": relativedelta(month=2, day=1, weekday=SU(1 if year < 2022 else 2)),
        "labor_day": relativedelta(month=9, day=1, weekday=MO(1)),
        "thanksgiving": relativedelta(month=11, day=1, weekday=TH(4)),
        "christmas": relativedelta(month=12, day=25),
    }
    if name == EASTER:
        return pd.Timestamp(easter(year))
    if name not in rules:
        raise ValueError(f"unknown holiday {name!r}; known: {', '.join((*rules, EASTER))}")
    return pd.Timestamp(date(year, 1, 1) + rules[name])


@cache
def holiday_week(name: str, year: int) -> pd.Timestamp:
    """The week that a holiday falls in; Christmas counts in the week that ends with the year, as Walmart flags it."""
    day = holiday_date(name, year)
    if name == "christmas":
        day = pd.Timestamp(year, 12, 31) - pd.Timedelta(days=DAYS - 1)
    return day + pd.Timedelta(days=(FRIDAY - day.dayofweek) % DAYS)


def holiday_kind(weeks: pd.DatetimeIndex) -> NDArray[np.int8]:
    """(n,) 0 for no US holiday, 1..4 for the `HOLIDAYS` in order."""
    kind = np.zeros(len(weeks), dtype=np.int8)
    years = range(weeks.min().year - 1, weeks.max().year + 2) if len(weeks) else ()
    for code, name in enumerate(HOLIDAYS, start=1):
        kind[weeks.isin([holiday_week(name, year) for year in years])] = code
    return kind


def easter_offset(weeks: pd.DatetimeIndex) -> NDArray[np.int8]:
    """(n,) weeks from the week that holds Easter Sunday (-1: the week of Good Friday), clipped to -4..4."""
    years = range(weeks.min().year - 1, weeks.max().year + 2) if len(weeks) else ()
    easters = week_number(pd.DatetimeIndex([holiday_week(EASTER, year) for year in years]))
    distance = week_number(weeks)[:, None] - easters[None, :]
    nearest = distance[np.arange(len(weeks)), np.abs(distance).argmin(axis=1)]
    return np.clip(nearest, -4, 4).astype(np.int8)


def weeks_back(weeks: pd.DatetimeIndex, *, with_easter: bool = True) -> NDArray[np.float64]:
    """(n,) how many weeks before each week its counterpart of last year lies; fractions mean a blend of two weeks.

    Without `with_easter` spring is matched by date alone, as suits a season that several years were averaged into.
    """
    if not len(weeks):
        return np.empty(0)
    span = weeks_between(weeks.min() - pd.Timedelta(days=DAYS * 30), weeks.max() + pd.Timedelta(days=DAYS * 30))
    number = week_number(span)
    back = np.full(len(span), float(WEEKS_PER_YEAR))
    for year in range(span[0].year, span[-1].year + 1):
        for name, window in _MOVABLE.items():
            if name == EASTER and not with_easter:
                continue
            _match_moved(back, number, name, window, year)
        _match_christmas(back, span, year)
    return back[week_number(weeks) - number[0]]


def _match_moved(
    back: NDArray[np.float64], number: NDArray[np.int64], name: str, window: tuple[int, ...], year: int
) -> None:
    """Match the weeks around a holiday to those around it last year, and the weeks it displaced in order."""
    this, last = week_number(pd.DatetimeIndex([holiday_week(name, year), holiday_week(name, year - 1)]))
    moved = this - last - WEEKS_PER_YEAR
    if moved == 0:
        return
    own = {this + offset for offset in window}
    counterpart = {last + WEEKS_PER_YEAR + offset for offset in window}
    first, final = min(own | counterpart), max(own | counterpart)
    stretch = range(first, final + 1)
    displaced = [week for week in stretch if week not in own]
    free = [week for week in stretch if week not in counterpart]
    pairs = [(this + offset, last + WEEKS_PER_YEAR + offset) for offset in window]
    pairs += list(zip(displaced, free, strict=True))
    for week, like in pairs:
        at = week - number[0]
        if 0 <= at < len(back):
            back[at] = WEEKS_PER_YEAR + week - like


def _match_christmas(back: NDArray[np.float64], span: pd.DatetimeIndex, year: int) -> None:
    """Match December by days to Christmas Day: the date is fixed, so its weekday moves by a day or two a year."""
    christmas, before = holiday_date("christmas", year), holiday_date("christmas", year - 1)
    days = (span - christmas).days
    near = (days >= -15) & (days <= 6)
    back[near] = (christmas - before).days / DAYS


def calendar_from_covariates(covariates: pd.DataFrame) -> pd.DataFrame:
    """[week, is_holiday], one row per week of a covariates frame; a week is a holiday if any store says so."""
    return covariates.groupby("week")["is_holiday"].any().reset_index()


def extend_calendar(calendar: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    """[week, is_holiday] for every week from `first` to `last`.

    Weeks without a landed flag follow the US rule if any landed US holiday week is flagged, or if no week is; else they
    take the flag of 52 weeks before.
    """
    weeks = weeks_between(first, last)
    flags = calendar.set_index("week")["is_holiday"]
    known = flags.reindex(weeks)
    year_ago = flags.reindex(weeks - pd.Timedelta(days=DAYS * WEEKS_PER_YEAR)).set_axis(weeks)
    by_rule = pd.Series(holiday_kind(weeks) > 0, index=weeks)
    # The rule also sees holidays that moved; recurrence sees those of retailers with other holidays.
    inferred = by_rule if by_rule[known.eq(True)].any() or not flags.any() else year_ago.eq(True)
    return pd.DataFrame({"week": weeks, "is_holiday": known.where(known.notna(), inferred).astype(bool).to_numpy()})
