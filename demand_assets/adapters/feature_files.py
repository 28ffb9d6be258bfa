"""Files of demand_features. Each worker makes and writes those of its origins."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.streams import LakeStream, write_stream
from demand_assets.forecasting.features import block_features, feature_blocks
from demand_assets.forecasting.panel import Panel
from demand_assets.forecasting.ports import Workers, dealt
from demand_assets.partitions import week_key

if TYPE_CHECKING:
    import pandas as pd


def write_features(
    workers: Workers,
    lake: ParquetLake,
    table: str,
    panel: Panel,
    origins: "Sequence[pd.Timestamp]",
    horizon_weeks: int,
    series_per_block: int,
    metadata: Mapping[str, Mapping[str, str]],
) -> tuple[int, int]:
    """Make demand_features of `origins` and write one file each; (rows, bytes). No row passes this process.

    `metadata` maps a week to what its file's footer keeps beside the rows.
    """
    parts = dealt(origins, workers.count)
    shared = (lake.table_uri(table), table, panel, horizon_weeks, series_per_block, workers.threads, dict(metadata))
    rows, size = zip(*workers.map(write_origins, parts, *shared), strict=True)
    return sum(rows), sum(size)


def write_origins(
    uri: str,
    table: str,
    panel: Panel,
    horizon_weeks: int,
    series_per_block: int,
    threads: int,
    metadata: Mapping[str, Mapping[str, str]],
    origins: "Sequence[pd.Timestamp]",
) -> tuple[int, int]:
    """Write the files of some origins into the lake at `uri`, one block of series in memory at a time; (rows, bytes).

    The bytes depend neither on which other origins are made with them nor on the number of threads.
    """
    blocks = (
        (week_key(origin), columns)
        for block in feature_blocks(panel, series_per_block)
        for origin, columns in block_features(block, origins, horizon_weeks, threads)
    )
    keys = [week_key(origin) for origin in origins]
    return write_stream(ParquetLake(uri=uri), table, keys, LakeStream(blocks, metadata))
