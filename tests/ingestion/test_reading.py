from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from demand_assets.errors import SchemaError
from demand_assets.ingestion.delivery import LandedFile
from demand_assets.ingestion.reading import Fault, date_formats, line_of, number_marks, read, read_or_collect, sources
from demand_assets.ingestion.source import SAMPLE_ROWS, ColumnType, Dialect, Source

COLUMNS = {
    "Store": ColumnType("id"),
    "Date": ColumnType("date"),
    "Sales": ColumnType("number"),
    "IsHoliday": ColumnType("flag"),
}
ROWS = [
    [1, date(2010, 2, 5), 24924.5, False],
    [1, date(2010, 2, 12), -46039.49, True],
    [2, date(2010, 2, 19), None, False],
]
PLAIN = "Store,Date,Sales,IsHoliday\n1,2010-02-05,24924.5,FALSE\n1,2010-02-12,-46039.49,TRUE\n2,2010-02-19,NA,FALSE\n"


def landed(name: str = "train.csv") -> LandedFile:
    return LandedFile(name, f"/{name}", 0, datetime(2026, 1, 1, tzinfo=UTC), "")


def one(data: bytes, name: str = "train.csv") -> Source:
    (source,) = sources(landed(name), data)
    return source


def rows(table: pa.Table) -> list[list[Any]]:
    return [list(row.values()) for row in table.to_pylist()]


def read_one(data: bytes, columns: Mapping[str, ColumnType] = COLUMNS, name: str = "train.csv") -> list[list[Any]]:
    return rows(read(one(data, name), data, columns))


def message(data: bytes, columns: Mapping[str, ColumnType] = COLUMNS, name: str = "train.csv") -> str:
    with pytest.raises(SchemaError) as raised:
        read_one(data, columns, name)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def columns(**changed: ColumnType) -> dict[str, ColumnType]:
    return {**COLUMNS, **changed}


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


@pytest.mark.parametrize(
    ("data", "dialect"),
    [
        (PLAIN.encode(), Dialect("csv", "utf-8", ",")),
        (PLAIN.replace(",", ";").encode(), Dialect("csv", "utf-8", ";")),
        (PLAIN.replace(",", "\t").encode(), Dialect("csv", "utf-8", "\t")),
        (PLAIN.replace(",", "|").encode(), Dialect("csv", "utf-8", "|")),
        (PLAIN.encode("utf-8-sig"), Dialect("csv", "utf-8", ",")),
        (PLAIN.encode("utf-16"), Dialect("csv", "utf-16-le", ",")),
        (PLAIN.encode("utf-16-le"), Dialect("csv", "utf-16-le", ",")),
        (PLAIN.encode("utf-16-be"), Dialect("csv", "utf-16-be", ",")),
        (PLAIN.replace("\n", "\r\n").encode(), Dialect("csv", "utf-8", ",")),
        (PLAIN.replace("\n", "\r").encode(), Dialect("csv", "utf-8", ",")),
        (PLAIN.replace("\n", "\n\n").encode(), Dialect("csv", "utf-8", ",")),
        (f"\n\n{PLAIN}".encode(), Dialect("csv", "utf-8", ",", skipped=2)),
        (f"Sales of all shops\n\n{PLAIN}".encode(), Dialect("csv", "utf-8", ",", skipped=2)),
        (PLAIN.rstrip("\n").encode(), Dialect("csv", "utf-8", ",")),
        (PLAIN.replace("Store,Date", '"Store", Date ').encode(), Dialect("csv", "utf-8", ",", '"')),
        (PLAIN.replace("Sales", "Sales").replace("NA", '"NULL"').encode(), Dialect("csv", "utf-8", ",", '"')),
        (gzip.compress(PLAIN.encode()), Dialect("csv", "utf-8", ",")),
    ],
    ids=[
        *("comma", "semicolon", "tab", "pipe", "bom", "utf16", "utf16 le", "utf16 be", "crlf", "cr", "blank lines"),
        *("blank before", "title before", "no last line end", "quoted header", "quoted", "gzip"),
    ],
)
def test_every_way_of_writing_the_same_rows_gives_the_same_table(data: bytes, dialect: Dialect) -> None:
    source = one(data)
    assert (source.part, source.dialect, source.rows) == ("", dialect, 3)
    assert source.sample.column_names == list(COLUMNS)
    assert source.sample.column("Store").to_pylist() == ["1", "1", "2"]
    table = read(source, data, COLUMNS)
    assert table.schema.types == [pa.int64(), pa.date32(), pa.float64(), pa.bool_()]
    assert rows(table) == ROWS


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        ("2010-02-", "2010/02/", columns(Date=ColumnType("date", "%Y/%m/%d"))),
        ("", "", columns()),
        ("FALSE", "No", columns()),
        ("FALSE", "nein", columns()),
        ("FALSE", "0", columns()),
        ("FALSE", "nO", columns()),
        ("-46039.49", '"-46,039.49"', columns(Sales=ColumnType("number", thousands=","))),
        ("-46039.49", "-46 039.49", columns(Sales=ColumnType("number", thousands=" "))),
        ("-46039.49", "-46\u00a0039.49", columns(Sales=ColumnType("number", thousands=" "))),
        ("-46039.49", "-46'039.49", columns(Sales=ColumnType("number", thousands="'"))),
        ("-46039.49", "-$46039.49", columns()),
        ("-46039.49", "-46039.49 EUR", columns()),
        ("-46039.49", "(46039.49)", columns()),
        ("-46039.49", "46039.49-", columns()),
        ("-46039.49", " -46039.49 ", columns()),
        ("-46039.49", "-4.603949e4", columns()),
        ("2010-02-12", "2010-02-12 00:00:00", columns()),
        ("2010-02-12", "2010-02-12T13:45:00.5Z", columns()),
    ],
)
def test_other_ways_of_writing_a_value_mean_the_same(old: str, new: str, kinds: dict[str, ColumnType]) -> None:
    data = PLAIN.replace(old, new).encode()
    assert read_one(data, kinds) == ROWS


@pytest.mark.parametrize("token", ["", "NA", "N/A", "NULL", "null", "NaN", "nan", "None", "#N/A", "-"])
def test_a_missing_number_is_null(token: str) -> None:
    assert read_one(PLAIN.replace("NA", token).encode()) == ROWS


def test_decimal_commas_are_read_beside_points() -> None:
    data = b"Store;Sales;Price\n1;24.924,5;2.5\n1;-46.039,49;0.5\n"
    kinds = {
        "Store": ColumnType("id"),
        "Sales": ColumnType("number", decimal=",", thousands="."),
        "Price": ColumnType("number"),
    }
    assert read_one(data, kinds) == [[1, 24924.5, 2.5], [1, -46039.49, 0.5]]
    simple = b"Store;Sales\n1;24924,5\n"
    assert read_one(simple, {"Sales": ColumnType("number", decimal=",")}) == [[24924.5]]


@pytest.mark.parametrize(
    ("ids", "read_as"),
    [
        (["1", "20", "-3"], [1, 20, -3]),
        (["1234567890123", "2", "3"], [1234567890123, 2, 3]),
        (["007", "7", "8"], ["007", "7", "8"]),
        (["7", "07", "8"], ["7", "07", "8"]),
        (["-7", "-07", "8"], ["-7", "-07", "8"]),
        (["+7", "7", "8"], ["+7", "7", "8"]),
        (["0x1f", "7", "8"], ["0x1f", "7", "8"]),
        ([" 7 ", "7", "8"], [7, 7, 8]),
        (["1.0", "7", "8"], ["1.0", "7", "8"]),
        (["12345678901234567890", "7", "8"], ["12345678901234567890", "7", "8"]),
        (["ZRH-01", "food/1", "Größe 😀"], ["ZRH-01", "food/1", "Größe 😀"]),
    ],
)
def test_ids_are_integers_only_where_nothing_is_lost(ids: list[str], read_as: list[Any]) -> None:
    for data in ("Store,n\n" + "".join(f"{i},1\n" for i in ids), "n,Store\n" + "".join(f"1,{i}\n" for i in ids)):
        source = one(data.encode())
        column = read(source, data.encode(), {"Store": ColumnType("id")}).column("Store")
        assert column.to_pylist() == read_as
        kind = pa.int64() if isinstance(read_as[0], int) else pa.dictionary(pa.int32(), pa.string())
        assert column.type == kind


@pytest.mark.parametrize("padded", ["007", "-07", "0x1f"])
def test_a_padded_id_far_below_the_sample_makes_all_ids_text(padded: str) -> None:
    data = ("n,Store\n" + "1,7\n" * 200_000 + f"1,{padded}\n" + "1,7\n" * 200_000).encode()
    column = read(one(data), data, {"Store": ColumnType("id")}).column("Store")
    assert column.value_counts().to_pylist() == [{"values": "7", "counts": 400_000}, {"values": padded, "counts": 1}]


def test_an_unnamed_index_column_is_named_nothing() -> None:
    data = b",Store,Sales\n0,1,2.5\n1,2,3.5\n"
    source = one(data)
    assert source.sample.column_names == ["", "Store", "Sales"]
    assert rows(read(source, data, {"Sales": ColumnType("number"), "Store": ColumnType("id")})) == [[1, 2.5], [2, 3.5]]


@pytest.mark.parametrize(
    ("encoding", "word"),
    [
        ("latin-1", "Größe"),
        ("latin-1", "Genève"),
        ("cp1252", "5 €"),
        ("cp1250", "Łódź Kraków Gdańsk Poznań"),
        ("utf-8", "Größe"),
    ],
)
def test_letters_beyond_ascii_survive_their_encoding(encoding: str, word: str) -> None:
    data = f"Store,Type\n1,{word} A\n2,{word} B\n".encode(encoding)
    assert read_one(data, {"Type": ColumnType("text")}) == [[f"{word} A"], [f"{word} B"]]


def test_a_letter_beyond_ascii_late_in_a_file_is_found() -> None:
    data = b"Store,Type\n" + b"1,A\n" * 100_000 + "2,Größe\n".encode("latin-1")
    assert one(data).dialect.encoding == "cp1252"


def test_a_sample_holds_the_start_and_rows_spread_over_the_file() -> None:
    data = b"row,text\n" + b"".join(b"%d,some text that makes the file large\n" % i for i in range(100_000))
    source = one(data)
    numbers = [int(row) for row in source.sample.column("row").to_pylist()]
    assert len(numbers) == SAMPLE_ROWS
    assert numbers[:100] == list(range(100))
    assert numbers == sorted(set(numbers))
    assert numbers[-1] > 95_000
    assert source.rows is None


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
    assert line_of(source, data, 1) == 6
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


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("-46039.49", "abc", 'Sales is "abc", expected a number'),
        ("-46039.49", "inf", 'Sales is "inf", expected a number'),
        ("-46039.49", '"46,039.49"', 'Sales is "46,039.49", expected a number'),
        ("-46039.49", "x" * 41, f'Sales is "{"x" * 37}...", expected a number'),
        ("2010-02-12", "12/02/2010", 'Date is "12/02/2010", expected a date like 2010-02-05'),
        ("2010-02-12", "2010-02-30", 'Date is "2010-02-30", expected a date like 2010-02-05'),
        ("2010-02-12", "9999-12-31", 'Date is "9999-12-31", expected a date like 2010-02-05'),
        ("2010-02-12", "", "Date is missing, expected a date like 2010-02-05"),
        ("1,2010-02-12", "NA,2010-02-12", "Store is missing, expected an id"),
        ("TRUE", "maybe", 'IsHoliday is "maybe", expected TRUE or FALSE'),
        ("TRUE", "", "IsHoliday is missing, expected TRUE or FALSE"),
        ("TRUE", "TRUE,", "has 5 fields (a trailing comma?), expected 4: Store, Date, Sales, IsHoliday"),
        (",TRUE", "", "has 3 fields, expected 4: Store, Date, Sales, IsHoliday"),
    ],
)
def test_the_first_wrong_value_is_shown_with_its_line(old: str, new: str, fault: str) -> None:
    assert message(PLAIN.replace(old, new).encode()) == f"train.csv line 3: {fault}"
    assert message(PLAIN.replace(old, new).replace("\n", "\r\n").encode("utf-16")) == f"train.csv line 3: {fault}"


def test_a_form_of_dates_is_named_by_an_example() -> None:
    kinds = columns(Date=ColumnType("date", "%d/%m/%Y"), Sales=ColumnType("number", ",", "."))
    assert message(PLAIN.encode(), kinds) == ('train.csv line 2: Date is "2010-02-05", expected a date like 05/02/2010')


def test_lines_count_blank_lines_and_line_breaks_in_quotes() -> None:
    data = b'\n\nStore,"a\nnote",Sales\n\n1,"x\n\ny",1\n\n2,z,2\n3,"w ""v""",abc\n'
    kinds = {"Store": ColumnType("id"), "Sales": ColumnType("number")}
    source = one(data)
    assert [line_of(source, data, row) for row in range(3)] == [6, 10, 11]
    assert message(data, kinds) == 'train.csv line 11: Sales is "abc", expected a number'
    assert message(data.replace(b"\n", b"\r"), kinds) == 'train.csv line 11: Sales is "abc", expected a number'


def test_wrong_rows_are_collected_and_the_others_read() -> None:
    data = (PLAIN + "3,2010-02-26,abc,maybe\n4,2010-02-26\n5,2010-03-05,1.5,TRUE\n").encode()
    table, faults = read_or_collect(one(data), data, COLUMNS)
    assert rows(table) == [*ROWS, [5, date(2010, 3, 5), 1.5, True]]
    assert table.schema.types == [pa.int64(), pa.date32(), pa.float64(), pa.bool_()]
    assert faults == [
        Fault(5, "Sales", "abc", "a number"),
        Fault(5, "IsHoliday", "maybe", "TRUE or FALSE"),
        Fault(6, "", "4,2010-02-26", "has 2 fields, expected 4: Store, Date, Sales, IsHoliday"),
    ]
    assert read_or_collect(one(PLAIN.encode()), PLAIN.encode(), COLUMNS)[1] == []


def test_columns_that_are_absent_or_there_twice_are_named() -> None:
    assert message(PLAIN.encode(), {"Dept": ColumnType("id")}) == (
        "train.csv lacks Dept; has Store, Date, Sales, IsHoliday"
    )
    data = PLAIN.replace("Date", "Store").encode()
    assert message(data, {"Store": ColumnType("id")}) == "train.csv names Store more than once; rename one of them"


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
    (b'{"Store": 1\n', "cannot be read as JSON lines: "),
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


def test_an_encrypted_member_is_refused() -> None:
    data = bytearray(zipped(a__csv=PLAIN.encode()))
    for header, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(header) + flag] |= 1
    assert message(bytes(data)) == "train.csv: a.csv is encrypted; land it without a password"


@pytest.mark.parametrize(
    ("values", "marks"),
    [
        (["1", "-20", "NA", ""], (".", "")),
        (["1.5", "2.25"], (".", "")),
        (["1.234"], (".", "")),
        (["2.572", "2.548"], (".", "")),
        (["1,5", "2"], (",", "")),
        (["1,234", "12"], (".", ",")),
        (["0,123"], (",", "")),
        (["1,234", "1,5"], (",", "")),
        (["1,234.50", "2.5"], (".", ",")),
        (["1.234,50", "2,5"], (",", ".")),
        (["1.234.567"], (",", ".")),
        (["1 234,5"], (",", " ")),
        (["1\u202f234,5"], (",", " ")),
        (["1 234.5"], (".", " ")),
        (["1'234.5"], (".", "'")),
        (["1\u2019234"], (".", "'")),
        (["$1,234.50", "-$5.00", "($3.25)"], (".", ",")),
        (["1.234,50 €", "CHF 3,00"], (",", ".")),
        (["1,00,000.50"], (".", ",")),
        (["1e12"], (".", "")),
        (["1", "abc"], None),
        (["2010-02-05"], None),
        (["05.02.2010"], None),
        (["NA", ""], None),
        ([], None),
    ],
)
def test_marks_of_numbers(values: list[str], marks: tuple[str, str] | None) -> None:
    assert number_marks(values) == marks


@pytest.mark.parametrize(
    ("values", "formats"),
    [
        (["2010-02-05", "2010-02-12", "NA"], [""]),
        (["2010-02-05 00:00:00"], [""]),
        (["2010-02-05T13:00:00.000Z", "2010-02-05T13:00:00+01:00"], [""]),
        (["2010/02/05"], ["%Y/%m/%d"]),
        (["05/02/2010", "12/02/2010"], ["%d/%m/%Y", "%m/%d/%Y"]),
        (["05/02/2010", "13/02/2010"], ["%d/%m/%Y"]),
        (["05/02/2010 00:00", "13/02/2010 00:00"], ["%d/%m/%Y"]),
        (["02/05/2010", "02/13/2010"], ["%m/%d/%Y"]),
        (["5-2-2010", "13-2-2010"], ["%d-%m-%Y"]),
        (["2-13-2010"], ["%m-%d-%Y"]),
        (["13.02.2010"], ["%d.%m.%Y"]),
        (["13.02.10"], ["%d.%m.%y"]),
        (["13/02/10"], ["%d/%m/%y"]),
        (["02/13/10 1:00 PM"], ["%m/%d/%y"]),
        (["20100213"], ["%Y%m%d"]),
        (["13-Feb-2010"], ["%d-%b-%Y"]),
        (["13/02/2010", "02/13/2010"], []),
        (["13/02/2010", "13-02-2010"], []),
        (["2010-02-30"], []),
        (["12345678"], []),
        (["24924.5"], []),
        (["NA"], []),
    ],
)
def test_forms_of_dates(values: list[str], formats: list[str]) -> None:
    assert date_formats(values) == formats
    for form in formats:
        data = "n,Date\n" + "".join(f"1,{value}\n" for value in values if value != "NA")
        assert len(read_one(data.encode(), {"Date": ColumnType("date", form)})) == len(set(values) - {"NA"})


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=("Cc",)) | st.just("\n"))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10**12), CELLS, st.dates(date(1900, 1, 1), date(2200, 1, 1))), min_size=1),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_was_written_is_read_back(
    written: list[tuple[int, str, date]], separator: str, end: str, encoding: str
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([("Store", "Note", "Date"), *written])
    data = text.getvalue().encode(encoding)
    kinds = {"Store": ColumnType("id"), "Note": ColumnType("text"), "Date": ColumnType("date")}
    missing = {"", "NA", "N/A", "NULL", "null", "NaN", "nan", "None", "#N/A", "-"}
    assert read_one(data, kinds) == [[store, None if note in missing else note, day] for store, note, day in written]
