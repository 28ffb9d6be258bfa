from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from demand_assets.store.engine import create_engine_for
from demand_assets.store.migrations import migrate
from demand_assets.store.reads.forecasts import LATEST_FORECAST


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a store that holds nothing, not even tables, on each of the two databases."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def store_url(empty_store: str) -> str:
    """URL of a migrated store without rows."""
    migrate(empty_store)
    return empty_store


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    """Engine of a migrated store without rows."""
    engine = create_engine_for(store_url)
    yield engine
    engine.dispose()


def latest_forecast(connection: Connection, store_id: str, dept_id: str, week: date) -> dict[str, Any] | None:
    """The newest forecast of that week, as a point read has it."""
    values = {"store_id": store_id, "dept_id": dept_id, "target_week": week}
    row = connection.execute(LATEST_FORECAST, values).mappings().first()
    return None if row is None else dict(row)
