"""Pages of lists: each row once, within the vintage that the first page began with."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from demand_assets.store.engine import create_engine_for
from demand_assets.store.migrations import migrate
from demand_assets.store.publish import publish_vintage
from tests.api.conftest import LISTS, columns, every_list, every_page, problem, serving
from tests.api.stores import ORIGIN, RECORD, WEEK, publish_full_vintage
from tests.waiting import until


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service over 1,001 forecasts that answers at most 1,000 in a file and keeps none in memory."""
    url = f"sqlite:///{tmp_path_factory.mktemp('many') / 'store.db'}"
    migrate(url)
    engine = create_engine_for(url)
    rows = [(str(store), "3", WEEK, 1, float(store), 1.0, 2.0, 3.0, None) for store in range(1, 1002)]
    publish_vintage(engine, RECORD, rows)
    engine.dispose()
    with serving(url, export_rows=1000, memory_rows=0) as client:
        yield client


def test_a_page_has_100_rows_and_a_file_as_many_as_are_allowed(many: httpx.Client) -> None:
    def stores(answer: httpx.Response) -> list[int]:
        return [int(line.split(",")[0]) for line in answer.text.splitlines()[1:]]

    page = many.get("/v1/forecasts").json()
    assert columns(page["items"], "store_id") == [(str(store),) for store in range(1, 101)]
    page = many.get("/v1/forecasts", params={"cursor": page["next_cursor"]}).json()
    assert columns(page["items"], "store_id") == [(str(store),) for store in range(101, 201)]
    file = many.get("/v1/forecasts?format=csv")
    assert stores(file) == list(range(1, 1001))
    last = many.get(file.links["next"]["url"])
    assert (stores(last), "next" in last.links) == ([1001], False)


def test_a_batch_of_many_keys_loses_none(many: httpx.Client) -> None:
    keys = [{"store_id": str(store), "dept_id": "3", "week": "2012-11-02"} for store in range(1001, 0, -1)]
    body = many.post("/v1/forecasts:batch", json={"keys": keys}).json()
    assert columns(body["items"], "store_id", "forecast") == [(str(store), store) for store in range(1001, 0, -1)]
    assert body["missing"] == []


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


def test_pages_of_all_vintages_stay_within_those_they_began_with_when_the_clock_steps_back(full_url: str) -> None:
    engine = create_engine_for(full_url)
    origins, cursor = [], {}
    with serving(full_url) as client:
        while True:
            page = client.get("/v1/forecasts", params={"vintages": "all", "limit": "7"} | cursor).json()
            origins += [origin for (origin,) in columns(page["items"], "origin_week")]
            if not cursor:
                earlier = RECORD.published_at - timedelta(days=400)
                publish_full_vintage(engine, ORIGIN + timedelta(weeks=1), published_at=earlier)
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
    engine.dispose()
    assert max(origins) == f"{ORIGIN}"


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
        ("/v1/vintages", {}, lambda key, token: ([None, key[1]], token)),
        ("/v1/vintages", {}, lambda key, token: ([key[0], 2**31], token)),
        ("/v1/vintages", {}, lambda key, token: ([key[0], True], token)),
        ("/v1/forecasts", {}, lambda key, token: (["\ud800", *key[1:]], token)),
        ("/v1/forecasts", {}, lambda key, token: (["a\x00", *key[1:]], token)),
        ("/v1/forecasts", {}, lambda key, token: ([1, *key[1:]], token)),
        ("/v1/forecasts", {"vintages": "all"}, lambda key, token: (key, "0")),
        ("/v1/forecasts", {"vintages": "all"}, lambda key, token: (key, "2147483648")),
        ("/v1/forecasts", {"vintages": "all"}, lambda key, token: (key, "9" * 5000)),
        ("/v1/forecasts", {}, lambda key, token: (key[:2], token)),
        ("/v1/forecasts", {}, lambda key, token: (key, 7)),
        ("/v1/forecasts", {}, lambda key, token: (key, "\x00")),
        ("/v1/forecasts", {"vintages": "all"}, lambda key, token: (key, "x")),
        ("/v1/exceptions", {}, lambda key, token: (key, "2012-13-01")),
        ("/v1/accuracy", {}, lambda key, token: ([*key[:3], 2**20, *key[4:]], token)),
        ("/v1/drift", {}, lambda key, token: ([None] * 5, token)),
    ],
)  # fmt: skip
def test_a_forged_cursor_is_refused(
    full: httpx.Client,
    path: str,
    filters: dict[str, str],
    forge: Callable[[list[Any], Any], tuple[list[Any], Any]],
) -> None:
    cursor = full.get(path, params=filters | {"limit": "1"}).json()["next_cursor"]
    given, key, token = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    forged = base64.urlsafe_b64encode(json.dumps([given, *forge(key, token)]).encode()).decode().rstrip("=")
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
        detail = client.get("/v1/series/detail?store_id=1&dept_id=3").json()
        assert {row["vintage_id"] for row in detail["forecasts"]} == {made}
        assert {row["origin_week"] for row in detail["earlier"]} == {"2012-10-12", "2012-10-19"}
        assert old != made
    engine.dispose()
