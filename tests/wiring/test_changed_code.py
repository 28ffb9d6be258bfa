"""`demand run` again after the code has changed: what it makes anew is what the change decides."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_provenance import PACKAGE, edited, module_with, replaced, reworded
from tests.wiring.conftest import environment_of


def run_with(package: Path, home: Path, zone: Path) -> dict[str, object]:
    shutil.copy(PACKAGE.parent / "dagster.yaml", package.parent)
    ended = subprocess.run(
        [sys.executable, "-m", "demand_assets.cli", "run", "--raw-dir", str(zone), "--json"],
        env={**environment_of(home), "PYTHONPATH": str(package.parent)}, cwd=home.parent, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    summary: dict[str, object] = json.loads(ended.stdout)
    return summary


@pytest.mark.long
def test_other_words_do_nothing_and_another_selection_of_rows_trains_anew(
    workspace: tuple[Path, Path], tmp_path: Path
) -> None:
    home, zone = workspace
    packages = tmp_path / "packages"
    packages.mkdir()
    everywhere = [str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if "migrations" not in str(path)]
    same = run_with(edited(packages, dict.fromkeys(everywhere, reworded)), home, zone)
    assert (same["model_version"], same["vintage_is_new"], same["fit_seconds"]) == (1, False, 0.0)
    assert "demand_features" not in same["seconds_per_asset"]
    selection = {module_with("def stored_matrices("): replaced("if week <= as_of", "if week < as_of")}
    other = run_with(edited(packages, selection), home, zone)
    assert other["model_version"] == 2
    assert "demand_features" not in other["seconds_per_asset"]
