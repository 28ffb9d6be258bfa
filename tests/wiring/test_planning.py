"""What is due and why, on a real lake."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from demand_assets.adapters.landing import LandingZone
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.registry import RegisteredVersion
from demand_assets.assets.forecasting import champion_of
from demand_assets.planning import (
    BUILD_FEATURES,
    FORECAST,
    INGEST,
    Plan,
    plan_features,
    plan_forecast,
    plan_ingestion,
    plan_landing,
)
from demand_assets.recipes import Recipe, outdated, reusable
from demand_assets.resources import OrderCosts, build_resources, build_training
from demand_assets.settings import read_settings
from demand_assets.store.engine import reading
from demand_assets.store.migrations import opened
from demand_assets.store.queries import newest_vintage


def test_a_recipe_changes_with_anything_that_decides_the_result() -> None:
    recipe = Recipe({"sales": "a", "stores": "b"}, "code", {"rounds": 1})
    assert Recipe({"stores": "b", "sales": "a"}, "code", {"rounds": 1}).version == recipe.version
    others = [
        Recipe({"sales": "a"}, "code", {"rounds": 1}),
        Recipe({"sales": "a", "stores": "b"}, "other", {"rounds": 1}),
        Recipe({"sales": "a", "stores": "b"}, "code", {"rounds": 2}),
    ]
    assert len({recipe.version, *(other.version for other in others)}) == 4


def test_a_partition_is_outdated_unless_its_recipe_made_it(tmp_path: Path) -> None:
    lake = ParquetLake(uri=str(tmp_path))
    old, new = Recipe({"sales": "1"}), Recipe({"sales": "2"})
    frame = pd.DataFrame({"value": [1.0]})
    lake.write("table", "2012-01-06", frame, old.metadata)
    lake.write("table", "2012-01-13", frame, new.metadata)
    wanted = dict.fromkeys(("2012-01-20", "2012-01-13", "2012-01-06"), new)
    assert outdated(lake, "table", wanted) == ["2012-01-06", "2012-01-20"]
    assert reusable(lake, "table", "2012-01-06", new) is None
    pd.testing.assert_frame_equal(reusable(lake, "table", "2012-01-13", new), frame)


def test_a_finished_workspace_has_nothing_due_until_a_killed_run_leaves_something(workspace: tuple[Path, Path]) -> None:
    home, zone = workspace
    lake, deliveries = ParquetLake(uri=str(home / "lake")), LandingZone(str(zone)).read_all()
    training = build_training(
        read_settings(home=home, landing_uri=str(zone), threads=1, model_settings='{"rounds": 10}')
    )
    known = lake.partitions("raw_sales")
    assert plan_ingestion(lake, deliveries, known) == Plan((), "nothing new has landed")
    assert plan_features(lake, training, known) == Plan((), "features are up to date with the data")

    (home / "lake/forecast_accuracy" / f"{known[3]}.parquet").unlink()
    (home / "lake/demand_features" / f"{known[-2]}.parquet").unlink()
    (run,) = plan_ingestion(lake, deliveries, known).runs
    assert (run.job, run.first, run.last) == (INGEST, known[3], known[3])
    # The sensor is asked of new files only.
    assert plan_landing(lake, deliveries, known).runs == ()
    (run,) = plan_features(lake, training, known).runs
    assert (run.job, run.first, run.last) == (BUILD_FEATURES, known[-2], known[-2])


def test_a_forecast_is_due_until_all_it_gives_is_there(workspace: tuple[Path, Path]) -> None:
    home, zone = workspace
    settings = read_settings(home=home, landing_uri=str(zone), threads=1, model_settings='{"rounds": 10}')
    lake, resources = ParquetLake(uri=str(home / "lake")), build_resources(settings)
    week, champion = max(lake.partitions("raw_sales")), champion_of(resources["ledger"])
    with opened(settings.store) as engine, reading(engine) as connection:
        published = newest_vintage(connection)
    assert published is not None
    newest = published["vintage_id"]

    def due(vintage: str | None = newest, champion: RegisteredVersion = champion, underage: float = 1.0) -> str:
        costs = OrderCosts(underage=underage, overage=settings.overage_cost)
        published = None if vintage is None else {"vintage_id": vintage}
        plan = plan_forecast(lake, champion, published, costs, week, settings.horizon_weeks)
        assert [(run.job, run.last) for run in plan.runs] in ([], [(FORECAST, week)])
        return plan.reason.partition(f"due of week {week}: ")[2]

    given = settings.underage_cost
    assert due(underage=given) == ""
    assert due(None, underage=given) == due("2012-01-06-0000000000000000", underage=given) == "published_forecast"
    # Not listed beside it: what is made from the forecast is made again with it.
    assert due(underage=given + 1) == "weekly_forecast"
    assert due(champion=replace(champion, fingerprint="another"), underage=given) == "weekly_forecast"
    (home / "lake/forecast_totals" / f"{week}.parquet").unlink()
    (home / "lake/drift_report" / f"{week}.parquet").unlink()
    assert due(underage=given) == "forecast_totals, drift_report"
    (home / "lake/weekly_forecast" / f"{week}.parquet").write_bytes(b"cut off")
    assert due(underage=given).startswith("a file that cannot be read")


def test_the_same_evidence_asks_for_the_same_run(workspace: tuple[Path, Path]) -> None:
    home, zone = workspace
    lake = ParquetLake(uri=str(home / "lake"))
    known = lake.partitions("raw_sales")
    lines = (zone / "train.csv").read_text().splitlines()
    copy = zone / "again.csv"
    copy.write_text("\n".join([lines[0], *(line for line in lines if known[5] in line)]) + "\n")
    first, again = (plan_landing(lake, LandingZone(str(zone)).read_all(), known) for _ in range(2))
    assert first == again
    assert first.reason == "new: again.csv"
    copy.write_text("\n".join([lines[0], *(line for line in lines if known[5] in line)][:-1]) + "\n")
    other = plan_landing(lake, LandingZone(str(zone)).read_all(), known)
    assert [run.first for run in other.runs] == [run.first for run in first.runs] == [known[5]]
    assert other.runs[0].key != first.runs[0].key
