"""The head of a request is bounded in bytes and time, whatever protocol class of uvicorn reads it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api import server
from tests.api.conftest import serving
from tests.api.stores import fill
from tests.waiting import GUARD_S

MOST, SECONDS = 4096, 0.5
START = b"GET /health HTTP/1.1\r\nHost: x\r\n"
ENDLESS = (
    # A header that never ends, headers that never end, a line; then a trailer and a chunk's extension.
    (START + b"A: ", b"x" * 1000),
    (START, b"A: x\r\n" * 100),
    (b"GET /", b"x" * 1000),
    (b"POST /v1/forecasts:batch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: ", b"x" * 1000),
    (b"POST /v1/forecasts:batch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x" * 1000),
)


@pytest.fixture(scope="module", params=["httptools", "h11"])
def bound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "h11":
            patch.setattr(server, "default_protocol", lambda: server.BoundedH11)
        url = fill(tmp_path_factory.mktemp("heads"))
        with serving(url, header_bytes=MOST, header_seconds=SECONDS) as client:
            yield client


def connect(client: httpx.Client) -> socket.socket:
    return socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=GUARD_S)


def everything(connection: socket.socket) -> bytes:
    """What is received until the other side closes."""
    got = b""
    try:
        while part := connection.recv(65536):
            got += part
    except ConnectionResetError:
        return got
    return got


def cut_off(connection: socket.socket, part: bytes, times: int, pause_s: float = 0.0) -> bool:
    """Whether the other side closes before `part` was sent so many times."""
    try:
        for _ in range(times):
            connection.sendall(part)
            time.sleep(pause_s)
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False


def refused(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert (headers["content-type"], headers["connection"]) == ("application/problem+json", "close")
    said: dict[str, Any] = json.loads(body)
    assert headers["x-request-id"] == said.pop("request_id")
    return said


TOO_LARGE = {
    "type": "about:blank", "title": "Request Header Fields Too Large", "status": 431,
    "detail": "the head of a request may have 4,096 bytes",
}  # fmt: skip


@pytest.mark.parametrize(("start", "more"), ENDLESS)
def test_a_head_or_trailer_that_never_ends_gets_431(bound: httpx.Client, start: bytes, more: bytes) -> None:
    with connect(bound) as hostile:
        hostile.sendall(start)
        for _ in range(2 * MOST // len(more)):
            hostile.sendall(more)
            time.sleep(0.01)
        assert refused(everything(hostile)) == TOO_LARGE


def test_blank_lines_that_never_end_are_refused(bound: httpx.Client) -> None:
    with connect(bound) as hostile:
        hostile.sendall(b"\r\n" * (MOST // 2 + 1))
        # h11 takes none at all.
        assert refused(everything(hostile))["status"] in (400, 431)


def test_a_head_may_have_the_limit_and_no_byte_more(bound: httpx.Client) -> None:
    around = len(START + b"A: \r\nConnection: close\r\n\r\n")
    for size, status in ((MOST, b"200"), (MOST + 1, b"431")):
        with connect(bound) as plain:
            plain.sendall(START + b"A: " + b"x" * (size - around) + b"\r\nConnection: close\r\n\r\n")
            assert everything(plain).split(b" ", 2)[1] == status


def test_a_header_of_60_mb_is_refused_after_its_first_bytes(bound: httpx.Client) -> None:
    with connect(bound) as hostile:
        hostile.settimeout(GUARD_S)
        hostile.sendall(START + b"A: ")
        assert cut_off(hostile, b"x" * 1_000_000, times=60)


@pytest.mark.parametrize("start", [START, b"G", START + b"A: "])
def test_a_head_that_is_too_slow_gets_408(bound: httpx.Client, start: bytes) -> None:
    with connect(bound) as slow:
        slow.sendall(start)
        assert refused(everything(slow)) == {
            "type": "about:blank", "title": "Request Timeout", "status": 408,
            "detail": "the head of the request did not arrive within 0.5 s",
        }  # fmt: skip


def test_the_time_is_that_of_the_whole_head(bound: httpx.Client) -> None:
    with connect(bound) as slow:
        # No part is late by itself.
        assert cut_off(slow, b"G", times=2000, pause_s=0.05)


def test_the_time_counts_for_a_later_request_of_a_connection_too(bound: httpx.Client) -> None:
    with connect(bound) as slow:
        slow.sendall(START + b"\r\n")
        assert slow.recv(65536).startswith(b"HTTP/1.1 200")
        # Between two requests it may be idle for longer.
        time.sleep(2 * SECONDS)
        slow.sendall(START)
        assert refused(everything(slow))["status"] == 408


def test_a_connection_that_asks_nothing_is_closed_without_an_answer(bound: httpx.Client) -> None:
    with connect(bound) as idle:
        assert everything(idle) == b""


def test_a_head_in_parts_is_answered(bound: httpx.Client) -> None:
    with connect(bound) as patient:
        for part in (START[:7], START[7:], b"A: b\r\n", b"Connection: close\r\n\r\n"):
            patient.sendall(part)
            time.sleep(0.02)
        assert everything(patient).startswith(b"HTTP/1.1 200")


def test_requests_one_behind_the_other_are_all_answered(bound: httpx.Client) -> None:
    # Together they have more bytes than a head may.
    with connect(bound) as hasty:
        hasty.sendall((START + b"A: " + b"x" * 1000 + b"\r\n\r\n") * 20 + START + b"Connection: close\r\n\r\n")
        assert everything(hasty).count(b"HTTP/1.1 200 OK") == 21


def test_a_body_larger_than_a_head_is_read(bound: httpx.Client) -> None:
    keys = [{"store_id": "1", "dept_id": "3", "week": "2012-11-02"}]
    content = json.dumps({"keys": keys}).encode().ljust(300_000)
    as_json = {"Content-Type": "application/json"}

    def parts() -> Iterator[bytes]:
        for at in range(0, len(content), 1000):
            yield content[at : at + 1000]

    for given in (content, parts()):
        assert bound.post("/v1/forecasts:batch", content=given, headers=as_json).status_code == 200


def test_a_body_after_its_answer_is_bounded(bound: httpx.Client) -> None:
    with connect(bound) as hostile:
        hostile.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert hostile.recv(65536).startswith(b"HTTP/1.1 200")
        assert cut_off(hostile, b"1\r\nx\r\n" * 100, times=1000, pause_s=0.01)


def test_bytes_that_are_no_request_get_a_problem(bound: httpx.Client) -> None:
    with connect(bound) as hostile:
        hostile.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert refused(everything(hostile))["detail"] == "these bytes are no HTTP/1.1 request"


def test_an_upgrade_is_answered_as_a_plain_request(bound: httpx.Client) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "x", "Sec-WebSocket-Version": "13"}
    assert bound.get("/health", headers=upgrade).status_code == 200
