"""`demand inspect` on folders: what it prints, and the demand.toml it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from demand_assets.cli import main
from demand_assets.ingestion.dataspec import read_spec
from tests.ingestion.landed import WALMART, csv, days


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in WALMART.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def inspect(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["inspect", str(folder), *options])


def test_it_says_what_each_file_is_and_writes_demand_toml(folder: Path) -> None:
    result = inspect(folder)
    assert result.exit_code == 0
    assert "Known form: walmart" in result.stdout
    assert all(role in result.stdout for role in ("sales", "covariates", "stores"))
    assert read_spec((folder / "demand.toml").read_text()).data.unit == "USD"
    assert sorted(path.name for path in folder.iterdir()) == sorted([*WALMART, "demand.toml"])


def test_a_demand_toml_that_is_there_is_used_and_left_unless_forced(folder: Path) -> None:
    (folder / "demand.toml").write_text('[data]\nunit = "CHF"\n')
    assert "is left as it is" in inspect(folder).stderr
    assert (folder / "demand.toml").read_text() == '[data]\nunit = "CHF"\n'
    inspect(folder, "--force")
    spec = read_spec((folder / "demand.toml").read_text())
    assert (spec.data.unit, spec.series.store) == ("CHF", "Store")


def test_no_write_writes_nothing_and_json_has_everything(folder: Path) -> None:
    answer = json.loads(inspect(folder, "--json", "--no-write").stdout)
    assert [(file["name"], file["role"]) for file in answer["files"]] == [
        ("features.csv", "covariates"),
        ("stores.csv", "stores"),
        ("train.csv", "sales"),
    ]
    assert (answer["form"], answer["questions"], answer["spec"]["sales"]["date"]) == ("walmart", [], "Date")
    assert not (folder / "demand.toml").exists()


def test_names_of_files_and_columns_are_never_markup(tmp_path: Path) -> None:
    rows = [(day, "a", 1.5, "x") for day in days(8)]
    (tmp_path / "[red]sales.csv").write_text(csv("date,store,sales,[bold]no[/bold]", *rows))
    result = inspect(tmp_path)
    assert result.exit_code == 0
    assert "[bold]no[/bold]: one value" in result.stdout
    assert "[red]sales.csv" in result.stdout


def test_all_questions_are_asked_at_once_each_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text(csv("date,store,sales", ("2012-01-06", "a", 1.5), ("2012-01-06", "b", 1.5)))
    result = inspect(tmp_path)
    assert "Open questions: 1. Answer them in demand.toml:" in result.stdout
    assert 'frequency = "weekly"  # or frequency = "daily"' in result.stdout


def test_no_folder_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    result = inspect(tmp_path / "absent")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].endswith("absent does not exist; expected a folder with files of sales")
