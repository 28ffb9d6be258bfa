"""The planned deployment, and AWS as its roles see it."""

import json
import shutil
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from tests.conftest import made_once
from tests.identity import Identity
from tests.repository.ecs_cluster import cluster
from tests.repository.terraform_plan import Plan, make_plan

__all__ = ["cluster"]


@pytest.fixture(scope="session")
def plan_of(shared_folder: Path) -> Callable[..., Plan]:
    """Plans of a stage with further variables; each is made once for all workers."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed; CI has it")

    def plan(stage: str, *variables: str) -> Plan:
        file = shared_folder / f"plan-{stage}-{zlib.crc32(repr(variables).encode()):08x}.json"

        def make() -> None:
            file.write_text(json.dumps(make_plan(file.with_suffix(""), stage, *variables)))

        made_once(file.with_suffix(".made"), make)
        return Plan(json.loads(file.read_text()))

    return plan


@pytest.fixture
def dev(plan_of: Callable[..., Plan]) -> Plan:
    """The stage dev."""
    return plan_of("dev")


@pytest.fixture
def identity(dev: Plan, aws_environment: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Identity]:
    """A door to moto that holds every role to its policies; AWS_ACCESS_KEY_ID names the role."""
    roles = {one["name"]: dev.policies(one["name"]) for one in dev.all("aws_iam_role")}
    door = Identity(DomainDispatcherApplication(create_backend_app), roles)
    server = make_server("127.0.0.1", 0, door, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    yield door
    server.shutdown()
