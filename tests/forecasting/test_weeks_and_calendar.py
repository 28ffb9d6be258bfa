import numpy as np
import pandas as pd
import pytest

from demand_assets.forecasting import calendar, weeks


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


@pytest.mark.parametrize(
    ("year", "day"), [(2010, "04-04"), (2011, "04-24"), (2012, "04-08"), (2024, "03-31"), (2038, "04-25")]
)
def test_easter_sundays(year: int, day: str) -> None:
    assert f"{calendar.easter_sunday(year):%m-%d}" == day


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


def test_christmas_weeks_are_matched_by_days_to_christmas() -> None:
    back = calendar.weeks_back(pd.DatetimeIndex(["2011-12-23"]))
    assert back[0] == pytest.approx(52 + 1 / 7)  # a day of the week before Christmas 2010 moved into this week


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
