"""A run that is published while callers read is seen whole or not at all, on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from sqlalchemy import Engine

from demand_assets.store.engine import create_engine_for
from demand_assets.store.migrations import migrate
from demand_assets.store.publish import publish_vintage
from tests.api.conftest import serving
from tests.api.stores import ASKED, NOW, ORIGIN, RECORD, WEEK, fill
from tests.waiting import GUARD_S, until

STORES, DEPTS, VINTAGES = 10, 100, 10
ROWS = STORES * DEPTS * 2
WEEKS = [(ORIGIN + timedelta(weeks=horizon), horizon) for horizon in (1, 2)]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return str(request.getfixturevalue("postgres_url"))


def publish(engine: Engine, number: int) -> str:
    """A run in which every forecast is `number`."""
    value = float(number)
    rows = [
        (str(store), str(dept), week, horizon, value, value, value, value, value)
        for store in range(1, STORES + 1)
        for dept in range(1, DEPTS + 1)
        for week, horizon in WEEKS
    ]
    later = RECORD.published_at + timedelta(minutes=number)
    return publish_vintage(engine, replace(RECORD, published_at=later), rows).vintage_id


class Readers:
    """Threads that ask again and again until they are to end; what they saw is (vintage, rows, sum of forecasts)."""

    def __init__(self, base: httpx.URL) -> None:
        self.base, self.ended = base, threading.Event()
        self.seen: dict[str, list[tuple[str, int, float]]] = {}
        self.failed: list[Exception] = []
        self.threads: list[threading.Thread] = []

    def start(self, name: str, look: Callable[[httpx.Client], Iterator[tuple[str, int, float]]]) -> None:
        found = self.seen[name] = []

        def run() -> None:
            try:
                with httpx.Client(base_url=self.base, timeout=GUARD_S) as client:
                    while not self.ended.is_set():
                        found.extend(look(client))
            except Exception as error:  # noqa: BLE001 reported by the test
                self.failed.append(error)

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def stop(self) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()


def totalled(rows: list[dict[str, Any]]) -> tuple[str, int, float]:
    vintages = {row["vintage_id"] for row in rows}
    assert len(vintages) == 1, vintages
    return vintages.pop(), len(rows), sum(row["forecast"] for row in rows)


def got(client: httpx.Client, address: str) -> httpx.Response:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return answer


def export(client: httpx.Client) -> Iterator[tuple[str, int, float]]:
    yield totalled(pa.ipc.open_stream(got(client, "/v1/forecasts?format=arrow").content).read_all().to_pylist())


def pages(client: httpx.Client) -> Iterator[tuple[str, int, float]]:
    rows: list[dict[str, Any]] = []
    address: str | None = "/v1/forecasts?limit=500"
    while address is not None:
        answer = got(client, address)
        assert {row["vintage_id"] for row in answer.json()["items"]} == {answer.json()["vintage"]["vintage_id"]}
        rows += answer.json()["items"]
        address = answer.links["next"]["url"] if "next" in answer.links else None
    keys = [(int(row["store_id"]), int(row["dept_id"]), row["week"]) for row in rows]
    assert keys == sorted(set(keys))
    yield totalled(rows)


def sizes(client: httpx.Client) -> Iterator[tuple[str, int, float]]:
    for row in got(client, "/v1/vintages").json()["items"]:
        assert row["series"] == STORES * DEPTS
        yield row["vintage_id"], row["rows"], row["forecast"]


def points(client: httpx.Client) -> Iterator[tuple[str, int, float]]:
    for number in range(20):
        yield totalled([got(client, f"/forecast?store_id=1&dept_id={number + 1}&week=2012-11-02").json()])
    yield totalled(got(client, "/v1/series/detail?store_id=2&dept_id=7").json()["forecasts"])


def test_a_run_published_under_load_is_seen_whole_or_not_at_all(url: str) -> None:
    migrate(url)
    engine = create_engine_for(url)
    values = {publish(engine, 1): 1.0}
    with serving(url, refresh_seconds=0.05) as client:
        client.get("/ready")
        readers = Readers(client.base_url)
        looks = {"export": export, "pages": pages, "sizes": sizes, "points": points}
        try:
            for name, look in looks.items():
                readers.start(name, look)
            for number in range(2, VINTAGES + 2):
                made = publish(engine, number)
                values[made] = float(number)
                until(lambda: readers.failed != [] or client.get("/ready").json()["vintage_id"] == made)  # noqa: B023
            counted = {name: len(found) for name, found in readers.seen.items()}
            until(lambda: readers.failed != [] or all(len(readers.seen[name]) > counted[name] for name in looks))
        finally:
            readers.stop()
        until(lambda: client.get("/forecast?store_id=1&dept_id=1&week=2012-11-02").json()["vintage_id"] == made)
    engine.dispose()
    assert not readers.failed
    for name, found in readers.seen.items():
        for vintage, rows, total in found:
            assert total == rows * values[vintage], name
            assert rows == (ROWS if name != "points" else rows), name
        # Never back to an older run.
        if name in ("export", "pages", "points"):
            shown = [values[vintage] for vintage, rows, _ in found if name != "points" or rows == 1]
            assert shown == sorted(shown), name
    assert len({vintage for vintage, _, _ in readers.seen["points"]}) > VINTAGES // 2
    assert len({vintage for vintage, _, _ in readers.seen["export"]}) > 1


def test_a_vintage_that_a_list_was_of_is_the_one_that_point_reads_are_of(tmp_path: Path) -> None:
    url = fill(tmp_path)
    with serving(url, refresh_seconds=3600) as client:
        assert client.get("/forecast", params=ASKED).json()["model_version"] == "7"
        engine = create_engine_for(url)
        row = ("1", "3", WEEK, 1, 1.5, 1.0, 1.5, 2.0, None)
        publish_vintage(engine, replace(RECORD, model_version="8", published_at=NOW), [row])
        engine.dispose()
        assert client.get("/v1/forecasts").json()["vintage"]["model_version"] == "8"
        assert client.get("/forecast", params=ASKED).json()["forecast"] == 1.5
