from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from demand_assets.errors import SchemaError
from demand_assets.forecasting import calendar, holidays, weeks
from demand_assets.forecasting.holidays import US, HolidayRule
from demand_assets.monitoring.drift import lost_flags

FRIDAY, SATURDAY = 4, 5
# What the rule says, without any landed flag.
FRIDAYS = holidays.holiday_weeks(US, pd.Timestamp("2000-01-07"), pd.Timestamp("2040-12-28"))
NO_FLAGS = pd.DataFrame({"week": pd.DatetimeIndex([]), "is_holiday": np.array([], dtype=bool)})


def _rule(country: str, first: str, last: str, subdivision: str = "") -> pd.DataFrame:
    """The calendar of a country whose flags have not landed."""
    return calendar.calendar_of(NO_FLAGS, HolidayRule(country, subdivision), pd.Timestamp(first), pd.Timestamp(last))


def _flagged(landed: pd.DataFrame) -> list[str]:
    return [f"{week:%Y-%m-%d}" for week in landed.loc[landed["is_holiday"], "week"]]


def _back(calendar_frame: pd.DataFrame, first: str, count: int) -> list[float]:
    return calendar.weeks_back(pd.date_range(first, periods=count, freq="7D"), calendar_frame).tolist()


def test_a_thursday_is_refused_with_the_nearest_fridays() -> None:
    with pytest.raises(ValueError, match=r"2012-11-01 is a Thursday.*2012-10-26 and 2012-11-02"):
        weeks.as_week("2012-11-01", FRIDAY)


def test_weeks_of_two_weekdays_are_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"2012-11-09 is a Friday.*its Saturday.*2012-11-03 and 2012-11-10"):
        weeks.weekday_of(pd.DatetimeIndex(["2012-11-03", "2012-11-09"]))
    assert weeks.weekday_of(pd.DatetimeIndex(["2012-11-03", "2012-11-10"])) == SATURDAY


def test_the_nearest_friday_is_at_most_three_days_away() -> None:
    assert [weeks.days_past_friday(weekday) for weekday in range(7)] == [3, -3, -2, -1, 0, 1, 2]


def test_week_numbers_count_weeks() -> None:
    span = weeks.weeks_between(pd.Timestamp("2011-12-30"), pd.Timestamp("2012-01-20"))
    assert np.diff(weeks.week_number(span)).tolist() == [1, 1, 1]


def test_holiday_weeks_are_those_the_walmart_data_flags() -> None:
    flagged = "2010-02-12 2010-09-10 2010-11-26 2010-12-31 2011-02-11 2011-09-09 2011-11-25 2011-12-30 2012-02-10"
    span = weeks.weeks_between(pd.Timestamp("2010-02-05"), pd.Timestamp("2012-06-29"))
    found = span[calendar.holiday_kind(span, FRIDAYS) > 0]
    assert [f"{week:%Y-%m-%d}" for week in found] == flagged.split()
    assert calendar.holiday_kind(found, FRIDAYS).tolist() == [1, 2, 3, 4, 1, 2, 3, 4, 1]


def _days(year: int, month: int, weekday: int) -> list[date]:
    """The days of a month that fall on a weekday, Monday is 0."""
    days = [date(year, month, 1) + timedelta(days=day) for day in range(31)]
    return [day for day in days if day.month == month and day.weekday() == weekday]


def _friday_from(day: date) -> str:
    return str(day + timedelta(days=(4 - day.weekday()) % 7))


@pytest.mark.parametrize("year", range(2001, 2033))
def test_holiday_weeks_are_those_of_a_plain_calendar(year: int) -> None:
    expected = {
        "super_bowl": _friday_from(_days(year, 2, 6)[0 if year <= 2021 else 1]),
        "labor_day": _friday_from(_days(year, 9, 0)[0]),
        "thanksgiving": _friday_from(_days(year, 11, 3)[3]),
        "christmas": str(_days(year, 12, 4)[-1]),  # the last week of the year, as Walmart flags it
    }
    assert {name: f"{holidays.holiday_week(name, year):%Y-%m-%d}" for name in holidays.US_RETAIL} == expected


def test_an_unknown_holiday_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="'diwali'; known: super_bowl, labor_day, thanksgiving, christmas, easter"):
        holidays.holiday_date("diwali", 2012)


@pytest.mark.parametrize(
    ("year", "day"), [(2010, "04-04"), (2011, "04-24"), (2012, "04-08"), (2024, "03-31"), (2038, "04-25")]
)
def test_easter_sundays(year: int, day: str) -> None:
    assert f"{holidays.holiday_date('easter', year):%m-%d}" == day


def test_most_weeks_are_like_the_one_52_weeks_before() -> None:
    span = weeks.weeks_between(pd.Timestamp("2011-06-03"), pd.Timestamp("2011-10-28"))
    assert set(calendar.weeks_back(span, FRIDAYS)) == {52.0}


def test_the_week_of_good_friday_is_matched_to_last_years() -> None:
    back = calendar.weeks_back(pd.DatetimeIndex(["2012-04-06"]), FRIDAYS)
    assert back.tolist() == [50.0]  # 2012-04-06 to 2011-04-22, both Good Fridays


def test_weeks_displaced_by_easter_are_matched_one_to_one() -> None:
    span = weeks.weeks_between(pd.Timestamp("2012-03-09"), pd.Timestamp("2012-06-01"))
    like = weeks.week_number(span) - calendar.weeks_back(span, FRIDAYS)
    assert sorted(like) == list(range(int(min(like)), int(max(like)) + 1))


# Easter 2012 was two weeks earlier than in 2011, Thanksgiving 2013 a week later than in 2012, as were Labor Day 2015
# and the Super Bowl of 2022. Three weeks around Easter and Thanksgiving move with them, the displaced ones take turns.
@pytest.mark.parametrize(
    ("first", "back"),
    [
        ("2012-03-30", [52, 50, 50, 50, 55, 55, 52]),
        ("2013-11-08", [52, 49, 53, 53, 53]),
        ("2015-08-28", [52, 51, 53, 52]),
        ("2022-02-04", [52, 51, 53, 52]),
    ],
)
def test_a_holiday_that_moved_is_matched_to_itself(first: str, back: list[int]) -> None:
    span = pd.date_range(first, periods=len(back), freq="7D")
    assert calendar.weeks_back(span, FRIDAYS).tolist() == back
    # Without Easter spring is matched by date, and every other holiday as before.
    assert calendar.weeks_back(span, FRIDAYS, with_easter=False).tolist() == (
        [52] * 7 if first == "2012-03-30" else back
    )


def test_a_week_has_the_same_counterpart_whatever_is_asked_with_it() -> None:
    span = weeks.weeks_between(pd.Timestamp("2012-12-28"), pd.Timestamp("2014-01-10"))
    alone = [calendar.weeks_back(pd.DatetimeIndex([week]), FRIDAYS)[0] for week in span]
    assert calendar.weeks_back(span, FRIDAYS).tolist() == alone
    assert calendar.weeks_back(span[:0], FRIDAYS).tolist() == []


@pytest.mark.parametrize("year", range(2002, 2030))
def test_weeks_with_a_day_of_the_15_before_christmas_are_matched_by_date(year: int) -> None:
    """Christmas Day falls on every weekday in these years: on a Saturday in 2004, 2010, 2021 and 2027."""
    fridays = [day for day in (date(year, 12, 7) + timedelta(days=day) for day in range(50)) if day.weekday() == 4]
    year_ago = (date(year, 12, 25) - date(year - 1, 12, 25)).days / 7
    expected = []
    for friday in fridays:
        days = [friday - timedelta(days=day) for day in range(7)]
        expected.append(year_ago if any((12, 10) <= (day.month, day.day) <= (12, 25) for day in days) else 52.0)
    assert calendar.weeks_back(pd.DatetimeIndex(fridays), FRIDAYS).tolist() == expected


def test_weeks_from_easter_are_counted_to_the_nearest_one() -> None:
    span = pd.date_range("2012-03-09", periods=12, freq="7D")
    assert calendar.easter_offset(span, FRIDAYS).tolist() == [-4, -4, -3, -2, -1, 0, 1, 2, 3, 4, 4, 4]
    # Easter 2011 was on 04-24, 2012 on 04-08 and 2013 on 03-31.
    for week, offset in (("2012-01-06", -4), ("2012-08-17", 4), ("2012-11-16", -4)):
        assert calendar.easter_offset(pd.DatetimeIndex([week]), FRIDAYS).tolist() == [offset]


def test_a_lost_flag_is_looked_for_where_the_holiday_was_last_year() -> None:
    """Easter was flagged in the week of Good Friday, 2011-04-22; in 2012 that is 2012-04-06, 50 weeks later."""
    origins = weeks.weeks_between(pd.Timestamp("2011-03-04"), pd.Timestamp("2012-03-30"))
    flags = pd.Series(origins == pd.Timestamp("2011-04-22"), index=origins)
    ahead = pd.date_range("2012-04-06", periods=3, freq="7D")
    targets = pd.DataFrame({"target_week": ahead, "is_holiday": 0.0})
    found = lost_flags(origins[-1], flags, targets, FRIDAYS)
    assert found == {"is_holiday": "chain: Holiday in the week lost its flag in week 2012-04-06 (a holiday last year)"}
    flagged = targets.assign(is_holiday=(ahead == pd.Timestamp("2012-04-06")).astype(float))
    assert lost_flags(origins[-1], flags, flagged, FRIDAYS) == {}


def test_christmas_weeks_are_matched_by_days_to_christmas() -> None:
    back = calendar.weeks_back(pd.DatetimeIndex(["2011-12-23"]), FRIDAYS)
    assert back[0] == pytest.approx(52 + 1 / 7)  # a day of the week before Christmas 2010 moved into this week


def test_a_week_is_a_holiday_if_any_store_says_so() -> None:
    one, two = pd.Timestamp("2012-02-03"), pd.Timestamp("2012-02-10")
    conditions = pd.DataFrame(
        {"store_id": [1, 1, 2, 2], "week": [two, one, one, two], "is_holiday": [False, False, False, True]}
    )
    expected = pd.DataFrame({"week": [one, two], "is_holiday": [False, True]})
    pd.testing.assert_frame_equal(calendar.calendar_from_covariates(conditions), expected)


def test_a_landed_flag_holds_against_the_rule_and_gaps_follow_it() -> None:
    span = weeks.weeks_between(pd.Timestamp("2010-02-05"), pd.Timestamp("2010-12-31"))
    landed = pd.DataFrame({"week": span, "is_holiday": calendar.holiday_kind(span, FRIDAYS) > 0})
    # Labor Day was landed without its flag, a week of May with one; Thanksgiving's week was not landed.
    landed.loc[landed["week"] == pd.Timestamp("2010-09-10"), "is_holiday"] = False
    landed.loc[landed["week"] == pd.Timestamp("2010-05-07"), "is_holiday"] = True
    landed = landed[landed["week"] != pd.Timestamp("2010-11-26")]
    extended = calendar.calendar_of(landed, US, span[0], pd.Timestamp("2011-09-09"))
    # The retailer's own holiday in May is there next year too.
    flagged = "2010-02-12 2010-05-07 2010-11-26 2010-12-31 2011-02-11 2011-05-06 2011-09-09"
    assert _flagged(extended) == flagged.split()
    assert len(extended) == 84
    assert extended.columns.tolist() == list(calendar.CALENDAR_COLUMNS)
    assert extended.loc[~extended["is_landed"], "week"].iloc[:2].tolist() == [
        pd.Timestamp("2010-11-26"),
        pd.Timestamp("2011-01-07"),
    ]


def test_flags_after_a_landed_calendar_without_any_follow_the_rule() -> None:
    span = weeks.weeks_between(pd.Timestamp("2010-03-05"), pd.Timestamp("2010-08-27"))
    landed = pd.DataFrame({"week": span, "is_holiday": False})
    assert _flagged(calendar.calendar_of(landed, US, span[0], pd.Timestamp("2010-09-10"))) == ["2010-09-10"]


def test_a_former_calendar_gives_the_flags_that_landed_and_no_others() -> None:
    first, last = pd.Timestamp("2010-01-01"), pd.Timestamp("2011-12-30")
    landed = pd.DataFrame(
        {"week": [pd.Timestamp("2010-02-12"), pd.Timestamp("2010-09-10")], "is_holiday": [True, False]}
    )
    former = calendar.calendar_of(landed, US, first, last)
    assert _flagged(former)[1:3] == ["2010-11-26", "2010-12-31"]
    pd.testing.assert_frame_equal(calendar.calendar_of(former, US, first, last), former)


def test_a_holiday_of_the_rule_that_was_twice_not_flagged_is_none_of_the_retailers() -> None:
    span = weeks.weeks_between(pd.Timestamp("2010-01-01"), pd.Timestamp("2011-12-30"))
    kept = ["2010-11-26", "2010-12-31", "2011-11-25", "2011-12-30"]
    landed = pd.DataFrame({"week": span, "is_holiday": span.isin(pd.DatetimeIndex(kept))})
    extended = calendar.calendar_of(landed, US, span[0], pd.Timestamp("2012-12-28"))
    assert _flagged(extended) == [*kept, "2012-11-23", "2012-12-28"]


def test_a_retailers_own_holiday_follows_easter_where_it_fell_on_it() -> None:
    span = weeks.weeks_between(pd.Timestamp("2010-01-01"), pd.Timestamp("2011-12-30"))
    own = ["2010-02-12", "2010-04-09", "2011-02-11", "2011-04-29"]
    landed = pd.DataFrame({"week": span, "is_holiday": span.isin(pd.DatetimeIndex(own))})
    extended = calendar.calendar_of(landed, US, span[0], pd.Timestamp("2012-12-28"))
    assert _flagged(extended) == [*own, "2012-02-10", "2012-04-13"]


def test_flags_after_the_landed_calendar_follow_the_rule() -> None:
    span = weeks.weeks_between(pd.Timestamp("2010-02-05"), pd.Timestamp("2010-12-31"))
    landed = pd.DataFrame({"week": span, "is_holiday": calendar.holiday_kind(span, FRIDAYS) > 0})
    extended = calendar.calendar_of(landed, US, span[0], pd.Timestamp("2011-02-25"))
    assert extended.loc[extended["is_holiday"], "week"].max() == pd.Timestamp("2011-02-11")


@pytest.mark.parametrize("years", range(1, 11))
def test_a_holiday_of_a_date_recurs_in_the_week_that_holds_it(years: int) -> None:
    """1 May, flagged over so many years and nowhere in the rule; 52 weeks on it lies in another week at last."""
    span = weeks.weeks_between(pd.Timestamp("2009-01-02"), pd.Timestamp(f"{2008 + years}-12-25"))
    days = pd.DatetimeIndex([f"{2009 + year}-05-01" for year in range(years + 1)])
    held = weeks.week_of_day(days, FRIDAY)
    landed = pd.DataFrame({"week": span, "is_holiday": span.isin(held)})
    extended = calendar.calendar_of(landed, HolidayRule(), span[0], pd.Timestamp(f"{2009 + years}-12-18"))
    (found,) = extended.loc[extended["is_holiday"] & ~extended["is_landed"], "week"]
    # The middle of seven days is three from any of them; flags of more years leave fewer days.
    assert abs((found - held[-1]).days) <= (7 if years < 5 else 0)


def test_two_holidays_of_neighbouring_weeks_recur_as_two() -> None:
    span = weeks.weeks_between(pd.Timestamp("2010-01-01"), pd.Timestamp("2011-12-30"))
    own = pd.DatetimeIndex(["2010-07-02", "2010-07-09", "2011-07-01", "2011-07-08"])
    landed = pd.DataFrame({"week": span, "is_holiday": span.isin(own)})
    extended = calendar.calendar_of(landed, HolidayRule(), span[0], pd.Timestamp("2012-12-28"))
    assert _flagged(extended)[4:] == ["2012-06-29", "2012-07-06"]


def test_without_rule_or_flags_there_are_no_holidays_and_every_week_is_like_52_before() -> None:
    first, last = pd.Timestamp("2010-01-01"), pd.Timestamp("2014-12-26")
    none = calendar.calendar_of(NO_FLAGS, HolidayRule(), first, last)
    span = weeks.weeks_between(first, last)
    assert not none["is_holiday"].any()
    assert set(none["holiday"]) == {""}
    assert set(calendar.weeks_back(span, none)) == {52.0}
    assert set(calendar.easter_offset(span, none)) == {4}
    assert set(calendar.holiday_kind(span, none)) == {0}


def test_a_german_calendar_has_easter_and_1_may_and_no_thanksgiving() -> None:
    german = _rule("DE", "2012-01-06", "2012-12-28", "BY")
    named = german[german["holiday"] != ""].set_index("week")["holiday"]
    assert {f"{week:%m-%d}": names for week, names in named.items()} == {
        "01-06": "Epiphany; New Year's Day", "04-06": "Good Friday", "04-13": "Easter Monday; easter",
        "05-04": "Labor Day", "05-18": "Ascension Day", "06-01": "Pentecost Monday", "06-08": "Corpus Christi",
        "10-05": "German Unity Day", "11-02": "All Saints' Day", "12-28": "christmas; Second Day of Christmas",
    }  # fmt: skip
    assert _flagged(german) == [f"2012-{day:%m-%d}" for day in named.index]


def test_a_holiday_of_other_regions_is_named_where_the_retailer_flags_it() -> None:
    """Corpus Christi is a holiday of some German states, and moves with Easter: 2014-06-19, 2015-06-04, 2016-05-26."""
    span = weeks.weeks_between(pd.Timestamp("2014-01-05"), pd.Timestamp("2015-12-27"))
    own = pd.DatetimeIndex(["2014-06-22", "2015-06-07"])
    landed = pd.DataFrame({"week": span, "is_holiday": span.isin(own)})
    landed["is_holiday"] |= span.isin(_rule("DE", "2014-01-05", "2015-12-27").query("is_holiday")["week"])
    extended = calendar.calendar_of(landed, HolidayRule("DE"), span[0], pd.Timestamp("2016-12-25"))
    assert extended.loc[extended["holiday"] == "Corpus Christi", "week"].tolist() == [*own, pd.Timestamp("2016-05-29")]
    assert "2016-05-29" in _flagged(extended)
    assert not extended["holiday"].str.contains("Reformation").any()


def test_rules_that_contradict_or_name_no_country_are_refused() -> None:
    for rule, said in (
        ({"retail": "uk"}, "retail is 'uk'; expected us or nothing"),
        ({"retail": "us", "country": "DE"}, "country DE and retail us; name one of them"),
        ({"subdivision": "BY"}, "subdivision is 'BY' without a country"),
    ):
        with pytest.raises(SchemaError, match=said):
            HolidayRule(**rule)
    for country, subdivision in (("XX", ""), ("DE", "ZZ")):
        with pytest.raises(SchemaError, match="expected an ISO 3166 country such as DE"):
            _rule(country, "2012-01-06", "2012-12-28", subdivision)


# Eid al-Fitr began on 2011-08-30 and 2012-08-18, the new year of China on 2012-01-22 and 2013-02-09.
@pytest.mark.parametrize(
    ("country", "this", "last"), [("SA", "2012-08-24", "2011-09-02"), ("CN", "2013-02-15", "2012-01-27")]
)
def test_a_long_holiday_that_moved_is_matched_with_the_weeks_around_it(country: str, this: str, last: str) -> None:
    held = _rule(country, "2010-01-01", "2014-12-26")
    apart = (pd.Timestamp(this) - pd.Timestamp(last)).days / 7
    before = pd.Timestamp(this) - pd.Timedelta(days=7)
    found = _back(held, f"{before:%Y-%m-%d}", 3)
    assert found.count(apart) >= 2


def test_matches_that_contradict_are_left_out_as_a_whole() -> None:
    """In 2011 Labor Day lies in the week after Easter, which comes first; Ascension Day moves by itself."""
    held = _rule("DE", "2009-01-02", "2014-12-26")
    span = weeks.weeks_between(pd.Timestamp("2010-12-31"), pd.Timestamp("2013-12-27"))
    like = weeks.week_number(span) - calendar.weeks_back(span, held)
    whole = like[like % 1 == 0]
    # No week of last year is used twice outside December.
    assert len(np.unique(whole)) == len(whole)
    easter = weeks.weeks_between(pd.Timestamp("2011-04-22"), pd.Timestamp("2011-05-06"))
    assert calendar.weeks_back(easter, held).tolist() == [55.0, 55.0, 55.0]


@pytest.mark.parametrize("days", [1, -1])
def test_weeks_moved_by_a_day_are_matched_and_named_alike(days: int) -> None:
    """Easter Sunday and the Super Bowl would leave a week that ends a day before a Saturday: only to a later day."""
    moved = pd.Timedelta(days=days)
    first, last = pd.Timestamp("2008-01-04"), pd.Timestamp("2013-12-27")
    span = weeks.weeks_between(pd.Timestamp("2010-02-05"), pd.Timestamp("2013-07-26"))
    here = calendar.calendar_of(NO_FLAGS, US, first, last)
    there = calendar.calendar_of(NO_FLAGS, US, first + moved, last + moved)
    assert calendar.weeks_back(span + moved, there).tolist() == calendar.weeks_back(span, here).tolist()
    assert calendar.holiday_kind(span + moved, there).tolist() == calendar.holiday_kind(span, here).tolist()
    assert calendar.easter_offset(span + moved, there).tolist() == calendar.easter_offset(span, here).tolist()
    pd.testing.assert_frame_equal(there.assign(week=there["week"] - moved), here)


def test_a_code_of_a_name_stays_when_the_calendar_grows() -> None:
    span = weeks.weeks_between(pd.Timestamp("2012-01-06"), pd.Timestamp("2012-12-28"))
    short, long = _rule("DE", "2010-01-01", "2012-12-28"), _rule("DE", "2008-01-04", "2016-12-30")
    assert calendar.holiday_kind(span, short).tolist() == calendar.holiday_kind(span, long).tolist()
    assert len({*calendar.holiday_kind(span, long)} - {0, 4}) == 7


def test_a_calendar_reaches_from_two_years_before_to_a_year_after_and_ends_with_a_year() -> None:
    first, last = calendar.calendar_span(pd.Timestamp("2010-02-06"), pd.Timestamp("2012-10-27"))
    assert (f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}") == ("2008-01-05", "2014-12-27")
    # The same with the next week, so that the calendar does not change every week.
    assert calendar.calendar_span(pd.Timestamp("2010-02-06"), pd.Timestamp("2012-11-03")) == (first, last)


def test_a_week_outside_the_calendar_is_refused() -> None:
    with pytest.raises(SchemaError, match="week 2041-01-04 is not in the holiday calendar, which runs from 2000-01-07"):
        calendar.weeks_back(pd.DatetimeIndex(["2041-01-04"]), FRIDAYS)
