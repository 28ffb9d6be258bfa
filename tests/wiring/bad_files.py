"""Files that no retailer's data can be read from, each as it has been landed somewhere, and what is said of them."""

import gzip
import io
import itertools
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

HEADER = "Store,Dept,Date,Weekly_Sales,IsHoliday"
ROWS = [
    f"{store},{dept},2011-09-{day:02},{1000 + store + dept}.5,FALSE"
    for store, dept, day in itertools.product((1, 2, 3), (1, 2, 3), (2, 9, 16, 23))
]


def table(rows: Sequence[str] = ROWS, header: str = HEADER) -> str:
    """A good file of sales, unless told otherwise."""
    return "\n".join([header, *rows]) + "\n"


def changed(row: int, column: str, value: str) -> str:
    """A file of sales with one other value."""
    cells = ROWS[row].split(",")
    cells[HEADER.split(",").index(column)] = value
    return table([*ROWS[:row], ",".join(cells), *ROWS[row + 1 :]])


def all_changed(column: str, change: Callable[[str], str]) -> str:
    """A file of sales with other values in a column."""
    place = HEADER.split(",").index(column)
    split = [row.split(",") for row in ROWS]
    return table([",".join([*row[:place], change(row[place]), *row[place + 1 :]]) for row in split])


def only(*columns: str) -> str:
    """A file of sales with these columns alone."""
    return pd.read_csv(io.StringIO(table()))[list(columns)].to_csv(index=False)


@dataclass(frozen=True)
class BadFile:
    """A file, and what the line holds that is said of it. `asks`: beside good files it is no fault but a question, or
    of no use."""

    name: str
    data: bytes
    says: str
    asks: bool = False


def _of(name: str, content: str | bytes, says: str, *, asks: bool = False) -> BadFile:
    return BadFile(name, content.encode() if isinstance(content, str) else content, says, asks)


def packed(**members: str | bytes) -> bytes:
    """A zip of these members; `__` in a name is a point."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return made.getvalue()


def encrypted() -> bytes:
    """A zip whose member says that it needs a password."""
    data = bytearray(packed(sales__csv=table()))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark) + place
        data[at : at + 2] = struct.pack("<H", 1)
    return bytes(data)


def damaged() -> bytes:
    """A zip with a byte of its member changed."""
    data = bytearray(packed(sales__csv=table(ROWS * 20)))
    data[60] ^= 0xFF
    return bytes(data)


def tarred() -> bytes:
    """A file of sales in a packed tar archive."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        info = tarfile.TarInfo("sales.csv")
        info.size = len(table())
        archive.addfile(info, io.BytesIO(table().encode()))
    return made.getvalue()


def excel(*rows: Sequence[object]) -> bytes:
    """A workbook with one sheet, S."""
    made = io.BytesIO()
    with pd.ExcelWriter(made, engine="xlsxwriter") as writer:
        pd.DataFrame(list(rows)).to_excel(writer, sheet_name="S", header=False, index=False)
    return made.getvalue()


def parquet(**columns: Sequence[object]) -> bytes:
    """A Parquet file of these columns."""
    made = io.BytesIO()
    pd.DataFrame(columns).to_parquet(made, index=False)
    return made.getvalue()


BIG = table(ROWS * 20)
PRICES: dict[str, Sequence[object]] = {"Shelf": [1, 1], "Price": [1.5, 2.5]}
SALE: dict[str, object] = {"Store": 1, "Dept": 1, "Date": "2011-09-02", "Weekly_Sales": 5.5}
NO_SALES = "No file was recognised as sales"
BINARY = "holds NUL bytes and is no text"

BAD_FILES: tuple[BadFile, ...] = (
    # Nothing, or no table.
    _of("empty.csv", "", "is empty"),
    _of("blank.csv", "\n\n \n", "is empty"),
    _of("only-header.csv", HEADER + "\n", "has a header and no rows"),
    _of("only-header-without-end.csv", HEADER, "has a header and no rows"),
    _of("no-header.csv", table(ROWS[1:], ROWS[0]), "has no header: its first line is 1,1,2011-09-02"),
    _of("nul.csv", table().replace("1002.5", "\0" * 6), BINARY),
    _of("nul-late.csv", table(ROWS * 400).encode() + bytes(2), "holds NUL bytes, the first at byte 403,239"),
    _of("zeros.csv", bytes(4096), BINARY),
    _of("noise.csv", np.random.default_rng(1).bytes(4096), BINARY),
    _of("page.csv", "<!DOCTYPE html><html><body>Sign in</body></html>", "is a web page"),
    _of("page-behind-blanks.csv", "\n  <!doctype html>\n<html><p>Sign in</p></html>\n", "is a web page"),
    _of("page-in-capitals.csv", "<HTML>\n<BODY>Sign in</BODY></HTML>", "is a web page"),
    _of("error.csv", '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "is XML"),
    _of("report.csv", b"%PDF-1.4\n%\xe2\xe3", "is a PDF"),
    _of("picture.csv", b"\x89PNG\r\n\x1a\n" + bytes(64), "is a picture"),
    _of("prose.csv", "Dear all,\nplease find the figures attached.\nBest\n", "has no header"),
    # Packed.
    _of("cut.csv.gz", gzip.compress(BIG.encode())[:200], "is a truncated gzip"),
    _of("corrupt.csv.gz", gzip.compress(BIG.encode())[:60] + bytes(60), "is a corrupt gzip"),
    _of("gzip-of-nothing.csv.gz", gzip.compress(b""), "is empty"),
    _of("twice.csv.gz", gzip.compress(gzip.compress(BIG.encode())), "is a gzip in another"),
    _of("bomb.csv.gz", gzip.compress(bytes(65 * 2**20)), "unpacks to more than 67,108,864 bytes"),
    _of("encrypted.zip", encrypted(), "sales.csv is encrypted"),
    _of("damaged.zip", damaged(), "sales.csv cannot be unpacked"),
    _of("cut.zip", packed(sales__csv=BIG)[:300], "is a damaged zip"),
    _of("empty.zip", packed(), "is an empty archive"),
    _of("no-table.zip", packed(readme__txt="hello", logo__png=b"\x89PNG"), "holds no table"),
    _of("zip-in-zip.zip", packed(inner__zip=packed(sales__csv=BIG)), "holds no table"),
    _of(
        "bad-member.zip",
        packed(sales__csv=changed(3, "Weekly_Sales", "many")),
        'sales.csv line 5: Weekly_Sales is "many"',
    ),
    _of("sales.tar.gz", tarred(), "is a tar archive"),
    _of("sales.csv.bz2", b"BZh91AY&SY" + bytes(40), "is a bzip2 archive"),
    # Text that is in no one form.
    _of("half-utf16.csv", table().encode("utf-16")[:-1], "is not utf-16-le at byte 2,094"),
    _of("utf16-and-8.csv", table().encode("utf-16") + ROWS[0].encode(), "is not utf-16-le at byte 2,122"),
    _of(
        "mixed.csv",
        table([*ROWS[:9], *(row.replace(",", ";") for row in ROWS[9:])]),
        "line 11: has 1 field, expected 5",
    ),
    _of("trailing-comma.csv", table([f"{row}," for row in ROWS]), "line 2: has 6 fields (a trailing comma?)"),
    _of("too-few.csv", table([*ROWS[:5], ROWS[5].rsplit(",", 1)[0], *ROWS[6:]]), "line 7: has 4 fields, expected 5"),
    _of("too-many.csv", table([*ROWS[:5], f"{ROWS[5]},FALSE", *ROWS[6:]]), "line 7: has 6 fields"),
    _of("decimal-commas.csv", all_changed("Weekly_Sales", lambda cell: cell.replace(".", ",")), "line 2: has 6 fields"),
    _of("open-quote.csv", table([*ROWS[:5], f'"{ROWS[5]}', *ROWS[6:]]), "line 7: has 1 field, expected 5"),
    _of("ten-megabytes.csv", changed(4, "Weekly_Sales", "9" * 10_000_000), "line 6: the row has 10,000,0"),
    _of("long-header.csv", table(header=f"{HEADER}{'y' * 300_000}"), "line 1: the header has 300,0"),
    _of("merge-conflict.csv", table([*ROWS[:5], "<<<<<<< HEAD", *ROWS[5:]]), "line 7: has 1 field, expected 5"),
    _of("two-tables.csv", table() + "\nStore,Type,Size\n1,A,100\n2,B,200\n", "line 39: has 3 fields, expected 5"),
    _of("total-below.csv", table([*ROWS, "Total,,,99999.5,"]), "line 38: Dept is missing"),
    _of("header-twice.csv", table() + table(), 'line 38: Date is "Date"'),
    # Columns.
    _of(
        "column-twice.csv",
        table([f"{row},7" for row in ROWS], f"{HEADER},Weekly_Sales"),
        "names Weekly_Sales more than once",
    ),
    _of("no-amounts.csv", only("Store", "Dept", "Date"), NO_SALES, asks=True),
    _of("no-dates.csv", only("Store", "Dept", "Weekly_Sales"), NO_SALES, asks=True),
    _of("other.parquet", parquet(**PRICES), NO_SALES, asks=True),
    _of("no-rows.parquet", parquet(Store=[], Dept=[], Date=[], Weekly_Sales=[]), "has no rows"),
    _of("cut.parquet", parquet(**PRICES)[:-20], "cannot be read as Parquet"),
    _of("no-date.parquet", parquet(**{name: [value] for name, value in SALE.items()} | {"Date": ["none"]}), "Date"),
    # Excel and JSON.
    _of("broken.xlsx", packed(**{"[Content_Types]__xml": "<a/>", "xl/workbook__xml": "<b"}), "cannot be read as Excel"),
    _of("protected.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2048), "cannot be read as Excel"),
    _of("empty.xlsx", excel(), "holds no table"),
    _of(
        "cell.xlsx",
        excel(list(SALE), list(SALE.values()), [1, 1, "2011-09-09", "x"]),
        'sheet "S" row 3: Weekly_Sales is "x"',
    ),
    _of("array.json", json.dumps([SALE]), "is one JSON array"),
    _of("cut.jsonl", json.dumps(SALE) + '\n{"Store": 1, "De', "line 2: expected a whole JSON object"),
    _of(
        "kinds.jsonl",
        "\n".join(json.dumps(SALE | more) for more in ({}, {"Weekly_Sales": "x"})),
        'line 2: Weekly_Sales is "x"',
    ),
    # Values.
    _of("no-number.csv", changed(3, "Weekly_Sales", "many"), 'line 5: Weekly_Sales is "many", expected a number'),
    _of("no-date.csv", changed(3, "Date", "someday"), 'line 5: Date is "someday", expected a date like'),
    _of("no-such-day.csv", changed(3, "Date", "2011-02-30"), 'line 5: Date is "2011-02-30"'),
    _of("no-flag.csv", changed(3, "IsHoliday", "perhaps"), 'line 5: IsHoliday is "perhaps", expected TRUE or FALSE'),
    _of("no-store.csv", changed(3, "Store", ""), "line 5: Store is missing"),
    _of("negative-store.csv", changed(3, "Store", "-1"), "line 5: store_id is below 0 in 1 row"),
    _of("control-character.csv", changed(3, "Store", "1\x07"), "line 5: Store is"),
    _of("long-store.csv", changed(3, "Store", "9" * 300), "line 5: Store is"),
    _of("thursdays.csv", all_changed("Date", lambda day: f"{day[:-2]}{int(day[-2:]) - 1:02}"), "Thursday"),
    _of(
        "future.csv",
        all_changed("Date", lambda day: day.replace("2011", "2099")),
        "first, line 2: week 2099-09-02 has yet to begin",
    ),
    _of("infinite.csv", all_changed("Weekly_Sales", lambda _: "inf"), 'line 2: Weekly_Sales is "inf"'),
    _of("missing.csv", all_changed("Weekly_Sales", lambda _: "NA"), "first, line 2: sales is missing"),
    _of("contradiction.csv", table([*ROWS, ROWS[3].replace("1002.5", "7.5")]), "lines 5 and 38: 2 rows contradict"),
)
