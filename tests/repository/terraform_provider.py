"""A provider that knows the AWS provider's schema and nothing else: `terraform validate` and `plan` run offline.

Terraform finds it by TF_REATTACH_PROVIDERS. It takes every value of the right type, answers for data sources with
placeholders, and plans every computed value as unknown, as for an account that is empty. So types, references,
conditions, cycles and keys that must be known before anything is made are judged by Terraform itself; what AWS's own
provider or AWS would refuse is not. With `made`, computed values are such as AWS gives, and `apply` takes them for
made, so that every policy and task definition is rendered to the end.
"""

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import msgpack
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tests.repository.terraform_account import ACCOUNT, REGION, computed, policy

Fields = Mapping[str, Mapping[str, Any]]

ADDRESS = "hashicorp/aws"

# The part of Terraform's plugin protocol 6 that is spoken: field, number, type; `*` for repeated. A map is spoken as
# repeated pairs, which is the same on the wire.
_MESSAGES = {
    "Nothing": [],
    "Value": [("msgpack", 1, "bytes")],
    "Attribute": [
        ("name", 1, "string"),
        ("type", 2, "bytes"),
        ("required", 4, "bool"),
        ("optional", 5, "bool"),
        ("computed", 6, "bool"),
    ],
    "Block": [("attributes", 2, "*Attribute"), ("block_types", 3, "*NestedBlock")],
    "NestedBlock": [
        ("type_name", 1, "string"),
        ("block", 2, "Block"),
        ("nesting", 3, "int32"),
        ("min_items", 4, "int64"),
        ("max_items", 5, "int64"),
    ],
    "Schema": [("version", 1, "int64"), ("block", 2, "Block")],
    "NamedSchema": [("key", 1, "string"), ("value", 2, "Schema")],
    "Schemas": [("provider", 1, "Schema"), ("resources", 2, "*NamedSchema"), ("data_sources", 3, "*NamedSchema")],
    "PlanRequest": [("type_name", 1, "string"), ("proposed", 3, "Value")],
    "Planned": [("state", 1, "Value"), ("legacy_type_system", 5, "bool")],
    "ApplyRequest": [("type_name", 1, "string"), ("planned", 3, "Value")],
    "Applied": [("state", 1, "Value"), ("legacy_type_system", 4, "bool")],
    "ReadRequest": [("type_name", 1, "string"), ("config", 2, "Value")],
    "RawState": [("json", 1, "bytes")],
    "KeptRequest": [("type_name", 1, "string"), ("state", 3, "RawState")],
    "Read": [("state", 1, "Value")],
}
_LIST, _SET, _SINGLE, _MAP = 2, 3, 1, 4
_UNKNOWN = msgpack.ExtType(0, b"\0")
_PROVIDER: Fields = {
    "region": {"t": "string", "o": 1},
    "default_tags": {"t": "block", "n": "single", "o": 1, "f": {"tags": {"t": "map(string)", "o": 1}}},
}
# Optional in the schema on file, and set by the provider when not given.
_ALSO_COMPUTED = frozenset({"id", "region", "tags_all"})


def _message_classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="provider.proto", package="tf", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            field = message.field.add(name=field_name, number=number)
            field.label = field.LABEL_REPEATED if kind.startswith("*") else field.LABEL_OPTIONAL
            bare = kind.removeprefix("*")
            if bare in _MESSAGES:
                field.type, field.type_name = field.TYPE_MESSAGE, f".tf.{bare}"
            else:
                field.type = getattr(field, f"TYPE_{bare.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tf.{name}")) for name in _MESSAGES}


_CLASSES = _message_classes()


def _type_of(kind: str) -> Any:
    if kind == "any":
        return "dynamic"
    if kind in ("string", "number", "boolean"):
        return kind.replace("boolean", "bool")
    outer, _, inner = kind.partition("(")
    return [outer, _type_of(inner.removesuffix(")"))]


def _type_of_field(one: Mapping[str, Any]) -> Any:
    if "f" not in one:
        return _type_of(one["t"])
    inner = ["object", {name: _type_of_field(nested) for name, nested in one["f"].items()}]
    return [one["n"].replace("single", "list"), inner]


def _block(fields: Fields) -> Any:
    block = _CLASSES["Block"]()
    for name, one in fields.items():
        if one["t"] == "block":
            nested = block.block_types.add(type_name=name, block=_block(one["f"]))
            if name == "timeouts":
                nested.nesting = _SINGLE
                continue
            nested.nesting = {"single": _LIST, "list": _LIST, "set": _SET, "map": _MAP}[one["n"]]
            nested.max_items = int(one["n"] == "single")
            nested.min_items = int("r" in one)
        else:
            block.attributes.add(
                name=name,
                type=json.dumps(_type_of_field(one)).encode(),
                required="r" in one,
                optional="o" in one,
                computed="c" in one or ("o" in one and name in _ALSO_COMPUTED),
            )
    return block


class _Provider:
    """Answers of the calls that validate and plan make."""

    def __init__(self, types: Mapping[str, Fields], made: bool, pushed: Collection[str]) -> None:
        self.types, self.made, self.pushed = types, made, pushed

    def schemas(self, _: Any, __: Any) -> Any:
        named: dict[bool, list[Any]] = {True: [], False: []}
        for name, fields in self.types.items():
            schema = _CLASSES["Schema"](block=_block(fields))
            pair = _CLASSES["NamedSchema"](key=name.removeprefix("data."), value=schema)
            named[name.startswith("data.")].append(pair)
        provider = _CLASSES["Schema"](block=_block(_PROVIDER))
        return _CLASSES["Schemas"](provider=provider, resources=named[False], data_sources=named[True])

    def nothing(self, _: Any, __: Any) -> Any:
        return _CLASSES["Nothing"]()

    def plan(self, request: Any, _: Any) -> Any:
        state = msgpack.unpackb(request.proposed.msgpack, strict_map_key=False)
        # What is not known yet might change them.
        settled = self.made and not any(isinstance(value, msgpack.ExtType) for value in (state or {}).values())
        for name, one in self.types[request.type_name].items() if state else ():
            if state.get(name) is None and ("c" in one or name == "id"):
                known = computed(request.type_name, name, state) if settled else None
                state[name] = _UNKNOWN if known is None else known
        # Like the AWS provider, whose plans need not repeat what was asked for to the letter.
        return _CLASSES["Planned"](state=_CLASSES["Value"](msgpack=msgpack.packb(state)), legacy_type_system=True)

    def apply(self, request: Any, _: Any) -> Any:
        state = _without_unknown(msgpack.unpackb(request.planned.msgpack, strict_map_key=False))
        return _CLASSES["Applied"](state=_CLASSES["Value"](msgpack=msgpack.packb(state)), legacy_type_system=True)

    def kept(self, request: Any, _: Any) -> Any:
        """A resource of the state on file, in the words of this schema, which are those that it was kept in."""
        return _CLASSES["Read"](state=_CLASSES["Value"](msgpack=msgpack.packb(json.loads(request.state.json))))

    def refresh(self, request: Any, _: Any) -> Any:
        """A resource as it is: as it was made."""
        return _CLASSES["Read"](state=request.config)

    def read(self, request: Any, _: Any) -> Any:
        known = {"account_id": ACCOUNT, "region": REGION}
        state = msgpack.unpackb(request.config.msgpack, strict_map_key=False)
        for name, one in self.types[f"data.{request.type_name}"].items():
            if state.get(name) is None and one["t"] == "string" and ("c" in one or name in _ALSO_COMPUTED):
                state[name] = known.get(name, f"some {name}")
        if request.type_name == "aws_ecr_repositories":
            state["names"] = sorted(self.pushed)
        if request.type_name == "aws_ecr_images":
            state["image_ids"] = [{"image_digest": "sha256:1", "image_tag": "1"}]
        if request.type_name == "aws_iam_policy_document":
            state["json"] = json.dumps(policy(state["statement"] or []))
        return _CLASSES["Read"](state=_CLASSES["Value"](msgpack=msgpack.packb(state)))


def _without_unknown(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_unknown(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_unknown(inner) for inner in value]
    return None if isinstance(value, msgpack.ExtType) else value


@contextmanager
def provider_environment(
    types: Mapping[str, Fields], made: bool = False, pushed: Collection[str] = ()
) -> Iterator[dict[str, str]]:
    """A running provider of these types, and the environment in which Terraform uses it.

    `pushed`: repositories that there are, with an image each.
    """
    provider = _Provider(types, made, pushed)
    calls: dict[str, tuple[Callable[[Any, Any], Any], str, str]] = {
        "GetProviderSchema": (provider.schemas, "Nothing", "Schemas"),
        "ValidateProviderConfig": (provider.nothing, "Nothing", "Nothing"),
        "ValidateResourceConfig": (provider.nothing, "Nothing", "Nothing"),
        "ValidateDataResourceConfig": (provider.nothing, "Nothing", "Nothing"),
        "ConfigureProvider": (provider.nothing, "Nothing", "Nothing"),
        "PlanResourceChange": (provider.plan, "PlanRequest", "Planned"),
        "ApplyResourceChange": (provider.apply, "ApplyRequest", "Applied"),
        "UpgradeResourceState": (provider.kept, "KeptRequest", "Read"),
        "ReadResource": (provider.refresh, "ReadRequest", "Read"),
        "ReadDataSource": (provider.read, "ReadRequest", "Read"),
        "StopProvider": (provider.nothing, "Nothing", "Nothing"),
    }
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            behaviour,
            request_deserializer=_CLASSES[asked].FromString,
            response_serializer=_CLASSES[answered].SerializeToString,
        )
        for name, (behaviour, asked, answered) in calls.items()
    }
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tfplugin6.Provider", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    reattach = {
        ADDRESS: {
            "Protocol": "grpc",
            "ProtocolVersion": 6,
            "Pid": os.getpid(),
            "Test": True,
            "Addr": {"Network": "tcp", "String": f"127.0.0.1:{port}"},
        }
    }
    try:
        yield {**os.environ, "TF_REATTACH_PROVIDERS": json.dumps(reattach), "CHECKPOINT_DISABLE": "1"}
    finally:
        server.stop(None).wait()
