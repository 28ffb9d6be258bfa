"""The landing zone on S3."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from demand_assets.adapters.files import S3_CONFIG
from demand_assets.adapters.landing import LandingZone
from demand_assets.errors import LandingError
from tests.adapters.test_landing import SALES, STORES, land


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
    s3.put_object(Bucket=bucket, Key="in/train.csv.gz", Body=gzip.compress(SALES.replace(b"46039.49", b"901")))
    assert zone.read_all({"sales"})[0].frame["sales"].tolist() == [24924.5, 901.0]


def test_s3_faults_are_one_line(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LandingError, match=r"/none does not exist or is empty; expected files"):
        LandingZone(f"s3://{bucket}/none").files()
    with pytest.raises(LandingError, match=r"s3://no-such-bucket does not exist or is empty"):
        LandingZone("s3://no-such-bucket").files()
    boto3.client("s3").put_object(Bucket=bucket, Key="in/train.csv", Body=SALES)
    boto3.client("s3").put_object(Bucket=bucket, Key="in/demand.toml", Body=b"")
    zone = LandingZone(f"s3://{bucket}/in")
    loading = zone.loaded()
    next(loading)
    boto3.client("s3").put_object(Bucket=bucket, Key="in/train.csv", Body=SALES + b"1,2,2010-02-05,1,FALSE\n")
    with pytest.raises(LandingError, match=r"train\.csv changed while it was being read"):
        next(loading)
    loading = zone.loaded()
    next(loading)
    boto3.client("s3").delete_object(Bucket=bucket, Key="in/train.csv")
    with pytest.raises(LandingError, match=r"in/train\.csv does not exist"):
        next(loading)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setitem(S3_CONFIG, "retries", {"max_attempts": 0})
    with pytest.raises(LandingError, match=r"cannot be read: .*; check address, credentials and region") as raised:
        LandingZone(f"s3://{bucket}/in").files()
    assert "\n" not in str(raised.value)
