"""Rates, bodies, hosts, headers: what keeps the service and its callers apart from harm."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import httpx
import pytest
from sqlalchemy import text

from api.limits import RateLimiter
from api.settings import ApiSettings
from demand_assets.store.engine import create_engine_for
from tests.api.conftest import Keys, bearer, problem, serving
from tests.api.stores import ASKED, fill_full
from tests.waiting import GUARD_S

SECURITY = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
}


def test_the_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    limiter = RateLimiter(rate=2.0, burst=3)
    assert [limiter.wait("a", 100.0) for _ in range(3)] == [0, 0, 0]
    assert limiter.wait("a", 100.0) == pytest.approx(0.5)
    assert limiter.wait("b", 100.0) == 0
    assert limiter.wait("a", 100.4) == pytest.approx(0.1)
    assert limiter.wait("a", 100.5) == 0
    assert limiter.wait("a", 100.5) == pytest.approx(0.5)
    # Full again after burst / rate, and no fuller.
    assert [limiter.wait("a", 200.0) for _ in range(3)] == [0, 0, 0]
    assert limiter.wait("a", 200.0) > 0


def test_the_bucket_forgets_callers_whose_bucket_is_full() -> None:
    limiter = RateLimiter(rate=1.0, burst=1)
    for caller in range(10_000):
        limiter.wait(str(caller), 0.0)
    assert limiter.wait("new", 5.0) == 0
    assert len(limiter._full_at) == 1


def test_a_caller_over_its_rate_waits_and_no_other(full_url: str) -> None:
    keys = Keys(full_url)
    (hasty, _), (calm, _) = keys.make("hasty", "read"), keys.make("calm", "read")
    keys.engine.dispose()
    with serving(full_url, auth="on", rate_per_second=0.001, rate_burst=3) as client:
        client.get("/ready")
        asked = [client.get("/forecast", params=ASKED, headers=bearer(hasty)) for _ in range(5)]
        assert [answer.status_code for answer in asked] == [200, 200, 200, 429, 429]
        assert "more than 0.001 requests a second" in problem(asked[-1], 429)
        assert 900 <= int(asked[-1].headers["retry-after"]) <= 1001
        assert client.get("/forecast", params=ASKED, headers=bearer(calm)).status_code == 200
        assert client.get("/health").status_code == 200
        metrics = client.get("/metrics", headers=bearer(calm)).text
        assert "demand_api_rate_limited_total 2.0" in metrics


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service that takes small bodies only."""
    url = f"sqlite:///{tmp_path_factory.mktemp('small') / 'store.db'}"
    fill_full(url)
    with serving(url, body_bytes=1024) as client:
        yield client


def test_a_body_over_the_limit_is_refused(small: httpx.Client) -> None:
    whole = b" " * 1025
    chunked = iter([b" " * 512] * 3)
    for content in (whole, chunked):
        answer = small.post("/v1/forecasts:batch", content=content, headers={"Content-Type": "application/json"})
        assert problem(answer, 413) == "a body may have 1,024 bytes"
        assert answer.headers["connection"] == "close"
    assert problem(small.post("/v1/forecasts:batch", content=b" " * 1024), 422)


@contextmanager
def connected(client: httpx.Client) -> Iterator[socket.socket]:
    with closing(socket.create_connection((client.base_url.host, client.base_url.port or 80), GUARD_S)) as raw:
        yield raw


def test_a_body_that_comes_too_slowly_is_refused_and_stops_nobody(full_url: str) -> None:
    with serving(full_url, body_seconds=0.3) as client, connected(client) as slow:
        slow.sendall(b"POST /v1/forecasts:batch HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert client.get("/forecast", params=ASKED).status_code == 200
        answer = slow.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in answer
    assert b"the body did not arrive within 0.3 s" in answer


def test_callers_who_send_or_read_slowly_do_not_stop_others(full: httpx.Client) -> None:
    with connected(full) as sending, connected(full) as reading:
        sending.sendall(b"GET /forecast?store_id=1 HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        reading.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        # More answers than its buffers hold, none of which it reads.
        reading.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        # More requests than answers are asked for above, so that the last of them come when those are stuck.
        for _ in range(150):
            assert full.get("/forecast", params=ASKED).status_code == 200
        sending.sendall(b"y\r\n\r\n")
        assert sending.recv(65536).startswith(b"HTTP/1.1 422 ")


def test_a_connection_that_sends_no_request_is_400(full: httpx.Client) -> None:
    with connected(full) as raw:
        raw.sendall(b"\x16\x03\x01\x02\x00\x01\r\n\r\n")
        assert raw.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert full.get("/health").status_code == 200


def test_only_its_own_hosts_are_served(full_url: str) -> None:
    settings = ApiSettings(store_url=full_url).for_listening()
    assert settings.hosts == {"localhost", "127.0.0.1", "[::1]"}
    with serving(full_url, allowed_hosts=settings.allowed_hosts) as client:
        for host in ("localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]", "[::1]:8000"):
            assert client.get("/forecast", params=ASKED, headers={"Host": host}).status_code == 200
        for host in ("evil.example", "evil.example:8000", "localhost.evil.example", "localhost:80.evil.example", ""):
            for path in ("/forecast", "/v1/series", "/"):
                assert "is not served here" in problem(client.get(path, headers={"Host": host}), 421)
        # A load balancer asks after health by address.
        assert client.get("/health", headers={"Host": "10.0.1.7:8000"}).status_code == 200
    assert ApiSettings(store_url=full_url, host="0.0.0.0").for_listening().hosts == set()
    assert ApiSettings(store_url=full_url, auth="on").for_listening().hosts == set()
    named = ApiSettings(store_url=full_url, allowed_hosts="A.example,, b.example ").for_listening()
    assert named.hosts == {"a.example", "b.example"}


def test_no_page_of_another_site_may_call_unless_it_is_named(full_url: str, full: httpx.Client) -> None:
    preflight = {"Origin": "https://planner.example", "Access-Control-Request-Method": "POST"}
    for answer in (full.get("/v1/series", headers=preflight), full.options("/v1/overrides", headers=preflight)):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    with serving(full_url, cors_origins="https://planner.example, https://other.example") as client:
        for method, path in (("GET", "/v1/series"), ("GET", "/forecast?store_id=1&dept_id=3&week=2012-11-02")):
            answer = client.request(method, path, headers=preflight)
            assert answer.headers["access-control-allow-origin"] == "https://planner.example"
            assert (
                answer.headers["access-control-expose-headers"]
                == "Accept-Ranges, Content-Range, ETag, Link, X-Request-Id, Retry-After"
            )
            refused = client.request(method, path, headers={"Origin": "https://evil.example"})
            assert "access-control-allow-origin" not in refused.headers
        named = "Authorization, X-API-Key, Content-Type, Idempotency-Key, If-None-Match"
        asked = client.options("/v1/overrides", headers=preflight | {"Access-Control-Request-Headers": named})
        assert set(named.split(", ")) <= set(asked.headers["access-control-allow-headers"].split(", "))
        assert "access-control-allow-credentials" not in asked.headers
        assert asked.headers["x-content-type-options"] == "nosniff"
        assert (asked.status_code, asked.headers["access-control-allow-methods"]) == (200, "GET, POST")
        evil = client.options("/v1/overrides", headers=preflight | {"Origin": "https://evil.example"})
        assert evil.status_code == 400
        assert "access-control-allow-origin" not in evil.headers


def test_a_page_that_may_call_may_read_why_it_is_refused(full_url: str) -> None:
    origin = {"Origin": "https://planner.example"}
    with serving(full_url, cors_origins=origin["Origin"], auth="on", body_bytes=1024) as client:
        client.get("/ready")
        for answer, status in (
            (client.get("/v1/series", headers=origin), 401),
            (client.post("/v1/forecasts:batch", content=b" " * 2000, headers=origin), 413),
        ):
            assert problem(answer, status)
            assert answer.headers["access-control-allow-origin"] == origin["Origin"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200), ("GET", "/health", 200), ("GET", "/v1/series", 200), ("GET", "/metrics", 200),
        ("GET", "/static/index.html", 200), ("GET", "/nowhere", 404), ("GET", "/static/nowhere", 404),
        ("GET", "/forecast", 422), ("PUT", "/forecast", 405), ("DELETE", "/v1/overrides/1", 405),
        ("GET", "/broken", 500), ("HEAD", "/v1/series", 200), ("OPTIONS", "/v1/series", 405),
        ("PROPFIND", "/v1/series", 405),
        ("GET", "/forecast?store_id=1&dept_id=3&week=2012-11-02", 200), ("POST", "/v1/overrides", 422),
    ],
)  # fmt: skip
def test_every_answer_has_the_security_headers(full: httpx.Client, method: str, path: str, status: int) -> None:
    answer = full.request(method, path, headers={"X-Request-Id": "abc-DEF_1.23"})
    assert answer.status_code == status
    assert {name: answer.headers[name] for name in SECURITY} == SECURITY
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-request-id"] == "abc-DEF_1.23"
    assert len(answer.headers.get_list("x-request-id")) == 1


@pytest.mark.parametrize("given", ["", "short", "x" * 65, "a b c d e f", "<script>alert", 'x"; y=12345'])
def test_a_request_id_that_is_not_well_formed_is_replaced(full: httpx.Client, given: str) -> None:
    made = full.get("/health", headers={"X-Request-Id": given}).headers["x-request-id"]
    assert len(made) == 32
    assert made != full.get("/health").headers["x-request-id"]


def test_an_unexpected_error_tells_its_id_and_nothing_of_the_inside(full: httpx.Client) -> None:
    answer = full.get("/broken")
    assert problem(answer, 500) == f"unexpected error; the log has it as request {answer.headers['x-request-id']}"
    for inside in ("Traceback", "ZeroDivisionError", "secret", ".py"):
        assert inside not in answer.text


def test_a_store_of_another_revision_is_refused_and_not_read(full_url: str) -> None:
    engine = create_engine_for(full_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with serving(full_url) as client:
        assert "revision 9999, code expects" in problem(client.get("/v1/series"), 503)


def test_many_callers_at_once_are_all_answered(full: httpx.Client) -> None:
    with ThreadPoolExecutor(30) as threads:
        paths = [
            "/v1/forecasts",
            "/v1/series/detail?store_id=1&dept_id=3",
            "/forecast?store_id=1&dept_id=3&week=2012-11-02",
            "/v1/totals",
        ] * 25
        assert {answer.status_code for answer in threads.map(full.get, paths)} == {200}
