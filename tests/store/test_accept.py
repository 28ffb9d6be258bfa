"""`demand accept`: what it records, lists and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from demand_assets.cli import main
from demand_assets.store.migrations import migrate

CHECK = "no_week_is_missing"
FINDING = ("--week", "2012-06-29", "--check", CHECK, "--reason", "[red]a strike[/x]", "--by", "ana")
ROW = {
    "acceptance": 1, "week": "2012-06-29", "check_name": CHECK, "reason": "[red]a strike[/x]", "accepted_by": "ana",
    "accepted_at": "2012-07-02T06:00:00+00:00",
}  # fmt: skip


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    migrate(url)
    monkeypatch.setenv("DEMAND_HOME", str(tmp_path))
    monkeypatch.setenv("DEMAND_STORE_URL", url)
    monkeypatch.setenv("DEMAND_CLOCK", "2012-07-02T06:00:00+00:00")


def accept(*options: str) -> Result:
    return CliRunner().invoke(main, ["accept", *options])


def test_a_finding_is_accepted_and_listed_as_it_was_said() -> None:
    said = accept(*FINDING).stdout
    assert said.startswith(f"{CHECK} is accepted for week 2012-06-29 by ana: [red]a strike[/x]")
    assert "[red]a strike[/x]" in accept("--list").stdout
    assert json.loads(accept("--list", "--json").stdout) == [ROW]


def test_a_program_reads_json() -> None:
    assert json.loads(accept("--list", "--json").stdout) == []
    assert json.loads(accept(*FINDING, "--json").stdout) == ROW


def test_without_any_the_list_says_so() -> None:
    assert accept("--list").stdout == "nothing has been accepted yet\n"


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("sales_are_fine", "sales_are_fine is no check; these can be accepted: "),
        ("sales_keys_are_unique", "sales_keys_are_unique finds what is certainly wrong, and cannot be accepted; "),
    ],
)
def test_what_cannot_be_accepted_is_refused_with_what_can(check: str, said: str) -> None:
    refused = accept("--week", "2012-06-29", "--check", check, "--reason", "because")
    assert refused.exit_code == 1
    assert said in refused.stderr
    assert CHECK in refused.stderr
    assert json.loads(accept("--list", "--json").stdout) == []


def test_a_week_that_is_no_date_and_a_lacking_option_are_refused() -> None:
    assert accept("--week", "soon", "--check", CHECK, "--reason", "because").exit_code == 1
    lacking = accept("--week", "2012-06-29", "--check", CHECK)
    assert lacking.exit_code == 2
    assert "name --week, --check and --reason, or give --list" in lacking.stderr
