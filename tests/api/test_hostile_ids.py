"""Ids, names and weekday of any retailer, through every endpoint."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pyarrow.parquet as pq
import pytest

from tests.api import hostile
from tests.api.conftest import database, problem, serving
from tests.api.hostile import IDS, NAME, ORIGIN, STORE, name_of

WEEK = "2012-11-04"
LISTS = (
    "forecasts", "forecasts?vintages=all", "series", "totals?level=department", "accuracy?level=department",
    "exceptions", "orders", "overrides", "overrides/accuracy", "departments",
)  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('hostile') / 'store.db'}"
        hostile.fill(url)
        with serving(url, lambda: hostile.NOW) as client:
            yield client
        return
    with database(request.getfixturevalue("postgres_server")) as url:
        hostile.fill(url)
        with serving(url, lambda: hostile.NOW) as client:
            yield client


def rows(client: httpx.Client, address: str, **query: str) -> list[dict[str, Any]]:
    """Every row of a list, page after page."""
    found, answer = [], client.get(f"/v1/{address}", params=httpx.URL(f"/{address}").params.merge(query))
    while True:
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        if "next" not in answer.links:
            return found
        answer = client.get(answer.links["next"]["url"])


@pytest.mark.parametrize("dept", IDS, ids=range(len(IDS)))
def test_a_series_is_found_by_its_very_id_everywhere(client: httpx.Client, dept: str) -> None:
    key = {"store_id": STORE, "dept_id": dept}
    named = key | {"store_name": NAME, "dept_name": name_of(dept)}
    value = 100.0 + IDS.index(dept)
    point = client.get(f"/forecast?store_id={STORE}&dept_id={quote(dept, safe='')}&week={WEEK}").json()
    assert {name: point[name] for name in named} == named
    assert (point["forecast"], point["unit"], point["override"]["override"]) == (value, "EUR", 150.0)
    assert client.get("/forecast", params={"week": WEEK} | key).json() == point
    assert client.get("/forecast", params=key | {"week": WEEK, "horizon": "1"}).json() == point
    batch = {"keys": [key | {"week": WEEK}]}
    assert client.post("/v1/forecasts:batch", json=batch).json()["items"] == [point]
    for path in ("series/detail", "explain"):
        body = client.get(f"/v1/{path}", params=key | ({"week": WEEK} if path == "explain" else {})).json()
        assert {name: body[name] for name in named} == named
    for path in ("forecasts", "series", "exceptions", "orders", "overrides", "overrides/accuracy"):
        assert {(row["dept_id"], row["dept_name"]) for row in rows(client, path, **key)} == {(dept, name_of(dept))}
    for path, only in (("totals", {"level": "department"}), ("accuracy", {}), ("departments", {})):
        found = rows(client, path, dept_id=dept, **only)
        assert {(row["dept_id"], row["dept_name"]) for row in found} == {(dept, name_of(dept))}
    drifted = rows(client, "drift", group_id=dept)
    assert {(row["group_id"], row["group_name"]) for row in drifted} == {(dept, name_of(dept))}
    assert rows(client, "accuracy/weeks?level=department", dept_id=dept)
    found = rows(client, "totals", level="store", store_id=dept)
    assert {(row["store_id"], row["store_name"]) for row in found} == {(dept, None)}


@pytest.mark.parametrize("address", LISTS)
def test_pages_go_through_all_ids(client: httpx.Client, address: str) -> None:
    # Totals have a row a week, so pages of three would be hundreds.
    found = [row["dept_id"] for row in rows(client, address, limit="50" if "totals" in address else "3")]
    assert set(found) == set(IDS)


@pytest.mark.parametrize("address", LISTS)
def test_files_hold_the_ids(client: httpx.Client, address: str) -> None:
    path, _, query = address.partition("?")
    table = client.get(f"/v1/{path}?{query}&format=parquet" if query else f"/v1/{path}?format=parquet").content
    assert set(pq.read_table(io.BytesIO(table))["dept_id"].to_pylist()) == set(IDS)
    sheet = client.get(f"/v1/{path}?{query}&format=csv" if query else f"/v1/{path}?format=csv").text
    read = list(csv.DictReader(io.StringIO(sheet, newline="")))
    # Only what a spreadsheet would run has a mark before it.
    assert {row["dept_id"] for row in read} == {f"'{each}" if each[0] in "=@" else each for each in IDS}


@pytest.mark.parametrize("value", ["x" * 201, "🎪" * 201, "a\nb", "a\x7fb", "\x00", ""])
def test_what_is_no_id_is_refused_by_name(client: httpx.Client, value: str) -> None:
    for path in ("/forecast", "/v1/explain"):
        assert "dept_id" in problem(client.get(path, params={"store_id": STORE, "dept_id": value, "week": WEEK}), 422)
    for path in ("forecasts", "series", "totals", "departments", "exceptions"):
        assert "dept_id" in problem(client.get(f"/v1/{path}", params={"dept_id": value}), 422)


@pytest.mark.parametrize("value", ["nobody", "07", "FOOD/1", "e", " 7"])
def test_a_similar_id_is_not_the_id(client: httpx.Client, value: str) -> None:
    problem(client.get("/forecast", params={"store_id": STORE, "dept_id": value, "week": WEEK}), 404)
    assert "see /v1/departments" in problem(client.get("/v1/departments", params={"dept_id": value}), 404)


def test_the_dataset_says_unit_weekday_and_labels(client: httpx.Client) -> None:
    body = client.get("/v1/dataset").json()
    assert body.pop("vintage")["origin_week"] == str(ORIGIN)
    assert body == {
        "unit": "EUR", "week_ends": "sunday", "store_label": "Shop", "dept_label": "Article", "has_stores": True,
        "has_departments": True, "updated_at": "2012-10-29T06:00:00Z", "is_stale": False, "reason_codes": [],
    }  # fmt: skip


def test_a_store_has_its_name_and_attributes(client: httpx.Client) -> None:
    expected = {"store_id": STORE, "store_name": NAME, "attributes": {"region": "ZH", "size": 120.5}}
    assert rows(client, "stores", store_id=STORE) == [expected]
    assert len(rows(client, "stores")) == 1 + len(IDS)


SAID = "2012-11-01 is a Thursday; weeks end on Sunday, the nearest are 2012-10-28 and 2012-11-04"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (f"/forecast?store_id={STORE}&dept_id=7&week=", "week"),
        (f"/v1/explain?store_id={STORE}&dept_id=7&week=", "week"),
        ("/v1/orders?week=", "week"),
        ("/v1/exceptions?week=", "week"),
        ("/v1/overrides?week=", "week"),
        ("/v1/drift?week=", "week"),
        ("/v1/forecasts?origin=", "origin"),
        ("/v1/vintages?origin=", "origin"),
    ],
)
def test_another_weekday_names_the_nearest_weeks(client: httpx.Client, address: str, name: str) -> None:
    assert problem(client.get(f"{address}2012-11-01"), 422) == f"{name}: {SAID}"


def test_another_weekday_in_a_body_names_the_nearest_weeks(client: httpx.Client) -> None:
    key = {"store_id": STORE, "dept_id": "7", "week": "2012-11-01"}
    assert problem(client.post("/v1/forecasts:batch", json={"keys": [key]}), 422) == f"keys.0.week: {SAID}"
    body = key | {"override": 1.0, "reason": "fair"}
    answer = client.post("/v1/overrides", json=body, headers={"Idempotency-Key": "k"})
    assert problem(answer, 422) == f"week: {SAID}"


def test_without_a_forecast_any_day_may_be_a_week(empty: httpx.Client) -> None:
    assert problem(empty.get(f"/forecast?store_id=1&dept_id=3&week={WEEK}"), 404)
    body = empty.get("/v1/dataset").json()
    assert (body["unit"], body["week_ends"], body["store_label"], body["updated_at"]) == (None, None, "Store", None)


def test_a_name_is_shown_once_it_is_given(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    hostile.fill(url, weeks=2)
    asked = f"/forecast?store_id={STORE}&dept_id=00&week={WEEK}"
    with serving(url, lambda: hostile.NOW, refresh_seconds=3600) as client:
        assert client.get(asked).json()["store_name"] == NAME
        hostile.rename(url, "Basel")
        posted = {"store_id": STORE, "dept_id": "00", "week": WEEK, "override": 1.0, "reason": "fair"}
        # A write refreshes what the service keeps in memory.
        assert client.post("/v1/overrides", json=posted, headers={"Idempotency-Key": "k"}).status_code == 201
        assert client.get(asked).json()["store_name"] == "Basel"
        assert client.get("/v1/series?limit=1").json()["items"][0]["store_name"] in (None, "Basel")
