"""Every check of the ingested frames, by name, and the functions that run them all at once without raising. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.ingestion import plausibility, structure
from demand_assets.ingestion.delivery import Delivery
from demand_assets.ingestion.formats import CONDITIONS, SALES, STORES, Kind
from demand_assets.ingestion.outcome import CheckOutcome, CheckSpec

CHECKS: Mapping[Kind, tuple[CheckSpec, ...]] = {
    "sales": (
        CheckSpec("sales_columns_and_types_are_right", "Columns, types, missing values and ranges of the sales schema"),
        CheckSpec("sales_keys_are_unique", "One row per store, department and week"),
        CheckSpec("sales_weeks_are_fridays", "Every week is the Friday that ends it"),
        CheckSpec("sales_stores_are_known", "Every store is in the stores table"),
        CheckSpec("sales_are_finite", "No amount is missing or infinite"),
        CheckSpec(
            "sales_are_within_20x_of_their_past",
            "For series with 8 earlier weeks: no amount over 20 x max(1,000, its largest before); and no store's "
            "median series (of at least 5) beyond 1/20 to 20 x its mean before",
        ),
        CheckSpec("holiday_flags_agree", "One holiday flag per week, the same in sales and conditions"),
        CheckSpec(
            "row_count_is_in_band",
            "Each week has 70% to 130% of the median rows of the up to 8 weeks before; first 4 exempt",
        ),
        CheckSpec("no_week_is_missing", "Every Friday from the first stored week to the last one checked has sales"),
        CheckSpec("conditions_cover_the_stores_that_sell", "Every store and week with sales has conditions"),
        CheckSpec("negative_sales_are_returns", "Negative amounts are counted and kept", "warn"),
    ),
    "conditions": (
        CheckSpec(
            "conditions_columns_and_types_are_right",
            "Columns, types, missing values and ranges of the conditions schema",
        ),
        CheckSpec("conditions_keys_are_unique", "One row per store and week"),
        CheckSpec("conditions_weeks_are_fridays", "Every week is the Friday that ends it"),
        CheckSpec("conditions_stores_are_known", "Every store is in the stores table"),
        CheckSpec("conditions_holiday_flags_agree", "One holiday flag per week in all rows"),
    ),
    "stores": (
        CheckSpec(
            "stores_columns_and_types_are_right", "Columns, types, missing values and ranges of the stores schema"
        ),
        CheckSpec("stores_keys_are_unique", "One row per store"),
    ),
}
# What `check_sales` needs of stored sales.
PAST_COLUMNS = ("store_id", "dept_id", "week", "sales")
_FLAGS = ("store_id", "week", "is_holiday")
_STORE_ID = ("store_id",)
_SPECS: Mapping[str, CheckSpec] = {spec.name: spec for specs in CHECKS.values() for spec in specs}


def check_sales(
    sales: pd.DataFrame, history: pd.DataFrame | None, conditions: pd.DataFrame, stores: pd.DataFrame
) -> list[CheckOutcome]:
    """All checks of CHECKS["sales"], in that order, on the sales of some weeks; bad data fails them, nothing raises.

    `history` is stored sales, None or empty for none: weeks that `sales` brings anew, and later ones, are left out, so
    that every week is judged by the weeks before it in both frames. `conditions` should cover the weeks of `sales`;
    only its store_id, week and is_holiday are used, and of `stores` only store_id.
    """
    outcomes = [structure.columns_and_types(_SPECS["sales_columns_and_types_are_right"], "sales", sales)]
    history = pd.DataFrame() if history is None else history
    reasons = [structure.unfit(sales, "sales", SALES.columns)]
    others: list[tuple[str, pd.DataFrame, Kind, Sequence[str]]] = [
        ("history", history, "sales", PAST_COLUMNS),
        ("conditions", conditions, "conditions", _FLAGS),
        ("stores", stores, "stores", _STORE_ID),
    ]
    for name, frame, kind, needs in others:
        if len(frame) and (reason := structure.unfit(frame, kind, needs)):
            reasons.append(f"{name} given: {reason}")
    if any(reasons):
        return outcomes + _unjudged("sales", "; ".join(filter(None, reasons)))
    sales = structure.coerce_dtypes(sales, "sales", SALES.columns)
    past = structure.coerce_dtypes(history, "sales", PAST_COLUMNS) if len(history) else sales.iloc[:0]
    told = structure.coerce_dtypes(conditions, "conditions", _FLAGS) if len(conditions) else sales.iloc[:0]
    return [
        *outcomes,
        *_structural("sales", sales, _store_ids(stores)),
        structure.sales_are_finite(_SPECS["sales_are_finite"], sales),
        plausibility.sales_are_within_20x_of_their_past(_SPECS["sales_are_within_20x_of_their_past"], sales, past),
        plausibility.holiday_flags_agree(_SPECS["holiday_flags_agree"], sales, told),
        plausibility.row_count_is_in_band(_SPECS["row_count_is_in_band"], sales, past),
        plausibility.no_week_is_missing(_SPECS["no_week_is_missing"], sales, past),
        plausibility.conditions_cover_the_stores_that_sell(
            _SPECS["conditions_cover_the_stores_that_sell"], sales, told
        ),
        plausibility.negative_sales_are_returns(_SPECS["negative_sales_are_returns"], sales),
    ]


def check_conditions(conditions: pd.DataFrame, stores: pd.DataFrame) -> list[CheckOutcome]:
    """All checks of CHECKS["conditions"], in that order; bad data fails them, nothing raises."""
    outcomes = [structure.columns_and_types(_SPECS["conditions_columns_and_types_are_right"], "conditions", conditions)]
    if reason := structure.unfit(conditions, "conditions", CONDITIONS.columns):
        return outcomes + _unjudged("conditions", reason)
    if len(stores) and (reason := structure.unfit(stores, "stores", _STORE_ID)):
        return outcomes + _unjudged("conditions", f"stores given: {reason}")
    conditions = structure.coerce_dtypes(conditions, "conditions", CONDITIONS.columns)
    return [
        *outcomes,
        *_structural("conditions", conditions, _store_ids(stores)),
        structure.flags_agree_within_weeks(_SPECS["conditions_holiday_flags_agree"], conditions),
    ]


def check_stores(stores: pd.DataFrame) -> list[CheckOutcome]:
    """All checks of CHECKS["stores"], in that order; bad data fails them, nothing raises."""
    outcomes = [structure.columns_and_types(_SPECS["stores_columns_and_types_are_right"], "stores", stores)]
    if reason := structure.unfit(stores, "stores", STORES.columns):
        return outcomes + _unjudged("stores", reason)
    return [*outcomes, structure.keys_are_unique(_SPECS["stores_keys_are_unique"], "stores", stores)]


def validate_deliveries(deliveries: Sequence[Delivery], known_stores: pd.DataFrame | None) -> list[CheckOutcome]:
    """What each file can be judged by alone, before anything is stored: types, keys, Fridays, known stores, finite.

    Outcomes carry their file's name, in the order of `deliveries`. Known are the stores of `known_stores` (those
    stored; None when none are) and of every stores file among the deliveries.
    """
    tables = [delivery.frame for delivery in deliveries if delivery.kind == "stores"]
    ids = [_store_ids(table) for table in (*tables, *([] if known_stores is None else [known_stores]))]
    stores = np.unique(np.concatenate(ids)) if ids else np.empty(0, dtype="int64")
    return [
        replace(outcome, file=delivery.file.name) for delivery in deliveries for outcome in _validate(delivery, stores)
    ]


def _validate(delivery: Delivery, stores: NDArray[np.int64]) -> list[CheckOutcome]:
    if delivery.kind == "stores":
        return check_stores(delivery.frame)
    types = structure.columns_and_types(
        _SPECS[f"{delivery.kind}_columns_and_types_are_right"], delivery.kind, delivery.frame
    )
    if reason := structure.unfit(delivery.frame, delivery.kind, delivery.format.columns):
        return [types, *_unjudged(delivery.kind, reason)]
    frame = structure.coerce_dtypes(delivery.frame, delivery.kind, delivery.format.columns)
    outcomes = [types, *_structural(delivery.kind, frame, stores)]
    if delivery.kind == "sales":
        outcomes.append(structure.sales_are_finite(_SPECS["sales_are_finite"], frame))
    return outcomes


def _structural(kind: Kind, frame: pd.DataFrame, stores: NDArray[np.int64]) -> list[CheckOutcome]:
    return [
        structure.keys_are_unique(_SPECS[f"{kind}_keys_are_unique"], kind, frame),
        structure.weeks_are_fridays(_SPECS[f"{kind}_weeks_are_fridays"], frame),
        structure.stores_are_known(_SPECS[f"{kind}_stores_are_known"], frame, stores),
    ]


def _store_ids(stores: pd.DataFrame) -> NDArray[np.int64]:
    if stores.empty:
        return np.empty(0, dtype="int64")
    ids = pd.to_numeric(stores["store_id"], errors="coerce").to_numpy(dtype="float64")
    return np.unique(ids[np.isfinite(ids)]).astype("int64")


def _unjudged(kind: Kind, reason: str) -> list[CheckOutcome]:
    """A failed outcome for every check after the first: what could not be looked at must not pass."""
    return [CheckOutcome(spec.name, False, spec.severity, f"not judged: {reason}") for spec in CHECKS[kind][1:]]
