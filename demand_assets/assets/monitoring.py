"""Actuals against the vintages that foresaw them."""

import dagster as dg
import pandas as pd

from demand_assets.adapters.parquet import PARTITION_COLUMN, LakeTable, ParquetLake
from demand_assets.assets.describe import columns_from, frame_markdown
from demand_assets.assets.features import INPUT_NOTE
from demand_assets.forecasting.metrics import score
from demand_assets.partitions import run_weeks, week_key, weeks_partitions
from demand_assets.resources import ForecastStore

ACCURACY_COLUMNS = {
    "week": "The week that was forecast",
    "vintage_id": "The published forecast that foresaw it",
    "model": "Name of the model",
    "horizon": "Weeks ahead it was forecast",
    "points": "Series with a forecast and an actual",
    "wmae": "Weighted mean absolute error, USD; weight 5 in holiday weeks",
    "mae": "Mean absolute error, USD",
    "rmse": "Root mean squared error, USD",
    "bias": "Mean of forecast less actual, USD",
}


def unscored_weeks(lake: ParquetLake) -> list[str]:
    """Weeks whose present sales have not been scored yet, as after a run that was killed between the two."""
    scored = lake.notes("forecast_accuracy", lake.partitions("forecast_accuracy"))
    return [
        key for key, version in lake.versions("raw_sales").items() if scored.get(key, {}).get(INPUT_NOTE) != version
    ]


@dg.asset(
    group_name="monitoring",
    owners=["team:forecasting"],
    kinds={"sql", "parquet"},
    partitions_def=weeks_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    metadata={PARTITION_COLUMN: "week", "dagster/column_schema": columns_from(ACCURACY_COLUMNS)},
)
def forecast_accuracy(
    context: dg.AssetExecutionContext, lake: ParquetLake, store: ForecastStore, raw_sales: pd.DataFrame
) -> dg.MaterializeResult:
    """Actuals of the week into the SQL store, and per earlier vintage and horizon its WMAE, MAE, RMSE and bias."""
    from demand_assets.store.publish import publish_accuracy, publish_actuals
    from demand_assets.store.queries import forecasts_for, vintages_covering

    engine = store.engine()
    weeks = run_weeks(context)
    columns = ["store_id", "dept_id", "week", "weekly_sales_usd", "is_holiday"]
    values = {name: raw_sales[name].tolist() for name in columns}
    values["week"] = [week.date() for week in raw_sales["week"]]
    changed = publish_actuals(engine, list(zip(*values.values(), strict=True)))

    scored: list[pd.DataFrame] = []
    with engine.connect() as connection:
        for week in weeks:
            actuals = raw_sales[raw_sales["week"] == week]
            for vintage in vintages_covering(connection, week.date()):
                forecasts = pd.DataFrame(forecasts_for(connection, vintage["vintage_id"], week.date()))
                if forecasts.empty:
                    continue
                points = forecasts.merge(actuals, on=["store_id", "dept_id"], how="inner")
                points = points.assign(
                    model=vintage["model_name"], actual_usd=points["weekly_sales_usd"], vintage_id=vintage["vintage_id"]
                )
                scored.append(score(points, ["vintage_id", "horizon"]).assign(week=week))
    table = pd.concat(scored, ignore_index=True) if scored else pd.DataFrame(columns=list(ACCURACY_COLUMNS))
    table = table[list(ACCURACY_COLUMNS)]
    if scored:
        publish_accuracy(
            engine,
            [
                (pd.Timestamp(row["week"]).date(), *(row[name] for name in ACCURACY_COLUMNS if name != "week"))
                for row in table.to_dict(orient="records")
            ],
        )
    keys = [week_key(week) for week in weeks]
    made_from = lake.versions_of("raw_sales", keys)
    return dg.MaterializeResult(
        value=LakeTable(table, {key: {INPUT_NOTE: made_from[key]} for key in keys}),
        metadata={
            "actuals changed": changed,
            "vintages scored": 0 if table.empty else int(table["vintage_id"].nunique()),
            "accuracy": frame_markdown(table) if scored else dg.MetadataValue.md("no vintage foresaw this week"),
        },
    )
