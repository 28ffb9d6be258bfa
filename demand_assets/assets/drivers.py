"""Covariates and plans -> published_drivers: prices, promotions and markdowns of past and later weeks, for people."""

import dagster as dg
import pandas as pd

from demand_assets.adapters.parquet import LakeTable, ParquetLake
from demand_assets.assets.dataset import GROUP, OWNERS
from demand_assets.assets.describe import schema_of
from demand_assets.assets.ingestion import delivered
from demand_assets.assets.outages import retry_on_store_outage
from demand_assets.assets.rows import MEMBER_TABLES, driver_frames, member_keys, store_table
from demand_assets.contract.drivers import DRIVER_VALUES, DRIVERS
from demand_assets.ingestion.ahead import weeks_ahead
from demand_assets.ingestion.driver_values import driver_tables, markdowns_among
from demand_assets.recipes import charted_weeks, drivers_recipe
from demand_assets.resources import ForecastStore, Landing

_READ = ("raw_sales", "raw_covariates", "raw_series_covariates", "plans_ahead", "published_conditions")


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"sql", "parquet"},
    deps=[
        *MEMBER_TABLES,
        "dataset",
        *(dg.AssetDep(name, partition_mapping=dg.AllPartitionMapping()) for name in _READ),
    ],
    metadata={"dagster/column_schema": schema_of(DRIVERS)},
)
@retry_on_store_outage
def published_drivers(
    context: dg.AssetExecutionContext, landing: Landing, lake: ParquetLake, store: ForecastStore
) -> dg.MaterializeResult:
    """One row per driver; its values in the SQL store, of the weeks that charts show and as planned at the newest week.

    All drivers at once, in place of those before: a driver is a covariate that is known ahead, or markdowns.
    """
    from demand_assets.store.publish import publish_drivers

    weeks, recipe, members = charted_weeks(lake), drivers_recipe(lake), member_keys(lake)
    assert recipe is not None
    newest = weeks[-1]
    # Of the plans only the newest one.
    since = {"raw_covariates": weeks[0], "raw_series_covariates": weeks[0], "plans_ahead": newest}
    frames = driver_frames(lake, newest, 0, since)
    covariates, ahead = None, None
    if kinds := markdowns_among(lake.columns_of("raw_covariates", weeks)):
        covariates = lake.read("raw_covariates", weeks, ["store_id", "week", *kinds])
        ahead = weeks_ahead(delivered(context, landing, ["covariates"], members), newest).conditions
    drivers, values = driver_tables(frames, covariates, ahead, pd.Timestamp(newest))
    changed = publish_drivers(
        store.engine(), store_table(drivers, DRIVERS, members), store_table(values, DRIVER_VALUES, members)
    )
    return dg.MaterializeResult(
        value=LakeTable(drivers, {"": recipe.metadata}),
        metadata={"drivers": ", ".join(drivers["driver"]) or "none", "rows": len(values), "rows changed": changed},
    )
