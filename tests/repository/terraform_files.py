"""Reads folders of Terraform files as blocks by name."""

import functools
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TERRAFORM = Path(__file__).parents[2] / "terraform"


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


def copy_terraform(folder: Path, *left_out: str) -> None:
    """The configuration in another folder, without what is one's own, and without the lock file.

    The lock file has the hashes of the provider itself, which the stand-in has not.
    """
    shutil.copytree(TERRAFORM, folder, ignore=shutil.ignore_patterns(".terraform*", "*.mine.tfvars", *left_out))


def bare(name: str) -> str:
    return name.strip('"')


@functools.cache
def parsed_file(text: str) -> dict[str, Any]:
    import hcl2

    parsed: dict[str, Any] = hcl2.loads(text)
    return parsed


def read_module(folder: Path) -> Module:
    """The blocks of the .tf files of one folder; a resource is named `type.name`, a data source `data.type.name`."""
    module = Module(folder, sorted(folder.glob("*.tf")))
    for file in module.files:
        for kind, blocks in parsed_file(file.read_text()).items():
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
                module.resources[f"{prefix}{bare(type_name)}.{bare(name)}"] = body
    elif kind == "locals":
        module.local_values |= {name: value for name, value in block.items() if not name.startswith("__")}
    elif kind in ("module", "variable", "output"):
        kept = {"module": module.calls, "variable": module.variables, "output": module.outputs}[kind]
        kept |= {bare(name): body for name, body in block.items()}
    else:
        module.others.append((kind, block))


def read_tree(folder: Path) -> dict[Path, Module]:
    """The module of a folder and of every folder below it that has .tf files."""
    folders = sorted({file.parent for file in folder.rglob("*.tf") if ".terraform" not in file.parts})
    return {one.resolve(): read_module(one) for one in folders}


def types_used(tree: Mapping[Path, Module]) -> set[str]:
    """`aws_x` of each resource and `data.aws_x` of each data source."""
    return {name.rpartition(".")[0] for module in tree.values() for name in module.resources}


def labelled(blocks: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Label and body of blocks that have one label."""
    for block in blocks:
        yield from ((bare(label), body) for label, body in block.items() if not label.startswith("__"))
