"""A small store, and the service over it, in process and as a server."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from api import ApiSettings, create_app
from demand_assets.store.engine import create_engine_for
from demand_assets.store.migrations import migrate
from demand_assets.store.publish import VintageRecord, publish_vintage

ORIGIN = date(2012, 10, 26)
WEEK = date(2012, 11, 2)
RECORD = VintageRecord(ORIGIN, 2, "demand_forecaster", "7", "data-1", "0.1.0", datetime(2012, 10, 27, 6, tzinfo=UTC))
ASKED = {"store_id": "1", "dept_id": "3", "week": "2012-11-02"}
NOW = datetime(2012, 10, 29, 8, tzinfo=UTC)


def monday() -> datetime:
    """The clock of the service in tests: the newest forecast is fresh."""
    return NOW


class Client(Protocol):
    """The part of `httpx.Client` that the tests use."""

    def get(self, url: str, *, params: Any = None) -> httpx.Response: ...

    def post(self, url: str) -> httpx.Response: ...


class InProcess:
    """A client that calls the application itself, without a server."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    def get(self, url: str, *, params: Any = None) -> httpx.Response:
        return asyncio.run(self._send("GET", url, params))

    def post(self, url: str) -> httpx.Response:
        return asyncio.run(self._send("POST", url, None))

    async def _send(self, method: str, url: str, params: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.request(method, url, params=params)


def application(store_url: str, now: Callable[[], datetime] = monday, **settings: Any) -> FastAPI:
    app = create_app(ApiSettings(store_url=store_url, **settings), now)

    @app.get("/broken")
    def broken() -> None:
        raise ZeroDivisionError("secret of the inside")

    return app


@contextmanager
def serving(store_url: str, now: Callable[[], datetime] = monday, **settings: Any) -> Iterator[httpx.Client]:
    """A client of a real server on a free port."""
    app = application(store_url, now, **settings)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def fill(folder: Path) -> str:
    url = f"sqlite:///{folder / 'store.db'}"
    migrate(url)
    engine = create_engine_for(url)
    rows = [
        (1, 3, WEEK, 1, 100.5, 80.0, 99.0, 130.0, 120.0),
        (1, 3, WEEK + timedelta(weeks=1), 2, 110.0, 85.0, 109.0, 140.0, None),
    ]
    publish_vintage(engine, RECORD, rows)
    publish_vintage(
        engine,
        replace(RECORD, origin_week=ORIGIN - timedelta(weeks=1), model_version="6"),
        [(*rows[0][:3], 2, *rows[0][4:])],
    )
    engine.dispose()
    return url


@pytest.fixture(scope="module", params=["server", "in process"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    url = fill(tmp_path_factory.mktemp("store"))
    if request.param == "server":
        with serving(url) as client:
            yield client
    else:
        app = application(url)
        yield InProcess(app)
        asyncio.run(app.state.service.stop())


def problem(answer: httpx.Response, status: int) -> str:
    """The detail of a well-formed problem."""
    body = answer.json()
    assert answer.status_code == status, body
    assert answer.headers["content-type"] == "application/problem+json"
    assert (body["type"], body["status"]) == ("about:blank", status)
    assert body["title"]
    assert body["request_id"] == answer.headers["x-request-id"]
    return str(body["detail"])


def environment(**values: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DEMAND_")}
    return kept | {"PYTHONPATH": str(Path(__file__).parents[2])} | values
