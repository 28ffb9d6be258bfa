"""Limits at their very edge, by calling the application with a server's messages: each part of a body is known then."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi import FastAPI

from api.limits import RateLimiter
from demand_assets.store.engine import create_engine_for
from demand_assets.store.keys import create_key
from tests.api.conftest import application, bearer, environment, problem
from tests.api.stores import NOW, fill
from tests.waiting import GUARD_S, answers, until

KEY = {"store_id": "1", "dept_id": "3", "week": "2012-11-02"}
LIMIT = 1024
BATCH = "/v1/forecasts:batch"


class Answered(NamedTuple):
    """What came back, and how many parts of the request's body were read for it."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]
    read: int


@contextmanager
def served(folder: Path, **settings: Any) -> Iterator[FastAPI]:
    """The application over a small store, without a server."""
    app = application(fill(folder), **settings)
    yield app
    asyncio.run(app.state.service.stop())


def answered(
    app: FastAPI, method: str, path: str, parts: Sequence[bytes] = (), pause_s: float = 0.0, **headers: str
) -> Answered:
    """The answer to one request; `pause_s` goes before each part of its body."""
    sent: list[Any] = []
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        await asyncio.sleep(pause_s)
        part = parts[read]
        read += 1
        return {"type": "http.request", "body": part, "more_body": read < len(parts)}

    async def send(message: Any) -> None:
        sent.append(message)

    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"", "headers": given,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000),
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    got = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answered(sent[0]["status"], got, json.loads(b"".join(each.get("body", b"") for each in sent[1:])), read)


def body(size: int) -> bytes:
    """A batch of one key, with blanks up to `size` bytes."""
    return json.dumps({"keys": [KEY]}).encode().ljust(size)


def halves(content: bytes) -> list[bytes]:
    return [content[: len(content) // 2], content[len(content) // 2 :]]


def test_a_body_in_parts_may_have_the_limit_and_no_byte_more(tmp_path: Path) -> None:
    with served(tmp_path, body_bytes=LIMIT) as app:
        whole = answered(app, "POST", BATCH, halves(body(LIMIT)), content_type="application/json")
        assert (whole.status, len(whole.body["items"])) == (200, 1)
        for size, read in ((LIMIT + 1, 2), (10 * LIMIT, 1)):
            refused = answered(app, "POST", BATCH, halves(body(size)))
            assert (refused.status, refused.body["detail"], refused.read) == (413, "a body may have 1,024 bytes", read)
        # Nor does a length that is not true lift it.
        assert answered(app, "POST", BATCH, halves(body(LIMIT + 1)), content_length="7").status == 413


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with served(tmp_path, body_bytes=LIMIT, auth="on") as app:
        refused = answered(app, "POST", BATCH, [body(LIMIT + 1)], content_length=str(LIMIT + 1))
    assert (refused.status, refused.body["detail"], refused.read) == (413, "a body may have 1,024 bytes", 0)


def test_the_time_for_a_body_is_that_of_all_its_parts_together(tmp_path: Path) -> None:
    # No part is late by itself.
    with served(tmp_path, body_seconds=0.3) as app:
        refused = answered(app, "POST", BATCH, [b" "] * 100, pause_s=0.02)
    assert (refused.status, refused.body["detail"]) == (408, "the body did not arrive within 0.3 s")
    assert refused.read < 20


def test_a_request_without_a_host_is_refused_where_hosts_are_named(tmp_path: Path) -> None:
    with served(tmp_path, allowed_hosts="Forecasts.Example") as app:
        assert answered(app, "GET", "/v1/vintages").status == 421
        assert answered(app, "GET", "/v1/vintages", host="forecasts.example").status == 200
        # A load balancer asks by address whether it is alive and ready.
        assert [answered(app, "GET", path, host="10.0.1.7").status for path in ("/health", "/ready")] == [200, 200]


def test_a_burst_is_let_through_whole_at_every_rate() -> None:
    # Rates whose interval has no exact binary form, at a time that the clock shows after 143 days.
    for rate, burst in ((3.0, 3), (7.0, 10), (50.0, 200), (0.3, 5)):
        limiter = RateLimiter(rate, burst)
        assert [limiter.wait("a", 12_345_678.9) for _ in range(burst)] == [0.0] * burst
        assert limiter.wait("a", 12_345_678.9) == pytest.approx(1 / rate, abs=1e-6)


def test_the_bucket_does_not_forget_a_caller_who_still_has_to_wait() -> None:
    limiter = RateLimiter(rate=1.0, burst=1)
    for caller in range(9_999):
        limiter.wait(str(caller), 0.0)
    limiter.wait("hasty", 0.9)
    # This one is the 10,001st, so those whose bucket is full again are dropped.
    assert limiter.wait("new", 1.5) == 0
    assert limiter._full_at.keys() == {"hasty", "new"}
    assert limiter.wait("hasty", 1.5) == pytest.approx(0.4)


@pytest.mark.parametrize(("given", "kept"), [("x" * 7, False), ("x" * 8, True), ("x" * 64, True), ("x" * 65, False)])
def test_a_request_id_has_8_to_64_characters(full: httpx.Client, given: str, kept: bool) -> None:
    assert (full.get("/health", headers={"X-Request-Id": given}).headers["x-request-id"] == given) is kept


def test_no_error_is_kept_by_a_cache(full: httpx.Client) -> None:
    with_etag = {"If-None-Match": "*"}
    for method, path, status in (
        ("GET", "/forecast", 422), ("GET", "/nowhere", 404), ("PUT", "/v1/series", 405), ("GET", "/broken", 500),
        ("GET", "/v1/vintages/2012-10-26-0000000000000000", 404), ("POST", "/v1/overrides", 422),
    ):  # fmt: skip
        answer = full.request(method, path, headers=with_etag)
        assert (answer.status_code, answer.headers["cache-control"]) == (status, "no-store")
        assert "etag" not in answer.headers


def test_a_refusal_names_every_method_of_the_path(full: httpx.Client) -> None:
    for path, methods in (
        ("/v1/overrides", "GET, HEAD, POST"), ("/v1/forecasts:batch", "POST"), ("/v1/overrides/1", "GET, HEAD"),
    ):  # fmt: skip
        refused = full.delete(path)
        assert problem(refused, 405)
        assert refused.headers["allow"] == methods


def test_errors_of_a_body_are_named_by_place_up_to_twenty(full: httpx.Client) -> None:
    keys = [KEY | {"week": "soon"}, KEY, *[KEY | {"dept_id": ""}] * 21]
    refused = full.post(BATCH, json={"keys": keys})
    detail = problem(refused, 422)
    errors = refused.json()["errors"]
    assert [error["parameter"] for error in errors] == ["keys.0.week", *(f"keys.{at}.dept_id" for at in range(2, 21))]
    assert detail == "; ".join(f"{error['parameter']}: {error['message']}" for error in errors) + "; and 2 more"
    # What a caller wrote is not sent back at any length.
    refused = full.post(BATCH, json={"keys": [KEY], "x" * 5000: 1})
    assert [error["parameter"] for error in refused.json()["errors"]] == ["x" * 120]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("store_id=2&store_id=1&dept_id=3&week=2012-11-02", "store_id: expected once, got 2 times"),
        ("store_id=1&dept_id=3&week=2012-11-02&week=2012-11-02", "week: expected once, got 2 times"),
        ("store_id=1&dept_id=3&week=2012-11-02&horizons=1", "horizons: unknown parameter"),
    ],
)
def test_a_point_read_takes_each_parameter_once(full: httpx.Client, query: str, said: str) -> None:
    assert said in problem(full.get(f"/forecast?{query}"), 422)


def test_a_caller_over_its_rate_is_told_to_wait_long_enough(tmp_path: Path) -> None:
    with served(tmp_path, auth="on", rate_per_second=0.001, rate_burst=1) as app:
        engine = create_engine_for(f"sqlite:///{tmp_path / 'store.db'}")
        token, _ = create_key(engine, "hasty", ["read"], NOW)
        engine.dispose()
        answered(app, "GET", "/ready")
        first, second = (answered(app, "GET", "/v1/vintages", x_api_key=token) for _ in range(2))
    assert (first.status, second.status) == (200, 429)
    told = second.body["detail"].removeprefix("more than 0.001 requests a second; wait ").removesuffix(" s")
    # Whole seconds, rounded up; the text has a tenth of them.
    assert -0.05 <= int(second.headers["retry-after"]) - float(told) <= 1.05


def knows_keys(address: str) -> bool:
    return httpx.get(f"{address}/v1/vintages", headers=bearer("none"), timeout=GUARD_S).status_code == 401


@contextmanager
def processes_over(url: str, count: int, **settings: str) -> Iterator[list[str]]:
    """Addresses of as many processes that serve one store."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "api", "--port", str(port)],
            env=environment(DEMAND_STORE_URL=url, **settings),
            stderr=subprocess.DEVNULL,
        )
        for port in ports
    ]
    try:
        addresses = [f"http://127.0.0.1:{port}" for port in ports]
        for address, process in zip(addresses, started, strict=True):
            until(partial(answers, f"{address}/ready"), process)
            # Keys are read from the store soon after the start.
            until(partial(knows_keys, address), process)
        yield addresses
    finally:
        for process in started:
            process.terminate()
            process.wait()


def test_two_processes_over_one_store_let_a_key_through_at_its_rate_together(tmp_path: Path) -> None:
    url = fill(tmp_path)
    engine = create_engine_for(url)
    token, _ = create_key(engine, "busy", ["read"], NOW)
    engine.dispose()
    settings = {"AUTH": "on", "RATE_PER_SECOND": "0.001", "RATE_BURST": "4", "PROCESSES": "2"}
    with processes_over(url, 2, **{f"DEMAND_API_{name}": value for name, value in settings.items()}) as addresses:
        # In turn, as a load balancer sends them.
        asked = [
            httpx.get(f"{address}/v1/vintages", headers=bearer(token), timeout=GUARD_S) for address in addresses * 4
        ]
    assert [answer.status_code for answer in asked] == [200] * 4 + [429] * 4
    assert "more than 0.001 requests a second in 2 processes" in problem(asked[-1], 429)


def test_a_process_lets_its_share_of_the_rate_through() -> None:
    alone, shared = RateLimiter(rate=8.0, burst=1), RateLimiter(rate=8.0, burst=4, processes=4)
    for limiter, seconds in ((alone, 0.125), (shared, 0.5)):
        passed = [moment for moment in range(0, 8000, 125) if limiter.wait("busy", moment / 1000) == 0]
        assert passed == list(range(0, 8000, int(seconds * 1000)))


@pytest.mark.parametrize("content", [b"", b"{}", b"{", b"x" * 5000])
def test_a_batch_of_a_path_that_takes_none_is_answered_at_once(full: httpx.Client, content: bytes) -> None:
    assert problem(full.post("/v1/overrides/1:batch", content=content), 405)
