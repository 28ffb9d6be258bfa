from __future__ import annotations

import pandas as pd
import pytest

from demand_assets.errors import SchemaError
from demand_assets.ingestion.formats import Format
from demand_assets.ingestion.parsing import format_of, read_columns, sorted_frame

SALES = (
    b"Store,Dept,Date,Weekly_Sales,IsHoliday\n"
    b"2,1,2010-02-05,-3.5,FALSE\n"
    b"1,1,2010-02-12,20,TRUE\n"
    b"1,1,2010-02-05,24924.5,FALSE\n"
)
STORES = b"Store,Type,Size\n1,A,151315\n2,B,202307\n"
EXPECTED_SALES = pd.DataFrame(
    {
        "store_id": pd.array([1, 2, 1], dtype="int32").to_numpy(),
        "dept_id": pd.array([1, 1, 1], dtype="int32").to_numpy(),
        "week": pd.to_datetime(["2010-02-05", "2010-02-05", "2010-02-12"]),
        "sales": [24924.5, -3.5, 20.0],
        "is_holiday": [False, False, True],
    }
)


def parse_csv(name: str, data: bytes) -> tuple[Format, pd.DataFrame]:
    format_, columns = read_columns(name, data)
    return format_, sorted_frame(format_, columns)


def message(data: bytes, name: str = "train.csv") -> str:
    with pytest.raises(SchemaError) as raised:
        parse_csv(name, data)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    "data",
    [
        SALES,
        b"\xef\xbb\xbf" + SALES,
        SALES.replace(b"\n", b"\r\n"),
        SALES.replace(b"\n", b"\r"),
        b"\n" + SALES.replace(b"\n", b"\n\n"),
        SALES.removesuffix(b"\n"),
        SALES.replace(b"Store,Dept", b'"Store", Dept').replace(b"24924.5", b'"24924.5"'),
        SALES.replace(b"FALSE", b"false").replace(b"TRUE", b"True"),
    ],
    ids=["plain", "bom", "crlf", "bare cr", "blank lines", "no last newline", "quotes", "other booleans"],
)
def test_every_way_of_writing_the_same_rows_gives_the_same_sorted_frame(data: bytes) -> None:
    format_, frame = parse_csv("train.csv", data)
    assert format_.kind == "sales"
    pd.testing.assert_frame_equal(frame, EXPECTED_SALES)


def test_columns_may_come_in_any_order() -> None:
    rows = [row.split(b",") for row in SALES.splitlines()]
    data = b"\n".join(b",".join(reversed(row)) for row in rows)
    pd.testing.assert_frame_equal(parse_csv("x.csv", data)[1], EXPECTED_SALES)


def test_na_and_empty_conditions_are_missing() -> None:
    data = (
        b"Store,Date,Temperature,Fuel_Price,MarkDown1,MarkDown2,MarkDown3,MarkDown4,MarkDown5,CPI,Unemployment,IsHoliday\n"
        b"1,2010-02-05,42.31,2.572,NA,,1,-2,NA,211.1,8.1,FALSE\n"
    )
    format_, frame = parse_csv("features.csv", data)
    assert format_.kind == "conditions"
    assert frame.iloc[0, 4:9].isna().tolist() == [True, True, False, False, True]
    assert set(frame.dtypes.iloc[2:11].astype(str)) == {"float64"}


def test_stores_keep_their_type_and_size() -> None:
    _, frame = parse_csv("stores.csv", STORES)
    assert frame.dtypes.astype(str).tolist() == ["int32", "object", "int64"]
    assert frame.to_numpy().tolist() == [[1, "A", 151315], [2, "B", 202307]]


@pytest.mark.parametrize("nothing", [b"", b"NA"])
def test_a_store_without_a_type_is_refused(nothing: bytes) -> None:
    data = STORES.replace(b"A,", nothing + b",").replace(b"B,", nothing + b",")
    assert message(data, "stores.csv") == "stores.csv line 2: Type is missing, expected text"


def test_a_missing_column_is_named_beside_those_there() -> None:
    assert (
        message(b"Store,Dept,Date\n1,1,2010-02-05\n")
        == "train.csv lacks Weekly_Sales, IsHoliday; has Store, Dept, Date"
    )


def test_the_smallest_format_that_fits_a_header_as_well_as_others_is_the_one_meant() -> None:
    assert message(b"Store\n1\n") == "train.csv lacks Type, Size; has Store"
    assert message(b"Date,Store\n1\n") == "train.csv lacks Dept, Weekly_Sales, IsHoliday; has Date, Store"


def test_an_unknown_column_is_refused_rather_than_dropped() -> None:
    data = SALES.replace(b"\n", b",x\n").replace(b"IsHoliday,x", b"IsHoliday,Promo")
    only = "expected only Store, Dept, Date, Weekly_Sales, IsHoliday"
    assert message(data) == f"train.csv has unknown columns: Promo; {only}"
    assert message(SALES.replace(b"\n", b",,x\n")) == f"train.csv has unknown columns: (no name), x; {only}"


def test_a_header_of_no_format_lists_the_three() -> None:
    expected = (
        "sales (Store, Dept, Date, Weekly_Sales, IsHoliday) or conditions (Store, Date, Temperature, Fuel_Price, "
        "MarkDown1, MarkDown2, MarkDown3, MarkDown4, MarkDown5, CPI, Unemployment, IsHoliday) "
        "or stores (Store, Type, Size)"
    )
    assert message(b"a;b,,c\n1;2\n") == f"train.csv has a;b, (no name), c; expected {expected}"
    # 160 characters of a header are shown.
    assert message(b"x" * 160 + b"\n") == f"train.csv has {'x' * 160}; expected {expected}"
    assert message(b"x" * 161 + b"\n") == f"train.csv has {'x' * 157}...; expected {expected}"


def test_a_column_named_twice_is_refused() -> None:
    assert message(SALES.replace(b"Date,", b"Store,Date,Dept,")) == (
        "train.csv names Dept, Store more than once; expected Store, Dept, Date, Weekly_Sales, IsHoliday"
    )


def test_text_in_a_number_is_shown_with_its_line() -> None:
    assert (
        message(SALES.replace(b"20,TRUE", b"abc,TRUE")) == 'train.csv line 3: Weekly_Sales is "abc", expected a number'
    )


def test_line_numbers_count_blank_lines_and_bare_crs() -> None:
    data = (b"\r\r" + SALES.replace(b"\n", b"\r\r")).replace(b"20,TRUE", b"abc,TRUE")
    assert message(data).startswith("train.csv line 7:")


def test_the_first_40_characters_of_a_wrong_field_are_shown() -> None:
    for shown, field in (("x" * 40, b"x" * 40), ("x" * 37 + "...", b"x" * 41)):
        assert message(SALES.replace(b"20,TRUE", field + b",TRUE")) == (
            f'train.csv line 3: Weekly_Sales is "{shown}", expected a number'
        )


def test_line_numbers_count_a_crlf_once() -> None:
    data = SALES.replace(b"20,TRUE", b"abc,TRUE").replace(b"\n", b"\r\n")
    assert message(data) == 'train.csv line 3: Weekly_Sales is "abc", expected a number'


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (b"2010-02-12", b"12/02/2010", 'Date is "12/02/2010", expected a date like 2010-02-05'),
        (b"2010-02-12", b"2010-02-30", 'Date is "2010-02-30", expected a date like 2010-02-05'),
        (b"2010-02-12", b"9999-12-31", 'Date is "9999-12-31", expected a date like 2010-02-05'),
        (b"2010-02-12", b"", "Date is missing, expected a date like 2010-02-05"),
        (b"1,1,2010-02-12", b"1.5,1,2010-02-12", 'Store is "1.5", expected a whole number'),
        (b"1,1,2010-02-12", b"NA,1,2010-02-12", "Store is missing, expected a whole number"),
        (b"1,1,2010-02-12", b"99999999999,1,2010-02-12", 'Store is "99999999999", expected a whole number'),
        (b"TRUE", b"maybe", 'IsHoliday is "maybe", expected TRUE or FALSE'),
    ],
)
def test_a_field_that_does_not_fit_is_shown_with_its_line(old: bytes, new: bytes, fault: str) -> None:
    assert message(SALES.replace(old, new)) == f"train.csv line 3: {fault}"


def test_dates_reach_from_1678_to_2261() -> None:
    first, last = b"1678-01-01", b"2261-12-31"
    _, frame = parse_csv("train.csv", SALES.replace(b"2010-02-12", first).replace(b"2010-02-05", last))
    assert frame["week"].dt.strftime("%Y-%m-%d").tolist() == ["1678-01-01", "2261-12-31", "2261-12-31"]
    for outside in ("1677-12-31", "2262-01-01"):
        data = SALES.replace(b"2010-02-12", outside.encode()).replace(b"1,1,2010-02-05", b"1,1,1500-01-01")
        fault = f'train.csv line 3: Date is "{outside}", expected a date like 2010-02-05'
        assert message(data) == fault


def test_a_trailing_comma_does_not_shift_columns() -> None:
    fields = "expected 5: Store, Dept, Date, Weekly_Sales, IsHoliday"
    assert (
        message(SALES.replace(b"TRUE\n", b"TRUE,\n")) == f"train.csv line 3: has 6 fields (a trailing comma?), {fields}"
    )
    assert (
        message(SALES.replace(b"1,1,2010-02-12,20", b"1,1,2010-02-12")) == f"train.csv line 3: has 4 fields, {fields}"
    )


def test_a_fault_late_in_a_large_file_is_found_at_its_line() -> None:
    rows = [b"1,%d,2010-02-05,1.5,FALSE" % dept for dept in range(100_000)]
    rows[87_654] = b"1,87654,2010-02-05,x,FALSE"
    data = b"\n".join([b"Store,Dept,Date,Weekly_Sales,IsHoliday", *rows])
    assert message(data) == 'train.csv line 87656: Weekly_Sales is "x", expected a number'


def test_a_line_break_inside_quotes_in_a_large_file_is_told() -> None:
    # Arrow cuts a file between lines into blocks of 1 MiB, which here are all inside of one field.
    data = b'Store,Type,Size\n1,"' + b"A\n" * 600_000 + b'",3\n'
    assert message(data, "stores.csv") == (
        "stores.csv cannot be read as CSV: it parses in one thread and not in several; are there line breaks inside "
        "quotes?; expected comma-separated UTF-8 text"
    )


def test_a_header_longer_than_what_is_looked_at_first_is_read_whole() -> None:
    # Spaces around a name are no part of it.
    spaces = b" " * 100_000
    for data in (spaces + SALES, spaces + SALES.replace(b"Dept,", b"Dept" + spaces + b",", 1)):
        pd.testing.assert_frame_equal(parse_csv("train.csv", data)[1], EXPECTED_SALES)


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", b"  \r\n"])
def test_an_empty_file_says_what_was_expected(data: bytes) -> None:
    assert message(data) == "train.csv is empty; expected a header Store, Dept, Date, Weekly_Sales, IsHoliday"
    assert message(data, "Stores.csv.gz") == "Stores.csv.gz is empty; expected a header Store, Type, Size"
    assert message(data, "may.csv") == "may.csv is empty; expected a header Store, Dept, Date, Weekly_Sales, IsHoliday"


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n"])
def test_a_header_without_rows_is_refused(end: bytes) -> None:
    assert message(b"Store,Type,Size" + end) == (
        "train.csv has a header and no rows; expected at least one row of Store, Type, Size"
    )


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"PK\x03\x04\xff\xfe", "cannot be read"),
        (SALES.decode().encode("utf-16"), "cannot be read"),
        (b'Store,"Type" x\n1,2\n', "cannot be read"),
        (b"S\0t\0o\0r\0e\0\n1\n", "holds NUL bytes"),
    ],
)
def test_what_is_no_text_is_called_so(data: bytes, fault: str) -> None:
    assert message(data) == f"train.csv is not a UTF-8 CSV: its first line {fault}; save it as CSV (UTF-8)"


def test_bytes_that_are_not_utf8_below_the_header_are_an_error_and_not_a_crash() -> None:
    assert message(STORES.replace(b"B", b"\xe9"), "stores.csv").startswith("stores.csv ")


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"Store,Type,Size\n", "stores"),
        (b"\xef\xbb\xbf\n\nStore,Type,Size\n1,", "stores"),
        (b"\r\nStore,Type,Size\r\n", "stores"),
        (b"Store,Type,Size\r1,A", "stores"),
        (b"Store,Type,Size", None),
        (b"\n\nStore,Type,Size", None),
        (SALES[:60], "sales"),
    ],
)
def test_the_format_is_told_by_a_header_that_ends(start: bytes, kind: str | None) -> None:
    format_ = format_of("x.csv", start)
    assert (format_ and format_.kind) == kind


def test_a_header_that_fits_no_format_is_refused_from_its_first_bytes() -> None:
    with pytest.raises(SchemaError, match=r"^odd\.csv lacks Size; has Store, Type$"):
        format_of("odd.csv", b"Store,Type\n1,A\n")
