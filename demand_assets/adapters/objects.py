"""Parquet files on S3 in as few calls as it takes: one listing per table, one GET per file, no footer read twice.

A file there is replaced whole, so its ETag and time say whether it is the file that was read before. Calls fail and are
throttled, each retry waits longer, and what a week costs on a bad day is the number of its calls. Only of a large file
are some columns read by themselves: its whole would fill the memory and the network of those who want few of them.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from demand_assets.adapters.files import AT_ONCE

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds
    from fsspec import AbstractFileSystem

# Holds the footer of any table of the lake; a longer one takes a second call.
_TAIL = 64 * 2**10
# As many bytes come in the time that a call takes, about 10 ms at the share that one of 16 calls has of 5 Gbit/s.
CALL_BYTES = 512 * 2**10
# S3 gives one call about 90 MB a second: what is larger comes in pieces, side by side.
PIECE_BYTES = 16 * 2**20
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

    return pq.read_schema(pa.BufferReader(_end(filesystem, path)))


def _end(filesystem: AbstractFileSystem, path: str) -> bytes:
    """The footer of a file and its length: all bytes after the rows."""
    tail: bytes = filesystem.cat_file(path, start=-_TAIL)
    # The last eight bytes: length of the footer, then the format's mark.
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if length > len(tail):
        tail = filesystem.cat_file(path, start=-length)
    return tail[-length:]


def notes_in(schema: pa.Schema) -> dict[str, str]:
    """What a footer's schema carries beside the columns, as text."""
    return {name.decode(): text.decode() for name, text in (schema.metadata or {}).items()}


def whole(filesystem: AbstractFileSystem, path: str) -> bytes:
    """An object in one call: s3fs asks for the size first unless it is told where to start."""
    content: bytes = filesystem.cat_file(path, start=0)
    return content


def fetched(
    filesystem: AbstractFileSystem, sizes: Mapping[str, int], columns: Collection[str] | None = None
) -> ds.Dataset:
    """Several objects, of about these sizes, as one dataset that has `columns` (None: all).

    Each is fetched whole in one call, or only what holds the columns where that takes less time.
    """
    import pyarrow as pa
    from pyarrow import dataset

    kind = dataset.ParquetFileFormat()
    with ThreadPoolExecutor(AT_ONCE) as files, ThreadPoolExecutor(AT_ONCE) as pieces:
        contents = list(files.map(lambda path: _content(filesystem, path, sizes[path], columns, pieces.map), sizes))
    fragments = [kind.make_fragment(pa.BufferReader(content)) for content in contents]
    return dataset.FileSystemDataset(fragments, fragments[0].physical_schema, kind)


def _content(
    filesystem: AbstractFileSystem,
    path: str,
    size: int,
    columns: Collection[str] | None,
    side_by_side: Callable[..., Iterable[object]],
) -> bytes | memoryview:
    """A file in which the columns are sure to be; zeros, which take no memory, stand for what was not fetched."""
    import numpy as np

    # The end is read before and after the columns, which take a call at least.
    if size <= (PIECE_BYTES if columns is None else 3 * CALL_BYTES):
        return whole(filesystem, path)
    end = _end(filesystem, path)
    rows = size - len(end)
    pieces = [(0, rows)] if columns is None else _pieces(end, columns)
    is_whole = sum(last - first for first, last in pieces) + (len(pieces) + 1) * CALL_BYTES >= size
    if any(last > rows for _, last in pieces) or (is_whole and size <= PIECE_BYTES):
        return whole(filesystem, path)
    content = np.zeros(size, np.uint8)
    content[rows:] = np.frombuffer(end, np.uint8)

    def fetch(piece: tuple[int, int]) -> None:
        part = filesystem.cat_file(path, start=piece[0], end=piece[1])
        content[piece[0] : piece[0] + len(part)] = np.frombuffer(part, np.uint8)

    cuts = [
        (cut, min(cut + PIECE_BYTES, last))
        for first, last in ([(0, rows)] if is_whole else pieces)
        for cut in range(first, last, PIECE_BYTES)
    ]
    try:
        for _ in side_by_side(fetch, cuts):
            pass
    except OSError as error:
        # A range that begins past the end of a file that is shorter by now.
        if error.errno != errno.EINVAL:
            raise
    # The footer holds the version of the rows: where it is another by now, the pieces may be of two files.
    return content.data if _end(filesystem, path) == end else whole(filesystem, path)


def _pieces(end: bytes, columns: Collection[str]) -> list[tuple[int, int]]:
    """(first, last) byte of what holds the columns of the file with this end; near ones are one piece."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    described = pq.read_metadata(pa.BufferReader(end))
    wanted, chunks = set(columns), []
    for group in map(described.row_group, range(described.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            # The parts of a column of lists have longer names.
            if {chunk.path_in_schema, chunk.path_in_schema.partition(".")[0]} & wanted:
                first = chunk.dictionary_page_offset or chunk.data_page_offset
                chunks.append((first, first + chunk.total_compressed_size))
    pieces: list[tuple[int, int]] = []
    for first, last in sorted(chunks):
        if pieces and first - pieces[-1][1] <= CALL_BYTES:
            pieces[-1] = (pieces[-1][0], max(last, pieces[-1][1]))
        else:
            pieces.append((first, last))
    return pieces
