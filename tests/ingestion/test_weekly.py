"""Files of any form as deliveries of weeks."""

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from demand_assets.ingestion.delivery import Delivery, LandedFile
from demand_assets.ingestion.mapping import Part, part_of, week_of_day
from demand_assets.ingestion.source import Dialect, Source
from demand_assets.ingestion.understanding import Plan
from demand_assets.ingestion.weekly import deliveries_of

SUNDAY, FRIDAY = 6, 4
SALES = {"sales": "qty"}


def file(name: str, day: int = 1) -> LandedFile:
    return LandedFile(name, f"/in/{name}", 1, datetime(2012, 11, day, tzinfo=UTC), name)


def source(name: str, day: int) -> Source:
    return Source(file(name, day), "", Dialect("csv"), pa.table({}), None)


def no_holidays(weeks: pd.DatetimeIndex) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    return np.zeros(len(weeks), dtype=bool)


def part(name: str, plan: Plan, columns: dict[str, list[object]], day: int = 1) -> Part:
    made = {key: pa.array(values) for key, values in columns.items()}
    for key in (*plan.store, *plan.dept):
        if pa.types.is_string(made[key].type):
            made[key] = made[key].dictionary_encode()
    return part_of(source(name, day), plan, pa.table(made), f"hash of {name}")


def days(name: str, first: date, values: list[float], day: int = 1, **fields: object) -> Part:
    plan = Plan("sales", store=("shop",), dept=("item",), date="day", values=SALES, days=True, **fields)  # type: ignore[arg-type]
    dates = [date.fromordinal(first.toordinal() + number) for number in range(len(values))]
    columns = {"shop": ["A"] * len(values), "item": [1] * len(values), "day": dates, "qty": values}
    return part(name, plan, columns, day)  # type: ignore[arg-type]


def rows(delivery: Delivery, *columns: str) -> list[tuple[object, ...]]:
    frame = (
        delivery.frame.assign(week=delivery.frame["week"].dt.strftime("%m-%d"))
        if "week" in delivery.frame
        else delivery.frame
    )
    return list(frame[list(columns)].itertuples(index=False, name=None))


def test_the_week_of_a_day_ends_on_the_weekday_that_is_asked_for() -> None:
    found = week_of_day(np.array(["2012-11-02", "2012-11-03", "2012-11-09"], dtype="datetime64[ns]"), FRIDAY)
    assert [str(week)[:10] for week in found] == ["2012-11-02", "2012-11-09", "2012-11-09"]


def test_days_are_summed_and_an_unfinished_last_week_is_left_out_and_said_so() -> None:
    landed = deliveries_of([days("pos.csv", date(2012, 11, 5), [1.0] * 10)], SUNDAY, no_holidays)
    (delivery,) = landed.deliveries
    assert rows(delivery, "week", "store_id", "dept_id", "sales", "is_holiday") == [("11-11", 0, 1, 7.0, False)]
    assert delivery.ids == {"store_id": ("A",)}
    assert landed.notes == ("week 2012-11-18 is unfinished and left out: its days run to 2012-11-14",)


def test_a_chain_that_never_trades_on_sundays_has_its_week_whole_on_saturday() -> None:
    weeks = [days(f"{n}.csv", date(2012, 11, 5 + 7 * n), [1.0] * 6) for n in range(2)]
    landed = deliveries_of(weeks, SUNDAY, no_holidays)
    assert [rows(one, "week", "sales") for one in landed.deliveries] == [[("11-11", 6.0)], [("11-18", 6.0)]]
    assert landed.notes == ()


def test_a_week_from_two_files_is_a_delivery_of_both_and_the_newest_file_of_a_day_counts() -> None:
    older = days("a.csv", date(2012, 11, 5), [1.0] * 10)
    newer = days("b.csv", date(2012, 11, 14), [5.0] * 5, day=2)
    landed = deliveries_of([older, newer], SUNDAY, no_holidays)
    assert [(one.file.name, rows(one, "week", "sales")) for one in landed.deliveries] == [
        ("a.csv", [("11-11", 7.0)]),
        ("a.csv + b.csv", [("11-18", 2 + 5 * 5.0)]),
    ]
    assert len({one.content_hash for one in landed.deliveries}) == 2


def test_another_file_leaves_the_deliveries_of_other_weeks_as_they_were() -> None:
    older, newer = days("a.csv", date(2012, 11, 5), [1.0] * 14), days("b.csv", date(2012, 11, 19), [1.0] * 7, day=2)
    (before,) = deliveries_of([older], SUNDAY, no_holidays).deliveries
    after = deliveries_of([older, newer], SUNDAY, no_holidays).deliveries
    assert after[0].content_hash == before.content_hash
    pd.testing.assert_frame_equal(after[0].frame, before.frame)


def test_sales_without_flags_take_those_of_covariates_then_those_of_the_calendar() -> None:
    weeks = [date(2012, 11, 2), date(2012, 11, 9)]
    sales = part(
        "sales.csv",
        Plan("sales", store=("shop",), date="week", values=SALES),
        {"shop": ["A", "A"], "week": weeks, "qty": [1.0, 2.0]},
    )
    covariates = part(
        "weather.csv",
        Plan("covariates", "store", store=("shop",), date="week", values={"rain": "rain"}, flag="off"),
        {"shop": ["A"], "week": weeks[:1], "rain": [0.5], "off": [True]},
    )

    def always(known: pd.DatetimeIndex) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        return np.ones(len(known), dtype=bool)

    told, weather = deliveries_of([sales, covariates], FRIDAY, always).deliveries
    assert rows(told, "week", "dept_id", "is_holiday") == [("11-02", 0, True), ("11-09", 0, True)]
    assert told.ids["dept_id"] == ("all",)
    assert rows(weather, "week", "rain", "is_holiday") == [("11-02", 0.5, True)]
    plain, _ = deliveries_of([sales, covariates], FRIDAY, no_holidays).deliveries
    assert plain.frame["is_holiday"].tolist() == [True, False]


def test_the_calendar_is_asked_once_for_all_files() -> None:
    plan, asked = Plan("sales", store=("shop",), date="week", values=SALES), []
    weeks = [date(2012, 11, 2), date(2012, 11, 9), date(2012, 11, 16)]
    files = [part(f"{week}.csv", plan, {"shop": ["A"], "week": [week], "qty": [1.0]}) for week in weeks]

    def of_the_9th(known: pd.DatetimeIndex) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        asked.append(list(known.date))
        return np.asarray(known.day == 9)

    made = deliveries_of(files, FRIDAY, of_the_9th).deliveries
    assert [one.frame["is_holiday"].tolist() for one in made] == [[False], [True], [False]]
    assert asked == [weeks]


def test_covariates_of_the_chain_are_those_of_every_store_and_join_those_of_stores() -> None:
    week = date(2012, 11, 2)
    parts = [
        part("s.csv", Plan("sales", store=("shop",), date="week", values=SALES),
             {"shop": ["A", "B"], "week": [week] * 2, "qty": [1.0, 2.0]}),
        part("oil.csv", Plan("covariates", "chain", date="week", values={"oil": "oil"}),
             {"week": [week], "oil": [9.0]}),
        part("rain.csv", Plan("covariates", "store", store=("shop",), date="week", values={"rain": "rain"}),
             {"shop": ["B"], "week": [week], "rain": [0.5]}),
    ]  # fmt: skip
    _, joined = deliveries_of(parts, FRIDAY, no_holidays).deliveries
    assert joined.file.name == "oil.csv + rain.csv"
    found = (
        joined.frame[["store_id", "oil", "rain"]]
        .astype(object)
        .where(joined.frame[["store_id", "oil", "rain"]].notna(), None)
    )
    assert found.to_numpy().tolist() == [[0, 9.0, None], [1, 9.0, 0.5]]


def test_a_column_per_date_becomes_a_row_per_date_from_the_first_sale_on() -> None:
    plan = Plan(
        "sales",
        store=("shop",),
        dept=("item",),
        dates={"d_1": date(2012, 11, 2), "d_2": date(2012, 11, 9), "d_3": date(2012, 11, 16)},
    )
    wide = part(
        "m.csv",
        plan,
        {"shop": ["A", "A"], "item": ["x", "y"], "d_1": [0.0, 1.0], "d_2": [2.0, 0.0], "d_3": [0.0, np.nan]},
    )
    (made,) = deliveries_of([wide], FRIDAY, no_holidays).deliveries
    assert rows(made, "week", "dept_id", "sales") == [
        ("11-02", 1, 1.0), ("11-09", 0, 2.0), ("11-09", 1, 0.0), ("11-16", 0, 0.0),
    ]  # fmt: skip


def test_weeks_named_by_their_first_day_are_moved_to_their_last() -> None:
    plan = Plan("sales", store=("shop",), date="week", values=SALES, shift=6)
    made = part("s.csv", plan, {"shop": [1], "week": [date(2012, 11, 4)], "qty": [1.0]})
    assert made.frame["week"].tolist() == [pd.Timestamp("2012-11-10")]


def test_a_keyed_delivery_is_sorted_by_its_keys() -> None:
    plan = Plan("sales", store=("shop",), date="week", values=SALES)
    sold = part("s.csv", plan, {"shop": ["A", "B"], "week": [date(2012, 11, 2)] * 2, "qty": [1.0, 2.0]})
    (delivery,) = deliveries_of([sold], FRIDAY, no_holidays).deliveries
    keyed = delivery.keyed({"store_id": {"A": 9, "B": 4}, "dept_id": {"all": 1}})
    assert rows(keyed, "store_id", "dept_id", "sales") == [(4, 1, 2.0), (9, 1, 1.0)]
    assert keyed.frame["store_id"].dtype == np.int32
    with pytest.raises(KeyError, match="B"):
        delivery.keyed({"store_id": {"A": 9}, "dept_id": {"all": 1}})
