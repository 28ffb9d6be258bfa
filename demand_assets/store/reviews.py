"""What is said of overrides afterwards: a second person's approval, and the undoing of an upload."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, insert, select

from demand_assets.errors import OverrideError, UnknownOverrideError
from demand_assets.store.engine import write_transaction
from demand_assets.store.overrides import LOCK_OVERRIDES, NO_RULES, OverrideRequest, OverrideRules, add, judge
from demand_assets.store.reads.overrides import OVERRIDES_ORDER, counting_before, overrides_of
from demand_assets.store.tables import override_reviews, overrides


@dataclass(frozen=True)
class Review:
    """What `reviewer` says of an override."""

    override_id: int
    approved: bool
    reviewer: str
    comment: str | None = None
    client: str | None = None


@dataclass(frozen=True)
class Undone:
    """Numbers that were put back, as one upload of their own, and those kept as somebody has changed them since."""

    batch_id: str
    put_back: int
    kept: int


def review_override(engine: Engine, review: Review, now: datetime, rules: OverrideRules) -> Mapping[str, Any]:
    """Approve or reject; the row of `overrides_of`. The same again changes nothing.

    UnknownOverrideError for a number that there is not. OverrideError where it does not wait for approval, its week is
    locked, or its author reviews it.
    """
    with write_transaction(engine, LOCK_OVERRIDES) as connection:
        row = _row(connection, review.override_id, now)
        said = select(override_reviews).where(override_reviews.c.override_id == review.override_id)
        known = connection.execute(said).mappings().first()
        if known is not None and (known["approved"], known["reviewer"]) == (review.approved, review.reviewer):
            return row
        _require_reviewable(row, review, now, rules)
        connection.execute(
            insert(override_reviews).values(
                override_id=review.override_id,
                approved=review.approved,
                reviewer=review.reviewer,
                comment=review.comment,
                client=review.client,
                reviewed_at=now,
            )
        )
        return _row(connection, review.override_id, now)


def _row(connection: Connection, override_id: int, now: datetime) -> Mapping[str, Any]:
    row = connection.execute(overrides_of({"override_id": override_id}, now)).mappings().first()
    if row is None:
        raise UnknownOverrideError(f"there is no override {override_id}")
    return dict(row)


def _require_reviewable(row: Mapping[str, Any], review: Review, now: datetime, rules: OverrideRules) -> None:
    if row["status"] != "waiting":
        by = f", by {row['reviewer']}" if row["reviewer"] else ""
        raise OverrideError(f"override {row['override_id']} does not wait for approval: it is {row['status']}{by}")
    if row["author"] == review.reviewer:
        raise OverrideError(f"override {row['override_id']} is by {row['author']}; a second person has to review it")
    rules.require_open(row["target_week"], now)


def undo_batch(
    engine: Engine,
    batch_id: str,
    author: str,
    client: str | None,
    idempotency_key: str,
    now: datetime,
    rules: OverrideRules,
) -> Undone:
    """Put back what was in force before an upload, as an upload of its own, in one transaction.

    A series and week that somebody has changed since keeps that. The same key again adds nothing. UnknownOverrideError
    for an upload that there is not, OverrideError where a week of it is locked.
    """
    undo_id = batch_id_of(idempotency_key)
    with write_transaction(engine, LOCK_OVERRIDES) as connection:
        given = overrides_of({"batch_id": batch_id}, now)
        rows = [dict(row) for row in connection.execute(OVERRIDES_ORDER.page(given, None, None)).mappings()]
        if not rows:
            raise UnknownOverrideError(f"there is no upload {batch_id}")
        again = select(overrides.c.override_id).where(overrides.c.batch_id == undo_id)
        before = len(connection.execute(again).all())
        if before:
            return Undone(undo_id, before, len(rows) - before)
        for week in {row["target_week"] for row in rows}:
            rules.require_open(week, now)
        earlier = {
            (row["store_id"], row["dept_id"], row["target_week"]): dict(row)
            for row in connection.execute(counting_before(batch_id)).mappings()
        }
        requests = [_put_back(row, earlier, author, client, idempotency_key, now) for row in rows]
        # What somebody has changed since is refused: its newest version is another one.
        open_ones = [each for each in judge(connection, requests, now, NO_RULES) if each.refusal is None]
        add(connection, open_ones, undo_id, now)
    return Undone(undo_id, len(open_ones), len(rows) - len(open_ones))


def batch_id_of(idempotency_key: str) -> str:
    """Names the upload of a request: the same for the same key."""
    return hashlib.sha256(f"batch:{idempotency_key}".encode()).hexdigest()[:16]


def _put_back(
    row: Mapping[str, Any],
    earlier: Mapping[tuple[Any, Any, Any], Mapping[str, Any]],
    author: str,
    client: str | None,
    key: str,
    now: datetime,
) -> OverrideRequest:
    was = earlier.get((row["store_id"], row["dept_id"], row["target_week"]))
    if was is not None and was["expires_at"] is not None and was["expires_at"] <= now:
        was = None
    return OverrideRequest(
        row["store_id"],
        row["dept_id"],
        row["target_week"],
        was["override"] if was else None,
        author,
        f"undo of upload {row['batch_id']}",
        was["expires_at"] if was else None,
        f"{key}:{row['override_id']}",
        was["reason_code"] if was else None,
        client,
        seen_version=row["version"],
    )
