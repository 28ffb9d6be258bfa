"""Ids as the retailer writes them, and amounts in the retailer's unit."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from demand_assets.store.engine import create_engine_for
from demand_assets.store.migrations import migrate
from demand_assets.store.publish import publish_actuals, publish_vintage
from tests.api.conftest import problem, serving
from tests.api.stores import ORIGIN, RECORD, WEEK

# A path, a formula, a tag, an escape, one that differs by its case, by a zero or by a space, and the longest.
IDS = (
    "a/b",
    "../..",
    "=1+1",
    "@x",
    "<b>",
    "%31",
    "a b",
    "A b",
    "a  b",
    "0",
    "00",
    "all",
    "null",
    "日本 🎪",
    "#?&",
    "x" * 100,
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service over a store of pieces, whose departments have the ids above."""
    url = f"sqlite:///{tmp_path_factory.mktemp('ids') / 'store.db'}"
    migrate(url)
    engine = create_engine_for(url)
    rows = [("N/A", dept, WEEK, 1, float(number), 0.0, 1.0, 2.0, None) for number, dept in enumerate(IDS)]
    publish_vintage(engine, replace(RECORD, unit="pieces"), rows)
    publish_actuals(engine, [("N/A", dept, ORIGIN, 0.25, False) for dept in IDS])
    engine.dispose()
    with serving(url) as client:
        yield client


@pytest.mark.parametrize("number", range(len(IDS)), ids=IDS)
def test_an_id_is_found_by_the_very_text(client: httpx.Client, number: int) -> None:
    key = {"store_id": "N/A", "dept_id": IDS[number]}
    point = client.get("/forecast", params=key | {"week": str(WEEK)}).json()
    assert (point["store_id"], point["dept_id"], point["forecast"]) == ("N/A", IDS[number], float(number))
    body = {"keys": [key | {"week": str(WEEK)}]}
    assert client.post("/v1/forecasts:batch", json=body).json()["items"] == [point]
    assert client.get("/v1/forecasts", params=key).json()["items"] == [point]
    detail = client.get("/v1/series/detail", params=key).json()
    assert (detail["dept_id"], detail["forecasts"], detail["unit"]) == (IDS[number], [point], "pieces")
    assert len(client.get("/v1/series", params={"dept_id": IDS[number]}).json()["items"]) == 1


def test_pages_go_through_any_ids(client: httpx.Client) -> None:
    found, address = [], "/v1/forecasts?limit=3"
    while address:
        answer = client.get(address)
        found += [row["dept_id"] for row in answer.json()["items"]]
        address = answer.links.get("next", {}).get("url", "")
    assert sorted(found) == sorted(IDS)


def test_an_id_is_never_a_formula(client: httpx.Client) -> None:
    sheet = client.get("/v1/forecasts?format=csv").text
    found = {row["dept_id"] for row in csv.DictReader(io.StringIO(sheet, newline=""))}
    assert found == {f"'{each}" if each in ("=1+1", "@x") else each for each in IDS}


def test_every_answer_says_the_unit_of_its_vintage(client: httpx.Client) -> None:
    point = client.get("/forecast", params={"store_id": "N/A", "dept_id": "0", "week": str(WEEK)}).json()
    assert point["unit"] == "pieces"
    for path in ("forecasts", "orders", "series", "totals", "vintages", "accuracy", "drift", "overrides", "models"):
        assert client.get(f"/v1/{path}").json()["unit"] == "pieces", path


def test_a_store_without_a_forecast_has_no_unit(empty: httpx.Client) -> None:
    body = empty.get("/v1/series").json()
    assert (body["vintage"], body["unit"], body["is_stale"]) == (None, None, False)


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/v1/overrides/1"])
def test_a_route_without_parameters_takes_none(full: httpx.Client, path: str) -> None:
    assert problem(full.get(path, params={"x": "1"}), 422) == "x: unknown parameter; known: none"
