"""Weeks without sales are no partitions, and a workspace that has such partitions is repaired."""

import json
import os
import time
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from demand_assets.adapters.parquet import ParquetLake
from demand_assets.alerting import COMMAND_TAG
from demand_assets.landed_weeks import ROWS_KEY
from tests.wiring.conftest import demand, run
from tests.wiring.workspaces import files_of

NEXT = pd.Timedelta(weeks=1)


def partitions_of(home: Path) -> list[str]:
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        return list(instance.get_dynamic_partitions("weeks"))


def land(zone: Path, *rows: str) -> None:
    """A later file with rows `store,dept,week,amount,flag`."""
    header = (zone / "train.csv").read_text().splitlines()[0]
    (zone / "late.csv").write_text("\n".join([header, *rows]) + "\n")
    os.utime(zone / "late.csv", (time.time() + 60, time.time() + 60))
    # What was landed before is stored, and no longer in the zone.
    (zone / "train.csv").unlink()


def test_a_week_whose_only_rows_are_impossible_beside_stored_sales_is_no_partition_and_its_rows_are_named(
    workspace: tuple[Path, Path], finished: tuple[Path, dict[str, object]]
) -> None:
    home, zone = workspace
    week = f"{pd.Timestamp(str(finished[1]['last_week'])) + NEXT:%Y-%m-%d}"
    lake, held = ParquetLake(uri=str(home / "lake")), partitions_of(home)
    stored = [lake.versions(table) for table in ("raw_sales", "raw_covariates", "demand_features")]
    land(zone, f"1,777,{week},1e12,FALSE")
    summary = run(home, zone)
    (aside,) = summary["set_aside"]
    assert (aside["file"], aside["line"], aside["check"]) == ("late.csv", 2, "sales_are_possible")
    assert aside["reason"].startswith("sales 1,000,000,000,000 ")
    assert partitions_of(home) == held
    assert [lake.versions(table) for table in ("raw_sales", "raw_covariates", "demand_features")] == stored


@pytest.fixture
def poisoned(workspace: tuple[Path, Path], finished: tuple[Path, dict[str, object]]) -> tuple[Path, Path, str]:
    """A workspace as an older release left it, with a week that has no row; and that week."""
    home, zone = workspace
    newest = str(finished[1]["last_week"])
    week = f"{pd.Timestamp(newest) + NEXT:%Y-%m-%d}"
    lake = ParquetLake(uri=str(home / "lake"))
    for table in ("raw_sales", "raw_covariates", "forecast_accuracy", "forecast_exceptions", "published_conditions"):
        rows = lake.read(table, [newest])
        assert rows is not None
        lake.write(table, week, rows.iloc[:0], {ROWS_KEY: "0"})
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        instance.add_dynamic_partitions("weeks", ["hello", week])
    return home, zone, week


def test_a_run_over_a_week_without_a_row_stops_and_says_how_to_repair(poisoned: tuple[Path, Path, str]) -> None:
    home, zone, week = poisoned
    ended = demand(home, "run", "--raw-dir", str(zone))
    assert ended.returncode == 1
    (line,) = ended.stderr.strip().splitlines()
    assert line.endswith(f"got files without a row for {week}; remove them with `demand repair`")


def test_repair_removes_weeks_without_sales_and_the_next_run_goes_on(
    poisoned: tuple[Path, Path, str], finished: tuple[Path, dict[str, object]]
) -> None:
    home, zone, week = poisoned
    ended = demand(home, "repair", "--json")
    assert ended.returncode == 0, ended.stderr
    removed = json.loads(ended.stdout)
    assert removed["partitions"] == [week, "hello"]
    assert len(removed["files"]) == 5
    assert partitions_of(home) == partitions_of(finished[0])
    assert demand(home, "repair").stdout == "nothing to repair\n"
    assert run(home, zone)["vintage"] == finished[1]["vintage"]
    assert files_of(home) == files_of(finished[0])


def test_a_partition_that_is_no_week_is_named_and_passed_over(
    workspace: tuple[Path, Path], finished: tuple[Path, dict[str, object]]
) -> None:
    home, zone = workspace
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        instance.add_dynamic_partitions("weeks", ["hello", "2030-01-04"])
    ended = demand(home, "run", "--raw-dir", str(zone))
    assert ended.returncode == 0, ended.stderr
    assert "partition '2030-01-04', 'hello' is no week with sales and is passed over" in ended.stdout
    assert files_of(home) == files_of(finished[0])


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
)
def test_the_next_run_ends_a_run_that_was_killed_before_or_after_it_began(
    workspace: tuple[Path, Path], status: dg.DagsterRunStatus
) -> None:
    home, zone = workspace
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:

        @dg.job
        def ingest() -> None: ...

        left = instance.create_run_for_job(ingest, status=status, tags={COMMAND_TAG: "run"})
    run(home, zone)
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        ended = instance.get_run_by_id(left.run_id)
        assert ended is not None
        assert ended.status == dg.DagsterRunStatus.FAILURE
