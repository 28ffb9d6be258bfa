"""Logs and metrics."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.logs import _LOGGERS, log_as_json
from tests.api.conftest import Keys, bearer, serving
from tests.api.openid import CLIENT_SECRET, provider
from tests.api.people import signed_in, signing_in
from tests.api.stores import ASKED
from tests.waiting import until


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
        for path in (
            point,
            "/v1/series/detail?store_id=1&dept_id=3",
            "/v1/series/detail?store_id=1&dept_id=4",
            "/nowhere/1",
            "/nowhere/2",
        ):
            client.get(path)
        client.request("PROPFIND", "/v1/series")
        answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    values = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    counted = {key[1:]: value for key, value in values.items() if key[0] == "demand_api_requests_total"}
    assert counted == {
        tuple(sorted(("/forecast", "GET", "200"))): 1,
        tuple(sorted(("/v1/series/detail", "GET", "200"))): 2,
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


def test_who_is_signed_in_is_logged_and_the_session_is_not(full_url: str) -> None:
    with logged() as stream, provider() as openid, signing_in(full_url, openid) as client:
        browser, _ = signed_in(client)
        browser.get("/v1/series", headers={"X-Request-Id": "request-1"})
        until(lambda: '"GET /v1/series 200"' in stream.getvalue())
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    [access] = [line for line in lines if line.get("request_id") == "request-1"]
    assert (access["person"], "key" in access) == ("ann@example.org", False)
    assert "ann@example.org (planner) is signed in" in [line["message"] for line in lines]
    for secret in (*browser.cookies.values(), "code=", "state=", CLIENT_SECRET):
        assert secret not in stream.getvalue()
