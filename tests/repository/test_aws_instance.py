"""Dagster's instance on AWS: runs, their sizes, records and logs."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pandas as pd
import pytest
import yaml
from dagster_aws.ecs import EcsRunLauncher
from dagster_aws.s3 import S3ComputeLogManager
from dagster_postgres.event_log import PostgresEventLogStorage

from demand_assets.adapters.dagster_internals import ComputeIOType
from demand_assets.adapters.fargate import TASK_SIZES
from demand_assets.assets.scenarios import SCENARIO
from demand_assets.automation import jobs
from demand_assets.definitions import job_named
from demand_assets.partitions import range_tags, register_weeks, week_key
from tests.repository.docker_files import DOCKER


@dg.job
def nothing() -> None:
    """A job without steps."""


@pytest.fixture
def network(aws_environment: str) -> tuple[list[str], str]:
    """Two subnets and a security group."""
    ec2 = boto3.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    blocks = ("10.0.1.0/24", "10.0.2.0/24")
    subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=block)["Subnet"]["SubnetId"] for block in blocks]
    return subnets, ec2.create_security_group(GroupName="runs", Description="runs", VpcId=vpc)["GroupId"]


@pytest.fixture
def on_aws(
    network: tuple[list[str], str], postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """The instance of docker/dagster.aws.yaml on a real database and an ECS and S3 of moto's."""
    ecs = boto3.client("ecs")
    ecs.create_cluster(clusterName="demand-test")
    ecs.register_task_definition(
        family="demand-test-run",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="1024",
        memory="4096",
        containerDefinitions=[{"name": "run", "image": "demand/pipeline", "memory": 4096}],
    )
    boto3.client("s3").create_bucket(Bucket="demand-logs")
    for name, value in {
        "DAGSTER_POSTGRES_URL": postgres_url,
        "DAGSTER_ECS_CLUSTER": "demand-test",
        "DAGSTER_ECS_TASK_DEFINITION": "demand-test-run",
        "DAGSTER_ECS_SUBNETS": ", ".join(network[0]),
        "DAGSTER_ECS_SECURITY_GROUP": network[1],
        "DAGSTER_LOGS_BUCKET": "demand-logs",
    }.items():
        monkeypatch.setenv(name, value)
    shutil.copy(DOCKER / "dagster.aws.yaml", tmp_path / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance
    # The image's copy lies on a root that cannot be written.
    assert [path.name for path in tmp_path.iterdir()] == ["dagster.yaml"]


def test_runs_are_fargate_tasks_in_the_network_of_the_environment(
    on_aws: dg.DagsterInstance, network: tuple[list[str], str]
) -> None:
    launcher = on_aws.run_launcher
    assert isinstance(launcher, EcsRunLauncher)
    assert launcher.task_definition is not None
    assert ":task-definition/demand-test-run:" in launcher.task_definition
    assert (launcher.container_name, launcher.use_current_ecs_task_config) == ("run", False)
    assert launcher.secrets_tags == []
    assert launcher.run_task_kwargs == {
        "cluster": "demand-test",
        "launchType": "FARGATE",
        "platformVersion": "LATEST",
        "propagateTags": "TASK_DEFINITION",
        "enableECSManagedTags": True,
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": network[0],
                "securityGroups": [network[1]],
                "assignPublicIp": "DISABLED",
            }
        },
    }


def launched(instance: dg.DagsterInstance, job: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """What ECS is asked for when the daemon launches a run of a job, with a sensor's or a person's tags."""
    asked: list[dict[str, Any]] = []
    launcher = instance.run_launcher
    assert isinstance(launcher, EcsRunLauncher)
    launcher.ecs.meta.events.register("provide-client-params.ecs.RunTask", lambda params, **_: asked.append(params))
    code = dg.build_reconstructable_job("demand_assets.definitions", "job_named", (job,)).get_python_origin()
    run = instance.create_run_for_job(
        job_named(job), run_config=CONFIGS.get(job), tags={**job_named(job).tags, **tags}, job_code_origin=code
    )
    instance.launch_run(run.run_id, None)
    (request,) = asked
    return request


# Run config of the jobs that need one.
CONFIGS = {SCENARIO: {"ops": {"make_scenario": {"config": {"name": "half price", "changes": ""}}}}}


@pytest.mark.parametrize("job", sorted(TASK_SIZES))
def test_a_run_has_the_size_of_its_job(on_aws: dg.DagsterInstance, job: str) -> None:
    cpu, memory = TASK_SIZES[job]
    overrides = launched(on_aws, job, {})["overrides"]
    assert (overrides["cpu"], overrides["memory"]) == (str(cpu), str(memory))
    (container,) = overrides["containerOverrides"]
    assert (container["cpu"], container["memory"]) == (cpu, memory)


def test_a_size_is_one_that_fargate_has() -> None:
    gib = {1024: range(2, 9), 2048: range(4, 17), 4096: range(8, 31), 8192: range(16, 61, 4), 16384: range(32, 121, 8)}
    assert set(TASK_SIZES) == {job.name for job in jobs}
    # On one machine nobody reads them.
    assert not [tag for job in jobs for tag in job.tags if tag.startswith("ecs/")]
    for cpu, memory in TASK_SIZES.values():
        assert memory in {1024 * size for size in gib[cpu]}


def test_a_runs_own_size_goes_before_its_jobs(on_aws: dg.DagsterInstance) -> None:
    tags = {"ecs/cpu": "8192", "ecs/memory": "61440", "ecs/ephemeral_storage": "40"}
    overrides = launched(on_aws, "train_and_forecast", tags)["overrides"]
    assert (overrides["cpu"], overrides["memory"]) == ("8192", "61440")
    assert overrides["ephemeralStorage"] == {"sizeInGiB": 40}


def test_the_overrides_of_the_largest_run_fit_into_what_ecs_takes(
    on_aws: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An event for each asset, not for each of its weeks.
    monkeypatch.setenv("DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS", "true")
    weeks = pd.date_range("2010-02-05", periods=143, freq="7D")
    register_weeks(on_aws, [week_key(week) for week in weeks])
    tags = {
        **range_tags(week_key(weeks[0]), week_key(weeks[-1])),
        "dagster/backfill": "abcdefgh",
        "demand/file": "f" * 999,
    }
    overrides = json.dumps(launched(on_aws, "ingest", tags)["overrides"])
    # Its command names the run and the instance; weeks and tags are read from the database.
    assert "2010-02-05" not in overrides
    # About 4,000 characters, most of them dagster.aws.yaml; ECS takes 8,192.
    assert len(overrides) < 5000, len(overrides)


def test_the_instance_on_aws_keeps_its_records_in_postgresql_and_s3(on_aws: dg.DagsterInstance) -> None:
    assert isinstance(on_aws.event_log_storage, PostgresEventLogStorage)
    run = on_aws.create_run_for_job(nothing)
    assert on_aws.get_run_by_id(run.run_id) is not None
    logs = on_aws.compute_log_manager
    assert isinstance(logs, S3ComputeLogManager)
    with logs.open_log_stream(["a", "b"], ComputeIOType.STDERR) as stream:
        assert stream is not None
        stream.write("something")
    keys = [entry["Key"] for entry in boto3.client("s3").list_objects_v2(Bucket="demand-logs")["Contents"]]
    assert keys
    assert all(key.startswith("logs/") for key in keys)


def test_the_instance_on_aws_watches_its_runs_and_sends_no_telemetry(on_aws: dg.DagsterInstance) -> None:
    assert on_aws.run_monitoring_enabled
    assert on_aws.run_monitoring_max_resume_run_attempts == 0
    assert on_aws.run_monitoring_start_timeout_seconds == 600
    assert on_aws.run_retries_enabled
    assert on_aws.run_retries_max_retries == 2
    assert not on_aws.telemetry_enabled
    assert not on_aws.nux_enabled


def test_the_workspace_on_aws_names_the_code_server_of_the_environment() -> None:
    assert yaml.safe_load((DOCKER / "workspace.aws.yaml").read_text()) == {
        "load_from": [
            {
                "grpc_server": {
                    "host": {"env": "DAGSTER_CODE_HOST"},
                    "port": {"env": "DAGSTER_CODE_PORT"},
                    "location_name": "demand",
                }
            }
        ]
    }
