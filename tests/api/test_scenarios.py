"""What-if over HTTP: beside the forecast, never in its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from demand_assets.store.engine import create_engine_for
from demand_assets.store.publish import publish_vintage
from demand_assets.store.queries import newest_vintage
from demand_assets.store.scenarios import ScenarioRecord, publish_scenario
from tests.api.conftest import monday, serving
from tests.api.stores import NOW, ORIGIN, RECORD, WEEK

LATER = WEEK + timedelta(weeks=1)
CHANGES = "covariate,change\nprice,*0.5\n"


def rows(more: float) -> list[tuple[Any, ...]]:
    return [
        ("1", "3", WEEK, 1, 100.0 + more, 80.0, 99.0, 130.0, 120.0 + more),
        ("1", "3", LATER, 2, 110.0, 85.0, 109.0, 140.0, 125.0),
        ("2", "3", WEEK, 1, 10.0 - more / 10, 5.0, 9.0, 20.0, None),
    ]


def totals(more: float) -> list[tuple[Any, ...]]:
    return [
        ("chain", None, None, WEEK, 1, 110.0 + more, 90.0, 110.0, 150.0, 2),
        ("chain", None, None, LATER, 2, 110.0, None, None, None, 1),
    ]


@pytest.fixture
def client(own_url: str) -> Iterator[httpx.Client]:
    engine = create_engine_for(own_url)
    base = publish_vintage(engine, replace(RECORD, data_version="base"), rows(0.0), totals(0.0)).vintage_id
    record = ScenarioRecord("half-price", base, CHANGES, 2, "ann", {WEEK.isoformat(): [220.0, 130.0]})
    vintage = replace(RECORD, data_version="changed", kind="scenario", published_at=NOW)
    publish_scenario(engine, record, vintage, rows(20.0), totals(18.0))
    with engine.connect() as connection:
        newest = newest_vintage(connection)
    assert newest is not None
    assert newest["vintage_id"] == base
    engine.dispose()
    with serving(own_url, monday) as client:
        yield client


def test_scenarios_are_listed_beside_their_base(client: httpx.Client) -> None:
    (found,) = client.get("/v1/scenarios").json()["items"]
    shown = ("name", "origin_week", "unit", "series", "author", "changes", "forecast", "base_forecast", "adopted_by")
    assert {name: found[name] for name in shown} == {
        "name": "half-price",
        "origin_week": ORIGIN.isoformat(),
        "unit": "USD",
        "series": 2,
        "author": "ann",
        "changes": CHANGES,
        "forecast": 238.0,
        "base_forecast": 220.0,
        "adopted_by": None,
    }
    assert client.get("/v1/scenarios", params={"origin": "2012-10-19"}).json()["items"] == []


def test_one_scenario_has_its_weeks_in_units_orders_and_money(client: httpx.Client) -> None:
    body = client.get("/v1/scenarios/half-price").json()
    assert body["vintage"]["kind"] == "scenario"
    shown = ("week", "forecast", "base_forecast", "order_quantity", "base_order_quantity", "money", "base_money")
    assert [tuple(week[name] for name in shown) for week in body["weeks"]] == [
        ("2012-11-02", 128.0, 110.0, 140.0, 120.0, 130.0, 220.0),
        ("2012-11-09", 110.0, 110.0, 125.0, 125.0, None, None),
    ]
    assert [(each["store_id"], each["dept_id"], each["difference"]) for each in body["movers"]] == [
        ("1", "3", 20.0),
        ("2", "3", -2.0),
    ]


def test_forecasts_of_a_scenario_are_filtered_and_paged(client: httpx.Client) -> None:
    path = "/v1/scenarios/half-price/forecasts"
    first = client.get(path, params={"limit": 2}).json()
    rest = client.get(path, params={"limit": 2, "cursor": first["next_cursor"]}).json()
    shown = ("store_id", "week", "forecast", "base_forecast", "difference")
    assert [tuple(row[name] for name in shown) for row in (*first["items"], *rest["items"])] == [
        ("1", "2012-11-02", 120.0, 100.0, 20.0),
        ("1", "2012-11-09", 110.0, 110.0, 0.0),
        ("2", "2012-11-02", 8.0, 10.0, -2.0),
    ]
    assert len(client.get(path, params={"store_id": "1", "horizon": 2}).json()["items"]) == 1
    assert client.get(path, params={"format": "csv"}).text.splitlines()[0].startswith("store_id,store_name,")


def test_a_scenario_changes_no_other_answer(client: httpx.Client) -> None:
    asked = {"store_id": "1", "dept_id": "3", "week": "2012-11-02"}
    assert client.get("/forecast", params=asked).json()["forecast"] == 100.0
    forecasts = client.get("/v1/forecasts", params={"store_id": "1"}).json()["items"]
    assert [row["forecast"] for row in forecasts] == [100.0, 110.0]
    orders = client.get("/v1/orders").json()
    assert orders["vintage"]["kind"] == "forecast"
    totals = client.get("/v1/totals", params={"level": "chain", "from": "2012-11-02"}).json()["items"]
    assert [row["forecast"] for row in totals] == [110.0, 110.0]
    newest = client.get("/v1/vintages", params={"kind": "forecast", "limit": 1}).json()["items"]
    assert [row["sequence"] for row in newest] == [orders["vintage"]["sequence"]]


def test_a_scenario_that_there_is_not_is_404(client: httpx.Client) -> None:
    answer = client.get("/v1/scenarios/none")
    assert answer.status_code == 404
    assert "no scenario none; see /v1/scenarios" in answer.text
    assert client.get("/v1/scenarios/..%5Cx").status_code == 422
    assert client.get("/v1/scenarios/half-price/forecasts", params={"store_id": "9"}).status_code == 404
