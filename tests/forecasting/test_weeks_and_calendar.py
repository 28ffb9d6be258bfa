from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from demand_assets.forecasting import calendar, weeks
from demand_assets.monitoring.drift import lost_flags


def test_a_thursday_is_refused_with_the_nearest_fridays() -> None:
    with pytest.raises(ValueError, match=r"2012-11-01 is a Thursday.*2012-10-26 and 2012-11-02"):
        weeks.as_week("2012-11-01")


def test_week_numbers_count_weeks() -> None:
    span = weeks.weeks_between(pd.Timestamp("2011-12-30"), pd.Timestamp("2012-01-20"))
    assert np.diff(weeks.week_number(span)).tolist() == [1, 1, 1]


def test_holiday_weeks_are_those_the_walmart_data_flags() -> None:
    flagged = "2010-02-12 2010-09-10 2010-11-26 2010-12-31 2011-02-11 2011-09-09 2011-11-25 2011-12-30 2012-02-10"
    span = weeks.weeks_between(pd.Timestamp("2010-02-05"), pd.Timestamp("2012-06-29"))
    found = span[calendar.holiday_kind(span) > 0]
    assert [f"{week:%Y-%m-%d}" for week in found] == flagged.split()
    assert calendar.holiday_kind(found).tolist() == [1, 2, 3, 4, 1, 2, 3, 4, 1]


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
    assert {name: f"{calendar.holiday_week(name, year):%Y-%m-%d}" for name in calendar.HOLIDAYS} == expected


def test_an_unknown_holiday_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="'diwali'; known: super_bowl, labor_day, thanksgiving, christmas, easter"):
        calendar.holiday_date("diwali", 2012)


@pytest.mark.parametrize(
    ("year", "day"), [(2010, "04-04"), (2011, "04-24"), (2012, "04-08"), (2024, "03-31"), (2038, "04-25")]
)
def test_easter_sundays(year: int, day: str) -> None:
    assert f"{calendar.holiday_date('easter', year):%m-%d}" == day


def test_most_weeks_are_like_the_one_52_weeks_before() -> None:
    span = weeks.weeks_between(pd.Timestamp("2011-06-03"), pd.Timestamp("2011-10-28"))
    assert set(calendar.weeks_back(span)) == {52.0}


def test_the_week_of_good_friday_is_matched_to_last_years() -> None:
    back = calendar.weeks_back(pd.DatetimeIndex(["2012-04-06"]))
    assert back.tolist() == [50.0]  # 2012-04-06 to 2011-04-22, both Good Fridays


def test_weeks_displaced_by_easter_are_matched_one_to_one() -> None:
    span = weeks.weeks_between(pd.Timestamp("2012-03-09"), pd.Timestamp("2012-06-01"))
    like = weeks.week_number(span) - calendar.weeks_back(span)
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
    assert calendar.weeks_back(span).tolist() == back
    # Without Easter spring is matched by date, and every other holiday as before.
    assert calendar.weeks_back(span, with_easter=False).tolist() == ([52] * 7 if first == "2012-03-30" else back)


def test_a_week_has_the_same_counterpart_whatever_is_asked_with_it() -> None:
    span = weeks.weeks_between(pd.Timestamp("2012-12-28"), pd.Timestamp("2014-01-10"))
    alone = [calendar.weeks_back(pd.DatetimeIndex([week]))[0] for week in span]
    assert calendar.weeks_back(span).tolist() == alone
    assert calendar.weeks_back(span[:0]).tolist() == []


@pytest.mark.parametrize("year", range(2002, 2030))
def test_weeks_with_a_day_of_the_15_before_christmas_are_matched_by_date(year: int) -> None:
    """Christmas Day falls on every weekday in these years: on a Saturday in 2004, 2010, 2021 and 2027."""
    fridays = [day for day in (date(year, 12, 7) + timedelta(days=day) for day in range(50)) if day.weekday() == 4]
    year_ago = (date(year, 12, 25) - date(year - 1, 12, 25)).days / 7
    expected = []
    for friday in fridays:
        days = [friday - timedelta(days=day) for day in range(7)]
        expected.append(year_ago if any((12, 10) <= (day.month, day.day) <= (12, 25) for day in days) else 52.0)
    assert calendar.weeks_back(pd.DatetimeIndex(fridays)).tolist() == expected


def test_weeks_from_easter_are_counted_to_the_nearest_one() -> None:
    span = pd.date_range("2012-03-09", periods=12, freq="7D")
    assert calendar.easter_offset(span).tolist() == [-4, -4, -3, -2, -1, 0, 1, 2, 3, 4, 4, 4]
    # Easter 2011 was on 04-24, 2012 on 04-08 and 2013 on 03-31.
    for week, offset in (("2012-01-06", -4), ("2012-08-17", 4), ("2012-11-16", -4)):
        assert calendar.easter_offset(pd.DatetimeIndex([week])).tolist() == [offset]


def test_a_lost_flag_is_looked_for_where_the_holiday_was_last_year() -> None:
    """Easter was flagged in the week of Good Friday, 2011-04-22; in 2012 that is 2012-04-06, 50 weeks later."""
    origins = weeks.weeks_between(pd.Timestamp("2011-03-04"), pd.Timestamp("2012-03-30"))
    flags = pd.Series(origins == pd.Timestamp("2011-04-22"), index=origins)
    ahead = pd.date_range("2012-04-06", periods=3, freq="7D")
    targets = pd.DataFrame({"target_week": ahead, "is_holiday": 0.0})
    found = lost_flags(origins[-1], flags, targets)
    assert found == {"is_holiday": "chain: is_holiday lost its flag in week 2012-04-06 (a holiday last year)"}
    flagged = targets.assign(is_holiday=(ahead == pd.Timestamp("2012-04-06")).astype(float))
    assert lost_flags(origins[-1], flags, flagged) == {}


def test_christmas_weeks_are_matched_by_days_to_christmas() -> None:
    back = calendar.weeks_back(pd.DatetimeIndex(["2011-12-23"]))
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
    landed = pd.DataFrame({"week": span, "is_holiday": calendar.holiday_kind(span) > 0})
    # Labor Day was landed without its flag, a week of May with one; Thanksgiving's week was not landed.
    landed.loc[landed["week"] == pd.Timestamp("2010-09-10"), "is_holiday"] = False
    landed.loc[landed["week"] == pd.Timestamp("2010-05-07"), "is_holiday"] = True
    landed = landed[landed["week"] != pd.Timestamp("2010-11-26")]
    extended = calendar.extend_calendar(landed, span[0], pd.Timestamp("2011-09-09"))
    flagged = "2010-02-12 2010-05-07 2010-11-26 2010-12-31 2011-02-11 2011-09-09"
    assert [f"{week:%Y-%m-%d}" for week in extended.loc[extended["is_holiday"], "week"]] == flagged.split()
    assert len(extended) == 84


def test_flags_after_a_landed_calendar_without_any_follow_the_rule() -> None:
    span = weeks.weeks_between(pd.Timestamp("2010-03-05"), pd.Timestamp("2010-08-27"))
    extended = calendar.extend_calendar(
        pd.DataFrame({"week": span, "is_holiday": False}), span[0], pd.Timestamp("2010-09-10")
    )
    assert extended.loc[extended["is_holiday"], "week"].tolist() == [pd.Timestamp("2010-09-10")]


def test_flags_after_the_landed_calendar_follow_the_rule() -> None:
    landed = pd.DataFrame({"week": weeks.weeks_between(pd.Timestamp("2010-02-05"), pd.Timestamp("2010-12-31"))})
    landed["is_holiday"] = calendar.holiday_kind(pd.DatetimeIndex(landed["week"])) > 0
    extended = calendar.extend_calendar(landed, pd.Timestamp("2010-02-05"), pd.Timestamp("2011-02-25"))
    assert extended.loc[extended["is_holiday"], "week"].max() == pd.Timestamp("2011-02-11")


def test_other_retailers_holidays_recur() -> None:
    landed = pd.DataFrame({"week": weeks.weeks_between(pd.Timestamp("2010-01-01"), pd.Timestamp("2010-12-24"))})
    landed["is_holiday"] = landed["week"] == pd.Timestamp("2010-05-07")
    extended = calendar.extend_calendar(landed, pd.Timestamp("2010-01-01"), pd.Timestamp("2011-06-03"))
    assert extended.loc[extended["is_holiday"], "week"].tolist() == [
        pd.Timestamp("2010-05-07"),
        pd.Timestamp("2011-05-06"),
    ]
