"""Planners' overrides of forecasts: rows are only ever added, each a new version of its series and week."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from math import isfinite
from typing import Any

from sqlalchemy import Connection, Engine, Select, func, insert, select

from demand_assets.errors import DecisionError, IdempotencyConflictError, OverrideError, UnknownForecastError
from demand_assets.store.dimensions import DIMENSIONS, keys_of, shown
from demand_assets.store.engine import write_transaction
from demand_assets.store.reads.forecasts import latest_forecasts
from demand_assets.store.reads.statements import of_wanted
from demand_assets.store.tables import overrides

LOCK_OVERRIDES = 0x64656D616E6409
# Rows of one statement: PostgreSQL takes 65,535 parameters.
_CHUNK = 500
SeriesWeek = tuple[str, str, date]
"""(store_id, dept_id, target week)."""


@dataclass(frozen=True)
class OverrideRequest:
    """What a planner asks for: a number in place of the forecast, or None to withdraw the one before.

    `change_percent` in place of the number is a change of the system's forecast. `idempotency_key` names the request,
    so that one sent twice counts once. `seen_version` is the newest version that the planner knew of, 0 for none; a
    later one is not overwritten. ValueError for NaN or infinity, both kinds of number, or an `expires_at` without a
    time zone.
    """

    store_id: str
    dept_id: str
    target_week: date
    override: float | None
    author: str
    reason: str
    expires_at: datetime | None
    idempotency_key: str
    reason_code: str | None = None
    client: str | None = None
    change_percent: float | None = None
    seen_version: int | None = None

    def __post_init__(self) -> None:
        for name, number in (("override", self.override), ("change_percent", self.change_percent)):
            if number is not None and not isfinite(number):
                raise ValueError(f"{name} must be a finite number or nothing, got {number}")
        if self.override is not None and self.change_percent is not None:
            raise ValueError("expected a number or a change in percent, got both")
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            raise ValueError(f"expires_at must have a time zone, got {self.expires_at.isoformat()}")

    @property
    def key(self) -> SeriesWeek:
        """The forecast that it is for."""
        return self.store_id, self.dept_id, self.target_week

    @property
    def content_hash(self) -> str:
        """SHA-256 of the request less its key: the same for the same, whatever number type or time zone."""
        content = {
            "store_id": self.store_id,
            "dept_id": self.dept_id,
            "target_week": self.target_week.isoformat(),
            "override": None if self.override is None else float(self.override) + 0.0,
            "change_percent": None if self.change_percent is None else float(self.change_percent) + 0.0,
            "author": self.author,
            "reason": self.reason,
            "reason_code": self.reason_code,
            "seen_version": self.seen_version,
            "expires_at": None if self.expires_at is None else self.expires_at.astimezone(UTC).isoformat(),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def number(self, forecast: float) -> float | None:
        """What the planner puts in place of `forecast`."""
        return self.override if self.change_percent is None else forecast * (1 + self.change_percent / 100)


@dataclass(frozen=True)
class OverrideRules:
    """What a number needs: by default nothing.

    Over either limit, in percent of the forecast or in its unit, a second person has to approve. From `lock_days` days
    before the first day of a week on its numbers stay as they are. `reason_codes`: those that may be given; empty: any.
    """

    approval_percent: float | None = None
    approval_amount: float | None = None
    lock_days: int | None = None
    reason_codes: tuple[str, ...] = ()

    def needs_approval(self, forecast: float, number: float | None) -> bool:
        """Whether a number in place of `forecast` is over a limit; a withdrawal never is."""
        if number is None:
            return False
        change = abs(number - forecast)
        over_percent = self.approval_percent is not None and change > abs(forecast) * self.approval_percent / 100
        return over_percent or (self.approval_amount is not None and change > self.approval_amount)

    def require_open(self, week: date, now: datetime) -> None:
        """OverrideError for a week that is locked at `now`; days are those of UTC."""
        if self.lock_days is None:
            return
        since = week - timedelta(days=6 + self.lock_days)
        if now.astimezone(UTC).date() >= since:
            raise OverrideError(f"week {week} is locked since {since}: its order is placed; its numbers stay")

    def require_code(self, code: str | None) -> None:
        """OverrideError for a code that is not among those that may be given."""
        if self.reason_codes and code not in self.reason_codes:
            raise OverrideError(f"expected a reason code of {', '.join(self.reason_codes)}, got {code or 'none'}")


NO_RULES = OverrideRules()


@dataclass(frozen=True)
class Outcome:
    """What came of one request: its row of `overrides`, or why it is refused.

    `number` and `forecast` are what it would put in place of what, as which version beside which vintage. In a trial
    run a request that is not refused has no row. `is_new`: whether this call added it.
    """

    request: OverrideRequest
    forecast: float | None = None
    number: float | None = None
    version: int | None = None
    vintage_id: str | None = None
    needs_approval: bool = False
    row: Mapping[str, Any] | None = None
    is_new: bool = False
    refusal: DecisionError | None = None


def record_override(
    engine: Engine, request: OverrideRequest, now: datetime, rules: OverrideRules = NO_RULES
) -> tuple[Mapping[str, Any], bool]:
    """Add the next version of a series and week; its row of `overrides`, and whether this call added it.

    The newest forecast goes into the row beside it. A repeated key gives the row that is there, whatever has come
    since; IdempotencyConflictError when that row was another request. UnknownForecastError when nothing forecasts the
    series and week, OverrideError for what `rules` or a later version than the one seen do not allow.
    """
    (outcome,) = record_overrides(engine, [request], now, rules)
    if outcome.refusal is not None:
        raise outcome.refusal
    assert outcome.row is not None
    return outcome.row, outcome.is_new


def record_overrides(
    engine: Engine,
    requests: Sequence[OverrideRequest],
    now: datetime,
    rules: OverrideRules = NO_RULES,
    *,
    batch_id: str | None = None,
    trial: bool = False,
) -> list[Outcome]:
    """Add the next version of each series and week in one transaction: all of them, or none where one is refused.

    What came of each, in their order. A `trial` adds nothing and says what would come.
    """
    with write_transaction(engine, LOCK_OVERRIDES) as connection:
        outcomes = judge(connection, requests, now, rules)
        new = [each for each in outcomes if each.row is None]
        if trial or not new or any(each.refusal for each in outcomes):
            return outcomes
        add(connection, new, batch_id, now)
        made = _known(connection, [each.request.idempotency_key for each in new])
        return [
            replace(each, row=made[each.request.idempotency_key], is_new=True) if each.row is None else each
            for each in outcomes
        ]


def judge(
    connection: Connection, requests: Sequence[OverrideRequest], now: datetime, rules: OverrideRules
) -> list[Outcome]:
    """What each request comes to; the caller holds LOCK_OVERRIDES."""
    known = _known(connection, [each.idempotency_key for each in requests])
    keys = list(dict.fromkeys(each.key for each in requests))
    forecasts, newest = _forecasts(connection, keys), _newest_versions(connection, keys)
    times = Counter(each.key for each in requests)

    def judged(request: OverrideRequest) -> Outcome:
        row = known.get(request.idempotency_key)
        forecast, before = forecasts.get(request.key), newest.get(request.key)
        try:
            if row is not None:
                _require_same(row, request)
                return _outcome_of(request, row)
            if forecast is None:
                raise UnknownForecastError(
                    f"no vintage forecasts {_named(request)}; only what is forecast can be overridden"
                )
            _require_allowed(request, before, times[request.key], now, rules)
        except DecisionError as error:
            return Outcome(request, None if forecast is None else forecast["forecast"], refusal=error)
        number, system = request.number(forecast["forecast"]), forecast["forecast"]
        version = 1 + (before["version"] if before else 0)
        return Outcome(request, system, number, version, forecast["vintage_id"], rules.needs_approval(system, number))

    return [judged(each) for each in requests]


def _outcome_of(request: OverrideRequest, row: Mapping[str, Any]) -> Outcome:
    """Of a request that was sent before."""
    return Outcome(
        request, row["forecast"], row["override"], row["version"], row["vintage_id"], row["needs_approval"], row
    )


def _named(request: OverrideRequest) -> str:
    return f"store {request.store_id}, department {request.dept_id} in week {request.target_week}"


def _require_same(row: Mapping[str, Any], request: OverrideRequest) -> None:
    if row["request_hash"] != request.content_hash:
        raise IdempotencyConflictError(
            f"idempotency key {request.idempotency_key!r} belongs to override {row['override_id']}, which "
            "was asked for with other values; send a new key with a new request"
        )


def _require_allowed(
    request: OverrideRequest,
    newest: Mapping[str, Any] | None,
    times: int,
    now: datetime,
    rules: OverrideRules,
) -> None:
    if times > 1:
        raise OverrideError(f"expected one number for {_named(request)}, got {times}")
    version = 0 if newest is None else newest["version"]
    if request.seen_version is not None and request.seen_version != version:
        last = f"{newest['author']} gave version {version} ({newest['override']})" if newest else "there is none"
        raise OverrideError(
            f"{_named(request)}: version {request.seen_version} is not the newest: {last}; look at it first"
        )
    rules.require_open(request.target_week, now)
    rules.require_code(request.reason_code)


def add(connection: Connection, new: Sequence[Outcome], batch_id: str | None, now: datetime) -> None:
    """Add the rows of requests that `judge` has let through, in the same transaction."""
    ids = {name: sorted({getattr(each.request, name) for each in new}) for name in DIMENSIONS}
    stored = {name: keys_of(connection, name, wanted) for name, wanted in ids.items()}
    rows = [
        {
            "idempotency_key": each.request.idempotency_key,
            "request_hash": each.request.content_hash,
            "store_key": stored["store_id"][each.request.store_id],
            "dept_key": stored["dept_id"][each.request.dept_id],
            "target_week": each.request.target_week,
            "version": each.version,
            "override": each.number,
            "author": each.request.author,
            "reason": each.request.reason,
            "reason_code": each.request.reason_code,
            "batch_id": batch_id,
            "client": each.request.client,
            "needs_approval": each.needs_approval,
            "created_at": now,
            "expires_at": each.request.expires_at,
            "vintage_id": each.vintage_id,
            "forecast": each.forecast,
        }
        for each in new
    ]
    if rows:
        connection.execute(insert(overrides), rows)


def _known(connection: Connection, idempotency_keys: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    o = overrides.c.idempotency_key
    return {
        row["idempotency_key"]: dict(row)
        for part in _chunks(idempotency_keys)
        for row in connection.execute(select(*shown(overrides)).where(o.in_(part))).mappings()
    }


def _forecasts(connection: Connection, keys: Sequence[SeriesWeek]) -> dict[SeriesWeek, Mapping[str, Any]]:
    """Series and week -> its newest forecast."""
    return {
        (row["store_id"], row["dept_id"], row["target_week"]): dict(row)
        for part in _chunks(keys)
        for row in connection.execute(latest_forecasts(part)).mappings()
    }


def _newest_versions(connection: Connection, keys: Sequence[SeriesWeek]) -> dict[SeriesWeek, Mapping[str, Any]]:
    """Series and week -> its newest row of `overrides`, whether or not it counts."""
    return {
        (row["store_id"], row["dept_id"], row["week"]): dict(row)
        for part in _chunks(keys)
        for row in connection.execute(_newest_of(part)).mappings()
    }


def _newest_of(keys: Sequence[SeriesWeek]) -> Select[Any]:
    wanted, rows = of_wanted(overrides, keys)
    o = overrides.c
    key = (o.store_key, o.dept_key, o.target_week)
    age = func.row_number().over(partition_by=key, order_by=o.version.desc()).label("age")
    ranked = select(wanted, o.version, o.author, o.override, age).select_from(rows).subquery()
    return select(ranked).where(ranked.c.age == 1)


def _chunks(given: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (given[begin : begin + _CHUNK] for begin in range(0, len(given), _CHUNK))
