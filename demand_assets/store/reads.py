"""Statements of what the service reads; built here, run by whoever has a connection, synchronous or not.

Each selects the columns that its name promises, in the order of its keys, and takes filters as keyword arguments: None
leaves a filter out. `after` is the key of the last row seen: only later rows come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Double,
    Integer,
    Select,
    Table,
    and_,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    type_coerce,
    union,
)
from sqlalchemy.sql import Subquery

from demand_assets.store.ledger import PROMOTED
from demand_assets.store.tables import (
    actuals,
    drift_reports,
    forecast_accuracy,
    forecast_exceptions,
    forecast_reasons,
    forecast_totals,
    forecast_vintages,
    forecasts,
    overrides,
    promotions,
    store_conditions,
)

Key = Sequence[Any]
_V, _F = forecast_vintages.c, forecasts.c
NEWEST_FIRST = (_V.origin_week.desc(), _V.published_at.desc(), _V.vintage_id.desc())
_FORECAST = tuple(column for column in _F if column.name != "vintage_id")

NEWEST_VINTAGE: Select[Any] = select(forecast_vintages).order_by(*NEWEST_FIRST).limit(1)
"""The newest vintage: by origin week, then by time of publishing, then by id."""

_LATEST: Select[Any] = select(*_V, *_FORECAST).join(forecasts, _F.vintage_id == _V.vintage_id)
LATEST_FORECAST: Select[Any] = (
    _LATEST.where(
        _F.store_id == bindparam("store_id"),
        _F.dept_id == bindparam("dept_id"),
        _F.target_week == bindparam("target_week"),
    )
    .order_by(*NEWEST_FIRST)
    .limit(1)
)
"""The newest forecast of one series and week, with its vintage; takes store_id, dept_id, target_week."""


@dataclass(frozen=True)
class Order:
    """Columns rows are sorted by, all in one direction, which together are a key."""

    columns: tuple[ColumnElement[Any], ...]
    descending: bool = False

    def page(self, statement: Select[Any], after: Key | None, limit: int | None) -> Select[Any]:
        """`statement` sorted, from the row after the key `after`, `limit` rows of it."""
        if after is not None:
            seen = tuple_(*(literal(value, column.type) for value, column in zip(after, self.columns, strict=True)))
            keys = tuple_(*self.columns)
            statement = statement.where(keys < seen if self.descending else keys > seen)
        ordered = [column.desc() if self.descending else column.asc() for column in self.columns]
        return statement.order_by(*ordered).limit(limit)


def matching(statement: Select[Any], table: Table | Subquery, filters: Mapping[str, Any]) -> Select[Any]:
    """`statement` where each column named in `filters` has that value; None leaves it out."""
    given = [table.c[name] == value for name, value in filters.items() if value is not None]
    return statement.where(*given)


def between(
    statement: Select[Any], column: Column[Any] | ColumnElement[Any], start: date | None, end: date | None
) -> Select[Any]:
    """`statement` where `column` lies from `start` to `end`, both included."""
    if start is not None:
        statement = statement.where(column >= start)
    if end is not None:
        statement = statement.where(column <= end)
    return statement


LAST_PUBLISHED: Select[Any] = select(func.max(_V.published_at))
"""When the vintage published last was published."""


def vintage_before(origin: date | None = None, as_of: datetime | None = None) -> Select[Any]:
    """The newest vintage, of one origin and published up to `as_of`, if given."""
    statement = matching(NEWEST_VINTAGE, forecast_vintages, {"origin_week": origin})
    return statement if as_of is None else statement.where(_V.published_at <= as_of)


def forecast_of(
    store_id: int,
    dept_id: int,
    target_week: date,
    *,
    vintage_id: str | None = None,
    as_of: datetime | None = None,
    horizon: int | None = None,
) -> Select[Any]:
    """The newest forecast of one series and week, with its vintage, of those that match."""
    keys = {"store_id": store_id, "dept_id": dept_id, "target_week": target_week}
    filters = {**keys, "vintage_id": vintage_id, "horizon": horizon}
    statement = matching(_LATEST, forecasts, filters)
    if as_of is not None:
        statement = statement.where(_V.published_at <= as_of)
    return statement.order_by(*NEWEST_FIRST).limit(1)


def latest_forecasts(keys: Sequence[tuple[int, int, date]]) -> Select[Any]:
    """The newest forecast of each (store_id, dept_id, target_week), with its vintage; at most 10,000 keys or so."""
    wanted = tuple_(_F.store_id, _F.dept_id, _F.target_week).in_(keys)
    ranked = (
        _LATEST.where(wanted)
        .add_columns(
            func.row_number()
            .over(partition_by=[_F.store_id, _F.dept_id, _F.target_week], order_by=NEWEST_FIRST)
            .label("age")
        )
        .subquery()
    )
    kept = [column for column in ranked.c if column.name != "age"]
    return select(*kept).where(ranked.c.age == 1)


FORECASTS_ORDER = Order((_F.store_id, _F.dept_id, _F.target_week))


def forecasts_of(
    vintage_id: str,
    *,
    store_id: int | None = None,
    dept_id: int | None = None,
    horizon: int | None = None,
    start: date | None = None,
    end: date | None = None,
) -> Select[Any]:
    """Forecasts of one vintage: its columns of `forecasts` without the id; order by FORECASTS_ORDER."""
    filters = {"vintage_id": vintage_id, "store_id": store_id, "dept_id": dept_id, "horizon": horizon}
    return between(matching(select(*_FORECAST), forecasts, filters), _F.target_week, start, end)


def _newest_of_origin(as_of: datetime | None = None) -> Subquery:
    """Of each origin the vintage published last, up to `as_of` if given."""
    ranked = select(
        *_V,
        func.row_number()
        .over(partition_by=_V.origin_week, order_by=[_V.published_at.desc(), _V.vintage_id.desc()])
        .label("age"),
    )
    if as_of is not None:
        ranked = ranked.where(_V.published_at <= as_of)
    inner = ranked.subquery()
    return select(*(inner.c[column.name] for column in _V)).where(inner.c.age == 1).subquery()


def forecasts_of_all(
    *,
    store_id: int | None = None,
    dept_id: int | None = None,
    horizon: int | None = None,
    start: date | None = None,
    end: date | None = None,
    as_of: datetime | None = None,
) -> tuple[Select[Any], Order]:
    """Forecasts of the newest vintage of each origin, with its columns, oldest origin first; and the order."""
    newest = _newest_of_origin(as_of)
    statement = select(*newest.c, *_FORECAST).join(newest, newest.c.vintage_id == _F.vintage_id)
    filters = {"store_id": store_id, "dept_id": dept_id, "horizon": horizon}
    statement = between(matching(statement, forecasts, filters), _F.target_week, start, end)
    return statement, Order((newest.c.origin_week, _F.store_id, _F.dept_id, _F.target_week))


def weeks_forecast(store_id: int, dept_id: int) -> Select[Any]:
    """Target weeks that any vintage forecasts for the series, oldest first."""
    series = (_F.store_id == store_id, _F.dept_id == dept_id)
    return select(_F.target_week).where(*series).distinct().order_by(_F.target_week)


def store_exists(store_id: int | None, dept_id: int | None) -> Select[Any]:
    """A row if the store, the department or the series was ever forecast or sold."""
    filters = {"store_id": store_id, "dept_id": dept_id}
    sold = matching(select(literal(1)), actuals, filters).limit(1).subquery()
    foreseen = matching(select(literal(1)), forecasts, filters).limit(1).subquery()
    return select(literal(1)).where(or_(select(sold).exists(), select(foreseen).exists()))


SERIES_ORDER = Order((actuals.c.store_id, actuals.c.dept_id))


def series_of(*, store_id: int | None = None, dept_id: int | None = None, since: date | None = None) -> Select[Any]:
    """(store_id, dept_id, weeks, first_week, last_week, mean since `since`) of each series that ever sold."""
    a = actuals.c
    recent = a.actual if since is None else case((a.week >= since, a.actual))
    statement = select(
        a.store_id,
        a.dept_id,
        func.count().label("weeks"),
        func.min(a.week).label("first_week"),
        func.max(a.week).label("last_week"),
        func.avg(recent, type_=Double).label("mean_52"),
    )
    return matching(statement, actuals, {"store_id": store_id, "dept_id": dept_id}).group_by(a.store_id, a.dept_id)


LAST_ACTUAL_WEEK: Select[Any] = select(func.max(actuals.c.week))
"""The newest week with sales."""


def history_of(store_id: int, dept_id: int, start: date) -> Select[Any]:
    """(week, actual, is_holiday) of one series from `start` on, oldest first."""
    a = actuals.c
    series = (a.store_id == store_id, a.dept_id == dept_id, a.week >= start)
    return select(a.week, a.actual, a.is_holiday).where(*series).order_by(a.week)


def conditions_of(store_id: int, start: date, end: date) -> Select[Any]:
    """(week, is_holiday, markdown, temperature_f) of one store, oldest first."""
    c = store_conditions.c
    statement = select(c.week, c.is_holiday, c.markdown, c.temperature_f).where(c.store_id == store_id)
    return between(statement, c.week, start, end).order_by(c.week)


def reasons_of(vintage_id: str, store_id: int, dept_id: int, target_week: date) -> Select[Any]:
    """What moved one forecast, a column per reason, USD."""
    keys = {"vintage_id": vintage_id, "store_id": store_id, "dept_id": dept_id, "target_week": target_week}
    reasons = [column for column in forecast_reasons.c if not column.primary_key]
    return matching(select(*reasons), forecast_reasons, keys)


VINTAGES_ORDER = Order((_V.origin_week, _V.published_at, _V.vintage_id), descending=True)


def vintages(
    *, vintage_id: str | None = None, origin: date | None = None, start: date | None = None, end: date | None = None
) -> Select[Any]:
    """Vintages by origin week; order by VINTAGES_ORDER."""
    statement = matching(
        select(forecast_vintages), forecast_vintages, {"vintage_id": vintage_id, "origin_week": origin}
    )
    return between(statement, _V.origin_week, start, end)


def vintage_sizes(vintage_ids: Sequence[str]) -> Select[Any]:
    """(vintage_id, rows, series, forecast) of each."""
    per_series = (
        select(_F.vintage_id, _F.store_id, _F.dept_id, func.count().label("n"), func.sum(_F.forecast).label("usd"))
        .where(_F.vintage_id.in_(vintage_ids))
        .group_by(_F.vintage_id, _F.store_id, _F.dept_id)
        .subquery()
    )
    return select(
        per_series.c.vintage_id,
        func.sum(per_series.c.n).label("rows"),
        func.count().label("series"),
        func.sum(per_series.c.usd).label("forecast"),
    ).group_by(per_series.c.vintage_id)


VINTAGE_COUNT: Select[Any] = select(func.count()).select_from(forecast_vintages)
"""How many vintages there are."""


def totals(
    level: str,
    *,
    store_id: int | None = None,
    dept_id: int | None = None,
    start: date | None = None,
    end: date | None = None,
) -> tuple[Select[Any], Order]:
    """Sales of each total and week beside the forecast of the newest vintage that foresaw it; and the order.

    (store_id, dept_id, week, actual, forecast, p10, p50, p90, origin_week, horizon, vintage_id,
    is_holiday); ids are 0 where the total spans all; null where a week was only sold, or only forecast.
    """
    filters = {
        "store_id": store_id if level == "store" else None,
        "dept_id": dept_id if level == "department" else None,
    }
    sold = _actual_totals(level, filters, start, end).subquery()
    foreseen = _newest_totals(level, filters, start, end).subquery()
    keys = union(
        select(sold.c.store_id, sold.c.dept_id, sold.c.week),
        select(foreseen.c.store_id, foreseen.c.dept_id, foreseen.c.week),
    ).subquery()
    k, s, f = keys.c, sold.c, foreseen.c
    h = store_conditions.c
    marked = select(h.week, func.max(case((h.is_holiday, 1), else_=0)).label("marked")).group_by(h.week).subquery()
    statement = (
        select(
            k.store_id, k.dept_id, k.week, s.actual, f.forecast, f.p10, f.p50, f.p90, f.origin_week,
            f.horizon, f.vintage_id, (marked.c.marked == 1).label("is_holiday"),
        )
        .outerjoin(sold, and_(s.store_id == k.store_id, s.dept_id == k.dept_id, s.week == k.week))
        .outerjoin(foreseen, and_(f.store_id == k.store_id, f.dept_id == k.dept_id, f.week == k.week))
        .outerjoin(marked, marked.c.week == k.week)
    )  # fmt: skip
    return statement, Order((k.store_id, k.dept_id, k.week))


def _newest_totals(level: str, filters: Mapping[str, Any], start: date | None, end: date | None) -> Select[Any]:
    newest, t = _newest_of_origin(), forecast_totals.c
    ranked = select(
        t.store_id, t.dept_id, t.target_week.label("week"), t.horizon, t.vintage_id, t.forecast, t.p10,
        t.p50, t.p90, newest.c.origin_week,
        func.row_number()
        .over(partition_by=[t.store_id, t.dept_id, t.target_week], order_by=newest.c.origin_week.desc())
        .label("age"),
    ).join(newest, newest.c.vintage_id == t.vintage_id)  # fmt: skip
    ranked = matching(ranked, forecast_totals, {"level": level, **filters})
    inner = between(ranked, t.target_week, start, end).subquery()
    return select(*(column for column in inner.c if column.name != "age")).where(inner.c.age == 1)


def _actual_totals(level: str, filters: Mapping[str, Any], start: date | None, end: date | None) -> Select[Any]:
    a = actuals.c
    store = a.store_id if level == "store" else literal_column("0", Integer)
    dept = a.dept_id if level == "department" else literal_column("0", Integer)
    group = [column for column, kind in ((a.store_id, "store"), (a.dept_id, "department")) if kind == level]
    statement = select(store.label("store_id"), dept.label("dept_id"), a.week, func.sum(a.actual).label("actual"))
    return between(matching(statement, actuals, filters), a.week, start, end).group_by(*group, a.week)


ACCURACY_ORDER = Order(tuple(forecast_accuracy.primary_key.columns))


def accuracy(filters: Mapping[str, Any], start: date | None, end: date | None) -> Select[Any]:
    """Rows of `forecast_accuracy`; order by ACCURACY_ORDER."""
    return between(
        matching(select(forecast_accuracy), forecast_accuracy, filters), forecast_accuracy.c.week, start, end
    )


def newest_scored(earliest: date | None = None, before: date | None = None) -> Subquery:
    """(week, horizon, vintage_id, model_name) of the newest scored vintage of each week and horizon.

    A week less a horizon is one origin, so that this is the newest vintage of each origin that foresaw the week.
    """
    scored = forecast_accuracy.c
    # Every scored vintage has one chain row of its own model.
    query = (
        select(
            scored.week,
            scored.horizon,
            scored.vintage_id,
            forecast_vintages.c.model_name,
            func.row_number()
            .over(
                partition_by=[scored.week, scored.horizon],
                order_by=[forecast_vintages.c.published_at.desc(), forecast_vintages.c.vintage_id.desc()],
            )
            .label("age"),
        )
        .join(forecast_vintages, forecast_vintages.c.vintage_id == scored.vintage_id)
        .where(scored.level == "chain", scored.model == forecast_vintages.c.model_name)
    )
    if earliest is not None:
        query = query.where(scored.week >= earliest)
    if before is not None:
        query = query.where(scored.week < before)
    ranked = query.subquery()
    return select(ranked).where(ranked.c.age == 1).subquery()


def same_scoring(newest: Subquery) -> ColumnElement[bool]:
    """Joins `forecast_accuracy` with `newest_scored`."""
    scored = forecast_accuracy.c
    return and_(
        scored.week == newest.c.week,
        scored.vintage_id == newest.c.vintage_id,
        scored.horizon == newest.c.horizon,
    )


def accuracy_weeks(
    level: str, *, store_id: int = 0, dept_id: int = 0, start: date | None = None, end: date | None = None
) -> tuple[Select[Any], Order]:
    """Per week the published model pooled over horizons, each by its points, from the newest vintage of each origin.

    (week, points, wmae, bias, coverage, fva, seasonal_naive_wmae, actual, total_error, tracking_signal); USD. The
    tracking signal is that of the shortest horizon. With the order.
    """
    newest, s = newest_scored(start), forecast_accuracy.c
    own = s.model == newest.c.model_name
    naive = s.model == "seasonal_naive"
    points = func.sum(case((own, s.points)))

    def pooled(column: ColumnElement[Any], rows: ColumnElement[bool] = own) -> ColumnElement[Any]:
        known = and_(rows, column.is_not(None))
        # A row without points, if there is one, is no evidence; PostgreSQL refuses to divide by its 0.
        return func.sum(case((known, column * s.points))) / func.nullif(func.sum(case((known, s.points))), 0)

    statement = (
        select(
            s.week,
            points.label("points"),
            pooled(s.wmae).label("wmae"),
            pooled(s.bias).label("bias"),
            pooled(s.coverage).label("coverage"),
            pooled(s.fva).label("fva"),
            pooled(s.wmae, naive).label("seasonal_naive_wmae"),
            func.sum(case((own, s.actual))).label("actual"),
            func.sum(case((own, s.total_error))).label("total_error"),
            func.max(case((and_(own, s.horizon == 1), s.tracking_signal))).label("tracking_signal"),
        )
        .join(newest, same_scoring(newest))
        .where(s.level == level, s.store_id == store_id, s.dept_id == dept_id, or_(own, naive))
        .group_by(s.week)
    )
    return between(statement, s.week, start, end), Order((s.week,))


DRIFT_ORDER = Order(tuple(drift_reports.primary_key.columns))


def drift(filters: Mapping[str, Any], start: date | None, end: date | None) -> Select[Any]:
    """Rows of `drift_reports`; order by DRIFT_ORDER."""
    return between(matching(select(drift_reports), drift_reports, filters), drift_reports.c.week, start, end)


def drift_weeks(start: date | None, end: date | None) -> tuple[Select[Any], Order]:
    """One row per week x variable: its worst comparison, how many warn or are severe; and the order.

    Where none does, the worst is that of the chain, which every variable is compared for.
    """
    d = drift_reports.c
    counted = between(
        select(
            d.week,
            d.variable,
            func.sum(case((d.severity == "warn", 1), else_=0)).label("warn"),
            func.sum(case((d.severity == "severe", 1), else_=0)).label("severe"),
        ).group_by(d.week, d.variable),
        d.week,
        start,
        end,
    ).subquery()
    rank = case((d.severity == "severe", 2), (d.severity == "warn", 1), (d.severity == "none", 0), else_=-1)
    size = func.coalesce(d.psi, func.abs(d.missing_shift), 0.0)
    ranked = between(
        select(
            *d,
            func.row_number()
            .over(
                partition_by=(d.week, d.variable),
                order_by=[rank.desc(), size.desc(), d.reference, d.group_kind, d.group_id],
            )
            .label("place"),
        ).where(or_(d.severity.in_(("warn", "severe")), d.group_kind == "chain")),
        d.week,
        start,
        end,
    ).subquery()
    r, c = ranked.c, counted.c
    statement = (
        select(
            r.week, r.variable, r.kind, r.severity, c.warn, c.severe, r.group_kind.label("worst_group_kind"),
            r.group_id.label("worst_group_id"), r.reference.label("worst_reference"), r.psi, r.ks, r.mean_shift,
            r.missing_shift,
        )
        .join(counted, and_(c.week == r.week, c.variable == r.variable))
        .where(r.place == 1)
    )  # fmt: skip
    return statement, Order((r.week, r.variable))


NEWEST_EXCEPTIONS: Select[Any] = select(func.max(forecast_exceptions.c.week))
"""The newest week with exceptions."""
_E = forecast_exceptions.c
EXCEPTIONS_ORDER = Order((_E.rank, _E.store_id, _E.dept_id, _E.vintage_id))


def exceptions(week: date, *, store_id: int | None = None, dept_id: int | None = None) -> Select[Any]:
    """Rows of `forecast_exceptions` of one week; order by EXCEPTIONS_ORDER."""
    filters = {"week": week, "store_id": store_id, "dept_id": dept_id}
    return matching(select(forecast_exceptions), forecast_exceptions, filters)


PROMOTIONS_ORDER = Order((promotions.c.promotion_id,), descending=True)


def decisions(outcome: str | None = None) -> Select[Any]:
    """Rows of `promotions`; order by PROMOTIONS_ORDER."""
    return matching(select(promotions), promotions, {"outcome": outcome})


def judged_versions() -> Select[Any]:
    """The newest decision that named each version; order by PROMOTIONS_ORDER."""
    p, later = promotions.c, promotions.alias()
    newer = (
        select(literal_column("1"))
        .where(
            later.c.model_name == p.model_name,
            later.c.to_version == p.to_version,
            later.c.promotion_id > p.promotion_id,
        )
        .exists()
    )
    return select(
        p.promotion_id, p.model_name, p.to_version, p.outcome, p.decided_at, p.as_of, p.data_version, p.code_version,
        p.reasons, p.figures,
    ).where(~newer)  # fmt: skip


CHAMPIONS: Select[Any] = (
    select(promotions.c.model_name, promotions.c.to_version)
    .where(promotions.c.outcome == PROMOTED)
    .order_by(promotions.c.promotion_id)
)
"""(model_name, version) of every promotion, the present champion of a name last."""

VINTAGES_PER_VERSION: Select[Any] = select(_V.model_version, func.count().label("vintages")).group_by(_V.model_version)
"""(model_version, vintages)."""

OVERRIDES_ORDER = Order((overrides.c.override_id,), descending=True)


def overrides_of(filters: Mapping[str, Any]) -> Select[Any]:
    """Rows of `overrides`, and as `newest` whether no later version of the same forecast exists."""
    return matching(select(*overrides.c, _is_newest_version().label("newest")), overrides, filters)


def override_of_key(idempotency_key: str) -> Select[Any]:
    """(override_id) of the override made by the request of that key."""
    return select(overrides.c.override_id).where(overrides.c.idempotency_key == idempotency_key)


def _is_newest_version() -> ColumnElement[bool]:
    o, later = overrides.c, overrides.alias()
    same = (later.c.store_id == o.store_id, later.c.dept_id == o.dept_id, later.c.target_week == o.target_week)
    return ~select(literal_column("1")).where(*same, later.c.version > o.version).exists()


def override_is(status: str, now: datetime) -> ColumnElement[bool]:
    """Whether a row of `overrides_of` stands like this at `now`: active, superseded, withdrawn or expired."""
    o = overrides.c
    given = o.override.is_not(None)
    live = or_(o.expires_at.is_(None), o.expires_at > now)
    return {
        "superseded": ~_is_newest_version(),
        "withdrawn": and_(_is_newest_version(), ~given),
        "expired": and_(_is_newest_version(), given, ~live),
        "active": and_(_is_newest_version(), given, live),
    }[status]


def scores_and_summary(scored: Select[Any]) -> tuple[Select[Any], Order, Select[Any]]:
    """Of `override_scores` the columns shown, their order, and (overrides, fva, better) over all of them."""
    s = scored.subquery().c
    fva = type_coerce(s.fva, Double).label("fva")  # abs() has no type of its own
    shown = (
        s.override_id, s.store_id, s.dept_id, s.target_week, s.author, s.override, s.forecast, s.actual,
        fva,
    )  # fmt: skip
    summary = select(
        func.count().label("overrides"),
        func.sum(s.fva).label("fva"),
        func.sum(case((s.fva > 0, 1), else_=0)).label("better"),
    )
    return select(*shown), Order((s.override_id,), descending=True), summary
