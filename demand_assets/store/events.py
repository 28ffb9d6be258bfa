"""How far each target has been told of published vintages, and what it is told.

A vintage is added together with its place in the sequence, so what is after the last one that a target was told of is
what it has yet to hear. Of all processes the one that claims the target's row tells it: never two at once, never out of
order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, ScalarSelect, func, or_, select, update

from demand_assets.contract.store import FORECAST_KIND
from demand_assets.store.alerts import CLAIM_LASTS, INSERT
from demand_assets.store.engine import write_transaction
from demand_assets.store.queries import rows_of
from demand_assets.store.tables import event_targets, forecast_totals, forecast_vintages

PUBLISHED = "vintage.published"
_LOCK_EVENTS = 0x64656D616E6412
_V, _T = forecast_vintages.c, event_targets.c


@dataclass(frozen=True)
class Turn:
    """The turn to tell one target."""

    engine: Engine
    target: str

    def take(self, now: datetime, new_since: datetime) -> int | None:
        """Sequence that the target was told last, if it is the caller's to tell; None while another process tells it.

        A target that is not known yet counts as told of all that was published before `new_since`.
        """
        new = INSERT[self.engine.dialect.name](event_targets).values(target=self.target, sequence=_before(new_since))
        free = or_(_T.claimed_at.is_(None), _T.claimed_at <= now - CLAIM_LASTS)
        with write_transaction(self.engine, _LOCK_EVENTS) as connection:
            connection.execute(new.on_conflict_do_nothing())
            claimed = update(event_targets).where(self._row, free).values(claimed_at=now)
            if connection.execute(claimed).rowcount == 0:
                return None
            return int(connection.execute(select(_T.sequence).where(self._row)).scalar_one())

    def advance(self, sequence: int, now: datetime) -> None:
        """Note that the target took the event of that sequence; the turn goes on."""
        with write_transaction(self.engine, _LOCK_EVENTS) as connection:
            told = {"sequence": sequence, "told_at": now, "claimed_at": now}
            connection.execute(update(event_targets).where(self._row).values(told))

    def end(self) -> None:
        """Let others take the turn."""
        with write_transaction(self.engine, _LOCK_EVENTS) as connection:
            connection.execute(update(event_targets).where(self._row).values(claimed_at=None))

    @property
    def _row(self) -> ColumnElement[bool]:
        return _T.target == self.target


def _before(moment: datetime) -> ScalarSelect[Any]:
    last = select(func.max(_V.sequence)).where(_V.published_at < moment)
    return select(func.coalesce(last.scalar_subquery(), 0)).scalar_subquery()


def next_event(connection: Connection, after: int) -> dict[str, Any] | None:
    """What is told of the first vintage after a sequence; None if there is none.

    Its columns but the versions of data and code, how many forecasts it has, and the chain's totals by target week.
    """
    return _event(connection, _V.sequence > after)


def next_news(connection: Connection, after: int, until: datetime) -> dict[str, Any] | None:
    """`next_event` of a vintage of kind forecast that was published up to `until`."""
    return _event(connection, _V.sequence > after, _V.kind == FORECAST_KIND, _V.published_at <= until)


def _event(connection: Connection, *wanted: ColumnElement[bool]) -> dict[str, Any] | None:
    columns = [column for column in _V if column.name not in ("data_version", "code_version")]
    row = connection.execute(select(*columns).where(*wanted).order_by(_V.sequence).limit(1)).mappings().first()
    if row is None:
        return None
    totals = _totals(connection, row["vintage_id"])
    return {"event": PUBLISHED, **row, "rows": rows_of(connection, row["vintage_id"]), "totals": totals}


def _totals(connection: Connection, vintage_id: str) -> list[dict[str, Any]]:
    t = forecast_totals.c
    of_chain = (t.vintage_id == vintage_id, t.level == "chain")
    found = select(t.target_week, t.forecast, t.p10, t.p90).where(*of_chain).order_by(t.target_week)
    return [dict(row) for row in connection.execute(found).mappings()]
