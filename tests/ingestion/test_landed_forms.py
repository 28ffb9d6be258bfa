from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from demand_assets.ingestion.reading import lines_of, read, sources
from demand_assets.ingestion.source import ColumnType, Dialect
from tests.ingestion.test_reading import COLUMNS, PLAIN, ROWS, landed, message, one, read_one, rows


def zipped(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "."), data)
    return packed.getvalue()


def workbook(sheets: Mapping[str, Sequence[Sequence[Any]]]) -> bytes:
    data = io.BytesIO()
    with xlsxwriter.Workbook(data, {"in_memory": True, "default_date_format": "yyyy-mm-dd"}) as book:
        for name, cells in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(cells):
                sheet.write_row(number, 0, row)
    return data.getvalue()


def test_each_member_of_a_zip_is_a_source() -> None:
    data = zipped(
        train__csv=PLAIN.encode(),
        stores__csv=b"Store;Type\n1;A\n",
        LICENCE__txt=b"%PDF",
    )
    found = sources(landed("sales.zip"), data)
    assert [(source.name, source.dialect.separator) for source in found] == [
        ("sales.zip: train.csv", ","),
        ("sales.zip: stores.csv", ";"),
    ]
    assert rows(read(found[0], data, COLUMNS)) == ROWS
    assert rows(read(found[1], data, {"Type": ColumnType("text")})) == [["A"]]


def test_a_mac_folder_and_hidden_members_are_no_sources() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("a/train.csv", "__MACOSX/a/._train.csv", "a/.DS_Store"):
            archive.writestr(name, PLAIN)
    assert [source.part for source in sources(landed("a.zip"), packed.getvalue())] == ["a/train.csv"]


def test_content_and_not_a_name_tells_what_a_file_is() -> None:
    book = workbook({"Sheet1": [["Store", "Sales"], [1, 2.5]]})
    assert one(book, "train.csv").dialect.form == "excel"
    assert one(PLAIN.encode(), "train.csv.gz").dialect.form == "csv"
    assert one(zipped(a__csv=gzip.compress(PLAIN.encode())), "train.xlsx").part == "a.csv"


def test_sheets_of_a_workbook_are_sources_with_their_types() -> None:
    cells = [
        ["Sales of all shops"],
        [],
        ["Store", " Date ", "Sales", "Article", "Serial"],
        [1, datetime(2010, 2, 5), 24924.5, "A-1", 40214],
        [],
        [2, datetime(2010, 2, 12), "", 7, 40221],
    ]
    data = workbook({"Notes": [["nothing here"]], "Sales": cells})
    source = one(data, "sales.xlsx")
    assert (source.name, source.dialect, source.rows) == ("sales.xlsx: Sales", Dialect("excel"), 2)
    assert source.sample.column_names == ["Store", "Date", "Sales", "Article", "Serial"]
    kinds = {
        "Store": ColumnType("id"),
        "Date": ColumnType("date"),
        "Sales": ColumnType("number"),
        "Article": ColumnType("id"),
        "Serial": ColumnType("date"),
    }
    assert rows(read(source, data, kinds)) == [
        [1, date(2010, 2, 5), 24924.5, "A-1", date(2010, 2, 5)],
        [2, date(2010, 2, 12), None, "7", date(2010, 2, 12)],
    ]
    assert lines_of(source, data, [1]) == [6]
    assert message(data, {"Article": ColumnType("number")}, "sales.xlsx") == (
        'sales.xlsx sheet "Sales" row 4: Article is "A-1", expected a number'
    )


def test_a_workbook_in_a_zip_is_read_by_its_sheets() -> None:
    data = zipped(book__xlsx=workbook({"A": [["Store"], [1]], "B": [["Store"], [2], ["x"]]}))
    found = sources(landed("a.zip"), data)
    assert [source.part for source in found] == ["book.xlsx: A", "book.xlsx: B"]
    assert [rows(read(source, data, {"Store": ColumnType("id")})) for source in found] == [[[1]], [["2"], ["x"]]]


def test_whole_floats_too_large_for_an_integer_stay_text() -> None:
    data = parquet(pa.table({"Store": [1e20, 1.0]}))
    assert read_one(data, {"Store": ColumnType("id")}) == [["1e+20"], ["1"]]


def parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


def test_parquet_keeps_its_types_and_whole_floats_are_ids() -> None:
    table = pa.table(
        {
            "Store": [1.0, 2.0],
            "Date": pa.array([datetime(2010, 2, 5), datetime(2010, 2, 12)], pa.timestamp("ns")),
            "Sales": [2, 3],
            "IsHoliday": pa.array([0, 1], pa.int8()),
            "Dept": pa.array(["a", "07"]).dictionary_encode(),
        }
    )
    data = parquet(table)
    source = one(data, "sales.parquet")
    assert (source.rows, source.sample.schema.field("Sales").type) == (2, pa.int64())
    assert rows(read(source, data, {**COLUMNS, "Dept": ColumnType("id")})) == [
        [1, date(2010, 2, 5), 2.0, False, "a"],
        [2, date(2010, 2, 12), 3.0, True, "07"],
    ]
    assert message(data, {"Dept": ColumnType("number")}, "x.parquet") == (
        'x.parquet row 1: Dept is "a", expected a number'
    )


def test_json_lines_are_read_with_their_line_numbers() -> None:
    records = [
        {"Store": 1, "Date": "2010-02-05", "Sales": 2.5, "IsHoliday": True},
        {"Store": 2, "Date": "2010-02-12", "Sales": None, "IsHoliday": False},
    ]
    data = "\n\n".join(json.dumps(record) for record in records).encode()
    assert read_one(data, name="x.jsonl") == [[1, date(2010, 2, 5), 2.5, True], [2, date(2010, 2, 12), None, False]]
    assert message(data.replace(b"false", b"null"), name="x.jsonl") == (
        "x.jsonl line 3: IsHoliday is missing, expected TRUE or FALSE"
    )


NO_TABLES = [
    (b"", "is empty; expected a header and rows below it"),
    (b"\xef\xbb\xbf \r\n", "is empty; expected a header and rows below it"),
    (b"Store,Type,Size\n\n", "has a header and no rows; expected at least one row below Store, Type, Size"),
    (b"1,2010-02-05,3\n2,2010-02-12,4\n", "has no header: its first line is 1,2010-02-05,3; add a line that"),
    (b"Store,Type\n1,\0\n", "holds NUL bytes and is no text; expected CSV, Excel, Parquet or JSON lines"),
    (b"Store,Type\n" + b"1,A\n" * 100_000 + b"\0", "holds NUL bytes, the first at byte 400,011; save it as CSV"),
    (b"%PDF-1.7 x", "is a PDF; expected a table: save it as CSV (UTF-8), Excel or Parquet"),
    (b"\x89PNG\r\n\x1a\n\0", "is a picture; expected a table"),
    (b"<html><table>", "is a web page; expected a table"),
    (bytes(range(1, 256)) * 9, "is no table but binary data; expected CSV"),
    (b'[{"Store": 1}]', "is one JSON array; expected JSON lines: write one object a line"),
    (b'{"Store": 1\n', "line 1: expected a whole JSON object, got "),
    (b"PAR1 nothing", "cannot be read as Parquet: "),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 nothing", "cannot be read as Excel ("),
    (gzip.compress(PLAIN.encode())[:-9], "is a truncated gzip: "),
    (b"\x1f\x8bnothing at all", "is a corrupt gzip ("),
    (zipped(a__csv=b"a,b\n1,2\n")[:-9], "is a damaged zip ("),
    (zipped(a__png=b"\x89PNG"), "holds no table with a header and rows; land CSV"),
    (zipped(a__csv=b""), ": a.csv is empty; expected"),
    (workbook({"Sheet1": [[1, 2], [3, 4]]}), "holds no table with a header and rows; land CSV"),
]


@pytest.mark.parametrize(("data", "fault"), NO_TABLES, ids=[fault for _, fault in NO_TABLES])
def test_what_is_no_table_is_called_so_in_one_line(data: bytes, fault: str) -> None:
    text = message(data)
    assert text.startswith(f"train.csv{fault}" if fault.startswith(":") else f"train.csv {fault}")


def test_what_unpacks_to_far_more_than_a_table_is_refused() -> None:
    huge = bytes(65 * 2**20)
    assert message(gzip.compress(huge, 1)).startswith("train.csv unpacks to more than 67,108,864 bytes from ")
    assert message(zipped(a__csv=huge)).startswith("train.csv unpacks to more than 67,108,864 bytes from ")
    # A workbook, too, is a zip, and its reader unpacks it.
    book = io.BytesIO()
    with zipfile.ZipFile(book, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", b"<Types/>")
        archive.writestr("xl/worksheets/sheet1.xml", huge)
    assert message(book.getvalue()).startswith("train.csv unpacks to more than 67,108,864 bytes from ")


def test_an_encrypted_member_is_refused() -> None:
    data = bytearray(zipped(a__csv=PLAIN.encode()))
    for header, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(header) + flag] |= 1
    assert message(bytes(data)) == "train.csv: a.csv is encrypted; land it without a password"
