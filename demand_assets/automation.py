"""Jobs, the weekly schedule, and the sensors that make the graph run by itself."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from demand_assets.adapters.alerts import Alerts
from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.promotion import REQUESTED_BY_TAG
from demand_assets.adapters.registry import ModelRegistry
from demand_assets.assets.dataset import judging_context
from demand_assets.assets.scenarios import SCENARIO, scenario_op
from demand_assets.assets.smoke import SMOKE, ask_services_op
from demand_assets.errors import DemandError
from demand_assets.health import refused_files_alert
from demand_assets.landed_weeks import landed_weeks, require_no_empty_week
from demand_assets.partitions import known_weeks, passed_over, range_tags, register_weeks, stray_partitions
from demand_assets.planning import (
    BUILD_FEATURES,
    FORECAST,
    INGEST,
    SCORE,
    TRAIN_AND_FORECAST,
    WEEKLY,
    Plan,
    keyed,
    plan_features,
    plan_landing,
    plan_scoring,
    plan_training,
    plan_week,
)
from demand_assets.recipes import PAST_FORECASTS, SCORED_TABLES
from demand_assets.resources import Clock, Landing, RetrainingRules, Training

# Says in the UI why a run was asked for.
REASON_TAG = "demand/reason"

INGESTION_ASSETS = [
    "dataset",
    "stores",
    "departments",
    "published_dataset",
    "holiday_calendar",
    "raw_covariates",
    "raw_series_covariates",
    "raw_sales",
    "plans_ahead",
    "published_conditions",
    "published_drivers",
    *SCORED_TABLES,
]
FEATURE_ASSETS = ["demand_features"]
TRAINING_ASSETS = ["backtest_report", "trained_model", "promoted_model", PAST_FORECASTS]
FORECAST_ASSETS = [
    *TRAINING_ASSETS,
    "weekly_forecast",
    "forecast_totals",
    "forecast_attributions",
    "published_forecast",
    "drift_report",
]


FINISHED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
UNFINISHED = [status for status in dg.DagsterRunStatus if status not in FINISHED]
# A retry that has not been launched this long after its run failed is not waited for.
RETRY_WITHIN = timedelta(minutes=15)


ingest_job = dg.define_asset_job(
    INGEST,
    selection=dg.AssetSelection.assets(*INGESTION_ASSETS),
    description="Read the landing zone into weekly partitions, check and publish them, score the vintages before them.",
)
features_job = dg.define_asset_job(
    BUILD_FEATURES,
    selection=dg.AssetSelection.assets(*FEATURE_ASSETS),
    description="Features of origin weeks, from everything known at each.",
)
forecast_job = dg.define_asset_job(
    TRAIN_AND_FORECAST,
    selection=dg.AssetSelection.assets(*FORECAST_ASSETS),
    description="Backtest, train, promote or refuse, forecast and publish, as of one week.",
)
champion_job = dg.define_asset_job(
    FORECAST,
    selection=dg.AssetSelection.assets(*FORECAST_ASSETS) - dg.AssetSelection.assets(*TRAINING_ASSETS),
    description="Forecast and publish with the method in production, as of one week.",
)
weekly_job = dg.define_asset_job(
    WEEKLY,
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets(*TRAINING_ASSETS),
    description="One week, from landing zone to published forecast of the model in production, scored and watched.",
)

score_job = dg.define_asset_job(
    SCORE,
    selection=dg.AssetSelection.assets(*SCORED_TABLES),
    description="Score weeks again, by forecasts that came after their sales.",
)


@dg.job(
    name=SCENARIO,
    tags={"demand/kind": SCENARIO},
    description="What-if: score changed plans of the newest forecast and publish them beside it.",
)
def scenario_job() -> None:
    """Make one scenario, named and described by the run config of its op."""
    scenario_op()


@dg.job(name=SMOKE, description="Whether a run can do its work here: asks, changes nothing.")
def smoke_job() -> None:
    """Ask everything that a run needs."""
    ask_services_op()


jobs: list[Any] = [ingest_job, features_job, forecast_job, champion_job, weekly_job, score_job, scenario_job, smoke_job]


def _requests(plan: Plan) -> list[dg.RunRequest]:
    """The planned runs as requests for ranges of weeks."""
    return [
        dg.RunRequest(run_key=run.key, tags={**range_tags(run.first, run.last), REASON_TAG: run.reason})
        for run in plan.runs
    ]


def _request_of_one_week(plan: Plan, tag: str, by: str = "") -> dg.RunRequest | dg.SkipReason:
    """The one planned run, whose reason is kept in `tag` after `by`, or why there is none."""
    if not plan.runs:
        return dg.SkipReason(plan.reason)
    (run,) = plan.runs
    return dg.RunRequest(run_key=run.key, partition_key=run.last, tags={tag: by + run.reason})


def _registered(context: dg.SensorEvaluationContext, landed: Sequence[str]) -> Sequence[str]:
    """The `landed` weeks, which are partitions now; others are named in the log of the tick."""
    register_weeks(context.instance, landed)
    if strays := stray_partitions(context.instance, landed):
        context.log.warning(passed_over(strays))
    return landed


def landing_zone_sensor(
    context: dg.SensorEvaluationContext, landing: Landing, lake: ParquetLake, alerts: Alerts
) -> dg.SensorResult | dg.SkipReason:
    """One run per stretch of weeks that new files cover. A file is new when its content is; others are not read.

    A file that cannot be read, or whose weeks end on another weekday than the landed ones, asks for no week; the run's
    checks judge all else. Where no run is asked for, no check will tell of a refused file, so an alert does.
    """
    zone = landing.zone()
    try:
        files = zone.files()
    except DemandError as error:
        return dg.SkipReason(str(error))
    seen: dict[str, str] = json.loads(context.cursor) if context.cursor else {}
    fresh = {file.fingerprint for file in files if seen.get(file.uri) != file.fingerprint}
    if not fresh:
        return dg.SkipReason(f"nothing new among {len(files)} files in {landing.uri}")
    try:
        require_no_empty_week(lake)
        contents = zone.contents()
        contents.require_answers()
    except DemandError as error:
        context.log.error(str(error))
        return dg.SkipReason(str(error))
    refused = [one.message for one in contents.refused if one.file.fingerprint in fresh]
    problems = refused + contents.not_understood(one.name for one in files if one.fingerprint in fresh)
    deliveries = keyed(contents.deliveries, lake)
    found = landed_weeks(lake, deliveries, judging_context(landing, lake))
    aside = zone.located(found.set_aside)
    problems += [f"{row.file} line {row.line}: a row is set aside: {row.reason}" for row in aside.itertuples()]
    for problem in problems:
        context.log.error(f"left out until it changes: {problem}")
    known = _registered(context, found.keys)
    plan = plan_landing(lake, [one for one in deliveries if one.file.fingerprint in fresh], known)
    cursor = json.dumps({file.uri: file.fingerprint for file in files})
    if not plan.runs:
        if refused:
            alerts.fire(refused_files_alert(refused))
        context.update_cursor(cursor)
        return dg.SkipReason("; ".join(problems) or plan.reason)
    return dg.SensorResult(run_requests=_requests(plan), cursor=cursor)


def run_under_way(instance: dg.DagsterInstance, job: str, now: datetime) -> str | None:
    """Id of a run of `job` that has not ended, or that failed and is about to be retried."""
    unfinished = instance.get_runs(dg.RunsFilter(job_name=job, statuses=UNFINISHED), limit=1)
    if unfinished:
        return unfinished[0].run_id
    for newest in instance.get_run_records(dg.RunsFilter(job_name=job), limit=1):
        ended = newest.end_time or 0.0
        if (
            newest.dagster_run.is_complete_and_waiting_to_retry
            and now.timestamp() - ended < RETRY_WITHIN.total_seconds()
        ):
            return newest.dagster_run.run_id
    return None


def _until_it_ended(instance: dg.DagsterInstance, job: str, clock: Clock) -> dg.SkipReason | None:
    """Why no run is asked for while one is under way: each week that it finishes would make the rest a new request."""
    run_id = run_under_way(instance, job, clock.now())
    if run_id is None:
        return None
    return dg.SkipReason(f"run {run_id} of {job} has not ended; what is due then is asked for after it")


def stale_features_sensor(
    context: dg.SensorEvaluationContext, lake: ParquetLake, training: Training, clock: Clock
) -> dg.SensorResult | dg.SkipReason:
    """One run per stretch of origins whose features are missing or were made from other data than there is now."""
    if waits := _until_it_ended(context.instance, BUILD_FEATURES, clock):
        return waits
    plan = plan_features(lake, training, known_weeks(context.instance, lake.partitions("raw_sales")))
    return dg.SensorResult(run_requests=_requests(plan)) if plan.runs else dg.SkipReason(plan.reason)


def past_forecasts_sensor(
    context: dg.SensorEvaluationContext, lake: ParquetLake, clock: Clock
) -> dg.SensorResult | dg.SkipReason:
    """One run per stretch of weeks that `past_forecasts` has forecast since they were scored."""
    if waits := _until_it_ended(context.instance, SCORE, clock):
        return waits
    plan = plan_scoring(lake, known_weeks(context.instance, lake.partitions("raw_sales")))
    return dg.SensorResult(run_requests=_requests(plan)) if plan.runs else dg.SkipReason(plan.reason)


def weekly_request(
    context: dg.ScheduleEvaluationContext, lake: ParquetLake, ledger: PromotionLedger
) -> dg.RunRequest | dg.SkipReason:
    """A run for the newest landed week, or the reason why not: nothing landed, no model, or it is forecast already."""
    plan = plan_week(
        lake,
        ledger,
        known_weeks(context.instance, lake.partitions("raw_sales")),
        context.scheduled_execution_time.date(),
    )
    return _request_of_one_week(plan, REASON_TAG)


def retraining_sensor(
    context: dg.SensorEvaluationContext,
    lake: ParquetLake,
    training: Training,
    registry: ModelRegistry,
    ledger: PromotionLedger,
    retraining: RetrainingRules,
    clock: Clock,
) -> dg.RunRequest | dg.SkipReason:
    """One training per piece of evidence, which the run's key names. Every tick says why it trains or not."""
    known = known_weeks(context.instance, lake.partitions("raw_sales"))
    under_way = run_under_way(context.instance, TRAIN_AND_FORECAST, clock.now())
    plan = plan_training(lake, registry, ledger, training, retraining.policy(), known, under_way)
    return _request_of_one_week(plan, REQUESTED_BY_TAG, "retraining sensor, ")


@dg.run_failure_sensor(
    monitor_all_code_locations=True,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends the MLflow run that a Dagster run left open when its process was killed.",
)
def end_mlflow_runs(context: dg.RunFailureSensorContext, registry: ModelRegistry) -> None:
    """A run that failed by itself has ended its MLflow run already; then this does nothing."""
    registry.end_runs_of(context.dagster_run.run_id)


# What asks for runs: the sensor, its job, the least seconds between two ticks, and what it does.
_ASKING: tuple[tuple[Callable[..., Any], Any, int, str], ...] = (
    (landing_zone_sensor, ingest_job, 60, "Requests the weeks that new files cover, once."),
    (stale_features_sensor, features_job, 60, "Rebuilds features whose data changed."),
    (past_forecasts_sensor, score_job, 60, "Scores what the backtest forecast of past weeks."),
    (
        retraining_sensor,
        forecast_job,
        300,
        "Retrains when realised loss has left its band, drift is severe, or the champion is too old.",
    ),
)


def sensors(running: bool) -> list[dg.SensorDefinition]:
    """The sensors; `running` are those that ask for runs, unless someone has turned them off or on by hand."""
    status = dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED
    asking = [
        dg.sensor(job=job, minimum_interval_seconds=seconds, default_status=status, description=text)(look)
        for look, job, seconds, text in _ASKING
    ]
    return [*asking, end_mlflow_runs]


def weekly_schedule(cron: str, running: bool) -> dg.ScheduleDefinition:
    """`weekly_request` at the times of a cron expression, UTC; `running` unless someone has turned it off or on."""
    return dg.schedule(
        job=weekly_job,
        name="weekly_schedule",
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
        description="The whole graph for the newest week that has landed.",
    )(weekly_request)
