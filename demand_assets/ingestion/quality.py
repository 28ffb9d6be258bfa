"""All checks of the ingested frames, run at once without raising. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.ingestion import agreement, plausibility, presence, structure
from demand_assets.ingestion.catalogue import CHECKS, SPECS
from demand_assets.ingestion.context import Context
from demand_assets.ingestion.delivery import Delivery
from demand_assets.ingestion.order import run_starts
from demand_assets.ingestion.outcome import CheckOutcome
from demand_assets.ingestion.schemas import Schema, schema_of
from demand_assets.ingestion.understanding import COVARIATES, Kind

# What `check_sales` needs of stored sales.
PAST_COLUMNS = ("store_id", "dept_id", "week", "sales")
_FLAGS = ("store_id", "week", "is_holiday")
_STORE_ID = ("store_id",)
_UNJUDGED = "not judged: "


def check_sales(
    sales: pd.DataFrame,
    history: pd.DataFrame | None,
    covariates: pd.DataFrame,
    stores: pd.DataFrame,
    context: Context,
) -> list[CheckOutcome]:
    """All checks of CHECKS["sales"], in that order, on the sales of some weeks; bad data fails them, nothing raises.

    `history` is stored sales, None or empty for none: weeks that `sales` brings anew, and later ones, are left out, so
    that every week is judged by the weeks before it in both frames. `covariates` should cover the weeks of `sales`;
    only their store_id, week and is_holiday are used, and of `stores` only store_id; either may be empty. A row that
    one of the first checks finds is not judged by the later ones.
    """
    schema = schema_of("sales", sales)
    outcomes = [structure.columns_and_types(SPECS["sales_columns_and_types_are_right"], sales, schema, context)]
    history = pd.DataFrame() if history is None else history
    reasons = [structure.unfit(sales, "sales", list(schema.columns))]
    others: list[tuple[str, pd.DataFrame, Kind, Sequence[str]]] = [
        ("history", history, "sales", PAST_COLUMNS),
        ("covariates", covariates, "covariates", _FLAGS[:2]),
        ("stores", stores, "stores", _STORE_ID),
    ]
    for name, frame, kind, needs in others:
        if len(frame) and (reason := structure.unfit(frame, kind, needs)):
            reasons.append(f"{name} given: {reason}")
    if any(reasons):
        return outcomes + _unjudged("sales", "; ".join(filter(None, reasons)))
    sales = structure.coerce_dtypes(sales, schema)
    past = _part(history, "sales", PAST_COLUMNS) if len(history) else sales.iloc[:0]
    told = _part(covariates, "covariates", _FLAGS) if len(covariates) else pd.DataFrame()
    found, fit = _structural("sales", sales, schema, store_ids(stores), context)
    return [*outcomes, *found, *_unusual(sales, past, told, fit, context)]


def _unusual(
    sales: pd.DataFrame, history: pd.DataFrame, covariates: pd.DataFrame, fit: NDArray[np.bool_], context: Context
) -> list[CheckOutcome]:
    """The checks of amounts, and on the rows that are `fit` those of what is around them."""
    finite = structure.sales_are_finite(SPECS["sales_are_finite"], sales, context)
    # Not copied where every row is fit.
    sales = sales if fit.all() else sales[fit].reset_index(drop=True)
    stored = presence.week_slices(history)
    own = presence.week_slices(sales)
    limit = plausibility.possible_limit(sales, history, own, stored)
    absurd = plausibility.over(sales, own, limit)
    possible_ = plausibility.amounts_are_possible(SPECS["sales_are_possible"], sales, absurd, limit, context)
    if absurd.any():
        sales = sales[~absurd].reset_index(drop=True)
        own = presence.week_slices(sales)
    earlier = {week: rows for week, rows in stored.items() if own and week < max(own) and week not in own}
    seen = presence.presence(sales, history, own, earlier)
    starts = run_starts([sales["week"].to_numpy(), sales["store_id"].to_numpy()]) if len(sales) else np.empty(0, int)
    return [
        finite,
        possible_,
        plausibility.sales_are_within_20x_of_their_past(
            SPECS["sales_are_within_20x_of_their_past"], sales, history, own, earlier, context
        ),
        agreement.holiday_flags_agree(SPECS["holiday_flags_agree"], sales, covariates, starts, context),
        presence.row_count_is_in_band(SPECS["row_count_is_in_band"], seen, context),
        presence.no_week_is_missing(SPECS["no_week_is_missing"], seen, context),
        presence.stores_sell_every_week(SPECS["stores_sell_every_week"], seen, context),
        presence.no_store_or_dept_starts_or_stops(SPECS["no_store_or_dept_starts_or_stops"], seen, context),
        agreement.covariates_cover_the_stores_that_sell(
            SPECS["covariates_cover_the_stores_that_sell"], sales, covariates, starts, context
        ),
        plausibility.negative_sales_are_returns(SPECS["negative_sales_are_returns"], sales, context),
    ]


def check_covariates(
    covariates: pd.DataFrame,
    stores: pd.DataFrame,
    context: Context,
    schema: Schema | None = None,
    kind: Kind = "covariates",
    ahead: pd.DataFrame | None = None,
) -> list[CheckOutcome]:
    """All checks of CHECKS[kind], of covariates or those of series, in that order; bad data fails them, nothing raises.

    `schema` is the frame's own unless given; `stores` may be empty. `ahead`: rows of later weeks, of which only the
    holiday flags are judged.
    """
    schema = schema or schema_of(kind, covariates)
    outcomes = [structure.columns_and_types(SPECS[f"{kind}_columns_and_types_are_right"], covariates, schema, context)]
    if reason := structure.unfit(covariates, kind, list(schema.columns)):
        return outcomes + _unjudged(kind, reason)
    if len(stores) and (reason := structure.unfit(stores, "stores", _STORE_ID)):
        return outcomes + _unjudged(kind, f"stores given: {reason}")
    covariates = structure.coerce_dtypes(covariates, schema)
    found, _ = _structural(kind, covariates, schema, store_ids(stores), context)
    if kind == "series_covariates":
        return [*outcomes, *found]
    flagged = covariates if ahead is None else pd.concat([covariates, ahead], ignore_index=True)
    flags = agreement.flags_agree_within_weeks(SPECS["covariates_holiday_flags_agree"], flagged, context)
    return [*outcomes, *found, flags]


def check_members(
    kind: Kind, members: pd.DataFrame, context: Context, schema: Schema | None = None
) -> list[CheckOutcome]:
    """All checks of CHECKS["stores"] or CHECKS["departments"], in that order; bad data fails them, nothing raises."""
    schema = schema or schema_of(kind, members)
    outcomes = [structure.columns_and_types(SPECS[f"{kind}_columns_and_types_are_right"], members, schema, context)]
    if reason := structure.unfit(members, kind, list(schema.columns)):
        return outcomes + _unjudged(kind, reason)
    return [*outcomes, *_unique(kind, structure.coerce_dtypes(members, schema), schema, context)[0]]


def validate_deliveries(
    deliveries: Sequence[Delivery],
    stores: pd.DataFrame | None,
    context: Context,
    past: pd.DataFrame | None = None,
) -> list[CheckOutcome]:
    """What each file can be judged by alone, before anything is stored: types, keys, weeks, known stores, amounts.

    Outcomes carry their file's name, in the order of `deliveries`. Known are the stores of `stores` (those stored;
    None when none are) and of every stores file among the deliveries. `past`: stored sales, of any weeks, by which
    impossible amounts are known.
    """
    tables = [delivery.frame for delivery in deliveries if delivery.kind == "stores"]
    ids = [store_ids(table) for table in (*tables, *([] if stores is None else [stores]))]
    known = np.unique(np.concatenate(ids)) if ids else np.empty(0, dtype="int64")
    return [
        replace(outcome, file=delivery.file.name)
        for delivery in deliveries
        for outcome in _validate(delivery, known, context, past)
    ]


def faults_of(outcomes: Sequence[CheckOutcome]) -> list[str]:
    """What the failed checks of severity `error` say, each once; those that could not be made say nothing."""
    failed = [one.description for one in outcomes if not one.passed and one.severity == "error"]
    return list(dict.fromkeys(said for said in failed if not said.startswith(_UNJUDGED)))


def failing_rows(outcomes: Sequence[CheckOutcome]) -> pd.DataFrame:
    """The rows, 20 of each at most, that made checks of severity `error` fail; ids are text."""
    failed = [one.failing_rows for one in outcomes if not one.passed and one.severity == "error"]
    return pd.concat([pd.DataFrame(), *(rows for rows in failed if len(rows))], ignore_index=True)


def _validate(
    delivery: Delivery, known: NDArray[np.int64], context: Context, past: pd.DataFrame | None
) -> list[CheckOutcome]:
    kind = delivery.kind
    if kind in ("stores", "departments"):
        return check_members(kind, delivery.frame, context)
    schema = schema_of(kind, delivery.frame)
    types = structure.columns_and_types(SPECS[f"{kind}_columns_and_types_are_right"], delivery.frame, schema, context)
    if reason := structure.unfit(delivery.frame, kind, list(schema.columns)):
        return [types, *_unjudged(kind, reason)]
    frame = structure.coerce_dtypes(delivery.frame, schema)
    found, fit = _structural(kind, frame, schema, known, context)
    if kind in COVARIATES:
        return [types, *found]
    return [types, *found, *_amounts(frame, fit, context, past)]


def _amounts(
    sales: pd.DataFrame, fit: NDArray[np.bool_], context: Context, past: pd.DataFrame | None
) -> list[CheckOutcome]:
    finite = structure.sales_are_finite(SPECS["sales_are_finite"], sales, context)
    sales = sales if fit.all() else sales[fit].reset_index(drop=True)
    absurd, limit = absurd_amounts(sales, past)
    return [finite, plausibility.amounts_are_possible(SPECS["sales_are_possible"], sales, absurd, limit, context)]


def absurd_amounts(sales: pd.DataFrame, past: pd.DataFrame | None) -> tuple[NDArray[np.bool_], float]:
    """(n,) mask of the amounts that cannot be right beside the others and stored sales, and the largest that can."""
    history = _part(past, "sales", PAST_COLUMNS) if past is not None and len(past) else sales.iloc[:0]
    own = presence.week_slices(sales)
    limit = plausibility.possible_limit(sales, history, own, presence.week_slices(history))
    return plausibility.over(sales, own, limit), limit


def _structural(
    kind: Kind, frame: pd.DataFrame, schema: Schema, known: NDArray[np.int64], context: Context
) -> tuple[list[CheckOutcome], NDArray[np.bool_]]:
    """The checks of keys, weeks and stores; and (n,) which rows are dated right and repeat no other."""
    unique, repeated = _unique(kind, frame, schema, context)
    weeks, sizes = structure.week_runs(frame)
    dated = ~(structure.off_the_weekday(weeks, context) | structure.to_come(weeks, context, kind))
    begun = "sales_weeks_have_begun" if kind == "sales" else f"{kind}_weeks_are_within_10_years"
    outcomes = [
        *unique,
        structure.weeks_end_on_the_weekday(SPECS[f"{kind}_weeks_end_on_one_weekday"], frame, context),
        structure.weeks_have_begun(SPECS[begun], frame, context, kind),
        agreement.stores_are_known(SPECS[f"{kind}_stores_are_known"], frame, known, context),
    ]
    fit = np.repeat(dated, sizes)
    if repeated.any():
        fit &= ~repeated
    return outcomes, fit


def _unique(
    kind: Kind, frame: pd.DataFrame, schema: Schema, context: Context
) -> tuple[list[CheckOutcome], NDArray[np.bool_]]:
    shared, distinct = structure.shared_keys(frame, schema.keys)
    repeated = structure.repeats(frame, schema, shared)
    return [
        structure.keys_are_unique(SPECS[f"{kind}_keys_are_unique"], frame, schema, context, shared, distinct),
        structure.rows_come_once(SPECS[f"{kind}_rows_come_once"], frame, repeated, context),
    ], repeated


def _part(frame: pd.DataFrame, kind: Kind, names: Sequence[str]) -> pd.DataFrame:
    return structure.coerce_dtypes(frame, schema_of(kind, frame).only(names))


def store_ids(stores: pd.DataFrame) -> NDArray[np.int64]:
    """The distinct store ids of a stores table, ascending; what is no number is none."""
    if stores.empty:
        return np.empty(0, dtype="int64")
    ids = pd.to_numeric(stores["store_id"], errors="coerce").to_numpy(dtype="float64")
    return np.unique(ids[np.isfinite(ids)]).astype("int64")


def _unjudged(kind: Kind, reason: str) -> list[CheckOutcome]:
    """A failed outcome for every check after the first: what could not be looked at must not pass."""
    return [CheckOutcome(spec.name, False, spec.severity, f"{_UNJUDGED}{reason}") for spec in CHECKS[kind][1:]]
