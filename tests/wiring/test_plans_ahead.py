"""A plan is known at its origin: what lands later makes that origin stale, and no other."""

import os
from pathlib import Path

import pandas as pd
import pytest

from demand_assets.adapters.landing import LandingZone
from demand_assets.adapters.manifests import read_manifest, record_manifest
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.plans import PLANS, ahead_is_kept, ahead_metadata
from demand_assets.assets.rows import dataset_of, driver_frames
from demand_assets.forecasting.drivers import DriverFrames
from demand_assets.ingestion.ahead import weeks_ahead
from demand_assets.ingestion.assemble import tables_of
from demand_assets.planning import keyed
from demand_assets.recipes import feature_recipes

HORIZON = 3
WEEKS = [f"{week:%Y-%m-%d}" for week in pd.date_range("2012-09-14", periods=11, freq="7D")]
LANDED, LATER = WEEKS[:8], WEEKS[8:]
NEWEST = LANDED[-1]


def land(zone: Path, name: str, header: str, rows: list[str], hours: int) -> None:
    path = zone / name
    path.write_text("\n".join([header, *rows]) + "\n")
    os.utime(path, (1_350_000_000 + 3600 * hours,) * 2)


@pytest.fixture
def zone(tmp_path: Path) -> Path:
    folder = tmp_path / "zone"
    folder.mkdir()
    rows = [
        f"{week},A,{item},{5 + place},{price}"
        for place, week in enumerate(LANDED)
        for item, price in (("x", 2), ("y", 3))
    ]
    land(folder, "sales.csv", "week,shop,item,qty,price", rows, 0)
    return folder


@pytest.fixture
def lake(zone: Path, tmp_path: Path) -> ParquetLake:
    """The tables that features are made of, as ingestion leaves them; no plan yet."""
    made = ParquetLake(uri=str(tmp_path / "lake"))
    contents = LandingZone(str(zone)).contents()
    tables = contents.tables()
    for name in ("stores", "departments"):
        made.write(name, None, getattr(tables, name))
    made.write("dataset", None, contents.dataset.frame())
    made.write("holiday_calendar", None, tables.calendar)
    own = {one.kind: one for one in keyed(contents.deliveries, made)}
    for table, frame in (
        ("raw_sales", tables.sales), ("raw_covariates", tables.covariates),
        ("raw_series_covariates", own["series_covariates"].frame),
    ):  # fmt: skip
        for week, rows in frame.groupby("week"):
            made.write(table, f"{week:%Y-%m-%d}", rows.reset_index(drop=True))
    return made


def plan(lake: ParquetLake, zone: Path, newest: str = NEWEST) -> None:
    found = weeks_ahead(keyed(LandingZone(str(zone)).read_all(), lake), newest).plan
    assert found is not None
    lake.write(PLANS, newest, found, ahead_metadata(found), keep=True)


def changed(before: dict[str, object], after: dict[str, object]) -> list[str]:
    return [key for key in after if before[key] != after[key]]


def test_a_plan_that_lands_later_makes_the_newest_origin_stale_and_only_it(lake: ParquetLake, zone: Path) -> None:
    recipes = [feature_recipes(lake, HORIZON)]
    for hours, price in ((1, 1.5), (2, 1.0)):
        land(zone, f"plan{hours}.csv", "week,shop,item,price", [f"{week},A,x,{price}" for week in LATER], hours)
        plan(lake, zone)
        recipes.append(feature_recipes(lake, HORIZON))
        assert changed(recipes[-2], recipes[-1]) == [NEWEST]
    assert changed(recipes[-1], feature_recipes(lake, HORIZON)) == []


def test_of_an_origin_without_a_plan_values_that_come_later_are_an_input(lake: ParquetLake, zone: Path) -> None:
    before = feature_recipes(lake, HORIZON)
    held = lake.read("raw_series_covariates", [NEWEST])
    lake.write("raw_series_covariates", NEWEST, held.assign(price=9.0))
    assert changed(before, feature_recipes(lake, HORIZON)) == LANDED[-1 - HORIZON :]


def test_a_holiday_flag_that_lands_as_the_calendar_has_it_makes_no_origin_stale(lake: ParquetLake) -> None:
    before, held = feature_recipes(lake, HORIZON), lake.read("holiday_calendar", None)
    assert held is not None
    lake.write("holiday_calendar", None, held.assign(is_landed=True))
    assert changed(before, feature_recipes(lake, HORIZON)) == []
    lake.write("holiday_calendar", None, held.assign(is_holiday=~held["is_holiday"]))
    assert changed(before, feature_recipes(lake, HORIZON)) == LANDED


def test_a_plan_that_was_not_kept_is_due(lake: ParquetLake, zone: Path) -> None:
    land(zone, "plan.csv", "week,shop,item,price", [f"{week},A,x,1.5" for week in LATER], 1)
    deliveries = keyed(LandingZone(str(zone)).read_all(), lake)
    lake.write("published_conditions", NEWEST, pd.DataFrame({"week": []}), ahead_metadata(None))
    assert not ahead_is_kept(lake, deliveries, NEWEST)
    plan(lake, zone)
    assert ahead_is_kept(lake, deliveries, NEWEST)


def test_the_drivers_of_the_lake_are_those_that_its_manifest_gives_again(lake: ParquetLake, zone: Path) -> None:
    land(zone, "plan.csv", "week,shop,item,price", [f"{week},A,x,1.5" for week in LATER], 1)
    plan(lake, zone)
    found = driver_frames(lake, NEWEST, HORIZON)
    assert isinstance(found, DriverFrames)
    assert (found.names, len(found.of_series), found.of_stores.columns.tolist()) == (
        ("price",),
        16,
        ["store_id", "week"],
    )
    assert found.plans["price"].tolist() == [1.5] * 3
    assert found.plans["origin_week"].unique().tolist() == [pd.Timestamp(NEWEST)]
    manifest = read_manifest(lake, record_manifest(lake, NEWEST, HORIZON, dataset_of(lake)))
    assert list(manifest.versions["plans_ahead"]) == [NEWEST]
    pd.testing.assert_frame_equal(manifest.inputs(lake)["plans_ahead"], found.plans)


def test_one_look_at_a_zone_has_the_same_drivers_with_its_later_weeks_as_values(zone: Path) -> None:
    land(zone, "plan.csv", "week,shop,item,price", [f"{week},A,x,1.5" for week in LATER], 1)
    contents = LandingZone(str(zone)).contents()
    drivers = tables_of(contents.deliveries, contents.dataset).drivers
    assert drivers is not None
    assert drivers.of_series.groupby("week")["price"].count().tolist() == [2] * 8 + [1] * 3
    assert drivers.plans.empty
