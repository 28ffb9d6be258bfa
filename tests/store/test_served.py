"""The service over each of the two stores; tests/api has the rest, on SQLite."""

from __future__ import annotations

from datetime import UTC, date, datetime

import httpx
import psycopg
from sqlalchemy import Engine, make_url

from demand_assets.store.engine import create_engine_for
from demand_assets.store.migrations import migrate
from demand_assets.store.publish import VintageRecord, publish_vintage
from tests.api.conftest import serving
from tests.waiting import until

WEEK = date(2012, 11, 2)
RECORD = VintageRecord(
    date(2012, 10, 26), 1, "xgboost", "7", "data-1", "0.1.0", datetime(2012, 10, 27, 6, tzinfo=UTC), "USD"
)


def ask(client: httpx.Client, path: str, status: int) -> httpx.Response:
    """The answer once it has that status; what the service knows of its store is up to a moment old."""
    answers: list[httpx.Response] = []

    def asked() -> bool:
        answers.append(client.get(path))
        return answers[-1].status_code == status

    until(asked)
    return answers[-1]


def test_what_is_published_is_what_is_served(engine: Engine, store_url: str) -> None:
    with serving(store_url, refresh_seconds=0.05) as client:
        assert ask(client, "/health", 200).json() == {"status": "ok", "newest_origin_week": None, "vintages": 0}
        published = publish_vintage(engine, RECORD, [("EC-1/a b", "0", WEEK, 1, 0.1, -0.1, 1 / 3, 1e12, None)])
        body = ask(client, f"/forecast?store_id=EC-1%2Fa%20b&dept_id=0&week={WEEK}", 200).json()
        assert client.get("/forecast?store_id=EC-1%2Fa%20b&dept_id=0&week=2012-11-09").status_code == 404
        assert client.get(f"/forecast?store_id=EC-1%2Fa%20b&dept_id=00&week={WEEK}").status_code == 404
    assert body == {
        "store_id": "EC-1/a b",
        "store_name": None,
        "dept_id": "0",
        "dept_name": None,
        "week": "2012-11-02",
        "origin_week": "2012-10-26",
        "horizon": 1,
        "forecast": 0.1,
        "p10": -0.1,
        "p50": 1 / 3,
        "p90": 1e12,
        "order_quantity": None,
        "final": 0.1,
        "final_p10": -0.1,
        "final_p50": 1 / 3,
        "final_p90": 1e12,
        "final_order_quantity": None,
        "unit": "USD",
        "vintage_id": published.vintage_id,
        "method": "xgboost",
        "model_version": "7",
        "data_version": "data-1",
        "code_version": "0.1.0",
        "published_at": "2012-10-27T06:00:00Z",
        "is_stale": False,
        "override": None,
    }


def test_an_empty_database_is_503_until_it_is_migrated(empty_store: str) -> None:
    with serving(empty_store, refresh_seconds=0.05) as client:
        refused = ask(client, "/v1/forecasts", 503)
        assert refused.headers["content-type"] == "application/problem+json"
        assert "run `demand migrate`" in refused.json()["detail"]
        migrate(empty_store)
        assert ask(client, "/v1/series", 200).json()["items"] == []


def test_a_database_that_goes_down_is_503_and_is_used_again_when_back(postgres_server: str, postgres_url: str) -> None:
    migrate(postgres_url)
    engine = create_engine_for(postgres_url)
    publish_vintage(engine, RECORD, [("1", "3", WEEK, 1, 10.0, 8.0, 10.0, 12.0, None)])
    engine.dispose()
    name = make_url(postgres_url).database
    newest, older = f"/forecast?store_id=1&dept_id=3&week={WEEK}", "/v1/series"
    with (
        serving(postgres_url, refresh_seconds=0.05) as client,
        psycopg.connect(postgres_server, autocommit=True) as admin,
    ):
        ask(client, newest, 200)
        ask(client, older, 200)
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        down = ask(client, older, 503)
        assert int(down.headers["retry-after"]) > 0
        ask(client, "/ready", 503)
        assert client.get(newest).status_code == 200  # from memory
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        ask(client, older, 200)
