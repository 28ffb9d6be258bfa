"""The main job with the cluster engine: the same lake and the same decisions as on one machine."""

from pathlib import Path

import pandas as pd
import pytest

from demand_assets.adapters.engine import LocalEngine
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.resources import build_compute
from demand_assets.settings import Settings
from tests.wiring.conftest import SETTINGS, run

KEYS = ["store_id", "dept_id", "origin_week", "target_week", "horizon", "seasonal_naive"]


def test_the_main_job_on_workers_ends_like_the_one_on_one_machine(
    finished: tuple[Path, dict[str, object]], csv_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.wiring.conftest.SETTINGS", {**SETTINGS, "DEMAND_ENGINE": "dask"})
    home = tmp_path / "home"
    run(home, csv_folder)
    here, there = (ParquetLake(uri=str(folder / "lake")) for folder in (finished[0], home))
    # The manifest names the landing zone's files by their times, so the files are compared by their rows.
    assert there.versions("demand_features") == here.versions("demand_features")
    assert there.versions("backtest_report") == here.versions("backtest_report")
    (key,) = here.partitions("weekly_forecast")
    one, other = (lake.read("weekly_forecast", [key]) for lake in (here, there))
    assert one is not None
    assert other is not None
    pd.testing.assert_frame_equal(one[KEYS], other[KEYS])
    assert other["forecast"].sum() == pytest.approx(one["forecast"].sum(), rel=0.05)


def test_no_cluster_is_opened_for_work_of_one_part() -> None:
    # No scheduler is there: opening one would fail.
    compute = build_compute(Settings(engine="dask", dask_scheduler="tcp://127.0.0.1:9"))
    assert isinstance(compute.engine(1), LocalEngine)
