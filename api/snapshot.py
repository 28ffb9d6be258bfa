"""What the service keeps in memory: the newest vintage, the overrides in force and the valid keys.

A vintage never changes, so it is read once, when it appears; a short question each second asks whether there is
another. While the store is down the last answer stays, and point reads of the newest vintage go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from api.database import BusyError, Database, fetch_maps
from api.forecasts import Encoded, Key, encoded, forecast_item, key_of
from api.names import Names
from api.people import Principal
from demand_assets.errors import StoreError
from demand_assets.store.dataset import DATASET
from demand_assets.store.keys import valid_keys
from demand_assets.store.migrations import require_current
from demand_assets.store.reads import forecasts
from demand_assets.store.reads.members import NAMES
from demand_assets.store.reads.overrides import active_overrides

LOG = logging.getLogger("api.snapshot")
_FORECAST_COLUMNS = tuple(forecasts.forecasts_of("").selected_columns.keys())


@dataclass(frozen=True)
class Snapshot:
    """One vintage with the overrides of its forecasts; replaced as a whole, never changed."""

    vintage: Mapping[str, Any]
    is_stale: bool
    # The columns of `forecasts` less the vintage; None when there are too many rows.
    rows: Mapping[Key, tuple[Any, ...]] | None
    overrides: Mapping[Key, Mapping[str, Any]]
    names: Names
    # Made when first asked for.
    encoded: dict[Key, Encoded] = field(default_factory=dict, compare=False)

    def encoded_forecast(self, key: Key) -> Encoded | None:
        """The forecast of `key`; None if it is not in memory."""
        made = self.encoded.get(key)
        if made is None and self.rows is not None and (values := self.rows.get(key)) is not None:
            row = {**self.vintage, **dict(zip(_FORECAST_COLUMNS, values, strict=True))}
            made = self.encoded[key] = encoded(forecast_item(row, self.names, self.is_stale, self.overrides.get(key)))
        return made


def _sort_key(vintage: Mapping[str, Any]) -> tuple[date, int]:
    """Sorts vintages as the store does, the newest last."""
    return vintage["origin_week"], vintage["sequence"]


def stale_from(origin_week: date, deadline_hours: int) -> datetime:
    """When a forecast from `origin_week` is overdue for a successor: that week's end and the deadline after it."""
    next_ends = datetime.combine(origin_week + timedelta(weeks=1, days=1), time(0), UTC)
    return next_ends + timedelta(hours=deadline_hours)


@dataclass
class State:
    """What the service knows now. `problem`: why the store could not be read the last time, None when it could."""

    now: Callable[[], datetime]
    deadline_hours: int
    snapshot: Snapshot | None = None
    vintages: int | None = None
    # The row of `dataset`; None before the pipeline has written it.
    dataset: Mapping[str, Any] | None = None
    names: Names = field(default_factory=Names)
    keys: Mapping[str, Principal] = field(default_factory=dict)
    problem: str | None = "the store was not read yet"
    refreshed_at: datetime | None = None
    vintage_loads: int = 0

    @property
    def newest_vintage(self) -> Mapping[str, Any] | None:
        """The newest vintage; None before one is known."""
        return None if self.snapshot is None else self.snapshot.vintage

    @property
    def week_ends(self) -> int | None:
        """Weekday that ends a week, 0 (Monday) to 6: the dataset's, else the newest vintage's; None without both."""
        if self.dataset is not None:
            return int(self.dataset["week_ends"])
        newest = self.newest_vintage
        return None if newest is None else int(newest["origin_week"].weekday())

    def active_overrides(self, vintage: Mapping[str, Any]) -> Mapping[Key, Mapping[str, Any]]:
        """Overrides in force beside the forecasts of `vintage`; beside a past one there is none."""
        return {} if self.snapshot is None or self.is_past(vintage) else self.snapshot.overrides

    def is_past(self, vintage: Mapping[str, Any]) -> bool:
        """Whether there is a newer vintage than this one, so that nothing about it changes any more.

        One that the store has and the snapshot not yet is newer, not past.
        """
        return self.snapshot is not None and _sort_key(vintage) < _sort_key(self.snapshot.vintage)

    def is_ahead(self, vintage: Mapping[str, Any]) -> bool:
        """Whether this vintage is newer than the one in memory."""
        return self.snapshot is None or _sort_key(vintage) > _sort_key(self.snapshot.vintage)

    def is_stale(self, vintage: Mapping[str, Any]) -> bool:
        """Whether there is a newer vintage than this one, or one is overdue."""
        return self.is_past(vintage) or self.is_overdue(vintage)

    def is_overdue(self, vintage: Mapping[str, Any]) -> bool:
        """Whether the week after this vintage's origin has ended and its deadline has passed."""
        return self.now() >= stale_from(vintage["origin_week"], self.deadline_hours)


class Refresher:
    """Keeps `state` up to date with the store."""

    def __init__(self, database: Database, state: State, memory_rows: int) -> None:
        self.state = state
        self._database, self._memory_rows = database, memory_rows
        self._migrated = False
        self._lock = asyncio.Lock()
        self.refreshed = asyncio.Event()

    async def run(self, seconds: float) -> None:
        """Refresh every `seconds` until cancelled; a store that is down is a state, not an end."""
        while True:
            try:
                await self.refresh()
            except StoreError:
                LOG.debug("the store cannot be read: %s", self.state.problem)
            except Exception:
                self.state.problem = "the store could not be read; the log says why"
                LOG.exception("unexpected error while looking for a new vintage")
            await asyncio.sleep(seconds)

    async def refresh(self) -> None:
        """Read once; StoreError when the store cannot be read, and `state` then says so."""
        async with self._lock:
            before = self.state.problem
            try:
                await self._read()
            except BusyError:
                self._update_staleness()
                raise  # by those who ask now; whoever asks next may find it free
            except StoreError as error:
                # Asked again: what comes back may be another schema.
                self._migrated = False
                self.state.problem = str(error)
                if before != self.state.problem:
                    LOG.error("%s", error)
                self._update_staleness()
                raise
            finally:
                self.refreshed.set()
            self.state.problem = None
            self.state.refreshed_at = self.state.now()
            if before is not None:
                LOG.info("the store is read")

    async def require_store(self) -> None:
        """StoreError unless the store can be read and has the schema this code was written for."""
        if not self._migrated:
            await self._database.run(require_current)
            self._migrated = True

    async def _read(self) -> None:
        await self.require_store()
        state, now = self.state, self.state.now()
        found = await fetch_maps(self._database, forecasts.NEWEST_VINTAGE, {})
        state.vintages = int((await self._database.fetch(forecasts.VINTAGE_COUNT, {}))[0][0])
        state.keys = {
            row["key_hash"]: Principal(row["key_id"], row["name"], frozenset(row["scopes"]), row["expires_at"])
            for row in await fetch_maps(self._database, valid_keys(now))
        }
        old, vintage = state.snapshot, found[0] if found else None
        is_new = vintage is not None and (old is None or old.vintage["vintage_id"] != vintage["vintage_id"])
        await self._read_dataset(is_new)
        if vintage is None:
            state.snapshot = None
            return
        overrides = {key_of(row): row for row in await fetch_maps(self._database, active_overrides(now))}
        is_stale = state.is_overdue(vintage)
        if old is None or is_new:
            rows: Mapping[Key, tuple[Any, ...]] | None = await self._rows(vintage["vintage_id"])
            state.vintage_loads += 1
            LOG.info("vintage %s is served", vintage["vintage_id"], extra={"rows": len(rows or ())})
        else:
            rows = old.rows
            if (old.is_stale, old.overrides, old.names) == (is_stale, overrides, state.names):
                return
        state.snapshot = Snapshot(vintage, is_stale, rows, overrides, state.names)

    async def _read_dataset(self, is_new: bool) -> None:
        """The dataset, and the names again when it or the vintage is another one."""
        found = next(iter(await fetch_maps(self._database, DATASET, {})), None)
        if is_new or self.state.refreshed_at is None or found != self.state.dataset:
            known = {name: await self._database.fetch(statement, {}) for name, statement in NAMES.items()}
            self.state.names = Names({name: {row[0]: row[1] for row in rows} for name, rows in known.items()})
        self.state.dataset = found

    async def _rows(self, vintage_id: str) -> dict[Key, tuple[Any, ...]] | None:
        rows: dict[Key, tuple[Any, ...]] = {}
        weeks: dict[date, str] = {}
        async for chunk in self._database.stream(forecasts.forecasts_of(vintage_id)):
            for row in chunk:
                week = weeks.setdefault(row[2], row[2].isoformat())
                rows[row[0], row[1], week] = tuple(row)
            if len(rows) > self._memory_rows:
                return None
        return rows

    def _update_staleness(self) -> None:
        """A forecast goes stale by the clock, whether or not the store can be asked."""
        old = self.state.snapshot
        if old is not None and not old.is_stale and self.state.is_overdue(old.vintage):
            self.state.snapshot = replace(old, is_stale=True, encoded={})
