"""Callers wait for one of few connections; who waits too long is refused, and the store is not given up for it."""

from __future__ import annotations

import asyncio

import pytest

from api.database import BusyError, PostgresDatabase
from tests.api.conftest import application
from tests.api.stores import fill_full
from tests.waiting import GUARD_S


def test_a_refresh_that_finds_no_free_connection_leaves_the_store_in_use(postgres_url: str) -> None:
    fill_full(postgres_url)
    service = application(postgres_url, pool_size=1, store_seconds=0.2).state.service

    async def refreshed_while_busy() -> None:
        database = service.database
        assert isinstance(database, PostgresDatabase)
        await service.refresher.refresh()
        async with database._connection():
            with pytest.raises(BusyError, match="is busy: no connection was free for 0 s"):
                await service.refresher.refresh()
        assert service.state.problem is None
        assert service.state.snapshot is not None
        await service.refresher.refresh()
        await service.stop()

    asyncio.run(asyncio.wait_for(refreshed_while_busy(), GUARD_S))
