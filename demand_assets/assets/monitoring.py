"""Actuals against the vintages that foresaw them."""

import dagster as dg
import pandas as pd

from demand_assets.assets.describe import frame_markdown
from demand_assets.forecasting.metrics import score
from demand_assets.partitions import run_weeks, weeks_partitions
from demand_assets.resources import ForecastStore


@dg.asset(
    group_name="monitoring",
    owners=["team:forecasting"],
    kinds={"sql"},
    partitions_def=weeks_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def forecast_accuracy(
    context: dg.AssetExecutionContext, store: ForecastStore, raw_sales: pd.DataFrame
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
    table = pd.concat(scored, ignore_index=True) if scored else pd.DataFrame()
    if scored:
        publish_accuracy(
            engine,
            [
                (
                    row.week.date(),
                    row.vintage_id,
                    row.model,
                    int(row.horizon),
                    int(row.points),
                    row.wmae,
                    row.mae,
                    row.rmse,
                    row.bias,
                )
                for row in table.itertuples()
            ],
        )
    return dg.MaterializeResult(
        metadata={
            "actuals changed": changed,
            "vintages scored": 0 if table.empty else int(table["vintage_id"].nunique()),
            "accuracy": frame_markdown(table) if scored else dg.MetadataValue.md("no vintage foresaw this week"),
        }
    )
