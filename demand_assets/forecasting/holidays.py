"""Which weeks hold the holidays of a retailer, by rule: a country's public holidays, or the retail weeks of the US.

The retail weeks of the US are those that the Walmart data flag: Super Bowl, Labor Day, Thanksgiving and Christmas.
Easter is named beside them without a flag: sales follow it, and it moves by up to five weeks.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import pandas as pd
from dateutil.easter import EASTER_ORTHODOX, EASTER_WESTERN, easter
from dateutil.relativedelta import MO, SU, TH, relativedelta

from demand_assets.errors import SchemaError
from demand_assets.forecasting.weeks import days_past_friday, week_of_day, weekday_of, weeks_between

EASTER, CHRISTMAS, GOLDEN_WEEK = "easter", "christmas", "golden week"
US_RETAIL = ("super_bowl", "labor_day", "thanksgiving", CHRISTMAS)
# Between the names of several holidays in one week.
SEPARATOR = "; "
_FRIDAY = 4
_CHRISTMAS_DAY = (12, 25)
# Good Friday and Easter Monday, in days from Easter Sunday.
_EASTER_DAYS = (-2, 1)
# Month and day on which the holidays of a golden week begin.
_GOLDEN_WEEKS = {"CN": (10, 1), "JP": (4, 29)}
# A public holiday that stands for another one; it has no pattern of its own.
DAY_OFF = "day off"
_SUBSTITUTES = ("Day off", "Substitute Holiday")


@dataclass(frozen=True)
class HolidayRule:
    """Whose holidays count: those of a country, as ISO 3166 code, and its subdivision; or `retail` "us"; or none.

    SchemaError when both are given, or `retail` is unknown.
    """

    country: str = ""
    subdivision: str = ""
    retail: str = ""

    def __post_init__(self) -> None:
        if self.retail not in ("", "us"):
            raise SchemaError(f"retail is {self.retail!r}; expected us or nothing")
        if self.retail and self.country:
            raise SchemaError(f"holidays follow country {self.country} and retail {self.retail}; name one of them")
        if self.subdivision and not self.country:
            raise SchemaError(f"subdivision is {self.subdivision!r} without a country; name the country too")


US = HolidayRule(retail="us")


def holiday_date(name: str, year: int) -> pd.Timestamp:
    """The day of a US retail holiday or of Easter, the Western one, in a year. ValueError for an unknown holiday."""
    rules = {
        # Until 2021 the first Sunday of February, the second one since 2022.
        "super_bowl": relativedelta(month=2, day=1, weekday=SU(1 if year < 2022 else 2)),
        "labor_day": relativedelta(month=9, day=1, weekday=MO(1)),
        "thanksgiving": relativedelta(month=11, day=1, weekday=TH(4)),
        CHRISTMAS: relativedelta(month=12, day=25),
    }
    if name == EASTER:
        return pd.Timestamp(easter(year))
    if name not in rules:
        raise ValueError(f"unknown holiday {name!r}; known: {', '.join((*rules, EASTER))}")
    return pd.Timestamp(date(year, 1, 1) + rules[name])


def holiday_week(name: str, year: int, weekday: int = _FRIDAY) -> pd.Timestamp:
    """The week ending on a `weekday` that holds a holiday of `holiday_date`.

    Christmas is counted from the nearest Friday: a week that ends on a Saturday holds it if the one that ends a day
    before it does.
    """
    day = pd.DatetimeIndex([holiday_date(name, year)])
    if name == CHRISTMAS:
        return week_of_day(day, _FRIDAY)[0] + pd.Timedelta(days=days_past_friday(weekday))
    return week_of_day(day, weekday)[0]


def holiday_weeks(rule: HolidayRule, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    """[week, is_holiday, holiday], one row per week from `first` to `last`.

    `holiday` names all holidays of the week, Christmas first, then in order of the alphabet, joined by `SEPARATOR`; ""
    for none. SchemaError for an unknown country or subdivision.
    """
    return one_row_a_week(named_weeks(rule, first, last), weeks_between(first, last))


def one_row_a_week(named: pd.DataFrame, weeks: pd.DatetimeIndex) -> pd.DataFrame:
    """`holiday_weeks` of `named_weeks`."""
    ordered = named.sort_values(["week", "holiday"], kind="stable", key=_christmas_first)
    by_week = ordered.groupby("week").agg(is_holiday=("is_holiday", "max"), holiday=("holiday", SEPARATOR.join))
    held = by_week.reindex(weeks)
    return pd.DataFrame(
        {
            "week": weeks,
            "is_holiday": held["is_holiday"].eq(True).to_numpy(),
            "holiday": held["holiday"].fillna("").to_numpy(dtype=object),
        }
    )


def named_weeks(rule: HolidayRule, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    """[week, holiday, is_holiday], one row per holiday of the rule and week that holds a day of it.

    `is_holiday` is False for a holiday that is only named. SchemaError as `holiday_weeks`.
    """
    weekday = weekday_of(pd.DatetimeIndex([first]))
    years = range(first.year - 1, last.year + 2)
    if rule.retail:
        rows = [(holiday_week(name, year, weekday), name, name != EASTER) for year in years for name in _US_NAMED]
        return _within(pd.DataFrame(rows, columns=_NAMED), first, last)
    return _within(_weeks_of(_country_days(rule, years) if rule.country else [], weekday), first, last)


def spoken(names: str) -> str:
    """Names as of `holiday_weeks` for people: `super_bowl; Good Friday` is "Super Bowl; Good Friday"."""
    each = (name.replace("_", " ").title() if name.islower() else name for name in names.split(SEPARATOR))
    return SEPARATOR.join(each)


def regional_weeks(rule: HolidayRule, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    """`named_weeks` of holidays that other subdivisions of the country have, none flagged, with `is_regional`.

    A retailer's own flags may be those of several regions: in Germany Corpus Christi, which moves with Easter.
    """
    days: list[_Day] = []
    if rule.country:
        import holidays

        years = range(first.year - 1, last.year + 2)
        known = {name for _, name, _ in _country_days(rule, years)}
        for subdivision in holidays.country_holidays(rule.country).subdivisions:
            days += [
                (day, name, False)
                for day, name in _public_days(HolidayRule(rule.country, subdivision), years)
                if name not in known
            ]
    return _within(_weeks_of(days, weekday_of(pd.DatetimeIndex([first]))), first, last).assign(is_regional=True)


_US_NAMED = (*US_RETAIL, EASTER)
_NAMED = ["week", "holiday", "is_holiday"]
# Day, name and flag.
_Day = tuple[pd.Timestamp, str, bool]


def _weeks_of(days: Iterable[_Day], weekday: int) -> pd.DataFrame:
    frame = pd.DataFrame(list(days), columns=_NAMED)
    return frame.assign(week=week_of_day(pd.DatetimeIndex(frame["week"]), weekday))


def _within(named: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    named = named.astype({"week": "datetime64[ns]", "holiday": object, "is_holiday": bool})
    named = named[named["week"].between(first, last)]
    return named.groupby(["week", "holiday"])["is_holiday"].max().reset_index()


def _country_days(rule: HolidayRule, years: range) -> list[_Day]:
    """Each public holiday, with Easter Sunday where a day of Easter is one, and golden weeks."""
    public = _public_days(rule, years)
    days = [(day, name, True) for day, name in public]
    if rule.country in _GOLDEN_WEEKS:
        days += [(pd.Timestamp(year, *_GOLDEN_WEEKS[rule.country]), GOLDEN_WEEK, True) for year in years]
    held = {day for day, _ in public}
    for method in (EASTER_WESTERN, EASTER_ORTHODOX):
        sundays = [pd.Timestamp(easter(year, method)) for year in years]
        if all(any(day + pd.Timedelta(days=away) in held for away in _EASTER_DAYS) for day in sundays):
            return days + [(day, EASTER, False) for day in sundays]
    return days


def _public_days(rule: HolidayRule, years: range) -> list[tuple[pd.Timestamp, str]]:
    """Day and name of each public holiday of a country."""
    import holidays

    try:
        public = holidays.country_holidays(
            rule.country, subdiv=rule.subdivision or None, years=years, language="en_US", expand=False
        )
    except NotImplementedError as error:
        raise SchemaError(
            f"holidays: {error}; expected an ISO 3166 country such as DE, and one of its subdivisions such as BY"
        ) from None
    return [(pd.Timestamp(day), _plain(day, name)) for day, names in public.items() for name in names.split(SEPARATOR)]


def _plain(day: date, name: str) -> str:
    """The name without what is in brackets: it says that a day is moved or estimated, and differs by year."""
    if (day.month, day.day) == _CHRISTMAS_DAY:
        return CHRISTMAS
    return DAY_OFF if name.startswith(_SUBSTITUTES) else name.split(" (")[0].strip()


def _christmas_first(column: pd.Series) -> pd.Series:
    """Sort key of a column of weeks, or of names."""
    return column if column.name == "week" else column.where(column != CHRISTMAS, "")
