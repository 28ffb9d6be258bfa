"""The promotion ledger: what was put into production, by whom, why, and what was refused. Rows are only ever added.

The ledger decides which version is the champion: the one its newest promoted row names. The registry's alias follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, Engine, insert, select

from demand_assets.errors import StoreError
from demand_assets.store.engine import write_transaction
from demand_assets.store.tables import promotions

PROMOTE, ROLLBACK = "promote", "rollback"
PROMOTED, REFUSED, SUPERSEDED = "promoted", "refused", "superseded"
_LOCK_PROMOTIONS = 0x64656D616E6405


@dataclass(frozen=True)
class PromotionRecord:
    """One decision. `from_version` is the champion it was judged against; `outcome` is one of the three above.

    `decision_key` names what was decided on which evidence, None for a request of a person; `decided_at` is aware.
    """

    model_name: str
    action: str
    outcome: str
    from_version: str | None
    to_version: str
    requested_by: str
    decided_at: datetime
    reasons: tuple[str, ...]
    figures: Mapping[str, float]
    data_version: str
    code_version: str
    as_of: date | None = None
    forced: bool = False
    decision_key: str | None = None


def champion_version(conn: Connection, model_name: str) -> str | None:
    """Version of the model in production; None before the first promotion."""
    newest = (
        select(promotions.c.to_version)
        .where(promotions.c.model_name == model_name, promotions.c.outcome == PROMOTED)
        .order_by(promotions.c.promotion_id.desc())
        .limit(1)
    )
    return conn.execute(newest).scalar_one_or_none()


def previous_champion(conn: Connection, model_name: str) -> str | None:
    """Version that was champion before the present one, those rolled back left out; None when there is none."""
    rows = conn.execute(
        select(promotions.c.action, promotions.c.to_version)
        .where(promotions.c.model_name == model_name, promotions.c.outcome == PROMOTED)
        .order_by(promotions.c.promotion_id)
    )
    held: list[str] = []
    for action, version in rows:
        if action == ROLLBACK:
            held.pop()
        else:
            held.append(version)
    return held[-2] if len(held) > 1 else None


def history(conn: Connection, model_name: str) -> list[Mapping[str, Any]]:
    """Every row of a model's ledger, newest first."""
    found = conn.execute(
        select(promotions).where(promotions.c.model_name == model_name).order_by(promotions.c.promotion_id.desc())
    )
    return [dict(row) for row in found.mappings()]


def refusals_in_a_row(conn: Connection, limit: int = 100) -> list[Mapping[str, Any]]:
    """Rows of `promotions` the gate has refused since it last promoted, newest first; people's requests apart."""
    found = conn.execute(
        select(promotions)
        .where(promotions.c.action == PROMOTE, promotions.c.decision_key.is_not(None))
        .order_by(promotions.c.promotion_id.desc())
        .limit(limit)
    ).mappings()
    return [dict(row) for row in takewhile(lambda row: row["outcome"] == REFUSED, found)]


def record_decision(engine: Engine, record: PromotionRecord) -> PromotionRecord:
    """Add a decision and return its row; promotions of one store wait for each other here.

    A promotion that was judged against a champion which is no longer the champion is recorded as superseded, with
    the version that was promoted instead. If the `decision_key` exists already, its decision is returned and nothing is
    added.
    """
    with write_transaction(engine, _LOCK_PROMOTIONS) as conn:
        known = None if record.decision_key is None else _with_key(conn, record.decision_key)
        if known is not None:
            return known
        now = champion_version(conn, record.model_name)
        if record.outcome == PROMOTED and now != record.from_version:
            reason = (
                f"version {now} was promoted meanwhile; it was judged against version {record.from_version or 'none'}"
            )
            record = replace(record, outcome=SUPERSEDED, reasons=(*record.reasons, reason))
        return _add(conn, record)


def record_rollback(
    engine: Engine, model_name: str, reasons: tuple[str, ...], requested_by: str, now: datetime
) -> PromotionRecord:
    """Put the champion before the present one back and return the row; StoreError when there is none."""
    with write_transaction(engine, _LOCK_PROMOTIONS) as conn:
        present, before = champion_version(conn, model_name), previous_champion(conn, model_name)
        if before is None:
            shown = "no version is in production" if present is None else f"version {present} is the first champion"
            raise StoreError(f"there is nothing to roll back to: {shown}")
        was = (
            select(promotions.c.as_of, promotions.c.data_version, promotions.c.code_version)
            .where(promotions.c.model_name == model_name, promotions.c.to_version == before)
            .order_by(promotions.c.promotion_id)
            .limit(1)
        )
        as_of, data_version, code_version = conn.execute(was).one()
        return _add(
            conn,
            PromotionRecord(
                model_name=model_name,
                action=ROLLBACK,
                outcome=PROMOTED,
                from_version=present,
                to_version=before,
                requested_by=requested_by,
                decided_at=now,
                reasons=reasons,
                figures={},
                data_version=data_version,
                code_version=code_version,
                as_of=as_of,
            ),
        )


def _with_key(conn: Connection, key: str) -> PromotionRecord | None:
    row = conn.execute(select(promotions).where(promotions.c.decision_key == key)).mappings().first()
    if row is None:
        return None
    values = {name: value for name, value in row.items() if name != "promotion_id"}
    return PromotionRecord(**{**values, "reasons": tuple(values["reasons"])})


def _add(conn: Connection, record: PromotionRecord) -> PromotionRecord:
    reasons: Sequence[str] = list(record.reasons)
    conn.execute(insert(promotions).values({**asdict(record), "reasons": reasons, "figures": dict(record.figures)}))
    return record
