"""Lists: their rows, filters and pages, on SQLite and PostgreSQL."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from demand_assets.store import reads
from demand_assets.store.engine import create_engine_for
from demand_assets.store.migrations import migrate
from demand_assets.store.publish import publish_accuracy, publish_vintage
from tests.api.conftest import (
    FORMULA,
    LISTS,
    ORIGIN,
    RECORD,
    UNICODE,
    WEEK,
    every_list,
    every_page,
    problem,
    publish_full_vintage,
    serving,
)
from tests.waiting import until

V1 = "/v1/"


def items(client: httpx.Client, path: str, **params: Any) -> list[dict[str, Any]]:
    answer = client.get(V1 + path, params={name.rstrip("_"): value for name, value in params.items()})
    assert answer.status_code == 200, answer.text
    assert answer.json()["next_cursor"] is None
    return list(answer.json()["items"])


def columns(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def vintage_ids(client: httpx.Client) -> list[str]:
    return [row["vintage_id"] for row in items(client, "vintages")]


def test_forecasts_are_of_the_newest_vintage_with_planners_numbers_beside_them(full: httpx.Client) -> None:
    body = full.get("/v1/forecasts").json()
    vintage = vintage_ids(full)[0]
    assert body["vintage"] == {
        "vintage_id": vintage,
        "origin_week": "2012-10-26",
        "horizon_weeks": 2,
        "model_name": "demand_forecaster",
        "model_version": "7",
        "data_version": "data-2",
        "code_version": "0.1.0",
        "published_at": "2012-10-27T09:00:00Z",
    }
    assert (body["is_stale"], body["unit"]) == (False, "USD per week")
    assert columns(body["items"], "store_id", "dept_id", "week", "horizon", "forecast", "order_quantity") == [
        (1, 3, "2012-11-02", 1, 131.0, 136.0),
        (1, 3, "2012-11-09", 2, 132.0, 137.0),
        (1, 4, "2012-11-02", 1, 141.0, None),
        (1, 4, "2012-11-09", 2, 142.0, None),
        (2, 3, "2012-11-02", 1, 231.0, 236.0),
        (2, 3, "2012-11-09", 2, 232.0, 237.0),
    ]
    first = body["items"][0]
    assert first == full.get("/forecast?store_id=1&dept_id=3&week=2012-11-02").json()
    assert first["override"] == {
        "override_id": 5,
        "version": 2,
        "override": 170.0,
        "author": "Ada",
        "reason": UNICODE,
        "created_at": "2012-10-29T08:00:00Z",
        "expires_at": None,
    }
    assert [row["override"] for row in body["items"][1:]] == [None] * 5


def test_the_same_forecast_is_answered_the_same_wherever_it_is_asked_for(full: httpx.Client) -> None:
    listed = items(full, "forecasts", store_id=1, dept_id=3)
    keys = [{name: row[name] for name in ("store_id", "dept_id", "week")} for row in listed]
    assert full.post("/v1/forecasts:batch", json={"keys": keys}).json()["items"] == listed
    assert full.get("/v1/series/1/3").json()["forecasts"] == listed
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
    wanted = [(1, 3, "2012-10-26"), (2, 3, "2012-11-09"), (1, 3, "2012-10-26"), (1, 4, "2012-10-19")]
    none = [(9, 9, "2012-11-02"), (1, 3, "2013-01-04"), (9, 9, "2012-11-02")]
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


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service over 1,001 forecasts that answers at most 1,000 in a file and keeps none in memory."""
    url = f"sqlite:///{tmp_path_factory.mktemp('many') / 'store.db'}"
    migrate(url)
    engine = create_engine_for(url)
    rows = [(store, 3, WEEK, 1, float(store), 1.0, 2.0, 3.0, None) for store in range(1, 1002)]
    publish_vintage(engine, RECORD, rows)
    engine.dispose()
    with serving(url, export_rows=1000, memory_rows=0) as client:
        yield client


def test_a_page_has_100_rows_and_a_file_as_many_as_are_allowed(many: httpx.Client) -> None:
    def stores(answer: httpx.Response) -> list[int]:
        return [int(line.split(",")[0]) for line in answer.text.splitlines()[1:]]

    page = many.get("/v1/forecasts").json()
    assert columns(page["items"], "store_id") == [(store,) for store in range(1, 101)]
    page = many.get("/v1/forecasts", params={"cursor": page["next_cursor"]}).json()
    assert columns(page["items"], "store_id") == [(store,) for store in range(101, 201)]
    file = many.get("/v1/forecasts?format=csv")
    assert stores(file) == list(range(1, 1001))
    last = many.get(file.links["next"]["url"])
    assert (stores(last), "next" in last.links) == ([1001], False)


def test_a_batch_of_many_keys_loses_none(many: httpx.Client) -> None:
    keys = [{"store_id": store, "dept_id": 3, "week": "2012-11-02"} for store in range(1001, 0, -1)]
    body = many.post("/v1/forecasts:batch", json={"keys": keys}).json()
    assert columns(body["items"], "store_id", "forecast") == [(store, store) for store in range(1001, 0, -1)]
    assert body["missing"] == []


def test_all_vintages_are_the_newest_of_each_origin_the_oldest_first(full: httpx.Client) -> None:
    found = items(full, "forecasts", vintages="all", store_id=1, dept_id=3)
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
        ({"store_id": 2}, [(2, 3, "2012-11-02"), (2, 3, "2012-11-09")]),
        ({"dept_id": 4, "horizon": 2}, [(1, 4, "2012-11-09")]),
        ({"store_id": 1, "to": "2012-11-08"}, [(1, 3, "2012-11-02"), (1, 4, "2012-11-02")]),
        ({"store_id": 2, "from": "2012-11-03"}, [(2, 3, "2012-11-09")]),
        ({"store_id": 2, "origin": "2012-10-19"}, [(2, 3, "2012-10-26"), (2, 3, "2012-11-02")]),
        ({"store_id": 2, "as_of": "2012-10-20T06:00:00Z"}, [(2, 3, "2012-10-26"), (2, 3, "2012-11-02")]),
        ({"store_id": 2, "as_of": "2012-10-20T07:59:59+02:00"}, [(2, 3, "2012-10-19"), (2, 3, "2012-10-26")]),
        ({"dept_id": 4, "vintages": "all", "horizon": 1, "as_of": "2012-10-20"}, [(1, 4, "2012-10-19")]),
        ({"store_id": 2, "vintages": "all", "origin": "2012-10-26", "horizon": 1}, [(2, 3, "2012-11-02")]),
        ({"store_id": 1, "from": "2012-12-01"}, []),
        ({"store_id": 2, "from": "2012-11-02", "to": "2012-11-02"}, [(2, 3, "2012-11-02")]),
        ({"store_id": 2, "as_of": "9999-12-31T23:59:59-14:00", "horizon": 1}, [(2, 3, "2012-11-02")]),
        ({"store_id": 2, "as_of": "2012-10-27T06:00:00", "horizon": 1}, [(2, 3, "2012-11-02")]),
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
    assert items(full, "series") == [
        {"store_id": 1, "dept_id": 3, **sold, "mean_52": 231.0},
        {"store_id": 1, "dept_id": 4, **sold, "mean_52": 241.0},
        {"store_id": 2, "dept_id": 3, **sold, "mean_52": 232.0},
        {"store_id": 2, "dept_id": 9, **sold, "mean_52": 292.0},
    ]
    assert columns(items(full, "series", dept_id=3), "store_id") == [(1,), (2,)]


def test_a_series_shows_history_forecasts_and_what_was_said_before(full: httpx.Client) -> None:
    body = full.get("/v1/series/1/3").json()
    known = {"markdown": 1500.0, "temperature_f": 55.5}
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
    assert [row["week"] for row in full.get("/v1/series/1/3?weeks=1").json()["history"]] == [
        "2012-10-26", "2012-11-02", "2012-11-09",
    ]  # fmt: skip
    only_sold = full.get("/v1/series/2/9").json()
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
    assert columns(items(full, "totals", level="store", store_id=1, **ahead), "store_id", "dept_id", "actual") == [
        (1, 0, 672.0),
        (1, 0, None),
    ]
    departments = items(full, "totals", level="department", **ahead)
    assert columns(departments, "dept_id", "week", "actual", "forecast") == [
        (3, "2012-10-26", 663.0, 362.0),
        (3, "2012-11-02", None, 362.0),
        (4, "2012-10-26", 341.0, 141.0),
        (4, "2012-11-02", None, 141.0),
        (9, "2012-10-26", 392.0, None),
    ]


def test_vintages_say_how_much_is_in_them(full: httpx.Client) -> None:
    found = items(full, "vintages")
    assert columns(found, "origin_week", "data_version", "rows", "series", "forecast") == [
        ("2012-10-26", "data-2", 6, 3, 1009.0),
        ("2012-10-26", "data-1", 6, 3, 1309.0),
        ("2012-10-19", "data-1", 6, 3, 1009.0),
        ("2012-10-12", "data-1", 6, 3, 1009.0),
    ]
    one = full.get(f"/v1/vintages/{found[1]['vintage_id']}").json()
    assert {name: one[name] for name in found[1]} == found[1]
    assert one["vintage"]["vintage_id"] == found[1]["vintage_id"]
    assert one["is_stale"]
    assert items(full, "vintages", origin="2012-10-26") == found[:2]
    assert items(full, "vintages", from_="2012-10-15", to="2012-10-25") == found[2:3]


def test_accuracy_is_narrowed(full: httpx.Client) -> None:
    assert len(items(full, "accuracy")) == 6
    assert columns(items(full, "accuracy", level="store"), "store_id", "wmae", "coverage") == [(1, 9.0, 1.0)]
    assert columns(items(full, "accuracy", model="seasonal_naive", horizon=2), "wmae") == [(19.0,)]
    assert columns(items(full, "accuracy", to="2012-10-19"), "week", "fva") == [("2012-10-19", None)]
    assert len(items(full, "accuracy", vintage_id=vintage_ids(full)[2])) == 3
    assert items(full, "accuracy", vintage_id=vintage_ids(full)[0]) == []
    assert len(items(full, "accuracy", store_id=0)) == 5


def test_accuracy_by_week_is_pooled_over_horizons_by_points(full: httpx.Client) -> None:
    first, second = items(full, "accuracy/weeks")
    # (3 x 10 + 1 x 20) / 4; (3 x -2 + 1 x 6) / 4; (3 x 5 + 1 x -1) / 4; (3 x 15 + 1 x 19) / 4
    assert second | {"coverage": round(second["coverage"], 9)} == {
        "week": "2012-10-26",
        "points": 4,
        "wmae": 12.5,
        "bias": 0.0,
        "coverage": 0.8,
        "fva": 3.5,
        "seasonal_naive_wmae": 16.0,
        "actual": 1200.0,
        "total_error": 0.0,
        "tracking_signal": 1.5,
    }
    names = ("week", "wmae", "coverage", "seasonal_naive_wmae")
    assert columns([first], *names) == [("2012-10-19", 8.0, None, None)]
    assert columns(items(full, "accuracy/weeks", level="store", store_id=1), "wmae", "points") == [(9.0, 2)]
    assert items(full, "accuracy/weeks", level="store", store_id=2) == []
    assert items(full, "accuracy/weeks", from_="2012-10-26", to="2012-10-26") == [second]
    assert items(full, "accuracy/weeks", to="2012-10-19") == [first]


def test_a_week_that_was_scored_on_no_point_has_no_figures(own_url: str) -> None:
    engine = create_engine_for(own_url)
    with engine.connect() as connection:
        made = connection.execute(reads.NEWEST_VINTAGE).mappings().one()
    week, nothing = WEEK + timedelta(weeks=1), (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, None, None, None)
    publish_accuracy(engine, [(week, made["vintage_id"], made["model_name"], 2, "chain", 0, 0, 0, *nothing)])
    engine.dispose()
    with serving(own_url) as client:
        (found,) = items(client, "accuracy/weeks", from_=str(week))
    assert (found["points"], found["wmae"], found["bias"]) == (0, None, None)


def test_drift_by_week_is_the_worst_of_each_variable(full: httpx.Client) -> None:
    names = (
        "week",
        "variable",
        "severity",
        "warn",
        "severe",
        "worst_group_kind",
        "worst_reference",
        "psi",
        "missing_shift",
    )
    found = columns(items(full, "drift/weeks"), *names)
    assert found == [
        ("2012-10-19", "weekly_sales", "warn", 1, 0, "store", "last_season", 0.12, None),
        ("2012-10-26", "weekly_sales", "severe", 1, 1, "chain", "training", 0.31, None),
    ]
    assert columns(items(full, "drift/weeks", from_="2012-10-26", to="2012-10-26"), *names) == found[1:]
    assert columns(items(full, "drift/weeks", to="2012-10-25"), *names) == found[:1]
    assert columns(items(full, "drift", severity="severe"), "week", "group_id", "psi") == [("2012-10-26", "all", 0.31)]
    assert len(items(full, "drift", week="2012-10-19", reference="training")) == 2
    assert len(items(full, "drift", group_kind="store", group_id="2", variable="markdown")) == 2


def test_exceptions_are_of_the_newest_week_by_rank(full: httpx.Client) -> None:
    body = full.get("/v1/exceptions").json()
    assert body["week"] == "2012-10-26"
    assert columns(body["items"], "rank", "store_id", "dept_id", "reason", "order_quantity") == [
        (1, 1, 3, FORMULA, None),
        (2, 1, 4, UNICODE, None),
        (3, 2, 3, "above p90", None),
    ]
    assert items(full, "exceptions", week="2012-10-19") == []
    assert columns(items(full, "exceptions", store_id=2), "rank") == [(3,)]


def test_models_and_promotions_are_the_ledger_the_newest_first(full: httpx.Client) -> None:
    assert columns(items(full, "models"), "version", "in_production", "outcome", "wmae", "vintages", "reasons") == [
        ("8", False, "refused", 11.0, 0, ["worse", "biased"]),
        ("7", True, "promoted", 9.5, 2, []),
        ("6", False, "promoted", 11.0, 2, ["first model"]),
    ]
    found = items(full, "promotions")
    assert columns(found, "promotion_id", "from_version", "to_version", "as_of") == [
        (3, "7", "8", "2012-10-26"),
        (2, "6", "7", "2012-10-26"),
        (1, None, "6", "2012-10-19"),
    ]
    assert found[2]["figures"] == {"challenger_wmae": 11.0, "seasonal_naive_wmae": 16.0}
    assert items(full, "promotions", outcome="refused") == found[:1]


def test_an_order_is_the_quantile_of_its_service_level(full: httpx.Client) -> None:
    def order(level: float) -> float:
        found = items(full, "orders", store_id=1, dept_id=3, week="2012-11-02", service_level=level)
        assert columns(found, "origin_week", "horizon", "service_level", "p50", "p90") == [
            ("2012-10-26", 1, level, 131.0, 151.0)
        ]
        return float(found[0]["order_quantity"])

    assert order(0.5) == 131.0
    assert order(0.9) == pytest.approx(151.0)
    assert order(0.1) == pytest.approx(121.0)
    # z(0.75) / z(0.9) = 0.52630 of the 20 USD from p50 to p90
    assert order(0.75) == pytest.approx(141.526, abs=0.001)
    assert columns(items(full, "orders", week="2012-11-09"), "store_id", "week") == [
        (1, "2012-11-09"), (1, "2012-11-09"), (2, "2012-11-09"),
    ]  # fmt: skip


def test_reasons_are_listed_largest_first_and_sum_to_the_forecast(full: httpx.Client) -> None:
    body = full.get("/v1/explain?store_id=1&dept_id=3&week=2012-11-02").json()
    assert columns(body["reasons"], "reason", "contribution") == [
        ("last year", 110.0), ("weather and economy", 6.0), ("department", 5.0), ("store", 4.0), ("promotion", 3.0),
        ("holiday", 2.0), ("recent trend", 1.0),
    ]  # fmt: skip
    assert sum(row["contribution"] for row in body["reasons"]) == body["forecast"] == 131.0


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
        ("series/1/9", "store 1 dept 9 is not known"),
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


@pytest.mark.parametrize("limit", [1, 2])
@every_list
def test_pages_visit_every_row_once(full: httpx.Client, path: str, filters: dict[str, str], limit: int) -> None:
    whole = full.get(path, params=filters).json()
    pages = list(every_page(full, path, filters, limit))
    assert [row for page in pages for row in page["items"]] == whole["items"]
    assert len(whole["items"]) >= 2
    assert all(len(page["items"]) == limit for page in pages[:-1])
    assert pages[-1]["items"]
    assert all(page["vintage"] == whole["vintage"] for page in pages)


@every_list
def test_parameters_it_does_not_know_or_knows_once_are_refused(
    full: httpx.Client, path: str, filters: dict[str, str]
) -> None:
    assert "stores: unknown parameter; known: " in problem(full.get(path, params=filters | {"stores": "1"}), 422)
    twice = [*filters.items(), ("limit", "1"), ("limit", "2")]
    assert problem(full.get(path, params=twice), 422) == "limit: expected once, got 2 times"
    for limit in ("0", "1001", "-1", "1.5", "x"):
        assert "limit: " in problem(full.get(path, params=filters | {"limit": limit}), 422)


@pytest.mark.parametrize(
    "cursor", ["x", "AAAA", "bnVsbA", "W10", "WyJhIiwgW10sIG51bGxd", "=", "%00", "9" * 1001, "W1tbW1tb" * 100]
)
@pytest.mark.parametrize("path", ["/v1/forecasts", "/v1/vintages", "/v1/exceptions", "/v1/forecasts?vintages=all"])
def test_a_cursor_that_no_list_gave_is_refused(full: httpx.Client, path: str, cursor: str) -> None:
    assert "cursor: " in problem(full.get(path, params={**httpx.URL(path).params, "cursor": cursor}), 422)


def test_a_cursor_belongs_to_its_list_and_filters(full: httpx.Client) -> None:
    cursors = {
        number: full.get(path, params=filters | {"limit": "1"}).json()["next_cursor"]
        for number, (path, filters) in enumerate(LISTS)
    }
    for number, (path, filters) in enumerate(LISTS):
        other = cursors[(number + 1) % len(LISTS)]
        refused = full.get(path, params=filters | {"cursor": other})
        assert "a page with the same filters" in problem(refused, 422)
    problem(full.get("/v1/forecasts", params={"cursor": cursors[0], "store_id": "1"}), 422)
    # The number of rows is no filter: a page may be larger than the one before.
    assert len(full.get("/v1/forecasts", params={"cursor": cursors[0], "limit": "5"}).json()["items"]) == 5


@pytest.mark.parametrize(
    ("path", "filters", "forge"),
    [
        ("/v1/vintages", {}, lambda key, pin: (["2012-10-26", "2012-10-27T06:00:00", key[2]], pin)),
        ("/v1/vintages", {}, lambda key, pin: ([key[0], "0001-01-01T00:00:00+14:00", key[2]], pin)),
        ("/v1/vintages", {}, lambda key, pin: ([key[0], key[1], "\ud800"], pin)),
        ("/v1/vintages", {}, lambda key, pin: ([key[0], key[1], "a\x00"], pin)),
        ("/v1/forecasts", {}, lambda key, pin: ([2**31, *key[1:]], pin)),
        ("/v1/forecasts", {}, lambda key, pin: ([True, *key[1:]], pin)),
        ("/v1/forecasts", {}, lambda key, pin: (key[:2], pin)),
        ("/v1/forecasts", {}, lambda key, pin: (key, 7)),
        ("/v1/forecasts", {}, lambda key, pin: (key, "\x00")),
        ("/v1/forecasts", {"vintages": "all"}, lambda key, pin: (key, "x")),
        ("/v1/exceptions", {}, lambda key, pin: (key, "2012-13-01")),
        ("/v1/accuracy", {}, lambda key, pin: ([*key[:3], 2**20, *key[4:]], pin)),
        ("/v1/drift", {}, lambda key, pin: ([None] * 5, pin)),
    ],
)  # fmt: skip
def test_a_forged_cursor_is_refused(
    full: httpx.Client,
    path: str,
    filters: dict[str, str],
    forge: Callable[[list[Any], Any], tuple[list[Any], Any]],
) -> None:
    cursor = full.get(path, params=filters | {"limit": "1"}).json()["next_cursor"]
    given, key, pin = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    forged = base64.urlsafe_b64encode(json.dumps([given, *forge(key, pin)]).encode()).decode().rstrip("=")
    assert "cursor: " in problem(full.get(path, params=filters | {"cursor": forged}), 422)


@pytest.mark.parametrize(
    ("path", "filters"), [("/v1/forecasts", {}), ("/v1/orders", {}), ("/v1/forecasts", {"vintages": "all"})]
)
def test_pages_stay_within_the_vintage_they_began_with(own_url: str, path: str, filters: dict[str, str]) -> None:
    engine = create_engine_for(own_url)
    with serving(own_url, refresh_seconds=0.02) as client:
        whole = client.get(path, params=filters).json()["items"]
        pages = every_page(client, path, filters, 2)
        rows = next(pages)["items"]
        later = datetime(2012, 10, 28, tzinfo=UTC)
        rerun = publish_full_vintage(engine, ORIGIN, 1000.0, published_at=later)
        next_week = publish_full_vintage(engine, ORIGIN + timedelta(weeks=1), 2000.0)
        until(lambda: client.get("/ready").json().get("vintage_id") == next_week)
        rows += [row for page in pages for row in page["items"]]
        assert {row.get("vintage_id") for row in rows} == {row.get("vintage_id") for row in whole}
        assert columns(rows, "store_id", "dept_id", "week", "horizon") == columns(
            whole, "store_id", "dept_id", "week", "horizon"
        )
        now = client.get(path, params=filters).json()["items"]
        assert now != whole
        if "vintages" in filters:
            assert {rerun, next_week} < {row["vintage_id"] for row in now}
    engine.dispose()


def test_a_vintage_just_published_is_not_taken_for_a_past_one(own_url: str) -> None:
    # What is in memory is looked up once an hour here, so the store is ahead of it.
    engine = create_engine_for(own_url)
    with serving(own_url, refresh_seconds=3600) as client:
        old = client.get("/ready").json()["vintage_id"]
        made = publish_full_vintage(engine, ORIGIN, 7.0, published_at=RECORD.published_at + timedelta(hours=9))
        for path in (f"/v1/forecasts?vintage_id={made}", "/v1/forecasts", f"/v1/vintages/{made}"):
            answer = client.get(path)
            assert answer.json()["vintage"]["vintage_id"] == made
            assert answer.json()["is_stale"] is False
            assert answer.headers["cache-control"] == "private, no-cache"
        first = client.get("/v1/forecasts").json()["items"][0]
        assert (first["is_stale"], first["override"]["override"]) == (False, 170.0)
        detail = client.get("/v1/series/1/3").json()
        assert {row["vintage_id"] for row in detail["forecasts"]} == {made}
        assert {row["origin_week"] for row in detail["earlier"]} == {"2012-10-12", "2012-10-19"}
        assert old != made
    engine.dispose()


@every_list
def test_an_empty_store_has_empty_lists(empty: httpx.Client, path: str, filters: dict[str, str]) -> None:
    answer = empty.get(path, params=filters)
    if path in ("/v1/forecasts", "/v1/orders") and not filters:
        assert problem(answer, 404) == "nothing is published yet"
    else:
        body = answer.json()
        assert (body["items"], body["next_cursor"], body["vintage"], body["is_stale"]) == ([], None, None, False)
