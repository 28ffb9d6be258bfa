"""ETags, HEAD, and what may be kept for ever."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from demand_assets.store.engine import create_engine_for
from tests.api.conftest import every_list, serving
from tests.api.stores import ASKED, ORIGIN, fill_full, publish_full_vintage
from tests.waiting import until

PAGES = (
    "/", "/docs", "/health", "/ready", "/openapi.json", "/static/index.html", "/v1/series/detail?store_id=1&dept_id=3",
    "/v1/overrides/1",
    "/forecast?store_id=1&dept_id=3&week=2012-11-02", "/forecast?week=2012-11-02&store_id=%31&dept_id=3",
    "/forecast?store_id=1&dept_id=3&week=2012-10-19", "/forecast?store_id=1&dept_id=3&week=2012-11-02&horizon=2",
    "/v1/explain?store_id=1&dept_id=3&week=2012-11-02", "/v1/forecasts?format=csv", "/v1/forecasts?format=arrow",
    "/v1/forecasts?format=parquet", "/v1/promotions?format=csv",
)  # fmt: skip
FOREVER, AGAIN = "private, max-age=31536000, immutable", "private, no-cache"


def check_conditional(client: httpx.Client, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    tag = answer.headers["etag"]
    assert tag.startswith('"')
    assert tag.endswith('"')
    assert client.get(address).headers["etag"] == tag
    for known in (tag, f'"other", {tag}', f"W/{tag}"):
        same = client.get(address, headers={"If-None-Match": known})
        assert (same.status_code, same.content) == (304, b"")
        assert same.headers["etag"] == tag
        assert same.headers.get("cache-control") == answer.headers.get("cache-control")
    other = client.get(address, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, answer.content)
    head = client.head(address)
    assert (head.status_code, head.content) == (200, b"")
    changing = {"date", "x-request-id"}
    assert {k: v for k, v in head.headers.items() if k not in changing} == {
        k: v for k, v in answer.headers.items() if k not in changing
    }
    assert client.head(address, headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize("address", PAGES)
def test_what_a_caller_has_already_is_not_sent_again(full: httpx.Client, address: str) -> None:
    check_conditional(full, address)


@every_list
def test_what_a_caller_has_already_of_a_list_is_not_sent_again(
    full: httpx.Client, path: str, filters: dict[str, str]
) -> None:
    check_conditional(full, str(httpx.URL(path, params=filters)))


def test_any_is_a_known_tag_too(full: httpx.Client) -> None:
    for address in ("/forecast?store_id=1&dept_id=3&week=2012-11-02", "/v1/series", "/v1/forecasts?format=csv"):
        assert full.get(address, headers={"If-None-Match": "*"}).status_code == 304


def test_head_of_an_error_has_no_body_either(full: httpx.Client) -> None:
    for address, status in (("/forecast", 422), ("/v1/vintages/2012-10-26-0000000000000000", 404), ("/broken", 500)):
        answer = full.head(address)
        assert (answer.status_code, answer.content) == (status, b"")
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_point_read_has_one_tag_from_memory_and_from_the_store(full_url: str, full: httpx.Client) -> None:
    with serving(full_url, memory_rows=0) as client:
        stored = client.get("/forecast", params=ASKED)
    memory = full.get("/forecast", params=ASKED)
    assert (stored.content, stored.headers["etag"]) == (memory.content, memory.headers["etag"])


@pytest.mark.parametrize("week", ["2012-11-02", "2012-10-26"], ids=["from memory", "from the store"])
@pytest.mark.parametrize("known", ["", "*"])
def test_a_plain_point_read_has_the_headers_of_one_spelled_otherwise(full: httpx.Client, week: str, known: str) -> None:
    def read(address: str) -> tuple[int, bytes, dict[str, str]]:
        answer = full.get(address, headers={"If-None-Match": known})
        return answer.status_code, answer.content, {**answer.headers, "date": "", "x-request-id": ""}

    plain = read(f"/forecast?store_id=1&dept_id=3&week={week}")
    assert plain == read(f"/forecast?store_id=%31&dept_id=3&week={week}")
    assert (plain[0], plain[2]["cache-control"]) == (304 if known else 200, AGAIN)


@pytest.fixture
def client(own_url: str) -> Iterator[httpx.Client]:
    with serving(own_url, refresh_seconds=0.02) as client:
        yield client


def of_vintage(vintage_id: str) -> list[str]:
    return [
        f"/v1/forecasts?vintage_id={vintage_id}",
        f"/v1/forecasts?vintage_id={vintage_id}&format=arrow",
        f"/v1/vintages/{vintage_id}",
        f"/forecast?store_id=1&dept_id=3&week=2012-11-02&vintage_id={vintage_id}",
        f"/v1/explain?store_id=1&dept_id=3&week=2012-11-02&vintage_id={vintage_id}",
    ]


def test_only_a_past_vintage_read_by_its_id_is_immutable(client: httpx.Client) -> None:
    newest, past = (row["vintage_id"] for row in client.get("/v1/vintages?limit=2").json()["items"])
    for address in of_vintage(past):
        assert client.get(address).headers["cache-control"] == FOREVER
    elsewhere = [
        "/v1/forecasts?origin=2012-10-19", "/v1/forecasts?as_of=2012-10-27T07:00:00Z", "/v1/forecasts?vintages=all",
        "/forecast?store_id=1&dept_id=3&week=2012-11-02&horizon=2", f"/v1/accuracy?vintage_id={past}", "/v1/vintages",
    ]  # fmt: skip
    for address in of_vintage(newest) + elsewhere:
        assert client.get(address).headers["cache-control"] == AGAIN


def test_nothing_changes_a_past_vintage_and_everything_the_newest(client: httpx.Client, own_url: str) -> None:
    newest, past = (row["vintage_id"] for row in client.get("/v1/vintages?limit=2").json()["items"])
    now = [
        "/v1/forecasts",
        "/v1/series/detail?store_id=1&dept_id=3",
        "/forecast?store_id=1&dept_id=3&week=2012-11-02",
        of_vintage(newest)[0],
    ]

    def read(addresses: list[str]) -> list[tuple[bytes, str]]:
        return [(answer.content, answer.headers["etag"]) for answer in map(client.get, addresses)]

    def changed(before: list[tuple[bytes, str]], addresses: list[str]) -> bool:
        return all(a != b and a[1] != b[1] for a, b in zip(before, read(addresses), strict=True))

    kept, shown = read(of_vintage(past)), read(now)
    body = {"store_id": "1", "dept_id": "3", "week": "2012-11-02", "override": 1.0, "reason": "fair"}
    assert client.post("/v1/overrides", json=body, headers={"Idempotency-Key": "new"}).status_code == 201
    assert changed(shown, now)
    assert read(of_vintage(past)) == kept
    shown = read(now)
    engine = create_engine_for(own_url)
    made = publish_full_vintage(engine, ORIGIN + timedelta(weeks=1))
    engine.dispose()
    until(lambda: client.get("/ready").json().get("vintage_id") == made)
    assert changed(shown, now)
    assert read(of_vintage(past)) == kept
    until(lambda: client.get(of_vintage(newest)[0]).headers["cache-control"] == FOREVER)
    assert client.get("/forecast?store_id=1&dept_id=3&week=2012-11-02").json()["vintage_id"] == newest


def test_a_forecast_that_goes_stale_has_another_tag(tmp_path_factory: pytest.TempPathFactory) -> None:
    clock = [datetime(2012, 11, 5, tzinfo=UTC)]
    url = f"sqlite:///{tmp_path_factory.mktemp('stale') / 'store.db'}"
    fill_full(url)
    with serving(url, lambda: clock[0], refresh_seconds=0.02) as client:
        before = client.get("/forecast", params=ASKED)
        clock[0] += timedelta(days=2)
        until(lambda: client.get("/forecast", params=ASKED).json()["is_stale"])
        assert client.get("/forecast", params=ASKED).headers["etag"] != before.headers["etag"]
        assert client.get("/v1/forecasts").json()["is_stale"]
