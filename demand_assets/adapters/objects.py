"""Parquet files on S3 in as few calls as it takes: one listing per table, one GET per file, no footer read twice.

A file there is replaced whole, so its ETag and time say whether it is the file that was read before. Calls fail and are
throttled, each retry waits longer, and what a week costs on a bad day is the number of its calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from demand_assets.adapters.files import AT_ONCE

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds
    from fsspec import AbstractFileSystem

# Holds the footer of any table of the lake; a longer one takes a second call.
_TAIL = 64 * 2**10
# Path -> (its ETag and time when listed, footer). One entry per path, so it grows no further than the lake.
_known: dict[str, tuple[str, dict[str, str]]] = {}


def is_remote(uri: str) -> bool:
    """Whether an address is of an object store."""
    return "://" in uri


def stamp_of(entry: Mapping[str, Any]) -> str:
    """What changes when an object is written again, from its entry in a listing; equal content gets a new time."""
    return f"{entry['ETag']} {entry['LastModified'].isoformat()}"


def footers(filesystem: AbstractFileSystem, stamps: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Footer of each listed path that is still there; read are those whose stamp this process has not seen."""
    new = [path for path, stamp in stamps.items() if _known.get(path, ("", {}))[0] != stamp]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(new, pool.map(lambda path: footer(filesystem, path), new), strict=True))
    _known.update({path: (stamps[path], read) for path, read in found.items() if read is not None})
    held = {path: found[path] if path in found else _known[path][1] for path in stamps}
    return {path: read for path, read in held.items() if read is not None}


def footer(filesystem: AbstractFileSystem, path: str) -> dict[str, str] | None:
    """Footer of one object, None where there is none."""
    try:
        return notes_in(schema_at(filesystem, path))
    except FileNotFoundError:
        return None


def schema_at(filesystem: AbstractFileSystem, path: str) -> pa.Schema:
    """Schema of one file, from its end in one call; FileNotFoundError when there is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tail: bytes = filesystem.cat_file(path, start=-_TAIL)
    # The last eight bytes: length of the footer, then the format's mark.
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if length > len(tail):
        tail = filesystem.cat_file(path, start=-length)
    return pq.read_schema(pa.BufferReader(tail))


def notes_in(schema: pa.Schema) -> dict[str, str]:
    """What a footer's schema carries beside the columns, as text."""
    return {name.decode(): text.decode() for name, text in (schema.metadata or {}).items()}


def whole(filesystem: AbstractFileSystem, path: str) -> bytes:
    """An object in one call: s3fs asks for the size first unless it is told where to start."""
    content: bytes = filesystem.cat_file(path, start=0)
    return content


def fetched(filesystem: AbstractFileSystem, paths: Sequence[str]) -> ds.Dataset:
    """Several objects as one dataset, each fetched whole in one call."""
    import pyarrow as pa
    from pyarrow import dataset

    kind = dataset.ParquetFileFormat()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        contents = list(pool.map(lambda path: whole(filesystem, path), paths))
    fragments = [kind.make_fragment(pa.BufferReader(content)) for content in contents]
    return dataset.FileSystemDataset(fragments, fragments[0].physical_schema, kind)
