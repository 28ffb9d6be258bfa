"""The deployment as Terraform makes it, with every policy and task definition rendered."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.repository.terraform_files import copy_terraform
from tests.repository.terraform_schema import SCHEMA

INSTALLATION = """
alert_emails             = ["ops@example.com"]
api_domain               = "demand.example.com"
bucket_name              = "example-demand"
certificate_arn          = "arn:aws:acm:us-east-1:123456789012:certificate/a"
dagster_domain           = "dagster.example.com"
github_owner             = "example"
github_repository        = "demand"
internal_certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/b"
zone_id                  = "Z1"
"""


class Terraform:
    """The command, in a copy of the configuration without a remote state."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment, self.pushed = folder, environment, list[str]()
        shutil.rmtree(folder, ignore_errors=True)
        copy_terraform(folder, "backend.tf")
        (folder / "account.tfvars").write_text(INSTALLATION)
        code, said = self("init")
        assert code == 0, said
        for stage in ("dev", "prod"):
            self("workspace", "new", stage)

    def __call__(self, *arguments: str, workspace: str = "") -> tuple[int, str]:
        done = subprocess.run(
            ["terraform", *arguments, "-no-color"],
            cwd=self.folder,
            env=self.environment | ({"TF_WORKSPACE": workspace} if workspace else {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def plan(
        self, stage: str, *variables: str, command: Sequence[str] = ("plan",), workspace: str = ""
    ) -> tuple[int, str]:
        given = [f"-var={variable}" for variable in variables]
        files = (f"-var-file={stage}.tfvars", "-var-file=account.tfvars")
        return self(*command, "-refresh=false", *files, *given, workspace=workspace or stage)


class Plan:
    """What is made; resources by type."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._resources = list(_resources(values["root_module"]))

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [one["values"] for one in self._resources if one["type"] == kind and one["mode"] == "managed"]

    def one(self, kind: str, name: str) -> dict[str, Any]:
        """The resource of that name (of a task definition: its family)."""
        (found,) = [one for one in self.all(kind) if name in (one.get("name"), one.get("family"))]
        return found

    def policies(self, role: str) -> list[dict[str, Any]]:
        """Documents of what a role may do."""
        return [json.loads(one["policy"]) for one in self.all("aws_iam_role_policy") if one["role"] == role]

    def container(self, family: str) -> dict[str, Any]:
        """The one container of a task definition."""
        (container,) = json.loads(self.one("aws_ecs_task_definition", family)["container_definitions"])
        found: dict[str, Any] = container
        return found

    def environment(self, family: str) -> dict[str, str]:
        """Environment of the container, without its secrets."""
        return {pair["name"]: pair["value"] for pair in self.container(family)["environment"]}


def _resources(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from _resources(child)


def make_plan(folder: Path, stage: str, *variables: str) -> dict[str, Any]:
    """`values` of `terraform show -json` once everything is applied to the stand-in for the provider."""
    from tests.repository.terraform_provider import provider_environment

    with provider_environment(json.loads(SCHEMA.read_text())["types"], made=True) as environment:
        terraform = Terraform(folder, environment)
        code, said = terraform.plan(stage, *variables, command=("apply", "-auto-approve"))
        assert code == 0, said[said.find("Error:") :][:3000]
        code, said = terraform("show", "-json", workspace=stage)
        assert code == 0, said
    shown = next(line for line in said.splitlines() if line.startswith("{"))
    values: dict[str, Any] = json.loads(shown)["values"]
    return values
