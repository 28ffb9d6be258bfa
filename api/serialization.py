"""Bodies as JSON, and their ETags."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime
from typing import Any


def utc_text(moment: datetime) -> str:
    """ISO 8601 in UTC, with a Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _date_text(value: Any) -> str:
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"no JSON form of {type(value).__name__}")


def to_json(body: Any) -> bytes:
    """`body` as UTF-8 JSON; weeks and times as ISO text. NaN, which JSON lacks, is a ValueError."""
    return json.dumps(body, default=_date_text, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def etag_of(body: bytes) -> bytes:
    """The strong ETag of a body."""
    return b'"' + hashlib.sha256(body).hexdigest()[:32].encode() + b'"'
