"""`make mutants`: put small faults into the code, one at a time, and count those that the tests notice.

mutmut makes the mutants and runs, for each, the tests that reach its function; `[tool.mutmut]` in pyproject.toml says
where. This module draws them by a seed and lists the survivors. It exits with 1 when fewer than `LEAST_KILLED` of them
are killed.
"""

import argparse
import ast
import io
import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stdout
from difflib import ndiff
from functools import cache
from pathlib import Path

from mutmut.__main__ import copy_also_copy_files, copy_src_dir, create_mutants, setup_source_paths
from mutmut.stats import status_by_exit_code

FOLDER = Path("mutants")
LEAST_KILLED = 0.9
NOTICED = {"killed", "timeout", "segfault"}


def main() -> int:
    """Draw, run and report."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=16, help="the same seed draws the same mutants of the same code")
    parser.add_argument("--count", type=int, default=200, help="how many are drawn")
    parser.add_argument("--workers", type=int, default=2, help="how many are tested at once")
    parser.add_argument("--match", default="", help="only mutants with this in their name, such as forecasting.orders")
    asked = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    with redirect_stdout(io.StringIO()):
        copy_src_dir()
        copy_also_copy_files()
        setup_source_paths()
        create_mutants(asked.workers)
    names = sorted(name for name in outcomes() if asked.match in name)
    drawn = random.Random(asked.seed).sample(names, min(asked.count, len(names)))
    print(f"{len(names):,} mutants, {len(drawn)} drawn by seed {asked.seed}", flush=True)
    subprocess.run(
        [Path(sys.executable).with_name("mutmut"), "run", "--max-children", str(asked.workers), *drawn], check=True
    )
    return report(drawn)


def report(drawn: list[str]) -> int:
    """Print what became of the drawn mutants and the change of each survivor; the exit code."""
    found = outcomes()
    ended = {name: status_by_exit_code[found[name]] for name in drawn}
    for name in sorted(drawn):
        if ended[name] not in NOTICED:
            print(f"\n{ended[name]}: {name}")
            print("\n".join(f"  {line}" for line in ndiff(*texts(name)) if line[:1] in "+-"))
    counts = Counter(ended.values())
    killed = sum(counts[status] for status in NOTICED) / len(drawn)
    print(f"\n{', '.join(f'{count} {status}' for status, count in counts.most_common())}: {killed:.1%} killed")
    return 0 if killed >= LEAST_KILLED else 1


def outcomes() -> dict[str, int | None]:
    """Exit code of the tests by the name of the mutant; None for one that they were not run for."""
    metas = (json.loads(path.read_text()) for path in sorted(FOLDER.rglob("*.meta")))
    return {name: code for meta in metas for name, code in meta["exit_code_by_key"].items()}


def texts(name: str) -> tuple[list[str], list[str]]:
    """Lines of a mutant's original and of the mutant, both under the mutant's name."""
    module, _, function = name.rpartition(".")
    path = (FOLDER / module.replace(".", "/")).with_suffix(".py")
    if not path.exists():
        path = path.with_suffix("") / "__init__.py"
    lines, spans = _functions(path)
    original = function.rpartition("__mutmut_")[0] + "__mutmut_orig"
    first, second = (lines[slice(*spans[each])] for each in (original, function))
    return [line.replace(original, function) for line in first], second


@cache
def _functions(path: Path) -> tuple[list[str], dict[str, tuple[int, int]]]:
    """The lines of a file with mutants, and where in them each function is."""
    text = path.read_text()
    return text.splitlines(), {
        node.name: (node.lineno - 1, node.end_lineno or node.lineno)
        for node in _nodes(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def _nodes(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements of a module and of its classes."""
    for node in tree.body:
        yield node
        if isinstance(node, ast.ClassDef):
            yield from node.body


if __name__ == "__main__":
    sys.exit(main())
