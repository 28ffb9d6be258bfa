"""What made a result: hashes of the code that decides its numbers, and of the inputs it was given."""

import ast
import hashlib
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

# Result -> the modules of this package that decide its numbers. Those that they import count with them; the bodies of
# assets, which only take, call and return, do not.
DECIDED_BY: Mapping[str, tuple[str, ...]] = {
    "features": ("forecasting.features", "forecasting.panel"),
    "training": ("forecasting.backtest", "forecasting.forecaster"),
    "forecast": ("forecasting.forecaster", "forecasting.methods", "forecasting.orders"),
    "attributions": ("forecasting.attributions",),
    "totals": ("forecasting.totals",),
    "drift": ("adapters.drift_rows", "monitoring.drift"),
}
_PACKAGE = Path(__file__).parent

_LIBRARIES = ("numpy", "pandas", "scipy", "scikit-learn")


@cache
def code_version(*results: str, package: Path = _PACKAGE) -> str:
    """Hash of the code that decides results of `DECIDED_BY`, 12 hex digits; without any given, of all of them.

    Equal code gives equal results from equal data. It is the syntax trees that are hashed: comments, docstrings and
    formatting do not count. KeyError for an unknown result.
    """
    sources = _sources(results, package)
    digest = hashlib.blake2b(digest_size=6)
    for name in sorted(sources):
        digest.update(name.encode() + sources[name].digest)
    return digest.hexdigest()


def code_files(*results: str) -> dict[str, Path]:
    """The files whose code `code_version` of the same results hashes, by their path below the package's folder."""
    found = (_file(_PACKAGE, name) for name in sorted(_sources(results, _PACKAGE)))
    return {path.relative_to(_PACKAGE.parent).as_posix(): path for path in found if path}


def _sources(results: Sequence[str], package: Path) -> dict[str, "_Source"]:
    waiting = [f"{package.name}.{module}" for result in results or DECIDED_BY for module in DECIDED_BY[result]]
    sources: dict[str, _Source] = {}
    while waiting:
        name = waiting.pop()
        if name not in sources:
            sources[name] = _source(package, name)
            waiting += sources[name].imports
    return sources


class _Source(NamedTuple):
    """A module: hash of its syntax tree, and the modules of its package that it imports."""

    digest: bytes
    imports: frozenset[str]


@cache
def _source(package: Path, name: str) -> _Source:
    path = _file(package, name)
    if path is None:
        raise ModuleNotFoundError(f"{name} is no module of {package}")
    code: list[str] = []
    imports: list[ast.Import | ast.ImportFrom] = []
    _read(ast.parse(path.read_bytes()), code, imports)
    within = name if path.name == "__init__.py" else name.rpartition(".")[0]
    named = {part for node in imports for found in _imported(node, within) for part in _with_parents(found)}
    digest = hashlib.blake2b("\n".join(code).encode(), digest_size=16).digest()
    return _Source(digest, frozenset(part for part in named if _file(package, part)))


def _file(package: Path, name: str) -> Path | None:
    """The file of a module of the package; None where there is none, as for an imported function."""
    top, *parts = name.split(".")
    base = package.joinpath(*parts)
    found = (path for path in (base / "__init__.py", base.with_suffix(".py")) if top == package.name and path.is_file())
    return next(found, None)


def _imported(node: ast.Import | ast.ImportFrom, within: str) -> Iterator[str]:
    """What an import in a module of package `within` names: modules, and what may be modules of a package."""
    base = ""
    if isinstance(node, ast.ImportFrom):
        above = within.rsplit(".", node.level - 1)[0] if node.level else ""
        base = ".".join(filter(None, (above, node.module))) + "."
    yield from (base + alias.name for alias in node.names)


def _with_parents(name: str) -> Iterator[str]:
    """`a.b.c`, `a.b` and `a`: importing a module runs the packages that it is in."""
    while name:
        yield name
        name = name.rpartition(".")[0]


def _read(node: ast.AST, code: list[str], imports: list[ast.Import | ast.ImportFrom]) -> None:
    """Append a syntax tree as text to `code`, and its imports to `imports`.

    Left out is what is there for readers and type checkers alone, and empty fields: newer Pythons have more of them.
    `ast.dump` of a tree without these would take twice as long.
    """
    if _is_bare_text(node):
        return
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        for statement in node.orelse:
            _read(statement, code, imports)
        return
    if isinstance(node, ast.Import | ast.ImportFrom):
        imports.append(node)
    code.append(type(node).__name__)
    for name in node._fields:
        value = getattr(node, name, None)
        if value is None or value == [] or name == "ctx":
            continue
        code.append(name)
        for part in value if isinstance(value, list) else (value,):
            if isinstance(part, ast.AST):
                _read(part, code, imports)
            else:
                code.append(repr(part))
    code.append("end")


def _is_bare_text(node: ast.AST) -> bool:
    """Whether a statement is text alone, such as a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def fingerprint(parts: Mapping[str, Any] | Sequence[Any]) -> str:
    """Hash of a JSON-like value, 16 hex digits; equal values, equal fingerprints."""
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=8).hexdigest()


def libraries() -> dict[str, str]:
    """Versions of Python and of the libraries that decide a forecast's last bits, those of every model included."""
    from demand_assets.forecasting.models import models

    names = [*_LIBRARIES, *sorted({name for model in models().values() for name in model.libraries})]
    return {"python": platform.python_version(), **{name: version(name) for name in dict.fromkeys(names)}}


@cache
def environment() -> str:
    """What decides a forecast's last bits beside code and data: libraries, processor, and the kernels BLAS picked."""
    # Loads the libraries whose kernels are asked for.
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_info

    kernels = {
        f"{library['internal_api']} {library['version']} {library.get('architecture', '')}".rstrip()
        for library in threadpool_info()
        if library["user_api"] == "blas"
    }
    versions = [f"{name} {version}" for name, version in libraries().items()]
    return ", ".join([*versions, platform.machine(), *sorted(kernels)])
