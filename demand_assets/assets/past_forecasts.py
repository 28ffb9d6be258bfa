"""Forecasts of origins before the first published one, so that there is accuracy to look at from the first day."""

from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import pandas as pd

from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.registry import ModelRegistry
from demand_assets.assets.forecasting import GROUP, OWNERS, PUBLISHED, champion_of
from demand_assets.assets.outages import retry_on_store_outage
from demand_assets.assets.rows import MEMBER_TABLES, member_keys, store_table
from demand_assets.assets.training import promoted_model
from demand_assets.contract.store import BACKTEST_KIND, FORECAST_TOTALS
from demand_assets.forecasting.baselines import BASELINES, model_rows
from demand_assets.forecasting.intervals import COLUMNS
from demand_assets.ingestion.dataset import Dataset
from demand_assets.partitions import run_weeks, week_key, weeks_partitions
from demand_assets.provenance import code_version
from demand_assets.recipes import HORIZON_KEY, PAST_FORECASTS, VINTAGE_KEY
from demand_assets.resources import Clock, ForecastStore, OrderCosts

if TYPE_CHECKING:
    from sqlalchemy import Engine

_POINT = ["store_id", "dept_id", "origin_week", "target_week"]


@dg.asset(
    name=PAST_FORECASTS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"sql", "parquet"},
    partitions_def=weeks_partitions,
    deps=[
        promoted_model,
        *MEMBER_TABLES,
        dg.AssetDep("demand_features", partition_mapping=dg.AllPartitionMapping()),
    ],
)
@retry_on_store_outage
def past_forecasts(
    context: dg.AssetExecutionContext,
    lake: ParquetLake,
    store: ForecastStore,
    registry: ModelRegistry,
    ledger: PromotionLedger,
    order_costs: OrderCosts,
    clock: Clock,
    dataset: pd.DataFrame,
) -> dg.MaterializeResult:
    """What the champion's backtest forecast at past origins without a vintage, as vintages of kind backtest.

    Each was made out of sample, by a model trained on what was known at its origin. So the weeks that followed can be
    scored, though nothing was published then. They have no attributions.
    """
    from demand_assets.adapters.promotion import backtest_kept
    from demand_assets.forecasting.totals import total_points
    from demand_assets.store.publish import VintageRecord, checked_vintage, publish_checked

    newest, unit = run_weeks(context)[0], Dataset.read(dataset).unit
    champion, engine, members = champion_of(ledger), store.engine(), member_keys(lake)
    tested = backtest_kept(registry, champion)
    forecast, errors = _forecast(tested, order_costs), total_points(tested)
    # Of the backtest, not of today's settings.
    horizon = int(forecast["horizon"].max())
    origins = [week for week in forecast["origin_week"].unique() if week < newest and not _has_vintage(engine, week)]
    versions = lake.versions_of("demand_features", [week_key(week) for week in origins])
    for origin in origins:
        own = forecast[forecast["origin_week"] == origin].reset_index(drop=True)
        record = VintageRecord(
            origin_week=origin.date(),
            horizon_weeks=horizon,
            method=champion.method,
            model_version=champion.version,
            data_version=versions[week_key(origin)],
            code_version=code_version("training"),
            published_at=clock.now(),
            unit=unit,
            kind=BACKTEST_KIND,
        )
        vintage = checked_vintage(
            record,
            store_table(own, PUBLISHED, members),
            store_table(
                _totals(own, errors[errors["target_week"] <= origin], horizon),
                FORECAST_TOTALS.without("vintage_id"),
                members,
            ),
        )
        # The file comes first: an origin that has a vintage is not looked at again.
        notes = {VINTAGE_KEY: vintage.vintage_id, HORIZON_KEY: str(horizon)}
        lake.write(PAST_FORECASTS, week_key(origin), own[[*PUBLISHED.names, *BASELINES]], notes)
        publish_checked(engine, vintage)
    return dg.MaterializeResult(metadata={"origins": [week_key(origin) for origin in origins]})


def _has_vintage(engine: "Engine", origin: pd.Timestamp) -> bool:
    from demand_assets.store.queries import vintages_of

    with engine.connect() as connection:
        return bool(vintages_of(connection, origin.date()))


def _forecast(tested: pd.DataFrame, costs: OrderCosts) -> pd.DataFrame:
    """The trained model's rows of a backtest with order quantities, and the baselines' forecasts beside them."""
    from demand_assets.forecasting.orders import order_quantities

    own = model_rows(tested).reset_index(drop=True)
    others = tested.set_index([*_POINT, "model"])["forecast"].unstack("model")  # noqa: PD010 one row per point
    orders = order_quantities(own, costs.underage, costs.overage)
    return own.assign(order_quantity=orders).merge(
        others.reindex(columns=list(BASELINES)).reset_index(), on=_POINT, how="left", validate="one_to_one"
    )


def _totals(forecast: pd.DataFrame, known: pd.DataFrame, horizon_weeks: int) -> pd.DataFrame:
    """Totals of one origin, with intervals from the errors `known` then; without any where there were none."""
    from demand_assets.forecasting.totals import calibrate_totals, total

    calibrations = calibrate_totals(known, horizon_weeks)
    made = total(forecast, calibrations)
    bare = made["level"].isin([level for level, calibration in calibrations.items() if calibration.is_none])
    made.loc[bare, list(COLUMNS)] = np.nan
    return made
