"""One forecast as it is answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from api.names import Names
from api.override_schemas import ActiveOverride
from api.row_models import columns_of
from api.schemas import Forecast
from api.serialization import etag_of, to_json
from demand_assets.store.finals import final_order, final_quantile

Key = tuple[str, str, str]
"""(store_id, dept_id, ISO week)."""
Encoded = tuple[bytes, bytes]
"""(JSON body, ETag)."""
QUANTILES = ("p10", "p50", "p90")
FINALS = ("final", *(f"final_{name}" for name in QUANTILES), "final_order_quantity")
# The rest comes from the store.
_MADE_HERE = ("is_stale", "override", *FINALS)
_SOURCES = {name: source for name, (source, _) in columns_of(Forecast).items() if name not in _MADE_HERE}


def key_of(row: Mapping[str, Any]) -> Key:
    """Key of a row of `forecasts` or `overrides`."""
    return row["store_id"], row["dept_id"], row["target_week"].isoformat()


def forecast_item(
    row: Mapping[str, Any], names: Names, is_stale: bool, override: Mapping[str, Any] | None
) -> dict[str, Any]:
    """`row`: columns of `forecasts` and of its vintage."""
    named = {**row, **names.beside(row)}
    item = {name: named[source] for name, source in _SOURCES.items()}
    item["is_stale"], item["override"] = is_stale, active_override(override)
    return item | finals(row, override)


def finals(row: Mapping[str, Any], override: Mapping[str, Any] | None) -> dict[str, Any]:
    """The final number of a forecast, and its quantiles and order, which move with it."""
    forecast, order = row["forecast"], row["order_quantity"]
    final = forecast if override is None else override["override"]
    moved = (final_quantile(row[name], forecast, final) for name in QUANTILES)
    order = None if order is None else order if override is None else final_order(order, forecast, final)
    return dict(zip(FINALS, (final, *moved, order), strict=True))


def final_columns(columns: Mapping[str, Sequence[Any]], overrides: Mapping[Key, Any]) -> dict[str, Sequence[Any]]:
    """`finals` and the override of each row of columns of `forecasts`, by column."""
    sources = ("forecast", *QUANTILES, "order_quantity")
    given = dict(zip(FINALS, (columns[name] for name in sources), strict=True))
    none: Sequence[Any] = (None,) * len(columns["forecast"])
    if not overrides:
        return {**given, "override": none}
    by_week = {(store, dept, date.fromisoformat(week)): each for (store, dept, week), each in overrides.items()}
    keys = zip(columns["store_id"], columns["dept_id"], columns["target_week"], strict=True)
    places = {at: by_week[key] for at, key in enumerate(keys) if key in by_week}
    made: dict[str, Any] = {name: list(values) for name, values in {**given, "override": none}.items()}
    for at, override in places.items():
        row = finals({name: columns[name][at] for name in sources}, override)
        for name, value in {**row, "override": active_override(override)}.items():
            made[name][at] = value
    return made


def active_override(override: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The override in force as it is shown with a forecast."""
    return None if override is None else {name: override[name] for name in ActiveOverride.model_fields}


def encoded(item: Mapping[str, Any]) -> Encoded:
    """A forecast as (JSON body, ETag)."""
    body = to_json(item)
    return body, etag_of(body)
