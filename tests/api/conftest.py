"""A small store, and the service over it, in process and as a server."""

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
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx
import psycopg
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import make_url

from api import ApiSettings, create_app
from demand_assets.store.engine import create_engine_for
from demand_assets.store.ledger import PROMOTE, PROMOTED, REFUSED, PromotionRecord, record_decision
from demand_assets.store.migrations import migrate
from demand_assets.store.overrides import OverrideRequest, record_override
from demand_assets.store.publish import (
    VintageRecord,
    publish_accuracy,
    publish_actuals,
    publish_conditions,
    publish_drift,
    publish_exceptions,
    publish_vintage,
)
from tests.waiting import GUARD_S

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

    @app.get("/broken", include_in_schema=False)
    def broken() -> None:
        raise ZeroDivisionError("secret of the inside")

    return app


@contextmanager
def serving(store_url: str, now: Callable[[], datetime] = monday, **settings: Any) -> Iterator[httpx.Client]:
    """A client of a real server on a free port."""
    app = application(store_url, now, **settings)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=GUARD_S) as client:
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


SERIES = ((1, 3), (1, 4), (2, 3))
ORIGINS = (ORIGIN - timedelta(weeks=2), ORIGIN - timedelta(weeks=1), ORIGIN)
LAST_YEAR = WEEK - timedelta(weeks=52)
# A text that a spreadsheet would run, and one that is not ASCII.
FORMULA, UNICODE = '=HYPERLINK("http://x")', "Straßenfest, 日本 🎪"


def forecast_rows(origin: date, usd: float = 0.0) -> list[tuple[Any, ...]]:
    """Two weeks of each series: 100 x store + 10 x dept + horizon + `usd`, p10 10 less, p90 20 more."""
    rows = []
    for store, dept in SERIES:
        for horizon in (1, 2):
            made = 100.0 * store + 10 * dept + horizon + usd
            week = origin + timedelta(weeks=horizon)
            rows.append((store, dept, week, horizon, made, made - 10, made, made + 20, None if dept == 4 else made + 5))
    return rows


def publish_full_vintage(engine: Any, origin: date, usd: float = 0.0, **record: Any) -> str:
    """A vintage with totals and reasons."""
    rows = forecast_rows(origin, usd)
    keys = (
        {(store, 0, "store") for store, _ in SERIES}
        | {(0, dept, "department") for _, dept in SERIES}
        | {(0, 0, "chain")}
    )
    totals = []
    for store, dept, level in keys:
        for horizon in (1, 2):
            parts = [row for row in rows if store in (0, row[0]) and dept in (0, row[1]) and row[3] == horizon]
            made = sum(row[4] for row in parts)
            totals.append((level, store, dept, parts[0][2], horizon, made, made - 30, made, made + 30, len(parts)))
    reasons = [(*row[:3], row[4] - 21, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0) for row in rows]
    made = replace(
        RECORD,
        origin_week=origin,
        published_at=datetime.combine(origin, RECORD.published_at.timetz()) + timedelta(days=1),
    )
    return publish_vintage(engine, replace(made, **record), rows, totals, reasons).vintage_id


def fill_full(url: str) -> None:
    """Something in every table: three origins, the newest run twice; sales, scores, decisions, overrides."""
    migrate(url)
    engine = create_engine_for(url)
    first, before = (publish_full_vintage(engine, origin, model_version="6") for origin in ORIGINS[:2])
    publish_full_vintage(engine, ORIGIN, 50.0)
    publish_full_vintage(engine, ORIGIN, data_version="data-2", published_at=RECORD.published_at + timedelta(hours=3))
    # Of 2/9 there are sales and no forecast.
    publish_actuals(
        engine,
        [
            (*key, week, 100.0 * number + 10 * key[1] + key[0], week == LAST_YEAR)
            for number, week in enumerate((LAST_YEAR, *ORIGINS[1:]), start=1)
            for key in (*SERIES, (2, 9))
        ],
    )
    publish_conditions(
        engine,
        [(store, week, week == WEEK, 55.5, 3.2, 210.0, 7.9, 1500.0) for store in (1, 2) for week in (*ORIGINS, WEEK)],
    )
    model = RECORD.model_name
    publish_accuracy(
        engine,
        [
            #   points, wmae, mae, rmse, bias, actual, error, coverage, fva, tracking signal
            (ORIGINS[1], first, model, 1, "chain", 0, 0, 3, 8.0, 8.0, 9.0, 1.0, 880.0, 3.0, None, None, None),
            (ORIGIN, before, model, 1, "chain", 0, 0, 3, 10.0, 10.0, 12.0, -2.0, 900.0, -6.0, 0.8, 5.0, 1.5),
            (
                ORIGIN,
                before,
                "seasonal_naive",
                1,
                "chain",
                0,
                0,
                3,
                15.0,
                15.0,
                16.0,
                0.0,
                900.0,
                0.0,
                None,
                None,
                None,
            ),
            (ORIGIN, first, model, 2, "chain", 0, 0, 1, 20.0, 20.0, 20.0, 6.0, 300.0, 6.0, None, -1.0, None),
            (ORIGIN, first, "seasonal_naive", 2, "chain", 0, 0, 1, 19.0, 19.0, 19.0, 0.0, 300.0, 0.0, None, None, None),
            (ORIGIN, before, model, 1, "store", 1, 0, 2, 9.0, 9.0, 9.5, 1.0, 500.0, 2.0, 1.0, 2.0, 0.5),
        ],
    )
    for week, severity in ((ORIGINS[1], "none"), (ORIGIN, "severe")):
        publish_drift(
            engine,
            week,
            [
                (
                    week,
                    "training",
                    "chain",
                    "all",
                    "weekly_sales",
                    "number",
                    40,
                    400,
                    0.31,
                    0.2,
                    0.01,
                    0.5,
                    None,
                    severity,
                ),
                (week, "last_season", "store", "1", "weekly_sales", "number", 9, 40, 0.12, 0.1, 0.2, 0.1, None, "warn"),
                (week, "training", "store", "2", "markdown", "number", 3, 40, None, None, None, None, 0.4, "few"),
            ],
        )
    publish_exceptions(
        engine,
        ORIGIN,
        [
            (ORIGIN, before, *key, rank, 1, 131.0, 121.0, 151.0, None, 340.0, 209.0 / rank, reason)
            for key, rank, reason in ((SERIES[0], 1, FORMULA), (SERIES[1], 2, UNICODE), (SERIES[2], 3, "above p90"))
        ],
    )
    decided = PromotionRecord(
        model, PROMOTE, PROMOTED, None, "6", "gate", datetime(2012, 10, 20, tzinfo=UTC), ("first model",),
        {"challenger_wmae": 11.0, "seasonal_naive_wmae": 16.0}, "data-1", "0.1.0", ORIGINS[1],
    )  # fmt: skip
    record_decision(engine, decided)
    later = {"from_version": "6", "decided_at": datetime(2012, 10, 27, tzinfo=UTC), "as_of": ORIGIN}
    record_decision(engine, replace(decided, **later, to_version="7", reasons=(), figures={"challenger_wmae": 9.5}))
    record_decision(
        engine,
        replace(decided, **later | {"from_version": "7"}, to_version="8", outcome=REFUSED, reasons=("worse", "biased")),
    )
    wanted = OverrideRequest(1, 3, ORIGIN, 300.0, "Ada", UNICODE, None, "key-1")
    early = datetime(2012, 10, 24, tzinfo=UTC)
    record_override(engine, wanted, early)
    record_override(engine, replace(wanted, dept_id=4, override=120.0, reason=FORMULA, idempotency_key="key-2"), early)
    record_override(engine, replace(wanted, store_id=2, override=331.0, idempotency_key="key-3"), early)
    record_override(engine, replace(wanted, target_week=WEEK, override=160.0, idempotency_key="key-4"), NOW)
    record_override(engine, replace(wanted, target_week=WEEK, override=170.0, idempotency_key="key-5"), NOW)
    record_override(engine, replace(wanted, dept_id=4, target_week=WEEK, override=9.0, idempotency_key="key-6"), NOW)
    record_override(engine, replace(wanted, dept_id=4, target_week=WEEK, override=None, idempotency_key="key-7"), NOW)
    engine.dispose()


# Every list, with at least three rows of the store above.
LISTS: tuple[tuple[str, dict[str, str]], ...] = (
    ("/v1/forecasts", {}),
    ("/v1/forecasts", {"vintages": "all"}),
    ("/v1/series", {}),
    ("/v1/totals", {}),
    ("/v1/totals", {"level": "department"}),
    ("/v1/totals", {"level": "store"}),
    ("/v1/vintages", {}),
    ("/v1/accuracy", {}),
    ("/v1/accuracy/weeks", {}),
    ("/v1/drift", {}),
    ("/v1/drift/weeks", {}),
    ("/v1/exceptions", {}),
    ("/v1/models", {}),
    ("/v1/promotions", {}),
    ("/v1/orders", {}),
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
