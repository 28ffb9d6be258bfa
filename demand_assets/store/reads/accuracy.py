"""Realised accuracy, exceptions, and drift."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, Table, and_, case, func, or_, select
from sqlalchemy.sql import Subquery

from demand_assets.store.dimensions import DIMENSIONS, shown
from demand_assets.store.reads.statements import Ids, Order, between, matching
from demand_assets.store.tables import (
    distribution_histograms,
    distribution_quantiles,
    drift_reports,
    forecast_accuracy,
    forecast_exceptions,
    forecast_vintages,
)

ACCURACY_ORDER = Order(tuple(forecast_accuracy.primary_key.columns))


def accuracy(filters: Mapping[str, Any], start: date | None, end: date | None) -> Select[Any]:
    """Rows of `forecast_accuracy`; order by ACCURACY_ORDER."""
    statement = matching(select(*shown(forecast_accuracy)), forecast_accuracy, filters)
    return between(statement, forecast_accuracy.c.week, start, end)


def newest_scored(earliest: date | None = None, before: date | None = None) -> Subquery:
    """(week, horizon, vintage_id, method) of the newest scored vintage of each week and horizon.

    A week less a horizon is one origin, so this is the newest vintage of each origin that forecast the week.
    """
    scored = forecast_accuracy.c
    # Every scored vintage has one chain row of its own model.
    query = (
        select(
            scored.week,
            scored.horizon,
            scored.vintage_id,
            forecast_vintages.c.method,
            func.row_number()
            .over(
                partition_by=[scored.week, scored.horizon],
                order_by=forecast_vintages.c.sequence.desc(),
            )
            .label("age"),
        )
        .join(forecast_vintages, forecast_vintages.c.vintage_id == scored.vintage_id)
        .where(scored.level == "chain", scored.model == forecast_vintages.c.method)
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


PUBLISHED = "published"
"""In `accuracy_models` the name of the method that each vintage was published with."""


def accuracy_models(
    level: str,
    *,
    store_id: Ids = None,
    dept_id: Ids = None,
    horizon: int | None = None,
    start: date | None = None,
    end: date | None = None,
) -> tuple[Select[Any], Order]:
    """Per total and model its scores of all weeks together, each by its points, from the newest vintage of each origin.

    (store_id, dept_id, model, weeks, points, wmae, bias, coverage, fva); ids are null where the total spans all. With
    the order.
    """
    newest, s = newest_scored(start), forecast_accuracy.c
    model = case((s.model == newest.c.method, PUBLISHED), else_=s.model).label("model")

    def pooled(column: ColumnElement[Any]) -> ColumnElement[Any]:
        points = func.sum(case((column.is_not(None), s.points)))
        return (func.sum(column * s.points) / func.nullif(points, 0)).label(str(column.key))

    counts = (func.count(s.week.distinct()).label("weeks"), func.sum(s.points).label("points"))
    scores = (pooled(column) for column in (s.wmae, s.bias, s.coverage, s.fva))
    statement = select(s.store_key, s.dept_key, model, *counts, *scores).join(newest, same_scoring(newest))
    filters = {"level": level, "store_id": store_id, "dept_id": dept_id, "horizon": horizon}
    scored = between(matching(statement, forecast_accuracy, filters), s.week, start, end)
    pooled_rows = scored.group_by(s.store_key, s.dept_key, model).subquery()
    g = pooled_rows.c
    return select(*shown(pooled_rows)), Order((g.store_key, g.dept_key, g.model))


def accuracy_weeks(
    level: str,
    *,
    store_id: Ids = None,
    dept_id: Ids = None,
    start: date | None = None,
    end: date | None = None,
) -> tuple[Select[Any], Order]:
    """Per week the published method pooled over horizons, each by its points, from the newest vintage of each origin.

    (week, points, wmae, bias, coverage, fva, seasonal_naive_wmae, final_wmae, actual, total_error, tracking_signal) of
    the totals of a level, or those that are named, pooled. `final_wmae` is null where no planner's number counted. The
    tracking signal is that of the shortest horizon, of one total only. With the order.
    """
    newest, s = newest_scored(start), forecast_accuracy.c
    own = s.model == newest.c.method
    naive, final = s.model == "seasonal_naive", s.model == "final"
    points = func.sum(case((own, s.points)))

    def pooled(column: ColumnElement[Any], rows: ColumnElement[bool] = own) -> ColumnElement[Any]:
        known = and_(rows, column.is_not(None))
        # A row without points, if there is one, is no evidence; PostgreSQL refuses to divide by its 0.
        return func.sum(case((known, column * s.points))) / func.nullif(func.sum(case((known, s.points))), 0)

    is_one = and_(*(func.min(key) == func.max(key) for key in (s.store_key, s.dept_key)))
    statement = (
        select(
            s.week,
            points.label("points"),
            pooled(s.wmae).label("wmae"),
            pooled(s.bias).label("bias"),
            pooled(s.coverage).label("coverage"),
            pooled(s.fva).label("fva"),
            pooled(s.wmae, naive).label("seasonal_naive_wmae"),
            pooled(s.wmae, final).label("final_wmae"),
            func.sum(case((own, s.actual))).label("actual"),
            func.sum(case((own, s.total_error))).label("total_error"),
            case((is_one, func.max(case((and_(own, s.horizon == 1), s.tracking_signal))))).label("tracking_signal"),
        )
        .join(newest, same_scoring(newest))
        .where(or_(own, naive, final))
        .group_by(s.week)
    )
    named = matching(statement, forecast_accuracy, {"level": level, "store_id": store_id, "dept_id": dept_id})
    return between(named, s.week, start, end), Order((s.week,))


DRIFT_ORDER = Order(tuple(drift_reports.primary_key.columns))


def drift(filters: Mapping[str, Any], start: date | None, end: date | None) -> Select[Any]:
    """Rows of `drift_reports`, with the `group_name` of stores and departments; order by DRIFT_ORDER."""
    d = drift_reports.c
    names = case(
        (d.group_kind == "store", _name_of("store_id", d.group_id)),
        (d.group_kind == "department", _name_of("dept_id", d.group_id)),
    )
    statement = select(*d, names.label("group_name"))
    return between(matching(statement, drift_reports, filters), d.week, start, end)


def _name_of(name: str, value: ColumnElement[Any]) -> ScalarSelect[Any]:
    dimension = DIMENSIONS[name].c
    return select(dimension.name).where(dimension[name] == value).scalar_subquery()


def quantiles(filters: Mapping[str, Any], start: date | None, end: date | None) -> tuple[Select[Any], Order]:
    """Rows of `distribution_quantiles`, and their order."""
    return _distributions(distribution_quantiles, filters, start, end)


def histograms(filters: Mapping[str, Any], start: date | None, end: date | None) -> tuple[Select[Any], Order]:
    """Rows of `distribution_histograms`, and their order."""
    return _distributions(distribution_histograms, filters, start, end)


def _distributions(
    table: Table, filters: Mapping[str, Any], start: date | None, end: date | None
) -> tuple[Select[Any], Order]:
    statement = between(matching(select(*table.c), table, filters), table.c.week, start, end)
    return statement, Order(tuple(table.primary_key.columns))


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
EXCEPTIONS_ORDER = Order((_E.rank, _E.store_key, _E.dept_key, _E.vintage_id))


def exceptions(week: date, *, store_id: Ids = None, dept_id: Ids = None) -> Select[Any]:
    """Rows of `forecast_exceptions` of one week; order by EXCEPTIONS_ORDER."""
    filters = {"week": week, "store_id": store_id, "dept_id": dept_id}
    return matching(select(*shown(forecast_exceptions)), forecast_exceptions, filters)
