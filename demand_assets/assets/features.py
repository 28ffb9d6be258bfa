"""raw data -> demand_features: tomorrow's training rows and today's serving rows, one table."""

import dagster as dg
import pandas as pd

from demand_assets.adapters.feature_files import write_features
from demand_assets.adapters.manifests import MANIFEST_NOTE, record_manifest
from demand_assets.adapters.parquet import HISTORY, PARTITION_COLUMN, ParquetLake
from demand_assets.adapters.streams import DeferredWrite
from demand_assets.assets.describe import columns_from
from demand_assets.assets.versions import record_partition_versions
from demand_assets.forecasting.features import IN_SALES_UNIT, column_texts
from demand_assets.forecasting.panel import SALES_COLUMNS, SERIES_PER_BLOCK, build_panel
from demand_assets.partitions import run_weeks, week_key, weeks_partitions
from demand_assets.provenance import code_version, fingerprint
from demand_assets.resources import Compute, Training

INPUT_NOTE = "input_version"


def input_versions(lake: ParquetLake, horizon_weeks: int) -> dict[str, str]:
    """For each landed week: one hash of everything its features are made from, code included."""
    sales, covariates = lake.versions("raw_sales"), lake.versions("raw_covariates")
    tables = {
        name: lake.notes(name, [None]).get(None, {}).get("data_version") for name in ("stores", "holiday_calendar")
    }
    hashes: dict[str, str] = {}
    running = fingerprint({"code": code_version(), "horizon": horizon_weeks, **tables})
    for key in sorted(sales):
        running = fingerprint([running, key, sales[key], covariates.get(key)])
        hashes[key] = running
    return hashes


def stale_origins(lake: ParquetLake, horizon_weeks: int, newest: int) -> list[str]:
    """Of the `newest` origins those whose stored features are missing, name no manifest, or are outdated.

    Outdated are those made from other data or code than there is now.
    """
    from demand_assets.forecasting.features import first_origin

    wanted = input_versions(lake, horizon_weeks)
    if not wanted:
        return []
    earliest = week_key(first_origin(pd.DatetimeIndex(sorted(wanted))))
    stored = lake.notes("demand_features", lake.partitions("demand_features"))
    fresh = {key for key, notes in stored.items() if notes.get(INPUT_NOTE) == wanted.get(str(key))}
    told = {key for key, notes in stored.items() if MANIFEST_NOTE in notes}
    due = [key for key in wanted if key >= earliest][-newest:]
    return [key for key in due if key not in fresh & told]


@dg.asset(
    group_name="features",
    owners=["team:forecasting"],
    kinds={"pandas", "parquet"},
    partitions_def=weeks_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    code_version=code_version(),
    hooks={record_partition_versions},
    metadata={
        PARTITION_COLUMN: "origin_week",
        "dagster/column_schema": columns_from(
            column_texts(), "float32", is_holiday="float32", **dict.fromkeys(IN_SALES_UNIT, "float64")
        ),
    },
    ins={
        "raw_sales": dg.AssetIn(
            partition_mapping=dg.AllPartitionMapping(), metadata={**HISTORY, "columns": list(SALES_COLUMNS)}
        ),
        "raw_covariates": dg.AssetIn(partition_mapping=dg.AllPartitionMapping(), metadata=HISTORY),
    },
)
def demand_features(
    context: dg.AssetExecutionContext,
    lake: ParquetLake,
    training: Training,
    compute: Compute,
    raw_sales: pd.DataFrame,
    raw_covariates: pd.DataFrame,
    stores: pd.DataFrame,
    holiday_calendar: pd.DataFrame,
) -> dg.MaterializeResult:
    """One row per active series x horizon at each origin week: what was known at the origin, nothing later."""
    origins = run_weeks(context)
    manifest = record_manifest(lake, week_key(origins[-1]), training.horizon_weeks)
    panel = build_panel(raw_sales, raw_covariates, stores, holiday_calendar, training.horizon_weeks)
    made_from = input_versions(lake, training.horizon_weeks)
    notes = {week_key(week): {INPUT_NOTE: made_from[week_key(week)], MANIFEST_NOTE: manifest} for week in origins}
    workers = compute.workers_for(len(origins))
    return dg.MaterializeResult(
        value=DeferredWrite(
            lambda into, table: write_features(
                workers, into, table, panel, list(origins), training.horizon_weeks, SERIES_PER_BLOCK, notes
            )
        ),
        data_version=dg.DataVersion(fingerprint(notes)),
        metadata={
            "origins": len(origins),
            "series": len(panel.series),
            "features": len(column_texts()),
        },
    )
