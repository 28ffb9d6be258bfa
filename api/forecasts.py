"""One forecast as it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.names import Names
from api.row_models import columns_of
from api.schemas import ActiveOverride, Forecast
from api.serialization import etag_of, to_json

Key = tuple[str, str, str]
"""(store_id, dept_id, ISO week)."""
Encoded = tuple[bytes, bytes]
"""(JSON body, ETag)."""
# The rest comes from the store.
_MADE_HERE = ("is_stale", "override")
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
    return item


def active_override(override: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The active override that is shown beside a forecast."""
    return None if override is None else {name: override[name] for name in ActiveOverride.model_fields}


def encoded(item: Mapping[str, Any]) -> Encoded:
    """A forecast as (JSON body, ETag)."""
    body = to_json(item)
    return body, etag_of(body)
