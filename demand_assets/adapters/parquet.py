"""The lake: typed, compressed Parquet in a local folder or on S3, one file per week, through one IO manager.

A file is written whole under a temporary name and renamed (S3: one put), so a half-written one is never readable. Its
footer carries the content hash of its rows (the partition's data version) and, where an asset adds them, metadata.
What forecasts rest on is kept when a correction replaces it, under its data version beside the table, so that a past
forecast can be made again. On S3 a run replaces a
file only after it has kept that very file, so runs at the same time lose nothing.
"""

import io
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from demand_assets.adapters import objects
from demand_assets.adapters.arrow_frames import content_version, to_frame, to_table, write_options
from demand_assets.adapters.files import AT_ONCE, filesystem_at
from demand_assets.adapters.puts import put, replace_kept, sweep
from demand_assets.errors import LakeError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from fsspec import AbstractFileSystem

VERSION_KEY = "data_version"
PARTITION_COLUMN = "partition_column"
HISTORY: Mapping[str, Any] = {"history": True}
KEEP_VERSIONS = "keep_versions"
# Hidden, so that readers of a table's folder see the present rows only.
_VERSIONS = ".versions"


@dataclass(frozen=True)
class LakeTable:
    """A frame on its way to the lake; `metadata` maps a partition key to what its footer keeps beside the rows.

    `only`: the partitions to write, other files stay as they are; None writes all partitions of the run.
    """

    frame: "pd.DataFrame"
    metadata: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    only: Collection[str] | None = None


class ParquetLake(dg.ConfigurableResource):
    """Tables of the lake by asset name and partition key; `uri` is a folder or s3://bucket/prefix.

    `table_uris` gives the tables that live under another address their own.
    """

    uri: str
    table_uris: dict[str, str] = Field(default={})

    def table_uri(self, table: str) -> str:
        """The address a table lives under."""
        return self.table_uris.get(table, self.uri)

    def address(self, table: str) -> str:
        """What the names of a table's files begin with."""
        return f"{self.table_uri(table).rstrip('/')}/{table}"

    def _filesystem(self, table: str) -> tuple["AbstractFileSystem", str]:
        return filesystem_at(self.table_uri(table))

    @property
    def _remote(self) -> bool:
        return objects.is_remote(self.uri)

    def path(self, table: str, key: str | None) -> str:
        """Address of one file: `<uri>/<table>/<key>.parquet`, or `<uri>/<table>.parquet` without partitions."""
        return f"{self.address(table)}/{key}.parquet" if key else f"{self.address(table)}.parquet"

    def partitions(self, table: str, nested: bool = False) -> list[str]:
        """Partition keys that have a file, in order; `nested` finds those of the form `week/name`."""
        return sorted(self._listed(table, nested))

    def _listed(self, table: str, nested: bool = False) -> dict[str, Mapping[str, Any]]:
        """What one listing says of the file of each partition."""
        filesystem, root = self._filesystem(table)
        folder = f"{root}/{table}"
        try:
            found = filesystem.find(folder, detail=True).values() if nested else filesystem.ls(folder, detail=True)
        except FileNotFoundError:
            return {}
        files = {str(entry["name"]).removeprefix(f"{folder}/"): entry for entry in found if entry["type"] == "file"}
        return {
            name.removesuffix(".parquet"): entry
            for name, entry in files.items()
            if name.endswith(".parquet") and "/." not in f"/{name}" and name.count("/") == int(nested)
        }

    def exists(self, table: str) -> bool:
        """Whether an unpartitioned table has been written."""
        filesystem, root = self._filesystem(table)
        return bool(filesystem.exists(f"{root}/{table}.parquet"))

    def write(
        self,
        table: str,
        key: str | None,
        frame: "pd.DataFrame",
        metadata: Mapping[str, str] | None = None,
        keep: bool = False,
        known: Mapping[str | None, Mapping[str, str]] | None = None,
    ) -> tuple[str, int]:
        """Write one file, or leave it if it holds these rows and metadata already; (data version, bytes of the file).

        `keep` keeps a file whose rows this replaces, for `read_versions`. `known` is the table's `metadata` now,
        so that a caller that writes many files reads it once.
        """
        import pyarrow.parquet as pq

        from demand_assets.contract.arrow import as_stored

        arrow = to_table(frame)
        footer = {VERSION_KEY: content_version(arrow), **(metadata or {})}
        filesystem, root = self._filesystem(table)
        path = f"{root}/{table}/{key}.parquet" if key else f"{root}/{table}.parquet"
        # What is kept is read whole below, footer and all.
        looked = known.get(key) if known is not None else None if keep else self._footer(filesystem, path)
        if looked == footer:
            return footer[VERSION_KEY], int(filesystem.size(path))

        def encoded() -> bytes:
            buffer = io.BytesIO()
            stored = as_stored(arrow).replace_schema_metadata(footer)
            pq.write_table(stored, buffer, **write_options(stored.schema))
            return buffer.getvalue()

        if keep:
            kept = f"{root}/{_kept_folder(table, key)}"
            size = replace_kept(filesystem, path, kept, footer, VERSION_KEY, encoded, self._remote)
        else:
            content = encoded()
            put(filesystem, path, content, self._remote)
            size = len(content)
        return footer[VERSION_KEY], size

    def sweep(self) -> None:
        """Take away what killed processes had begun to write, where the lake is on this machine."""
        for uri in {self.uri, *self.table_uris.values()}:
            if not objects.is_remote(uri):
                sweep(filesystem_at(uri)[1])

    def date_weeks(self) -> list[str]:
        """Write the files of older releases, whose weeks are in nanoseconds, anew with dates; their addresses.

        Their rows and data versions stay.
        """
        found = []
        for uri in {self.uri, *self.table_uris.values()}:
            filesystem, root = filesystem_at(uri)
            held = [path for path in sorted(filesystem.find(root)) if path.endswith(".parquet")]
            with ThreadPoolExecutor(AT_ONCE) as pool:
                written = pool.map(self._written_with_dates, [filesystem] * len(held), held)
                found += [path for path, is_new in zip(held, written, strict=True) if is_new]
        return found

    def _written_with_dates(self, filesystem: "AbstractFileSystem", path: str) -> bool:
        import pyarrow as pa
        import pyarrow.parquet as pq

        from demand_assets.contract.arrow import as_stored

        schema = objects.schema_at(filesystem, path)
        if as_stored(schema.empty_table()).schema.equals(schema):
            return False
        stored, buffer = as_stored(pq.read_table(pa.BufferReader(objects.whole(filesystem, path)))), io.BytesIO()
        pq.write_table(stored, buffer, **write_options(stored.schema))
        put(filesystem, path, buffer.getvalue(), self._remote)
        return True

    def folder(self, table: str) -> str | None:
        """The folder of a partitioned table's files; None where the lake is not on this machine."""
        return None if objects.is_remote(self.table_uri(table)) else self._filesystem(table)[1] + f"/{table}"

    def adopt(self, table: str, key: str, finished: str, footer: Mapping[str, str]) -> None:
        """Make a finished local file, whose footer is given, the file of a partition, or drop it if it is that already.

        On this machine it must lie in `folder(table)`.
        """
        filesystem, root = self._filesystem(table)
        path = f"{root}/{table}/{key}.parquet"
        if self._footer(filesystem, path) == footer:
            os.unlink(finished)
        elif self.folder(table) is None:
            filesystem.put_file(finished, path)
        else:
            with open(finished, "rb") as file:
                os.fsync(file.fileno())
            os.replace(finished, path)

    def remove(self, table: str, key: str) -> None:
        """Remove the file of a partition."""
        filesystem, root = self._filesystem(table)
        filesystem.rm_file(f"{root}/{table}/{key}.parquet")

    def write_page(self, table: str, key: str, page: str) -> str:
        """Write `<uri>/<table>/<key>.html` and return its address."""
        filesystem, root = self._filesystem(table)
        put(filesystem, f"{root}/{table}/{key}.html", page.encode(), self._remote)
        return f"{self.address(table)}/{key}.html"

    def write_text(self, folder: str, name: str, text: str) -> str:
        """Write `<uri>/<folder>/<name>` and return its address."""
        filesystem, root = self._filesystem(folder)
        put(filesystem, f"{root}/{folder}/{name}", text.encode(), self._remote)
        return f"{self.address(folder)}/{name}"

    def _footer(self, filesystem: "AbstractFileSystem", path: str) -> dict[str, str] | None:
        import pyarrow.parquet as pq

        if self._remote:
            return objects.footer(filesystem, path)
        try:
            schema = pq.read_schema(path, filesystem=filesystem)
        except FileNotFoundError:
            return None
        return objects.notes_in(schema)

    def metadata(self, table: str, keys: Iterable[str | None]) -> dict[str | None, dict[str, str]]:
        """Footer (data version and metadata) of each file that exists."""
        filesystem, root = self._filesystem(table)
        wanted = list(keys)
        if len(wanted) > 1 and self._remote:
            listed = self._listed(table, nested=any("/" in (key or "") for key in wanted))
            read = self._listed_notes(filesystem, {key: listed[key] for key in wanted if key and key in listed})
            return {key: read[key] for key in wanted if key in read}
        paths = [f"{root}/{table}/{key}.parquet" if key else f"{root}/{table}.parquet" for key in wanted]
        with ThreadPoolExecutor(8) as pool:
            found = pool.map(lambda path: self._footer(filesystem, path), paths)
            return {key: footer for key, footer in zip(wanted, found, strict=True) if footer is not None}

    def versions(self, table: str) -> dict[str, str]:
        """Data version of every partition of a table that has a file."""
        listed = self._listed(table)
        if not self._remote:
            return self.versions_of(table, sorted(listed))
        found = self._listed_notes(self._filesystem(table)[0], listed)
        return {key: found[key][VERSION_KEY] for key in sorted(found)}

    def _listed_notes(
        self, filesystem: "AbstractFileSystem", listed: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, dict[str, str]]:
        stamps = {str(entry["name"]): objects.stamp_of(entry) for entry in listed.values()}
        read = objects.footers(filesystem, stamps)
        return {key: read[str(entry["name"])] for key, entry in listed.items() if str(entry["name"]) in read}

    def versions_of(self, table: str, keys: Sequence[str]) -> dict[str, str]:
        """Data version of each of `keys` that has a file."""
        return {str(key): footer[VERSION_KEY] for key, footer in self.metadata(table, keys).items()}

    def read(
        self,
        table: str,
        keys: Sequence[str] | None,
        columns: Sequence[str] | None = None,
        where: Mapping[str, float] | None = None,
    ) -> "pd.DataFrame | None":
        """Rows of the partitions that exist among `keys` (None: an unpartitioned table); None when none does.

        In order of key, and as they are stored. `columns` may name numbers that only some of the files have: they are
        NaN in the others. `where` gives columns the value that rows must have in them; others are dropped as they are
        read. Keys of the form `week/name` are not read together with plain ones.
        """
        filesystem, root = self._filesystem(table)
        if keys is None or len(keys) == 1:
            # A listing tells more than is asked here, and takes long to read where a table has many weeks.
            path = f"{root}/{table}/{keys[0]}.parquet" if keys else f"{root}/{table}.parquet"
            try:
                sizes = {path: int(filesystem.size(path))}
            except FileNotFoundError:
                sizes = {}
        else:
            listed = self._listed(table, nested=any("/" in key for key in keys))
            held = [key for key in sorted(set(keys)) if key in listed]
            sizes = {f"{root}/{table}/{key}.parquet": int(listed[key]["size"]) for key in held}
        if not sizes:
            return None
        arrow = self._read_together(filesystem, sizes, columns, where)
        return to_frame(arrow, split_blocks=True, self_destruct=True)

    def _read_together(
        self,
        filesystem: "AbstractFileSystem",
        sizes: Mapping[str, int],
        columns: Sequence[str] | None,
        where: Mapping[str, float] | None,
    ) -> "pa.Table":
        import pyarrow as pa
        import pyarrow.dataset as ds

        if self._remote:
            files = objects.fetched(filesystem, sizes, None if columns is None else {*columns, *(where or {})})
        else:
            files = ds.dataset(list(sizes), filesystem=filesystem, format="parquet")
        if absent := [name for name in columns or () if name not in files.schema.names]:
            files = files.replace_schema(pa.schema([*files.schema, *(pa.field(name, pa.float64()) for name in absent)]))
        wanted = None
        for name, value in (where or {}).items():
            matches = ds.field(name) == value
            wanted = matches if wanted is None else wanted & matches
        return files.to_table(columns=None if columns is None else list(columns), filter=wanted)

    def columns_of(self, table: str, keys: Sequence[str]) -> list[str]:
        """Columns of the files of `keys`, each of which exists, in order of appearance; only their ends are read."""
        import pyarrow.parquet as pq

        filesystem, root = self._filesystem(table)
        paths = [f"{root}/{table}/{key}.parquet" for key in keys]
        with ThreadPoolExecutor(8) as pool:
            schemas = pool.map(lambda path: pq.read_schema(path, filesystem=filesystem), paths)
            return list(dict.fromkeys(name for schema in schemas for name in schema.names))

    def schema_of(self, table: str, key: str) -> "pa.Schema":
        """What the file of a partition holds: its columns and their types; only its end is read."""
        import pyarrow.parquet as pq

        filesystem, root = self._filesystem(table)
        return pq.read_schema(f"{root}/{table}/{key}.parquet", filesystem=filesystem)

    def rows(self, table: str, keys: Sequence[str]) -> int:
        """Number of rows in the files of `keys`, each of which exists; only their ends are read."""
        import pyarrow.parquet as pq

        filesystem, root = self._filesystem(table)
        paths = [f"{root}/{table}/{key}.parquet" for key in keys]
        with ThreadPoolExecutor(8) as pool:
            return sum(pool.map(lambda path: int(pq.read_metadata(path, filesystem=filesystem).num_rows), paths))

    def read_versions(self, table: str, versions: Mapping[str | None, str]) -> "pd.DataFrame":
        """Rows of each partition (None: an unpartitioned table) as they were at its data version, in order of key.

        LakeError when a version is neither the present one nor kept, or its file no longer holds its rows.
        """
        import pyarrow as pa

        filesystem, root = self._filesystem(table)
        with ThreadPoolExecutor(8) as pool:
            wanted = sorted(versions.items(), key=lambda item: item[0] or "")
            parts = list(pool.map(lambda item: self._read_version(filesystem, root, table, *item), wanted))
        return to_frame(pa.concat_tables(parts, promote_options="default"))

    def _read_version(
        self, filesystem: "AbstractFileSystem", root: str, table: str, key: str | None, version: str
    ) -> "pa.Table":
        import pyarrow as pa
        import pyarrow.parquet as pq

        from demand_assets.contract.arrow import as_stored

        name = f"{table} {key}" if key else table
        path = f"{root}/{table}/{key}.parquet" if key else f"{root}/{table}.parquet"
        folder = _kept_folder(table, key)
        present = (self._footer(filesystem, path) or {}).get(VERSION_KEY)
        if present != version:
            path = f"{root}/{folder}/{version}.parquet"
            if not filesystem.exists(path):
                kept = [
                    file.rsplit("/", 1)[-1].removesuffix(".parquet")
                    for file in filesystem.glob(f"{root}/{folder}/*.parquet")
                ]
                raise LakeError(
                    f"{name}: expected data version {version} in {folder}, which does not have it; the present version "
                    f"is {present or 'none'}, kept are {', '.join(sorted(kept)) or 'none'}; restore the file"
                )
        arrow = as_stored(pq.read_table(pa.BufferReader(objects.whole(filesystem, path)))).replace_schema_metadata()
        # By way of pandas, as it was written: a missing number has no bits of its own in a file.
        found = content_version(to_frame(arrow))
        if found != version:
            raise LakeError(
                f"{name}: {path} should hold data version {version}, its rows are {found}; restore the file"
            )
        return arrow


def _kept_folder(table: str, key: str | None) -> str:
    """Where superseded versions of one file are kept, relative to the lake."""
    return f"{table}/{_VERSIONS}/{key}" if key else f"{_VERSIONS}/{table}"
