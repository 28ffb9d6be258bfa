"""Forecasts, series, totals, orders: their rows and filters, on SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.conftest import V1, columns, every_list, items, problem, vintage_ids
from tests.api.stores import UNICODE


def test_forecasts_are_of_the_newest_vintage_with_planners_numbers_beside_them(full: httpx.Client) -> None:
    body = full.get("/v1/forecasts").json()
    vintage = vintage_ids(full)[0]
    assert body["vintage"] == {
        "vintage_id": vintage,
        "sequence": 4,
        "origin_week": "2012-10-26",
        "horizon_weeks": 2,
        "unit": "USD",
        "kind": "forecast",
        "method": "xgboost",
        "model_version": "7",
        "data_version": "data-2",
        "code_version": "0.1.0",
        "published_at": "2012-10-27T09:00:00Z",
    }
    assert (body["is_stale"], body["unit"]) == (False, "USD")
    assert columns(body["items"], "store_id", "dept_id", "week", "horizon", "forecast", "order_quantity") == [
        ("1", "3", "2012-11-02", 1, 131.0, 136.0),
        ("1", "3", "2012-11-09", 2, 132.0, 137.0),
        ("1", "4", "2012-11-02", 1, 141.0, None),
        ("1", "4", "2012-11-09", 2, 142.0, None),
        ("2", "3", "2012-11-02", 1, 231.0, 236.0),
        ("2", "3", "2012-11-09", 2, 232.0, 237.0),
    ]
    first = body["items"][0]
    assert first == full.get("/forecast?store_id=1&dept_id=3&week=2012-11-02").json()
    assert first["override"] == {
        "override_id": 5,
        "version": 2,
        "override": 170.0,
        "author": "Ada",
        "reason": UNICODE,
        "reason_code": None,
        "created_at": "2012-10-29T08:00:00Z",
        "expires_at": None,
    }
    assert [row["override"] for row in body["items"][1:]] == [None] * 5


def test_the_same_forecast_is_answered_the_same_wherever_it_is_asked_for(full: httpx.Client) -> None:
    listed = items(full, "forecasts", store_id="1", dept_id="3")
    keys = [{name: row[name] for name in ("store_id", "dept_id", "week")} for row in listed]
    assert full.post("/v1/forecasts:batch", json={"keys": keys}).json()["items"] == listed
    assert full.get("/v1/series/detail?store_id=1&dept_id=3").json()["forecasts"] == listed
    assert [full.get("/forecast", params=key).json() for key in keys] == listed
    past = vintage_ids(full)[1]
    listed = items(full, "forecasts", vintage_id=past)
    for row in listed:
        key = {name: row[name] for name in ("store_id", "dept_id", "week")}
        assert full.get("/forecast", params=key | {"vintage_id": past}).json() == row
    assert {row["override"] for row in listed} == {None}
    assert all(row["is_stale"] for row in listed)


def test_a_batch_is_the_point_reads_of_its_keys_in_their_order(full: httpx.Client) -> None:
    # 1/3 in 10-26 was forecast from two origins, and has a planner's number that is beside neither.
    wanted = [("1", "3", "2012-10-26"), ("2", "3", "2012-11-09"), ("1", "3", "2012-10-26"), ("1", "4", "2012-10-19")]
    none = [("9", "9", "2012-11-02"), ("1", "3", "2013-01-04"), ("9", "9", "2012-11-02")]
    names = ("store_id", "dept_id", "week")
    asked = [dict(zip(names, key, strict=True)) for key in (none[0], *wanted, *none[1:])]
    body = full.post("/v1/forecasts:batch", json={"keys": asked}).json()
    assert body["items"] == [full.get("/forecast", params=dict(zip(names, key, strict=True))).json() for key in wanted]
    assert columns(body["items"], "origin_week", "horizon", "override") == [
        ("2012-10-19", 1, None), ("2012-10-26", 2, None), ("2012-10-19", 1, None), ("2012-10-12", 1, None),
    ]  # fmt: skip
    assert columns(body["missing"], *names) == none
    about = full.get("/v1/forecasts?limit=1").json()
    assert [body[name] for name in ("vintage", "is_stale", "unit")] == [
        about[name] for name in ("vintage", "is_stale", "unit")
    ]


def test_all_vintages_are_the_newest_of_each_origin_the_oldest_first(full: httpx.Client) -> None:
    found = items(full, "forecasts", vintages="all", store_id="1", dept_id="3")
    assert columns(found, "origin_week", "week", "horizon", "model_version", "data_version", "is_stale") == [
        ("2012-10-12", "2012-10-19", 1, "6", "data-1", True),
        ("2012-10-12", "2012-10-26", 2, "6", "data-1", True),
        ("2012-10-19", "2012-10-26", 1, "6", "data-1", True),
        ("2012-10-19", "2012-11-02", 2, "6", "data-1", True),
        ("2012-10-26", "2012-11-02", 1, "7", "data-2", False),
        ("2012-10-26", "2012-11-09", 2, "7", "data-2", False),
    ]
    assert [row["override"] and row["override"]["override"] for row in found] == [None] * 4 + [170.0, None]


@pytest.mark.parametrize(
    ("filters", "rows"),
    [
        ({"store_id": "2"}, [("2", "3", "2012-11-02"), ("2", "3", "2012-11-09")]),
        ({"dept_id": "4", "horizon": 2}, [("1", "4", "2012-11-09")]),
        ({"store_id": "1", "to": "2012-11-08"}, [("1", "3", "2012-11-02"), ("1", "4", "2012-11-02")]),
        ({"store_id": "2", "from": "2012-11-03"}, [("2", "3", "2012-11-09")]),
        ({"store_id": "2", "origin": "2012-10-19"}, [("2", "3", "2012-10-26"), ("2", "3", "2012-11-02")]),
        ({"store_id": "2", "as_of": "2012-10-20T06:00:00Z"}, [("2", "3", "2012-10-26"), ("2", "3", "2012-11-02")]),
        ({"store_id": "2", "as_of": "2012-10-20T07:59:59+02:00"}, [("2", "3", "2012-10-19"), ("2", "3", "2012-10-26")]),
        ({"dept_id": "4", "vintages": "all", "horizon": 1, "as_of": "2012-10-20"}, [("1", "4", "2012-10-19")]),
        ({"store_id": "2", "vintages": "all", "origin": "2012-10-26", "horizon": 1}, [("2", "3", "2012-11-02")]),
        ({"store_id": "1", "from": "2012-12-01"}, []),
        ({"store_id": "2", "from": "2012-11-02", "to": "2012-11-02"}, [("2", "3", "2012-11-02")]),
        ({"store_id": "2", "as_of": "9999-12-31T23:59:59-14:00", "horizon": 1}, [("2", "3", "2012-11-02")]),
        ({"store_id": "2", "as_of": "2012-10-27T06:00:00", "horizon": 1}, [("2", "3", "2012-11-02")]),
    ],
)  # fmt: skip
def test_forecasts_are_narrowed(full: httpx.Client, filters: dict[str, Any], rows: list[tuple[Any, ...]]) -> None:
    assert columns(items(full, "forecasts", **filters), "store_id", "dept_id", "week") == rows


def test_a_point_read_is_narrowed_by_time_horizon_and_vintage(full: httpx.Client) -> None:
    asked = {"store_id": "2", "dept_id": "3", "week": "2012-11-02"}

    def origin(**more: str) -> tuple[str, str]:
        body = full.get("/forecast", params=asked | more).json()
        return body["origin_week"], body["data_version"]

    assert origin(as_of="2012-10-27T08:59:59Z") == ("2012-10-26", "data-1")
    assert origin(as_of="2012-10-27T09:00:00Z") == ("2012-10-26", "data-2")
    assert origin(horizon="2") == ("2012-10-19", "data-1")
    assert origin(vintage_id=vintage_ids(full)[1]) == ("2012-10-26", "data-1")


def test_series_are_what_ever_sold(full: httpx.Client) -> None:
    sold = {"weeks": 3, "first_week": "2011-11-04", "last_week": "2012-10-26"}
    unnamed = {"store_name": None, "dept_name": None}
    assert items(full, "series") == [
        {"store_id": "1", "dept_id": "3", **unnamed, **sold, "mean_52": 231.0},
        {"store_id": "1", "dept_id": "4", **unnamed, **sold, "mean_52": 241.0},
        {"store_id": "2", "dept_id": "3", **unnamed, **sold, "mean_52": 232.0},
        {"store_id": "2", "dept_id": "9", **unnamed, **sold, "mean_52": 292.0},
    ]
    assert columns(items(full, "series", dept_id="3"), "store_id") == [("1",), ("2",)]


def test_drivers_of_a_series_are_its_own_and_those_of_its_store(full: httpx.Client) -> None:
    own = {"store_id": "1", "store_name": None, "dept_id": "3", "dept_name": None, "driver": "price"}
    rows = items(full, "drivers", store_id="1", dept_id="3")
    assert rows[2] == {
        **own, "dept_id": None, "driver": "markdown", "kind": "number", "known_ahead": False,
        "first_week": "2012-10-26", "last_week": "2012-10-26", "value": 1500.0, "is_planned": False,
    }  # fmt: skip
    assert [row for row in rows if row["dept_id"] is not None] == [
        {**own, "kind": "number", "known_ahead": True, "first_week": first, "last_week": last, "value": value,
         "is_planned": is_planned}
        for first, last, value, is_planned in (
            ("2011-11-04", "2012-10-26", 2.5, False), ("2012-11-02", "2012-11-09", 1.99, True),
        )
    ]  # fmt: skip
    of_store = [row for row in rows if row["dept_id"] is None]
    assert columns(of_store, "driver", "kind", "value", "is_planned") == [
        ("promo=b", "flag", 0.0, False),
        ("promo=b", "flag", 1.0, True),
        ("markdown", "number", 1500.0, False),
    ]


def test_drivers_are_narrowed_to_a_name_a_store_and_weeks_that_a_stretch_reaches(full: httpx.Client) -> None:
    planned = items(full, "drivers", driver="price", **{"from": "2012-11-09"})
    assert columns(planned, "store_id", "dept_id", "value") == [("1", "3", 1.99), ("1", "4", 1.99), ("2", "3", 1.99)]
    assert columns(items(full, "drivers", driver="price", store_id="2", to="2011-11-04"), "value") == [(2.5,)]
    assert "no driver is called prise; see /v1/drivers" in problem(full.get("/v1/drivers?driver=prise"), 404)
    problem(full.get("/v1/drivers?dept_id=77"), 404)


def test_a_series_shows_history_forecasts_and_what_was_said_before(full: httpx.Client) -> None:
    body = full.get("/v1/series/detail?store_id=1&dept_id=3").json()
    known = {"holiday": None, "temperature_f": 55.5}
    unknown = dict.fromkeys(known)
    assert body["history"] == [
        {"week": "2011-11-04", "actual": 131.0, "last_year": None, "is_holiday": True, **unknown},
        {"week": "2012-10-19", "actual": 231.0, "last_year": None, "is_holiday": False, **known},
        {"week": "2012-10-26", "actual": 331.0, "last_year": None, "is_holiday": False, **known},
        {"week": "2012-11-02", "actual": None, "last_year": 131.0, "is_holiday": True, **known},
        {"week": "2012-11-09", "actual": None, "last_year": None, "is_holiday": None, **unknown},
    ]
    assert columns(body["earlier"], "origin_week", "week", "horizon", "forecast") == [
        ("2012-10-12", "2012-10-19", 1, 131.0),
        ("2012-10-12", "2012-10-26", 2, 132.0),
        ("2012-10-19", "2012-10-26", 1, 131.0),
        ("2012-10-19", "2012-11-02", 2, 132.0),
    ]
    assert columns(body["overrides"], "override_id", "status") == [(5, "active"), (4, "superseded"), (1, "active")]
    assert [row["week"] for row in full.get("/v1/series/detail?store_id=1&dept_id=3&weeks=1").json()["history"]] == [
        "2012-10-26", "2012-11-02", "2012-11-09",
    ]  # fmt: skip
    only_sold = full.get("/v1/series/detail?store_id=2&dept_id=9").json()
    assert (only_sold["forecasts"], only_sold["earlier"], len(only_sold["history"])) == ([], [], 3)


def test_totals_have_sales_beside_the_newest_forecast_of_the_week(full: httpx.Client) -> None:
    names = ("week", "actual", "forecast", "p10", "origin_week", "horizon", "is_holiday")
    assert columns(items(full, "totals"), *names) == [
        ("2011-11-04", 596.0, None, None, None, None, None),
        ("2012-10-19", 996.0, 503.0, 473.0, "2012-10-12", 1, False),
        ("2012-10-26", 1396.0, 503.0, 473.0, "2012-10-19", 1, False),
        ("2012-11-02", None, 503.0, 473.0, "2012-10-26", 1, True),
        ("2012-11-09", None, 506.0, 476.0, "2012-10-26", 2, None),
    ]
    ahead = {"from_": "2012-10-26", "to": "2012-11-02"}
    assert columns(items(full, "totals", level="store", store_id="1", **ahead), "store_id", "dept_id", "actual") == [
        ("1", None, 672.0),
        ("1", None, None),
    ]
    departments = items(full, "totals", level="department", **ahead)
    assert columns(departments, "dept_id", "week", "actual", "forecast") == [
        ("3", "2012-10-26", 663.0, 362.0),
        ("3", "2012-11-02", None, 362.0),
        ("4", "2012-10-26", 341.0, 141.0),
        ("4", "2012-11-02", None, 141.0),
        ("9", "2012-10-26", 392.0, None),
    ]


def test_an_order_is_the_quantile_of_its_service_level(full: httpx.Client) -> None:
    def order(level: float) -> float:
        found = items(full, "orders", store_id="1", dept_id="3", week="2012-11-02", service_level=level)
        assert columns(found, "origin_week", "horizon", "service_level", "p50", "p90") == [
            ("2012-10-26", 1, level, 131.0, 151.0)
        ]
        return float(found[0]["order_quantity"])

    # A planner's 170 stands in place of 131, so the distances are 170 / 131 times those of the system.
    ratio = 170 / 131
    assert order(0.5) == 170.0
    assert order(0.9) == pytest.approx(170 + 20 * ratio)
    assert order(0.1) == pytest.approx(170 - 10 * ratio)
    # z(0.75) / z(0.9) = 0.52630 of what lies between p50 and p90
    assert order(0.75) == pytest.approx(170 + 10.526 * ratio, abs=0.001)
    assert columns(items(full, "orders", week="2012-11-09"), "store_id", "week") == [
        ("1", "2012-11-09"), ("1", "2012-11-09"), ("2", "2012-11-09"),
    ]  # fmt: skip


def test_attributions_are_listed_largest_first_and_sum_to_the_forecast(full: httpx.Client) -> None:
    body = full.get("/v1/explain?store_id=1&dept_id=3&week=2012-11-02").json()
    assert columns(body["attributions"], "group", "amount") == [
        ("last year", 110.0), ("weather and economy", 6.0), ("department", 5.0), ("store", 4.0), ("promotion", 3.0),
        ("holiday", 2.0), ("recent trend", 1.0),
    ]  # fmt: skip
    assert sum(row["amount"] for row in body["attributions"]) == body["forecast"] == 131.0


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("forecasts?store_id=9", "store 9 is not known here"),
        ("forecasts?store_id=1&dept_id=9", "store 1 dept 9 is not known here"),
        ("forecasts?dept_id=77&vintages=all", "dept 77 is not known here"),
        ("forecasts?vintage_id=2012-10-26-0000000000000000", "no vintage has vintage_id 2012-10-26-0"),
        ("forecasts?vintage_id=2012-10-26-0000000000000000&vintages=all", "no vintage has vintage_id"),
        ("forecasts?origin=2012-09-28", "no vintage has origin 2012-09-28"),
        ("forecasts?origin=2012-09-28&vintages=all", "no vintage has origin 2012-09-28"),
        ("forecasts?as_of=2012-10-13T05:59:59Z", "no vintage has as_of"),
        ("forecasts?as_of=0001-01-01T00:00:00%2B14:00", "no vintage has as_of"),
        ("series?store_id=9", "store 9 is not known"),
        ("series/detail?store_id=1&dept_id=9", "store 1 dept 9 is not known"),
        ("totals?level=store&store_id=9", "store 9 is not known"),
        ("totals?store_id=1", "level chain has no total of store_id 1; ask for level=store"),
        ("totals?level=store&dept_id=3", "level store has no total of dept_id 3; ask for level=department"),
        ("accuracy?store_id=9", "store 9 is not known"),
        ("accuracy?vintage_id=2012-10-26-0000000000000000", "no vintage has vintage_id"),
        ("accuracy/weeks?level=department&dept_id=77", "dept 77 is not known"),
        ("accuracy/weeks?dept_id=3", "level chain has no total of dept_id 3"),
        ("accuracy/weeks?level=store", "level store has no total over all"),
        ("exceptions?store_id=9", "store 9 is not known"),
        ("orders?dept_id=77", "dept 77 is not known"),
        ("overrides?store_id=9", "store 9 is not known"),
        ("overrides/accuracy?dept_id=77", "dept 77 is not known"),
        ("overrides/99", "no override 99"),
        ("vintages/2012-10-26-0000000000000000", "no vintage 2012-10-26-0"),
        ("explain?store_id=1&dept_id=9&week=2012-11-02", "store 1 dept 9 is not a forecast series"),
        ("explain?store_id=1&dept_id=3&week=2013-11-01", "store 1 dept 3 has no forecast of week 2013-11-01"),
    ],
)
def test_what_there_is_not_is_404_and_never_an_empty_list(full: httpx.Client, path: str, said: str) -> None:
    assert said in problem(full.get(V1 + path), 404)


@every_list
def test_an_empty_store_has_empty_lists(empty: httpx.Client, path: str, filters: dict[str, str]) -> None:
    answer = empty.get(path, params=filters)
    if path in ("/v1/forecasts", "/v1/orders", "/v1/changes") and not filters:
        assert problem(answer, 404) == "nothing is published yet"
    elif "." in filters.get("level", ""):
        assert problem(answer, 404) == "no dept has the attribute kind; see /v1/attributes"
    else:
        body = answer.json()
        assert (body["items"], body["next_cursor"], body["vintage"], body["is_stale"]) == ([], None, None, False)
