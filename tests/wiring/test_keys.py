"""`demand keys` as a user runs it."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from demand_assets.store.keys import hash_of
from tests.wiring.conftest import demand


def test_a_key_is_shown_once_listed_without_itself_and_revoked(tmp_path: Path) -> None:
    home = tmp_path / "home"
    ended = demand(home, "keys", "list")
    assert (ended.returncode, "run `demand migrate`" in ended.stderr) == (1, True)
    assert demand(home, "migrate").returncode == 0
    assert "there is no key yet" in demand(home, "keys", "list").stdout

    made = demand(
        home, "keys", "create", "orders", "--scope", "read", "--scope", "write", "--expires", "2999-01-01", "--json"
    )
    assert made.returncode == 0, made.stderr
    row = json.loads(made.stdout)
    with closing(sqlite3.connect(home / "store.db")) as connection:
        ((kept,),) = connection.execute("select key_hash from api_keys").fetchall()
    assert kept == hash_of(row["key"])
    plain = demand(home, "keys", "create", "orders", "--scope", "read")
    assert plain.stdout.splitlines()[-1].startswith("dk_")

    third = demand(home, "keys", "create", "orders", "--scope", "read")
    assert third.returncode == 1
    assert third.stderr.strip().endswith(f"`demand keys revoke {row['key_id']}` for the oldest")

    for listed in (demand(home, "keys", "list").stdout, demand(home, "keys", "list", "--json").stdout):
        assert row["key_id"] in listed
        assert "2999-01-01" in listed
        assert kept not in listed
        assert row["key"] not in listed

    ended = demand(home, "keys", "revoke", row["key_id"], "--json")
    assert json.loads(ended.stdout)["revoked_at"]
    assert [one["status"] for one in json.loads(demand(home, "keys", "list", "--json").stdout)] == ["revoked", "valid"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["revoke", "nothing"], "there is no key nothing; `demand keys list` shows those there are"),
        (["create", "x", "--scope", "read", "--expires", "soon"], "--expires is 'soon'; expected an ISO time"),
        (["create", "x", "--scope", "read", "--expires", "2001-01-01"], "expected a time to come"),
    ],
)
def test_a_mistake_is_one_clear_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    assert demand(tmp_path / "home", "migrate").returncode == 0
    ended = demand(tmp_path / "home", "keys", *arguments)
    assert ended.returncode == 1
    (line,) = ended.stderr.strip().splitlines()
    assert message in line
