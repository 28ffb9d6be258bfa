"""The service over the stores, in process and as a server; what the tests ask of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import httpx
import psycopg
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import make_url
from starlette.types import ASGIApp

from api import ApiSettings, create_app
from api.server import options_of
from demand_assets.store.engine import create_engine_for
from demand_assets.store.keys import create_key
from demand_assets.store.migrations import migrate
from tests.api.stores import NOW, fill, fill_full
from tests.waiting import GUARD_S, until


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
    # A busy machine is no fault of the service: what is asked of it in a test waits as long as the test does.
    app = create_app(ApiSettings(store_url=store_url, **{"store_seconds": GUARD_S} | settings), now)

    @app.get("/broken", include_in_schema=False)
    def broken() -> None:
        raise ZeroDivisionError("secret of the inside")

    return app


@contextmanager
def listening(app: ASGIApp, listener: socket.socket, **options: Any) -> Iterator[str]:
    """Address of a real server of `app` at `listener`."""
    server = uvicorn.Server(uvicorn.Config(app, **options))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        # What is made meanwhile would share its warnings' filters, which belong to the process: a server whose start
        # meets them ends, and what asks it waits for ever.
        until(lambda: server.started or not thread.is_alive())
        assert server.started, "the server did not start; its log says why"
        yield address_of(listener)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def free_port() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def address_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def serving(
    store_url: str, now: Callable[[], datetime] = monday, listener: socket.socket | None = None, **settings: Any
) -> Iterator[httpx.Client]:
    """A client of a real server on a free port, or at `listener`."""
    app = application(store_url, now, **settings)
    options = options_of(app.state.service.settings)
    with (
        listening(app, listener or free_port(), **options) as address,
        httpx.Client(base_url=address, timeout=GUARD_S) as client,
    ):
        yield client


# Every list, with at least three rows of the store above.
LISTS: tuple[tuple[str, dict[str, str]], ...] = (
    ("/v1/forecasts", {}),
    ("/v1/forecasts", {"vintages": "all"}),
    ("/v1/series", {}),
    ("/v1/departments", {}),
    ("/v1/totals", {}),
    ("/v1/totals", {"level": "department"}),
    ("/v1/totals", {"level": "store"}),
    ("/v1/totals", {"level": "department.kind"}),
    ("/v1/attributes", {}),
    ("/v1/drivers", {}),
    ("/v1/vintages", {}),
    ("/v1/accuracy", {}),
    ("/v1/accuracy/weeks", {}),
    ("/v1/accuracy/models", {}),
    ("/v1/drift", {}),
    ("/v1/drift/weeks", {}),
    ("/v1/exceptions", {}),
    ("/v1/models", {}),
    ("/v1/promotions", {}),
    ("/v1/orders", {}),
    ("/v1/changes", {}),
    ("/v1/overrides", {}),
    ("/v1/overrides/accuracy", {}),
)
every_list = pytest.mark.parametrize(
    ("path", "filters"), LISTS, ids=["&".join((path, *map("=".join, given.items()))) for path, given in LISTS]
)


@contextmanager
def database(server: str, template: str = "template1") -> Iterator[str]:
    """URL of a new database of a PostgreSQL server, a copy of `template`, dropped at the end."""
    name = f"t_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Servers over the full store and over one without rows, on each database; tests only read."""
    with contextlib.ExitStack() as stack:
        if request.param == "sqlite":
            folder = tmp_path_factory.mktemp("both")
            urls = [f"sqlite:///{folder / name}.db" for name in ("full", "empty")]
        else:
            server = request.getfixturevalue("postgres_server")
            urls = [stack.enter_context(database(server)) for _ in range(2)]
        fill_full(urls[0])
        migrate(urls[1])
        yield stack.enter_context(serving(urls[0])), stack.enter_context(serving(urls[1]))


@pytest.fixture
def full(both: tuple[httpx.Client, httpx.Client]) -> httpx.Client:
    return both[0]


@pytest.fixture
def empty(both: tuple[httpx.Client, httpx.Client]) -> httpx.Client:
    return both[1]


@pytest.fixture(scope="session")
def filled_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The full store as a SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("filled") / "store.db"
    fill_full(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def filled_database(postgres_server: str) -> Iterator[str]:
    """Name of a PostgreSQL database with the full store, to be copied."""
    with database(postgres_server) as url:
        fill_full(url)
        yield str(make_url(url).database)


@pytest.fixture
def full_url(filled_file: Path, tmp_path: Path) -> str:
    """URL of the full store for one test alone, on SQLite."""
    shutil.copy(filled_file, tmp_path / "store.db")
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def own_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of the full store for one test alone, on each database."""
    if request.param == "sqlite":
        yield request.getfixturevalue("full_url")
        return
    template = request.getfixturevalue("filled_database")
    with database(request.getfixturevalue("postgres_server"), template) as url:
        yield url


def every_page(client: httpx.Client, path: str, filters: dict[str, str], limit: int) -> Iterator[dict[str, Any]]:
    """The bodies of all pages."""
    cursor: dict[str, str] = {}
    for _ in range(200):
        answer = client.get(path, params=filters | {"limit": str(limit)} | cursor)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        yield body
        if body["next_cursor"] is None:
            return
        cursor = {"cursor": body["next_cursor"]}
    raise AssertionError("the list does not end")


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


V1 = "/v1/"


def items(client: httpx.Client, path: str, **params: Any) -> list[dict[str, Any]]:
    answer = client.get(V1 + path, params={name.rstrip("_"): value for name, value in params.items()})
    assert answer.status_code == 200, answer.text
    assert answer.json()["next_cursor"] is None
    return list(answer.json()["items"])


def columns(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def vintage_ids(client: httpx.Client) -> list[str]:
    return [row["vintage_id"] for row in items(client, "vintages")]
