"""`demand run` as a user runs it: from CSVs to a served forecast, again, corrected, killed, and on bad input."""

import fcntl
import gzip
import json
import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow.parquet as pq
import pytest

from demand_assets.adapters.arrow_frames import read_frame
from demand_assets.sample import SampleData
from tests.wiring.conftest import demand, run, running
from tests.wiring.workspaces import files_of, rows_of


def test_every_row_that_landed_is_in_the_lake(finished: tuple[Path, dict[str, object]], retailer: SampleData) -> None:
    home, summary = finished
    assert summary["rows_landed"] == summary["rows_in_lake"] == len(retailer.sales)
    lake = read_frame(home / "lake" / "raw_sales")
    keys = ["week", "store_id", "dept_id"]
    columns = [*keys, "sales", "is_holiday"]
    landed = retailer.sales[columns].sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(lake[columns].sort_values(keys, ignore_index=True), landed)


def test_the_asset_says_how_many_rows_each_file_brought(workspace: tuple[Path, Path], retailer: SampleData) -> None:
    with dg.DagsterInstance.from_config(str(workspace[0] / "dagster")) as instance:
        (record,) = instance.fetch_materializations(dg.AssetKey("raw_sales"), limit=1).records
    assert record.asset_materialization is not None
    told = str(record.asset_materialization.metadata["landings"].value)
    (line,) = (line for line in told.splitlines() if "train.csv" in line)
    assert [cell.strip() for cell in line.split("|")][3:6] == [f"{len(retailer.sales):,}", "0", "0"]


def test_every_active_series_is_forecast_for_every_week_ahead(
    finished: tuple[Path, dict[str, object]], retailer: SampleData
) -> None:
    newest = retailer.sales["week"].max()
    recent = retailer.sales[retailer.sales["week"] > newest - pd.Timedelta(weeks=52)]
    expected = 4 * len(recent[["store_id", "dept_id"]].drop_duplicates())
    with closing(sqlite3.connect(finished[0] / "store.db")) as connection:
        stored = pd.read_sql("select * from forecasts", connection)
    stored = stored[stored["vintage_id"] == finished[1]["vintage"]]
    assert len(stored) == expected
    assert stored[["forecast", "p10", "p50", "p90"]].notna().all(axis=None)


def test_totals_of_the_run_are_the_sums_of_its_forecasts(finished: tuple[Path, dict[str, object]]) -> None:
    week = finished[1]["origin_week"]
    forecast, totals = (
        read_frame(finished[0] / "lake" / name / f"{week}.parquet") for name in ("weekly_forecast", "forecast_totals")
    )
    assert totals.groupby("level")["target_week"].value_counts().groupby("level").first().to_dict() == {
        "store": forecast["store_id"].nunique(),
        "department": forecast["dept_id"].nunique(),
        "chain": 1,
    }
    expected = forecast.groupby("target_week")["forecast"].sum()
    for _, level in totals.groupby("level"):
        pd.testing.assert_series_equal(level.groupby("target_week")["forecast"].sum(), expected)
    assert (totals["p10"] < totals["p50"]).all()
    assert (totals["p50"] < totals["p90"]).all()


def test_totals_reasons_and_conditions_are_in_the_store(
    finished: tuple[Path, dict[str, object]], retailer: SampleData
) -> None:
    home, summary = finished
    with closing(sqlite3.connect(home / "store.db")) as connection:
        totals, reasons, forecasts, conditions = (
            pd.read_sql(f"select * from {table}", connection)
            for table in ("forecast_totals", "forecast_attributions", "forecasts", "store_conditions")
        )
    totals, reasons, forecasts = (
        table[table["vintage_id"] == summary["vintage"]] for table in (totals, reasons, forecasts)
    )
    chain = totals[totals["level"] == "chain"].set_index("target_week")["forecast"]
    pd.testing.assert_series_equal(chain, forecasts.groupby("target_week")["forecast"].sum())
    keys = ["vintage_id", "store_key", "dept_key", "target_week"]
    both = forecasts.merge(reasons, on=keys, validate="one_to_one")
    assert len(both) == len(forecasts) == len(reasons)
    summed = both[[name for name in reasons if name not in keys]].sum(axis=1)
    # TreeSHAP adds up in single precision.
    assert summed.to_numpy() == pytest.approx(both["forecast"].to_numpy(), rel=1e-4, abs=1)
    # Every week that has been delivered from the first sales on, those after the last sales included.
    delivered = retailer.conditions[retailer.conditions["week"] >= retailer.sales["week"].min()]
    assert len(conditions) == len(delivered)
    assert conditions["week"].max() == f"{delivered['week'].max():%Y-%m-%d}" > str(summary["last_week"])
    assert conditions["is_holiday"].sum() == delivered["is_holiday"].sum()


def test_markdowns_to_and_after_the_newest_sales_are_in_the_store(
    finished: tuple[Path, dict[str, object]], retailer: SampleData
) -> None:
    """Weeks of one value are one row; they sum to what was delivered."""
    with closing(sqlite3.connect(finished[0] / "store.db")) as connection:
        query = "select * from driver_values join drivers using (driver_key) where driver = 'markdown'"
        found = pd.read_sql(query, connection, parse_dates=["first_week", "last_week"])
    newest = retailer.sales["week"].max()
    weeks = retailer.conditions["week"]
    shown = (weeks >= retailer.sales["week"].min()) & (weeks <= newest + pd.Timedelta(weeks=52))
    markdowns = retailer.conditions[shown].set_index("week").filter(like="markdown").sum(axis=1, min_count=1).dropna()
    found["weeks"] = (found["last_week"] - found["first_week"]).dt.days // 7 + 1
    for is_planned, delivered in ((0, markdowns[:newest]), (1, markdowns[newest + pd.Timedelta(days=1) :])):
        rows = found[found["is_planned"] == is_planned]
        assert (rows["weeks"] * rows["value"]).sum() == pytest.approx(delivered.sum())
        assert rows["weeks"].sum() == len(delivered)
    assert len(found) > 0
    assert found["dept_key"].eq(0).all()
    assert found["known_ahead"].eq(0).all()


def test_a_second_run_adds_nothing(workspace: tuple[Path, Path], finished: tuple[Path, dict[str, object]]) -> None:
    home, zone = workspace
    before, files = rows_of(home), files_of(home)
    summary = run(home, zone)
    assert rows_of(home) == before
    assert files_of(home) == files
    assert summary["vintage"] == finished[1]["vintage"]
    assert summary["vintage_is_new"] is False
    assert summary["model_version"] == 1
    assert summary["fit_seconds"] == 0
    # The plan says so; no run of the graph is started to find it out.
    assert summary["seconds_per_asset"] == {}


def test_a_run_takes_up_a_correction_and_the_conditions_of_weeks_to_come(
    workspace: tuple[Path, Path], finished: tuple[Path, dict[str, object]]
) -> None:
    (home, zone), vintages = workspace, finished[1]["vintages_in_store"]
    train = (zone / "train.csv").read_text().splitlines()
    store, dept, week, _, holiday = train[-1].split(",")
    correction = "\n".join([train[0], ",".join([store, dept, week, "4321.5", holiday])]) + "\n"
    (zone / "correction.csv.gz").write_bytes(gzip.compress(correction.encode()))
    os.utime(zone / "correction.csv.gz", (time.time() + 60, time.time() + 60))
    lines = (zone / "features.csv").read_text().splitlines()
    last = lines[-1].split(",")
    later = f"{pd.Timestamp(last[1]) + pd.Timedelta(weeks=30):%Y-%m-%d}"
    (zone / "calendar.csv").write_text("\n".join([lines[0], ",".join([last[0], later, *last[2:-1], "TRUE"])]) + "\n")
    summary = run(home, zone)
    lake = read_frame(home / "lake" / "raw_sales" / f"{week}.parquet")
    row = lake[(lake["store_id"] == int(store)) & (lake["dept_id"] == int(dept))]
    assert row["sales"].tolist() == [4321.5]
    footer = pq.read_schema(home / "lake" / "raw_sales" / f"{week}.parquet").metadata
    landings = json.loads(footer[b"landings"])
    assert [(one["file"], one["rows_replaced"]) for one in landings] == [("train.csv", 0), ("correction.csv.gz", 1)]
    assert summary["vintage_is_new"] is True
    assert summary["vintages_in_store"] == vintages + 1
    # A copy of the one file is the whole store.
    assert not list(home.glob("store.db-*"))
    with closing(sqlite3.connect(home / "store.db")) as connection:
        query = "select store_id, is_holiday from store_conditions join stores using (store_key) where week = ?"
        assert connection.execute(query, (later,)).fetchall() == [(last[0], 1)]


def kill_once_done(asset: str, home: Path, zone: Path) -> None:
    """Start the main job and kill it as soon as it says that `asset` is done."""
    with running(home, zone) as (process, printed, errors):
        while process.is_alive() and f"done {asset} " not in printed.read_text():
            time.sleep(0.02)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, errors.read_text()


@pytest.mark.long
def test_a_run_killed_at_one_stage_after_another_ends_in_another_workspace_to_the_byte_like_an_undisturbed_one(
    csv_folder: Path, finished: tuple[Path, dict[str, object]], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    for asset in ("raw_covariates", "raw_sales", "backtest_report", "trained_model"):
        kill_once_done(asset, home, csv_folder)
    run(home, csv_folder)
    assert rows_of(home) == rows_of(finished[0])
    assert files_of(home) == files_of(finished[0])


def _without(column: int, text: str) -> str:
    return "\n".join(",".join(v for i, v in enumerate(line.split(",")) if i != column) for line in text.splitlines())


def _spoil(zone: Path, how: str) -> None:
    train = zone / "train.csv"
    lines = train.read_text().splitlines()
    match how:
        case "missing column":
            train.write_text(_without(3, train.read_text()))
        case "thursdays":
            train.write_text("\n".join([lines[0], *(line.replace("-09-23", "-09-22") for line in lines[1:])]) + "\n")
        case "contradicting rows":
            store, dept, week, _, holiday = lines[-1].split(",")
            train.write_text("\n".join([*lines, ",".join([store, dept, week, "1.0", holiday])]) + "\n")
        case "text in a number":
            train.write_text("\n".join([*lines[:-1], lines[-1].replace(lines[-1].split(",")[3], "many")]) + "\n")
        case "empty file":
            train.write_text("")
        case "truncated gzip":
            (zone / "more.csv.gz").write_bytes(gzip.compress(train.read_bytes())[:2000])
        case "no csv":
            for path in zone.iterdir():
                path.unlink()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing column", "no column of amounts sold was recognised"),
        ("thursdays", "is a Thursday, not a Friday"),
        ("contradicting rows", "2 rows contradict another of the same week"),
        ("text in a number", '"many"'),
        ("empty file", "train.csv is empty"),
        ("truncated gzip", "more.csv.gz is a truncated gzip"),
        ("no csv", "is empty"),
    ],
)
def test_bad_input_is_one_clear_line_and_changes_nothing(how: str, message: str, workspace: tuple[Path, Path]) -> None:
    home, zone = workspace
    before, files = rows_of(home), files_of(home)
    _spoil(zone, how)
    ended = demand(home, "run", "--raw-dir", str(zone))
    errors = ended.stderr.strip().splitlines()
    assert ended.returncode == 1
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in ended.stdout + ended.stderr
    assert rows_of(home) == before
    assert files_of(home) == files


@pytest.mark.long
def test_a_row_that_is_wrong_by_itself_is_set_aside_and_the_week_is_published(workspace: tuple[Path, Path]) -> None:
    home, zone = workspace
    lines = (zone / "train.csv").read_text().splitlines()
    store, dept, week, amount, holiday = lines[-1].split(",")
    oddities = [[store, dept, "2099-01-02", amount, holiday], [store, "777", week, "1e12", holiday]]
    (zone / "late.csv").write_text("\n".join([lines[0], *map(",".join, oddities), lines[-1]]) + "\n")
    os.utime(zone / "late.csv", (time.time() + 60, time.time() + 60))
    summary = run(home, zone)
    assert [(row["file"], row["line"], row["check"]) for row in summary["set_aside"]] == [
        ("late.csv", 3, "sales_are_possible"),
        ("late.csv", 2, "sales_weeks_have_begun"),
    ]
    kept = pd.read_csv(home / "lake" / "quarantine" / "late.csv")
    assert kept["line"].tolist() == [3, 2]
    assert kept["reason"].str.contains("has yet to begin|x the largest amount").all()
    assert read_frame(home / "lake" / "raw_sales")["week"].max() == pd.Timestamp(week)
    again = run(home, zone)
    assert again["vintage"] == summary["vintage"]


def test_two_runs_at_once_do_not_meet(workspace: tuple[Path, Path]) -> None:
    home, zone = workspace
    with open(home / "run.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = demand(home, "run", "--raw-dir", str(zone))
    assert ended.returncode == 1
    assert "another `demand run` is at work" in ended.stderr


def test_models_lists_the_version_in_production(finished: tuple[Path, dict[str, object]]) -> None:
    ended = demand(finished[0], "models", "--json")
    assert ended.returncode == 0, ended.stderr
    (version,) = json.loads(ended.stdout)
    assert version["aliases"] == ["production", "staging"]
    assert version["metrics"]["backtest_wmae_xgboost"] < version["metrics"]["backtest_wmae_seasonal_naive"]
    assert "production" in demand(finished[0], "models").stdout


def test_the_backtest_file_alone_gives_its_wmae(csv_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "points.parquet"
    ended = demand(
        tmp_path / "home", "backtest", "--raw-dir", str(csv_folder), "--horizon", "4",
        "--origins", "2011-06-24,2011-08-19", "--output", str(output), "--json",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    points = pd.read_parquet(output)
    points = points[points["actual"].notna()]
    weight = points["is_holiday"].map({True: 5, False: 1})
    error = (points["forecast"] - points["actual"]).abs() * weight
    recomputed = error.groupby(points["model"]).sum() / weight.groupby(points["model"]).sum()
    printed = {row["model"]: row["wmae"] for row in json.loads(ended.stdout)}
    assert printed == pytest.approx(recomputed.to_dict())
    assert {"xgboost", "seasonal_naive"} <= set(printed)
    # Without a terminal a line for each origin, those that warm up first.
    told = [line.split()[-1] for line in ended.stderr.splitlines() if "trained and forecast at" in line]
    assert told[-2:] == ["2011-06-24", "2011-08-19"]


@pytest.mark.parametrize(
    ("origins", "message"), [("2011-06-23", "Thursday"), ("2010-03-05", "cannot be tested"), (",", "is empty")]
)
def test_a_wrong_origin_is_one_clear_line(origins: str, message: str, csv_folder: Path, tmp_path: Path) -> None:
    ended = demand(
        tmp_path / "home", "backtest", "--raw-dir", str(csv_folder), "--origins", origins,
        "--output", str(tmp_path / "x.parquet"),
    )  # fmt: skip
    assert ended.returncode == 1
    assert message in ended.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "x.parquet").exists()


def test_one_event_plans_all_weeks_of_an_asset(finished: tuple[Path, dict[str, object]]) -> None:
    planned = "select count(*) from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION_PLANNED'"
    with closing(sqlite3.connect(finished[0] / "dagster" / "history" / "runs" / "index.db")) as connection:
        (events,) = connection.execute(f"{planned} and asset_key like '%raw_sales%'").fetchone()
    assert events == 1


@pytest.mark.long
def test_an_accepted_finding_is_judged_again_and_says_why_it_is_right(workspace: tuple[Path, Path]) -> None:
    home, zone = workspace
    lines = (zone / "train.csv").read_text().splitlines()
    week = lines[-1].split(",")[2]
    (zone / "train.csv").write_text("\n".join(line for line in lines if line.split(",")[2] != week) + "\n")
    newest = [line for line in lines if line.split(",")[2] == week]
    (zone / "late.csv").write_text("\n".join([lines[0], *newest[::3]]) + "\n")
    os.utime(zone / "late.csv", (time.time() + 60, time.time() + 60))
    fresh = home.parent / "fresh"
    run(fresh, zone)
    assert not _check(fresh, "row_count_is_in_band")[0]
    arguments = ("--week", week, "--check", "row_count_is_in_band", "--reason", "a strike", "--by", "ana")
    assert demand(fresh, "accept", *arguments).returncode == 0
    run(fresh, zone)
    passed, said = _check(fresh, "row_count_is_in_band")
    assert passed
    assert said.endswith("accepted: a strike")


def _check(home: Path, name: str) -> tuple[bool, str]:
    """Whether the newest evaluation of a check of raw_sales passed, and what it said."""
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        key = dg.AssetCheckKey(dg.AssetKey("raw_sales"), name)
        record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
        evaluation = record.event.dagster_event.event_specific_data
        return bool(evaluation.passed), str(evaluation.description)


@pytest.mark.long
def test_a_row_set_aside_because_of_stored_sales_is_not_asked_for_again(workspace: tuple[Path, Path]) -> None:
    home, zone = workspace
    lines = (zone / "train.csv").read_text().splitlines()
    store, _, week, _, holiday = lines[-1].split(",")
    following = f"{pd.Timestamp(week) + pd.Timedelta(weeks=1):%Y-%m-%d}"
    # What was landed before is stored, and no longer in the zone.
    (zone / "train.csv").unlink()
    # Of two amounts alone none tells which is wrong; beside those stored it shows.
    late = [lines[-1].replace(week, following), ",".join([store, "777", following, "1e12", holiday])]
    (zone / "late.csv").write_text("\n".join([lines[0], *late]) + "\n")
    summary = run(home, zone)
    (aside,) = summary["set_aside"]
    assert (aside["file"], aside["line"], aside["check"]) == ("late.csv", 3, "sales_are_possible")
    assert read_frame(home / "lake" / "raw_sales" / f"{following}.parquet")["sales"].max() < 1e9
    assert "nothing new has landed" in demand(home, "run", "--raw-dir", str(zone)).stdout
