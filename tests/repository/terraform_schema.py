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
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.repository.terraform_files import TERRAFORM, Module, bare, labelled, parsed_file, read_tree, types_used
from tests.repository.terraform_package import Fields, read_wheel

SCHEMA = Path(__file__).with_name("aws_schema.json")
# Of Terraform itself, for every resource, data source and module.
META = {"count", "for_each", "depends_on", "provider", "lifecycle", "provisioner", "connection", "timeouts"}
_MODULE_META = {"source", "version", "count", "for_each", "depends_on", "providers"}
_ROOT_BLOCKS = {
    "resource",
    "data",
    "module",
    "variable",
    "output",
    "locals",
    "provider",
    "terraform",
    "moved",
    "removed",
    "check",
}
_BUILT_IN = {"each", "count", "self", "path", "terraform"}


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
        given = [name for name in parsed_file(file.read_text()) if not name.startswith("__")]
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


def _of_body(where: str, body: Mapping[str, Any], fields: Fields) -> Iterator[str]:
    given: dict[str, list[Any]] = {}
    dynamic: set[str] = set()
    for name, value in body.items():
        if name.startswith("__"):
            continue
        if name == "dynamic":
            for label, inner in labelled(value):
                given.setdefault(label, []).extend(inner["content"])
                dynamic.add(label)
        else:
            given.setdefault(bare(name), []).extend(value if _is_blocks(value) else [value])
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
    target = tree.get((module.folder / bare(call["source"])).resolve())
    if target is None:
        yield f"module {name}: there is no folder {bare(call['source'])}"
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
                yield from (label for label, _ in labelled(inner))
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
        # What was removed is declared no more.
        *(one for one in module.others if one[0] != "removed"),
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
        target = tree.get((module.folder / bare(module.calls[steps[0]]["source"])).resolve())
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
