"""Each part works as its own role: with the environment of its task, and refused what its policies do not allow."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, make_url

from demand_assets.adapters.landing import LandingZone
from demand_assets.cli import main
from demand_assets.commands.database import GUESTS, OWNERS
from demand_assets.errors import LandingError
from demand_assets.store.keys import every_key
from demand_assets.store.migrations import migrate
from tests.identity import Ask, Identity, allows
from tests.repository.docker_files import DOCKER, ROOT
from tests.repository.ecs_cluster import NEW, deployment, end_well, running
from tests.repository.terraform_account import MASTER_SECRET
from tests.repository.terraform_plan import Plan

BUCKET = "example-demand"
# Where and as whom libpq connects, with RDS's certificate checked.
LIBPQ = ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGSSLMODE")


# How policies are read


def test_a_condition_on_a_prefix_holds_for_what_is_listed() -> None:
    statement = {
        "Effect": "Allow",
        "Action": ["s3:ListBucket"],
        "Resource": ["arn:aws:s3:::b"],
        "Condition": {"StringLikeIfExists": {"s3:prefix": ["raw", "raw/*"]}},
    }
    asked = {None: True, "raw": True, "raw/a": True, "": False, "models/": False}
    for prefix, allowed in asked.items():
        context = {} if prefix is None else {"s3:prefix": prefix}
        assert allows([{"Statement": [statement]}], Ask("s3:ListBucket", "arn:aws:s3:::b", context)) is allowed
    assert not allows([{"Statement": [statement]}], Ask("s3:GetObject", "arn:aws:s3:::b/raw/a"))
    denial = {**statement, "Effect": "Deny"}
    assert not allows([{"Statement": [statement, denial]}], Ask("s3:ListBucket", "arn:aws:s3:::b"))


# The parts


def environment_of(dev: Plan, part: str, secrets: dict[str, str]) -> dict[str, str]:
    """What the process of a task definition has, and no more but where AWS is."""
    container = dev.container(f"demand-dev-{part}")
    assert {one["name"] for one in container["secrets"]} == set(secrets)
    return {
        **dev.environment(f"demand-dev-{part}"),
        **secrets,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"],
        "AWS_ACCESS_KEY_ID": f"demand-dev-{part}-task",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


@pytest.fixture
def databases(postgres_url: str) -> Iterator[dict[str, str]]:
    """The secrets of the pipeline, with two empty databases."""
    name = f"{make_url(postgres_url).database}_dagster"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    yield {
        "DEMAND_STORE_URL": postgres_url,
        "DAGSTER_POSTGRES_URL": make_url(postgres_url).set(database=name).render_as_string(hide_password=False),
    }
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def register(dev: Plan, part: str) -> None:
    boto3.client("ecs").register_task_definition(
        family=f"demand-dev-{part}",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="1024",
        memory="4096",
        containerDefinitions=[{**dev.container(f"demand-dev-{part}"), "memory": 4096}],
    )


def test_migrate_has_the_environment_and_the_permissions_that_it_needs(
    identity: Identity, dev: Plan, databases: dict[str, str], tmp_path: Path
) -> None:
    register(dev, "run")
    shutil.copy(DOCKER / "dagster.aws.yaml", tmp_path / "dagster.yaml")
    # The image has its instance where the variable says; here it is a copy.
    environment = environment_of(dev, "migrate", databases) | {"DAGSTER_HOME": str(tmp_path)}
    ended = subprocess.run(
        dev.container("demand-dev-migrate")["command"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, identity.refused) == (0, []), ended.stdout[-2000:] + ended.stderr[-2000:]
    for url, table in ((databases["DEMAND_STORE_URL"], "forecasts"), (databases["DAGSTER_POSTGRES_URL"], "runs")):
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT to_regclass(%s)", (table,)).fetchone() == (table,)


def test_the_deploy_role_rolls_out_and_back(identity: Identity, cluster: Any, tmp_path: Path) -> None:
    ecs = boto3.client(
        "ecs",
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        aws_access_key_id="demand-dev-deploy",
        aws_secret_access_key="test",
    )
    ecs.meta.events.register("after-call.ecs.DescribeTasks", end_well)
    rolled = deployment(ecs, tmp_path)
    before = running(cluster)
    rolled.roll_out(NEW, database=True)
    rolled.try_run()
    assert {image for image, _ in running(cluster).values()} == set(NEW.values())
    rolled.roll_back()
    assert (running(cluster), identity.refused) == (before, [])


@pytest.mark.parametrize("part", ["code", "run"])
def test_a_landing_zone_without_files_can_be_looked_at(
    identity: Identity, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", f"demand-dev-{part}-task")
    with pytest.raises(LandingError, match="does not exist or is empty"):
        LandingZone(f"s3://{BUCKET}/raw").files()
    assert identity.refused == []


def test_the_database_task_has_every_address_and_the_masters_password(dev: Plan) -> None:
    container = dev.container("demand-dev-database")
    assert container["command"] == ["demand", "bootstrap-database"]
    named = {one["name"]: one["valueFrom"] for one in container["secrets"]}
    assert {*dev.environment("demand-dev-database"), *named} == {*OWNERS, *GUESTS, *LIBPQ}
    assert named["PGPASSWORD"] == f"{MASTER_SECRET}:password::"
    documents = dev.policies("demand-dev-database-execution")
    for reference in named.values():
        arn = reference.removesuffix(":password::")
        assert allows(documents, Ask("secretsmanager:GetSecretValue", arn))
    others = [one["name"] for one in dev.all("aws_iam_role") if one["name"] != "demand-dev-database-execution"]
    for role in others:
        assert not allows(dev.policies(role), Ask("secretsmanager:GetSecretValue", MASTER_SECRET)), role


def test_a_key_goes_into_its_secret_and_into_no_log(
    identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boto3.client("secretsmanager").create_secret(Name="demand/dev/key-smoke")
    url = f"sqlite:///{tmp_path / 'store.db'}"
    migrate(url)
    create = ["keys", "create", "smoke", "--scope", "read", "--secret"]
    role = {"DEMAND_STORE_URL": url, "AWS_ACCESS_KEY_ID": "demand-dev-migrate-task"}
    ended = CliRunner().invoke(main, [*create, "demand/dev/key-smoke"], env=role)
    assert (ended.exit_code, identity.refused) == (0, [])
    key = boto3.client("secretsmanager").get_secret_value(SecretId="demand/dev/key-smoke")["SecretString"]
    assert key.startswith("dk_")
    assert key not in ended.output
    # A key that cannot be delivered opens nothing.
    ended = CliRunner().invoke(main, [*create, "demand/prod/key-smoke"], env=role)
    assert (ended.exit_code, "demand/prod/key-smoke cannot be written" in ended.output) == (1, True)
    with create_engine(url).connect() as connection:
        assert sorted(row["revoked_at"] is None for row in every_key(connection)) == [False, True]
