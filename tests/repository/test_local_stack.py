"""What the local stack promises, as far as it shows without a Docker daemon."""

import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from sqlalchemy import make_url

from api.settings import ApiSettings
from demand_assets.commands.database import GUESTS, OWNERS
from demand_assets.settings import Settings
from demand_assets.store.migrations import migrate
from tests.repository.docker_files import COMMANDS, DOCKER, ROOT

COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: Mapping[str, Any] = COMPOSE["services"]


def test_the_local_stack_is_a_compose_file() -> None:
    checker = Path(sys.executable).parent / "check-jsonschema"
    subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", str(DOCKER / "compose.yaml")],
        check=True,
        capture_output=True,
    )


def test_the_local_stack_differs_from_aws_in_the_launcher_alone() -> None:
    aws, local = (yaml.safe_load((DOCKER / f"dagster.{name}.yaml").read_text()) for name in ("aws", "compose"))
    assert aws.pop("run_launcher")["class"] == "FargateRunLauncher"
    aws["run_monitoring"]["start_timeout_seconds"] = local["run_monitoring"]["start_timeout_seconds"]
    assert aws == local


@pytest.mark.parametrize("service", COMMANDS)
def test_a_part_of_the_local_stack_has_the_command_of_the_cloud(service: str) -> None:
    assert " ".join(SERVICES[service]["command"]) == COMMANDS[service]
    image = service if service in ("api", "mlflow") else "pipeline"
    assert SERVICES[service]["image"] == f"demand/{image}:local"
    assert (ROOT / SERVICES[service]["build"]["dockerfile"]).exists()


@pytest.mark.parametrize("service", SERVICES)
def test_a_part_of_the_local_stack_is_confined(service: str) -> None:
    part = SERVICES[service]
    assert part["read_only"]
    assert part["cap_drop"] == ["ALL"]
    assert part["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in part.get("ports", []))
    if "build" not in part:
        assert re.search(r"@sha256:[0-9a-f]{64}$", part["image"])
    for source, _, mode in (volume.split(":") for volume in part.get("volumes", []) if volume.startswith(".")):
        assert (DOCKER / source).exists()
        assert mode == "ro"


def test_every_variable_of_the_local_stack_is_one_that_something_reads() -> None:
    known = {f"DEMAND_{name.upper()}" for name in Settings.model_fields}
    known |= {f"DEMAND_API_{name.upper()}" for name in ApiSettings.model_fields}
    instance = (DOCKER / "dagster.compose.yaml").read_text() + (DOCKER / "workspace.aws.yaml").read_text()
    known |= set(re.findall(r"env: (\w+)", instance)) | {"DAGSTER_HOME", *OWNERS, *GUESTS}
    given = {name for part in SERVICES.values() for name in part.get("environment", {})}
    assert {name for name in given if name.startswith(("DEMAND_", "DAGSTER_"))} <= known
    # Read, not imported: its command line warns while it loads.
    mlflow = Path(importlib.metadata.distribution("mlflow").locate_file("mlflow"))  # type: ignore[arg-type]
    texts = [(mlflow / file).read_text() for file in ("environment_variables.py", "cli/__init__.py")]
    for name in (name for name in given if name.startswith("MLFLOW_")):
        assert any(f'"{name}"' in text for text in texts), name


def test_every_secret_of_the_local_stack_is_in_the_example_and_has_no_value() -> None:
    asked = set(re.findall(r"\$\{(\w+):\?", (DOCKER / "compose.yaml").read_text()))
    lines = [line for line in (DOCKER / ".env.example").read_text().splitlines() if line and line[0] != "#"]
    assert {line.partition("=")[0] for line in lines} == asked
    assert all(line.endswith("=") for line in lines)


def test_the_service_may_read_everything_and_add_overrides_and_reviews_only(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = 'demand_api'").fetchone() is None:
            admin.execute("CREATE ROLE demand_api LOGIN")
    for _ in range(2):
        migrate(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        rows = admin.execute(
            "SELECT table_name, privilege_type FROM information_schema.role_table_grants WHERE grantee = 'demand_api'"
        ).fetchall()
        tables = admin.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchall()
        admin.execute("CREATE TABLE later (number int)")
        assert admin.execute("SELECT has_table_privilege('demand_api', 'later', 'SELECT')").fetchone() == (True,)
        admin.execute("DROP OWNED BY demand_api")
    added = {("overrides", "INSERT"), ("override_reviews", "INSERT")}
    assert set(rows) == {(name, "SELECT") for (name,) in tables} | added
    assert make_url(postgres_url).database
