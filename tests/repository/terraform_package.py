"""Reads the schema of the AWS provider out of the wheel cdktf-cdktf-provider-aws."""

import io
import json
import re
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Fields = dict[str, dict[str, Any]]
_GETTERS = {
    "String": "string",
    "Number": "number",
    "Boolean": "boolean",
    "List": "list(string)",
    "NumberList": "list(number)",
    "StringMap": "map(string)",
    "BooleanMap": "map(boolean)",
    "NumberMap": "map(number)",
    "Any": "any",
    "AnyMap": "map(any)",
    "StringMapList": "list(map(string))",
}
# The package leaves out what nests without end, such as the statements of a firewall's rule; this much of it, from the
# provider's documentation, is what is used here.
_TEXT, _OPTIONAL_TEXT = {"t": "string", "r": 1}, {"t": "string", "o": 1}
_COUNT = {"t": "block", "n": "single", "o": 1, "f": {}}
_OVERRIDE = {"name": _TEXT, "action_to_use": {"t": "block", "n": "single", "r": 1, "f": {"count": _COUNT}}}
_RATE = {"limit": {"t": "number", "r": 1}, "aggregate_key_type": _OPTIONAL_TEXT}
_MANAGED = {
    "name": _TEXT,
    "vendor_name": _TEXT,
    "rule_action_override": {"t": "block", "n": "list", "o": 1, "f": _OVERRIDE},
}
_STATEMENT = {
    "rate_based_statement": {"t": "block", "n": "single", "o": 1, "f": _RATE},
    "managed_rule_group_statement": {"t": "block", "n": "single", "o": 1, "f": _MANAGED},
}
_CLASS = re.compile(r"^class (\w+) extends cdktf\.(\w+) \{$(.*?)^\}$", re.MULTILINE | re.DOTALL)
_COMPLEX = re.compile(r"^ +// (\w+) - computed: (\w+), optional: (\w+), required: (\w+)$", re.MULTILINE)
_GETTER = re.compile(
    r"^    get (\w+)\(\) \{\n +return (cdktf\.Fn\.tolist\()?(?:[\w.]+\()*"
    r"this\.(?:get(\w+?)Attribute|interpolationForAttribute)\('(\w+)'\)",
    re.MULTILINE,
)
_NESTED = re.compile(r"= new (\w+?)(List|Map|OutputReference)\(this, \"(\w+)\"(?:, (true|false))?\)")
_BLOCKS = re.compile(r"^ +(\w+): \{\n +value: .*\n +isBlock: true,", re.MULTILINE)


def read_wheel(wheel: Path, wanted: set[str]) -> dict[str, Any]:
    """The schema of the wanted types, `aws_x` or `data.aws_x`, out of the wheel; those it lacks are left out."""
    folders = {_folder(name): name for name in wanted}
    found: dict[str, Any] = {}
    package: dict[str, Any] = {}
    with zipfile.ZipFile(wheel) as outer:
        inner = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(inner)), mode="r:gz") as archive:
            for member in archive:
                parts = member.name.split("/")
                if member.name == "package/package.json":
                    package = json.load(archive.extractfile(member))  # type: ignore[arg-type]
                if len(parts) == 4 and parts[3] == "index.js" and parts[2] in folders:
                    source = archive.extractfile(member).read().decode()  # type: ignore[union-attr]
                    found[folders[parts[2]]] = _fields_of_source(source)
    if "aws_wafv2_web_acl" in found:
        found["aws_wafv2_web_acl"]["rule"]["f"]["statement"] = {"t": "block", "n": "single", "r": 1, "f": _STATEMENT}
    return {
        "provider": "/".join(package["cdktf"]["provider"]["name"].split("/")[-2:]),
        "provider_version": package["cdktf"]["provider"]["version"],
        "package": f"cdktf-cdktf-provider-aws {package['version']}",
        "types": dict(sorted(found.items())),
    }


def _folder(name: str) -> str:
    bare = name.removeprefix("data.").removeprefix("aws_").replace("_", "-")
    return f"data-aws-{bare}" if name.startswith("data.") else bare


def _fields_of_source(source: str) -> Fields:
    classes = {name: (kind, body) for name, kind, body in _CLASS.findall(source)}
    top = next(name for name, (kind, _) in classes.items() if kind in ("TerraformResource", "TerraformDataSource"))
    blocks: dict[str, set[str]] = {}
    for name, body in re.findall(r"^function (\w+)ToHclTerraform\(struct\) \{$(.*?)^\}$", source, re.M | re.S):
        blocks[name.lower()] = set(_BLOCKS.findall(body))
    blocks[top.lower()] = set(_BLOCKS.findall(classes[top][1].partition("synthesizeHclAttributes() {")[2]))
    return _fields_of_class(top, "", classes, blocks)


def _fields_of_class(
    name: str, suffix: str, classes: Mapping[str, tuple[str, str]], blocks: Mapping[str, set[str]]
) -> Fields:
    body = classes[name + suffix][1]
    nested = {where: (inner, kind, wraps) for inner, kind, where, wraps in _NESTED.findall(body)}
    fields: Fields = {}
    for member, as_list, getter, where in _GETTER.findall(body):
        kind = _GETTERS[getter or "Any"]
        settable = f"    set {member}(" in body
        optional = f"    reset{member[0].upper()}{member[1:]}()" in body
        fields[where] = {"t": kind.replace("list(", "set(", 1) if as_list else kind}
        # What is optional may be computed as well: the package does not tell.
        fields[where] |= ({"o": 1} if optional else {"r": 1}) if settable else {"c": 1}
    for where, computed, optional, required in _COMPLEX.findall(body):
        if where not in nested:
            continue
        inner, kind, wraps = nested[where]
        fields[where] = {
            "t": "block" if where in blocks.get(name.lower(), set()) else "object",
            "n": "single" if kind == "OutputReference" else "set" if wraps == "true" else kind.lower(),
            "f": _fields_of_class(inner, "OutputReference", classes, blocks),
        } | {letter: 1 for letter, said in (("r", required), ("o", optional), ("c", computed)) if said == "true"}
    return fields
