"""What AWS would have answered: names, ids and ARNs of resources, and policies as JSON."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

ACCOUNT, REGION = "123456789012", "us-east-1"
# By type, with what the configuration says in braces. Of a type that is not here: its name.
_IDS = {"aws_iam_role": "{name}", "aws_s3_bucket": "{bucket}", "aws_ecs_task_definition": "{family}"}
# Of these the id is the ARN.
_ARN_IDS = frozenset({"aws_ecs_cluster", "aws_ecs_service", "aws_secretsmanager_secret", "aws_sns_topic"})
_ARNS = {
    "aws_ecs_cluster": "ecs:{region}:{account}:cluster/{name}",
    "aws_ecs_service": "ecs:{region}:{account}:service/{cluster_name}/{name}",
    "aws_ecs_task_definition": "ecs:{region}:{account}:task-definition/{family}:1",
    "aws_ecr_repository": "ecr:{region}:{account}:repository/{name}",
    "aws_cloudwatch_log_group": "logs:{region}:{account}:log-group:{name}",
    "aws_lb": "elasticloadbalancing:{region}:{account}:loadbalancer/app/{name}/{own}",
    "aws_iam_role": "iam::{account}:role/{name}",
    "aws_s3_bucket": "s3:::{bucket}",
    "aws_secretsmanager_secret": "secretsmanager:{region}:{account}:secret:{name}-AbCdEf",
    "aws_sns_topic": "sns:{region}:{account}:{name}",
    "aws_sqs_queue": "sqs:{region}:{account}:{name}",
    "aws_kms_key": "kms:{region}:{account}:key/{own}",
}
MASTER_SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:rds!db-AbCdEf"


def computed(kind: str, name: str, state: Mapping[str, Any]) -> Any:
    """The value of one computed attribute of a resource once it is made; None where nothing needs to be known of it."""
    own = hashlib.sha256(json.dumps({**state, "kind": kind}, default=str, sort_keys=True).encode()).hexdigest()[:8]
    cluster = str(state.get("cluster", "")).rpartition("/")[2]
    words = {**state, "region": REGION, "account": ACCOUNT, "own": own, "cluster_name": cluster}
    if name == "id" and kind not in _ARN_IDS:
        return _IDS.get(kind, "{own}").format(**words)
    if name in ("id", "arn", "arn_without_revision"):
        arn = "arn:aws:" + _ARNS.get(kind, "{own}").format(**words)
        return arn.rpartition(":")[0] if name == "arn_without_revision" else arn
    if name == "repository_url":
        return f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{state['name']}"
    if (kind, name) == ("aws_db_instance", "master_user_secret"):
        return [
            {"secret_arn": MASTER_SECRET, "kms_key_id": state["master_user_secret_kms_key_id"], "secret_status": ""}
        ]
    if name in ("address", "dns_name", "zone_id", "arn_suffix", "key_id", "prefix_list_id"):
        return f"{name.replace('_', '-')}-{own}"
    return None


def policy(statements: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A policy document out of the blocks of aws_iam_policy_document."""
    return {"Version": "2012-10-17", "Statement": [_statement(one) for one in statements]}


def _statement(block: Mapping[str, Any]) -> dict[str, Any]:
    conditions: dict[str, dict[str, list[str]]] = {}
    for one in block.get("condition") or []:
        conditions.setdefault(one["test"], {})[one["variable"]] = one["values"]
    return {
        "Sid": block.get("sid") or "",
        "Effect": block.get("effect") or "Allow",
        "Action": block.get("actions") or [],
        "Resource": block.get("resources") or [],
        "Condition": conditions,
    }
