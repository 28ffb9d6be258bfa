"""raw data -> demand_features: tomorrow's training rows and today's serving rows, one table."""

from collections.abc import Mapping

import dagster as dg
import pandas as pd

from demand_assets.adapters.feature_files import write_features
from demand_assets.adapters.manifests import DRIVERS, MANIFEST_KEY, record_manifest
from demand_assets.adapters.parquet import HISTORY, PARTITION_COLUMN, ParquetLake
from demand_assets.adapters.streams import DeferredWrite
from demand_assets.assets.describe import columns_from
from demand_assets.assets.rows import absent_rows, driver_frames
from demand_assets.assets.versions import record_partition_versions
from demand_assets.forecasting.features import IN_SALES_UNIT, column_texts, driver_columns
from demand_assets.forecasting.panel import SALES_COLUMNS, SERIES_PER_BLOCK, build_panel
from demand_assets.ingestion.dataset import Dataset
from demand_assets.partitions import run_weeks, week_key, weeks_partitions
from demand_assets.provenance import code_version, fingerprint
from demand_assets.recipes import feature_recipes
from demand_assets.resources import Compute, Training

COLUMN_SCHEMA = "dagster/column_schema"


def _schema(texts: Mapping[str, str]) -> dg.TableSchema:
    """The column table of demand_features."""
    return columns_from(texts, "float32", is_holiday="float32", **dict.fromkeys(IN_SALES_UNIT, "float64"))


@dg.asset(
    group_name="features",
    owners=["team:forecasting"],
    kinds={"pandas", "parquet"},
    partitions_def=weeks_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    code_version=code_version("features"),
    hooks={record_partition_versions},
    metadata={
        PARTITION_COLUMN: "origin_week",
        COLUMN_SCHEMA: _schema(column_texts()),
    },
    # Read in the body: a retailer without drivers has no such tables.
    deps=[*(dg.AssetDep(name, partition_mapping=dg.AllPartitionMapping()) for name in DRIVERS), "departments"],
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
    dataset: pd.DataFrame,
) -> dg.MaterializeResult:
    """One row per active series x horizon at each origin week: what was known at the origin, nothing later."""
    origins = run_weeks(context)
    newest = week_key(origins[-1])
    manifest = record_manifest(lake, newest, training.horizon_weeks, Dataset.read(dataset))
    absent = absent_rows(lake)
    horizon = training.horizon_weeks
    drivers = driver_frames(lake, newest, horizon)
    panel = build_panel(raw_sales, raw_covariates, stores, holiday_calendar, horizon, absent, drivers)
    texts = column_texts(driver_columns(panel.drivers))
    recipes = feature_recipes(lake, training.horizon_weeks)
    metadata = {week_key(week): {**recipes[week_key(week)].metadata, MANIFEST_KEY: manifest} for week in origins}
    workers = compute.workers_for(len(origins))
    return dg.MaterializeResult(
        value=DeferredWrite(
            lambda into, table: write_features(
                workers, into, table, panel, list(origins), training.horizon_weeks, SERIES_PER_BLOCK, metadata
            )
        ),
        data_version=dg.DataVersion(fingerprint(metadata)),
        metadata={
            "origins": len(origins),
            "series": len(panel.series),
            "features": len(texts),
            COLUMN_SCHEMA: _schema(texts),
        },
    )
