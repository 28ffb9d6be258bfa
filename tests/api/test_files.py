"""Files of lists: read in parts, in Excel, compressed, by libraries that are given a URL."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime

import duckdb
import httpx
import pandas as pd
import pytest
from fastapi import Request
from fsspec.implementations.http import HTTPFileSystem

from api.files import File, RecentFiles, part_of
from api.formats import MOST_ROWS, Format, render
from api.problems import ProblemError
from demand_assets.store.engine import create_engine_for
from tests.api.conftest import problem, serving
from tests.api.stores import FORMULA, ORIGIN, UNICODE, publish_full_vintage
from tests.waiting import until

FILE = "/v1/forecasts?format=parquet"


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("bytes=0-3", range(4)),
        ("bytes=4-", range(4, 10)),
        ("bytes=-4", range(6, 10)),
        ("bytes=-99", range(10)),
        ("bytes=8-99", range(8, 10)),
        ("Bytes=9-9", range(9, 10)),
        ("bytes=0-1,4-5", None),
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("rows=0-3", None),
        ("", None),
    ],
)
def test_a_range_names_a_part_or_is_passed_over(wanted: str, part: range | None) -> None:
    assert part_of(wanted, 10) == part


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=10-11", "bytes=-0"])
def test_a_range_that_begins_past_the_end_is_416(wanted: str) -> None:
    with pytest.raises(ProblemError, match=f"expected a part of 10 bytes, got {wanted}") as refused:
        part_of(wanted, 10)
    assert (refused.value.status_code, refused.value.headers) == (416, {"Content-Range": "bytes */10"})


def test_the_parts_of_a_file_make_the_whole(full: httpx.Client) -> None:
    whole = full.get(FILE)
    size = len(whole.content)
    assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
    assert full.head(FILE).headers["content-length"] == str(size)
    parts = [full.get(FILE, headers={"Range": f"bytes={begin}-{begin + 999}"}) for begin in range(0, size, 1000)]
    assert {part.status_code for part in parts} == {206}
    assert b"".join(part.content for part in parts) == whole.content
    last = parts[-1].headers
    assert last["content-range"] == f"bytes {size - len(parts[-1].content)}-{size - 1}/{size}"
    kept = ("etag", "cache-control", "vary", "content-type", "content-disposition", "accept-ranges")
    assert {name: last[name] for name in kept} == {name: whole.headers[name] for name in kept}


def test_a_part_is_of_the_file_that_the_caller_has_begun(full: httpx.Client) -> None:
    tag, part = full.get(FILE).headers["etag"], {"Range": "bytes=0-3"}
    assert full.get(FILE, headers=part | {"If-Range": tag}).content == b"PAR1"
    for other in ('"other"', f"W/{tag}", "Fri, 26 Oct 2012 00:00:00 GMT"):
        assert full.get(FILE, headers=part | {"If-Range": other}).status_code == 200
    assert full.get(FILE, headers=part | {"If-None-Match": tag}).status_code == 304
    assert "got bytes=999999-" in problem(full.get(FILE, headers={"Range": "bytes=999999-"}), 416)


def test_json_is_answered_whole(full: httpx.Client) -> None:
    answer = full.get("/v1/forecasts", headers={"Range": "bytes=0-3"})
    assert (answer.status_code, "accept-ranges" in answer.headers) == (200, False)


def test_parts_asked_for_one_after_another_are_of_one_file(own_url: str) -> None:
    with serving(own_url, refresh_seconds=0.02) as client:
        size = int(client.head(FILE).headers["content-length"])
        first = client.get(FILE, headers={"Range": "bytes=0-99"})
        engine = create_engine_for(own_url)
        made = publish_full_vintage(engine, ORIGIN, 75.0, data_version="data-3")
        engine.dispose()
        until(lambda: client.get("/v1/forecasts").json()["vintage"]["vintage_id"] == made)
        second = client.get(FILE, headers={"Range": f"bytes=100-{size}"})
        assert second.headers["etag"] == first.headers["etag"]
        table = pd.read_parquet(io.BytesIO(first.content + second.content))
        assert made not in set(table["vintage_id"])
        # Who asks for the whole gets what there is now.
        assert set(pd.read_parquet(io.BytesIO(client.get(FILE).content))["vintage_id"]) == {made}


def asking(path: str) -> Request:
    return Request({"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []})


def test_files_are_kept_for_a_moment_and_within_their_room() -> None:
    files = RecentFiles(seconds=10.0, most_bytes=100)
    small, large = (File(b"x" * size, '"t"', "text/csv", {}, False) for size in (40, 90))
    files.keep(asking("/a"), small, 0.0)
    files.keep(asking("/b"), small, 1.0)
    assert [files.find(asking(path), 9.0) for path in ("/a", "/b", "/c")] == [small, small, None]
    assert files.find(asking("/a"), 10.0) is None
    files.keep(asking("/c"), small, 2.0)
    assert [files.find(asking(path), 3.0) for path in ("/a", "/b", "/c")] == [None, small, small]
    files.keep(asking("/d"), large, 3.0)
    assert [files.find(asking(path), 3.0) for path in ("/b", "/c", "/d")] == [None, None, large]


class HttpFiles(HTTPFileSystem):  # type: ignore[misc]
    """In place of duckdb's own httpfs, which it downloads when it is first used."""

    def modified(self, path: str) -> datetime:
        return datetime(2012, 10, 27, tzinfo=UTC)


def test_duckdb_reads_a_file_by_its_address_in_parts(full: httpx.Client) -> None:
    address = f"{full.base_url}{FILE}"
    with duckdb.connect() as connection:
        connection.register_filesystem(HttpFiles())
        found = connection.execute("select sum(forecast), count(*) from read_parquet(?)", [address]).fetchone()
    items = full.get("/v1/forecasts").json()["items"]
    assert found == (pytest.approx(sum(item["forecast"] for item in items)), len(items))


def test_polars_reads_a_file_by_its_address(full: httpx.Client) -> None:
    polars = pytest.importorskip("polars")
    found = polars.scan_parquet(f"{full.base_url}{FILE}").select("store_id", "forecast").collect()
    items = full.get("/v1/forecasts").json()["items"]
    assert found.rows() == [(item["store_id"], item["forecast"]) for item in items]


def test_excel_has_the_rows_with_their_types() -> None:
    noon = datetime.fromisoformat("2012-10-27T12:00:00+00:00")
    table = {
        "store_id": (str, ["01", FORMULA, None, UNICODE]),
        "week": (date, [date(2012, 11, 2), None, date(2012, 11, 9), date(2012, 11, 16)]),
        "forecast": (float, [100.5, -1.0, None, 0.0]),
        "is_stale": (bool, [True, False, None, True]),
        "published_at": (datetime, [noon, None, noon, noon]),
    }
    made = render(table, Format.XLSX)
    assert made == render(table, Format.XLSX)
    found = pd.read_excel(io.BytesIO(made), engine="calamine", dtype={"store_id": "string"})
    assert list(found.columns) == list(table)
    assert found["store_id"].to_list() == ["01", FORMULA, pd.NA, UNICODE]
    assert found["week"].dt.date.dropna().to_list() == [date(2012, 11, day) for day in (2, 9, 16)]
    assert found["forecast"].to_list()[:2] == [100.5, -1.0]
    assert found["published_at"][0] == pd.Timestamp("2012-10-27 12:00")


def test_excel_has_fewer_rows_a_file_and_links_to_the_rest(full: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MOST_ROWS, Format.XLSX, 4)
    first = full.get("/v1/forecasts?format=xlsx")
    parts = [first, full.get(first.links["next"]["url"])]
    assert [len(pd.read_excel(io.BytesIO(part.content), engine="calamine")) for part in parts] == [4, 2]
    assert "next" not in parts[1].links


def test_a_text_that_no_cell_has_room_for_is_refused() -> None:
    with pytest.raises(ProblemError, match="changes has a text of 40,000 characters, a cell holds 32,767; ask for csv"):
        render({"changes": (str, ["x" * 40_000])}, Format.XLSX)


def test_large_text_is_compressed_for_who_takes_it(full: httpx.Client) -> None:
    address = "/v1/forecasts?vintages=all"
    plain = full.get(address, headers={"Accept-Encoding": "identity"})
    packed = full.get(address, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 4
    assert packed.json() == plain.json()
    assert packed.headers["etag"] == plain.headers["etag"].removesuffix('"') + '-gzip"'
    assert "Accept-Encoding" in plain.headers["vary"]
    for answer in (plain, packed):
        same = full.get(address, headers={"If-None-Match": answer.headers["etag"]})
        assert (same.status_code, same.headers["etag"]) == (304, answer.headers["etag"])


def test_files_that_are_compressed_and_short_answers_stay_as_they_are(full: httpx.Client) -> None:
    for address in (FILE, "/v1/forecasts?format=xlsx", "/v1/forecasts?format=arrow", "/health"):
        assert "content-encoding" not in full.get(address).headers
