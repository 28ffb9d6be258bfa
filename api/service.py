"""What the routes of one application share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request

from api.database import Database, Row, Statement, fetch_maps
from api.files import RecentFiles
from api.metrics import Metrics
from api.parameters import WEEK_ENDS
from api.points import PointReads
from api.problems import UnavailableError
from api.settings import ApiSettings
from api.snapshot import Refresher, State
from demand_assets.errors import StoreError

Result = TypeVar("Result")
_FIRST_REFRESH_S = 10.0


@dataclass
class Service:
    """The store, what is known of it, and a few threads for work that would hold the event loop."""

    settings: ApiSettings
    database: Database
    refresher: Refresher
    points: PointReads
    metrics: Metrics
    # Rows, series and total of each vintage, which never change.
    vintage_sizes: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: RecentFiles = field(default_factory=RecentFiles)
    _refreshing: asyncio.Task[None] | None = None
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, thread_name_prefix="render"))

    @property
    def now(self) -> Callable[[], datetime]:
        """The clock."""
        return self.state.now

    @property
    def state(self) -> State:
        """What is known of the store."""
        return self.refresher.state

    def start(self) -> None:
        """Begin to refresh what is known."""
        self._refreshing = asyncio.create_task(self.refresher.run(self.settings.refresh_seconds))

    async def stop(self) -> None:
        """Stop refreshing and close what is open."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
        self._threads.shutdown(wait=False)
        await self.database.close()

    async def require_store(self) -> None:
        """StoreError, hence 503, when the store could not be read a moment ago: nobody waits for a connection then."""
        if self._refreshing is None:
            await self.refresher.refresh()
            return
        # A refresh that takes longer leaves `problem` as it was: not read yet.
        with suppress(TimeoutError):
            await asyncio.wait_for(self.refresher.refreshed.wait(), _FIRST_REFRESH_S)
        if self.state.problem is not None:
            raise UnavailableError(self.state.problem)

    async def fetch(self, statement: Statement, values: Mapping[str, Any] | None = None) -> Sequence[Row]:
        """Every row; `values` of its bind parameters. StoreError when the store cannot be read."""
        await self.require_store()
        return await self.database.fetch(statement, values)

    async def fetch_maps(self, statement: Statement, values: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Every row by the names of its columns. StoreError when the store cannot be read."""
        await self.require_store()
        return await fetch_maps(self.database, statement, values)

    async def fetch_value(self, statement: Statement) -> Any:
        """The one value of a statement without parameters that is run again and again."""
        return (await self.fetch(statement, {}))[0][0]

    async def in_thread(self, function: Callable[[], Result]) -> Result:
        """`function()` away from the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(_service)]


async def announce_weekday(service: ServiceDep) -> None:
    """Tells what reads the parameters of this request which weekday ends a week, if the store says so."""
    if service.state.refreshed_at is None:
        # The route says what is wrong with the store.
        with suppress(StoreError):
            await service.require_store()
    WEEK_ENDS.set(service.state.week_ends)
