"""The landing zone: a folder or S3 prefix into which CSVs are put; files are listed, read once, and never changed."""

from __future__ import annotations

import gzip
import hashlib
import threading
import zlib
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from weakref import WeakValueDictionary

from demand_assets.adapters.files import S3_CONFIG
from demand_assets.errors import LandingError
from demand_assets.ingestion.delivery import Delivery, LandedFile
from demand_assets.ingestion.formats import Kind

# Kaggle ships these beside the data; they hold no sales and are not deliveries.
_PASSED_OVER = frozenset({"test.csv", "samplesubmission.csv"})
_CACHE_BYTES = 256 * 2**20
_SMALL_BYTES = 8 * 2**20
_HEAD_BYTES = 1 << 16
_GZIP = b"\x1f\x8b"


class LandingZone:
    """A local folder (`/data/in`, `file:///data/in`) or `s3://bucket/prefix` holding CSVs, plain or gzip.

    Subfolders are not read. Credentials, region and AWS_ENDPOINT_URL are found as any AWS client finds them. Every
    method raises LandingError, one line, when the place or a file cannot be read.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        scheme = urlsplit(uri).scheme if "://" in uri else ""
        if scheme not in ("", "file", "s3"):
            raise LandingError(f"landing zone {uri} is a {scheme}:// address; expected a folder or s3://bucket/prefix")
        self._is_s3 = scheme == "s3"
        self._folder = Path(unquote(urlsplit(uri).path) if scheme == "file" else uri).expanduser()

    def files(self) -> list[LandedFile]:
        """The CSVs in the zone in landing order: by modification time, then name. LandingError if there are none.

        Takes `*.csv` and `*.csv.gz` in any case; hidden files and Kaggle's test.csv and sampleSubmission.csv are
        passed over. Reads no file.
        """
        entries = self._list_s3() if self._is_s3 else self._list_folder()
        found = [entry for entry in entries if _is_delivery(entry.name)]
        if not found:
            others = sorted(entry.name for entry in entries)
            listed = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
            has = f"holds no CSV, only {listed}" if others else "is empty"
            raise LandingError(f"landing zone {self.uri} {has}; expected files such as train.csv or train.csv.gz")
        return sorted(found, key=lambda file: (file.modified_at, file.name))

    def read(self, file: LandedFile) -> Delivery:
        """The rows of one file; its bytes are read once in this process as long as its fingerprint stays.

        LandingError for a file that is gone, unreadable, changed since it was listed, or not a whole gzip;
        SchemaError, naming file and line, for content that fits none of the three formats.
        """
        delivery = _cache.get((file.uri, file.fingerprint))
        if delivery is None:
            delivery = _parse(file, _decompress(file, self._bytes(file)))
            _cache.put((file.uri, file.fingerprint), delivery)
        return delivery

    def read_all(self, kinds: Collection[Kind] | None = None) -> list[Delivery]:
        """Every delivery of these kinds (default: all) in landing order; of large files of others only the header."""
        return [self.read(file) for file in self.files() if kinds is None or self.kind_of(file) in kinds]

    def kind_of(self, file: LandedFile) -> Kind:
        """What a file's header says it holds; the errors of `read`."""
        key = (file.uri, file.fingerprint)
        # A small file is read whole: on S3 a look at its header costs as much as the file.
        if file.size <= _SMALL_BYTES or _cache.get(key) is not None:
            return self.read(file).kind
        if key not in _kinds:
            from demand_assets.ingestion.parsing import format_of

            format_ = format_of(file.name, _first_bytes(file, self._head(file)))
            _kinds[key] = self.read(file).kind if format_ is None else format_.kind
        return _kinds[key]

    def _head(self, file: LandedFile) -> bytes:
        if self._is_s3:
            with _s3_errors(file.uri):
                return bytes(self._s3.cat_file(file.uri, start=0, end=_HEAD_BYTES))
        with _file_errors(f"landed file {file.uri}"), open(file.uri, "rb") as opened:
            return opened.read(_HEAD_BYTES)

    def _bytes(self, file: LandedFile) -> bytes:
        if self._is_s3:
            with _s3_errors(file.uri):
                data = bytes(self._s3.cat_file(file.uri))
                now = _from_s3(self._s3.info(file.uri, refresh=True))
        else:
            with _file_errors(f"landed file {file.uri}"):
                data = Path(file.uri).read_bytes()
                now = _from_path(Path(file.uri))
        if now.fingerprint != file.fingerprint:
            raise LandingError(f"{file.name} changed while it was being read; run again when it has landed whole")
        return data

    def _list_folder(self) -> list[LandedFile]:
        if not self._folder.is_dir():
            is_what = "is a file" if self._folder.exists() else "does not exist"
            raise LandingError(f"landing zone {self.uri} {is_what}; expected a folder with CSVs in it")
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


def _is_delivery(name: str) -> bool:
    plain = name.lower().removesuffix(".gz")
    return plain.endswith(".csv") and not name.startswith(".") and plain not in _PASSED_OVER


def _from_path(path: Path) -> LandedFile:
    stat = path.stat()
    return LandedFile(
        name=path.name,
        uri=str(path.absolute()),
        size=stat.st_size,
        modified_at=datetime.fromtimestamp(stat.st_mtime, UTC),
        fingerprint=_fingerprint(path.name, stat.st_size, str(stat.st_mtime_ns)),
    )


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


def _decompress(file: LandedFile, data: bytes) -> bytes:
    # By magic number, not by name: both a gzip called .csv and a CSV called .csv.gz arrive in practice.
    if data[:2] != _GZIP:
        return data
    try:
        return gzip.decompress(data)
    except EOFError:
        raise LandingError(
            f"{file.name} is a truncated gzip: its {len(data):,} bytes end in the middle; land it again"
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise LandingError(f"{file.name} is a corrupt gzip ({error}); land it again") from None


def _first_bytes(file: LandedFile, data: bytes) -> bytes:
    """What the first bytes of a file hold, unpacked."""
    if data[:2] != _GZIP:
        return data
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data, _HEAD_BYTES)
    except zlib.error as error:
        raise LandingError(f"{file.name} is a corrupt gzip ({error}); land it again") from None


def _parse(file: LandedFile, data: bytes) -> Delivery:
    # Heavy; listing a zone needs neither.
    import numpy as np
    import pandas as pd

    from demand_assets.ingestion.order import run_starts
    from demand_assets.ingestion.parsing import read_columns, sorted_frame

    # Beside the parsing: neither holds Python's lock.
    with ThreadPoolExecutor(1) as pool:
        hashed = pool.submit(hashlib.blake2b, data, digest_size=32)
        format_, columns = read_columns(file.name, data)
        content_hash = hashed.result().hexdigest()
        del hashed
    del data  # as large as the frame that is made now
    frame = sorted_frame(format_, columns)
    found = frame["week"].to_numpy() if "week" in frame else np.empty(0, dtype="datetime64[ns]")
    weeks = pd.DatetimeIndex(found[run_starts([found])] if len(found) else found, name="week")
    return Delivery(file=file, kind=format_.kind, frame=frame, content_hash=content_hash, weeks=weeks)


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
        raise LandingError(f"{what} does not exist or is empty; expected CSVs under that address") from None
    except (OSError, BotoCoreError, ClientError) as error:
        reason = " ".join(str(error).split())
        raise LandingError(f"{what} cannot be read: {reason}; check address, credentials and region") from None


class _DeliveryCache:
    """The deliveries read last in this process, up to a number of bytes, so that one run reads each CSV once.

    What is over the limit is found again only as long as someone else holds it.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._held = 0
        self._entries: OrderedDict[tuple[str, str], tuple[Delivery, int]] = OrderedDict()
        self._in_use: WeakValueDictionary[tuple[str, str], Delivery] = WeakValueDictionary()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str]) -> Delivery | None:
        with self._lock:
            if key not in self._entries:
                return self._in_use.get(key)
            self._entries.move_to_end(key)
            return self._entries[key][0]

    def put(self, key: tuple[str, str], delivery: Delivery) -> None:
        size = int(delivery.frame.memory_usage(index=False, deep=False).sum())
        with self._lock:
            if key in self._entries:
                return
            self._in_use[key] = delivery
            self._entries[key] = (delivery, size)
            self._held += size
            while self._held > self._limit:
                self._held -= self._entries.popitem(last=False)[1][1]


_cache = _DeliveryCache(_CACHE_BYTES)
_kinds: dict[tuple[str, str], Kind] = {}
