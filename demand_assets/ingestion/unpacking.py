"""What is inside a landed file: gzip and zip are unpacked, and content tells what it is, not its name."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import Literal

from demand_assets.errors import SchemaError

Form = Literal["csv", "excel", "parquet", "json lines"]

_GZIP, _ZIP, _OLE, _PARQUET = b"\x1f\x8b", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PAR1"
_FOREIGN = {
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"PK\x05\x06": "an empty archive",
    _GZIP: "a gzip in another",
}
# A tar has its mark behind the name of its first member.
_TAR, _TAR_AT = b"ustar", 257
# In what is written as text, blanks and either case may stand before it.
_PAGES = {b"<!doctype": "a web page", b"<html": "a web page", b"<?xml": "XML"}
_TABLES = (".csv", ".tsv", ".dat", ".gz", ".xlsx", ".xlsm", ".xls", ".parquet", ".json", ".jsonl", ".ndjson")
# Real tables shrink 5 to 50 times; what unpacks to far more is made to fill a disk.
_RATIO, _HARMLESS_BYTES = 200, 64 * 2**20


def unpacked(name: str, data: bytes, part: str = "") -> Iterator[tuple[str, bytes]]:
    """(member, bytes) of each file in a landed file; the member is "" where it is no archive.

    `part`: only the member that has this part. SchemaError, one line, for what is encrypted, damaged, or unpacks to
    more than a table would.
    """
    data = _gunzip(name, data)
    if data[:4] != _ZIP or _is_workbook(name, data):
        yield "", data
        return
    with _archive(name, data) as archive:
        for info in archive.infolist():
            if _is_hidden(info) or (part and part != info.filename and not part.startswith(f"{info.filename}: ")):
                continue
            yield info.filename, _gunzip(f"{name}: {info.filename}", _member(name, archive, info))


def form_of(name: str, data: bytes) -> Form:
    """What unpacked bytes hold. SchemaError for what is no table: a PDF, a picture, JSON that is not in lines."""
    if data[:4] == _PARQUET:
        return "parquet"
    if data[:8] == _OLE or data[:4] == _ZIP:
        return "excel"
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    if foreign := _foreign(data, start):
        raise SchemaError(f"{name} is {foreign}; expected a table: save it as CSV (UTF-8), Excel or Parquet")
    if start[:1] == b"[" and start[1:].lstrip()[:1] == b"{":
        raise SchemaError(f"{name} is one JSON array; expected JSON lines: write one object a line")
    return "json lines" if start[:1] == b"{" else "csv"


def _foreign(data: bytes, start: bytes) -> str:
    """What bytes are that hold no table, by their marks; empty where none is known. `start`: less blanks before it."""
    if data[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR:
        return "a tar archive"
    of_bytes = next((what for magic, what in _FOREIGN.items() if data.startswith(magic)), "")
    return of_bytes or next((what for magic, what in _PAGES.items() if start[:16].lower().startswith(magic)), "")


def is_table_name(member: str) -> bool:
    """Whether a member of an archive is called like a table; others (licences, pictures) may lie beside it."""
    return member.lower().endswith(_TABLES)


def _limit(packed: int) -> int:
    return max(_HARMLESS_BYTES, _RATIO * packed)


def _gunzip(name: str, data: bytes) -> bytes:
    if data[:2] != _GZIP:
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as opened:
            plain = opened.read(_limit(len(data)) + 1)
    except EOFError:
        raise SchemaError(f"{name} is a truncated gzip: {len(data):,} bytes end in the middle; land it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise SchemaError(f"{name} is a corrupt gzip ({error}); land it again") from None
    if len(plain) > _limit(len(data)):
        raise _bomb(name, len(data))
    return plain


def _bomb(name: str, packed: int) -> SchemaError:
    return SchemaError(f"{name} unpacks to more than {_limit(packed):,} bytes from {packed:,}; land it unpacked")


def _archive(name: str, data: bytes) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except zipfile.BadZipFile as error:
        raise SchemaError(f"{name} is a damaged zip ({error}); land it again") from None


def _require_size(name: str, archive: zipfile.ZipFile, packed: int) -> None:
    """All members together, a workbook's too, whose reader unpacks them; none is read past the size that is stated."""
    if sum(member.file_size for member in archive.infolist()) > _limit(packed):
        raise _bomb(name, packed)


def _is_workbook(name: str, data: bytes) -> bool:
    with _archive(name, data) as archive:
        names = set(archive.namelist())
        _require_size(name, archive, len(data))
    return "[Content_Types].xml" in names and any(member.startswith("xl/") for member in names)


def _is_hidden(info: zipfile.ZipInfo) -> bool:
    parts = info.filename.split("/")
    return info.is_dir() or "__MACOSX" in parts or any(part.startswith(".") for part in parts)


def _member(name: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.flag_bits & 1:
        raise SchemaError(f"{name}: {info.filename} is encrypted; land it without a password")
    try:
        return archive.read(info)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise SchemaError(f"{name}: {info.filename} cannot be unpacked ({error}); land it again") from None
