"""What the images, the instance on AWS and the local stack promise, as far as it shows without a Docker daemon."""

import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pandas as pd
import psycopg
import pytest
import yaml
from dagster_aws.ecs import EcsRunLauncher
from dagster_aws.s3 import S3ComputeLogManager
from dagster_postgres.event_log import PostgresEventLogStorage
from sqlalchemy import make_url

from api.settings import ApiSettings
from demand_assets.adapters.dagster_internals import ComputeIOType
from demand_assets.automation import TASK_SIZES, jobs
from demand_assets.definitions import job_named
from demand_assets.partitions import range_tags, register_weeks, week_key
from demand_assets.settings import Settings
from demand_assets.store.migrations import migrate

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
IMAGES = ("pipeline", "api", "mlflow")
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: Mapping[str, Any] = COMPOSE["services"]
# Beside the installed package `docker`, the folder cannot be one.
_SPEC = importlib.util.spec_from_file_location("healthcheck", DOCKER / "healthcheck.py")
assert _SPEC is not None
assert _SPEC.loader is not None
healthcheck = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(healthcheck)
ACCOUNT = "10001:10001"
COMMANDS = {
    "code": "dagster code-server start -h 0.0.0.0 -p 4000 -m demand_assets.definitions",
    "webserver": "dagster-webserver -h 0.0.0.0 -p 3000 -w /opt/dagster/workspace.yaml",
    "daemon": "dagster-daemon run -w /opt/dagster/workspace.yaml",
    "api": "python -m api",
    "mlflow": "mlflow server --host 0.0.0.0 --port 5000 --workers 1 --serve-artifacts",
    "migrate": "sh -c demand migrate && dagster instance migrate",
    "dask-scheduler": "python -m demand_assets.adapters.cluster_services scheduler",
    "dask-worker": (
        "python -m distributed.cli.dask_worker tcp://dask-scheduler:8786 "
        "--nthreads 1 --memory-limit 0.9 --no-dashboard --death-timeout 300"
    ),
}


def instructions(image: str) -> list[tuple[str, str]]:
    """Keyword and arguments of each instruction, comments gone and lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (DOCKER / f"{image}.Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(line.split(None, 1)[0], " ".join(line.split(None, 1)[1].split())) for line in lines]


def final_stage(image: str) -> list[tuple[str, str]]:
    parts = instructions(image)
    return parts[max(index for index, (word, _) in enumerate(parts) if word == "FROM") :]


def of(parts: list[tuple[str, str]], word: str) -> list[str]:
    return [arguments for keyword, arguments in parts if keyword == word]


def locked(name: str) -> dict[str, str]:
    """Version of each package of a lock, less their markers."""
    text = (ROOT / name).read_text()
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^\s;\\]+)", text, re.MULTILINE))


def hashes(name: str) -> dict[str, frozenset[str]]:
    entries = re.split(r"^(?=[a-z0-9])", (ROOT / name).read_text(), flags=re.MULTILINE)
    return {entry.split("==")[0]: frozenset(re.findall(r"--hash=(\S+)", entry)) for entry in entries if entry.strip()}


def sources(image: str) -> list[str]:
    copies = [arguments.split() for arguments in of(instructions(image), "COPY") if "--from=" not in arguments]
    return [source for words in copies for source in words[:-1]]


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path out of the build: the last rule that matches it or a folder of it decides."""
    out = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        rule = line.removeprefix("!")
        pattern = re.escape(rule).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        if re.fullmatch(f"{pattern}(/.*)?", path):
            out = not line.startswith("!")
    return out


# The images


@pytest.mark.parametrize("image", IMAGES)
def test_hadolint_has_nothing_to_say(image: str) -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert hadolint is not None, "it is among the development dependencies: make setup"
    ended = subprocess.run([hadolint, str(DOCKER / f"{image}.Dockerfile")], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.returncode) == ("", 0)


@pytest.mark.parametrize("image", IMAGES)
def test_a_base_image_is_pinned_by_digest(image: str) -> None:
    parts = instructions(image)
    defaults = dict(argument.split("=", 1) for argument in of(parts, "ARG") if "=" in argument)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", defaults["PYTHON_DIGEST"])
    assert {arguments.split(" AS ")[0] for arguments in of(parts, "FROM")} == {"${PYTHON_IMAGE}@${PYTHON_DIGEST}"}


def test_all_images_stand_on_one_base() -> None:
    assert len({tuple(of(instructions(image), "ARG")[:2]) for image in IMAGES}) == 1


@pytest.mark.parametrize("image", IMAGES)
def test_the_final_layer_runs_as_nobody_and_says_how_it_is(image: str) -> None:
    final = final_stage(image)
    assert of(final, "USER") == [ACCOUNT]
    assert of(final, "STOPSIGNAL") == ["SIGTERM"]
    assert of(final, "VOLUME") == ['["/tmp"]']
    [health] = of(final, "HEALTHCHECK")
    assert json.loads(health.partition("CMD ")[2])[0] == "python"
    labels = " ".join(of(final, "LABEL"))
    assert 'image.version="${VERSION}"' in labels
    assert 'image.revision="${REVISION}"' in labels


@pytest.mark.parametrize("image", IMAGES)
def test_the_final_layer_has_no_build_tools(image: str) -> None:
    run = " ".join(of(final_stage(image), "RUN"))
    assert not re.search(r"apt-get|apk|pip|uv |gcc|make|curl|wget", run)
    assert [copy for copy in of(final_stage(image), "COPY") if "--from=build" in copy] == [
        "--from=build /opt/venv /opt/venv"
    ]


@pytest.mark.parametrize("image", IMAGES)
def test_dependencies_come_from_a_hashed_lock_alone(image: str) -> None:
    steps = of(instructions(image), "RUN")
    installs = [install for step in steps for install in re.findall(r"pip install (.*?)(?=&&|$)", step)]
    assert installs
    for install in installs:
        assert "--no-deps" in install
        assert "--require-hashes" in install or install.strip().endswith("/wheels/*.whl")


@pytest.mark.parametrize("image", IMAGES)
def test_what_is_copied_is_there_and_not_ignored(image: str) -> None:
    assert sources(image)
    for source in sources(image):
        assert (ROOT / source).exists(), source
        assert not ignored(source), source


def test_only_what_the_images_need_is_sent_to_the_build() -> None:
    out = (".git/config", ".demand/workspace/store.db", ".venv/bin/python", "tests/conftest.py", "docker/.env")
    out += (".env", "terraform/main.tf", "docker/certs/rds.key", "api/__pycache__/app.cpython-312.pyc")
    inside = ("api/static/index.html", "demand_assets/store/tables.py", "docker/certs/README.md")
    assert {path: ignored(path) for path in (*out, *inside)} == {
        **dict.fromkeys(out, True),
        **dict.fromkeys(inside, False),
    }


@pytest.mark.parametrize("image", [*IMAGES, "build", "deploy"])
def test_a_lock_of_an_image_is_part_of_the_one_lock(image: str) -> None:
    name = f"docker/requirements-{image}.lock"
    whole, part = locked("requirements.lock"), locked(name)
    assert part
    assert part.items() <= whole.items()
    whole_hashes, part_hashes = hashes("requirements.lock"), hashes(name)
    assert all(part_hashes[package] == whole_hashes[package] for package in part_hashes)
    assert "://" not in (ROOT / name).read_text()


def test_the_service_carries_no_pipeline() -> None:
    assert not set(locked("docker/requirements-api.lock")) & {"dagster", "mlflow", "xgboost", "pandas", "boto3"}


def test_no_image_carries_a_gpu_library_or_a_test_tool() -> None:
    for image in IMAGES:
        packages = set(locked(f"docker/requirements-{image}.lock"))
        assert not packages & {"nvidia-nccl-cu12", "pytest", "moto", "hatchling", "playwright", "uv"}


def scripts_of(packages: set[str]) -> set[str]:
    """Console scripts that these packages install, as far as they are installed here."""
    found = {"python", "sh"}
    for package in packages:
        try:
            entries = importlib.metadata.distribution(package).entry_points
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform
        found |= {entry.name for entry in entries if entry.group == "console_scripts"}
    return found


@pytest.mark.parametrize("service", COMMANDS)
def test_a_command_is_in_the_image_that_runs_it(service: str) -> None:
    image = service if service in ("api", "mlflow") else "pipeline"
    own = {"demand"} if image == "pipeline" else set()
    scripts = scripts_of(set(locked(f"docker/requirements-{image}.lock"))) | own
    words = COMMANDS[service].removeprefix("sh -c ").split(" && ")
    assert {command.split()[0] for command in words} <= scripts


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_starts_its_part_by_default(image: str) -> None:
    [command] = of(final_stage(image), "CMD")
    assert " ".join(json.loads(command)) == COMMANDS["code" if image == "pipeline" else image]


@pytest.mark.parametrize(
    ("command", "role"),
    [(COMMANDS[name], name) for name in ("code", "webserver", "daemon")]
    + [("python -m dagster api execute_run {}", ""), (COMMANDS["migrate"], "")],
)
def test_the_health_check_knows_a_part_by_its_command(command: str, role: str) -> None:
    assert healthcheck.role_of(command.replace(" ", "\0")) == role


def test_the_health_check_finds_a_webserver_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(healthcheck, "WEBSERVER_PORT", 1)
    assert not healthcheck.is_healthy("webserver")
    assert healthcheck.is_healthy("")


# The instance on AWS


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
    run = instance.create_run_for_job(job_named(job), tags={**job_named(job).tags, **tags}, job_code_origin=code)
    instance.launch_run(run.run_id, None)
    (request,) = asked
    return request


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
    for cpu, memory in TASK_SIZES.values():
        assert memory in {1024 * size for size in gib[cpu]}


def test_a_runs_own_size_goes_before_its_jobs(on_aws: dg.DagsterInstance) -> None:
    tags = {"ecs/cpu": "8192", "ecs/memory": "61440", "ecs/ephemeral_storage": "40"}
    overrides = launched(on_aws, "train_and_forecast", tags)["overrides"]
    assert (overrides["cpu"], overrides["memory"]) == ("8192", "61440")
    assert overrides["ephemeralStorage"] == {"sizeInGiB": 40}


def test_the_overrides_of_the_largest_run_fit_into_what_ecs_takes(on_aws: dg.DagsterInstance) -> None:
    weeks = pd.date_range("2010-02-05", periods=143, freq="7D")
    register_weeks(on_aws, weeks)
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
    assert on_aws.get_settings("run_monitoring")["free_slots_after_run_end_seconds"] == 300
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


# The local stack


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
    known |= set(re.findall(r"env: (\w+)", instance)) | {"DAGSTER_HOME"}
    given = {name for part in SERVICES.values() for name in part.get("environment", {})}
    given -= {name for name in given if name.endswith("_PASSWORD")}  # for create.sh
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


def test_the_service_may_read_everything_and_add_overrides_only(postgres_url: str) -> None:
    migrate(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = 'demand_api'").fetchone() is None:
            admin.execute("CREATE ROLE demand_api LOGIN")
        admin.execute((DOCKER / "postgres" / "grants.sql").read_text().encode())
        rows = admin.execute(
            "SELECT table_name, privilege_type FROM information_schema.role_table_grants WHERE grantee = 'demand_api'"
        ).fetchall()
        tables = admin.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchall()
        admin.execute("CREATE TABLE later (number int)")
        assert admin.execute("SELECT has_table_privilege('demand_api', 'later', 'SELECT')").fetchone() == (True,)
        admin.execute("DROP OWNED BY demand_api")
    assert set(rows) == {(name, "SELECT") for (name,) in tables} | {("overrides", "INSERT")}
    assert make_url(postgres_url).database
