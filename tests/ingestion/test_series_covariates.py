"""Covariates of series and what is known ahead, from files in the forms they come in."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import date

import pytest

from demand_assets.errors import SchemaError
from demand_assets.ingestion.delivery import Delivery
from tests.ingestion.landed import csv, days, deliveries, parts, report, understood
from tests.ingestion.test_forms import M5

MONDAY = date(2012, 10, 29)
DAYS = days(14, 1, MONDAY)
WEEKLY = days(8, first=date(2012, 9, 14))


def daily(header: str, *columns: list[object]) -> str:
    """Two weeks of one shop and one item by day."""
    return csv(
        f"date,shop,item,qty,{header}", *((day, "A", "x", 10, *row) for day, *row in zip(DAYS, *columns, strict=True))
    )


def values(delivery: Delivery, *names: str) -> list[tuple[object, ...]]:
    frame = delivery.frame.assign(week=delivery.frame["week"].dt.strftime("%m-%d"))
    return list(frame[["week", *names]].itertuples(index=False, name=None))


def test_of_a_flag_a_week_has_the_days_on_which_it_is_set_and_of_a_price_the_mean() -> None:
    prices = [2.0] * 7 + [1.0] * 3 + [2.0] * 4
    zone = {"pos.csv": daily("promo,price", [int(price == 1) for price in prices], prices)}
    toml = '[[covariates]]\nlevel = "series"\nknown_ahead = true\ncolumns = ["promo", "price"]'
    found = deliveries(zone, toml)["pos.csv"]
    assert (found.kind, found.known_ahead) == ("series_covariates", ("promo", "price"))
    assert values(found, "promo", "price") == [("11-04", 0.0, 2.0), ("11-11", 3.0, 11 / 7)]


def test_both_levels_follow_one_rule() -> None:
    promo: list[object] = ["yes", *["no"] * 13]
    zone = {
        "pos.csv": csv(
            "date,shop,item,qty,promo",
            *((day, shop, item, 10, told) for (day, told), shop, item in
              itertools.product(zip(DAYS, promo, strict=True), "AB", "xy")),
        )
    }  # fmt: skip
    delivery = deliveries(zone, '[[covariates]]\nlevel = "store"\ncolumns = ["promo"]')["pos.csv"]
    # Told once for each item, and counted once a day.
    assert (delivery.kind, values(delivery, "promo")[:2]) == ("covariates", [("11-04", 1.0), ("11-04", 1.0)])
    assert delivery.known_ahead == ()


def test_a_count_is_no_flag_where_demand_toml_says_so() -> None:
    zone = {"pos.csv": daily("onpromotion", [1, 0] * 7)}
    toml = '[[covariates]]\nlevel = "series"\nknown_ahead = true\nweekly = "mean"\ncolumns = ["onpromotion"]'
    assert values(deliveries(zone, toml)["pos.csv"], "onpromotion") == [("11-04", 4 / 7), ("11-11", 3 / 7)]


def test_each_text_is_a_flag_in_every_file_and_no_is_none() -> None:
    first, week = ["0"] * 5 + ["a"] * 2 + ["b"] + ["0"] * 6, days(7, 1, date(2012, 11, 12))
    later = csv("date,shop,item,qty,StateHoliday", *((day, "A", "x", 10, "0") for day in week))
    _, rows = parts({"a.csv": daily("StateHoliday", first), "b.csv": later})
    found = deliveries({"a.csv": daily("StateHoliday", first), "b.csv": later})
    flags = ("StateHoliday=a", "StateHoliday=b")
    assert values(found["a.csv"], *flags) == [("11-04", 2.0, 0.0), ("11-11", 0.0, 1.0)]
    assert values(found["b.csv"], *flags) == [("11-18", 0.0, 0.0)]
    assert found["b.csv"].known_ahead == flags
    assert {one.plan.words for one in rows if one.plan.kind != "sales"} == {("StateHoliday",)}


def test_a_column_of_many_texts_is_left_out_and_said_so() -> None:
    answer = understood({"pos.csv": daily("event", [f"event {number}" for number in range(14)])})
    assert report(answer, "pos.csv").left_out == (
        "event: 14 or more texts; a covariate is a number, a flag or one of up to 12 texts",
    )
    assert answer.spec.covariates == ()


def test_a_plan_beside_the_sales_follows_what_the_sales_tell() -> None:
    sold = csv("week,shop,item,qty,price", *((day, "A", item, 5, 2.5) for day in WEEKLY for item in "xy"))
    plan = csv("week,shop,item,price", *((day, "A", "x", 1.5) for day in days(2, first=date(2012, 11, 9))))
    found = deliveries({"sales.csv": sold, "zz_plan.csv": plan})
    assert values(found["zz_plan.csv"], "price") == [("11-09", 1.5), ("11-16", 1.5)]
    assert len(found["sales.csv"].frame) == 16
    assert {one.known_ahead for one in found.values()} == {("price",)}


def m5(**changed: str) -> Mapping[str, str]:
    return {**M5, **changed}


def test_m5_prices_are_those_of_the_weeks_that_their_keys_name() -> None:
    prices = csv(
        "store_id,item_id,wm_yr_wk,sell_price",
        ("CA_1", "HOBBIES_1_001", 11101, 9.5),
        ("CA_1", "HOBBIES_1_001", 11105, 8),
    )
    found = deliveries(m5(**{"sell_prices.csv": prices}))["sell_prices.csv"]
    assert values(found, "sell_price") == [("02-12", 9.5), ("03-12", 8.0)]
    with pytest.raises(SchemaError, match=r"wm_yr_wk is '99999', expected a key of the file of its dates"):
        deliveries(m5(**{"sell_prices.csv": prices.replace("11105", "99999")}))
