"""The lake, on a folder and on an S3-speaking server."""

import os
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from s3fs import S3FileSystem

from demand_assets.adapters import objects
from demand_assets.adapters.arrow_frames import content_version, read_frame, to_table
from demand_assets.adapters.files import filesystem_at
from demand_assets.adapters.manifests import read_manifest, record_manifest
from demand_assets.adapters.parquet import VERSION_KEY, ParquetLake
from demand_assets.adapters.table_refs import TableRef
from demand_assets.errors import LakeError


@pytest.fixture(params=["folder", "s3"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> ParquetLake:
    if request.param == "folder":
        return ParquetLake(uri=str(tmp_path / "lake"))
    made: ParquetLake = request.getfixturevalue("s3_lake")
    return made


WEEKS = ["2012-01-06", "2012-01-13"]


def _frame(week: str, value: float = 1.5) -> pd.DataFrame:
    return pd.DataFrame({"week": pd.to_datetime([week, week]), "value": [value, 2.0]})


def test_what_is_written_is_read(lake: ParquetLake) -> None:
    for week in WEEKS:
        lake.write("t", week, _frame(week))
    expected = pd.concat([_frame(week) for week in WEEKS], ignore_index=True)
    pd.testing.assert_frame_equal(lake.read("t", WEEKS), expected)
    pd.testing.assert_frame_equal(lake.read("t", WEEKS[1:], ["value"]), _frame(WEEKS[1])[["value"]])
    assert lake.partitions("t") == WEEKS


def test_a_week_is_a_date_in_files_and_has_nanoseconds_in_frames(tmp_path: Path) -> None:
    lake = ParquetLake(uri=str(tmp_path))
    lake.write("t", WEEKS[0], _frame(WEEKS[0]))
    file = tmp_path / "t" / f"{WEEKS[0]}.parquet"
    assert pq.read_schema(file).field("week").type == pa.date32()
    with duckdb.connect() as connection:
        rows = connection.read_parquet(str(file)).aggregate("typeof(week), week", "1, 2").fetchall()
    assert rows == [("DATE", date(2012, 1, 6))]
    assert read_frame(file)["week"].dtype == "datetime64[ns]"


def test_a_week_with_a_time_of_day_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"week: expected weeks, .*, got times of day"):
        ParquetLake(uri=str(tmp_path)).write("t", None, pd.DataFrame({"week": [pd.Timestamp("2012-01-06 12:00")]}))


@pytest.mark.parametrize("stamped", WEEKS, ids=["the first", "the last"])
def test_a_file_of_an_older_release_has_its_version_and_is_read_with_newer_ones(tmp_path: Path, stamped: str) -> None:
    lake = ParquetLake(uri=str(tmp_path))
    for week in WEEKS:
        lake.write("t", week, _frame(week))
    versions = lake.versions("t")
    old = to_table(_frame(stamped)).replace_schema_metadata({VERSION_KEY: content_version(_frame(stamped))})
    assert old.schema.field("week").type == pa.timestamp("ns")
    pq.write_table(old, tmp_path / "t" / f"{stamped}.parquet")
    assert lake.versions("t") == versions
    expected = pd.concat([_frame(week) for week in WEEKS], ignore_index=True)
    pd.testing.assert_frame_equal(lake.read("t", WEEKS), expected)
    pd.testing.assert_frame_equal(lake.read_versions("t", versions), expected)
    assert lake.date_weeks() == [str(tmp_path / "t" / f"{stamped}.parquet")]
    assert lake.date_weeks() == []
    assert lake.versions("t") == versions
    pd.testing.assert_frame_equal(lake.read("t", WEEKS), expected)


def test_rows_are_read_where_columns_have_a_value_in_order_of_key(lake: ParquetLake) -> None:
    weeks = {"2012-02-10": [1, 2, 1], "2012-02-03": [2, 1, 1], "2012-02-17": [2, 2, 2]}
    for key, horizons in weeks.items():
        lake.write("t", key, pd.DataFrame({"horizon": horizons, "place": range(3), "week": key}))
    found = lake.read("t", list(weeks), ["week", "place"], {"horizon": 1})
    assert found is not None
    assert found.to_numpy().tolist() == [["2012-02-03", 1], ["2012-02-03", 2], ["2012-02-10", 0], ["2012-02-10", 2]]


def test_many_weeks_come_in_parts_of_about_so_many_rows(lake: ParquetLake) -> None:
    keys = ("2012-02-03", "2012-02-10", "2012-02-17")
    for key in keys:
        lake.write("t", key, pd.DataFrame({"value": range(4), "week": key}))
    rows = TableRef(lake.uri, "t", keys)
    sizes = {most: [len(part) for part in rows.parts(most, ["value"])] for most in (1, 8, 100)}
    assert sizes == {1: [4, 4, 4], 8: [8, 4], 100: [12]}


def test_a_table_that_does_not_exist_is_none(lake: ParquetLake) -> None:
    assert lake.read("t", WEEKS) is None
    assert lake.read("t", None) is None
    assert lake.partitions("t") == []


def test_the_version_is_the_hash_of_the_content(lake: ParquetLake) -> None:
    lake.write("t", WEEKS[0], _frame(WEEKS[0]), {"who": "me"})
    lake.write("t", WEEKS[1], _frame(WEEKS[0], value=9.0))
    versions = lake.versions("t")
    assert versions[WEEKS[0]] == content_version(_frame(WEEKS[0]))
    assert versions[WEEKS[0]] != versions[WEEKS[1]]
    assert lake.metadata("t", WEEKS[:1]) == {WEEKS[0]: {"data_version": versions[WEEKS[0]], "who": "me"}}


def test_an_unpartitioned_table_is_one_file(lake: ParquetLake) -> None:
    lake.write("stores", None, _frame(WEEKS[0]))
    assert lake.exists("stores")
    pd.testing.assert_frame_equal(lake.read("stores", None), _frame(WEEKS[0]))


def test_nested_keys_are_found_apart_from_plain_ones(lake: ParquetLake) -> None:
    lake.write("t", f"{WEEKS[0]}/vintage", _frame(WEEKS[0]))
    assert lake.partitions("t", nested=True) == [f"{WEEKS[0]}/vintage"]
    assert lake.partitions("t") == []
    pd.testing.assert_frame_equal(lake.read("t", [f"{WEEKS[0]}/vintage"]), _frame(WEEKS[0]))


@pytest.mark.parametrize("key", [WEEKS[0], None])
def test_rows_that_a_correction_replaced_are_read_by_their_version(lake: ParquetLake, key: str | None) -> None:
    old, new, again = (lake.write("t", key, _frame(WEEKS[0], value), keep=True)[0] for value in (1.0, 2.0, 1.0))
    assert old == again
    for version, value in ((old, 1.0), (new, 2.0)):
        pd.testing.assert_frame_equal(lake.read_versions("t", {key: version}), _frame(WEEKS[0], value))
    # What is kept shows in no listing and no read.
    assert lake.partitions("t") == ([key] if key else [])
    pd.testing.assert_frame_equal(lake.read("t", key and [key]), _frame(WEEKS[0], 1.0))


def test_rows_of_several_weeks_come_in_order_each_at_its_version(lake: ParquetLake) -> None:
    versions = {week: lake.write("t", week, _frame(week), keep=True)[0] for week in reversed(WEEKS)}
    lake.write("t", WEEKS[0], _frame(WEEKS[0], 9.0), keep=True)
    expected = pd.concat([_frame(week) for week in WEEKS], ignore_index=True)
    pd.testing.assert_frame_equal(lake.read_versions("t", versions), expected)


def test_only_what_asks_for_it_is_kept_and_equal_rows_never_twice(tmp_path: Path) -> None:
    lake = ParquetLake(uri=str(tmp_path))
    for value in (1.0, 2.0):
        lake.write("t", WEEKS[0], _frame(WEEKS[0], value))
    for note in ("a", "b"):
        lake.write("kept", WEEKS[0], _frame(WEEKS[0]), {"note": note}, keep=True)
    assert not list(tmp_path.rglob(".versions"))


def test_a_version_that_is_gone_is_named_with_what_there_is(lake: ParquetLake) -> None:
    kept, present = (lake.write("t", WEEKS[0], _frame(WEEKS[0], value), keep=True)[0] for value in (1.0, 2.0))
    with pytest.raises(LakeError, match=f"t {WEEKS[0]}: expected data version ff in .* is {present}, kept are {kept}"):
        lake.read_versions("t", {WEEKS[0]: "ff"})


def test_a_kept_file_with_other_rows_is_refused(tmp_path: Path) -> None:
    lake = ParquetLake(uri=str(tmp_path))
    version = lake.write("t", WEEKS[0], _frame(WEEKS[0]), keep=True)[0]
    lake.write("t", WEEKS[0], _frame(WEEKS[0], 2.0), keep=True)
    _frame(WEEKS[0], 3.0).to_parquet(next(tmp_path.rglob(f"{version}.parquet")))
    with pytest.raises(LakeError, match=f"should hold data version {version}"):
        lake.read_versions("t", {WEEKS[0]: version})


def test_a_manifest_names_every_input_to_the_newest_week(lake: ParquetLake) -> None:
    for table in ("raw_sales", "raw_covariates"):
        for week in WEEKS:
            lake.write(table, week, _frame(week), keep=True)
    for table in ("dataset", "stores", "holiday_calendar"):
        lake.write(table, None, _frame(WEEKS[0]), keep=True)
    name = record_manifest(lake, WEEKS[0], 4)
    assert record_manifest(lake, WEEKS[0], 4) == name != record_manifest(lake, WEEKS[0], 5)
    lake.write("raw_sales", WEEKS[0], _frame(WEEKS[0], 9.0), keep=True)
    assert record_manifest(lake, WEEKS[0], 4) != name
    manifest = read_manifest(lake, name)
    assert manifest.horizon_weeks == 4
    assert manifest.superseded(lake) == {"raw_sales": [WEEKS[0]]}
    inputs = manifest.inputs(lake)
    assert list(inputs) == ["raw_sales", "raw_covariates", "dataset", "stores", "holiday_calendar"]
    for frame in inputs.values():
        pd.testing.assert_frame_equal(frame, _frame(WEEKS[0]))
    with pytest.raises(LakeError, match="expected the manifest of a vintage, got no file"):
        read_manifest(lake, "0" * 16)


def test_a_manifest_of_other_tables_is_refused(lake: ParquetLake) -> None:
    rows = pd.DataFrame({"table": ["raw_sales"], "key": [WEEKS[0]], "data_version": ["ff"]})
    lake.write("input_manifests", "older", rows, {"horizon_weeks": "4"})
    with pytest.raises(LakeError, match=r"expected versions of raw_sales, raw_covariates, .*, got those of raw_sales;"):
        read_manifest(lake, "older")


@pytest.fixture
def s3_lake(tmp_path: Path, aws_environment: str) -> ParquetLake:
    bucket = f"lake-{os.getpid()}-{abs(hash(tmp_path)) % 10**8}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return ParquetLake(uri=f"s3://{bucket}/lake")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Calls to S3 as they are made."""
    made: list[str] = []
    real = S3FileSystem._call_s3

    async def noted(self: S3FileSystem, method: str, *arguments: Any, **options: Any) -> Any:
        made.append(method)
        return await real(self, method, *arguments, **options)

    monkeypatch.setattr(S3FileSystem, "_call_s3", noted)
    return made


def test_a_footer_on_s3_is_read_once_until_its_file_is_written_again(s3_lake: ParquetLake, calls: list[str]) -> None:
    for week in WEEKS:
        s3_lake.write("t", week, _frame(week))
    calls.clear()
    before = s3_lake.versions("t")
    assert calls == ["list_objects_v2", *["get_object"] * len(WEEKS)]
    calls.clear()
    assert s3_lake.versions("t") == before
    assert calls == ["list_objects_v2"]
    # By another process, which this one learns of from the listing alone.
    write = (
        "import sys, pandas; from demand_assets.adapters.parquet import VERSION_KEY, ParquetLake;"
        "ParquetLake(uri=sys.argv[1]).write('t', sys.argv[2], pandas.DataFrame({'value': [3.0]}))"
    )
    subprocess.run([sys.executable, "-c", write, s3_lake.uri, WEEKS[0]], check=True)
    assert s3_lake.versions("t") == {**before, WEEKS[0]: content_version(pd.DataFrame({"value": [3.0]}))}
    assert calls == ["list_objects_v2", "list_objects_v2", "get_object"]


def test_reading_weeks_from_s3_is_one_call_each(s3_lake: ParquetLake, calls: list[str]) -> None:
    for week in WEEKS:
        s3_lake.write("t", week, _frame(week))
    calls.clear()
    s3_lake.read("t", WEEKS, ["value"])
    assert calls == ["list_objects_v2", *["get_object"] * len(WEEKS)]


@pytest.fixture
def large(s3_lake: ParquetLake) -> pd.DataFrame:
    """Rows of a file of several megabytes in four row groups, whose columns do not compress."""
    frame = pd.DataFrame(np.random.default_rng(5).random((60_000, 16)), columns=[f"c{number}" for number in range(16)])
    frame["half"] = np.arange(len(frame)) % 2.0
    filesystem, root = filesystem_at(s3_lake.uri)
    with filesystem.open(f"{root}/t/{WEEKS[0]}.parquet", "wb") as file:
        pq.write_table(pa.Table.from_pandas(frame), file, row_group_size=15_000)
    return frame


@pytest.fixture
def fetched(s3_lake: ParquetLake, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes that each call for content brought."""
    filesystem, sizes = filesystem_at(s3_lake.uri)[0], []
    fetch = filesystem.cat_file

    def count(*arguments: Any, **options: Any) -> bytes:
        content: bytes = fetch(*arguments, **options)
        sizes.append(len(content))
        return content

    monkeypatch.setattr(filesystem, "cat_file", count)
    return sizes


def test_some_columns_of_a_large_file_on_s3_are_fetched_without_the_others(
    s3_lake: ParquetLake, large: pd.DataFrame, fetched: list[int]
) -> None:
    filesystem, root = filesystem_at(s3_lake.uri)
    size = filesystem.size(f"{root}/t/{WEEKS[0]}.parquet")
    read = s3_lake.read("t", WEEKS, ["c3", "c15", "absent"], {"half": 1.0})
    expected = large.loc[large["half"] == 1, ["c3", "c15"]].assign(absent=np.nan).reset_index(drop=True)
    pd.testing.assert_frame_equal(read, expected)
    assert sum(fetched) < size / 2
    fetched.clear()
    pd.testing.assert_frame_equal(s3_lake.read("t", WEEKS, list(large.columns)), large)
    assert size in fetched


@pytest.mark.parametrize("named", [True, False], ids=["by name", "all columns"])
def test_a_larger_file_on_s3_comes_in_pieces(
    s3_lake: ParquetLake, large: pd.DataFrame, fetched: list[int], monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    monkeypatch.setattr(objects, "PIECE_BYTES", 2**20)
    pd.testing.assert_frame_equal(s3_lake.read("t", WEEKS, list(large.columns) if named else None), large)
    assert max(fetched) == 2**20


@pytest.mark.parametrize("rows", [60_000, 30_000, 80_000], ids=["as long", "shorter", "longer"])
@pytest.mark.parametrize("call", [1, 2, 5], ids=["before its end", "before its columns", "among its columns"])
def test_a_large_file_that_is_replaced_while_its_columns_are_fetched_is_read_as_one(
    s3_lake: ParquetLake, large: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, call: int, rows: int
) -> None:
    filesystem, calls = filesystem_at(s3_lake.uri)[0], []
    fetch = filesystem.cat_file
    other = pd.concat([large, large], ignore_index=True)[:rows] + 1.0

    def be_overtaken(*arguments: Any, **options: Any) -> bytes:
        calls.append(options)
        if len(calls) == call:
            s3_lake.write("t", WEEKS[0], other)
        content: bytes = fetch(*arguments, **options)
        return content

    monkeypatch.setattr(filesystem, "cat_file", be_overtaken)
    pd.testing.assert_frame_equal(s3_lake.read("t", WEEKS, ["c3", "c15"]), other[["c3", "c15"]])


def test_a_footer_longer_than_the_end_that_is_fetched_is_read_whole(s3_lake: ParquetLake) -> None:
    metadata = {"landings": "a landing, " * 20_000}
    for week in WEEKS:
        s3_lake.write("t", week, _frame(week), metadata)
    for footer in s3_lake.metadata("t", WEEKS).values():
        assert footer["landings"] == metadata["landings"]


def test_equal_content_is_not_written_again(tmp_path: Path) -> None:
    lake = ParquetLake(uri=str(tmp_path))
    lake.write("t", WEEKS[0], _frame(WEEKS[0]))
    before = (tmp_path / "t" / f"{WEEKS[0]}.parquet").stat()
    lake.write("t", WEEKS[0], _frame(WEEKS[0]))
    assert (tmp_path / "t" / f"{WEEKS[0]}.parquet").stat().st_ino == before.st_ino


def test_a_temporary_file_left_by_a_kill_is_not_read(tmp_path: Path) -> None:
    lake = ParquetLake(uri=str(tmp_path))
    lake.write("t", WEEKS[0], _frame(WEEKS[0]))
    (tmp_path / "t" / f".{WEEKS[1]}.parquet.abc").write_bytes(b"half")
    assert lake.partitions("t") == WEEKS[:1]


@pytest.mark.parametrize("lake", ["s3"], indirect=True)
@pytest.mark.parametrize("present", [True, False], ids=["over a file", "into an empty place"])
def test_of_two_runs_that_meet_neither_takes_the_others_rows_away(lake: ParquetLake, present: bool) -> None:
    key, filesystem = WEEKS[0], filesystem_at(lake.uri)[0]
    versions = [lake.write("t", key, _frame(key, 1.0), keep=True)[0]] if present else []
    look = filesystem.info
    patch = pytest.MonkeyPatch()  # its own: undoing the fixture's would take the credentials away, too

    def look_and_be_overtaken(*arguments: object, **options: object) -> object:
        patch.undo()  # for the next look
        try:
            return look(*arguments, **options)
        finally:
            versions.append(lake.write("t", key, _frame(key, 2.0), keep=True)[0])

    patch.setattr(filesystem, "info", look_and_be_overtaken)
    versions.append(lake.write("t", key, _frame(key, 3.0), keep=True)[0])
    assert lake.versions("t") == {key: versions[-1]}
    for version, value in zip(reversed(versions), (3.0, 2.0, 1.0), strict=False):
        pd.testing.assert_frame_equal(lake.read_versions("t", {key: version}), _frame(key, value))


def test_the_arrow_form_of_a_frame_is_that_of_pandas() -> None:
    frame = pd.DataFrame(
        {
            "week": pd.DatetimeIndex(["2012-01-06", None]),
            "key": pd.array([1, 2], dtype="int32"),
            "sales": [1.5, None],
            "is_holiday": [True, False],
            "type": ["A", None],
            "size": pd.Categorical(["big", None]),
        }
    )
    assert to_table(frame).equals(pa.Table.from_pandas(frame).replace_schema_metadata(), check_metadata=True)


def test_what_a_killed_process_had_begun_to_write_is_swept_and_nothing_else(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "sales").mkdir()
    here = platform.node().replace(".", "_")
    parts = [f".w.parquet.{owner}.{'0' * 32}" for owner in (f"{here}-{ended.pid}", f"{here}-{os.getpid()}", "else-1")]
    names = [*parts, ".mine", "w.parquet"]
    for name in names:
        (tmp_path / "sales" / name).touch()
    ParquetLake(uri=str(tmp_path)).sweep()
    assert {path.name for path in (tmp_path / "sales").iterdir()} == set(names[1:])
