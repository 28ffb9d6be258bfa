"""The code version of a result: what changes it and what does not."""

import ast
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import demand_assets
from demand_assets.provenance import DECIDED_BY, code_version

PACKAGE = Path(demand_assets.__file__).parent
Edit = Callable[[str], str]


def edited(folder: Path, edits: dict[str, Edit]) -> Path:
    """A copy of the package in which modules are edited."""
    package = folder / str(len(list(folder.iterdir()))) / "demand_assets"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, edit in edits.items():
        path = package / name
        text = path.read_text()
        path.write_text(edit(text))
        assert path.read_text() != text
    return package


def replaced(old: str, new: str) -> Edit:
    return lambda text: text.replace(old, new)


def module_with(text: str) -> str:
    """The one module of the package that holds a text, relative to it."""
    (found,) = (path for path in PACKAGE.rglob("*.py") if text in path.read_text())
    return str(found.relative_to(PACKAGE))


def versions(package: Path) -> dict[str, str]:
    return {result: code_version(result, package=package) for result in DECIDED_BY}


def reworded(text: str) -> str:
    """The same code without comments and in another layout, with other docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            node.body[0] = ast.parse('"""In other words."""').body[0]
    return "# Another comment.\n\n\n" + ast.unparse(tree).replace("\n", "\n\n") + "\n"


def test_comments_docstrings_and_layout_anywhere_do_not_count(tmp_path: Path) -> None:
    modules = [str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")]
    everywhere = edited(tmp_path, dict.fromkeys(modules, reworded))
    assert versions(everywhere) == versions(PACKAGE)
    assert code_version(package=everywhere) == code_version()


def test_a_docstring_more_or_less_does_not_count(tmp_path: Path) -> None:
    plain = edited(tmp_path, {"forecasting/orders.py": lambda text: text + "\n\ndef nothing():\n    return 0\n"})
    told = edited(
        tmp_path, {"forecasting/orders.py": lambda text: text + '\n\ndef nothing():\n    """Zero."""\n    return 0\n'}
    )
    assert versions(plain) == versions(told)
    assert versions(plain)["forecast"] != versions(PACKAGE)["forecast"]


def test_another_selection_of_rows_is_another_training_from_the_same_features(tmp_path: Path) -> None:
    module = module_with("def stored_matrices(")
    changed = edited(tmp_path, {module: replaced("if week <= as_of", "if week < as_of")})
    differing = {result for result, version in versions(changed).items() if version != versions(PACKAGE)[result]}
    assert "training" in differing
    assert "features" not in differing


def test_the_bodies_of_assets_and_modules_that_are_not_imported_do_not_count(tmp_path: Path) -> None:
    def more(text: str) -> str:
        return text + "\nONE_MORE = 1\n"

    package = edited(tmp_path, dict.fromkeys(["assets/training.py", "assets/features.py", "sample/generator.py"], more))
    (package / "forecasting" / "unused.py").write_text("NUMBER = 1\n")
    assert versions(package) == versions(PACKAGE)


@pytest.mark.parametrize(
    "line",
    [
        "from demand_assets.forecasting import another",
        "from . import another",
        "from .another import NUMBER",
        "import demand_assets.forecasting.another",
        "def late():\n    from demand_assets.forecasting.another import NUMBER",
    ],
)
def test_what_is_imported_counts_however_it_is_imported(tmp_path: Path, line: str) -> None:
    packages = []
    for number in (1, 2):
        package = edited(tmp_path, {"forecasting/orders.py": lambda text: f"{text}\n{line}\n"})
        (package / "forecasting" / "another.py").write_text(f"NUMBER = {number}\n")
        packages.append(versions(package))
    assert packages[0]["forecast"] != packages[1]["forecast"]


def test_imports_for_type_checkers_do_not_count(tmp_path: Path) -> None:
    block = "\nif TYPE_CHECKING:\n    from demand_assets.forecasting import another\n"
    package = edited(tmp_path, {"forecasting/totals.py": lambda text: text + block})
    (package / "forecasting" / "another.py").write_text("NUMBER = 1\n")
    assert versions(package) == versions(PACKAGE)
