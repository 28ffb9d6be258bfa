"""The landing zone: a folder or S3 prefix of any files; they are listed, understood, read, and never changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from demand_assets.adapters.files import S3_CONFIG
from demand_assets.adapters.landed import Contents, held
from demand_assets.errors import LandingError, SchemaError
from demand_assets.ingestion.dataspec import NAME
from demand_assets.ingestion.delivery import Delivery, LandedFile
from demand_assets.ingestion.understanding import Kind, Plan, Understanding

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from demand_assets.ingestion.dataspec import Accept
    from demand_assets.ingestion.mapping import Part
    from demand_assets.ingestion.screening import Refusal, Screening
    from demand_assets.ingestion.source import Source

# Beside the largest file, bytes of files that are read once instead of twice.
_SMALL_BYTES = 32 * 2**20


class LandingZone:
    """A local folder (`/data/in`, `file:///data/in`) or `s3://bucket/prefix` holding files of any form.

    Subfolders are not read. Credentials, region and AWS_ENDPOINT_URL are found as any AWS client finds them. Every
    method raises LandingError, one line, when the place cannot be read.
    """

    def __init__(self, uri: str, screening: Screening | None = None) -> None:
        self.uri = uri
        self._screening = screening
        scheme = urlsplit(uri).scheme if "://" in uri else ""
        if scheme not in ("", "file", "s3"):
            raise LandingError(f"landing zone {uri} is a {scheme}:// address; expected a folder or s3://bucket/prefix")
        self._is_s3 = scheme == "s3"
        self._folder = Path(unquote(urlsplit(uri).path) if scheme == "file" else uri).expanduser()

    @property
    def accepted(self) -> tuple[Accept, ...]:
        """The findings that were accepted beside those in `demand.toml`."""
        return self._screening.accepted if self._screening else ()

    def files(self) -> list[LandedFile]:
        """The files in the zone in landing order: by modification time, then name. LandingError if there are none.

        Hidden files and `demand.toml` are passed over. Reads no file.
        """
        return self._landed()[0]

    def contents(self) -> Contents:
        """What the files are and hold, read once in this process as long as none of them changes."""
        from demand_assets.ingestion.screening import Screening  # heavy; listing a zone does not need it

        files, stated = self._landed()
        screening = self._screening or Screening(datetime.now(UTC).date())
        stamp = stated.fingerprint if stated else ""
        key = (self.uri, repr(screening), stamp, *(file.fingerprint for file in files))
        return held(key, lambda: self._read(files, stated, screening))

    def understanding(self) -> Understanding:
        """What has been understood of the files, with what is open."""
        return self.contents().understanding

    def read_all(self, kinds: Collection[Kind] | None = None) -> list[Delivery]:
        """Every delivery of these kinds (default: all): sales, covariates, stores, departments, in landing order each.

        SchemaError with every refused file and open question if there is one, or if no sales are left.
        """
        contents = self.contents()
        contents.require_answers()
        return [one for one in contents.deliveries if kinds is None or one.kind in kinds]

    def located(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows of deliveries of sales (`file`, `week`, ids as text) with `line`, the first that each was made of.

        Their files are read once more. Of a delivery that several files made, `file` is the one with that line.
        """
        import pandas as pd  # heavy; listing a zone does not need it

        from demand_assets.ingestion.locating import first_lines
        from demand_assets.ingestion.weekly import file_names

        rows, contents = rows.reset_index(drop=True), self.contents()
        if rows.empty:
            return rows.assign(line=0)
        weekday, found = contents.dataset.week_ends, []
        sales = [(source, plan) for source, plan in contents.understanding.plans if plan.kind == "sales"]
        for name, own in rows.groupby("file", sort=False):
            files = [one for one in sales if one[0].file.name in file_names(str(name))]
            parts = [_part(source, plan, self._bytes(source.file)) for source, plan in files]
            found.append(first_lines(parts, own, weekday, self._lines_of))
        return rows.drop(columns="file").join(pd.concat(found)).astype({"line": "int64"})

    def loaded(self) -> Iterator[tuple[LandedFile, bytes]]:
        """Each file with its bytes, `demand.toml` first; files that are passed over by their names are not read."""
        yield from self._loaded(*self._landed())

    def _loaded(self, files: Sequence[LandedFile], stated: LandedFile | None) -> Iterator[tuple[LandedFile, bytes]]:
        from demand_assets.ingestion.inspection import is_read, spec_of

        text = self._bytes(stated) if stated else b""
        if stated:
            yield stated, text
        given = spec_of(text)
        yield from ((file, self._bytes(file)) for file in files if is_read(file.name, given))

    def _landed(self) -> tuple[list[LandedFile], LandedFile | None]:
        """The files in landing order, and `demand.toml`."""
        entries = self._entries()
        found = [entry for entry in entries if entry.name != NAME]
        if not found:
            raise LandingError(f"landing zone {self.uri} is empty; expected files with sales")
        stated = next((entry for entry in entries if entry.name == NAME), None)
        return sorted(found, key=lambda file: (file.modified_at, file.name)), stated

    def _entries(self) -> list[LandedFile]:
        entries = self._list_s3() if self._is_s3 else self._list_folder()
        return [entry for entry in entries if not entry.name.startswith(".")]

    def _read(self, files: Sequence[LandedFile], stated: LandedFile | None, screening: Screening) -> Contents:
        # Heavy; listing a zone does not need it.
        from demand_assets.ingestion.inspection import NOT_READ, understand_files
        from demand_assets.ingestion.screening import Refusal

        held: dict[LandedFile, bytes] = {}
        understood = understand_files(self._holding(held, files, stated))
        named = {file.name: file for file in files}
        broken = [Refusal(named[one.name], one.notes[0]) for one in understood.files if one.role == NOT_READ]
        if understood.questions:
            return Contents(understood, refused=tuple(broken))
        parts, wrong = self._parts(understood, held)
        return Contents.of(understood, parts, (*broken, *wrong), screening, self._lines_of)

    def _lines_of(self, part: Part, rows: NDArray[np.intp]) -> list[int]:
        """The lines of rows in their file, which is read once more: rows are seldom wrong."""
        from demand_assets.ingestion.reading import lines_of

        return lines_of(part.source, self._bytes(part.file), part.file_rows(rows)) if len(rows) else []

    def _holding(
        self, held: dict[LandedFile, bytes], files: Sequence[LandedFile], stated: LandedFile | None
    ) -> Iterator[tuple[LandedFile, bytes]]:
        """`_loaded`; into `held` go the largest file and small ones, so that memory is that of one file, not of all."""
        left = max(file.size for file in files) + _SMALL_BYTES
        wanted = set()
        for file in sorted(files, key=lambda file: file.size, reverse=True):
            if file.size <= left:
                wanted.add(file)
                left -= file.size
        for file, data in self._loaded(files, stated):
            if file in wanted:
                held[file] = data
            yield file, data

    def _parts(self, understood: Understanding, held: dict[LandedFile, bytes]) -> tuple[list[Part], list[Refusal]]:
        """The rows of every plan; a file with a wrong value is refused whole. Lets go of the bytes that are done."""
        from demand_assets.ingestion.screening import Refusal

        parts: list[Part] = []
        refused: dict[LandedFile, Refusal] = {}
        last = {source.file: number for number, (source, _) in enumerate(understood.plans)}
        for unused in held.keys() - last.keys():
            del held[unused]
        for number, (source, plan) in enumerate(understood.plans):
            file = source.file
            take = held.pop if last[file] == number else held.get
            try:
                parts.append(_part(source, plan, take(file, b"") or self._bytes(file)))
            except SchemaError as error:
                refused.setdefault(file, Refusal(file, str(error)))
        return [part for part in parts if part.file not in refused], list(refused.values())

    def _bytes(self, file: LandedFile) -> bytes:
        if self._is_s3:
            with _s3_errors(file.uri):
                data = bytes(self._s3.cat_file(file.uri))
                now = _from_s3(self._s3.info(file.uri, refresh=True))
        else:
            with _file_errors(f"landed file {_printable(file.uri)}"):
                data = Path(file.uri).read_bytes()
                now = _from_path(Path(file.uri))
        if now.fingerprint != file.fingerprint:
            raise LandingError(f"{file.name} changed while it was being read; run again when it has landed whole")
        return data

    def _list_folder(self) -> list[LandedFile]:
        if not self._folder.is_dir():
            is_what = "is a file" if self._folder.exists() else "does not exist"
            raise LandingError(f"landing zone {self.uri} {is_what}; expected a folder with files of sales")
        with _file_errors(f"landing zone {self.uri}"):
            return [_from_path(path) for path in self._folder.iterdir() if path.is_file()]

    def _list_s3(self) -> list[LandedFile]:
        prefix = self.uri.rstrip("/") + "/"
        with _s3_errors(f"landing zone {self.uri}"):
            entries: list[dict[str, Any]] = self._s3.ls(prefix, detail=True, refresh=True)
        # A console-made "folder" is an empty object whose name ends in a slash.
        return [_from_s3(entry) for entry in entries if entry["type"] == "file" and not entry["name"].endswith("/")]

    @cached_property
    def _s3(self) -> Any:
        import s3fs  # 0.5 s to import, and only S3 zones need it

        # A cached instance would keep the endpoint and credentials of the zone that made it.
        return s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False, config_kwargs=S3_CONFIG)


def _from_path(path: Path) -> LandedFile:
    stat = path.stat()
    name = _printable(path.name)
    return LandedFile(
        name=name,
        uri=str(path.absolute()),
        size=stat.st_size,
        modified_at=datetime.fromtimestamp(stat.st_mtime, UTC),
        fingerprint=_fingerprint(name, stat.st_size, str(stat.st_mtime_ns)),
    )


def _printable(name: str) -> str:
    """A name as text; bytes of it that are no UTF-8, as in `d\\xe9p\\xf4t.csv`, are spelled out."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _from_s3(entry: Mapping[str, Any]) -> LandedFile:
    name = str(entry["name"]).rsplit("/", 1)[-1]
    return LandedFile(
        name=name,
        uri=f"s3://{entry['name']}",
        size=int(entry["size"]),
        modified_at=entry["LastModified"].astimezone(UTC),
        fingerprint=_fingerprint(name, int(entry["size"]), str(entry["ETag"])),
    )


def _fingerprint(name: str, size: int, version: str) -> str:
    return hashlib.blake2b(f"{name}\n{size}\n{version}".encode(), digest_size=16).hexdigest()


def _part(source: Source, plan: Plan, data: bytes) -> Part:
    # Heavy; listing a zone needs neither.
    from demand_assets.ingestion.mapping import part_of
    from demand_assets.ingestion.reading import read

    # Beside the reading: neither holds Python's lock.
    with ThreadPoolExecutor(1) as pool:
        hashed = pool.submit(_content_hash, source, plan, data)
        table = read(source, data, plan.types)
        content_hash = hashed.result()
        del hashed
    del data  # as large as the frame that is made now
    return part_of(source, plan, table, content_hash)


def _content_hash(source: Source, plan: Plan, data: bytes) -> str:
    """Names the bytes of a table, not those of its gzip or archive, and what its columns were understood as."""
    from demand_assets.ingestion.unpacking import unpacked

    digest = hashlib.blake2b(digest_size=32)
    for _, content in unpacked(source.file.name, data, source.part):
        digest.update(content)
    digest.update(repr(plan).encode())
    return digest.hexdigest()


@contextmanager
def _file_errors(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LandingError(f"{what} cannot be read: {error.strerror or error}") from None


@contextmanager
def _s3_errors(what: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError  # heavy, and only S3 zones need it

    try:
        yield
    except FileNotFoundError:
        raise LandingError(f"{what} does not exist or is empty; expected files under that address") from None
    except (OSError, BotoCoreError, ClientError) as error:
        reason = " ".join(str(error).split())
        raise LandingError(f"{what} cannot be read: {reason}; check address, credentials and region") from None
