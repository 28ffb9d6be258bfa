"""docs/bring-your-own-data.md: its tables are those of the declarations, its examples are understood as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from demand_assets.adapters.landing import LandingZone
from demand_assets.forecasting.methods import weeks_needed
from demand_assets.ingestion.dataspec import read_spec
from demand_assets.ingestion.spec_page import with_tables
from demand_assets.ingestion.understanding import Understanding

PAGE = (Path(__file__).parents[2] / "docs" / "bring-your-own-data.md").read_text(encoding="utf-8")
# Folder -> file, what it is, weekday that ends a week, value, unit.
SHOWN = {
    "till": [("kasse.csv", "sales", "sunday", "Umsatz", "units")],
    "weekly": [("sales.csv", "sales", "sunday", "qty", "pieces")],
    "three-files": [
        ("sales.csv", "sales", "friday", "revenue_eur", "EUR"),
        ("stores.csv", "stores", "", "", ""),
        ("weather.csv", "covariates", "", "", ""),
    ],
    "parquet": [
        ("plan.parquet", "covariates", "", "", ""),
        ("scan.parquet", "sales, covariates", "friday", "units", "pieces"),
    ],
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders that the script of the page makes."""
    place = tmp_path_factory.mktemp("examples")
    (script,) = blocks("python")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        exec(compile(script, "make_data.py", "exec"), {})
    return place / "my-data"


def understood(folder: Path) -> Understanding:
    return LandingZone(str(folder)).understanding()


def test_the_tables_are_those_of_the_declarations() -> None:
    assert with_tables(PAGE) == PAGE, "run `make dictionary`"


def test_every_block_of_toml_is_a_valid_demand_toml() -> None:
    assert all(read_spec(block) for block in blocks("toml"))


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_is_understood_as_shown(name: str, examples: Path) -> None:
    found = understood(examples / name)
    assert found.questions == ()
    assert sorted((one.name, one.role, one.week_ends, one.value, one.unit) for one in found.files) == SHOWN[name]


def test_unfinished_weeks_are_named_as_shown(examples: Path) -> None:
    notes = [note for note in LandingZone(str(examples / "till")).contents().notes if "left out" in note]
    assert len(notes) == 2
    assert all(f"  {note}\n" in PAGE for note in notes)


def test_the_weeks_that_methods_need_are_those_of_the_code() -> None:
    rows = {
        "last value, TSB": "last_value",
        "moving average": "moving_average",
        "seasonal naive, aligned seasonal naive, base": "seasonal_naive",
        "XGBoost, the model": "model",
        "SVD + STL": "svd_stl",
    }
    needed = [weeks_needed(horizon) for horizon in (1, 4, 13)]
    for row, method in rows.items():
        assert f"| {row} | {' | '.join(str(weeks[method]) for weeks in needed)} |" in PAGE
