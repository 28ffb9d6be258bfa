from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demand_assets.errors import SchemaError
from demand_assets.ingestion import dialect
from demand_assets.ingestion.delivery import LandedFile
from demand_assets.ingestion.reading import Fault, lines_of, read, read_or_collect, sources
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
    assert lines_of(source, data, [2, 0, 1]) == [11, 6, 10]
    assert message(data, kinds) == 'train.csv line 11: Sales is "abc", expected a number'
    assert message(data.replace(b"\n", b"\r"), kinds) == 'train.csv line 11: Sales is "abc", expected a number'


@pytest.mark.parametrize("mark", ["", '"'])
def test_a_row_of_ten_megabytes_is_named_with_its_line(mark: str) -> None:
    note = f"{mark}{'x' * 10_000_000}{mark}"
    text = PLAIN.replace("FALSE", "FALSE,a").replace("TRUE", f"TRUE,{note}").replace("IsHoliday", "IsHoliday,Note")
    assert message(text.encode()) == (
        "train.csv line 3: the row has 10,000,029 characters, expected up to 1,048,576; "
        "close its quotes or shorten it, and land the file again"
    )


def test_a_quote_that_is_never_closed_is_named_with_its_line() -> None:
    text = PLAIN.replace("24924.5", '"24924.5') + PLAIN.split("\n", 1)[1] * 40_000
    assert message(text.encode()).startswith("train.csv line 2: the row has 3,")


def test_a_header_of_ten_megabytes_is_named_with_its_line() -> None:
    assert message(PLAIN.replace("IsHoliday", "h" * 10_000_000).encode()).startswith(
        "train.csv line 1: the header has 10,000,017 bytes, expected up to 262,144; "
    )


def test_a_long_field_before_a_wrong_value_hides_no_line() -> None:
    text = PLAIN.replace("IsHoliday", "IsHoliday,Note").replace("FALSE", f'FALSE,"{"x" * 200_000}"', 1)
    text = text.replace("TRUE", "TRUE,a").replace("NA,FALSE", "NA,FALSE,a").replace("-46039.49", "many")
    assert message(text.encode()) == 'train.csv line 3: Sales is "many", expected a number'


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


def test_what_is_plainly_written_is_told_without_the_sniffer(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = b"Store,Date,Sales\n1,2012-01-06,5.5\n2,2012-01-06,7\n"
    sniffed = dialect.dialect_of("sales.csv", plain)
    monkeypatch.setattr(dialect, "_sniff", lambda head, padded=False: pytest.fail("sniffed"))
    assert dialect.dialect_of("sales.csv", plain) == sniffed == Dialect("csv", "utf-8", ",")


@pytest.mark.parametrize(
    "text",
    [
        b"Store;Sales\n1;5,5\n",
        b'Store,Sales\n"1",5\n',
        b"Report,\nStore,Sales\n1,5\n",
        b"Store,Type\nA,B\n",
        b"1,5\n2,6\n",
        b"Store,nan\n1,5\n",
        b"Store,Sales\n1,5\n2\n",
        b"Store\n1\n",
    ],
)
def test_what_may_be_written_otherwise_is_left_to_the_sniffer(text: bytes) -> None:
    assert not dialect._is_plain(text)
