"""`demand keys create`, `list`, `revoke`: keys of the service."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from demand_assets.commands.terminal import terminal
from demand_assets.errors import SettingsError
from demand_assets.settings import Settings, read_settings


def create(name: str, scopes: Sequence[str], expires: str | None, as_json: bool) -> None:
    """Make a key and print it, this once."""
    from demand_assets.store.keys import create_key
    from demand_assets.store.migrations import opened

    end = None if expires is None else _moment(expires)
    settings = read_settings()
    with opened(settings.store) as engine:
        token, row = create_key(engine, name, scopes, _now(settings), end)
    if as_json:
        print(json.dumps({**row, "key": token}, indent=1, default=_iso))  # noqa: T201
        return
    console = terminal()
    console.print(f"Key {row['key_id']} of {name}, {', '.join(row['scopes'])}, {_until(row)}:", markup=False)
    print(token)  # noqa: T201 - unwrapped, to be copied or piped
    terminal(stderr=True).print("It is shown this once; send it as `Authorization: Bearer KEY`.")


def list_keys(as_json: bool) -> None:
    """Print every key but itself and its hash, oldest first."""
    from demand_assets.store.engine import reading
    from demand_assets.store.keys import every_key
    from demand_assets.store.migrations import opened

    settings = read_settings()
    with opened(settings.store) as engine, reading(engine) as connection:
        rows = every_key(connection)
    now = _now(settings)
    if as_json:
        shown = [{**row, "status": _status(row, now)} for row in rows]
        print(json.dumps(shown, indent=1, default=_iso))  # noqa: T201
        return
    console = terminal()
    if not rows:
        console.print("there is no key yet; make one with `demand keys create NAME --scope read`")
        return
    table = Table(title="Keys", title_justify="left")
    for heading in ("key", "name", "scopes", "made", "valid", "status"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        made = f"{row['created_at']:%Y-%m-%d %H:%M}"
        table.add_row(row["key_id"], row["name"], ", ".join(row["scopes"]), made, _until(row), _status(row, now))
    console.print(table)


def revoke(key_id: str, as_json: bool) -> None:
    """End a key's validity."""
    from demand_assets.store.keys import revoke_key
    from demand_assets.store.migrations import opened

    settings = read_settings()
    with opened(settings.store) as engine:
        row = revoke_key(engine, key_id, _now(settings))
    if as_json:
        print(json.dumps(row, indent=1, default=_iso))  # noqa: T201
    else:
        revoked = f"{row['revoked_at']:%Y-%m-%d %H:%M} UTC"
        terminal().print(f"key {key_id} of {row['name']} is revoked since {revoked}", markup=False)


def _now(settings: Settings) -> datetime:
    from demand_assets.resources import Clock

    return Clock(fixed_at=settings.clock).now()


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"--expires is {text!r}; expected a date or time such as 2027-01-01 (UTC)") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _until(row: Mapping[str, Any]) -> str:
    end = row["expires_at"]
    return "no end" if end is None else f"until {end:%Y-%m-%d %H:%M} UTC"


def _status(row: Mapping[str, Any], now: datetime) -> str:
    if row["revoked_at"] is not None:
        return "revoked"
    return "expired" if row["expires_at"] is not None and row["expires_at"] <= now else "valid"


def _iso(value: datetime) -> str:
    return value.isoformat()
