"""How a CSV is written: encoding, separator, quote, header. Found in its bytes."""

from __future__ import annotations

import codecs
import csv
import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.csv as pa_csv

from demand_assets.errors import SchemaError
from demand_assets.ingestion.source import Dialect

_BOM = b"\xef\xbb\xbf"
# What is looked at to find a dialect and an encoding.
_HEAD = 1 << 18
_SEPARATORS = (",", ";", "\t", "|")
# ASCII, signs and quotation marks, and the letters of Western European languages, of which the Icelandic eth is none.
_WESTERN = re.compile(
    "[\\x00-\\x7f\\xa0-\\xcf\\xd1-\\xd6\\xd8-\\xdc\\xdf-\\xef\\xf1-\\xf6\\xf8-\\xfc\\xff\\u0152\\u0153\\u20ac\\u2013-\\u2026]*"
)
# What programs export in; charset-normalizer also takes a few accented letters for code pages of old terminals.
_CODE_PAGES = [
    "cp1252",
    "cp1250",
    "cp1251",
    "cp1253",
    "cp1254",
    "cp1257",
    "koi8_r",
    "cp932",
    "gb18030",
    "big5",
    "cp949",
]
# Of these DuckDB knows more: other separators, quotes, escapes, blank lines.
_UNUSUAL = (b";", b"\t", b"|", b'"', b"'", b"\\", b"\n\n")
# What begins a name, and is no number: nan and inf are some.
_WORD = re.compile(r"(?!(?:nan|inf|infinity)$)[^\W\d]", re.IGNORECASE)
_LATIN = ("cp1252", "cp1250", "cp1254", "cp1257")


@dataclass(frozen=True, eq=False)
class CsvText:
    """A CSV as UTF-8. `names`: stripped headers. Rows begin at byte `body`, in line `first_line`."""

    name: str
    text: bytes
    names: list[str]
    body: int
    first_line: int
    separator: str
    quote: str

    @property
    def end(self) -> int:
        """Where the text ends, less the line ends behind it."""
        stop = len(self.text)
        while stop > self.body and self.text[stop - 1] == 10:
            stop -= 1
        return stop


def open_csv(name: str, data: bytes, dialect: Dialect) -> CsvText:
    """A CSV of a known dialect. SchemaError when its header cannot be read."""
    text = _normal(name, data, dialect.encoding)
    start, line = len(_BOM) if text.startswith(_BOM) else 0, 1
    for _ in range(dialect.skipped):
        start, line = text.find(b"\n", start) + 1, line + 1
    stop = _record_end(text, start, dialect.quote)
    if stop - start > _HEAD:
        raise SchemaError(
            f"{name} line {line}: the header has {stop - start:,} bytes, expected up to {_HEAD:,}; "
            "close its quotes or shorten it, and land the file again"
        )
    header = text[start:stop].decode("utf-8", "replace")
    # Of one field, which the standard library bounds, the header may consist.
    csv.field_size_limit(max(csv.field_size_limit(), _HEAD))
    names = [column.strip() for column in next(_reader(header, dialect), [])]
    first_line = line + header.count("\n") + 1
    return CsvText(name, text, names, min(stop + 1, len(text)), first_line, dialect.separator, dialect.quote)


def dialect_of(name: str, data: bytes) -> Dialect:
    """How a CSV is written. SchemaError for an empty file, binary content, or a table without a header."""
    encoding = _encoding(name, data)
    text = _normal(name, data, encoding)
    text = text.removeprefix(_BOM)
    if not text[:_HEAD].strip() and not text.strip():
        raise SchemaError(f"{name} is empty; expected a header and rows below it")
    # DuckDB counts no blank lines before a header when it pads rows, and all of them otherwise.
    blank = len(text) - len(text.lstrip(b"\n"))
    head = _whole_lines(text[blank : blank + _HEAD], len(text) <= blank + _HEAD)
    separator, quote, skipped, has_header = _with_header(head, *_sniffed(head))
    if not has_header:
        first = head.split(b"\n", 1)[0].decode("utf-8", "replace")
        raise SchemaError(f"{name} has no header: its first line is {short(first)}; add a line that names the columns")
    return Dialect("csv", encoding, separator, quote if quote.encode() in text else "", blank + skipped)


def line_feeds(text: bytes) -> bytes:
    """A text with LF line ends."""
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in text else text


def short(text: str, limit: int = 160) -> str:
    """A text as a message shows it."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _own_mark(head: bytes, sniffed: str) -> str:
    """The separator of the first two lines where they lack the one that was sniffed: the rows below are mixed."""
    first, _, rest = head.partition(b"\n")
    second = rest.partition(b"\n")[0]
    if sniffed.encode() in first + second:
        return sniffed
    own = [mark for mark in _SEPARATORS if first.count(mark.encode()) == second.count(mark.encode()) > 0]
    return own[0] if own else sniffed


def _with_header(head: bytes, separator: str, quote: str, skipped: int, has_header: bool) -> tuple[str, str, int, bool]:
    """The same, with a line of words above one that is none for the header: DuckDB skips it if its fields are fewer."""
    lines = [line.decode("utf-8", "replace").split(separator) for line in head.split(b"\n", skipped + 2)[: skipped + 2]]
    named = [len(fields) > 1 and all(_WORD.match(name.strip(" \"'")) for name in fields) for fields in lines]
    if (has_header and named[skipped]) or not any(named):
        return separator, quote, skipped, has_header
    place = named.index(True)
    # A title above the table has fewer fields.
    is_header = not any(named[place + 1 :]) and len(lines[place]) >= len(lines[-1]) - 1
    return (separator, quote, place, True) if is_header else (separator, quote, skipped, has_header)


def _reader(text: str, dialect: Dialect) -> csv._reader:  # type: ignore[name-defined]
    if not dialect.quote:
        return csv.reader([text], delimiter=dialect.separator, quoting=csv.QUOTE_NONE)
    return csv.reader(text.splitlines(keepends=True), delimiter=dialect.separator, quotechar=dialect.quote)


def _sniffed(head: bytes) -> tuple[str, str, int, bool]:
    """Separator, quote, lines before the header, whether there is one."""
    if _is_plain(head):
        return ",", '"', 0, True
    found = _sniff(head)
    if found[0] not in _SEPARATORS or found[0].encode() not in head:
        # One ragged row among few makes DuckDB see a single column; padded, it sees through it.
        found = _sniff(head, padded=True)
    found = (_own_mark(head, found[0]), *found[1:])
    if found[0].encode() not in head:
        # A single column: any separator does that is not in it.
        found = (next((mark for mark in _SEPARATORS if mark.encode() not in head), "\x1f"), *found[1:])
    return found


def _is_plain(head: bytes) -> bool:
    """Whether a text can only be rows of fields with commas between them, below a line of names.

    Most are. Each line has as many fields as the first, which are words; a column below them holds numbers alone.
    """
    if any(mark in head for mark in _UNUSUAL):
        return False
    try:
        rows = pa_csv.read_csv(
            pa.BufferReader(head),
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=len(head) + 1),
            parse_options=pa_csv.ParseOptions(quote_char=False),
            convert_options=pa_csv.ConvertOptions(null_values=[]),
        )
    except pa.ArrowInvalid:
        return False
    numbers = [pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in rows.schema.types]
    return rows.num_columns > 1 and any(numbers) and all(map(_WORD.match, rows.column_names))


def _sniff(head: bytes, *, padded: bool = False) -> tuple[str, str, int, bool]:
    import duckdb  # heavy, and only CSVs need it

    with TemporaryDirectory() as folder:
        path = Path(folder) / "sample.csv"
        path.write_bytes(head)
        # Neither a comment nor an escape other than the doubled quote is something that pyarrow would read.
        query = "SELECT Delimiter, Quote, SkipRows, HasHeader FROM sniff_csv(?, comment='', null_padding=?)"
        with duckdb.connect(config={"threads": 1}) as connection:
            try:
                separator, quote, skipped, has_header = connection.execute(query, [str(path), padded]).fetchall()[0]
            except duckdb.Error:
                return "", '"', 0, True
    return separator, "'" if quote == "'" else '"', skipped, has_header


def _whole_lines(head: bytes, is_all: bool) -> bytes:
    return head if is_all or b"\n" not in head else head[: head.rfind(b"\n") + 1]


def _record_end(text: bytes, start: int, quote: str) -> int:
    """The line end after the record at `start`, passing over those inside quotes."""
    stop = text.find(b"\n", start)
    while quote and stop >= 0 and text.count(quote.encode(), start, stop) % 2:
        stop = text.find(b"\n", stop + 1)
    return stop if stop >= 0 else len(text)


def _normal(name: str, data: bytes, encoding: str) -> bytes:
    """A text as UTF-8, with LF line ends if its start has others."""
    if encoding != "utf-8":
        try:
            # Programs put the mark of UTF-8 before other encodings too.
            data = data.removeprefix(_BOM).decode(encoding).removeprefix("\ufeff").encode()
        except UnicodeDecodeError as error:
            raise SchemaError(
                f"{name} is not {encoding} at byte {error.start:,}, as its start is; save it as CSV (UTF-8)"
            ) from None
    # Arrow reads CRLF and bare CR too; a file that begins without them is not searched for them to its end.
    return line_feeds(data) if b"\r" in data[:_HEAD] else data


def _encoding(name: str, data: bytes) -> str:
    head = data[:_HEAD]
    for bom, encoding in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if head.startswith(bom):
            return encoding
    if b"\0" in head:
        return _utf16(name, head)
    if b"\0" in data:
        raise SchemaError(f"{name} holds NUL bytes, the first at byte {data.find(0):,}; save it as CSV (UTF-8)")
    if _is_utf8(data):
        return "utf-8"
    if len(re.findall(rb"[\x01-\x08\x0e-\x1f]", head)) > len(head) // 100:
        raise SchemaError(f"{name} is no table but binary data; expected CSV, Excel, Parquet or JSON lines")
    return _code_page(data)


def _utf16(name: str, head: bytes) -> str:
    """UTF-16 without a byte order mark: every other byte of Western text is NUL."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    for encoding, high, low in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if high > len(head) // 4 and not low:
            return encoding
    raise SchemaError(f"{name} holds NUL bytes and is no text; expected CSV, Excel, Parquet or JSON lines")


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), 1 << 24):
            decoder.decode(data[start : start + (1 << 24)])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _code_page(data: bytes) -> str:
    """The code page of a text that is not UTF-8, from lines with letters beyond ASCII."""
    from charset_normalizer import from_bytes  # only few files need it

    lines = []
    for line in re.finditer(rb"[^\r\n]*[\x80-\xff][^\r\n]*", data):
        lines.append(line[0][:2000])
        if len(lines) == 500:
            break
    sample = b"\n".join(lines)
    best = from_bytes(sample, cp_isolation=_CODE_PAGES).best()
    western = sample.decode("cp1252", "replace")
    # A handful of accents fits several code pages; where the Western one gives Western letters only, it is meant.
    if best is None or (best.encoding in _LATIN and _WESTERN.fullmatch(western)):
        return "cp1252" if _decodes(data, "cp1252") else "latin-1"
    return best.encoding


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
