"""Planners' overrides: which are in force, how each stands, and what they were worth."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Double,
    Select,
    and_,
    case,
    func,
    literal_column,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import FromClause, Subquery
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from demand_assets.store.dimensions import id_of, shown
from demand_assets.store.reads.statements import Ids, Order, matching
from demand_assets.store.tables import actuals, forecast_vintages, override_reviews, overrides

OVERRIDES_ORDER = Order((overrides.c.override_id,), descending=True)
_R = override_reviews.c


def _reviewed(o: Any, approved: bool) -> ColumnElement[bool]:
    """Whether a second person has said so of a row of `overrides`."""
    of_row = (_R.override_id == o.override_id, _R.approved == approved)
    return select(literal_column("1")).where(*of_row).correlate_except(override_reviews).exists()


def _counts(o: Any) -> ColumnElement[bool]:
    """Whether a row of `overrides` needs no approval, or has it. One that waits leaves the version before in force."""
    return or_(~o.needs_approval, _reviewed(o, True))


def _same_forecast(left: Any, right: Any) -> ColumnElement[bool]:
    return and_(*(left[name] == right[name] for name in ("store_key", "dept_key", "target_week")))


def active_overrides(now: datetime) -> Select[Any]:
    """Rows of `overrides` in force at `now`: the newest version that counts, unless withdrawn or expired.

    A newest version that has expired leaves none: the versions before it do not come back. One that needs approval
    counts once it has it.
    """
    ranked = _ranked()
    return select(*shown(ranked, "age")).where(_in_force(ranked, now))


def keys_in_force(now: datetime) -> Select[Any]:
    """(store_key, dept_key, target_week) of `active_overrides`."""
    ranked = _ranked()
    return select(ranked.c.store_key, ranked.c.dept_key, ranked.c.target_week).where(_in_force(ranked, now))


def adjustments(forecasts: FromClause, vintage_id: Any, now: datetime) -> Subquery:
    """(store_key, dept_key, target_week, adjustment): override less forecast of each one in force beside a vintage."""
    ranked = _ranked()
    of_vintage = and_(forecasts.c.vintage_id == vintage_id, _same_forecast(forecasts.c, ranked.c))
    r = ranked.c
    statement = select(
        r.store_key, r.dept_key, r.target_week, (r.override - forecasts.c.forecast).label("adjustment")
    ).select_from(ranked.join(forecasts, of_vintage))
    return statement.where(_in_force(ranked, now)).subquery()


def _ranked() -> Subquery:
    return select(*overrides.c, _age()).where(_counts(overrides.c)).subquery()


def _in_force(ranked: Subquery, now: datetime) -> ColumnElement[bool]:
    o = ranked.c
    return and_(o.age == 1, o.override.is_not(None), or_(o.expires_at.is_(None), o.expires_at > now))


def _age() -> ColumnElement[int]:
    """1 for the newest version of each series and week among the rows of a statement."""
    key = (overrides.c.store_key, overrides.c.dept_key, overrides.c.target_week)
    return func.row_number().over(partition_by=key, order_by=overrides.c.version.desc()).label("age")


def overrides_of(filters: Mapping[str, Any], now: datetime) -> Select[Any]:
    """Rows of `overrides` with `status` at `now`, and who reviewed them, with which words, and when; else null."""
    reviewed = overrides.outerjoin(override_reviews, _R.override_id == overrides.c.override_id)
    words = (_R.reviewer, _R.comment.label("review_comment"), _R.reviewed_at)
    statement = select(*shown(overrides), *words, _status(now).label("status")).select_from(reviewed)
    return matching(statement, overrides, filters)


def counting_before(batch_id: str) -> Select[Any]:
    """Of each forecast of an upload the newest version before it that counts: rows of `overrides`."""
    given = overrides.alias()
    earlier = and_(_same_forecast(given.c, overrides.c), overrides.c.version < given.c.version)
    ranked = (
        select(*overrides.c, _age()).join(given, earlier).where(given.c.batch_id == batch_id, _counts(overrides.c))
    ).subquery()
    return select(*shown(ranked, "age")).where(ranked.c.age == 1)


def override_of_key(idempotency_key: str) -> Select[Any]:
    """(override_id) of the override made by the request of that key."""
    return select(overrides.c.override_id).where(overrides.c.idempotency_key == idempotency_key)


def _is_followed(counting: bool) -> ColumnElement[bool]:
    """Whether a later version of the same forecast exists, or one that counts."""
    o, later = overrides.c, overrides.alias()
    followed: Select[Any] = select(literal_column("1")).where(_same_forecast(later.c, o), later.c.version > o.version)
    return (followed.where(_counts(later.c)) if counting else followed).exists()


def _status(now: datetime) -> ColumnElement[str]:
    o = overrides.c
    return case(
        (_reviewed(o, False), "rejected"),
        (and_(~_counts(o), _is_followed(counting=False)), "superseded"),
        (~_counts(o), "waiting"),
        (_is_followed(counting=True), "superseded"),
        (o.override.is_(None), "withdrawn"),
        (and_(o.expires_at.is_not(None), o.expires_at <= now), "expired"),
        else_="active",
    )


def override_is(status: str, now: datetime) -> ColumnElement[bool]:
    """Whether a row of `overrides_of` stands like this at `now`."""
    return _status(now) == status


def _at_week_end(filters: Mapping[str, Any]) -> tuple[Subquery, ColumnElement[bool]]:
    """Rows of `overrides` with `week_end` and `age`, and which of them were in force when their week ended.

    What was entered after the week, withdrawn or expired before its end was not.
    """
    end = _WeekEnd(overrides.c.target_week)
    # Of what waited for approval only what had it by then.
    in_time: Select[Any] = select(literal_column("1")).where(
        _R.override_id == overrides.c.override_id, _R.approved, _R.reviewed_at < end
    )
    counted = or_(~overrides.c.needs_approval, in_time.correlate_except(override_reviews).exists())
    ranked = select(*overrides.c, end.label("week_end"), _age()).where(overrides.c.created_at < end, counted)
    newest = matching(ranked, overrides, filters).subquery()
    o = newest.c
    return newest, and_(o.age == 1, o.override.is_not(None), or_(o.expires_at.is_(None), o.expires_at >= o.week_end))


def numbers_at_end(week: date) -> Select[Any]:
    """(store_id, dept_id, override, sequence) of those in force when `week` ended, with when their vintage was made."""
    newest, in_force = _at_week_end({"target_week": week})
    made = forecast_vintages.c
    return (
        select(id_of(newest.c.store_key), id_of(newest.c.dept_key), newest.c.override, made.sequence)
        .join(forecast_vintages, made.vintage_id == newest.c.vintage_id)
        .where(in_force)
    )


def override_scores(store_id: Ids = None, dept_id: Ids = None) -> Select[Any]:
    """Rows of `overrides` in force when their week ended, with `actual` and `fva`, for weeks that have sales.

    fva = |forecast - actual| - |override - actual|: what the override came nearer by than the
    forecast that stood when it was made.
    """
    newest, in_force = _at_week_end({"store_id": store_id, "dept_id": dept_id})
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
        .where(in_force)
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


def scores_and_summary(scored: Select[Any]) -> tuple[Select[Any], Order, Select[Any]]:
    """Of `override_scores` the columns shown, their order, and (overrides, fva, better) over all of them."""
    s = scored.subquery().c
    fva = type_coerce(s.fva, Double).label("fva")  # abs() has no type of its own
    columns = (
        s.override_id, s.store_id, s.dept_id, s.target_week, s.author, s.reason_code, s.override, s.forecast, s.actual,
        fva,
    )  # fmt: skip
    return select(*columns), Order((s.override_id,), descending=True), select(*_sums(s))


def scores_by(scored: Select[Any], name: str) -> tuple[Select[Any], Order]:
    """Of `override_scores`, per value of one of its columns: (value, overrides, fva, better); null is "none"."""
    s = scored.subquery().c
    value = func.coalesce(s[name], "none", type_=s[name].type).label("value")
    grouped = select(value, *_sums(s)).group_by(value).subquery()
    return select(grouped), Order((grouped.c.value,))


def _sums(s: Any) -> tuple[ColumnElement[Any], ...]:
    return (
        func.count().label("overrides"),
        func.sum(s.fva, type_=Double).label("fva"),
        func.sum(case((s.fva > 0, 1), else_=0)).label("better"),
    )


def batches() -> tuple[Select[Any], Order]:
    """Uploads: (batch_id, author, reason, created_at, overrides, waiting for approval), and their order."""
    o = overrides.c
    is_waiting = and_(o.needs_approval, ~_reviewed(o, True), ~_reviewed(o, False))
    grouped = (
        select(
            func.min(o.override_id).label("first_id"),
            o.batch_id,
            func.min(o.author).label("author"),
            func.min(o.reason).label("reason"),
            func.min(o.created_at, type_=o.created_at.type).label("created_at"),
            func.count().label("overrides"),
            func.sum(case((is_waiting, 1), else_=0)).label("waiting"),
        )
        .where(o.batch_id.is_not(None))
        .group_by(o.batch_id)
        .subquery()
    )
    return select(grouped), Order((grouped.c.first_id,), descending=True)
