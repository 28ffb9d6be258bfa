from __future__ import annotations

import gc
import gzip
import json
import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from demand_assets.adapters import landed, landing
from demand_assets.adapters.landing import LandingZone
from demand_assets.errors import LandingError, SchemaError
from demand_assets.ingestion.delivery import LandedFile
from demand_assets.ingestion.members import keys_of
from demand_assets.ingestion.screening import Screening
from demand_assets.ingestion.understanding import Understanding

SALES = b"Store,Dept,Date,Weekly_Sales,IsHoliday\n1,1,2010-02-05,24924.5,FALSE\n1,1,2010-02-12,46039.49,TRUE\n"
STORES = b"Store,Type,Size\r1,A,151315\r2,A,202307\r"


WHOLE = gzip.compress(SALES * 100)


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose bytes are read from now on."""
    names: list[str] = []
    whole = LandingZone._bytes

    def counted(self: LandingZone, file: LandedFile) -> bytes:
        names.append(file.name)
        return whole(self, file)

    monkeypatch.setattr(LandingZone, "_bytes", counted)
    return names


def land(folder: Path, name: str, data: bytes, minute: int = 0) -> Path:
    """Writes a file as if it had landed at that minute."""
    path = folder / name
    path.write_bytes(data)
    moment = datetime(2012, 11, 5, 8, minute, tzinfo=UTC).timestamp()
    os.utime(path, (moment, moment))
    return path


def test_a_file_name_that_is_no_utf_8_is_spelled_out_and_the_file_is_read(tmp_path: Path) -> None:
    for name in (b"d\xe9p\xf4t.csv", b"brok\xe9n.csv", "dépôt.csv".encode()):
        land(tmp_path, os.fsdecode(name), SALES if name[:1] == b"d" else SALES + b"1,1,2010-02-19,many,TRUE\n")
    zone = LandingZone(str(tmp_path))
    assert {file.name for file in zone.files()} == {"brok\\xe9n.csv", "dépôt.csv", "d\\xe9p\\xf4t.csv"}
    contents = zone.contents()
    assert {one.file.name for one in contents.deliveries} == {"dépôt.csv", "d\\xe9p\\xf4t.csv"}
    (refused,) = contents.refused
    assert refused.message.startswith("brok\\xe9n.csv")
    json.dumps([refused.message, *(file.uri for file in zone.files())]).encode()


def test_files_come_in_landing_order_with_name_breaking_ties(tmp_path: Path) -> None:
    land(tmp_path, "b.csv", SALES, 5)
    land(tmp_path, "a.csv", SALES, 9)
    land(tmp_path, "D.CSV", SALES, 5)
    land(tmp_path, "c.Csv.GZ", SALES, 5)
    files = LandingZone(str(tmp_path)).files()
    assert [file.name for file in files] == ["D.CSV", "b.csv", "c.Csv.GZ", "a.csv"]
    assert files[3].modified_at == datetime(2012, 11, 5, 8, 9, tzinfo=UTC)
    assert files[3].size == len(SALES)


def test_other_files_and_kaggles_own_are_listed_and_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "train.csv",
        "test.csv",
        "TEST.csv.gz",
        "sampleSubmission.csv",
        "._train.csv",
        "README.md",
        "plan.png",
    ):
        land(tmp_path, name, SALES)
    (tmp_path / "folder.csv").mkdir()
    zone = LandingZone(str(tmp_path))
    others = ["TEST.csv.gz", "README.md", "plan.png", "sampleSubmission.csv", "test.csv"]
    assert sorted(file.name for file in zone.files()) == sorted([*others, "train.csv"])
    read = reads(monkeypatch)
    (sales,) = zone.read_all()
    assert (sales.file.name, read) == ("train.csv", ["train.csv"])


def test_a_file_that_demand_toml_asks_for_is_read_whatever_its_name(tmp_path: Path) -> None:
    land(tmp_path, "test.csv", SALES)
    with pytest.raises(SchemaError, match=r"there are no data files"):
        LandingZone(str(tmp_path)).read_all()
    land(tmp_path, "demand.toml", b'[sales]\nfiles = ["test.csv"]\n')
    assert [one.file.name for one in LandingZone(str(tmp_path)).read_all()] == ["test.csv"]
    assert [file.name for file in LandingZone(str(tmp_path)).files()] == ["test.csv"]


def test_a_missing_folder_a_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LandingError, match=r"gone does not exist; expected a folder"):
        LandingZone(str(tmp_path / "gone")).files()
    with pytest.raises(LandingError, match=r"train\.csv is a file; expected a folder"):
        LandingZone(str(land(tmp_path, "train.csv", SALES))).files()
    (tmp_path / "empty").mkdir()
    with pytest.raises(LandingError, match=r"is empty; expected files with sales"):
        LandingZone(str(tmp_path / "empty")).files()
    land(tmp_path / "empty", "demand.toml", b"")
    with pytest.raises(LandingError, match=r"is empty; expected files with sales"):
        LandingZone(str(tmp_path / "empty")).contents()
    with pytest.raises(LandingError, match=r"is a gs:// address; expected a folder or s3://"):
        LandingZone("gs://bucket/in")


def test_files_that_are_no_tables_are_named_with_the_reason(tmp_path: Path) -> None:
    land(tmp_path, "a.csv", b"%PDF-1.7")
    land(tmp_path, "b.csv", b"")
    with pytest.raises(SchemaError) as raised:
        LandingZone(str(tmp_path)).read_all()
    assert re.fullmatch(
        r"a\.csv is a PDF; expected a table: .*; b\.csv is empty; expected a header and rows below it",
        str(raised.value),
    )
    land(tmp_path, "train.csv", SALES)
    contents = LandingZone(str(tmp_path)).contents()
    assert [(one.file.name, one.message.split(";")[0]) for one in contents.refused][:1] == [("a.csv", "a.csv is a PDF")]
    assert [one.file.name for one in LandingZone(str(tmp_path)).read_all()] == ["train.csv"]


def test_a_file_uri_names_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    folder.mkdir()
    land(folder, "train.csv", SALES)
    assert [file.name for file in LandingZone(folder.as_uri()).files()] == ["train.csv"]


def test_a_fingerprint_changes_with_the_file_and_only_then(tmp_path: Path) -> None:
    zone = LandingZone(str(tmp_path))
    land(tmp_path, "train.csv", SALES)
    before = zone.files()
    assert zone.files() == before
    land(tmp_path, "train.csv", SALES, 1)
    assert zone.files()[0].fingerprint != before[0].fingerprint


def test_a_gzip_is_the_same_delivery_as_its_content(tmp_path: Path) -> None:
    land(tmp_path, "a.csv", SALES)
    land(tmp_path, "b.csv.gz", gzip.compress(SALES))
    land(tmp_path, "c.csv", gzip.compress(SALES[:50]) + gzip.compress(SALES[50:]))
    land(tmp_path, "d.csv.gz", SALES)
    deliveries = LandingZone(str(tmp_path)).read_all()
    assert len({delivery.content_hash for delivery in deliveries}) == 1
    assert all(delivery.frame.equals(deliveries[0].frame) for delivery in deliveries)
    assert [f"{week:%Y-%m-%d}" for week in deliveries[0].weeks] == ["2010-02-05", "2010-02-12"]


def test_weeks_are_distinct_and_ascending(tmp_path: Path) -> None:
    header, rest = SALES.split(b"\n", 1)
    rows = b"2,1,2010-02-19,900,FALSE\n2,1,2010-02-05,900,FALSE\n1,1,2009-12-25,900,FALSE\n"
    land(tmp_path, "train.csv", header + b"\n" + rows + rest)
    (sales,) = LandingZone(str(tmp_path)).read_all()
    expected = pd.DatetimeIndex(["2009-12-25", "2010-02-05", "2010-02-12", "2010-02-19"], name="week")
    pd.testing.assert_index_equal(sales.weeks, expected)


def test_read_all_gives_the_kinds_asked_for_each_in_landing_order(tmp_path: Path) -> None:
    land(tmp_path, "train.csv", SALES, 2)
    land(tmp_path, "more.csv", SALES, 1)
    land(tmp_path, "stores.csv", STORES, 0)
    zone = LandingZone(str(tmp_path))
    names = [(delivery.kind, delivery.file.name) for delivery in zone.read_all()]
    assert names == [("sales", "more.csv"), ("sales", "train.csv"), ("stores", "stores.csv")]
    (stores,) = zone.read_all({"stores"})
    assert stores.frame["size_sqft"].tolist() == [151315, 202307]
    assert stores.weeks.empty


def test_what_the_cache_is_too_small_for_is_found_while_it_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landed, "_CACHE_BYTES", 0)
    land(tmp_path, "train.csv", SALES)
    held = LandingZone(str(tmp_path)).contents()
    assert LandingZone(str(tmp_path)).contents() is held
    read = reads(monkeypatch)
    del held
    gc.collect()
    LandingZone(str(tmp_path)).contents()
    assert read == ["train.csv"]


def test_the_cache_keeps_the_zone_that_was_read_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
        land(folder, "train.csv", SALES)
    one, other = (LandingZone(str(folder)) for folder in folders)
    one.contents()
    other.contents()
    gc.collect()
    read = reads(monkeypatch)
    other.contents()
    assert read == []
    one.contents()
    assert read == ["train.csv"]


def test_what_is_forgotten_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    land(tmp_path, "train.csv", SALES)
    LandingZone(str(tmp_path)).contents()
    read = reads(monkeypatch)
    landed.forget()
    LandingZone(str(tmp_path)).contents()
    assert read == ["train.csv"]


def test_another_day_or_acceptance_screens_again(tmp_path: Path) -> None:
    land(tmp_path, "train.csv", SALES)
    early, late = (
        LandingZone(str(tmp_path), Screening(day)).contents() for day in (date(2010, 2, 4), date(2012, 1, 1))
    )
    assert [len(one.deliveries[0].frame) for one in (early, late)] == [1, 2]


@pytest.mark.parametrize(
    ("name", "data", "fault"),
    [
        ("cut.csv.gz", WHOLE[:-20], r"cut\.csv\.gz is a truncated gzip: [\d,]+ bytes end in the middle; land it again"),
        ("crc.csv.gz", WHOLE[:-8] + b"\0" * 8, r"crc\.csv\.gz is a corrupt gzip \(.*\); land it again"),
        (
            "body.csv.gz",
            WHOLE[:15] + b"\xff" * 20 + WHOLE[35:],
            r"body\.csv\.gz is a corrupt gzip \(.*\); land it again",
        ),
    ],
)
def test_a_truncated_and_a_corrupt_gzip_name_the_file_and_stop_no_other(
    tmp_path: Path, name: str, data: bytes, fault: str
) -> None:
    land(tmp_path, name, data)
    with pytest.raises(SchemaError, match=f"^{fault}$"):
        LandingZone(str(tmp_path)).read_all()
    land(tmp_path, "train.csv", SALES)
    contents = LandingZone(str(tmp_path)).contents()
    assert re.fullmatch(fault, contents.refused[0].message)
    assert [one.file.name for one in contents.deliveries] == ["train.csv"]


def test_a_wrong_file_is_named_in_the_error(tmp_path: Path) -> None:
    land(tmp_path, "train.csv", SALES.replace(b"24924.5", b"abc"))
    with pytest.raises(SchemaError, match=r'^train\.csv line 2: Weekly_Sales is "abc", expected a number$'):
        LandingZone(str(tmp_path)).read_all()


def test_a_file_that_is_gone_or_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    zone = LandingZone(str(tmp_path))
    land(tmp_path, "demand.toml", b"")
    path = land(tmp_path, "train.csv", SALES)
    loading = zone.loaded()
    assert next(loading)[0].name == "demand.toml"
    land(tmp_path, "train.csv", SALES + b"1,1,2010-02-19,3,FALSE\n", 1)
    with pytest.raises(LandingError, match=r"train\.csv changed while it was being read; run again"):
        next(loading)
    loading = zone.loaded()
    next(loading)
    path.unlink()
    with pytest.raises(LandingError, match=r"train\.csv cannot be read: No such file or directory"):
        next(loading)


def test_a_file_is_read_once_until_it_or_demand_toml_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    land(tmp_path, "train.csv", SALES)
    read = reads(monkeypatch)
    first = LandingZone(str(tmp_path)).read_all()[0]
    assert LandingZone(str(tmp_path)).read_all()[0] is first
    assert read == ["train.csv"]
    land(tmp_path, "train.csv", SALES.replace(b"24924.5", b"24924.6"), 1)
    assert LandingZone(str(tmp_path)).read_all()[0].frame["sales"].tolist() == [24924.6, 46039.49]
    land(tmp_path, "demand.toml", b'[data]\nunit = "EUR"\n')
    assert LandingZone(str(tmp_path)).contents().dataset.unit == "EUR"
    assert read == ["train.csv", "train.csv", "demand.toml", "train.csv"]


def test_the_bytes_of_a_file_without_a_table_that_is_used_are_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(tmp_path, "train.csv", SALES)
    land(tmp_path, "budget.csv", b"account,owner,amount\n4711,jd,12\n")
    kept: list[list[str]] = []
    whole = landing.LandingZone._parts

    def parts(self: LandingZone, understood: Understanding, loaded: dict[LandedFile, bytes]) -> object:
        found = whole(self, understood, loaded)
        kept.append([file.name for file in loaded])
        return found

    monkeypatch.setattr(landing.LandingZone, "_parts", parts)
    LandingZone(str(tmp_path)).contents()
    assert kept == [[]]


def test_listing_a_zone_imports_nothing_heavy(tmp_path: Path) -> None:
    land(tmp_path, "train.csv", SALES)
    code = (
        "import sys; from demand_assets.adapters.landing import LandingZone; LandingZone(sys.argv[1]).files();"
        "print({'pandas', 'pyarrow', 'fsspec', 's3fs', 'boto3'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
    assert run.stdout == "set()\n"


def test_bytes_are_held_of_the_largest_file_alone_and_others_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "_SMALL_BYTES", 0)
    names = reads(monkeypatch)
    land(tmp_path, "stores.csv", STORES)
    land(tmp_path, "train.csv", SALES, 1)
    contents = LandingZone(str(tmp_path)).contents()
    assert names == ["stores.csv", "train.csv", "stores.csv"]
    assert [one.kind for one in contents.deliveries] == ["sales", "stores"]


def test_a_small_file_beside_the_largest_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = reads(monkeypatch)
    land(tmp_path, "stores.csv", STORES)
    land(tmp_path, "train.csv", SALES, 1)
    LandingZone(str(tmp_path)).contents()
    assert names == ["stores.csv", "train.csv"]


def test_weeks_out_of_stock_are_recognised_with_the_series_that_had_none(tmp_path: Path) -> None:
    rows = [f"2012-01-{day:02d},{store},{item},10.5,{int(day == 13 and item == 'b')}" for day in (6, 13, 20)
            for store in (1, 2) for item in "ab"]  # fmt: skip
    (tmp_path / "sales.csv").write_text("\n".join(["date,store,item,sales,out_of_stock", *rows]) + "\n")
    contents = LandingZone(str(tmp_path)).contents()
    tables = contents.tables()
    absent = contents.dataset.absent_rows(keys_of(tables.stores, "store_id"), tables.of_series)
    assert absent.out_of_stock is not None
    found = absent.out_of_stock.assign(week=absent.out_of_stock["week"].dt.strftime("%Y-%m-%d"))
    assert found[["week", "store_id", "dept_id"]].to_numpy().tolist() == [["2012-01-13", 1, 2], ["2012-01-13", 2, 2]]


def located(folder: Path, *rows: tuple[object, ...]) -> list[list[object]]:
    """File and line of rows of deliveries: file, week, store, department."""
    asked = pd.DataFrame(rows, columns=["file", "week", "store_id", "dept_id"]).astype({"week": "datetime64[ns]"})
    return LandingZone(str(folder)).located(asked)[["file", "line"]].to_numpy().tolist()


def test_rows_of_two_files_are_found_in_their_own_lines(tmp_path: Path) -> None:
    land(tmp_path, "a.csv", SALES)
    land(tmp_path, "b.csv", SALES + b"2,1,2010-02-12,7.5,TRUE\n", 1)
    row = ("2010-02-12", "1", "1")
    assert located(tmp_path, ("b.csv", *row), ("a.csv", *row), ("b.csv", "2010-02-12", "2", "1")) == [
        ["b.csv", 3], ["a.csv", 3], ["b.csv", 4],
    ]  # fmt: skip


def test_a_week_of_days_from_two_files_is_found_in_the_line_of_its_first_day(tmp_path: Path) -> None:
    days = [
        f"s-7,food,{day:%Y-%m-%d},{100 + number}" for number, day in enumerate(pd.date_range("2024-01-01", periods=21))
    ]
    land(tmp_path, "a.csv", "\n".join(["shop,article,date,sales", *days[:10]]).encode())
    land(tmp_path, "b.csv", "\n".join(["shop,article,date,sales", *days[10:]]).encode(), 1)
    found = LandingZone(str(tmp_path)).read_all(["sales"])
    rows = [(one.file.name, f"{week:%Y-%m-%d}", "s-7", "food") for one in found for week in one.weeks]
    assert [row[:2] for row in rows] == [
        ("a.csv", "2024-01-07"), ("b.csv", "2024-01-21"), ("a.csv + b.csv", "2024-01-14"),
    ]  # fmt: skip
    assert located(tmp_path, *rows) == [["a.csv", 2], ["b.csv", 6], ["a.csv", 9]]


def test_no_row_is_found_in_no_line(tmp_path: Path) -> None:
    land(tmp_path, "a.csv", SALES)
    assert located(tmp_path) == []
