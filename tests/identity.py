"""IAM in front of moto: every call is judged by the policies of the role that is named as its access key.

moto keeps the state of AWS but reads no conditions of policies. An access key that names no role may do everything, as
the tests themselves do.
"""

import fnmatch
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

Document = Mapping[str, Any]
ACCOUNT, REGION = "123456789012", "us-east-1"


@dataclass(frozen=True)
class Ask:
    """An action on a resource, with what conditions may look at."""

    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        said = "".join(f", {name}={value!r}" for name, value in self.context.items())
        return f"{self.action} on {self.resource}{said}"


# Policies


def allows(documents: Iterable[Document], ask: Ask) -> bool:
    """Whether a role with these documents may: one statement allows it and none denies it."""
    effects = {one["Effect"] for document in documents for one in document["Statement"] if _applies(one, ask)}
    return effects == {"Allow"}


def _applies(statement: Mapping[str, Any], ask: Ask) -> bool:
    return (
        any(_like(action.lower(), ask.action.lower()) for action in _listed(statement["Action"]))
        and any(_like(resource, ask.resource) for resource in _listed(statement["Resource"]))
        and all(
            _holds(test, ask.context.get(key), _listed(values))
            for test, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def _holds(test: str, value: str | None, wanted: Sequence[str]) -> bool:
    bare = test.removesuffix("IfExists")
    if value is None:
        return bare != test
    if bare in ("StringEquals", "Bool"):
        return value in wanted
    if bare in ("StringLike", "ArnLike", "ArnEquals"):
        return any(_like(pattern, value) for pattern in wanted)
    raise AssertionError(f"condition {test} is not known here")


def _like(pattern: str, value: str) -> bool:
    return fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


# What a request asks for


def asks(environ: Mapping[str, Any], body: bytes) -> Iterator[Ask]:
    """Actions and resources of one request to an AWS-speaking server."""
    service = environ["HTTP_AUTHORIZATION"].partition("Credential=")[2].split("/")[3]
    if service == "s3":
        yield from _s3(environ, body)
    elif target := environ.get("HTTP_X_AMZ_TARGET", ""):
        action = target.rpartition(".")[2]
        if service == "ecs":
            yield from _ecs(action, json.loads(body))
        else:
            yield from _json(service, action, json.loads(body))
    else:
        given = parse_qs(body.decode())
        resource = given.get("TopicArn", ["*"])[0]
        yield Ask(f"{'cloudwatch' if service == 'monitoring' else service}:{given['Action'][0]}", resource)


def _s3(environ: Mapping[str, Any], body: bytes) -> Iterator[Ask]:
    method, query = environ["REQUEST_METHOD"], parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
    if not bucket:
        yield Ask("s3:ListAllMyBuckets")
    elif not key:
        prefix = {"s3:prefix": query["prefix"][0]} if "prefix" in query else {}
        action = "DeleteObject" if "delete" in query else "ListBucket" if method in ("GET", "HEAD") else "CreateBucket"
        action = "GetBucketLocation" if "location" in query else action
        keys = re.findall(rb"<Key>(.*?)</Key>", body) if action == "DeleteObject" else [b""]
        for one in keys:
            yield Ask(f"s3:{action}", f"arn:aws:s3:::{bucket}{'/' + one.decode() if one else ''}", prefix)
    else:
        upload = "uploadId" in query
        action = {
            "GET": "ListMultipartUploadParts" if upload else "GetObject",
            "HEAD": "GetObject",
            "DELETE": "AbortMultipartUpload" if upload else "DeleteObject",
        }.get(method, "PutObject")
        yield Ask(f"s3:{action}", f"arn:aws:s3:::{bucket}/{key}")
        if source := environ.get("HTTP_X_AMZ_COPY_SOURCE"):
            yield Ask("s3:GetObject", f"arn:aws:s3:::{unquote(source).lstrip('/')}")


def _arn(kind: str, name: str) -> str:
    return name if name.startswith("arn:") else f"arn:aws:ecs:{REGION}:{ACCOUNT}:{kind}/{name}"


def _ecs(action: str, given: Mapping[str, Any]) -> Iterator[Ask]:
    cluster = str(given.get("cluster", "default")).rpartition("/")[2]
    context = {"ecs:cluster": _arn("cluster", cluster)}
    if action in ("DescribeServices", "UpdateService"):
        for name in given.get("services") or [given["service"]]:
            yield Ask(f"ecs:{action}", _arn("service", f"{cluster}/{name}"), context)
    elif action in ("DescribeTasks", "StopTask"):
        for name in given.get("tasks") or [given["task"]]:
            yield Ask(f"ecs:{action}", _arn("task", name if name.startswith("arn:") else f"{cluster}/{name}"), context)
    elif action == "RunTask":
        yield Ask("ecs:RunTask", _arn("task-definition", given["taskDefinition"]), context)
        if given.get("tags"):
            yield Ask("ecs:TagResource", _arn("task", f"{cluster}/0123"), {"ecs:CreateAction": action})
    elif action == "RegisterTaskDefinition":
        yield Ask("ecs:RegisterTaskDefinition")
        for role in ("taskRoleArn", "executionRoleArn"):
            if given.get(role):
                yield Ask("iam:PassRole", given[role], {"iam:PassedToService": "ecs-tasks.amazonaws.com"})
        if given.get("tags"):
            yield Ask("ecs:TagResource", _arn("task-definition", f"{given['family']}:2"), {"ecs:CreateAction": action})
    else:
        yield Ask(f"ecs:{action}", context=context)


def _json(service: str, action: str, given: Mapping[str, Any]) -> Iterator[Ask]:
    if service == "monitoring":
        yield Ask(f"cloudwatch:{action}", context={"cloudwatch:namespace": given.get("Namespace", "")})
    elif service == "secretsmanager" and "SecretId" in given:
        name = given["SecretId"]
        arn = name if name.startswith("arn:") else f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-AbCdEf"
        yield Ask(f"secretsmanager:{action}", arn)
    elif service == "logs" and "logGroupName" in given:
        stream = given.get("logStreamName", "")
        arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{given['logGroupName']}:log-stream:{stream}"
        yield Ask(f"logs:{action}", arn)
    else:
        yield Ask(f"{service}:{action}", given.get("TopicArn", "*"))


# The door


class Identity:
    """WSGI middleware that refuses what a role may not do; `refused` has it in words."""

    def __init__(self, app: Callable[..., Iterable[bytes]], roles: Mapping[str, Sequence[Document]]) -> None:
        self.app, self.roles, self.refused = app, roles, list[str]()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        role = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].partition("/")[0]
        if role not in self.roles:
            return self.app(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        refused = [str(ask) for ask in asks(environ, body) if not allows(self.roles[role], ask)]
        if not refused:
            return self.app(environ, start_response)
        self.refused += [f"{role}: {one}" for one in refused]
        said = f"User {role} is not authorized to perform: {refused[0]}"
        if "HTTP_X_AMZ_TARGET" in environ:
            start_response("400 Bad Request", [("content-type", "application/x-amz-json-1.1")])
            return [json.dumps({"__type": "AccessDeniedException", "message": said}).encode()]
        start_response("403 Forbidden", [("content-type", "application/xml")])
        return [f"<Error><Code>AccessDenied</Code><Message>{said}</Message></Error>".encode()]
