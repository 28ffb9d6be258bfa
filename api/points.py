"""Point reads: the forecast of one series and week in its plain form, the newest there is.

By far the most frequent request, so it has a way of its own: from memory if the newest vintage has it, else by one
prepared statement. What it cannot answer (an odd spelling, a day that is no Friday, an unknown series) goes on to the
route, which says what is wrong.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from api.database import Database, fetch_maps
from api.rows import forecast_row, tagged, to_json
from api.snapshot import State
from demand_assets.store import reads
from demand_assets.store.tables import forecasts

FORECAST_COLUMNS = tuple(column.name for column in forecasts.columns if column.name != "vintage_id")
Answer = tuple[bytes, bytes]
_FRIDAY = 4


class PointReads:
    """Answers as (JSON body, ETag)."""

    def __init__(self, database: Database, state: State) -> None:
        self._database, self._state = database, state

    def from_memory(self, key: tuple[int, int, str]) -> Answer | None:
        """The forecast in the newest vintage; None if that has none."""
        snapshot = self._state.snapshot
        return None if snapshot is None else snapshot.answer(key)

    async def from_store(self, key: tuple[int, int, str], week: date) -> Answer | None:
        """The newest forecast in the store; None if there is none. StoreError when it cannot be read."""
        values = {"store_id": key[0], "dept_id": key[1], "target_week": week}
        found = await fetch_maps(self._database, reads.LATEST_FORECAST, values)
        return tagged(to_json(self.body(found[0]))) if found else None

    def body(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row with its vintage's columns as answered; a planner's number only beside the newest vintage."""
        snapshot = self._state.snapshot
        override = None
        if snapshot is not None and not self._state.is_past(row):
            override = snapshot.overrides.get((row["store_id"], row["dept_id"], row["target_week"].isoformat()))
        return forecast_row(row, [row[name] for name in FORECAST_COLUMNS], self._state.is_stale(row), override)


def plain_point(query: bytes) -> tuple[tuple[int, int, str], date] | None:
    """Key and week of a query that names store_id, dept_id and a Friday as week, plainly and nothing else."""
    given: dict[bytes, bytes] = {}
    parts = query.split(b"&")
    for part in parts:
        name, _, value = part.partition(b"=")
        given[name] = value
    if len(parts) != 3 or given.keys() != {b"store_id", b"dept_id", b"week"}:
        return None
    store, dept, text = given[b"store_id"], given[b"dept_id"], given[b"week"]
    if not (store.isdigit() and dept.isdigit() and len(store) < 10 and len(dept) < 10 and len(text) == 10):
        return None
    # ISO has other spellings of ten characters, such as 2012-W44-5.
    if store[:1] == b"0" or dept[:1] == b"0" or text[4:8:3] != b"--":
        return None
    try:
        week = date.fromisoformat(text.decode())
    except ValueError:
        return None
    return ((int(store), int(dept), text.decode()), week) if week.weekday() == _FRIDAY else None
