"""Roll new images out to ECS, and back: `python docker/deploy.py {roll-out,roll-back,try-run,smoke-test} --help`.

Needs boto3 and credentials that may describe and register task definitions, run `database` and `migrate`,
and update the services.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

# Who is started from which image. Each task definition has a container named like the part.
PIPELINE_SERVICES = ("code", "webserver", "daemon")
# In the order of their new tasks: what others ask comes first.
SERVICES = ("mlflow", "code", "webserver", "daemon", "api")
# Where they are: a cluster must run the code of the runs that use it.
CLUSTER_SERVICES = ("dask-scheduler", "dask-worker")
TASKS = ("run", "database", "migrate", "watch")
IMAGES = {
    **dict.fromkeys((*PIPELINE_SERVICES, *CLUSTER_SERVICES, *TASKS), "pipeline"),
    "api": "api",
    "mlflow": "mlflow",
}
# What describe_task_definition tells beyond what register_task_definition takes.
_TOLD_ONLY = frozenset(
    {
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
        "deregisteredAt",
    }
)
# Names the task definition of runs in the services that launch them.
RUN_VARIABLE = "DAGSTER_ECS_TASK_DEFINITION"
POLL_SECONDS = 10.0
DRAIN_SECONDS = 3600.0
TASK_SECONDS = 900.0
STABLE_SECONDS = 1200.0


class DeployError(Exception):
    """A step that did not succeed, in one line."""


class Deployment:
    """One cluster's services and task definitions; `before` is where what they were is written down."""

    def __init__(self, ecs: Any, cluster: str, before: Path, prefix: str, sleep: Callable[[float], None] = time.sleep):
        self.ecs, self.cluster, self.before, self.prefix, self._sleep = ecs, cluster, before, prefix, sleep

    def roll_out(self, images: Mapping[str, str], database: bool = False) -> None:
        """Migrate with the new pipeline image while the daemon rests and no run runs, then start every service anew.

        `database`: first make databases and roles, or set their passwords, as the secrets say.
        DeployError when a step fails; the services are then as they were, except for what `migrate` has done.
        """
        services = self._services()
        kept: dict[str, Any] = {
            "cluster": self.cluster,
            "services": {
                name: {"taskDefinition": service["taskDefinition"], "desiredCount": service["desiredCount"]}
                for name, service in services.items()
            },
            "registered": [],
        }
        self._keep(kept)
        try:
            new = self._register(services, images, kept)
            network = services["code"]["networkConfiguration"]
            _say("Stopping the daemon while the databases are migrated ...")
            self.ecs.update_service(cluster=self.cluster, service="daemon", desiredCount=0)
            self._await_services({"daemon": services["daemon"]["taskDefinition"]})
            self._drain()
            for task in ("database", "migrate") if database else ("migrate",):
                self._run(task, new[task], network)
            for name in services:
                changes: dict[str, Any] = {"taskDefinition": new[name]}
                if name == "daemon":
                    # One, whatever it was: two daemons would start every run twice.
                    changes["desiredCount"] = 1
                self.ecs.update_service(cluster=self.cluster, service=name, **changes)
            _say("Waiting for the services to be stable ...")
            self._await_services({name: new[name] for name in services})
        except Exception as error:
            # Whatever it was, the cluster must not be left half changed; the error is what the caller gets.
            _say(f"Failed: {error}")
            self.roll_back()
            raise
        _say("Rolled out.")

    def roll_back(self) -> None:
        """Services as `before` says, the revisions registered since retired so that each family's newest is the old."""
        if not self.before.exists():
            _say("Nothing was changed, so there is nothing to go back to.")
            return
        kept = json.loads(self.before.read_text())
        _say("Going back to the previous task definitions ...")
        for name, was in kept["services"].items():
            self.ecs.update_service(cluster=self.cluster, service=name, **was)
        self._await_services({name: was["taskDefinition"] for name, was in kept["services"].items()})
        for arn in list(kept["registered"]):
            self.ecs.deregister_task_definition(taskDefinition=arn)
            kept["registered"].remove(arn)
            self._keep(kept)
        _say("Back on the previous task definitions.")

    def try_run(self) -> None:
        """One tiny run through code server, daemon, task, MLflow and databases; DeployError unless it ends well."""
        network = self._services()["webserver"]["networkConfiguration"]
        told = self.ecs.describe_task_definition(taskDefinition=f"{self.prefix}migrate")["taskDefinition"]
        self._run("migrate", told["taskDefinitionArn"], network, ["demand", "smoke"])
        _say("A tiny run ended well.")

    def _services(self) -> dict[str, Any]:
        """Those that there must be and those that there may be, in the order of their new tasks."""
        answer = self.ecs.describe_services(cluster=self.cluster, services=[*SERVICES, *CLUSTER_SERVICES])
        found = {service["serviceName"]: service for service in answer["services"] if service["status"] == "ACTIVE"}
        if missing := [name for name in SERVICES if name not in found]:
            raise DeployError(f"cluster {self.cluster} lacks the services {', '.join(missing)}; has {sorted(found)}")
        return {name: found[name] for name in (*SERVICES, *CLUSTER_SERVICES) if name in found}

    def _register(self, services: Mapping[str, Any], images: Mapping[str, str], kept: dict[str, Any]) -> dict[str, str]:
        """ARN of a new revision of every family, those of tasks first: services name the one of runs."""
        new: dict[str, str] = {}
        for name in (*TASKS, *services):
            family = f"{self.prefix}{name}" if name in TASKS else services[name]["taskDefinition"]
            told = self.ecs.describe_task_definition(taskDefinition=family, include=["TAGS"])
            definition = {key: value for key, value in told["taskDefinition"].items() if key not in _TOLD_ONLY}
            containers = definition["containerDefinitions"]
            own = [container for container in containers if container["name"] == name]
            if not own:
                names = ", ".join(container["name"] for container in containers)
                raise DeployError(f"task definition {family} has no container {name}; has {names}")
            own[0]["image"] = images[IMAGES[name]]
            for variable in own[0].get("environment", []):
                # A run launches none, whatever it was given.
                if variable["name"] == RUN_VARIABLE and name != "run":
                    variable["value"] = new["run"]
            if told.get("tags"):
                definition["tags"] = told["tags"]
            new[name] = self.ecs.register_task_definition(**definition)["taskDefinition"]["taskDefinitionArn"]
            # At once: a roll-back after a crash must know it.
            kept["registered"].append(new[name])
            self._keep(kept)
            _say(f"Registered {new[name].rpartition('/')[2]}: {images[IMAGES[name]]}")
        return new

    def _drain(self) -> None:
        """Wait for running runs: the daemon rests, so no new one starts, and their code is the old one's."""
        _say("Waiting for running runs to end ...")
        self._await(lambda: not self._running(), DRAIN_SECONDS, "running runs to end; cancel them or deploy later")

    def _running(self) -> list[str]:
        family = f"{self.prefix}run"
        pages = self.ecs.get_paginator("list_tasks").paginate(cluster=self.cluster, family=family)
        return [arn for page in pages for arn in page["taskArns"]]

    def _run(self, name: str, definition: str, network: Mapping[str, Any], command: Sequence[str] = ()) -> None:
        _say(f"Running {' '.join(command) or name} ...")
        overrides = {"containerOverrides": [{"name": name, "command": list(command)}]} if command else {}
        started = self.ecs.run_task(
            cluster=self.cluster,
            taskDefinition=definition,
            launchType="FARGATE",
            networkConfiguration=network,
            overrides=overrides,
        )
        if not started["tasks"]:
            reasons = ", ".join(failure.get("reason", "no reason given") for failure in started["failures"])
            raise DeployError(f"{name} did not start: {reasons}")
        arn = started["tasks"][0]["taskArn"]
        task = self._await(lambda: self._stopped(arn), TASK_SECONDS, f"{name} ({arn}) to end")
        codes = {container["name"]: container.get("exitCode") for container in task["containers"]}
        if codes.get(name) != 0:
            reason = task.get("stoppedReason", "no reason given")
            raise DeployError(f"{name} ended with {codes.get(name)}: {reason}; see its log")

    def _stopped(self, arn: str) -> Any:
        tasks = self.ecs.describe_tasks(cluster=self.cluster, tasks=[arn])["tasks"]
        return next((task for task in tasks if task["lastStatus"] == "STOPPED"), None)

    def _await_services(self, wanted: Mapping[str, str]) -> None:
        self._await(lambda: self._stable(wanted), STABLE_SECONDS, f"{', '.join(wanted)} to be stable")

    def _stable(self, wanted: Mapping[str, str]) -> bool:
        """Every service runs all it should of its wanted definition; DeployError when ECS gave one up."""
        answer = self.ecs.describe_services(cluster=self.cluster, services=list(wanted))
        stable = True
        for service in answer["services"]:
            name, deployments = service["serviceName"], service["deployments"]
            if service["taskDefinition"] != wanted[name]:
                # The circuit breaker went back by itself.
                raise DeployError(f"{name} is on {service['taskDefinition']}, not on {wanted[name]}: its tasks failed")
            primary = next(deployment for deployment in deployments if deployment["status"] == "PRIMARY")
            if primary.get("rolloutState") == "FAILED":
                raise DeployError(f"{name} did not start: {primary.get('rolloutStateReason')}")
            stable &= len(deployments) == 1 and service["runningCount"] == service["desiredCount"]
        return stable

    def _await(self, look: Callable[[], Any], seconds: float, what: str) -> Any:
        waited = 0.0
        while not (seen := look()):
            if waited >= seconds:
                raise DeployError(f"waited {seconds:.0f} s for {what}")
            self._sleep(POLL_SECONDS)
            waited += POLL_SECONDS
        return seen

    def _keep(self, kept: Mapping[str, Any]) -> None:
        temporary = self.before.with_suffix(".tmp")
        temporary.write_text(json.dumps(kept, indent=1))
        temporary.replace(self.before)


def smoke_test(url: str, key: str) -> str:
    """What the service at `url` answers, in one line; DeployError when it is not alive, not ready or has no forecast.

    A forecast that is overdue was so before, and an empty store is that of a first deployment: neither is refused.
    """
    status, health = _get(f"{url}/health", key)
    if status != 200:
        raise DeployError(f"{url}/health answers {status}: {health}")
    status, ready = _get(f"{url}/ready", key)
    if health.get("vintages") == 0:
        return "alive; nothing is published yet, so there is no forecast to ask for"
    if status != 200 and not ready.get("is_stale"):
        raise DeployError(f"{url}/ready answers {status}: {ready}")
    status, listed = _get(f"{url}/v1/forecasts?limit=1", key)
    if status != 200 or not listed.get("items"):
        raise DeployError(f"{url}/v1/forecasts answers {status}: {listed}")
    row = listed["items"][0]
    query = urllib.parse.urlencode({name: row[name] for name in ("store_id", "dept_id", "week")})
    status, forecast = _get(f"{url}/forecast?{query}", key)
    if status != 200 or "forecast" not in forecast:
        raise DeployError(f"{url}/forecast?{query} answers {status}: {forecast}")
    overdue = "; the next forecast is overdue" if ready.get("is_stale") else ""
    return f"alive and ready; {query}: {forecast['forecast']} {forecast['unit']}{overdue}"


def _get(address: str, key: str) -> tuple[int, Any]:
    if not address.startswith(("https://", "http://")):
        raise DeployError(f"expected https://..., got {address}")
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {key}"} if key else {})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        try:
            return error.code, json.loads(text)
        except ValueError:
            return error.code, {"text": text[:200]}
    except OSError as error:
        raise DeployError(f"{address} cannot be reached: {error}") from error


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def _named(text: str) -> tuple[str, str]:
    name, _, image = text.partition("=")
    if name not in IMAGES.values() or "@sha256:" not in image:
        raise argparse.ArgumentTypeError(f"expected pipeline|api|mlflow=REPOSITORY@sha256:DIGEST, got {text}")
    return name, image


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 on success, 1 with one line when a step failed."""
    parser = argparse.ArgumentParser(prog="deploy.py", description="Roll new images out to ECS, and back.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("roll-out", "roll-back", "try-run"):
        command = commands.add_parser(name)
        command.add_argument("--cluster", required=True, help="ECS cluster, e.g. demand-dev")
        if name != "try-run":
            command.add_argument("--before", required=True, type=Path, help="file that says what the services were")
        command.add_argument("--prefix", help="of the families of tasks; default: CLUSTER-")
    commands.choices["roll-out"].add_argument(
        "--image", action="append", type=_named, required=True, help="NAME=REPOSITORY@sha256:DIGEST, once each"
    )
    commands.choices["roll-out"].add_argument(
        "--database", action="store_true", help="first make databases and roles, or set their passwords"
    )
    smoke = commands.add_parser("smoke-test", description="The key is read from SMOKE_API_KEY.")
    smoke.add_argument("--url", required=True, help="address of the service")
    given = parser.parse_args(arguments)
    try:
        if given.command == "smoke-test":
            _say(smoke_test(given.url.rstrip("/"), os.environ.get("SMOKE_API_KEY", "")))
            return 0
        prefix = f"{given.cluster}-" if given.prefix is None else given.prefix
        before = getattr(given, "before", Path("before.json"))
        deployment = Deployment(boto3.client("ecs"), given.cluster, before, prefix)
        if given.command == "try-run":
            deployment.try_run()
            return 0
        if given.command == "roll-back":
            deployment.roll_back()
            return 0
        images = dict(given.image)
        if missing := sorted(set(IMAGES.values()) - set(images)):
            raise DeployError(f"--image is missing for {', '.join(missing)}")
        deployment.roll_out(images, given.database)
    except (DeployError, ClientError) as error:
        sys.stderr.write(f"deploy: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
