"""The smallest run: does everything that a run needs answer it?"""

import dagster as dg

from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.registry import ModelRegistry
from demand_assets.resources import ForecastStore

SMOKE = "smoke"


@dg.op(name="ask_services")
def ask_services_op(
    context: dg.OpExecutionContext, lake: ParquetLake, registry: ModelRegistry, store: ForecastStore
) -> None:
    """Ask the lake, MLflow and the store for something; change nothing."""
    store.engine()
    found = {"models": len(registry.versions()), "has stores": lake.exists("stores")}
    context.add_output_metadata(found)
