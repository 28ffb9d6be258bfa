"""Planners' overrides of forecasts: rows are only ever added, each a new version of its series and week."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from math import isfinite
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Engine,
    Select,
    and_,
    func,
    insert,
    or_,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import Subquery
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from demand_assets.errors import IdempotencyConflictError, UnknownForecastError
from demand_assets.store.dimensions import key_of, shown
from demand_assets.store.engine import write_transaction
from demand_assets.store.queries import latest_forecast
from demand_assets.store.reads.statements import Ids, matching
from demand_assets.store.tables import actuals, overrides

LOCK_OVERRIDES = 0x64656D616E6409


@dataclass(frozen=True)
class OverrideRequest:
    """What a planner asks for: a number in place of the forecast, or None to withdraw the one before.

    `idempotency_key` names the request, so that one sent twice counts once. ValueError for NaN or infinity, or for an
    `expires_at` without a time zone.
    """

    store_id: str
    dept_id: str
    target_week: date
    override: float | None
    author: str
    reason: str
    expires_at: datetime | None
    idempotency_key: str

    def __post_init__(self) -> None:
        if self.override is not None and not isfinite(self.override):
            raise ValueError(f"override must be a finite number or nothing, got {self.override}")
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            raise ValueError(f"expires_at must have a time zone, got {self.expires_at.isoformat()}")

    @property
    def content_hash(self) -> str:
        """SHA-256 of the request less its key: the same for the same, whatever number type or time zone."""
        content = {
            "store_id": self.store_id,
            "dept_id": self.dept_id,
            "target_week": self.target_week.isoformat(),
            "override": None if self.override is None else float(self.override) + 0.0,
            "author": self.author,
            "reason": self.reason,
            "expires_at": None if self.expires_at is None else self.expires_at.astimezone(UTC).isoformat(),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def record_override(engine: Engine, request: OverrideRequest, now: datetime) -> tuple[Mapping[str, Any], bool]:
    """Add the next version of a series and week; its row of `overrides`, and whether this call added it.

    The newest forecast goes into the row beside it. A repeated key gives the row that is there, whatever has come
    since; IdempotencyConflictError when that row was another request. UnknownForecastError when nothing forecasts the
    series and week.
    """
    with write_transaction(engine, LOCK_OVERRIDES) as conn:
        asked = select(*shown(overrides)).where(overrides.c.idempotency_key == request.idempotency_key)
        known = conn.execute(asked).mappings().first()
        if known is not None:
            if known["request_hash"] != request.content_hash:
                raise IdempotencyConflictError(
                    f"idempotency key {request.idempotency_key!r} belongs to override {known['override_id']}, which "
                    "was asked for with other values; send a new key with a new request"
                )
            return dict(known), False
        forecast = latest_forecast(conn, request.store_id, request.dept_id, request.target_week)
        if forecast is None:
            raise UnknownForecastError(
                f"no vintage forecasts store {request.store_id}, department {request.dept_id} in week "
                f"{request.target_week}; only what is forecast can be overridden"
            )
        series = {"store_id": request.store_id, "dept_id": request.dept_id, "target_week": request.target_week}
        before = matching(select(func.count()), overrides, series)
        conn.execute(
            insert(overrides).values(
                idempotency_key=request.idempotency_key,
                request_hash=request.content_hash,
                store_key=key_of("store_id", request.store_id),
                dept_key=key_of("dept_id", request.dept_id),
                target_week=request.target_week,
                version=1 + conn.execute(before).scalar_one(),
                override=request.override,
                author=request.author,
                reason=request.reason,
                created_at=now,
                expires_at=request.expires_at,
                vintage_id=forecast["vintage_id"],
                forecast=forecast["forecast"],
            )
        )
        return dict(conn.execute(asked).mappings().one()), True


def active_overrides(now: datetime) -> Select[Any]:
    """Rows of `overrides` in force at `now`: the newest version of each series and week, unless withdrawn or expired.

    A newest version that has expired leaves none: the versions before it do not come back.
    """
    ranked = _ranked()
    return select(*shown(ranked, "age")).where(_in_force(ranked, now))


def keys_in_force(now: datetime) -> Select[Any]:
    """(store_key, dept_key, target_week) of `active_overrides`."""
    ranked = _ranked()
    return select(ranked.c.store_key, ranked.c.dept_key, ranked.c.target_week).where(_in_force(ranked, now))


def _ranked() -> Subquery:
    return select(*overrides.c, _age()).subquery()


def _in_force(ranked: Subquery, now: datetime) -> ColumnElement[bool]:
    o = ranked.c
    return and_(o.age == 1, o.override.is_not(None), or_(o.expires_at.is_(None), o.expires_at > now))


def override_scores(store_id: Ids = None, dept_id: Ids = None) -> Select[Any]:
    """Rows of `overrides` in force when their week ended, with `actual` and `fva`, for weeks that have sales.

    fva = |forecast - actual| - |override - actual|: what the override came nearer by than the
    forecast that stood when it was made. What was entered after the week, withdrawn or expired before its end is not
    scored.
    """
    end = _WeekEnd(overrides.c.target_week)
    ranked = select(*overrides.c, end.label("week_end"), _age()).where(overrides.c.created_at < end)
    newest = matching(ranked, overrides, {"store_id": store_id, "dept_id": dept_id}).subquery()
    o, actual = newest.c, actuals.c.actual
    return (
        select(
            *shown(newest, "age", "week_end"),
            actual.label("actual"),
            (func.abs(o.forecast - actual) - func.abs(o.override - actual)).label("fva"),
        )
        .join(
            actuals,
            and_(
                actuals.c.store_key == o.store_key,
                actuals.c.dept_key == o.dept_key,
                actuals.c.week == o.target_week,
            ),
        )
        .where(o.age == 1, o.override.is_not(None), or_(o.expires_at.is_(None), o.expires_at >= o.week_end))
    )


class _WeekEnd(FunctionElement[datetime]):
    """The midnight, UTC, after the day in a column: a week is known at its end. Date arithmetic has no one SQL."""

    type = DateTime(timezone=True)
    name = "week_end"
    inherit_cache = True


@compiles(_WeekEnd, "postgresql")
def _week_end_in_postgresql(element: _WeekEnd, compiler: SQLCompiler, **options: Any) -> str:
    return f"(CAST({compiler.process(element.clauses, **options)} + 1 AS timestamp) AT TIME ZONE 'UTC')"


@compiles(_WeekEnd, "sqlite")
def _week_end_in_sqlite(element: _WeekEnd, compiler: SQLCompiler, **options: Any) -> str:
    # Times are kept as text with microseconds, which sorts after the same second without them.
    return f"datetime({compiler.process(element.clauses, **options)}, '+1 day')"


def _age() -> ColumnElement[int]:
    """1 for the newest version of each series and week among the rows of a statement."""
    key = (overrides.c.store_key, overrides.c.dept_key, overrides.c.target_week)
    return func.row_number().over(partition_by=key, order_by=overrides.c.version.desc()).label("age")
