"""Tables that reach the lake in blocks: the same files as in one piece, and all of them or none."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import numpy as np
import pandas as pd
import pytest

from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.puts import LEFT_AFTER_S
from demand_assets.adapters.streams import LakeStream, version_of_blocks, write_stream

FIRST, SECOND, THIRD = "2012-01-06", "2012-01-13", "2012-01-20"


def _columns(start: int, rows: int = 3) -> dict[str, np.ndarray]:
    numbers = np.arange(start, start + rows)
    return {
        "store_id": numbers.astype(np.int32),
        "week": np.full(rows, np.datetime64(FIRST), dtype="datetime64[ns]"),
        "lag": np.where(numbers % 2, np.nan, numbers / 3).astype(np.float32),
    }


def test_one_block_is_the_file_that_a_frame_would_be(tmp_path: Path) -> None:
    streamed, whole = ParquetLake(uri=str(tmp_path / "a")), ParquetLake(uri=str(tmp_path / "b"))
    metadata = {FIRST: {"made_from": "x"}}
    assert write_stream(streamed, "t", [FIRST], LakeStream(iter([(FIRST, _columns(0))]), metadata))[0] == 3
    whole.write("t", FIRST, pd.DataFrame(_columns(0)), metadata[FIRST])
    assert streamed.metadata("t", [FIRST]) == whole.metadata("t", [FIRST])
    pd.testing.assert_frame_equal(streamed.read("t", [FIRST]), whole.read("t", [FIRST]))


def test_blocks_follow_one_another_and_a_week_without_any_is_empty(tmp_path: Path) -> None:
    lake = ParquetLake(uri=str(tmp_path))
    blocks = [(FIRST, _columns(0)), (SECOND, _columns(3)), (FIRST, _columns(6))]
    rows, _ = write_stream(lake, "t", [FIRST, SECOND, THIRD], LakeStream(iter(blocks)))
    assert rows == 9
    assert lake.read("t", [FIRST])["store_id"].tolist() == [0, 1, 2, 6, 7, 8]
    assert lake.read("t", [THIRD]).empty
    assert lake.read("t", [FIRST, SECOND, THIRD])["store_id"].tolist() == [0, 1, 2, 6, 7, 8, 3, 4, 5]
    # The order of blocks is a part of what the rows are.
    assert lake.versions("t")[FIRST] == version_of_blocks(
        [lake.write("u", FIRST, pd.DataFrame(_columns(start)))[0] for start in (0, 6)]
    )


def test_a_stream_that_breaks_off_leaves_the_files_that_were_there(tmp_path: Path) -> None:
    lake = ParquetLake(uri=str(tmp_path))
    write_stream(lake, "t", [FIRST], LakeStream(iter([(FIRST, _columns(0))])))
    before = (tmp_path / "t" / f"{FIRST}.parquet").read_bytes()

    def broken() -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        yield FIRST, _columns(10)
        raise RuntimeError("the worker ran out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        write_stream(lake, "t", [FIRST, SECOND], LakeStream(broken()))
    assert [path.name for path in (tmp_path / "t").iterdir()] == [f"{FIRST}.parquet"]
    assert (tmp_path / "t" / f"{FIRST}.parquet").read_bytes() == before


def test_the_same_blocks_again_leave_the_file_untouched(tmp_path: Path) -> None:
    lake = ParquetLake(uri=str(tmp_path))
    path = tmp_path / "t" / f"{FIRST}.parquet"
    written = []
    for _ in range(2):
        write_stream(lake, "t", [FIRST], LakeStream(iter([(FIRST, _columns(0)), (FIRST, _columns(3))])))
        written.append(path.stat().st_mtime_ns)
    assert written[0] == written[1]


@pytest.mark.parametrize(("blocks", "said"), [([(THIRD, _columns(0))], THIRD), ([], "no rows were made")])
def test_rows_of_other_weeks_and_no_rows_are_refused(tmp_path: Path, blocks: list, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        write_stream(ParquetLake(uri=str(tmp_path)), "t", [FIRST], LakeStream(iter(blocks)))


def test_a_stream_goes_to_s3_whole(aws_environment: str) -> None:
    bucket = f"streams-{os.getpid()}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    lake = ParquetLake(uri=f"s3://{bucket}/lake")
    write_stream(lake, "t", [FIRST, SECOND], LakeStream(iter([(FIRST, _columns(0)), (SECOND, _columns(3))])))
    assert lake.partitions("t") == [FIRST, SECOND]
    assert lake.read("t", [SECOND])["store_id"].tolist() == [3, 4, 5]


def test_what_a_killed_run_left_is_taken_away_a_day_later(tmp_path: Path) -> None:
    lake = ParquetLake(uri=str(tmp_path))
    write_stream(lake, "t", [FIRST], LakeStream(iter([(FIRST, _columns(0))])))
    left, growing = tmp_path / "t" / ".0123.parquet", tmp_path / "t" / ".4567.parquet"
    for path in (left, growing):
        path.write_bytes(b"half a file")
    os.utime(left, (time.time() - LEFT_AFTER_S - 1,) * 2)
    write_stream(lake, "t", [SECOND], LakeStream(iter([(SECOND, _columns(3))])))
    assert {path.name for path in (tmp_path / "t").iterdir()} == {growing.name, f"{FIRST}.parquet", f"{SECOND}.parquet"}
