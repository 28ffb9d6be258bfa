"""The main job on the workers of a cluster: the same forecasts, to the byte, as on one machine."""

from pathlib import Path

import pytest

from demand_assets.adapters.parquet import ParquetLake
from demand_assets.compute import ThisMachine
from demand_assets.resources import build_compute
from demand_assets.settings import Settings
from tests.wiring.conftest import SETTINGS, run


@pytest.mark.long
def test_the_main_job_on_workers_ends_like_the_one_on_one_machine(
    finished: tuple[Path, dict[str, object]], csv_folder: Path, first_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.wiring.conftest.SETTINGS", {**SETTINGS, "DEMAND_ENGINE": "dask"})
    run(first_home, csv_folder)
    here, there = (ParquetLake(uri=str(folder / "lake")) for folder in (finished[0], first_home))
    # The manifest names the landing zone's files by their times, so the files are compared by their rows.
    for table in ("demand_features", "backtest_report", "weekly_forecast", "forecast_totals", "forecast_attributions"):
        assert there.versions(table) == here.versions(table) != {}


def test_no_cluster_is_opened_for_work_of_one_part() -> None:
    # No scheduler is there: opening one would fail.
    compute = build_compute(Settings(engine="dask", dask_scheduler="tcp://127.0.0.1:9"))
    assert isinstance(compute.workers_for(1), ThisMachine)
