"""What ECS gives the process of a task, and what of the rendered deployment is elsewhere on this machine."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3

from tests.identity import REGION
from tests.repository.docker_files import ROOT, image_environment
from tests.repository.terraform_plan import Plan

BIN = Path(sys.executable).parent


class Places:
    """Rewrites names of the deployment to where its parts are on this machine, and nothing else."""

    def __init__(self, words: dict[str, str], pieces: Mapping[str, str], left_out: frozenset[str]) -> None:
        """`left_out`: variables of the image that do not hold on this machine."""
        self.words, self.pieces, self.left_out = words, pieces, left_out

    def __call__(self, text: str) -> str:
        """`words` are replaced where they are all of the text, `pieces` wherever they stand, in their order."""
        if text in self.words:
            return self.words[text]
        for piece, here in self.pieces.items():
            text = text.replace(piece, here)
        return text

    def definition(self, plan: Plan, family: str) -> dict[str, Any]:
        """A task definition as RegisterTaskDefinition takes it."""
        planned, container = plan.one("aws_ecs_task_definition", family), plan.container(family)
        environment = [{**pair, "value": self(pair["value"])} for pair in container["environment"]]
        command = [self(word) for word in container["command"]]
        container |= {"environment": environment, "command": command, "memory": int(planned["memory"])}
        return {
            "family": family,
            "requiresCompatibilities": ["FARGATE"],
            "networkMode": planned["network_mode"],
            "cpu": planned["cpu"],
            "memory": planned["memory"],
            "taskRoleArn": planned["task_role_arn"],
            "executionRoleArn": planned["execution_role_arn"],
            "containerDefinitions": [container],
        }

    def image_environment(self, image: str) -> dict[str, str]:
        """What the image sets."""
        return {name: self(value) for name, value in image_environment(image).items() if name not in self.left_out}


def machine_environment(endpoint: str, home: Path) -> dict[str, str]:
    """Where programs, the project and AWS are on this machine; no credentials."""
    return {
        "PATH": f"{BIN}{os.pathsep}/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "HOME": str(home),
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        # Of the tests: many processes share two cores.
        "OMP_NUM_THREADS": "1",
    }


def client_of(service: str, endpoint: str, role: str) -> Any:
    """A boto3 client of the AWS-speaking server, as a role or, by another name, as whoever set the account up."""
    return boto3.client(
        service, region_name=REGION, endpoint_url=endpoint, aws_access_key_id=role, aws_secret_access_key="testing"
    )


def given_by_ecs(told: Mapping[str, Any], override: Mapping[str, Any], endpoint: str) -> dict[str, str]:
    """Environment of a task: what its definition and the override say, its secrets, and its role's credentials.

    The secrets are read as the execution role, so one that it may not read fails the task as on ECS.
    """
    (container,) = told["containerDefinitions"]
    pairs = [*container.get("environment", []), *override.get("environment", [])]
    secrets = client_of("secretsmanager", endpoint, _name(told["executionRoleArn"]))
    return {
        **{pair["name"]: pair["value"] for pair in pairs},
        **{one["name"]: _secret(secrets, one["valueFrom"]) for one in container.get("secrets", [])},
        "AWS_ACCESS_KEY_ID": _name(told["taskRoleArn"]),
        "AWS_SECRET_ACCESS_KEY": "testing",
    }


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]


def secret_name(reference: str) -> str:
    """Name in `arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX[:FIELD::]`; the suffix is AWS's own."""
    return reference.split(":")[6].rpartition("-")[0]


def _secret(client: Any, reference: str) -> str:
    value: str = client.get_secret_value(SecretId=secret_name(reference))["SecretString"]
    field = reference.split(":")[7:8]
    return str(json.loads(value)[field[0]]) if field else value
