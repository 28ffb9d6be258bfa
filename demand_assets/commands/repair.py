"""`demand repair`: remove what belongs to no week with sales, and bring old files to the present form."""

import os
from typing import TYPE_CHECKING

from demand_assets.commands.instance import child_environment, fail_orphaned_runs, only_run
from demand_assets.commands.terminal import print_json, terminal
from demand_assets.settings import read_settings

if TYPE_CHECKING:
    from demand_assets.adapters.parquet import ParquetLake


def repair_workspace(as_json: bool) -> None:
    """Remove files of weeks without a row of sales, and partitions that are no week with sales; end killed runs.

    Files whose weeks are in nanoseconds get dates. What is published stays.
    DemandError while a `demand run` is at work.
    """
    settings = read_settings()
    os.environ.update(child_environment(settings))
    with only_run(settings.home):
        import dagster as dg

        from demand_assets.adapters.parquet import ParquetLake
        from demand_assets.landed_weeks import empty_weeks
        from demand_assets.partitions import register_weeks, stray_partitions

        lake = ParquetLake(uri=settings.lake, table_uris=settings.table_uris)
        sold = sorted({*lake.partitions("raw_sales")} - {*empty_weeks(lake)})
        files = _remove_weeks_but(sold, lake)
        dated = lake.date_weeks()
        with dg.DagsterInstance.get() as instance:
            fail_orphaned_runs(instance, settings)
            strays = stray_partitions(instance, sold)
            for key in strays:
                instance.delete_dynamic_partition("weeks", key)
            register_weeks(instance, sold)
    if as_json:
        print_json({"files": files, "partitions": strays, "dated": dated})
        return
    for line in [*(f"removed {file}" for file in files), *(f"removed partition {key}" for key in strays)]:
        terminal().print(line)
    if dated:
        terminal().print(f"wrote the weeks of {len(dated)} files as dates")
    elif not (files or strays):
        terminal().print("nothing to repair")
    if files or strays:
        terminal().print("Next: demand run")


def _remove_weeks_but(sold: list[str], lake: "ParquetLake") -> list[str]:
    """Remove the files of other weeks from every table by week; their addresses."""
    from demand_assets.definitions import defs
    from demand_assets.partitions import weeks_partitions

    graph = defs.resolve_asset_graph()
    tables = [
        key.to_user_string() for key in graph.get_all_asset_keys() if graph.get(key).partitions_def == weeks_partitions
    ]
    # Sales last: a repair that is interrupted then finds the same weeks again.
    tables.sort(key=lambda table: (table == "raw_sales", table))
    found = [(table, key) for table in tables for key in lake.partitions(table) if key not in set(sold)]
    for table, key in found:
        lake.remove(table, key)
    return [lake.path(table, key) for table, key in found]
