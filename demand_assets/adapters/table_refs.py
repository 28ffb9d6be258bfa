"""References to tables of the lake: the rows are read where they are used, not passed around."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import dagster as dg

from demand_assets.adapters.parquet import ParquetLake

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TableRef:
    """The rows of some weeks of a table at `uri`, not read yet; it travels to other processes as these few words."""

    uri: str
    table: str
    keys: tuple[str, ...]

    def only(self, keys: Sequence[str]) -> "TableRef":
        """Those of its weeks that are among `keys`."""
        wanted = set(keys)
        return replace(self, keys=tuple(key for key in self.keys if key in wanted))

    def read(self, columns: Sequence[str] | None = None, where: Mapping[str, float] | None = None) -> "pd.DataFrame":
        """All rows, or those `where` columns have these values, in order of week; FileNotFoundError without a file."""
        frame = ParquetLake(uri=self.uri).read(self.table, self.keys, columns, where)
        if frame is None:
            raise FileNotFoundError(f"{self.table} has no data yet; materialise it first")
        return frame

    def count(self) -> int:
        """Number of its rows, read from the ends of its files."""
        return ParquetLake(uri=self.uri).rows(self.table, self.keys)

    def columns(self) -> list[str]:
        """Names of the columns of its newest week."""
        return ParquetLake(uri=self.uri).columns_of(self.table, self.keys[-1:])

    def parts(self, most_rows: int, columns: Sequence[str] | None = None) -> "Iterator[pd.DataFrame]":
        """All rows, in order of week, about `most_rows` at a time but no less than a week."""
        at_once = max(1, most_rows * len(self.keys) // max(self.count(), 1))
        for first in range(0, len(self.keys), at_once):
            yield self.only(self.keys[first : first + at_once]).read(columns)

    def weeks(self, columns: Sequence[str] | None = None) -> "Iterator[tuple[str, pd.DataFrame]]":
        """Each week's rows, one week in memory at a time."""
        for key in self.keys:
            yield key, self.only([key]).read(columns)


def stored_weeks(context: dg.InputContext, lake: ParquetLake, table: str) -> list[str]:
    """The weeks of a table that an input asks for and that have a file, in order; FileNotFoundError without any.

    Input metadata `history` asks for every earlier week that has landed, up to the newest week of the run; without it
    a missing week is an error.
    """
    held = set(lake.partitions(table))
    asked = sorted(context.asset_partition_keys)
    if (context.definition_metadata or {}).get("history"):
        newest = context.step_context.partition_key_range.end
        asked = [key for key in asked if key <= newest and key in held]
    missing = [key for key in asked if key not in held]
    if missing:
        raise FileNotFoundError(
            f"{table} has no data for {missing[0]}"
            + (f" and {len(missing) - 1} more weeks" if missing[1:] else "")
            + f"; materialise {table} for it first"
        )
    if not asked:
        raise FileNotFoundError(f"{table} has no data yet; materialise it first")
    return asked


class TableRefManager(dg.ConfigurableIOManager):
    """Gives an asset the `TableRef` of an upstream's `stored_weeks`."""

    lake: ParquetLake

    def load_input(self, context: dg.InputContext) -> TableRef:
        """The weeks that the input asks for; FileNotFoundError when one of them, or all, have no file."""
        table = context.asset_key.to_user_string().replace("/", ".")
        return TableRef(self.lake.table_uri(table), table, tuple(stored_weeks(context, self.lake, table)))

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Assets are written by `ParquetIOManager`; TypeError."""
        raise TypeError(f"{context.asset_key.to_user_string()} is to be written by io_manager, not by table_refs")
