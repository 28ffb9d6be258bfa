"""Frames as the Arrow tables of the lake's files, and back: what is hashed, what is written and what is read."""

import hashlib
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa


def to_table(frame: "pd.DataFrame") -> "pa.Table":
    """Arrow form of a frame, without pandas' own metadata, which would change with its version."""
    import pyarrow as pa

    # Column by column, as `Table.from_pandas` has them: what it does beside takes half the time of writing a week.
    columns = {str(name): pa.array(_values(column), from_pandas=True) for name, column in frame.items()}
    for name, column in columns.items():
        # A text column without any text has no type of its own, and could not be read together with other weeks'.
        if pa.types.is_null(column.type):
            columns[name] = column.cast(pa.string())
    return pa.table(columns)


def _values(column: "pd.Series[Any]") -> Any:
    import numpy as np  # heavy, as pandas is

    # Arrow asks much of a Series; of an array of numpy it knows.
    return column.to_numpy() if isinstance(column.dtype, np.dtype) else column


def to_frame(table: "pa.Table", **options: Any) -> "pd.DataFrame":
    """A table of the lake as a frame, its weeks as datetime64[ns]; `options` are those of `Table.to_pandas`."""
    frame: pd.DataFrame = table.to_pandas(date_as_object=False, coerce_temporal_nanoseconds=True, **options)
    return frame


def content_version(table: "pa.Table | pd.DataFrame") -> str:
    """Hash of the columns, types and values of a frame's table: equal content, equal version. 32 hex digits.

    It is of the frame, not of the types that files have, so it stays when those change.
    """
    import pyarrow as pa

    table = table if isinstance(table, pa.Table) else to_table(table)
    sink = _Hashed()
    with pa.PythonFile(sink, mode="w") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.digest.hexdigest()


class _Hashed(io.RawIOBase):
    """A file that is hashed as it is written, and kept nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.digest = hashlib.blake2b(digest_size=16)

    def writable(self) -> bool:
        """Whether it takes bytes."""
        return True

    def write(self, data: Any, /) -> int:
        """Hash the next bytes."""
        self.digest.update(data)
        return memoryview(data).nbytes


def write_options(schema: "pa.Schema") -> dict[str, Any]:
    """How the files of the lake are written.

    Only text with a dictionary: one of numbers takes longer to write and to read, and makes the file no smaller.
    """
    import pyarrow as pa

    return {
        "compression": "zstd",
        "use_dictionary": [field.name for field in schema if pa.types.is_string(field.type)],
    }


def write_frame(path: "Path", frame: "pd.DataFrame") -> None:
    """Write a frame as one Parquet file with the lake's types."""
    import pyarrow.parquet as pq

    from demand_assets.contract.arrow import as_stored

    stored = as_stored(to_table(frame))
    pq.write_table(stored, path, **write_options(stored.schema))


def read_frame(path: "Path | str") -> "pd.DataFrame":
    """The rows of one Parquet file of the lake, or of a folder of them."""
    import pyarrow.parquet as pq

    return to_frame(pq.read_table(path))
