"""Keys, limits, hosts, headers, logs: what keeps the service and its callers apart from harm."""

from __future__ import annotations

import io
import json
import logging
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError
from sqlalchemy import make_url, text

from api.limits import RateLimiter
from api.logs import _LOGGERS, log_as_json
from api.settings import ApiSettings
from demand_assets.store.engine import create_engine_for
from demand_assets.store.keys import create_key, revoke_key
from tests.api.conftest import ASKED, NOW, fill_full, problem, serving
from tests.waiting import GUARD_S, until

BODY: dict[str, Any] = {
    "store_id": 1, "dept_id": 3, "week": "2012-11-02", "override": 1.0, "author": "Ada", "reason": "fair",
}  # fmt: skip
SECURITY = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class Keys:
    """Keys of one store."""

    def __init__(self, url: str) -> None:
        self.engine = create_engine_for(url)

    def make(self, name: str, *scopes: str, until: datetime | None = None, now: datetime = NOW) -> tuple[str, str]:
        """(the key, its id)"""
        token, row = create_key(self.engine, name, scopes, now, until)
        return token, row["key_id"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Keys]]:
    url = f"sqlite:///{tmp_path_factory.mktemp('guarded') / 'store.db'}"
    fill_full(url)
    keys = Keys(url)
    with serving(url, auth="on", refresh_seconds=0.02) as client:
        client.get("/ready")
        yield client, keys
    keys.engine.dispose()


def opens(client: httpx.Client, token: str) -> bool:
    return client.get("/v1/series", headers=bearer(token)).status_code == 200


def test_a_key_is_needed(guarded: tuple[httpx.Client, Keys]) -> None:
    client, _ = guarded
    for headers in (
        {}, {"Authorization": "Bearer"}, {"Authorization": "Bearer dk_x y"}, {"Authorization": "Basic eDp5"},
        bearer("dk_wrong"), {"X-API-Key": "dk_wrong"}, {"X-API-Key": ""}, {"Authorization": "dk_wrong"},
    ):  # fmt: skip
        for answer in (
            client.get("/forecast", params=ASKED, headers=headers),
            client.get("/v1/forecasts", headers=headers),
            client.get("/metrics", headers=headers),
            client.get("/nowhere", headers=headers),
            client.post("/v1/overrides", json=BODY, headers=headers | {"Idempotency-Key": "k"}),
        ):
            assert "send it as `Authorization: Bearer KEY`" in problem(answer, 401)
            assert answer.headers["www-authenticate"] == 'Bearer realm="demand"'
        assert client.head("/v1/forecasts", headers=headers).status_code == 401


@pytest.mark.parametrize("path", ["/", "/health", "/ready", "/openapi.json", "/static/index.html"])
def test_what_everybody_may_see_needs_no_key(guarded: tuple[httpx.Client, Keys], path: str) -> None:
    assert guarded[0].get(path).status_code == 200


def test_a_key_opens_what_its_scopes_name(guarded: tuple[httpx.Client, Keys]) -> None:
    client, keys = guarded
    writer, writer_id = keys.make("writer", "write")
    reader, reader_id = keys.make("reader", "read")  # made last, so both are known once it is
    until(lambda: opens(client, reader))
    batch = {"keys": [{"store_id": 1, "dept_id": 3, "week": "2012-11-02"}]}
    for headers in (bearer(reader), {"X-API-Key": reader}, {"Authorization": f"bEARER  {reader}"}):
        assert client.get("/forecast", params=ASKED, headers=headers).status_code == 200
        assert client.head("/v1/series", headers=headers).status_code == 200
        assert client.post("/v1/forecasts:batch", json=batch, headers=headers).status_code == 200
        refused = client.post("/v1/overrides", json=BODY, headers=headers | {"Idempotency-Key": "k"})
        assert problem(refused, 403) == f"key {reader_id} lacks the scope write"
        for method in ("PUT", "PATCH", "DELETE"):
            assert client.request(method, "/v1/series", headers=headers).status_code == 403
    given = client.post("/v1/overrides", json=BODY, headers=bearer(writer) | {"Idempotency-Key": "k"})
    assert given.status_code == 201
    for refused in (
        client.get("/forecast", params=ASKED, headers=bearer(writer)),
        client.get("/v1/overrides", headers=bearer(writer)),
        client.post("/v1/forecasts:batch", json=batch, headers=bearer(writer)),
    ):
        assert problem(refused, 403) == f"key {writer_id} lacks the scope read"


def test_a_key_counts_only_where_keys_are_looked_for(guarded: tuple[httpx.Client, Keys]) -> None:
    client, keys = guarded
    token, _ = keys.make("careful", "read")
    until(lambda: opens(client, token))

    def refusals() -> float:
        text = client.get("/metrics", headers=bearer(token)).text
        return float(text.split("\ndemand_api_unauthorised_total ")[1].split("\n")[0])

    before = refusals()
    # A key in its own header is the one that is meant, even where the other would do.
    for headers, said in (
        ({"Authorization": f"Basic {token}"}, "an API key is needed"),
        ({"Authorization": token}, "an API key is needed"),
        ({"X-API-Key": ""} | bearer(token), "an API key is needed"),
        ({"X-API-Key": "dk_wrong"} | bearer(token), "the API key is not valid"),
        ({"X-API-Key": f"Bearer {token}"}, "the API key is not valid"),
        (bearer(token[:-1]), "the API key is not valid"),
        (bearer(token.swapcase()), "the API key is not valid"),
    ):
        assert problem(client.get("/v1/series", headers=headers), 401).startswith(said)
    assert refusals() == before + 7
    assert client.get("/v1/series", headers={"X-API-Key": token} | bearer("dk_wrong")).status_code == 200
    # What a page may ask beforehand says nothing of the store.
    assert client.options("/v1/series").status_code == 405


def test_two_keys_of_a_name_are_valid_until_one_is_revoked(guarded: tuple[httpx.Client, Keys]) -> None:
    client, keys = guarded
    old, old_id = keys.make("rotated", "read")
    new, _ = keys.make("rotated", "read")
    until(lambda: opens(client, old) and opens(client, new))
    revoke_key(keys.engine, old_id, NOW)
    until(lambda: not opens(client, old))
    assert problem(client.get("/v1/series", headers=bearer(old)), 401).startswith("the API key is not valid")
    assert opens(client, new)


def test_a_key_expires_by_the_clock(full_url: str) -> None:
    clock, keys = [NOW], Keys(full_url)
    token, _ = keys.make("short", "read", until=NOW + timedelta(hours=1))
    keys.engine.dispose()
    # Looked at once an hour, so it is the clock alone that ends it.
    with serving(full_url, lambda: clock[0], auth="on", refresh_seconds=3600) as client:
        client.get("/ready")
        assert opens(client, token)
        clock[0] += timedelta(hours=1)
        assert not opens(client, token)


def test_keys_go_on_while_the_store_is_down_and_are_refused_before_it_was_read(
    postgres_server: str, postgres_url: str
) -> None:
    fill_full(postgres_url)
    keys = Keys(postgres_url)
    token, _ = keys.make("reader", "read")
    with keys.engine.begin() as connection:
        [(revision,)] = connection.execute(text("SELECT version_num FROM alembic_version"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    with (
        serving(postgres_url, auth="on", refresh_seconds=0.02) as client,
        psycopg.connect(postgres_server, autocommit=True) as admin,
    ):
        refused = client.get("/forecast", params=ASKED, headers=bearer(token))
        assert problem(refused, 503).startswith("keys cannot be checked: ")
        assert int(refused.headers["retry-after"]) > 0
        assert client.get("/health").status_code == 200
        with keys.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
        keys.engine.dispose()
        until(lambda: opens(client, token))
        name = make_url(postgres_url).database
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        until(lambda: client.get("/v1/series", headers=bearer(token)).status_code == 503)
        assert client.get("/forecast", params=ASKED, headers=bearer(token)).status_code == 200
        problem(client.get("/forecast", params=ASKED, headers=bearer("dk_wrong")), 401)
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


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
            assert answer.headers["access-control-expose-headers"] == "ETag, Link, X-Request-Id, Retry-After"
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


@contextmanager
def logged(level: str = "info") -> Iterator[io.StringIO]:
    """The log of the service as JSON lines, and afterwards the loggers as they were."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [(each.handlers, each.level, each.propagate) for each in loggers]
    stream = io.StringIO()
    handler = log_as_json(level, stream)
    try:
        yield stream
    finally:
        handler.close()
        for each, (handlers, level, propagate) in zip(loggers, before, strict=True):
            each.handlers, each.propagate = handlers, propagate
            each.setLevel(level)


def test_each_request_is_one_line_of_json_without_secrets(full_url: str) -> None:
    keys = Keys(full_url)
    token, key_id = keys.make("reader", "read")
    keys.engine.dispose()
    with logged() as stream, serving(full_url, auth="on") as client:
        client.get("/ready")
        client.get("/forecast", params=ASKED, headers=bearer(token) | {"X-Request-Id": "request-1"})
        client.get("/v1/series?store_id=1", headers={"X-API-Key": token, "X-Request-Id": "request-2"})
        client.get("/v1/series?store_id=hunter2", headers=bearer("hunter2secret") | {"X-Request-Id": "request-3"})
        client.get("/no%0Awhere%22%E2%80%A8", headers=bearer(token) | {"X-Request-Id": "request-4"})
        client.get("/broken", headers=bearer(token) | {"X-Request-Id": "request-5"})
        until(lambda: '"GET /broken 500"' in stream.getvalue())
    text = stream.getvalue()
    assert token not in text
    assert "hunter2" not in text
    assert "2012-11-02" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    access = {line["request_id"]: line for line in lines if line["logger"] == "api.access"}
    assert len(access) == len([line for line in lines if line["logger"] == "api.access"]) == 6
    assert {name: access["request-1"][name] for name in ("level", "message", "route", "status", "key")} == {
        "level": "info",
        "message": "GET /forecast 200",
        "route": "/forecast",
        "status": 200,
        "key": key_id,
    }
    assert access["request-1"]["bytes"] > 100
    assert access["request-1"]["ms"] >= 0
    assert (access["request-2"]["route"], access["request-2"]["key"]) == ("/v1/series", key_id)
    assert (access["request-3"]["status"], "key" in access["request-3"]) == (401, False)
    assert (access["request-4"]["status"], access["request-4"]["route"]) == (404, "other")
    [error] = [line for line in lines if line["logger"] == "api.errors"]
    assert (error["level"], error["request_id"], error["path"]) == ("error", "request-5", "/broken")
    assert "ZeroDivisionError: secret of the inside" in error["traceback"]


@pytest.mark.parametrize("level", ["warning", "error"])
def test_of_a_quiet_service_only_what_failed_is_logged(full_url: str, level: str) -> None:
    with serving(full_url, log_level=level) as client, logged(level) as stream:
        for path in ("/v1/series", "/nowhere", "/broken"):
            client.get(path)
        until(lambda: '"GET /broken 500"' in stream.getvalue())
    access = [json.loads(line) for line in stream.getvalue().splitlines() if '"api.access"' in line]
    assert [(line["level"], line["message"]) for line in access] == [("error", "GET /broken 500")]


def test_an_unexpected_error_tells_its_id_and_nothing_of_the_inside(full: httpx.Client) -> None:
    answer = full.get("/broken")
    assert problem(answer, 500) == f"unexpected error; the log has it as request {answer.headers['x-request-id']}"
    for inside in ("Traceback", "ZeroDivisionError", "secret", ".py"):
        assert inside not in answer.text


def test_the_log_goes_on_after_a_record_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with logged() as stream:
        logging.getLogger("api.access").info("before it")
        logging.getLogger("api.access").info("%d", "no number")
        until(lambda: "before it" in stream.getvalue())
        until(
            lambda: (
                not any(
                    thread.name == "log" and not thread.is_alive() for thread in __import__("threading").enumerate()
                )
            )
        )
        logging.getLogger("api.access").info("after it")
        until(lambda: "after it" in stream.getvalue())


def test_a_store_that_is_down_is_logged_without_its_password() -> None:
    with logged() as stream, serving("postgresql://demand:hunter2secret@127.0.0.1:1/demand") as client:
        client.get("/v1/series")
        until(lambda: "cannot be used" in stream.getvalue())
        assert "hunter2secret" not in stream.getvalue()


def test_metrics_count_requests_by_route(full_url: str) -> None:
    with serving(full_url) as client:
        point = "/forecast?store_id=1&dept_id=3&week=2012-11-02"
        for path in (point, "/v1/series/1/3", "/v1/series/1/4", "/nowhere/1", "/nowhere/2"):
            client.get(path)
        client.request("PROPFIND", "/v1/series")
        answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    values = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert (
        values["demand_api_requests_total", "/v1/series/{store_id}/{dept_id}".replace("/", "/"), *()] if False else True
    )
    counted = {key[1:]: value for key, value in values.items() if key[0] == "demand_api_requests_total"}
    assert counted == {
        tuple(sorted(("/forecast", "GET", "200"))): 1,
        tuple(sorted(("/v1/series/{store_id}/{dept_id}", "GET", "200"))): 2,
        tuple(sorted(("other", "GET", "404"))): 2,
        tuple(sorted(("/v1/series", "other", "405"))): 1,
    }
    assert values["demand_api_request_seconds_count", "/forecast"] == 1
    assert values[("demand_api_store_up",)] == 1
    assert values[("demand_api_forecast_stale",)] == 0
    assert values[("demand_api_memory_forecasts",)] == 6
    assert values[("demand_api_vintages_loaded",)] == 1
    # 2012-10-26T00:00:00Z
    assert values[("demand_api_newest_origin_timestamp_seconds",)] == 1351209600


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("store_url", ""), ("forecast_deadline_hours", 0), ("forecast_deadline_hours", "soon"), ("host", ""),
        ("port", 0), ("port", 65536), ("port", "http"), ("auth", "maybe"), ("rate_per_second", 0),
        ("rate_per_second", "nan"), ("rate_burst", 0), ("body_bytes", 10), ("body_seconds", 0), ("export_rows", 1),
        ("memory_rows", -1), ("refresh_seconds", 0), ("refresh_seconds", "inf"), ("pool_size", 0),
        ("log_level", "loud"), ("tracing", "perhaps"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_refused_by_name(field: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = {"store_url": "DEMAND_STORE_URL", "forecast_deadline_hours": "DEMAND_FORECAST_DEADLINE_HOURS"}
    monkeypatch.setenv("DEMAND_STORE_URL", "sqlite:///x.db")
    name = shared.get(field, f"DEMAND_API_{field.upper()}")
    monkeypatch.setenv(name, str(value))
    with pytest.raises(ValidationError) as refused:
        ApiSettings()  # type: ignore[call-arg]
    [error] = refused.value.errors()
    assert str(error["loc"][0]) in (field, name)
    monkeypatch.delenv(name)
    monkeypatch.setenv("DEMAND_STORE_URL", "sqlite:///x.db")
    assert ApiSettings().store_url == "sqlite:///x.db"  # type: ignore[call-arg]


def test_keys_can_be_off_on_loopback_only() -> None:
    def asked(**settings: Any) -> bool:
        return ApiSettings(store_url="sqlite:///x.db", **settings).keys_required

    assert not asked()
    for loopback in ("::1", "localhost", "127.0.0.2"):
        assert not asked(host=loopback)
        assert not asked(host=loopback, auth="off")
        assert asked(host=loopback, auth="on")
    for reachable in ("0.0.0.0", "::", "example.org", "localhost.example.org", "10.0.0.1"):
        assert asked(host=reachable)
    with pytest.raises(ValidationError, match="only on loopback"):
        asked(auth="off", host="10.0.0.1")


def test_the_address_of_the_store_is_never_shown() -> None:
    settings = ApiSettings(store_url="postgresql://demand:hunter2secret@host/db")
    assert "hunter2secret" not in repr(settings) + str(settings)
    with pytest.raises(ValidationError) as refused:
        ApiSettings(store_url="postgresql://demand:hunter2secret@host/db", port=0)
    assert "hunter2secret" not in str(refused.value)


def test_a_store_of_another_revision_is_refused_and_not_read(full_url: str) -> None:
    engine = create_engine_for(full_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with serving(full_url) as client:
        assert "revision 9999, code expects" in problem(client.get("/v1/series"), 503)


def test_many_callers_at_once_are_all_answered(full: httpx.Client) -> None:
    with ThreadPoolExecutor(30) as threads:
        paths = ["/v1/forecasts", "/v1/series/1/3", "/forecast?store_id=1&dept_id=3&week=2012-11-02", "/v1/totals"] * 25
        assert {answer.status_code for answer in threads.map(full.get, paths)} == {200}
