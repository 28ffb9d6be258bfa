"""The Terraform configuration is in the words of the provider, resolves, is formatted and passes the security scan."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.repository.terraform_files import TERRAFORM, read_tree, types_used
from tests.repository.terraform_plan import Plan, Terraform
from tests.repository.terraform_schema import SCHEMA, code_of, main, problems

KNOWN: dict[str, Any] = json.loads(SCHEMA.read_text())

# A root that is right, and one part of it made wrong in each case below.
ROOT = """
variable "name" {
  description = "Name."
  type        = string
}

resource "aws_s3_bucket_logging" "this" {
  bucket        = module.inner.bucket
  target_bucket = var.name
  target_prefix = "s3/${var.name}"
}

resource "aws_sns_topic" "this" {
  for_each = toset(["a", "b"])
  name     = "${var.name}-${each.value}"
}

resource "aws_ecs_service" "this" {
  name = local.names[0]

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  dynamic "load_balancer" {
    for_each = [for topic in aws_sns_topic.this : topic.arn]

    content {
      target_group_arn = load_balancer.value
      container_name   = "app"
      container_port   = 80
    }
  }
}

locals {
  names = [var.name]
}

module "inner" {
  source = "./inner"

  name = var.name
}
"""
INNER = """
variable "name" {
  description = "Name."
  type        = string
}

resource "aws_s3_bucket" "this" {
  bucket = var.name
}

output "bucket" {
  description = "Bucket."
  value       = aws_s3_bucket.this.id
}
"""


def _problems_of(folder: Path, root: str, tfvars: str = "") -> list[str]:
    (folder / "inner").mkdir()
    (folder / "main.tf").write_text(root)
    (folder / "inner" / "main.tf").write_text(INNER)
    (folder / "dev.tfvars").write_text(tfvars)
    return problems(folder, KNOWN)


def test_the_configuration_is_right() -> None:
    assert problems(TERRAFORM, KNOWN) == []


def test_a_right_root_has_no_problems(tmp_path: Path) -> None:
    assert _problems_of(tmp_path, ROOT, 'name = "x"') == []


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ('resource "aws_sns_topic"', 'resource "aws_sns_topics"', "the provider has no aws_sns_topics"),
        ("target_prefix", "target_prefixes", "there is no target_prefixes"),
        ("rollback =", "roll_back =", "deployment_circuit_breaker: there is no roll_back"),
        ("    rollback = true\n", "", "deployment_circuit_breaker: rollback is missing"),
        ("  target_bucket = var.name\n", "", "target_bucket is missing"),
        ("container_name ", "container ", "load_balancer: there is no container"),
        ("deployment_circuit_breaker {", "deployment_circuit_breaker = {", "is a block, not an argument"),
        ('name     = "${var.name}-${each.value}"', "name {}", "name is an argument, not a block"),
        ("  name = local.names[0]\n", '  name = "x"\n  arn = "y"\n', "arn is set by the provider"),
        ("\n  name = var.name\n", "\n  nam = var.name\n", "module inner: has no variable nam"),
        ("\n  name = var.name\n", "\n", "module inner: name is missing"),
        ('"./inner"', '"./outer"', "module inner: there is no folder ./outer"),
        ("module.inner.bucket", "module.inner.bucket_arn", "module inner has no output bucket_arn"),
        ("module.inner.bucket", "module.outer.bucket", "module.outer.bucket is not declared"),
        ("s3/${var.name}", "s3/${var.nam}", "var.nam is not declared"),
        ("local.names[0]", "local.name[0]", "local.name is not declared"),
        ("in aws_sns_topic.this", "in aws_sns_topic.that", "aws_sns_topic.that is not declared"),
        ("local.names[0]", 'aws_sns_topic.this["a"].arns', "aws_sns_topic has no arns"),
        ("load_balancer.value", "balancer.value", "balancer.value is not declared"),
        ("  names = [var.name]", "  names = [var.name]\n  more  = 1", "local more is never used"),
        ("  type        = string\n", "", "variable name has no type"),
    ],
)
def test_an_error_is_found(tmp_path: Path, right: str, wrong: str, told: str) -> None:
    assert right in ROOT
    found = _problems_of(tmp_path, ROOT.replace(right, wrong, 1), 'name = "x"')
    assert any(told in line for line in found), found


def test_a_value_for_no_variable_is_found(tmp_path: Path) -> None:
    assert _problems_of(tmp_path, ROOT, 'nam = "x"') == ["dev.tfvars: there is no variable nam"]


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("${var.a}", "var.a"),
        ('"x-${var.a}-y.z"', "var.a"),
        ('${f("a.b", var.c)}', "f( , var.c)"),
        ('${{ a = "b ${c["d"]} e" }}', "{ a = c[ ] }"),
        ('"$${var.a} \\" var.b"', ""),
    ],
)
def test_code_is_told_from_text(expression: str, code: str) -> None:
    assert " ".join(code_of(expression).split()) == " ".join(code.split())


def test_the_schema_on_file_is_of_the_types_used_and_of_the_release_asked_for() -> None:
    assert set(KNOWN["types"]) == types_used(read_tree(TERRAFORM))
    floor = re.search(r'version = "~> ([\d.]+)"', (TERRAFORM / "versions.tf").read_text())
    assert floor is not None
    assert KNOWN["provider_version"].startswith(f"{floor.group(1)}.")


def test_the_command_says_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "nothing wrong" in capsys.readouterr().out
    (tmp_path / "main.tf").write_text('resource "aws_nothing" "this" {}')
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out == "aws_nothing.this: the provider has no aws_nothing\n"


def test_no_statement_allows_every_action_or_every_object() -> None:
    allowed = {"ecr:GetAuthorizationToken", "cloudwatch:PutMetricData", "ecs:DescribeTaskDefinition"}
    allowed |= {"ecs:RegisterTaskDefinition", "ecs:DeregisterTaskDefinition", "ecs:ListTasks"}
    for module in read_tree(TERRAFORM).values():
        for name, body in module.resources.items():
            if not name.startswith("data.aws_iam_policy_document.") or name.endswith(".key"):
                continue
            for statement in body.get("statement", []):
                if "Deny" in statement.get("effect", ""):
                    continue
                actions = (
                    {action.strip('"') for action in statement["actions"]}
                    if isinstance(statement["actions"], list)
                    else set()
                )
                assert not any("*" in action for action in actions), (name, actions)
                if statement.get("resources") == ['"*"']:
                    assert actions <= allowed, (name, actions)


def test_each_task_has_the_secrets_that_it_needs_and_no_more() -> None:
    text = (TERRAFORM / "tasks.tf").read_text()
    api = text[text.index("    api = {") : text.index('module "service"')]
    assert re.findall(r'secret_arns\["([\w-]+)"\]', api) == ["store-url-api"]
    assert re.search(r"policies\s+= \{\}", api)


def test_the_files_are_formatted() -> None:
    terraform = shutil.which("terraform")
    if terraform is None:
        pytest.skip("terraform is not installed; CI has it")
    done = subprocess.run(
        [terraform, "fmt", "-check", "-diff", "-recursive", str(TERRAFORM)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed; CI has it")
    pytest.importorskip("msgpack", reason="the stand-in for the provider speaks msgpack")
    from tests.repository.terraform_provider import provider_environment

    pushed: list[str] = []
    with provider_environment(KNOWN["types"], pushed=pushed) as environment:
        command = Terraform(tmp_path_factory.mktemp("terraform") / "root", environment)
        command.pushed = pushed
        yield command


def test_terraform_finds_it_valid(terraform: Terraform) -> None:
    code, said = terraform("validate")
    assert code == 0, said


@pytest.mark.parametrize("stage", ["dev", "prod"])
@pytest.mark.parametrize("state", ["bootstrap", "asleep", "neither"])
def test_an_empty_account_can_be_planned(terraform: Terraform, stage: str, state: str) -> None:
    code, said = terraform.plan(stage, *([] if state == "neither" else [f"{state}=true"]))
    assert code == 0, said
    counts = re.search(r"Plan: (\d+) to add, 0 to change, 0 to destroy", said)
    assert counts is not None
    assert int(counts.group(1)) > 200
    tasks = {int(count) for count in re.findall(r"\+ desired_count += (\d+)", said)}
    assert tasks == ({0} if state != "neither" else {1} if stage == "dev" else {1, 2})


def test_a_cluster_for_heavy_work_is_made_where_it_is_asked_for_and_has_no_tasks(terraform: Terraform) -> None:
    code, without = terraform.plan("prod")
    assert code == 0, without
    assert "dask" not in "".join(re.findall(r"^  # (\S+) will be created", without, re.MULTILINE))
    code, said = terraform.plan("prod", "dask_workers_max=12")
    assert code == 0, said
    services = re.findall(r"# module\.dask\[0\]\.module\.(\w+)\.aws_ecs_service.this", said)
    assert services == ["scheduler", "worker"]
    assert {int(count) for count in re.findall(r"\+ desired_count += (\d+)", said)} == {0, 1, 2}


def test_each_measure_of_the_pipeline_has_an_alarm_and_a_plot(terraform: Terraform) -> None:
    measures = {"ForecastAgeHours", "ForecastRows", "RealisedWmae", "SevereDriftSalesShare"}
    code, said = terraform.plan("prod", "realised_wmae=2000")
    assert code == 0, said
    assert measures <= set(re.findall(r'metric_name += "(\w+)"', said))
    widgets = (TERRAFORM / "modules" / "monitoring" / "main.tf").read_text().partition("widgets = [")[2]
    assert measures <= set(re.findall(r'metrics_namespace, "(\w+)"', widgets))


def test_what_fails_silently_alarms(plan_of: Callable[..., Plan]) -> None:
    dev = {
        one["alarm_name"].removeprefix("demand-dev-"): one for one in plan_of("dev").all("aws_cloudwatch_metric_alarm")
    }
    assert {"database-memory", "database-credits"} <= set(dev)
    assert dev["api-p99"]["evaluate_low_sample_count_percentiles"] == "ignore"
    prod = plan_of("prod")
    alarms = {one["alarm_name"] for one in prod.all("aws_cloudwatch_metric_alarm")}
    assert ("demand-prod-waf-blocked" in alarms, "demand-prod-database-credits" in alarms) == (True, False)
    (rule,), (target,) = prod.all("aws_cloudwatch_event_rule"), prod.all("aws_cloudwatch_event_target")
    assert json.loads(rule["event_pattern"])["detail"] == {"eventName": ["SERVICE_DEPLOYMENT_FAILED"]}
    assert target["arn"] == prod.one("aws_sns_topic", "demand-prod-alerts")["arn"]


def test_the_service_has_more_tasks_while_it_is_busy(plan_of: Callable[..., Plan]) -> None:
    (target,) = plan_of("prod").all("aws_appautoscaling_target")
    assert (target["resource_id"], target["min_capacity"], target["max_capacity"]) == ("service/demand-prod/api", 2, 6)


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("realised_wmae=-1", "0 or more"),
        ("nat_gateways=3", "one NAT gateway per zone at most"),
        ('interface_endpoints=["ecs"]', "Without a NAT gateway"),
        ('operator_cidrs=["0.0.0.0/0"]', "and not everyone"),
        ('settings={"HORIZON"="4"}', "begin with DEMAND_"),
        ("log_retention_days=100", "CloudWatch knows"),
        ("environment=Prod", "lower-case letters"),
        ("door=false", "Nobody could reach Dagster's webserver"),
        ('interface_endpoints=["ec2messages"]', "the door needs the interface endpoints"),
        ('network={"vpc_id":"v","public_subnet_ids":["a"],"private_subnet_ids":["b"]}', "subnets in two zones"),
        ("dask_workers_max=-1", "a whole number of 0 to 1000"),
    ],
)
def test_a_bad_value_is_refused(terraform: Terraform, variable: str, told: str) -> None:
    code, said = terraform.plan("prod", variable)
    assert code == 1
    assert told in " ".join(said.split())


def test_the_file_of_one_stage_is_refused_over_the_state_of_another(terraform: Terraform) -> None:
    code, said = terraform.plan("prod", workspace="dev")
    assert code == 1
    assert "The variable file is not that of this state" in " ".join(said.split())


def test_a_live_stage_cannot_be_bootstrapped_again(terraform: Terraform) -> None:
    terraform.pushed.append("demand-dev/pipeline")
    try:
        refused, said = terraform.plan("dev", "bootstrap=true")
        taken = [terraform.plan(*asked)[0] for asked in (("dev",), ("prod", "bootstrap=true"))]
    finally:
        terraform.pushed.clear()
    assert (refused, taken) == (1, [0, 0])
    assert "this stage is past its bootstrap" in " ".join(said.split())


def test_no_stage_owns_what_the_account_has_once() -> None:
    assert not types_used(read_tree(TERRAFORM)) & {"aws_iam_openid_connect_provider"}


def test_the_security_scan_finds_nothing() -> None:
    # In an environment of its own: checkov brings a fork of python-hcl2 under the same name.
    checkov = shutil.which("checkov")
    if checkov is None:
        pytest.skip("checkov is not installed; `make check` runs it")
    done = subprocess.run(
        [checkov, "-d", str(TERRAFORM), "--skip-download", "--quiet", "--compact", "--framework", "terraform"],
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # A scan that read nothing passes too.
    counts = re.search(r"Passed checks: (\d+)", done.stdout)
    assert counts is not None
    assert int(counts.group(1)) > 300


def test_every_exception_of_the_scan_is_explained() -> None:
    for file in TERRAFORM.rglob("*.tf"):
        for line in file.read_text().splitlines():
            if "checkov:skip" in line:
                assert re.search(r"#checkov:skip=CKV2?_AWS_\d+:\w.{5,}", line), f"{file}: {line.strip()}"


def test_the_checker_starts_without_the_product() -> None:
    code = "import sys, tests.repository.terraform_schema; sys.exit('dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=SCHEMA.parents[2], check=False).returncode == 0
