"""Files of the lake written block by block, for tables that are larger than memory.

Each partition's file grows by a row group a block under a temporary name; all get their names when the last block is
in, so a run that fails leaves the files that were there.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from demand_assets.adapters.arrow_frames import content_version, write_options
from demand_assets.adapters.parquet import VERSION_KEY, ParquetLake
from demand_assets.adapters.puts import sweep, temporary

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True)
class LakeStream:
    """Blocks on their way to the lake, each a partition key and (n,) columns by name; `metadata` as for `LakeTable`."""

    blocks: "Iterator[tuple[str, Mapping[str, NDArray[Any]]]]"
    metadata: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class DeferredWrite:
    """Rows that `write` makes and writes into the files of a table, wherever that is done; it returns (rows, bytes)."""

    write: Callable[[ParquetLake, str], tuple[int, int]]


class PartitionWriter:
    """One partition's file while blocks are added to it."""

    def __init__(self, folder: str, schema: "pa.Schema") -> None:
        import pyarrow.parquet as pq

        from demand_assets.contract.arrow import as_stored

        self.path = temporary(folder, "block.parquet")
        stored = as_stored(schema.empty_table()).schema
        self.writer: pq.ParquetWriter = pq.ParquetWriter(
            # The metadata come when the rows are in; a stored schema would hide them.
            self.path,
            stored,
            store_schema=False,
            **write_options(stored),
        )
        self.versions: list[str] = []
        self.rows = 0

    def add(self, table: "pa.Table") -> None:
        """Append a row group."""
        from demand_assets.contract.arrow import as_stored

        self.writer.write_table(as_stored(table))
        self.versions.append(content_version(table))
        self.rows += len(table)

    def close(self, metadata: Mapping[str, str]) -> dict[str, str]:
        """Finish the file; its footer."""
        footer = {VERSION_KEY: version_of_blocks(self.versions), **metadata}
        self.writer.add_key_value_metadata(footer)
        self.writer.close()
        return footer

    def discard(self) -> None:
        """Take away what was written, if the file has not been given its name."""
        self.writer.close()
        if os.path.exists(self.path):
            os.unlink(self.path)


def version_of_blocks(versions: Sequence[str]) -> str:
    """Data version of rows that came in blocks: of one block its own."""
    if len(versions) == 1:
        return versions[0]
    return hashlib.blake2b("".join(versions).encode(), digest_size=16).hexdigest()


def write_stream(lake: ParquetLake, table: str, keys: Sequence[str], stream: LakeStream) -> tuple[int, int]:
    """Write the files of `keys` from a stream of their blocks, none before the last block is in; (rows, bytes).

    A key without a block gets an empty file. ValueError when a block is of another key, or none came at all.
    """
    import pyarrow as pa

    wanted = set(keys)
    files: dict[str, PartitionWriter] = {}
    with ExitStack() as undo:
        local = lake.folder(table)
        folder = local or undo.enter_context(tempfile.TemporaryDirectory())
        os.makedirs(folder, exist_ok=True)
        sweep(folder)

        def growing(key: str, schema: pa.Schema) -> PartitionWriter:
            if key not in files:
                files[key] = PartitionWriter(folder, schema)
                undo.callback(files[key].discard)
            return files[key]

        schema: pa.Schema | None = None
        for key, columns in stream.blocks:
            if key not in wanted:
                raise ValueError(f"{table} was asked for {min(wanted)}..{max(wanted)} but holds rows of {key}")
            # As `to_table` has it, so that the version is that of the same rows in one frame.
            block = pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
            schema = block.schema
            growing(key, schema).add(block)
        if schema is None:
            raise ValueError(f"{table} was asked for {min(wanted)}..{max(wanted)} but no rows were made")
        for key in sorted(wanted - set(files)):
            growing(key, schema).add(schema.empty_table())
        size = 0
        for key, file in files.items():
            footer = file.close(stream.metadata.get(key, {}))
            size += os.path.getsize(file.path)
            lake.adopt(table, key, file.path, footer)
    return sum(file.rows for file in files.values()), size
