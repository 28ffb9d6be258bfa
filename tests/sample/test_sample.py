import hashlib
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from demand_assets.adapters.landing import LandingZone
from demand_assets.cli import last_friday
from demand_assets.errors import LandingError, SettingsError
from demand_assets.ingestion.context import Context
from demand_assets.ingestion.quality import check_covariates, check_members, check_sales
from demand_assets.sample import SampleData, generate, stream, write_csvs
from demand_assets.sample.generator import BLOCK_STORES
from tests.ingestion.landed import deliveries


@pytest.fixture(scope="module")
def large() -> SampleData:
    return generate(stores=12, departments=30, weeks=143, seed=7)


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_csvs(generate(2, 3, 60, 5), tmp_path / folder)
    for name in ("train.csv", "features.csv", "stores.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_seed_keeps_its_bytes(tmp_path: Path) -> None:
    """What people have seen, and what figures in the documentation were taken on."""
    hashes = [
        hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in write_csvs(generate(3, 6, 86, 11), tmp_path)
    ]
    assert hashes == ["a2d32edc4de2526b", "6576908665cfd98a", "80938c47fa0e2869"]


def test_a_stream_writes_the_bytes_of_the_whole(tmp_path: Path) -> None:
    arguments = (BLOCK_STORES + 5, 3, 20, 9)
    parts = list(stream(*arguments).sales)
    assert [part["store_id"].nunique() for part in parts] == [BLOCK_STORES, 5]
    assert len({dept for part in parts for dept in part["dept_id"]}) == 3
    for whole, streamed in zip(
        write_csvs(generate(*arguments), tmp_path / "whole"),
        write_csvs(stream(*arguments), tmp_path / "stream"),
        strict=True,
    ):
        assert whole.read_bytes() == streamed.read_bytes()
    sales = generate(*arguments).sales
    assert sales.equals(sales.sort_values(["week", "store_id", "dept_id"], kind="stable", ignore_index=True))


def test_another_seed_gives_other_sales() -> None:
    assert not generate(2, 3, 10, 1).sales.equals(generate(2, 3, 10, 2).sales)


def test_files_are_byte_for_byte_in_the_shipped_form(tmp_path: Path) -> None:
    week = pd.to_datetime(["2010-02-05", "2010-02-12"])
    sales = pd.DataFrame(
        {
            "store_id": [1, 1],
            "dept_id": [2, 2],
            "week": week,
            "sales": [24924.5, -3.0],
            "is_holiday": [False, True],
        }
    )
    conditions = pd.DataFrame(
        {"store_id": [1], "week": week[:1], "temperature_f": [42.31], "fuel_price": [2.572]}
        | {f"markdown{number}": [np.nan] for number in range(1, 6)}
        | {"cpi": [211.0963582], "unemployment_pct": [np.nan], "is_holiday": [False]}
    )
    stores = pd.DataFrame({"store_id": [1, 2], "store_type": ["A", "B"], "size_sqft": [151315, 202307]})
    write_csvs(SampleData(sales, conditions, stores), tmp_path)
    assert (tmp_path / "train.csv").read_bytes() == (
        b"Store,Dept,Date,Weekly_Sales,IsHoliday\n1,2,2010-02-05,24924.5,FALSE\n1,2,2010-02-12,-3,TRUE\n"
    )
    assert (tmp_path / "features.csv").read_bytes() == (
        b"Store,Date,Temperature,Fuel_Price,MarkDown1,MarkDown2,MarkDown3,MarkDown4,MarkDown5,CPI,Unemployment,IsHoliday\n"
        b"1,2010-02-05,42.31,2.572,NA,NA,NA,NA,NA,211.0963582,NA,FALSE\n"
    )
    assert (tmp_path / "stores.csv").read_bytes() == b"Store,Type,Size\r1,A,151315\r2,B,202307"


def test_what_is_written_is_read_again(tmp_path: Path, retailer: SampleData) -> None:
    write_csvs(retailer, tmp_path)
    sales = deliveries({"train.csv": (tmp_path / "train.csv").read_text()})["train.csv"].frame
    keys = ["week", "store_id", "dept_id"]
    expected = retailer.sales.sort_values(keys, ignore_index=True)[list(sales.columns)]
    pd.testing.assert_frame_equal(sales.sort_values(keys, ignore_index=True), expected, check_dtype=False)


def test_the_sample_passes_every_check(large: SampleData) -> None:
    judging = Context(today=date(2026, 1, 1))
    outcomes = [
        *check_sales(large.sales, None, large.conditions, large.stores, judging),
        *check_covariates(large.conditions, large.stores, judging),
        *check_members("stores", large.stores, judging),
    ]
    assert [one.name for one in outcomes if not one.passed and one.severity == "error"] == []


def test_the_sample_has_the_traits_of_retail(large: SampleData) -> None:
    sales = large.sales
    keys = ["store_id", "dept_id"]
    assert not sales.duplicated([*keys, "week"]).any()
    assert (sales["week"].dt.dayofweek == 4).all()
    assert 0.0005 < (sales["sales"] < 0).mean() < 0.02
    by_series = sales.groupby(keys)["week"]
    assert (by_series.min() > sales["week"].min()).any()
    assert (by_series.max() < sales["week"].max()).any()
    span = (by_series.max() - by_series.min()).dt.days // 7 + 1
    assert (by_series.size() < span).any()
    totals = sales.groupby("week")["sales"].sum()
    assert totals["2010-11-26"] > 1.2 * totals.median()
    assert totals["2010-12-24"] > 1.2 * totals.median()
    flagged = sales.loc[sales["is_holiday"], "week"].drop_duplicates().sort_values()
    assert [f"{week:%m-%d}" for week in flagged[:4]] == ["02-12", "09-10", "11-26", "12-31"]
    markdowns = large.conditions.set_index("week")["markdown1"]
    assert markdowns[: pd.Timestamp("2011-11-04")].isna().all()
    assert markdowns[pd.Timestamp("2011-11-11") :].notna().any()
    assert large.conditions["week"].max() == sales["week"].max() + pd.Timedelta(weeks=39)


def test_stores_and_departments_have_names_where_they_are_asked_for(tmp_path: Path) -> None:
    made = generate(50, 3, 20, 9)
    write_csvs(made, tmp_path, named=True)
    tables = LandingZone(str(tmp_path)).contents().tables()
    names = tables.stores.set_index("id")["name"]
    assert (len(names), names["1"], names["46"]) == (50, "Lakeside", "Lakeside 2")
    assert names.is_unique
    assert set(tables.departments["id"]) == {str(one) for one in made.sales["dept_id"]}
    assert tables.departments["name"].is_unique


def test_the_last_week_may_be_named_and_is_that_of_the_last_friday_else() -> None:
    assert generate(1, 1, 60, 9, "2025-01-03").sales["week"].max() == pd.Timestamp("2026-02-20")
    last = next(stream(1, 1, 60, 9, last_week=date(2026, 2, 20)).sales)
    pd.testing.assert_frame_equal(last, generate(1, 1, 60, 9, "2025-01-03").sales)
    week = [date(2026, 11, day) for day in range(26, 31)]
    assert [last_friday(day).day for day in week] == [20, 20, 27, 27, 27]


def test_a_folder_with_other_data_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("mine\n")
    with pytest.raises(LandingError, match="holds other data"):
        write_csvs(generate(1, 1, 5, 1), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["train.csv"]


def test_the_same_data_again_changes_nothing(tmp_path: Path) -> None:
    first = write_csvs(generate(1, 2, 5, 1), tmp_path)
    times = [path.stat().st_mtime_ns for path in first]
    again = write_csvs(generate(1, 2, 5, 1), tmp_path)
    assert [path.stat().st_mtime_ns for path in again] == times


@pytest.mark.parametrize("wrong", [{"stores": 0}, {"departments": 1000}, {"weeks": 0}, {"seed": -1}])
def test_an_argument_out_of_range_is_named(wrong: dict[str, int]) -> None:
    arguments = {"stores": 1, "departments": 1, "weeks": 5, "seed": 1, **wrong}
    with pytest.raises(SettingsError, match=f"{next(iter(wrong))} is {next(iter(wrong.values()))}"):
        generate(**arguments)
