"""What-if: the CSV of changes, and the plans it makes."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from demand_assets.errors import ScenarioError
from demand_assets.forecasting.changes import Plannable, levels_of
from demand_assets.forecasting.drivers import ALL, DriverFrames
from demand_assets.forecasting.scenarios import money_by_week, planned, values_at, with_changes

ORIGIN = pd.Timestamp("2012-10-26")
W0, W1, W2 = (pd.Timestamp(day) for day in ("2012-10-19", "2012-11-02", "2012-11-09"))
KEYS = {"store_id": "int32", "dept_id": "int32"}
NAN = float("nan")


def frame(columns: list[str], *rows: tuple[object, ...]) -> pd.DataFrame:
    made = pd.DataFrame(list(rows), columns=columns)
    weeks = {name: "datetime64[ns]" for name in ("week", "origin_week") if name in columns}
    return made.astype({**{name: kind for name, kind in KEYS.items() if name in columns}, **weeks})


DRIVERS = DriverFrames(
    ("promo", "price"),
    frame(["store_id", "week", "promo"], (1, ORIGIN, 0.0), (2, ORIGIN, 1.0)),
    frame(["store_id", "dept_id", "week", "price"], (1, 7, W0, 5.0), (1, 7, ORIGIN, 4.0), (1, 8, ORIGIN, NAN)),
    frame(
        ["origin_week", "store_id", "dept_id", "week", "promo", "price"],
        (W0, 1, ALL, W1, 1.0, NAN),
        (ORIGIN, 1, ALL, W1, 0.0, NAN),
        (ORIGIN, 1, 7, W1, NAN, 3.0),
        (ORIGIN, 2, 7, W1, NAN, 2.0),
    ),
)
PLANNABLE = Plannable(
    levels_of(DRIVERS),
    ("temperature",),
    {"Nord": 1, "Süd": 2, "West": 3},
    {"milk": 7, "bread": 8},
    frame(["store_id", "dept_id"], (1, 7), (1, 8), (2, 7)),
    pd.DatetimeIndex([W1, W2]),
)


def moved(text: str) -> list[tuple[object, ...]]:
    _, cells = with_changes(text, DRIVERS, ORIGIN, PLANNABLE)
    return [tuple(row) for row in cells.assign(week=cells["week"].dt.strftime("%m-%d")).itertuples(index=False)]


def error_of(text: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        with_changes(text, DRIVERS, ORIGIN, PLANNABLE, "c.csv")
    return str(caught.value)


def test_a_factor_is_of_the_plan_else_of_the_newest_value() -> None:
    assert moved("covariate,change,dept_id,store_id\nprice,*0.5,milk,Nord\n") == [
        (1, 7, "11-02", "price", 3.0, 1.5),
        (1, 7, "11-09", "price", 4.0, 2.0),
    ]


def test_an_empty_cell_means_all_and_a_store_has_one_value_for_all_departments() -> None:
    text = "week,covariate,change\n2012-11-09,promo,1\n2012-11-09,price,9.5\n"
    assert [row[:2] + row[3:] for row in moved(text)] == [
        (1, ALL, "promo", 0.0, 1.0),
        (1, 7, "price", 4.0, 9.5),
        pytest.approx((1, 8, "price", NAN, 9.5), nan_ok=True),
        (2, ALL, "promo", 1.0, 1.0),
        pytest.approx((2, 7, "price", NAN, 9.5), nan_ok=True),
    ]


def test_of_two_lines_for_one_value_the_last_counts() -> None:
    text = "store_id,week,covariate,change\n,2012-11-02,promo,1\nNord,2012-11-02,promo,0\n"
    assert moved(text) == [(2, ALL, "11-02", "promo", 1.0, 1.0)]


def test_percentages_semicolons_and_a_byte_order_mark_are_read() -> None:
    text = "\ufeffstore_id;dept_id;week;covariate;change\r\nNord;milk;2012-11-02;price;-20%\r\n\r\n"
    assert moved(text) == [(1, 7, "11-02", "price", 3.0, pytest.approx(2.4))]


def test_only_the_changed_cells_of_the_origins_plan_are_another() -> None:
    text = "store_id,dept_id,covariate,week,change\nNord,milk,price,2012-11-02,1\n"
    changed, _ = with_changes(text, DRIVERS, ORIGIN, PLANNABLE)
    expected = DRIVERS.plans.copy()
    expected.loc[2, "price"] = 1.0
    by = ["origin_week", "store_id", "dept_id", "week"]
    pd.testing.assert_frame_equal(
        changed.plans.sort_values(by, ignore_index=True), expected.sort_values(by, ignore_index=True)
    )
    assert changed.of_stores is DRIVERS.of_stores


def test_an_origin_without_plans_starts_from_the_values_of_its_weeks() -> None:
    stated = frame(["store_id", "week", "promo"], (1, ORIGIN, 0.0), (1, W1, 1.0))
    drivers = DriverFrames(
        ("promo",),
        stated,
        stated.iloc[:0][["store_id", "week"]].assign(dept_id=0),
        DRIVERS.plans[["origin_week", "store_id", "dept_id", "week", "promo"]].iloc[:1],
    )
    plan = planned(drivers, ORIGIN, PLANNABLE.weeks)
    assert plan[["store_id", "dept_id", "week", "covariate", "value"]].to_numpy().tolist() == [
        [1, ALL, W1, "promo", 1.0]
    ]
    changed, _ = with_changes("covariate,change,week,store_id\npromo,0,2012-11-09,Nord\n", drivers, ORIGIN, PLANNABLE)
    own = changed.plans[changed.plans["origin_week"] == ORIGIN]
    assert own[["store_id", "dept_id", "week", "promo"]].to_numpy().tolist() == [[1, ALL, W1, 1.0], [1, ALL, W2, 0.0]]


def test_a_plan_of_a_whole_store_is_that_of_its_series_until_one_has_its_own() -> None:
    plans = DRIVERS.plans.assign(price=[NAN, 6.0, 3.0, 2.0])
    drivers = replace(DRIVERS, plans=plans)
    text = "store_id,week,covariate,change\nNord,2012-11-02,price,*0.5\n"
    changed, cells = with_changes(text, drivers, ORIGIN, PLANNABLE)
    assert cells[["dept_id", "before", "after"]].to_numpy().tolist() == [[7, 3.0, 1.5], [8, 6.0, 3.0]]
    own = changed.plans[(changed.plans["origin_week"] == ORIGIN) & (changed.plans["store_id"] == 1)]
    assert own[["dept_id", "price"]].to_numpy().tolist() == [[ALL, 6.0], [7, 1.5], [8, 3.0]]


def test_money_is_each_forecast_at_its_own_price() -> None:
    changed, _ = with_changes("dept_id,covariate,change\nmilk,price,*0.5\n", DRIVERS, ORIGIN, PLANNABLE)
    names = ["store_id", "dept_id", "target_week", "forecast"]
    base = pd.DataFrame([(1, 7, W1, 10.0), (1, 7, W2, 10.0), (1, 8, W1, 99.0)], columns=names)
    made = base.assign(forecast=[18.0, 16.0, 99.0])
    before, after = (values_at(drivers, ORIGIN, PLANNABLE, "price") for drivers in (DRIVERS, changed))
    assert money_by_week(base, made, before, after) == {"2012-11-02": [30.0, 27.0], "2012-11-09": [40.0, 32.0]}


def test_every_wrong_line_is_named_at_once() -> None:
    text = (
        "store_id,dept_id,week,covariate,change\n"
        "Nort,milk,2012-11-02,price,1\n"
        "Nord,,2012-11-03,price,1\n"
        "Nord,,2012-12-07,price,cheap\n"
        ",,,temperature,1\n"
        ",,,prise,+10\n"
        "Nord,milk,,promo,1\n"
        ",,,price,-150%\n"
    )
    assert error_of(text) == (
        "c.csv: line 2, column store_id, 'Nort': expected an id of the data or nothing (nearest: Nord); "
        "line 3, column week, '2012-11-03': 2012-11-03 is a Saturday; a week is named by its Friday, "
        "the nearest are 2012-11-02 and 2012-11-09; "
        "line 4, column change, 'cheap': expected a value such as 1.99, a factor such as *0.5, or a percentage such as "
        "-20%; "
        "line 4, column week, '2012-12-07': expected a target week, 2012-11-02 to 2012-11-09; "
        "line 5, column covariate, 'temperature': is known only once its week has ended; known ahead are promo, price; "
        "line 6, column change, '+10': expected a value such as 1.99, a factor such as *0.5, or a percentage such as "
        "-20%; "
        "line 6, column covariate, 'prise': expected a covariate that is known ahead: promo, price (nearest: price); "
        "line 7, column dept_id, 'milk': expected nothing, as promo is a value of a whole store; "
        "line 8, column change, '-150%': expected at most -100%"
    )


def test_a_line_that_can_move_nothing_is_refused() -> None:
    assert error_of("store_id,covariate,change\nWest,price,1\n") == (
        "c.csv: line 2, columns store_id, dept_id: expected a series that is forecast, got none"
    )
    assert error_of("store_id,dept_id,covariate,change\nNord,bread,price,*2\n") == (
        "c.csv: line 2, column change: expected a value, as no price is planned or known to take a share of"
    )
    assert error_of("store_id,dept_id,week,covariate,change\nNord,milk,2012-11-02,price,3\n") == (
        "c.csv: expected a change, got values that are planned already"
    )


def test_a_file_of_another_shape_is_refused() -> None:
    assert error_of("covariate,change\n") == "c.csv: expected a header and at least one change, got 1 lines"
    assert error_of("covariat,change,change\nprice,1,1\n") == (
        "c.csv, line 1: no column covariate, unknown column 'covariat' (nearest: covariate), column change twice; "
        "expected columns of store_id, dept_id, week, covariate, change"
    )
    assert error_of("covariate,change\nprice\n") == "c.csv: line 2, expected 2 cells, got 1"
