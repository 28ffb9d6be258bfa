"""Alerts and their delivery. A row is a claim: of all who want to deliver an alert over a channel one adds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from demand_assets.store.engine import write_transaction
from demand_assets.store.tables import alerts

# A process that died between claiming and sending must not silence the alert; sending takes seconds.
CLAIM_LASTS = timedelta(minutes=10)
_LOCK_ALERTS = 0x64656D616E640D
INSERT: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


@dataclass(frozen=True)
class Claim:
    """The delivery of one alert over one channel."""

    engine: Engine
    alert_key: str
    channel: str

    def take(self, alert: Mapping[str, Any], now: datetime) -> bool:
        """Whether it is the caller's to deliver: nobody has, and nobody has been about to for `CLAIM_LASTS`."""
        row = {"alert_key": self.alert_key, "channel": self.channel, "alert": alert, "claimed_at": now}
        new = INSERT[self.engine.dialect.name](alerts).values(row).on_conflict_do_nothing()
        abandoned = update(alerts).where(self._unsent, alerts.c.claimed_at <= now - CLAIM_LASTS)
        with write_transaction(self.engine, _LOCK_ALERTS) as connection:
            if connection.execute(new, execution_options={"preserve_rowcount": True}).rowcount == 1:
                return True
            return connection.execute(abandoned.values(claimed_at=now)).rowcount == 1

    def give_back(self) -> None:
        """Give the delivery up, so that another process can make it."""
        with write_transaction(self.engine, _LOCK_ALERTS) as connection:
            connection.execute(delete(alerts).where(self._unsent))

    def settle(self, now: datetime) -> None:
        """Note that it was delivered: nobody delivers it again."""
        with write_transaction(self.engine, _LOCK_ALERTS) as connection:
            connection.execute(update(alerts).where(self._unsent).values(sent_at=now))

    @property
    def _unsent(self) -> ColumnElement[bool]:
        c = alerts.c
        return and_(c.alert_key == self.alert_key, c.channel == self.channel, c.sent_at.is_(None))


def newest_alerts(connection: Connection, channel: str, limit: int) -> list[tuple[dict[str, Any], datetime]]:
    """(alert, when it was claimed) of the alerts last claimed for a channel, newest first."""
    c = alerts.c
    sent = select(c.alert, c.claimed_at).where(c.channel == channel).order_by(c.claimed_at.desc(), c.alert_key)
    return [(dict(alert), claimed_at) for alert, claimed_at in connection.execute(sent.limit(limit))]
