from __future__ import annotations

import gc
import gzip
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pandas as pd
import pytest
from moto.server import ThreadedMotoServer

from demand_assets.adapters import landing
from demand_assets.adapters.files import S3_CONFIG
from demand_assets.adapters.landing import LandingZone
from demand_assets.errors import LandingError, SchemaError

SALES = b"Store,Dept,Date,Weekly_Sales,IsHoliday\n1,1,2010-02-05,24924.5,FALSE\n1,1,2010-02-12,46039.49,TRUE\n"
STORES = b"Store,Type,Size\r1,A,151315\r2,A,202307\r"


def land(folder: Path, name: str, data: bytes, minute: int = 0) -> Path:
    """Writes a file as if it had landed at that minute."""
    path = folder / name
    path.write_bytes(data)
    moment = datetime(2012, 11, 5, 8, minute, tzinfo=UTC).timestamp()
    os.utime(path, (moment, moment))
    return path


def test_files_come_in_landing_order_with_name_breaking_ties(tmp_path: Path) -> None:
    land(tmp_path, "b.csv", SALES, 5)
    land(tmp_path, "a.csv", SALES, 9)
    land(tmp_path, "D.CSV", SALES, 5)
    land(tmp_path, "c.Csv.GZ", SALES, 5)
    files = LandingZone(str(tmp_path)).files()
    assert [file.name for file in files] == ["D.CSV", "b.csv", "c.Csv.GZ", "a.csv"]
    assert files[3].modified_at == datetime(2012, 11, 5, 8, 9, tzinfo=UTC)
    assert files[3].size == len(SALES)


def test_other_files_and_kaggles_own_are_passed_over(tmp_path: Path) -> None:
    for name in (
        "train.csv",
        "test.csv",
        "TEST.csv.gz",
        "sampleSubmission.csv",
        "._train.csv",
        "notes.txt",
        "x.csv.zip",
    ):
        land(tmp_path, name, SALES)
    (tmp_path / "folder.csv").mkdir()
    assert [file.name for file in LandingZone(str(tmp_path)).files()] == ["train.csv"]


def test_a_missing_folder_a_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LandingError, match=r"gone does not exist; expected a folder"):
        LandingZone(str(tmp_path / "gone")).files()
    with pytest.raises(LandingError, match=r"train\.csv is a file; expected a folder"):
        LandingZone(str(land(tmp_path, "train.csv", SALES))).files()
    (tmp_path / "empty").mkdir()
    with pytest.raises(LandingError, match=r"is empty; expected files such as train\.csv"):
        LandingZone(str(tmp_path / "empty")).files()
    land(tmp_path / "empty", "train.csv.zip", b"PK")
    with pytest.raises(LandingError, match=r"holds no CSV, only train\.csv\.zip; expected"):
        LandingZone(str(tmp_path / "empty")).files()
    with pytest.raises(LandingError, match=r"is a gs:// address; expected a folder or s3://"):
        LandingZone("gs://bucket/in")


def test_three_files_that_are_no_csvs_are_named(tmp_path: Path) -> None:
    expected = "expected files such as train.csv or train.csv.gz"
    for name, listed in (("c.txt", "c.txt"), ("b.txt", "b.txt, c.txt"), ("a.txt", "a.txt, b.txt, c.txt")):
        land(tmp_path, name, b"")
        with pytest.raises(LandingError) as raised:
            LandingZone(str(tmp_path)).files()
        assert str(raised.value) == f"landing zone {tmp_path} holds no CSV, only {listed}; {expected}"
    land(tmp_path, "d.txt", b"")
    with pytest.raises(LandingError, match=r"only a\.txt, b\.txt, c\.txt, \.\.\.; expected"):
        LandingZone(str(tmp_path)).files()


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
    rows = b"2,1,2010-02-19,1,FALSE\n2,1,2010-02-05,1,FALSE\n1,1,2009-12-25,1,FALSE\n"
    land(tmp_path, "train.csv", header + b"\n" + rows + rest)
    (sales,) = LandingZone(str(tmp_path)).read_all()
    expected = pd.DatetimeIndex(["2009-12-25", "2010-02-05", "2010-02-12", "2010-02-19"], name="week")
    pd.testing.assert_index_equal(sales.weeks, expected)


def test_read_all_gives_the_kinds_asked_for(tmp_path: Path) -> None:
    land(tmp_path, "train.csv", SALES, 1)
    land(tmp_path, "stores.csv", STORES, 0)
    zone = LandingZone(str(tmp_path))
    assert [delivery.kind for delivery in zone.read_all()] == ["stores", "sales"]
    (stores,) = zone.read_all({"stores"})
    assert stores.frame["size_sqft"].tolist() == [151315, 202307]
    assert stores.weeks.empty


def test_of_large_files_of_other_kinds_only_the_header_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "_SMALL_BYTES", 0)
    land(tmp_path, "train.csv", b"\n\n" + SALES.replace(b"24924.5", b"much"))
    land(tmp_path, "train.csv.gz", gzip.compress(SALES.replace(b"\n", b"\r\n") + b"1,1,2010-02-19,much,FALSE\n" * 9000))
    land(tmp_path, "stores.csv", b"\xef\xbb\xbf" + STORES)
    zone = LandingZone(str(tmp_path))
    (stores,) = zone.read_all({"stores"})
    assert stores.frame["size_sqft"].tolist() == [151315, 202307]
    assert [zone.kind_of(file) for file in zone.files()] == ["stores", "sales", "sales"]
    with pytest.raises(SchemaError, match=r"train\.csv line 4: Weekly_Sales is \"much\""):
        zone.read_all({"sales"})
    land(tmp_path, "bad.csv.gz", gzip.compress(SALES)[:10] + b"\xff" * 50)
    with pytest.raises(LandingError, match=r"^bad\.csv\.gz is a corrupt gzip \(.*\); land it again$"):
        zone.read_all({"stores"})
    land(tmp_path, "bad.csv.gz", gzip.compress(SALES))
    land(tmp_path, "odd.csv", b"Store,Dept\n" + b"1,1\n" * 100)
    with pytest.raises(SchemaError, match=r"odd\.csv lacks Date, Weekly_Sales, IsHoliday"):
        zone.read_all({"stores"})


def test_what_the_cache_is_too_small_for_is_found_while_it_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "_cache", landing._DeliveryCache(0))
    land(tmp_path, "train.csv", SALES)
    (held,) = LandingZone(str(tmp_path)).read_all()
    assert LandingZone(str(tmp_path)).read_all()[0] is held


def test_the_cache_lets_go_of_what_was_asked_for_longest_ago(tmp_path: Path) -> None:
    made = []
    for name in ("a.csv", "b.csv", "c.csv"):
        land(tmp_path, name, SALES)
        made.append(landing._parse(landing._from_path(tmp_path / name), SALES))
    size = int(made[0].frame.memory_usage(index=False).sum())
    cache = landing._DeliveryCache(2 * size)
    a, b, c = (("uri", name) for name in "abc")
    cache.put(a, made[0])
    cache.put(b, made[1])
    cache.put(b, made[1])  # takes no more room
    assert cache.get(a) is made[0]
    cache.put(c, made[2])
    made.clear()
    gc.collect()
    assert [cache.get(key) is not None for key in (a, b, c)] == [True, False, True]


def test_a_truncated_and_a_corrupt_gzip_name_the_file(tmp_path: Path) -> None:
    whole = gzip.compress(SALES * 100)
    for name, data, fault in (
        ("cut.csv.gz", whole[:-20], r"cut\.csv\.gz is a truncated gzip: its [\d,]+ bytes end in the middle"),
        ("crc.csv.gz", whole[:-8] + b"\0" * 8, r"crc\.csv\.gz is a corrupt gzip \(.*\); land it again"),
        (
            "body.csv.gz",
            whole[:15] + b"\xff" * 20 + whole[35:],
            r"body\.csv\.gz is a corrupt gzip \(.*\); land it again",
        ),
    ):
        land(tmp_path, name, data)
        zone = LandingZone(str(tmp_path))
        with pytest.raises(LandingError, match=fault):
            zone.read(next(file for file in zone.files() if file.name == name))


def test_a_wrong_file_is_named_in_the_error(tmp_path: Path) -> None:
    land(tmp_path, "train.csv", SALES.replace(b"24924.5", b"abc"))
    with pytest.raises(SchemaError, match=r'^train\.csv line 2: Weekly_Sales is "abc", expected a number$'):
        LandingZone(str(tmp_path)).read_all()


def test_a_file_that_is_gone_or_changed_since_it_was_listed_is_refused(tmp_path: Path) -> None:
    zone = LandingZone(str(tmp_path))
    path = land(tmp_path, "train.csv", SALES)
    (listed,) = zone.files()
    land(tmp_path, "train.csv", SALES + b"1,1,2010-02-19,3,FALSE\n", 1)
    with pytest.raises(LandingError, match=r"train\.csv changed while it was being read; run again"):
        zone.read(listed)
    path.unlink()
    with pytest.raises(LandingError, match=r"train\.csv cannot be read: No such file or directory"):
        zone.read(listed)


def test_a_file_is_read_once_until_it_changes(tmp_path: Path) -> None:
    land(tmp_path, "train.csv", SALES)
    first = LandingZone(str(tmp_path)).read_all()[0]
    assert LandingZone(str(tmp_path)).read_all()[0] is first
    land(tmp_path, "train.csv", SALES.replace(b"24924.5", b"24924.6"), 1)
    assert LandingZone(str(tmp_path)).read_all()[0].frame["sales"].tolist() == [24924.6, 46039.49]


def test_listing_a_zone_imports_nothing_heavy(tmp_path: Path) -> None:
    land(tmp_path, "train.csv", SALES)
    code = (
        "import sys; from demand_assets.adapters.landing import LandingZone; LandingZone(sys.argv[1]).files();"
        "print({'pandas', 'pyarrow', 'fsspec', 's3fs', 'boto3'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
    assert run.stdout == "set()\n"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """An empty bucket on a real S3 server over HTTP, found through AWS_ENDPOINT_URL."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    # Servers in one process share their buckets, so each test has its own.
    name = "landing-" + hashlib.blake2b(str(tmp_path).encode(), digest_size=8).hexdigest()
    try:
        boto3.client("s3").create_bucket(Bucket=name)
        yield name
    finally:
        server.stop()


def test_s3_holds_the_same_deliveries_as_a_folder(bucket: str, tmp_path: Path) -> None:
    s3 = boto3.client("s3")
    for name, data in {
        "": b"",
        "train.csv.gz": gzip.compress(SALES),
        "stores.csv": STORES,
        "test.csv": b"x",
        "deeper/train.csv": b"x",
    }.items():
        s3.put_object(Bucket=bucket, Key=f"in/{name}", Body=data)
    zone = LandingZone(f"s3://{bucket}/in/")
    files = zone.files()
    assert sorted(file.uri for file in files) == [f"s3://{bucket}/in/stores.csv", f"s3://{bucket}/in/train.csv.gz"]
    assert zone.files() == files
    land(tmp_path, "train.csv", SALES)
    (local,) = LandingZone(str(tmp_path)).read_all({"sales"})
    (remote,) = zone.read_all({"sales"})
    assert remote.content_hash == local.content_hash
    assert remote.frame.equals(local.frame)
    s3.put_object(Bucket=bucket, Key="in/train.csv.gz", Body=gzip.compress(SALES.replace(b"46039.49", b"1")))
    assert zone.read_all({"sales"})[0].frame["sales"].tolist() == [24924.5, 1.0]


def test_s3_faults_are_one_line(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LandingError, match=r"/none does not exist or is empty; expected CSVs"):
        LandingZone(f"s3://{bucket}/none").files()
    with pytest.raises(LandingError, match=r"s3://no-such-bucket does not exist or is empty"):
        LandingZone("s3://no-such-bucket").files()
    boto3.client("s3").put_object(Bucket=bucket, Key="in/train.csv", Body=SALES)
    zone = LandingZone(f"s3://{bucket}/in")
    (listed,) = zone.files()
    boto3.client("s3").put_object(Bucket=bucket, Key="in/train.csv", Body=SALES + b"1,2,2010-02-05,1,FALSE\n")
    with pytest.raises(LandingError, match=r"train\.csv changed while it was being read"):
        zone.read(listed)
    boto3.client("s3").delete_object(Bucket=bucket, Key="in/train.csv")
    with pytest.raises(LandingError, match=r"in/train\.csv does not exist"):
        zone.read(listed)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setitem(S3_CONFIG, "retries", {"max_attempts": 0})
    with pytest.raises(LandingError, match=r"cannot be read: .*; check address, credentials and region") as raised:
        LandingZone(f"s3://{bucket}/in").files()
    assert "\n" not in str(raised.value)
