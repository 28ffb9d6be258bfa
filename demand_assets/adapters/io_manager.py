"""How assets get into the lake and out of it."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import dagster as dg

from demand_assets.adapters.files import AT_ONCE
from demand_assets.adapters.parquet import KEEP_VERSIONS, PARTITION_COLUMN, LakeTable, ParquetLake
from demand_assets.adapters.streams import DeferredWrite
from demand_assets.adapters.table_refs import stored_weeks

if TYPE_CHECKING:
    import pandas as pd


class ParquetIOManager(dg.ConfigurableIOManager):
    """Assets in the lake.

    Asset metadata `partition_column` names the week column by which a run over many weeks is split into files, and
    `keep_versions` keeps what a correction replaces. An input is the rows of its `stored_weeks`; its metadata `columns`
    reads only those.
    """

    lake: ParquetLake

    def handle_output(self, context: dg.OutputContext, obj: "DeferredWrite | LakeTable | pd.DataFrame") -> None:
        """Write one file per partition of the run; rows of other weeks are refused."""
        table = context.asset_key.to_user_string().replace("/", ".")
        if isinstance(obj, DeferredWrite):
            rows, size = obj.write(self.lake, table)
            self._describe(context, table, rows, size, len(list(context.asset_partition_keys)))
            return
        made = obj if isinstance(obj, LakeTable) else LakeTable(obj)
        keep = bool((context.definition_metadata or {}).get(KEEP_VERSIONS))
        if not context.has_asset_partitions:
            _, size = self.lake.write(table, None, made.frame, made.metadata.get("", {}), keep)
            context.add_output_metadata(
                {
                    "dagster/row_count": len(made.frame),
                    "file": dg.MetadataValue.path(self.lake.path(table, None)),
                    "bytes": size,
                }
            )
            return
        keys = sorted(context.asset_partition_keys)
        if made.only is not None:
            keys = [key for key in keys if key in made.only]
        if not keys:
            self._describe(context, table, 0, 0, 0)
            return
        column = (context.definition_metadata or {}).get(PARTITION_COLUMN)
        parts = {keys[0]: made.frame} if column is None else _split(made.frame, str(column))
        if column is None and len(keys) > 1:
            raise ValueError(f"{table} is made one week at a time, got {len(keys)} weeks")
        strangers = sorted(set(parts) - set(keys))
        if strangers:
            raise ValueError(f"{table} was asked for {keys[0]}..{keys[-1]} but holds rows of {strangers[0]}")
        # An asked week without rows is written empty, so that what it held before does not linger.
        empty = made.frame.iloc[:0]
        known = self.lake.metadata(table, keys)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            sizes = pool.map(
                lambda key: self.lake.write(table, key, parts.get(key, empty), made.metadata.get(key), keep, known)[1],
                keys,
            )
            total = sum(sizes)
        self._describe(context, table, len(made.frame), total, len(keys))

    def _describe(self, context: dg.OutputContext, table: str, rows: int, size: int, weeks: int) -> None:
        context.add_output_metadata(
            {
                "dagster/row_count": rows,
                "weeks": weeks,
                "bytes": size,
                "folder": dg.MetadataValue.path(self.lake.address(table)),
            }
        )

    def load_input(self, context: dg.InputContext) -> "pd.DataFrame":
        """Read the partitions an asset asked for."""
        table = context.asset_key.to_user_string().replace("/", ".")
        keys = stored_weeks(context, self.lake, table) if context.has_asset_partitions else None
        frame = self.lake.read(table, keys, (context.definition_metadata or {}).get("columns"))
        if frame is None:
            raise FileNotFoundError(f"{table} has no data yet; materialise it first")
        return frame


def _split(frame: "pd.DataFrame", column: str) -> dict[str, "pd.DataFrame"]:
    """One slice per week, views of the frame where it is sorted by week already."""
    import numpy as np

    if not frame[column].is_monotonic_increasing:
        frame = frame.sort_values(column, kind="stable")
    weeks, starts = np.unique(frame[column].to_numpy(), return_index=True)
    ends = [*starts, len(frame)][1:]
    keys = [str(week)[:10] for week in weeks]
    return {key: frame.iloc[start:end] for key, start, end in zip(keys, starts, ends, strict=True)}
