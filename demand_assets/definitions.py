"""The only list of what exists."""

import dagster as dg

from demand_assets.alerting import alert_sensors
from demand_assets.assets.checks import asset_checks
from demand_assets.assets.dataset import dataset, departments, published_dataset, stores
from demand_assets.assets.drift import drift_report
from demand_assets.assets.drivers import published_drivers
from demand_assets.assets.features import demand_features
from demand_assets.assets.forecasting import (
    expected_weekly,
    forecast_attributions,
    forecast_totals,
    published_forecast,
    weekly_forecast,
)
from demand_assets.assets.ingestion import (
    holiday_calendar,
    plans_ahead,
    published_conditions,
    raw_covariates,
    raw_sales,
    raw_series_covariates,
)
from demand_assets.assets.monitoring import forecast_accuracy, forecast_exceptions
from demand_assets.assets.past_forecasts import past_forecasts
from demand_assets.assets.training import backtest_report, promoted_model, trained_model
from demand_assets.automation import jobs, sensors, weekly_schedule
from demand_assets.code_links import linked_to_source
from demand_assets.resources import build_resources
from demand_assets.run_history import old_runs_sensor
from demand_assets.settings import read_settings

settings = read_settings()
runs_itself = settings.automation == "running"

defs = dg.Definitions(
    assets=linked_to_source(
        [
            dataset,
            stores,
            departments,
            published_dataset,
            holiday_calendar,
            raw_covariates,
            raw_series_covariates,
            raw_sales,
            plans_ahead,
            published_conditions,
            published_drivers,
            demand_features,
            backtest_report,
            trained_model,
            promoted_model,
            weekly_forecast,
            forecast_totals,
            forecast_attributions,
            expected_weekly(published_forecast, settings.forecast_deadline_hours),
            past_forecasts,
            forecast_accuracy,
            forecast_exceptions,
            drift_report,
        ],
        settings.source_url,
    ),
    asset_checks=asset_checks,
    jobs=jobs,
    schedules=[weekly_schedule(settings.weekly_cron, runs_itself)],
    sensors=[
        *sensors(runs_itself),
        *alert_sensors,
        # On AWS the bucket of logs has a rule of its own.
        old_runs_sensor(settings.run_history_weeks, with_logs=settings.deployment == "local"),
    ],
    resources=build_resources(settings),
    # A process per step would import everything again: 38 s instead of 7 s for five assets.
    executor=dg.in_process_executor,
)


def job_named(name: str) -> dg.JobDefinition:
    """A job by name, for a run that a command executes in its own process."""
    return defs.resolve_job_def(name)
