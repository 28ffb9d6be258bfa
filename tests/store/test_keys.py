"""Keys of the service, on SQLite and PostgreSQL."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from demand_assets.errors import ApiKeyError
from demand_assets.store.keys import create_key, every_key, hash_of, revoke_key, valid_keys

NOW = datetime(2012, 7, 2, 6, tzinfo=UTC)


def valid(engine: Engine, now: datetime = NOW) -> set[str]:
    with engine.connect() as connection:
        return {row["key_id"] for row in connection.execute(valid_keys(now)).mappings()}


def test_only_the_hash_of_a_key_is_kept(engine: Engine) -> None:
    token, row = create_key(engine, "replenishment", ["write", "read"], NOW)
    assert token.startswith("dk_")
    assert len(token) == 46
    assert (row["scopes"], row["created_at"], row["expires_at"]) == (["read", "write"], NOW, None)
    with engine.connect() as connection:
        stored = connection.execute(text("SELECT * FROM api_keys")).one()
        assert every_key(connection) == [row]
    assert hashlib.sha256(token.encode()).hexdigest() == hash_of(token) == stored.key_hash
    assert token not in str(stored)
    assert "key_hash" not in row


def test_rotation_has_two_valid_keys_of_a_name_and_no_third(engine: Engine) -> None:
    _, old = create_key(engine, "replenishment", ["read"], NOW)
    _, new = create_key(engine, "replenishment", ["read"], NOW + timedelta(days=1))
    create_key(engine, "dashboard", ["read"], NOW)
    with pytest.raises(ApiKeyError, match=f"has 2 valid keys.*revoke {old['key_id']}"):
        create_key(engine, "replenishment", ["read"], NOW)
    revoked = revoke_key(engine, old["key_id"], NOW)
    assert revoke_key(engine, old["key_id"], NOW + timedelta(days=2)) == revoked
    assert revoked["revoked_at"] == NOW
    assert old["key_id"] not in valid(engine)
    assert new["key_id"] in valid(engine)
    create_key(engine, "replenishment", ["read"], NOW)


def test_a_key_is_valid_until_it_expires(engine: Engine) -> None:
    end = NOW + timedelta(days=30)
    _, row = create_key(engine, "audit", ["read"], NOW, end)
    assert valid(engine, end - timedelta(seconds=1)) == {row["key_id"]}
    assert valid(engine, end) == set()
    # Expired keys are in no one's way.
    for _ in range(2):
        create_key(engine, "audit", ["read"], end)


@pytest.mark.parametrize(
    ("name", "scopes", "expires_at", "message"),
    [
        ("x", [], None, "expected scopes read, write, approve, got none"),
        ("x", ["read", "admin"], None, "got admin"),
        (" ", ["read"], None, "expected a name"),
        ("a\0b", ["read"], None, "expected a name"),
        ("x", ["read"], NOW - timedelta(days=1), "expected a time to come"),
        ("x", ["read"], NOW, "expected a time to come"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(
    engine: Engine, name: str, scopes: list[str], expires_at: datetime | None, message: str
) -> None:
    with pytest.raises(ApiKeyError, match=message):
        create_key(engine, name, scopes, NOW, expires_at)
    assert valid(engine) == set()


def test_only_a_key_there_is_can_be_revoked(engine: Engine) -> None:
    with pytest.raises(ApiKeyError, match="there is no key 00"):
        revoke_key(engine, "00", NOW)


def test_every_key_is_listed_oldest_first_valid_or_not(engine: Engine) -> None:
    _, late = create_key(engine, "late", ["read"], NOW + timedelta(days=2), NOW + timedelta(days=3))
    _, early = create_key(engine, "early", ["write"], NOW)
    _, middle = create_key(engine, "middle", ["read"], NOW + timedelta(days=1))
    revoked = revoke_key(engine, early["key_id"], NOW + timedelta(days=1))
    with engine.connect() as connection:
        assert every_key(connection) == [revoked, middle, late]
    assert revoked == {**early, "revoked_at": NOW + timedelta(days=1)}
    # A revocation ends that key alone.
    assert valid(engine, NOW + timedelta(days=2)) == {middle["key_id"], late["key_id"]}
