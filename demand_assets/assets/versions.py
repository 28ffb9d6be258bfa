"""Data versions of weekly partitions: each the hash of its own content."""

import dagster as dg
from dagster import AssetMaterialization, DagsterEvent, DagsterEventType
from dagster._core.events import DagsterEventBatchMetadata, StepMaterializationData

VERSION_TAG = "dagster/data_version"
# What a file's footer may say of its rows, and what the UI draws over the partitions.
ROWS_NOTE, ROWS_METADATA = "rows", "dagster/partition_row_count"


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
    made = [
        record.asset_materialization
        for record in records
        if record.asset_materialization is not None
        and record.asset_materialization.partition is not None
        and record.event_log_entry.step_key == context.step_key
    ]
    if not made:
        return
    table = made[0].asset_key.to_user_string()
    notes = lake.notes(table, [event.partition for event in made])
    versions = {event.partition: notes[event.partition]["data_version"] for event in made}
    wrong = [event for event in made if (event.tags or {}).get(VERSION_TAG) != versions[event.partition]]
    # The newest week last, which is then what the asset's page shows.
    for number, event in enumerate(sorted(wrong, key=lambda event: str(event.partition)), start=1):
        rows = notes[event.partition].get(ROWS_NOTE)
        versioned = AssetMaterialization(
            asset_key=event.asset_key,
            partition=event.partition,
            metadata=event.metadata if rows is None else {**event.metadata, ROWS_METADATA: int(rows)},
            tags={
                **(event.tags or {}),
                VERSION_TAG: versions[event.partition],
                "dagster/data_version_is_user_provided": "true",
            },
        )
        context.instance.report_dagster_event(
            DagsterEvent(
                event_type_value=DagsterEventType.ASSET_MATERIALIZATION.value,
                job_name=context.job_name,
                step_key=context.step_key,
                event_specific_data=StepMaterializationData(versioned),
                message=f"{table} {event.partition} has its own data version.",
            ),
            run_id=context.run_id,
            batch_metadata=DagsterEventBatchMetadata(f"{context.run_id} {context.step_key}", number == len(wrong)),
        )
