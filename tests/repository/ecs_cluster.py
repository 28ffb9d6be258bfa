"""A cluster of moto's to roll out to, and the script that does it."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

# Beside the installed package `docker`, the folder cannot be one.
_SPEC = importlib.util.spec_from_file_location("deploy", Path(__file__).parents[2] / "docker" / "deploy.py")
assert _SPEC is not None
assert _SPEC.loader is not None
deploy = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(deploy)

CLUSTER = "demand-dev"
DIGESTS = (("pipeline", "1"), ("api", "2"), ("mlflow", "3"))
NEW = {name: f"repository/{name}@sha256:{number * 64}" for name, number in DIGESTS}


def end_well(parsed: dict[str, Any], **_: Any) -> None:
    """moto runs no container: its tasks end by themselves, and without exit codes."""
    for task in parsed["tasks"]:
        task["containers"] = [{"name": "sidecar"}, *({"name": name, "exitCode": 0} for name in ("database", "migrate"))]


@pytest.fixture
def cluster(aws_environment: str) -> Iterator[Any]:
    """An ECS client of a cluster whose services run an old image each."""
    ecs, ec2 = boto3.client("ecs"), boto3.client("ec2")
    network = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    # Without it moto's RunTask fails.
    ec2.modify_vpc_attribute(VpcId=network, EnableDnsHostnames={"Value": True})
    subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="code", Description="code", VpcId=network)["GroupId"]
    ecs.create_cluster(clusterName=CLUSTER)
    for name in (*deploy.TASKS, *deploy.SERVICES):
        ecs.register_task_definition(
            family=f"{CLUSTER}-{name}",
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            taskRoleArn=f"arn:aws:iam::123456789012:role/{CLUSTER}-{name}-task",
            tags=[{"key": "part", "value": name}],
            containerDefinitions=[
                {"name": "sidecar", "image": "sidecar", "memory": 64},
                {
                    "name": name,
                    "image": f"old/{name}",
                    "memory": 256,
                    "environment": [{"name": deploy.RUN_VARIABLE, "value": f"{CLUSTER}-run"}],
                },
            ],
        )
    for name in deploy.SERVICES:
        ecs.create_service(
            cluster=CLUSTER,
            serviceName=name,
            taskDefinition=f"{CLUSTER}-{name}",
            desiredCount=0,
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}},
        )
        # Only an update makes moto count its tasks as running.
        ecs.update_service(cluster=CLUSTER, service=name, desiredCount=2 if name == "api" else 1)
    ecs.meta.events.register("after-call.ecs.DescribeTasks", end_well)
    yield ecs
    for name in deploy.SERVICES:
        ecs.delete_service(cluster=CLUSTER, service=name, force=True)
    ecs.delete_cluster(cluster=CLUSTER)


def deployment(ecs: Any, folder: Path) -> Any:
    return deploy.Deployment(ecs, CLUSTER, folder / "before.json", f"{CLUSTER}-", sleep=lambda seconds: None)


def running(ecs: Any) -> dict[str, tuple[str, int]]:
    """Image and number of tasks of each service."""
    found = {}
    for service in ecs.describe_services(cluster=CLUSTER, services=list(deploy.SERVICES))["services"]:
        told = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
        image = next(each["image"] for each in told["containerDefinitions"] if each["name"] == service["serviceName"])
        found[service["serviceName"]] = (image, service["desiredCount"])
    return found


def newest(ecs: Any, name: str) -> dict[str, Any]:
    """The container of the newest revision of a task's family that is not retired."""
    family = f"{CLUSTER}-{name}"
    arns = ecs.list_task_definitions(familyPrefix=family, status="ACTIVE")["taskDefinitionArns"]
    last = max(arns, key=lambda arn: int(arn.rpartition(":")[2]))
    told = ecs.describe_task_definition(taskDefinition=last)["taskDefinition"]
    container: dict[str, Any] = next(each for each in told["containerDefinitions"] if each["name"] == name)
    return container
