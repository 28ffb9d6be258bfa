"""Is `terraform/` written in the words of the AWS provider? No provider is needed to tell.

    python -m tests.repository.terraform_schema [FOLDER]              # check it
    python -m tests.repository.terraform_schema --write WHEEL         # read the schema anew

The wheel is that of cdktf-cdktf-provider-aws: generated from one release of the provider, it carries a JavaScript class
per resource with the name and type of each argument, whether it is a block and whether it is required. `--write` keeps
those of the types used here in aws_schema.json. Of each field: t its type (string, number, boolean, list(...),
set(...), map(...), any; of a nested one block or object, with its fields in f and its nesting, list, set, map or
single, in n), r required, o optional, c computed.
"""

import argparse
import functools
import io
import json
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SCHEMA = Path(__file__).with_name("aws_schema.json")
TERRAFORM = ROOT / "terraform"

Fields = dict[str, dict[str, Any]]

# Of Terraform itself, for every resource, data source and module.
META = {"count", "for_each", "depends_on", "provider", "lifecycle", "provisioner", "connection", "timeouts"}
_MODULE_META = {"source", "version", "count", "for_each", "depends_on", "providers"}
_ROOT_BLOCKS = {"resource", "data", "module", "variable", "output", "locals", "provider", "terraform", "moved", "check"}
_BUILT_IN = {"each", "count", "self", "path", "terraform"}


# --- reading the schema out of the package ---------------------------------------------------------------------------

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


# --- reading the configuration ---------------------------------------------------------------------------------------


@dataclass
class Module:
    """One folder of Terraform files, as blocks by name."""

    folder: Path
    files: list[Path] = field(default_factory=list)
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    variables: dict[str, dict[str, Any]] = field(default_factory=dict)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    local_values: dict[str, Any] = field(default_factory=dict)
    others: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


def _bare(name: str) -> str:
    return name.strip('"')


@functools.cache
def _parsed(text: str) -> dict[str, Any]:
    import hcl2

    parsed: dict[str, Any] = hcl2.loads(text)
    return parsed


def read_module(folder: Path) -> Module:
    """The blocks of the .tf files of one folder; a resource is named `type.name`, a data source `data.type.name`."""
    module = Module(folder, sorted(folder.glob("*.tf")))
    for file in module.files:
        for kind, blocks in _parsed(file.read_text()).items():
            if kind.startswith("__"):
                continue
            for block in blocks:
                _file_block(module, kind, block)
    return module


def _file_block(module: Module, kind: str, block: dict[str, Any]) -> None:
    if kind in ("resource", "data"):
        prefix = "data." if kind == "data" else ""
        for type_name, named in block.items():
            for name, body in named.items():
                module.resources[f"{prefix}{_bare(type_name)}.{_bare(name)}"] = body
    elif kind == "locals":
        module.local_values |= {name: value for name, value in block.items() if not name.startswith("__")}
    elif kind in ("module", "variable", "output"):
        kept = {"module": module.calls, "variable": module.variables, "output": module.outputs}[kind]
        kept |= {_bare(name): body for name, body in block.items()}
    else:
        module.others.append((kind, block))


def read_tree(folder: Path) -> dict[Path, Module]:
    """The module of a folder and of every folder below it that has .tf files."""
    folders = sorted({file.parent for file in folder.rglob("*.tf") if ".terraform" not in file.parts})
    return {one.resolve(): read_module(one) for one in folders}


def types_used(tree: Mapping[Path, Module]) -> set[str]:
    """`aws_x` of each resource and `data.aws_x` of each data source."""
    return {name.rpartition(".")[0] for module in tree.values() for name in module.resources}


# --- checking it -----------------------------------------------------------------------------------------------------


def problems(folder: Path, schema: Mapping[str, Any]) -> list[str]:
    """What of the configuration in a folder the provider or Terraform would refuse, one line each."""
    tree = read_tree(folder)
    found: list[str] = []
    for module in tree.values():
        where = module.folder.relative_to(folder).as_posix()
        prefix = "" if where == "." else f"{where}: "
        found += [prefix + line for line in _of_module(module, tree, schema["types"])]
    root = tree[folder.resolve()]
    for file in sorted(folder.glob("*.tfvars")):
        given = [name for name in _parsed(file.read_text()) if not name.startswith("__")]
        found += [f"{file.name}: there is no variable {name}" for name in given if name not in root.variables]
    return found


def _of_module(module: Module, tree: Mapping[Path, Module], types: Mapping[str, Fields]) -> Iterator[str]:
    for kind, _ in module.others:
        if kind not in _ROOT_BLOCKS:
            yield f"there is no block {kind}"
    for name, variable in module.variables.items():
        yield from (f"variable {name} has no {part}" for part in ("type", "description") if part not in variable)
    for name, output in module.outputs.items():
        yield from (f"output {name} has no {part}" for part in ("value", "description") if part not in output)
    for name, body in module.resources.items():
        fields = types.get(name.rpartition(".")[0])
        if fields is None:
            yield f"{name}: the provider has no {name.rpartition('.')[0]}"
            continue
        yield from _of_body(name, {key: value for key, value in body.items() if key not in META}, fields)
    for name, call in module.calls.items():
        yield from _of_call(name, call, module, tree)
    yield from _of_references(module, tree, types)


def _is_blocks(value: Any) -> bool:
    whole = isinstance(value, list) and bool(value)
    return whole and all(isinstance(one, dict) and "__is_block__" in one for one in value)


def _labelled(blocks: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Label and body of blocks that have one label."""
    for block in blocks:
        yield from ((_bare(label), body) for label, body in block.items() if not label.startswith("__"))


def _of_body(where: str, body: Mapping[str, Any], fields: Fields) -> Iterator[str]:
    given: dict[str, list[Any]] = {}
    dynamic: set[str] = set()
    for name, value in body.items():
        if name.startswith("__"):
            continue
        if name == "dynamic":
            for label, inner in _labelled(value):
                given.setdefault(label, []).extend(inner["content"])
                dynamic.add(label)
        else:
            given.setdefault(_bare(name), []).extend(value if _is_blocks(value) else [value])
    for name, values in given.items():
        one = fields.get(name)
        if one is None:
            yield f"{where}: there is no {name}"
        elif not (one.get("r") or one.get("o")):
            yield f"{where}: {name} is set by the provider"
        elif one["t"] == "block":
            if not all(_is_blocks([value]) for value in values):
                yield f"{where}: {name} is a block, not an argument"
                continue
            if one["n"] == "single" and len(values) > 1 and name not in dynamic:
                yield f"{where}: {name} is given {len(values)} times"
            for value in values:
                yield from _of_body(f"{where}.{name}", value, one["f"])
        elif any(_is_blocks([value]) for value in values):
            yield f"{where}: {name} is an argument, not a block"
    yield from (f"{where}: {name} is missing" for name, one in fields.items() if one.get("r") and name not in given)


def _of_call(name: str, call: Mapping[str, Any], module: Module, tree: Mapping[Path, Module]) -> Iterator[str]:
    target = tree.get((module.folder / _bare(call["source"])).resolve())
    if target is None:
        yield f"module {name}: there is no folder {_bare(call['source'])}"
        return
    given = {key for key in call if not key.startswith("__")} - _MODULE_META
    yield from (f"module {name}: has no variable {key}" for key in sorted(given - set(target.variables)))
    needed = {key for key, variable in target.variables.items() if "default" not in variable}
    yield from (f"module {name}: {key} is missing" for key in sorted(needed - given))


_REFERENCE = re.compile(r"(?<![\w.-])([A-Za-z_][\w-]*)(?=(?:\.|\[))")
_STEP = re.compile(r"\s*\.([A-Za-z_][\w-]*|\*|\d+)")
_BOUND = re.compile(r"\bfor\s+(\w+)(?:\s*,\s*(\w+))?\s+in\b")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            if not name.startswith("__"):
                yield from _strings(name)
                yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def code_of(text: str) -> str:
    """An expression with what its strings hold blanked, except for what stands in `${...}`."""
    text = text[2:-1] if text.startswith("${") and text.endswith("}") else text
    heredoc = text.startswith('"<<')
    out: list[str] = []
    open_at: list[str] = []  # what surrounds: a string, or braces within one
    at = 0
    while at < len(text):
        char, two = text[at], text[at : at + 2]
        in_string = bool(open_at) and open_at[-1] == '"'
        if in_string and (two[:1] == "\\" or text[at : at + 3] in ("$${", "%%{")):
            step = 3 if two[:1] != "\\" else 2
            out.append(" " * step)
            at += step
            continue
        if in_string and two in ("${", "%{"):
            open_at.append("{")
            out.append("  ")
            at += 2
            continue
        if char == '"' and not (heredoc and in_string and at < len(text) - 1):
            if in_string:
                open_at.pop()
            else:
                open_at.append('"')
            out.append(" ")
        elif in_string:
            out.append(" ")
        else:
            if char == "{":
                open_at.append("{")
            elif char == "}" and open_at:
                open_at.pop()
            # What closes an interpolation is not code.
            out.append(" " if char == "}" and open_at and open_at[-1] == '"' else char)
        at += 1
    return "".join(out)


def _paths(code: str) -> Iterator[tuple[str, list[str]]]:
    """Each root name with the attributes that follow it, indexes left out."""
    for match in _REFERENCE.finditer(code):
        steps: list[str] = []
        at = match.end()
        while True:
            if at < len(code) and code[at] == "[":
                depth = 0
                for end in range(at, len(code)):
                    depth += (code[end] == "[") - (code[end] == "]")
                    if depth == 0:
                        break
                at = end + 1
            elif step := _STEP.match(code, at):
                if step.group(1) != "*" and not step.group(1).isdigit():
                    steps.append(step.group(1))
                at = step.end()
            else:
                break
        yield match.group(1), steps


def _iterators(value: Any) -> Iterator[str]:
    """Names that dynamic blocks give to their elements."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "dynamic":
                yield from (label for label, _ in _labelled(inner))
            yield from _iterators(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _iterators(inner)


def _of_references(module: Module, tree: Mapping[Path, Module], types: Mapping[str, Fields]) -> Iterator[str]:
    used: set[tuple[str, str]] = set()
    bodies: list[tuple[str, Any]] = [
        *module.resources.items(),
        *((f"module {name}", {**call, "source": None}) for name, call in module.calls.items()),
        *((f"variable {name}", {**variable, "type": None}) for name, variable in module.variables.items()),
        *((f"output {name}", output) for name, output in module.outputs.items()),
        *((f"local {name}", value) for name, value in module.local_values.items()),
        *module.others,
    ]
    for where, body in bodies:
        iterators = set(_iterators(body))
        for text in _strings(body):
            code = code_of(text)
            bound = {name for names in _BOUND.findall(code) for name in names if name} | iterators
            for root, steps in _paths(code):
                if root in bound or root in _BUILT_IN:
                    continue
                if steps and root in ("var", "local"):
                    used.add((root, steps[0]))
                if problem := _unresolved(root, steps, module, tree, types):
                    yield f"{where}: {problem}"
    yield from (f"variable {name} is never used" for name in module.variables if ("var", name) not in used)
    yield from (f"local {name} is never used" for name in module.local_values if ("local", name) not in used)


def _unresolved(
    root: str, steps: list[str], module: Module, tree: Mapping[Path, Module], types: Mapping[str, Fields]
) -> str | None:
    path = ".".join([root, *steps])
    if root == "var":
        return None if steps and steps[0] in module.variables else f"{path} is not declared"
    if root == "local":
        return None if steps and steps[0] in module.local_values else f"{path} is not declared"
    if root == "module":
        if not steps or steps[0] not in module.calls:
            return f"{path} is not declared"
        target = tree.get((module.folder / _bare(module.calls[steps[0]]["source"])).resolve())
        if len(steps) > 1 and target is not None and steps[1] not in target.outputs:
            return f"module {steps[0]} has no output {steps[1]}"
        return None
    if root == "data":
        root, steps = f"data.{steps[0] if steps else ''}", steps[1:]
    elif not root.startswith("aws_"):
        return f"{path} is not declared"
    if not steps or f"{root}.{steps[0]}" not in module.resources:
        return f"{path} is not declared"
    fields = types.get(root, {})
    if len(steps) > 1 and fields and steps[1] not in fields:
        return f"{root} has no {steps[1]}"
    if len(steps) > 2 and "f" in fields.get(steps[1], {}) and steps[2] not in fields[steps[1]]["f"]:
        return f"{root}.{steps[1]} has no {steps[2]}"
    return None


# --- the command -----------------------------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when nothing is wrong, else 1 with one line each."""
    parser = argparse.ArgumentParser(prog="terraform_schema", description="Check Terraform files against the provider.")
    parser.add_argument("folder", nargs="?", type=Path, default=TERRAFORM)
    parser.add_argument("--write", type=Path, metavar="WHEEL", help="read aws_schema.json anew from this wheel")
    given = parser.parse_args(arguments)
    if given.write:
        read = read_wheel(given.write, types_used(read_tree(given.folder)))
        SCHEMA.write_text(json.dumps(read, indent=0, sort_keys=True, separators=(",", ":")).replace("\n", "") + "\n")
        sys.stdout.write(f"{SCHEMA}: {len(read['types'])} types of {read['provider']} {read['provider_version']}\n")
    found = problems(given.folder, json.loads(SCHEMA.read_text()))
    sys.stdout.write("".join(f"{line}\n" for line in found) or f"{given.folder}: nothing wrong\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
