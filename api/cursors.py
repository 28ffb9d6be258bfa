"""Cursors: where a page ended, and the snapshot that the pages after it stay within."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from math import isfinite
from typing import Any, TypeVar

from fastapi import Request
from sqlalchemy import Date, Float, Integer, SmallInteger
from sqlalchemy.types import TypeEngine

from api.problems import ProblemError
from demand_assets.store.reads.statements import Order

Token = TypeVar("Token")
_IDS = ("store_id", "dept_id")
# An integer of the store is below.
_SEQUENCES = 2**31


def encode_cursor(request: Request, key: Sequence[Any], snapshot_token: str | None) -> str:
    """The cursor of the page whose last row has `key`."""
    values = [value.isoformat() if isinstance(value, date) else value for value in key]
    content = json.dumps([_fingerprint(request), values, snapshot_token], ensure_ascii=False)
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def decode_key(request: Request, cursor: str | None, order: Order) -> list[Any] | None:
    """The key in a cursor; None without one; 422 for a cursor that this list did not give."""
    if cursor is None:
        return None
    with _refused():
        values = _decoded(request, cursor)[0]
        named = zip(order.names, values, order.types, strict=True)
        # Of a total that spans a whole dimension the id is null.
        return [None if value is None and name in _IDS else _typed(value, kind) for name, value, kind in named]


def decode_snapshot_token(request: Request, cursor: str | None, parse: Callable[[str], Token]) -> Token | None:
    """The snapshot token in a cursor, parsed; None without one; 422 for a cursor that this list did not give."""
    if cursor is None:
        return None
    with _refused():
        token = _decoded(request, cursor)[1]
        if not (isinstance(token, str) and token.isascii() and token.isprintable()):
            raise ValueError("no snapshot token")
        return parse(token)


def parse_sequence(text: str) -> int:
    """The sequence of a vintage; ValueError for what can be none."""
    sequence = int(text)
    if not 0 < sequence < _SEQUENCES:
        raise ValueError("no sequence")
    return sequence


def _fingerprint(request: Request) -> str:
    """The list and its filters, which a cursor belongs to."""
    filters = sorted(
        (name, value) for name, value in request.query_params.items() if name not in ("cursor", "limit", "format")
    )
    return hashlib.sha256(json.dumps([request.url.path, filters]).encode()).hexdigest()[:12]


def _decoded(request: Request, cursor: str) -> tuple[Any, Any]:
    fingerprint, values, token = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    if fingerprint != _fingerprint(request):
        raise ValueError("of another list")
    return values, token


@contextmanager
def _refused() -> Iterator[None]:
    """422 for whatever a made-up cursor leads to."""
    try:
        yield
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise ProblemError(
            422, "cursor: expected next_cursor of a page with the same filters; start without a cursor"
        ) from None


def _typed(value: Any, kind: TypeEngine[Any]) -> Any:
    if isinstance(kind, Date):
        return date.fromisoformat(value)
    if isinstance(kind, Integer):
        limit = 2**15 if isinstance(kind, SmallInteger) else 2**31
        if type(value) is not int or not 0 <= value < limit:
            raise ValueError("no id")
        return value
    if isinstance(kind, Float):
        if type(value) not in (int, float) or not isfinite(value):
            raise ValueError("no amount")
        return float(value)
    if not isinstance(value, str) or "\x00" in value:
        raise ValueError("no text")
    value.encode()
    return value
