"""Unusual findings that somebody has looked at and takes as right. Rows are only ever added."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import Engine, insert, select

from demand_assets.errors import StoreError
from demand_assets.store.engine import reading, write_transaction
from demand_assets.store.tables import accepted_weeks

_LOCK_ACCEPTED = 0x64656D616E640F


def accept_finding(engine: Engine, week: date, check: str, reason: str, by: str, now: datetime) -> Mapping[str, Any]:
    """Record that a finding is right; the row. `now` is aware. StoreError for an empty reason or name."""
    for name, text in (("reason", reason), ("name of who accepts", by)):
        if not text.strip() or "\0" in text:
            raise StoreError(f"expected a {name}, got {text!r}")
    row = {"week": week, "check_name": check, "reason": reason, "accepted_by": by, "accepted_at": now}
    with write_transaction(engine, _LOCK_ACCEPTED) as connection:
        key = connection.execute(insert(accepted_weeks).values(row).returning(accepted_weeks.c.acceptance)).scalar_one()
    return {"acceptance": key, **row}


def accepted_findings(engine: Engine) -> list[dict[str, Any]]:
    """Every accepted finding, oldest first."""
    with reading(engine) as connection:
        rows = connection.execute(select(accepted_weeks).order_by(accepted_weeks.c.acceptance))
        return [dict(row) for row in rows.mappings()]
