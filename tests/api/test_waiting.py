"""A database that hangs is reported with the time that was waited, whichever of the limits ended the wait."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from api import database
from demand_assets.errors import StoreError


def test_a_database_that_hangs_is_reported_with_the_time_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_ACQUIRE_S", 1.0)
    hanging = database.PostgresDatabase("postgresql://demand@127.0.0.1:1/demand", 1)

    async def wait() -> None:
        hanging._loop = asyncio.get_running_loop()
        hanging._turn = asyncio.Semaphore(1)
        # All connections are held by queries that get no answer.
        await hanging._turn.acquire()
        await hanging.fetch(select(1))

    with pytest.raises(StoreError, match="no answer after 1 s"):
        asyncio.run(wait())
