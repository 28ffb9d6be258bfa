"""The service over each of the two stores; tests/api has the rest, on SQLite."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import Engine, make_url

from api import ApiSettings, create_app
from demand_assets.store.migrations import migrate
from demand_assets.store.publish import VintageRecord, publish_vintage

WEEK = date(2012, 11, 2)
RECORD = VintageRecord(
    date(2012, 10, 26), 1, "demand_forecaster", "7", "data-1", "0.1.0", datetime(2012, 10, 27, 6, tzinfo=UTC)
)
LARGEST = 2**31 - 1


def ask(app: Any, path: str) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.get(path)

    return asyncio.run(send())


def test_what_is_published_is_what_is_served(engine: Engine, store_url: str) -> None:
    app = create_app(ApiSettings(store_url=store_url))
    assert ask(app, "/health").json() == {
        "status": "ok",
        "store": "reachable",
        "newest_origin_week": None,
        "vintages": 0,
    }
    published = publish_vintage(engine, RECORD, [(LARGEST, LARGEST, WEEK, 1, 0.1, -0.1, 1 / 3, 1e12, None)])
    body = ask(app, f"/forecast?store_id={LARGEST}&dept_id={LARGEST}&week={WEEK}").json()
    assert body == {
        "store_id": LARGEST,
        "dept_id": LARGEST,
        "week": "2012-11-02",
        "origin_week": "2012-10-26",
        "horizon": 1,
        "forecast_usd": 0.1,
        "p10_usd": -0.1,
        "p50_usd": 1 / 3,
        "p90_usd": 1e12,
        "order_usd": None,
        "unit": "USD per week",
        "vintage_id": published.vintage_id,
        "model_name": "demand_forecaster",
        "model_version": "7",
        "data_version": "data-1",
        "code_version": "0.1.0",
        "published_at": "2012-10-27T06:00:00Z",
    }
    assert ask(app, f"/forecast?store_id={LARGEST}&dept_id={LARGEST}&week=2012-11-09").status_code == 404
    assert ask(app, f"/forecast?store_id={LARGEST + 1}&dept_id=1&week={WEEK}").status_code == 422
    app.state.engine.dispose()


def test_an_empty_database_is_503_until_it_is_migrated(empty_store: str) -> None:
    app = create_app(ApiSettings(store_url=empty_store))
    refused = ask(app, "/health")
    assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
    assert "run `demand migrate`" in refused.json()["detail"]
    migrate(empty_store)
    assert ask(app, "/health").status_code == 200
    app.state.engine.dispose()


@pytest.mark.parametrize("path", ["/health", "/forecast?store_id=1&dept_id=3&week=2012-11-02"])
def test_a_database_that_goes_down_is_503_and_is_used_again_when_back(
    postgres_server: str, postgres_url: str, path: str
) -> None:
    migrate(postgres_url)
    name = make_url(postgres_url).database
    app = create_app(ApiSettings(store_url=postgres_url))
    before = ask(app, path).status_code
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        down = ask(app, path)
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    assert (down.status_code, down.headers["retry-after"]) == (503, "10")
    assert ask(app, path).status_code == before
    app.state.engine.dispose()
