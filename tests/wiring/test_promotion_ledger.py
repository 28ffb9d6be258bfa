"""Registry and ledger agree: after kills between their steps, after many promotions at once, after a rollback."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from demand_assets.adapters.ledger import PromotionLedger, outcome_in_words
from demand_assets.adapters.registry import PRODUCTION, STAGE_TAG
from demand_assets.forecasting.promotion import Decision
from demand_assets.resources import build_resources
from demand_assets.settings import read_settings
from demand_assets.store.ledger import PromotionRecord
from tests.conftest import made_once
from tests.wiring import commands
from tests.wiring.conftest import copy_workspace, demand, environment_of

NOW = datetime(2012, 7, 2, 6, tzinfo=UTC)

# Registers version 1's model again as a version of its own, and dies where it is told to.
CHILD = """
import os, signal, sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.registry import ModelRegistry
from demand_assets.forecasting.promotion import Decision
from demand_assets.resources import build_resources
from demand_assets.settings import read_settings

class DyingRegistry(ModelRegistry):
    def set_alias(self, alias, version):
        os.kill(os.getpid(), signal.SIGKILL)

class Dying(PromotionLedger):
    @property
    def registry(self):
        return DyingRegistry(tracking_uri=self.tracking_uri, artifact_uri=self.artifact_uri, model_name=self.model_name)

resources = build_resources(read_settings())
registry, ledger = resources["registry"], resources["ledger"]
client = registry._client()
first = client.get_model_version(registry.model_name, "1")
tags = {**first.tags, "fingerprint": "another"}
client.create_model_version(registry.model_name, source=first.source, run_id=first.run_id, tags=tags)
if sys.argv[1] == "registered":
    os.kill(os.getpid(), signal.SIGKILL)
dying = Dying(**ledger.model_dump(include={"store_url", "tracking_uri", "artifact_uri", "model_name"}))
now = datetime(2012, 7, 2, tzinfo=UTC)
dying.decide(registry.version("2"), registry.version("1"), Decision(True, ("test",), {}), "test", now, decision_key="k")
"""


def ledger_of(home: Path) -> PromotionLedger:
    ledger = build_resources(read_settings(home=home))["ledger"]
    assert isinstance(ledger, PromotionLedger)
    return ledger


def die(home: Path, where: str) -> None:
    ended = commands.forked(commands.python, (CHILD, where), environment_of(home), home)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


@pytest.fixture(scope="session")
def registered(finished: tuple[Path, dict[str, object]], shared_folder: Path) -> Path:
    """A workspace with a second version that no decision was made about. Not to be changed."""
    home = shared_folder / "registered"

    def make() -> None:
        copy_workspace(finished[0], home)
        die(home, "registered")

    made_once(shared_folder / "registered.made", make)
    return home


@pytest.fixture
def home(registered: Path, tmp_path: Path) -> Path:
    """That workspace, to change freely."""
    copy_workspace(registered, tmp_path / "home")
    return tmp_path / "home"


def test_a_promotion_killed_after_it_was_recorded_is_finished(workspace: tuple[Path, Path]) -> None:
    die(workspace[0], "recorded")
    assert_in_production(workspace[0], "2")


def test_a_version_that_was_registered_before_a_kill_waits_for_a_decision(home: Path) -> None:
    assert_in_production(home, "1")


def assert_in_production(home: Path, champion: str) -> None:
    """Registry and ledger name that version."""
    listed = demand(home, "models", "--json")
    assert listed.returncode == 0, listed.stderr
    production = [one["version"] for one in json.loads(listed.stdout) if PRODUCTION in one["aliases"]]
    ledger = ledger_of(home)
    promoted = [row["to_version"] for row in ledger.rows() if row["outcome"] == "promoted"]
    assert production == [champion] == promoted[:1]


def test_an_alias_moved_by_hand_is_set_back(home: Path) -> None:
    ledger = ledger_of(home)
    ledger.registry.set_alias(PRODUCTION, "2")
    champion = ledger.champion()
    assert champion is not None
    assert champion.version == "1"
    held = ledger.registry.with_alias(PRODUCTION)
    assert held is not None
    assert held.version == "1"


def test_promote_refuses_below_the_gate_unless_forced_and_rollback_undoes_it(home: Path) -> None:
    refused = demand(home, "promote", "--to", "production", "2", "--reason", "curious")
    assert refused.returncode == 1
    assert "stays out of production: asked for: curious; " in refused.stdout
    forced = demand(home, "promote", "--to", "production", "2", "--reason", "curious", "--force", "--json")
    assert forced.returncode == 0, forced.stderr
    assert json.loads(forced.stdout)["forced"] is True
    back = demand(home, "rollback", "--reason", "worse in store 3")
    assert back.returncode == 0, back.stderr
    assert "version 1 is in production: worse in store 3" in back.stdout
    ledger = ledger_of(home)
    rows = [(row["action"], row["outcome"], row["from_version"], row["to_version"]) for row in ledger.rows()]
    assert rows == [
        ("rollback", "promoted", "2", "1"),
        ("promote", "promoted", "1", "2"),
        ("promote", "refused", "1", "2"),
        ("promote", "promoted", None, "1"),
    ]
    assert demand(home, "rollback").stderr.strip() == (
        "demand: there is nothing to roll back to: version 1 is the first champion"
    )
    shown = demand(home, "models", "--history").stdout
    assert "promoted (forced)" in shown
    assert demand(home, "promote", "--to", "production", "9", "--reason", "x").stderr.splitlines()[-1] == (
        "demand: there is no model version 9; registered: 1, 2"
    )


def test_staging_is_an_alias_and_a_tag_and_needs_no_gate(home: Path) -> None:
    moved = demand(home, "promote", "--to", "staging", "2")
    assert (moved.returncode, moved.stdout.strip()) == (0, "version 2 is in staging")
    ledger = ledger_of(home)
    assert ledger.registry.version("2").aliases == ("staging",)
    assert ledger.registry.version("1").aliases == ("production",)
    client = ledger.registry._client()
    stages = {version: client.get_model_version(ledger.model_name, version).tags[STAGE_TAG] for version in "12"}
    assert stages == {"1": "Production", "2": "Staging"}
    refused = demand(home, "promote", "--to", "production", "2")
    assert refused.returncode == 2
    assert "say why it goes to production" in refused.stderr


def test_of_several_promotions_at_once_one_is_in_production_in_registry_and_ledger(home: Path, tmp_path: Path) -> None:
    code = (
        CHILD.split("class DyingRegistry")[0]
        + """
import pathlib, time
resources = build_resources(read_settings())
registry, ledger = resources["registry"], resources["ledger"]
pathlib.Path(sys.argv[1]).touch()
while len(list(pathlib.Path(sys.argv[1]).parent.iterdir())) < 4:
    time.sleep(0.005)
now = datetime(2012, 7, 2, tzinfo=UTC)
record = ledger.decide(registry.version("2"), registry.version("1"), Decision(True, ("test",), {}), "test", now)
print(record.outcome)
"""
    )
    ready = tmp_path / "ready"
    ready.mkdir()
    with ThreadPoolExecutor(4) as threads:
        ended = list(
            threads.map(
                lambda name: commands.forked(commands.python, (code, str(ready / name)), environment_of(home), home),
                "abcd",
            )
        )
    outcomes = [each.stdout.strip() for each in ended]
    assert sorted(outcomes) == ["promoted", "superseded", "superseded", "superseded"]
    ledger = ledger_of(home)
    assert len(ledger.rows()) == 5
    champion = ledger.champion()
    assert champion is not None
    assert (champion.version, PRODUCTION in champion.aliases) == ("2", True)


def test_a_decision_says_no_more_than_the_gate_did(home: Path) -> None:
    ledger = ledger_of(home)
    first = ledger.champion()
    assert first is not None
    record = ledger.decide(ledger.registry.version("2"), first, Decision(False, ("worse",), {"a": 1.0}), "me", NOW)
    assert (record.outcome, record.reasons, record.figures) == ("refused", ("worse",), {"a": 1.0})


def test_a_decision_is_forced_only_against_the_gate_and_recorded_whole(home: Path) -> None:
    ledger = ledger_of(home)
    first, challenger = ledger.champion(), ledger.registry.version("2")
    assert first is not None
    record = ledger.decide(
        challenger, first, Decision(True, ("better",), {"a": 1.0}), "me", NOW, force=True, decision_key="key"
    )
    assert record == PromotionRecord(
        model_name=ledger.model_name, action="promote", outcome="promoted", from_version="1", to_version="2",
        requested_by="me", decided_at=NOW, reasons=("better",), figures={"a": 1.0},
        data_version=challenger.data_version, code_version=challenger.code_version,
        as_of=date.fromisoformat(challenger.as_of), forced=False, decision_key="key",
    )  # fmt: skip
    assert outcome_in_words(record) == "version 2 is in production: better"
    client = ledger.registry._client()
    stages = {version: client.get_model_version(ledger.model_name, version).tags[STAGE_TAG] for version in "12"}
    # Version 1 was trained last.
    assert stages == {"1": "Staging", "2": "Production"}
    # Forced against the gate, and too late: version 1 is no longer the champion.
    late = ledger.decide(challenger, first, Decision(False, ("worse",), {}), "me", NOW, force=True)
    assert (late.outcome, late.forced) == ("superseded", True)
    assert outcome_in_words(late).startswith(
        "version 2 came too late (forced): worse; version 2 was promoted meanwhile"
    )
