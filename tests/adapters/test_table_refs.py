"""What an input finds in the lake: every week it asks for, or one line that says which is missing."""

from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from demand_assets.adapters.io_manager import ParquetIOManager
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.table_refs import TableRefManager

KEYS = ["2012-02-03", "2012-02-10", "2012-02-17"]


@pytest.fixture
def lake(tmp_path: Path) -> ParquetLake:
    return ParquetLake(uri=str(tmp_path))


def asking_for(first: str, last: str) -> dg.InputContext:
    return dg.build_input_context(
        asset_key=dg.AssetKey("raw_sales"),
        asset_partition_key_range=dg.PartitionKeyRange(first, last),
        asset_partitions_def=dg.StaticPartitionsDefinition(KEYS),
    )


@pytest.mark.parametrize("manager", [ParquetIOManager, TableRefManager])
def test_a_missing_week_is_named(lake: ParquetLake, manager: type[ParquetIOManager | TableRefManager]) -> None:
    lake.write("raw_sales", KEYS[0], pd.DataFrame({"week": KEYS[:1]}))
    with pytest.raises(FileNotFoundError, match="raw_sales has no data for 2012-02-10 and 1 more weeks; materialise"):
        manager(lake=lake).load_input(asking_for(KEYS[0], KEYS[2]))
    lake.write("raw_sales", KEYS[1], pd.DataFrame({"week": KEYS[1:2]}))
    with pytest.raises(FileNotFoundError, match=r"^raw_sales has no data for 2012-02-17; materialise raw_sales for it"):
        manager(lake=lake).load_input(asking_for(KEYS[0], KEYS[2]))


def test_both_ways_give_the_same_rows(lake: ParquetLake) -> None:
    for key in KEYS:
        lake.write("raw_sales", key, pd.DataFrame({"week": [key]}))
    context = asking_for(KEYS[1], KEYS[2])
    named = TableRefManager(lake=lake).load_input(context)
    assert named.keys == tuple(KEYS[1:])
    pd.testing.assert_frame_equal(named.read(), ParquetIOManager(lake=lake).load_input(context))
    assert named.count() == 2
    assert named.only([KEYS[2], KEYS[0]]).keys == (KEYS[2],)
    assert [(key, frame["week"].tolist()) for key, frame in named.weeks()] == [(key, [key]) for key in KEYS[1:]]


def test_rows_are_not_written_by_name(lake: ParquetLake) -> None:
    with pytest.raises(TypeError, match="raw_sales is to be written by io_manager, not by table_refs"):
        TableRefManager(lake=lake).handle_output(dg.build_output_context(asset_key=dg.AssetKey("raw_sales")), None)
