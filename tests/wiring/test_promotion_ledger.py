"""Registry and ledger agree: after kills between their steps, after many promotions at once, after a rollback."""

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.registry import PRODUCTION
from demand_assets.forecasting.promotion import Decision
from demand_assets.resources import build_resources
from demand_assets.settings import read_settings
from tests.wiring.conftest import demand, environment_of

pytestmark = pytest.mark.timeout(300)
NOW = datetime(2012, 7, 2, 6, tzinfo=UTC)

# Registers version 1's model again as a version of its own, and dies where it is told to.
CHILD = """
import os, signal, sys
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
    ended = subprocess.run(
        [sys.executable, "-c", CHILD, where], env=environment_of(home), capture_output=True, text=True, check=False
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr


@pytest.fixture
def home(workspace: tuple[Path, Path]) -> Path:
    return workspace[0]


@pytest.mark.parametrize(("where", "champion"), [("registered", "1"), ("recorded", "2")])
def test_after_a_kill_ledger_and_registry_agree(home: Path, where: str, champion: str) -> None:
    die(home, where)
    listed = demand(home, "models", "--json")
    assert listed.returncode == 0, listed.stderr
    production = [one["version"] for one in json.loads(listed.stdout) if PRODUCTION in one["aliases"]]
    ledger = ledger_of(home)
    promoted = [row["to_version"] for row in ledger.rows() if row["outcome"] == "promoted"]
    assert production == [champion] == promoted[:1]


def test_an_alias_moved_by_hand_is_set_back(home: Path) -> None:
    die(home, "registered")
    ledger = ledger_of(home)
    ledger.registry.set_alias(PRODUCTION, "2")
    champion = ledger.champion()
    assert champion is not None
    assert champion.version == "1"
    held = ledger.registry.with_alias(PRODUCTION)
    assert held is not None
    assert held.version == "1"


def test_promote_refuses_below_the_gate_unless_forced_and_rollback_undoes_it(home: Path) -> None:
    die(home, "registered")
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


def test_of_several_promotions_at_once_one_is_in_production_in_registry_and_ledger(home: Path) -> None:
    die(home, "registered")
    start = "import sys; sys.stdin.readline();"
    body = (
        CHILD.split("class DyingRegistry")[0]
        + """
resources = build_resources(read_settings())
registry, ledger = resources["registry"], resources["ledger"]
now = datetime(2012, 7, 2, tzinfo=UTC)
record = ledger.decide(registry.version("2"), registry.version("1"), Decision(True, ("test",), {}), "test", now)
print(record.outcome)
"""
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", start + body], env=environment_of(home), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    outcomes = [child.communicate("go\n")[0].strip() for child in children]
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
    die(home, "registered")
    record = ledger.decide(ledger.registry.version("2"), first, Decision(False, ("worse",), {"a": 1.0}), "me", NOW)
    assert (record.outcome, record.reasons, record.figures) == ("refused", ("worse",), {"a": 1.0})
