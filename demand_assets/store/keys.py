"""Keys of the service. A key is shown once, when it is made; the store holds its SHA-256 and nothing to restore it."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, insert, or_, select, update

from demand_assets.errors import ApiKeyError
from demand_assets.store.engine import write_transaction
from demand_assets.store.tables import api_keys

SCOPES = ("read", "write", "approve")
# The old key and the new one, while callers change over.
MAX_ACTIVE_PER_NAME = 2
_PREFIX = "dk_"
_LOCK_KEYS = 0x64656D616E640A
_SHOWN = [column for column in api_keys.c if column.name != "key_hash"]


def hash_of(token: str) -> str:
    """SHA-256 of a key, as the store keeps it. Keys are 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(token.encode()).hexdigest()


def create_key(
    engine: Engine, name: str, scopes: Sequence[str], now: datetime, expires_at: datetime | None = None
) -> tuple[str, Mapping[str, Any]]:
    """A new key and its row of `api_keys` less the hash; the key cannot be had again.

    `scopes`: some of SCOPES; none implies another. ApiKeyError for another scope or none, an
    `expires_at` that has passed, or a name that has two valid keys already.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise ApiKeyError(f"expected scopes {', '.join(SCOPES)}, got {', '.join(unknown) or 'none'}")
    if not name.strip() or "\x00" in name:
        raise ApiKeyError(f"expected a name for the key, got {name!r}")
    if expires_at is not None and expires_at <= now:
        raise ApiKeyError(f"expected a time to come for the key's end, got {expires_at.isoformat()}")
    token = _PREFIX + secrets.token_urlsafe(32)
    key_id = secrets.token_hex(8)
    row = {
        "key_id": key_id,
        "name": name,
        "scopes": [scope for scope in SCOPES if scope in scopes],
        "created_at": now,
        "expires_at": expires_at,
        "revoked_at": None,
    }
    with write_transaction(engine, _LOCK_KEYS) as conn:
        held = list(
            conn.execute(
                valid_keys(now)
                .where(api_keys.c.name == name)
                .order_by(api_keys.c.created_at, api_keys.c.key_id)
                .with_only_columns(api_keys.c.key_id)
            ).scalars()
        )
        if len(held) >= MAX_ACTIVE_PER_NAME:
            raise ApiKeyError(
                f"{name} has {len(held)} valid keys, {' and '.join(held)}; "
                f"revoke one first, e.g. `demand keys revoke {held[0]}` for the oldest"
            )
        conn.execute(insert(api_keys).values(key_hash=hash_of(token), **row))
        return token, _row(conn, key_id)


def valid_keys(now: datetime) -> Select[Any]:
    """Rows of `api_keys` that open the service at `now`: neither revoked nor expired."""
    k = api_keys.c
    return select(api_keys).where(k.revoked_at.is_(None), or_(k.expires_at.is_(None), k.expires_at > now))


def every_key(conn: Connection) -> list[Mapping[str, Any]]:
    """Rows of `api_keys` less the hash, valid or not, oldest first."""
    found = conn.execute(select(*_SHOWN).order_by(api_keys.c.created_at, api_keys.c.key_id)).mappings()
    return [dict(row) for row in found]


def revoke_key(engine: Engine, key_id: str, now: datetime) -> Mapping[str, Any]:
    """End a key's validity and return its row less the hash; one revoked before keeps its time.

    ApiKeyError when there is no such key.
    """
    with write_transaction(engine, _LOCK_KEYS) as conn:
        conn.execute(
            update(api_keys).where(api_keys.c.key_id == key_id, api_keys.c.revoked_at.is_(None)).values(revoked_at=now)
        )
        return _row(conn, key_id)


def _row(conn: Connection, key_id: str) -> Mapping[str, Any]:
    row = conn.execute(select(*_SHOWN).where(api_keys.c.key_id == key_id)).mappings().first()
    if row is None:
        raise ApiKeyError(f"there is no key {key_id}; `demand keys list` shows those there are")
    return dict(row)
