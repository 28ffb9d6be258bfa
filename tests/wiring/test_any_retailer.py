"""`demand run` on the sample retailer's data in forms that people bring."""

import sqlite3
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from demand_assets.adapters.landing import LandingZone
from demand_assets.sample import SampleData
from tests.retailer_forms import write
from tests.wiring.conftest import run

ROWS = """
    select s.store_id, d.dept_id, f.target_week, f.horizon, f.forecast, v.unit
    from forecasts f join stores s using (store_key) join departments d using (dept_key)
    join forecast_vintages v using (vintage_id) where v.kind = 'forecast' order by 1, 2, 3
"""


def forecasts(home: Path) -> list[tuple[str, str, str, int, float, str]]:
    with closing(sqlite3.connect(home / "store.db")) as connection:
        return connection.execute(ROWS).fetchall()


@pytest.mark.parametrize(
    ("form", "unit"),
    [
        ("daily", "EUR"),
        pytest.param("sales_only", "USD", marks=pytest.mark.long),
        pytest.param("units", "pieces", marks=pytest.mark.long),
        pytest.param("one_series_a_store", "USD", marks=pytest.mark.long),
        pytest.param("holidays_by_store", "USD", marks=pytest.mark.long),
    ],
)
def test_each_form_ends_with_a_published_vintage(
    form: str, unit: str, retailer: SampleData, first_home: Path, tmp_path: Path
) -> None:
    write(form, tmp_path / "zone", retailer)
    summary = run(first_home, tmp_path / "zone")
    found = forecasts(first_home)
    assert len(found) == summary["forecasts"] > 0
    assert {row[-1] for row in found} == {summary["unit"]} == {unit}
    assert {row[0] for row in found} == {str(store) for store in retailer.stores["store_id"]}


@pytest.mark.long
def test_one_file_with_everything_gives_the_same_forecasts(
    finished: tuple[Path, dict[str, object]], retailer: SampleData, first_home: Path, tmp_path: Path
) -> None:
    write("merged", tmp_path / "zone", retailer)
    summary = run(first_home, tmp_path / "zone")
    assert forecasts(first_home) == forecasts(finished[0])
    assert summary["unit"] == "USD"


def test_archives_as_downloaded_hold_the_same_rows(csv_folder: Path, retailer: SampleData, tmp_path: Path) -> None:
    write("zipped", tmp_path / "zone", retailer)
    zipped, plain = (LandingZone(str(folder)).contents().tables() for folder in (tmp_path / "zone", csv_folder))
    for name in ("sales", "covariates", "stores", "departments", "calendar"):
        pd.testing.assert_frame_equal(getattr(zipped, name), getattr(plain, name))


@pytest.mark.parametrize(
    ("form", "days", "factor", "unit"),
    [pytest.param("text_ids", 0, 1, "USD", marks=pytest.mark.long), ("moved", 1, 2, "EUR")],
)
def test_data_with_other_ids_days_and_unit_have_the_same_forecasts_named_shifted_and_scaled(
    form: str,
    days: int,
    factor: int,
    unit: str,
    finished: tuple[Path, dict[str, object]],
    retailer: SampleData,
    first_home: Path,
    tmp_path: Path,
) -> None:
    write(form, tmp_path / "zone", retailer)
    run(first_home, tmp_path / "zone")
    expected = {
        (f"ZRH-0{store}", f"food/{dept}", str(date.fromisoformat(week) + timedelta(days=days))): factor * forecast
        for store, dept, week, _, forecast, _ in forecasts(finished[0])
    }
    found = {row[:3]: row[4] for row in forecasts(first_home)}
    assert {row[-1] for row in forecasts(first_home)} == {unit}
    assert found == pytest.approx(expected, rel=1e-9)
