"""Data versions of weekly partitions: each the hash of its own content."""

from collections.abc import Mapping

import dagster as dg
from dagster import AssetMaterialization, DagsterEventType

from demand_assets.adapters.dagster_internals import DagsterEventBatchMetadata
from demand_assets.adapters.parquet import VERSION_KEY
from demand_assets.landed_weeks import ROWS_KEY

VERSION_TAG = "dagster/data_version"
# What the UI draws over the partitions.
ROWS_METADATA = "dagster/partition_row_count"


@dg.success_hook(required_resource_keys={"lake"})
def record_partition_versions(context: dg.HookContext) -> None:
    """After a run over many weeks, give each partition the version of its own rows.

    Dagster records one data version for all partitions of a run (dagster#34013). A run over one week has the right one
    already; for a range each partition is reported once more, with the hash that its file in the lake carries, and the
    number of rows where it carries that too.
    """
    lake = context.resources.lake
    records = context.instance.get_records_for_run(
        context.run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION, limit=10_000
    ).records
    made = {
        str(event.partition): (record.event_log_entry.get_dagster_event(), event)
        for record in records
        if (event := record.asset_materialization) is not None
        and event.partition is not None
        and record.event_log_entry.step_key == context.step_key
    }
    if not made:
        return
    table = next(iter(made.values()))[1].asset_key.to_user_string()
    metadata = lake.metadata(table, list(made))
    # A week that has nothing to keep has no file.
    wrong = [
        key
        for key, (_, event) in made.items()
        if key in metadata and (event.tags or {}).get(VERSION_TAG) != metadata[key][VERSION_KEY]
    ]
    # The newest week last, which is then what the asset's page shows.
    for number, key in enumerate(sorted(wrong), start=1):
        recorded, event = made[key]
        context.instance.report_dagster_event(
            recorded._replace(
                event_specific_data=recorded.step_materialization_data._replace(
                    materialization=_versioned(event, metadata[key])
                ),
                message=f"{table} {key} has its own data version.",
            ),
            run_id=context.run_id,
            batch_metadata=DagsterEventBatchMetadata(f"{context.run_id} {context.step_key}", number == len(wrong)),
        )


def _versioned(event: AssetMaterialization, metadata: Mapping[str, str]) -> AssetMaterialization:
    """The same materialisation with the version, and if noted the number of rows, of its own partition."""
    rows = metadata.get(ROWS_KEY)
    return AssetMaterialization(
        asset_key=event.asset_key,
        partition=event.partition,
        metadata=event.metadata if rows is None else {**event.metadata, ROWS_METADATA: int(rows)},
        tags={
            **(event.tags or {}),
            VERSION_TAG: metadata[VERSION_KEY],
            "dagster/data_version_is_user_provided": "true",
        },
    )
