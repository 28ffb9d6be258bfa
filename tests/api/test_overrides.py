"""Planners' numbers over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from demand_assets.store.engine import create_engine_for
from demand_assets.store.publish import publish_actuals
from tests.api.conftest import problem, serving
from tests.api.stores import FORMULA, NOW, UNICODE, WEEK
from tests.waiting import GUARD_S, until

BODY: dict[str, Any] = {
    "store_id": "1", "dept_id": "3", "week": "2012-11-02", "override": 175.5, "reason": UNICODE,
}  # fmt: skip
POINT = "/forecast?store_id=1&dept_id=3&week=2012-11-02"
SHOWN = ("override_id", "version", "override", "author", "reason", "reason_code", "created_at", "expires_at")


@pytest.fixture
def clock() -> list[datetime]:
    return [NOW]


@pytest.fixture
def client(own_url: str, clock: list[datetime]) -> Iterator[httpx.Client]:
    with serving(own_url, lambda: clock[0], refresh_seconds=0.02) as client:
        yield client


def give(client: httpx.Client, key: str = "mine", **changes: Any) -> httpx.Response:
    # Escaped, as half a surrogate pair can only be.
    content = json.dumps(BODY | changes)
    return client.post(
        "/v1/overrides", content=content, headers={"Idempotency-Key": key, "Content-Type": "application/json"}
    )


@pytest.mark.parametrize(
    "path", ["overrides", "overrides/1/review", "override-batches/0123456789abcdef/undo", "overrides:upload"]
)
def test_a_store_that_fails_while_a_decision_is_written_is_no_fault_of_the_planner(own_url: str, path: str) -> None:
    body = {
        "overrides": json.dumps(BODY),
        "overrides/1/review": json.dumps({"approved": True}),
        "overrides:upload": json.dumps({"items": [BODY]}),
    }
    # It was read a moment ago, and is found out by the writing alone.
    with serving(own_url, lambda: NOW, refresh_seconds=3600) as client:
        assert client.get("/ready").status_code == 200
        engine = create_engine_for(own_url)
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE overrides RENAME TO away"))
        engine.dispose()
        answer = client.post(
            f"/v1/{path}",
            content=body.get(path, ""),
            headers={"Idempotency-Key": "mine", "Content-Type": "application/json"},
        )
        assert "cannot be used" in problem(answer, 503)


def test_a_number_is_beside_the_forecast_at_once_and_the_forecast_stays(client: httpx.Client) -> None:
    before = client.get(POINT).json()
    given = give(client)
    made = given.json()
    assert given.status_code == 201
    assert given.headers["location"] == f"/v1/overrides/{made['override_id']}"
    assert client.get(given.headers["location"]).json() == made
    override = {name: made[name] for name in SHOWN}
    assert override == {
        "override_id": 8,
        "version": 3,
        "override": 175.5,
        "author": "local",
        "reason": UNICODE,
        "reason_code": None,
        "created_at": "2012-10-29T08:00:00Z",
        "expires_at": None,
    }
    assert (made["status"], made["forecast"], made["vintage_id"]) == ("active", 131.0, before["vintage_id"])
    # Quantiles and the order keep their distance, times the ratio of the two numbers.
    ratio = 175.5 / 131
    after = before | {
        "override": override,
        "final": 175.5,
        "final_p10": 175.5 - 10 * ratio,
        "final_p50": 175.5,
        "final_p90": 175.5 + 20 * ratio,
        "final_order_quantity": 175.5 + 5 * ratio,
    }
    key = {name: BODY[name] for name in ("store_id", "dept_id", "week")}
    assert client.get(POINT).json() == after
    assert client.get("/v1/forecasts").json()["items"][0] == after
    assert client.post("/v1/forecasts:batch", json={"keys": [key]}).json()["items"] == [after]
    detail = client.get("/v1/series/detail?store_id=1&dept_id=3").json()
    assert detail["forecasts"][0] == after
    assert (detail["overrides"][0]["override_id"], detail["overrides"][1]["status"]) == (8, "superseded")
    listed = client.get("/v1/overrides").json()["items"]
    assert listed[0] == {name: made[name] for name in listed[0]}


def test_a_repeated_key_answers_what_was_made_and_makes_nothing(client: httpx.Client) -> None:
    first = give(client)
    # The same moment and the same number, written otherwise.
    again = give(client, override=175.50)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert "belongs to override 8" in problem(give(client, override=175.6), 422)
    assert "belongs to override 8" in problem(give(client, dept_id="4"), 422)
    assert len(client.get("/v1/overrides").json()["items"]) == 8


def test_null_withdraws_the_number(client: httpx.Client) -> None:
    give(client)
    withdrawn = give(client, "other", override=None).json()
    assert (withdrawn["version"], withdrawn["status"]) == (4, "withdrawn")
    assert client.get(POINT).json()["override"] is None
    assert client.get("/v1/overrides/8").json()["status"] == "superseded"
    for status, ids in (("withdrawn", [9, 7]), ("superseded", [8, 6, 5, 4]), ("active", [3, 2, 1]), ("expired", [])):
        found = client.get("/v1/overrides", params={"status": status}).json()["items"]
        assert [row["override_id"] for row in found] == ids
        assert {row["status"] for row in found} <= {status}


def test_a_number_expires_by_the_clock(client: httpx.Client, clock: list[datetime]) -> None:
    made = give(client, expires_at="2012-10-29T12:00:00+02:00").json()
    assert (made["expires_at"], made["status"]) == ("2012-10-29T10:00:00Z", "active")
    clock[0] = NOW + timedelta(hours=2)
    until(lambda: client.get(POINT).json()["override"] is None)
    assert client.get("/v1/overrides/8").json()["status"] == "expired"
    assert [row["override_id"] for row in client.get("/v1/overrides?status=expired").json()["items"]] == [8]
    # Sent again after its end, it is still the answer of the first time.
    assert give(client, expires_at="2012-10-29T12:00:00+02:00").status_code == 200
    assert "expires_at: expected a time to come" in problem(
        give(client, "late", expires_at="2012-10-29T10:00:00Z"), 422
    )


def test_overrides_are_narrowed(client: httpx.Client) -> None:
    def ids(**filters: str) -> list[int]:
        return [row["override_id"] for row in client.get("/v1/overrides", params=filters).json()["items"]]

    assert ids() == [7, 6, 5, 4, 3, 2, 1]
    assert ids(store_id="2") == [3]
    assert ids(dept_id="4", week="2012-11-02") == [7, 6]
    assert ids(week="2012-10-26") == [3, 2, 1]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"override": 1e308}, "override"),
        ({"override": "1e5"}, "override"),
        ({"override": "12"}, "override"),
        ({"override": True}, "override"),
        ({"override": [1]}, "override"),
        ({"override": {}}, "override"),
        ({"author": "Ada"}, "author"),
        ({"change_percent": 10.0}, "expected a number or a change in percent, got both"),
        ({"override": None, "change_percent": -101}, "change_percent"),
        ({"version": -1}, "version"),
        ({"reason_code": ""}, "reason_code"),
        ({"reason": "\x00"}, "reason"),
        ({"reason": "x\udfffx"}, "reason"),
        ({"reason": "x" * 1001}, "reason"),
        ({"reason": "x" * 1_000_000}, "reason"),
        ({"reason": 7}, "reason"),
        ({"store_id": 1}, "store_id"),
        ({"store_id": ""}, "store_id"),
        ({"store_id": "x" * 201}, "store_id"),
        ({"store_id": "a\nb"}, "store_id"),
        ({"store_id": "\ud800"}, "store_id"),
        ({"dept_id": "\x00"}, "dept_id"),
        ({"dept_id": False}, "dept_id"),
        ({"dept_id": 3.5}, "dept_id"),
        ({"week": "2012-11-01"}, "week"),
        ({"week": "2012-02-30"}, "week"),
        ({"week": 20121102}, "week"),
        ({"expires_at": "2012-10-29T07:59:59Z"}, "expires_at"),
        ({"expires_at": "2012-12-01T00:00:00"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-14:00"}, "expires_at"),
        ({"expires_at": "0001-01-01T00:00:00+14:00"}, "expires_at"),
        ({"expires_at": 1e300}, "expires_at"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"surprise": 1}, "surprise"),
    ],
    ids=lambda value: str(value)[:40].encode("ascii", "replace").decode().replace("\x00", "NUL"),
)
def test_a_body_without_meaning_is_refused_by_name(refusing: httpx.Client, changes: dict[str, Any], name: str) -> None:
    assert name in problem(give(refusing, **changes), 422)


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity", "-Infinity", "1e13"])
def test_a_number_that_is_none_is_refused(refusing: httpx.Client, number: str) -> None:
    text = json.dumps(BODY | {"override": 0.25}).replace("0.25", number)
    answer = refusing.post(
        "/v1/overrides", content=text, headers={"Idempotency-Key": "k", "Content-Type": "application/json"}
    )
    assert "override" in problem(answer, 422)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b"[]", b"7", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"store_id":' * 50_000, b'{"a":1  '],
    ids=range(10),
)  # fmt: skip
def test_a_body_that_is_no_object_is_refused(refusing: httpx.Client, content: bytes) -> None:
    for media in ("application/json", "text/plain"):
        for path in ("/v1/overrides", "/v1/forecasts:batch"):
            answer = refusing.post(path, content=content, headers={"Idempotency-Key": "k", "Content-Type": media})
            assert answer.status_code in (400, 422)
            problem(answer, answer.status_code)


@pytest.mark.parametrize("key", [None, "", "x" * 256, "a b"])
def test_a_request_needs_a_key_of_its_own(refusing: httpx.Client, key: str | None) -> None:
    headers = {} if key is None else {"Idempotency-Key": key}
    assert "Idempotency-Key" in problem(refusing.post("/v1/overrides", json=BODY, headers=headers), 422)


def test_what_nothing_forecasts_cannot_be_overridden(refusing: httpx.Client) -> None:
    assert "only what is forecast can be overridden" in problem(give(refusing, dept_id="99"), 404)
    assert "week 2013-11-01" in problem(give(refusing, week="2013-11-01"), 404)


@pytest.fixture
def refusing(full: httpx.Client) -> Iterator[httpx.Client]:
    """The shared store, which a refused request leaves as it is."""
    before = full.get("/v1/overrides").json()["items"]
    yield full
    assert full.get("/v1/overrides").json()["items"] == before


def test_the_longest_texts_are_kept_as_they_are(client: httpx.Client) -> None:
    made = give(client, reason="🎪" * 1000, override=-1e12).json()
    shown = client.get(f"/v1/overrides/{made['override_id']}").json()
    assert (shown["reason"], shown["override"]) == ("🎪" * 1000, -1e12)
    formula = give(client, "formula", reason=FORMULA).json()
    assert formula["reason"] == FORMULA
    assert "'=HYPERLINK" in client.get("/v1/overrides?format=csv").text


def test_one_key_sent_a_hundred_times_at_once_is_one_number(client: httpx.Client) -> None:
    limits = httpx.Limits(max_connections=100)
    with (
        ThreadPoolExecutor(100) as threads,
        httpx.Client(base_url=client.base_url, timeout=GUARD_S, limits=limits) as many,
    ):
        answers = list(threads.map(lambda _: give(many), range(100)))
    assert sorted(answer.status_code for answer in answers) == [200] * 99 + [201]
    assert {answer.json()["override_id"] for answer in answers} == {8}
    found = client.get("/v1/overrides?dept_id=3&week=2012-11-02").json()["items"]
    assert [row["override_id"] for row in found] == [8, 5, 4]


def test_keys_sent_at_once_are_versions_without_gaps(client: httpx.Client) -> None:
    with ThreadPoolExecutor(10) as threads:
        sent = [threads.submit(give, client, f"new-{number}", override=float(number)) for number in range(10)]
    answers = [each.result() for each in sent]
    assert sorted(answer.json()["version"] for answer in answers) == list(range(3, 13))
    newest = max((answer.json() for answer in answers), key=lambda body: body["version"])
    assert client.get(POINT).json()["override"]["override"] == newest["override"]


def test_what_planners_added_is_scored_against_sales(client: httpx.Client, own_url: str) -> None:
    body = client.get("/v1/overrides/accuracy").json()
    # |131 - 331| - |300 - 331|, |141 - 341| - |120 - 341|, |231 - 332| - |331 - 332|
    assert [(row["override_id"], row["fva"]) for row in body["items"]] == [(3, 100.0), (2, -21.0), (1, 169.0)]
    assert body["items"][2] == {
        "override_id": 1,
        "store_id": "1",
        "store_name": None,
        "dept_id": "3",
        "dept_name": None,
        "week": "2012-10-26",
        "author": "Ada",
        "reason_code": None,
        "override": 300.0,
        "forecast": 131.0,
        "actual": 331.0,
        "fva": 169.0,
    }
    assert body["summary"] == {"overrides": 3, "fva": 248.0, "share_better": 2 / 3}
    one = client.get("/v1/overrides/accuracy?store_id=1&dept_id=4").json()
    assert one["summary"] == {"overrides": 1, "fva": -21.0, "share_better": 0.0}
    none = client.get("/v1/overrides/accuracy?dept_id=9").json()
    assert (none["items"], none["summary"]) == ([], {"overrides": 0, "fva": 0.0, "share_better": None})
    # The last version before the week's end counts, and a correction of the sales counts anew.
    give(client, override=145.0)
    engine = create_engine_for(own_url)
    publish_actuals(engine, [("1", "3", WEEK, 150.0, False)])
    newest = client.get("/v1/overrides/accuracy?limit=1").json()
    assert (newest["items"][0]["override_id"], newest["items"][0]["fva"]) == (8, 14.0)
    assert newest["summary"]["fva"] == 262.0
    # |141 - 150| - |159 - 150|: no better, no worse.
    give(client, "other", dept_id="4", override=159.0)
    publish_actuals(engine, [("1", "4", WEEK, 150.0, False)])
    engine.dispose()
    summary = client.get("/v1/overrides/accuracy").json()["summary"]
    assert summary == {"overrides": 5, "fva": 262.0, "share_better": 3 / 5}
