"""What changed from one published forecast to the next, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import httpx
import pytest

from demand_assets.store.dataset import Member, publish_members
from demand_assets.store.engine import create_engine_for
from demand_assets.store.publish import publish_vintage
from demand_assets.store.scenarios import ScenarioRecord, publish_scenario
from tests.api.conftest import columns, every_page, problem, serving
from tests.api.stores import NOW, ORIGIN, RECORD, WEEK

LATER = WEEK + timedelta(weeks=1)
BEFORE = [("1", "3", WEEK, 100.0), ("1", "4", WEEK, 50.0), ("2", "3", WEEK, 10.0), ("1", "3", LATER, 110.0)]
AFTER = [("1", "3", WEEK, 90.0), ("2", "3", WEEK, 35.0), ("2", "4", WEEK, 5.0), ("1", "3", LATER, 113.0)]
SHOWN = ("store_id", "dept_id", "week", "left_forecast", "right_forecast", "difference")


def forecasts(rows: list[Any], origin: Any) -> list[tuple[Any, ...]]:
    return [(*key, week, (week - origin).days // 7, value, value, value, value, None) for *key, week, value in rows]


def reasons_of(rows: list[Any], trend: float) -> list[tuple[Any, ...]]:
    """All of it last year's level, but for what the recent trend moves."""
    return [(*key, week, value - trend, trend, 0.0, 0.0, 0.0, 0.0, 0.0) for *key, week, value in rows]


@pytest.fixture
def ids() -> dict[str, str]:
    return {}


@pytest.fixture
def client(own_url: str, ids: dict[str, str]) -> Iterator[httpx.Client]:
    engine = create_engine_for(own_url)
    for name, origin, rows, trend in (
        ("left", ORIGIN - timedelta(weeks=1), BEFORE, 1.0),
        ("right", ORIGIN, AFTER, 4.0),
    ):
        record = replace(RECORD, origin_week=origin, horizon_weeks=3, data_version=name, published_at=NOW)
        made = publish_vintage(engine, record, forecasts(rows, origin), (), reasons_of(rows, trend))
        ids[name] = made.vintage_id
    scenario = replace(RECORD, horizon_weeks=3, data_version="changed", kind="scenario", published_at=NOW)
    changed = forecasts([(*row[:3], 2 * row[3]) for row in AFTER], ORIGIN)
    made_of = ScenarioRecord("double", ids["right"], "price,*0.5\n", 1, "ann")
    ids["scenario"] = publish_scenario(engine, made_of, scenario, changed)[0]["vintage_id"]
    publish_members(engine, [Member("1", None, {"size": "small"})], [Member("3", None, {"kind": "dry"})], NOW)
    engine.dispose()
    with serving(own_url) as client:
        yield client


def changes(client: httpx.Client, **asked: Any) -> list[tuple[Any, ...]]:
    found = client.get("/v1/changes", params=asked).json()["items"]
    return [tuple(row[name] for name in SHOWN) for row in found]


def test_series_stand_beside_their_last_forecast_the_largest_change_first(
    client: httpx.Client, ids: dict[str, str]
) -> None:
    body = client.get("/v1/changes").json()
    assert [body[side]["vintage_id"] for side in ("left", "right")] == [ids["left"], ids["right"]]
    assert changes(client) == [
        ("1", "4", "2012-11-02", 50.0, None, -50.0),
        ("2", "3", "2012-11-02", 10.0, 35.0, 25.0),
        ("1", "3", "2012-11-02", 100.0, 90.0, -10.0),
        ("2", "4", "2012-11-02", None, 5.0, 5.0),
        ("1", "3", "2012-11-09", 110.0, 113.0, 3.0),
    ]
    pages = [page["items"] for page in every_page(client, "/v1/changes", {}, limit=2)]
    assert [row for page in pages for row in page] == body["items"]


def test_the_reasons_are_the_differences_of_the_attributions(client: httpx.Client) -> None:
    found = client.get("/v1/changes").json()["items"]
    told = {(row["store_id"], row["dept_id"], row["week"]): row["reasons"][:2] for row in found}
    assert told["2", "3", "2012-11-02"] == [
        {"group": "last year", "amount": 22.0},
        {"group": "recent trend", "amount": 3.0},
    ]
    for row in found:
        assert sum(each["amount"] for each in row["reasons"]) == pytest.approx(row["difference"])


def test_series_sum_to_their_totals(client: httpx.Client) -> None:
    for level, weeks in product(
        ("chain", "store", "department", "store.size", "department.kind"), ("each", "together")
    ):
        found = client.get("/v1/changes", params={"level": level, "weeks": weeks}).json()["items"]
        assert sum(row["difference"] for row in found) == -27.0
        assert sum(each["amount"] for row in found for each in row["reasons"]) == pytest.approx(-27.0)
        sizes = [abs(row["difference"]) for row in found]
        assert sizes == sorted(sizes, reverse=True)
        assert {row["week"] is None for row in found} == {weeks == "together"}


def test_a_store_is_compared_in_all_weeks_together(client: httpx.Client) -> None:
    assert changes(client, level="store", weeks="together", store_id="1") == [("1", None, None, 260.0, 203.0, -57.0)]


def test_stores_are_compared_by_an_attribute(client: httpx.Client) -> None:
    shown = ("group", "store_id", "left_forecast", "right_forecast", "difference")
    asked = {"level": "store.size", "weeks": "together"}
    body = client.get("/v1/changes", params=asked).json()
    # Store 2 has no size.
    assert columns(body["items"], *shown) == [
        ("small", None, 260.0, 203.0, -57.0),
        ("", None, 10.0, 40.0, 30.0),
    ]
    pages = [page["items"] for page in every_page(client, "/v1/changes", asked, limit=1)]
    assert [row for page in pages for row in page] == body["items"]
    one = client.get("/v1/changes", params={**asked, "store_id": "1"}).json()["items"]
    assert columns(one, *shown) == [("small", None, 260.0, 203.0, -57.0)]
    unknown = client.get("/v1/changes", params={"level": "store.colour"})
    assert "see /v1/attributes" in problem(unknown, 404)
    assert client.get("/v1/changes", params={"level": "series.size"}).status_code == 422


def test_a_scenario_is_compared_without_reasons(client: httpx.Client, ids: dict[str, str]) -> None:
    asked = {"left": ids["right"], "right": ids["scenario"], "level": "chain", "weeks": "together"}
    (row,) = client.get("/v1/changes", params=asked).json()["items"]
    assert (row["left_forecast"], row["right_forecast"], row["reasons"]) == (243.0, 486.0, None)


def test_what_cannot_be_compared_says_why(client: httpx.Client, ids: dict[str, str], own_url: str) -> None:
    missing = "2012-10-26-0123456789abcdef"
    assert missing in problem(client.get("/v1/changes", params={"left": missing}), 404)
    oldest = client.get("/v1/vintages").json()["items"][-1]["vintage_id"]
    assert "before 2012-10-12" in problem(client.get("/v1/changes", params={"right": oldest}), 404)
    engine = create_engine_for(own_url)
    other = replace(RECORD, data_version="pieces", unit="pieces", published_at=NOW)
    pieces = publish_vintage(engine, other, forecasts(AFTER, ORIGIN)).vintage_id
    engine.dispose()
    refused = client.get("/v1/changes", params={"left": ids["left"], "right": pieces})
    assert "left counts USD, right pieces" in problem(refused, 422)
