"""Rows of the store as they are answered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

UNIT = "USD per week"
_OVERRIDE_SHOWN = ("override_id", "version", "override", "author", "reason", "created_at", "expires_at")


def moment(value: datetime) -> str:
    """ISO 8601 in UTC, with a Z."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"no JSON form of {type(value).__name__}")


def to_json(body: Any) -> bytes:
    """`body` as UTF-8 JSON; weeks and times as ISO text. NaN, which JSON lacks, is a ValueError."""
    return json.dumps(body, default=_plain, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def tagged(body: bytes) -> tuple[bytes, bytes]:
    """(body, its strong ETag)."""
    return body, b'"' + hashlib.sha256(body).hexdigest()[:32].encode() + b'"'


def forecast_row(
    vintage: Mapping[str, Any], row: Sequence[Any], is_stale: bool, override: Mapping[str, Any] | None
) -> dict[str, Any]:
    """One forecast as answered. `row`: the columns of `forecasts` less the vintage."""
    store_id, dept_id, week, horizon, forecast, p10, p50, p90, order_quantity = row
    return {
        "store_id": store_id,
        "dept_id": dept_id,
        "week": week,
        "origin_week": vintage["origin_week"],
        "horizon": horizon,
        "forecast": forecast,
        "p10": p10,
        "p50": p50,
        "p90": p90,
        "order_quantity": order_quantity,
        "unit": UNIT,
        "vintage_id": vintage["vintage_id"],
        "model_name": vintage["model_name"],
        "model_version": vintage["model_version"],
        "data_version": vintage["data_version"],
        "code_version": vintage["code_version"],
        "published_at": vintage["published_at"],
        "is_stale": is_stale,
        "override": shown_override(override),
    }


def shown_override(override: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A planner's number as it stands beside a forecast."""
    return None if override is None else {name: override[name] for name in _OVERRIDE_SHOWN}
