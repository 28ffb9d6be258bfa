"""What each role may do, beside what is nearest to it and denied."""

import pytest

from tests.identity import ACCOUNT, REGION, Ask, allows
from tests.repository.terraform_plan import Plan

BUCKET, CLUSTER = "arn:aws:s3:::example-demand", f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/demand-dev"
HERE = {"ecs:cluster": CLUSTER}
ELSEWHERE = {"ecs:cluster": CLUSTER.replace("demand-dev", "demand-prod")}
TO_TASKS = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}


def data(action: str, key: str, bucket: str = BUCKET) -> Ask:
    return Ask(f"s3:{action}", f"{bucket}/{key}")


def task(family: str, context: dict[str, str] = HERE) -> Ask:
    return Ask("ecs:RunTask", f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/demand-dev-{family}:7", context)


def service(name: str, context: dict[str, str] = HERE) -> Ask:
    cluster = context["ecs:cluster"].rpartition("/")[2]
    return Ask("ecs:UpdateService", f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/{cluster}/{name}", context)


def secret(action: str, name: str) -> Ask:
    return Ask(f"secretsmanager:{action}", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:demand/dev/{name}-AbCdEf")


def passed(role: str, context: dict[str, str] = TO_TASKS) -> Ask:
    return Ask("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/demand-dev-{role}", context)


def publish(topic: str) -> Ask:
    return Ask("sns:Publish", f"arn:aws:sns:{REGION}:{ACCOUNT}:{topic}")


def measure(namespace: str) -> Ask:
    return Ask("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": namespace})


# By role: what it may, and what it may not.
ROLES: dict[str, tuple[list[Ask], list[Ask]]] = {
    "api-task": ([], [data("GetObject", "forecasts/a"), secret("GetSecretValue", "store-url-api"), publish("x")]),
    "database-task": ([], [secret("GetSecretValue", "store-url"), data("GetObject", "raw/a")]),
    "run-task": (
        [data("GetObject", "raw/a"), data("PutObject", "forecasts/a"), publish("demand-dev-alerts"), measure("Demand")],
        [
            data("PutObject", "raw/a"),
            data("DeleteObject", "processed/a"),
            data("GetObject", "models/a"),
            data("GetObject", "raw/a", "arn:aws:s3:::example-demand-access-logs"),
            publish("demand-prod-alerts"),
            measure("AWS/ECS"),
            task("run"),
            service("api"),
        ],
    ),
    "code-task": (
        [data("GetObject", "raw/a"), data("PutObject", "logs/a"), measure("Demand")],
        [data("PutObject", "processed/a"), data("DeleteObject", "logs/a"), task("run")],
    ),
    "watch-task": ([publish("demand-dev-alerts"), measure("Demand")], [data("GetObject", "raw/a"), task("run")]),
    "webserver-task": (
        [data("GetObject", "logs/a")],
        [data("GetObject", "raw/a"), data("PutObject", "logs/a"), task("run"), passed("run-task")],
    ),
    "daemon-task": (
        [task("run"), passed("run-task"), passed("run-execution")],
        [
            task("run", ELSEWHERE),
            task("database"),
            task("migrate"),
            passed("database-task"),
            passed("run-task", {"iam:PassedToService": "lambda.amazonaws.com"}),
            data("GetObject", "raw/a"),
            service("api"),
        ],
    ),
    "mlflow-task": (
        [data("GetObject", "models/a"), data("PutObject", "models/a")],
        [data("DeleteObject", "models/a"), data("GetObject", "raw/a"), data("PutObject", "raw/a")],
    ),
    "migrate-task": (
        [secret("PutSecretValue", "key-smoke")],
        [secret("GetSecretValue", "key-smoke"), secret("PutSecretValue", "store-url"), task("run")],
    ),
    "api-execution": (
        [secret("GetSecretValue", "store-url-api")],
        [secret("GetSecretValue", "store-url"), secret("PutSecretValue", "store-url-api")],
    ),
    "mlflow-execution": (
        [secret("GetSecretValue", "mlflow-url")],
        [secret("GetSecretValue", "dagster-url"), secret("GetSecretValue", "key-smoke")],
    ),
    "run-execution": (
        [secret("GetSecretValue", "store-url"), secret("GetSecretValue", "dagster-url")],
        [secret("GetSecretValue", "mlflow-url"), secret("GetSecretValue", "store-url-api")],
    ),
    "deploy": (
        [task("migrate"), task("database"), service("api"), passed("api-task")],
        [
            task("run"),
            task("migrate", ELSEWHERE),
            service("other"),
            service("api", ELSEWHERE),
            passed("flow-logs"),
            passed("api-task", {"iam:PassedToService": "ec2.amazonaws.com"}),
            Ask("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/x"),
            secret("GetSecretValue", "store-url"),
            data("GetObject", "raw/a"),
        ],
    ),
}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_what_its_part_does_and_nothing_beside_it(dev: Plan, role: str) -> None:
    documents = dev.policies(f"demand-dev-{role}")
    allowed, denied = ROLES[role]
    assert [str(ask) for ask in allowed if not allows(documents, ask)] == []
    assert [str(ask) for ask in denied if allows(documents, ask)] == []


def test_every_role_of_a_part_is_judged(dev: Plan) -> None:
    # The others are of AWS's own services, or execution roles, which differ in their secrets alone.
    tasks = {one["name"] for one in dev.all("aws_iam_role") if one["name"].endswith("-task")}
    assert {f"demand-dev-{role}" for role in ROLES if role.endswith("-task")} == tasks
