"""`demand keys create`, `list`, `revoke`: keys of the service."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from demand_assets.commands.terminal import Row, moment_of, print_json, print_list, terminal
from demand_assets.errors import ApiKeyError
from demand_assets.settings import Settings, read_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine


def create(name: str, scopes: Sequence[str], expires: str | None, as_json: bool, secret: str | None = None) -> None:
    """Make a key and print it, this once; or put it into a secret of AWS Secrets Manager and print it nowhere."""
    from demand_assets.store.keys import create_key
    from demand_assets.store.migrations import opened

    end = None if expires is None else moment_of("--expires", expires)
    settings = read_settings()
    with opened(settings.store) as engine:
        token, row = create_key(engine, name, scopes, _now(settings), end)
        if secret is not None:
            _deliver(engine, secret, token, row, settings)
    if secret is not None:
        if as_json:
            print_json({**row, "secret": secret})
        else:
            terminal().print(f"Key {row['key_id']} of {name}, {', '.join(row['scopes'])}, {_until(row)}: in {secret}")
        return
    if as_json:
        print_json({**row, "key": token})
        return
    console = terminal()
    console.print(f"Key {row['key_id']} of {name}, {', '.join(row['scopes'])}, {_until(row)}:")
    print(token)  # noqa: T201 - unwrapped, to be copied or piped
    terminal(stderr=True).print("It is shown this once; send it as `Authorization: Bearer KEY`.")


def _deliver(engine: Engine, secret: str, token: str, row: Row, settings: Settings) -> None:
    from demand_assets.adapters.secrets import put_secret
    from demand_assets.store.keys import revoke_key

    try:
        put_secret(secret, token)
    except ApiKeyError:
        # Nobody has it, so nobody may use it.
        revoke_key(engine, row["key_id"], _now(settings))
        raise


def list_keys(as_json: bool) -> None:
    """Print every key but itself and its hash, oldest first."""
    from demand_assets.store.engine import reading
    from demand_assets.store.keys import every_key
    from demand_assets.store.migrations import opened

    settings = read_settings()
    with opened(settings.store) as engine, reading(engine) as connection:
        rows = every_key(connection)
    now = _now(settings)
    rows = [{**row, "status": _status(row, now)} for row in rows]
    print_list(
        "Keys", rows, _cells, "there is no key yet; make one with `demand keys create NAME --scope read`", as_json
    )


def _cells(row: Row) -> dict[str, str]:
    return {
        "key": row["key_id"],
        "name": row["name"],
        "scopes": ", ".join(row["scopes"]),
        "made": f"{row['created_at']:%Y-%m-%d %H:%M}",
        "valid": _until(row),
        "status": row["status"],
    }


def revoke(key_id: str, as_json: bool) -> None:
    """End a key's validity."""
    from demand_assets.store.keys import revoke_key
    from demand_assets.store.migrations import opened

    settings = read_settings()
    with opened(settings.store) as engine:
        row = revoke_key(engine, key_id, _now(settings))
    if as_json:
        print_json(row)
    else:
        revoked = f"{row['revoked_at']:%Y-%m-%d %H:%M} UTC"
        terminal().print(f"key {key_id} of {row['name']} is revoked since {revoked}")


def _now(settings: Settings) -> datetime:
    from demand_assets.resources import Clock

    return Clock(fixed_at=settings.clock).now()


def _until(row: Row) -> str:
    end = row["expires_at"]
    return "no end" if end is None else f"until {end:%Y-%m-%d %H:%M} UTC"


def _status(row: Row, now: datetime) -> str:
    if row["revoked_at"] is not None:
        return "revoked"
    return "expired" if row["expires_at"] is not None and row["expires_at"] <= now else "valid"
