"""Forecasts of origins before the first published one, so that there is accuracy to look at from the first day."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import pandas as pd

from demand_assets.adapters.kept_models import BACKTEST_MODEL, kept_model
from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.registry import ModelRegistry, RegisteredVersion
from demand_assets.adapters.table_refs import TableRef
from demand_assets.assets.forecasting import (
    GROUP,
    OWNERS,
    PUBLISHED,
    attributions_table,
    champion_of,
    forecast_with,
)
from demand_assets.assets.outages import retry_on_store_outage
from demand_assets.assets.rows import MEMBER_TABLES, member_keys, store_table
from demand_assets.assets.training import ALL_ROWS, promoted_model
from demand_assets.contract.store import BACKTEST_KIND, FORECAST_TOTALS
from demand_assets.forecasting.attributions import attributions
from demand_assets.forecasting.baselines import BASELINES, model_rows
from demand_assets.forecasting.intervals import COLUMNS
from demand_assets.forecasting.promotion import untrained_forecaster
from demand_assets.forecasting.weeks import add_weeks
from demand_assets.ingestion.dataset import Dataset
from demand_assets.origins import DELIVERED_WEEKS, serving_origin
from demand_assets.partitions import run_weeks, week_key, weeks_partitions
from demand_assets.provenance import code_version
from demand_assets.recipes import HORIZON_KEY, PAST_FORECASTS, RECIPE_KEY, VINTAGE_KEY, training_settings
from demand_assets.resources import Clock, ForecastStore, OrderCosts, Training

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from demand_assets.forecasting.forecaster import Forecaster
    from demand_assets.store.publish import VintageRecord

# Rows whose attributions are made together: each time, the tables of all the model's trees are made first.
ROWS_AT_ONCE = 200_000
_POINT = ["store_id", "dept_id", "origin_week", "target_week"]


@dg.asset(
    name=PAST_FORECASTS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"sql", "parquet"},
    partitions_def=weeks_partitions,
    deps=[promoted_model, *MEMBER_TABLES],
    ins={"demand_features": ALL_ROWS},
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
    training: Training,
    dataset: pd.DataFrame,
    demand_features: TableRef,
) -> dg.MaterializeResult:
    """Forecasts of past origins without a vintage, as vintages of kind backtest.

    Each was made out of sample, by a model trained on what was known at its origin or before. So the weeks that
    followed can be scored, though nothing was published then. At the origins of the champion's backtest it is what
    that forecast, without attributions. At the other origins of the newest weeks one model of the backtest forecasts,
    which the backtest has kept.
    """
    from demand_assets.adapters.promotion import backtest_kept
    from demand_assets.forecasting.totals import total_points
    from demand_assets.store.publish import VintageRecord, checked_vintage, publish_checked

    newest, unit = run_weeks(context)[0], Dataset.read(dataset).unit
    champion, engine, members = champion_of(ledger), store.engine(), member_keys(lake)
    tested = backtest_kept(registry, champion)
    rows, errors = _tested_rows(tested, order_costs), total_points(tested)
    # Of the backtest, not of today's settings.
    horizon = int(rows["horizon"].max())
    judged, as_of = set(rows["origin_week"]), pd.Timestamp(champion.as_of)
    served_from = serving_origin([*judged], as_of)
    candidates = judged | _delivered_weeks(demand_features, served_from, champion, training)
    origins = [week for week in sorted(candidates) if week < newest and not _has_vintage(engine, week)]
    forecaster = None
    if not judged.issuperset(origins):
        known = tested[tested["target_week"] <= served_from]
        if champion.is_trained:
            kept = kept_model(lake, BACKTEST_MODEL, champion.as_of, {RECIPE_KEY: champion.fingerprint})
            forecaster = kept and kept.judged(known, training.horizon_weeks)
        else:
            quantiles = training.config().quantiles
            forecaster, _ = untrained_forecaster(champion.method, known, served_from, horizon, quantiles)
    if forecaster is None:
        origins = [week for week in origins if week in judged]
    versions = lake.versions_of("demand_features", [week_key(week) for week in origins])
    others = demand_features.only([week_key(week) for week in origins if week not in judged])
    attributed = iter(()) if forecaster is None else _attributed(forecaster, others)
    for origin in origins:
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
        if origin in judged or forecaster is None:
            own, why = rows[rows["origin_week"] == origin].reset_index(drop=True), None
        else:
            features, why = next(attributed)
            own = _delivered(forecaster, features, order_costs, record)
        totals = _totals(own, errors[errors["target_week"] <= origin], horizon)
        vintage = checked_vintage(
            record,
            store_table(own, PUBLISHED, members),
            store_table(totals, FORECAST_TOTALS.without("vintage_id"), members),
            () if why is None else attributions_table(why, members),
        )
        # The file comes first: an origin that has a vintage is not looked at again.
        notes = {VINTAGE_KEY: vintage.vintage_id, HORIZON_KEY: str(horizon)}
        lake.write(PAST_FORECASTS, week_key(origin), own[[*PUBLISHED.names, *BASELINES]], notes)
        publish_checked(engine, vintage)
    return dg.MaterializeResult(metadata={"origins": [week_key(origin) for origin in origins]})


def _delivered_weeks(
    features: TableRef, served_from: pd.Timestamp, champion: RegisteredVersion, training: Training
) -> set[pd.Timestamp]:
    """The newest weeks before the champion was trained; none where it was trained with settings of another day."""
    if champion.is_trained and champion.settings != training_settings(training):
        return set()
    as_of = pd.Timestamp(champion.as_of)
    first = max(served_from, add_weeks(as_of, -DELIVERED_WEEKS))
    return {week for week in map(pd.Timestamp, features.keys) if first <= week < as_of}


def _attributed(forecaster: "Forecaster", features: TableRef) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """The features of each origin and what moved their forecasts, in order of origin."""
    for rows in features.parts(ROWS_AT_ONCE):
        why = attributions(forecaster, rows)
        for places in rows.groupby("origin_week").indices.values():
            yield rows.iloc[places].reset_index(drop=True), why.iloc[places].reset_index(drop=True)


def _delivered(
    forecaster: "Forecaster", features: pd.DataFrame, costs: OrderCosts, record: "VintageRecord"
) -> pd.DataFrame:
    """The forecast of one origin as the model made it, with `scale` and `is_holiday`, which totals are made with."""
    made = forecast_with(
        forecaster,
        features,
        costs,
        model_version=record.model_version,
        data_version=record.data_version,
        code=record.code_version,
    )
    return made.assign(scale=features["scale"].to_numpy(), is_holiday=features["is_holiday"].to_numpy() > 0)


def _has_vintage(engine: "Engine", origin: pd.Timestamp) -> bool:
    from demand_assets.store.queries import vintages_of

    with engine.connect() as connection:
        return bool(vintages_of(connection, origin.date()))


def _tested_rows(tested: pd.DataFrame, costs: OrderCosts) -> pd.DataFrame:
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
