"""Tables of the lake by name instead of by value: whoever works on the rows reads them, where it works."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import dagster as dg

from demand_assets.adapters.parquet import ParquetLake

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LakeRows:
    """The rows of some weeks of a table at `uri`, not read yet; it travels to other processes as these few words."""

    uri: str
    table: str
    keys: tuple[str, ...]

    def only(self, keys: Sequence[str]) -> "LakeRows":
        """Those of its weeks that are among `keys`."""
        wanted = set(keys)
        return replace(self, keys=tuple(key for key in self.keys if key in wanted))

    def read(self, columns: Sequence[str] | None = None) -> "pd.DataFrame":
        """All rows, in order of week; FileNotFoundError when there are none."""
        frame = ParquetLake(uri=self.uri).read(self.table, self.keys, columns)
        if frame is None:
            raise FileNotFoundError(f"{self.table} has no data yet; materialise it first")
        return frame

    def count(self) -> int:
        """Number of its rows, read from the ends of its files."""
        return ParquetLake(uri=self.uri).rows(self.table, self.keys)

    def weeks(self, columns: Sequence[str] | None = None) -> "Iterator[tuple[str, pd.DataFrame]]":
        """Each week's rows, one week in memory at a time."""
        for key in self.keys:
            yield key, self.only([key]).read(columns)


class LakeRowsManager(dg.ConfigurableIOManager):
    """Gives an asset the `LakeRows` of an upstream's weeks, up to the newest week of the run."""

    lake: ParquetLake

    def load_input(self, context: dg.InputContext) -> LakeRows:
        """The weeks that have a file; FileNotFoundError when there are none."""
        table = context.asset_key.to_user_string().replace("/", ".")
        newest = context.step_context.partition_key_range.end
        held = set(self.lake.partitions(table))
        keys = tuple(key for key in sorted(context.asset_partition_keys) if key <= newest and key in held)
        if not keys:
            raise FileNotFoundError(f"{table} has no data yet; materialise it first")
        return LakeRows(self.lake.place(table), table, keys)

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Assets are written by `ParquetIOManager`; TypeError."""
        raise TypeError(f"{context.asset_key.to_user_string()} is to be written by io_manager, not by lake_rows")
