"""Point reads: the newest forecast of one series and week.

By far the most frequent request, so it has a path of its own: from memory if the newest vintage has it, else by one
prepared statement. What it cannot answer (an odd spelling, another weekday, an unknown series) goes on to the
route, which says what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import unquote_plus

from api.database import Database, fetch_maps
from api.forecasts import Encoded, Key, encoded, forecast_item, key_of
from api.snapshot import State
from demand_assets.contract.columns import is_id
from demand_assets.store.reads.forecasts import LATEST_FORECAST

# Printable ASCII less & and =. ISO has other spellings of a date in ten characters, such as 2012-W44-5.
_PLAIN = re.compile(rb"store_id=([!-%'-<>-~]+)&dept_id=([!-%'-<>-~]+)&week=([0-9]{4}-[0-9]{2}-[0-9]{2})")


class PointReads:
    """Forecasts as (JSON body, ETag)."""

    def __init__(self, database: Database, state: State) -> None:
        self._database, self._state = database, state

    def from_memory(self, key: Key) -> Encoded | None:
        """The forecast in the newest vintage; None if that has none."""
        snapshot = self._state.snapshot
        return None if snapshot is None else snapshot.encoded_forecast(key)

    async def from_store(self, key: Key, week: date) -> Encoded | None:
        """The newest forecast in the store; None if there is none. StoreError when it cannot be read."""
        values = {"store_id": key[0], "dept_id": key[1], "target_week": week}
        found = await fetch_maps(self._database, LATEST_FORECAST, values)
        return encoded(self.item(found[0])) if found else None

    def item(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A forecast with its vintage's columns as answered; an override only beside the newest vintage."""
        override = self._state.active_overrides(row).get(key_of(row))
        return forecast_item(row, self._state.names, self._state.is_stale(row), override)


def parse_plain_query(query: bytes) -> tuple[Key, date] | None:
    """Key and week of a query that names store_id, dept_id and a date as week, in this order, only these."""
    match = _PLAIN.fullmatch(query)
    if match is None:
        return None
    store, dept, text = (part.decode() for part in match.groups())
    try:
        week = date.fromisoformat(text)
        if b"%" in query or b"+" in query:
            store, dept = unquote_plus(store, errors="strict"), unquote_plus(dept, errors="strict")
            if not (is_id(store) and is_id(dept)):
                return None
    except ValueError:
        return None
    return (store, dept, text), week
