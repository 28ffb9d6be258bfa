"""Jobs, the weekly schedule, and the sensors that make the graph run by itself."""

import json
from collections.abc import Iterable, Sequence

import dagster as dg
import pandas as pd
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.registry import ModelRegistry
from demand_assets.assets.features import stale_origins
from demand_assets.errors import DemandError
from demand_assets.forecasting.weeks import as_week
from demand_assets.gate import REQUESTED_BY_TAG
from demand_assets.ingestion.delivery import Delivery
from demand_assets.partitions import key_ranges, known_weeks, range_tags, register_weeks, week_key
from demand_assets.provenance import fingerprint
from demand_assets.resources import Landing, RetrainingRules, Training
from demand_assets.retraining import gather_evidence

INGESTION_ASSETS = [
    "stores",
    "holiday_calendar",
    "raw_covariates",
    "raw_sales",
    "published_conditions",
    "forecast_accuracy",
    "forecast_exceptions",
]
FEATURE_ASSETS = ["demand_features"]
TRAINING_ASSETS = ["backtest_report", "trained_model", "promoted_model"]
FORECAST_ASSETS = [
    *TRAINING_ASSETS,
    "weekly_forecast",
    "forecast_totals",
    "forecast_reasons",
    "published_forecast",
    "drift_report",
]

# CPU units and MiB of the Fargate task of each job's runs, a combination that Fargate has. Twice and more what the job
# took on 3,331 series (docs/deploy.md has the figures); training has room for a horizon of 39 weeks. Tags given to a
# run override these. On one machine nobody reads them.
TASK_SIZES = {
    "ingest": (1024, 2048),
    "build_features": (2048, 4096),
    "train_and_forecast": (4096, 16384),
    "weekly": (2048, 4096),
}


def _task_size(job: str) -> dict[str, str]:
    """Run tags by which the launcher sizes the task."""
    cpu, memory = TASK_SIZES[job]
    return {"ecs/cpu": str(cpu), "ecs/memory": str(memory)}


ingest_job = dg.define_asset_job(
    "ingest",
    selection=dg.AssetSelection.assets(*INGESTION_ASSETS),
    tags=_task_size("ingest"),
    description="Read the landing zone into weekly partitions, check and publish them, score the vintages before them.",
)
features_job = dg.define_asset_job(
    "build_features",
    selection=dg.AssetSelection.assets(*FEATURE_ASSETS),
    tags=_task_size("build_features"),
    description="Features of origin weeks, from everything known at each.",
)
forecast_job = dg.define_asset_job(
    "train_and_forecast",
    selection=dg.AssetSelection.assets(*FORECAST_ASSETS),
    tags=_task_size("train_and_forecast"),
    description="Backtest, train, promote or refuse, forecast and publish, as of one week.",
)
weekly_job = dg.define_asset_job(
    "weekly",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets(*TRAINING_ASSETS),
    tags=_task_size("weekly"),
    description="One week, from landing zone to published forecast of the model in production, scored and watched.",
)
jobs = [ingest_job, features_job, forecast_job, weekly_job]


def weeks_of(deliveries: Iterable[Delivery]) -> pd.DatetimeIndex:
    """The weeks that sales files cover: those that become partitions."""
    weeks = [delivery.weeks for delivery in deliveries if delivery.kind == "sales"]
    return pd.DatetimeIndex(sorted({week for index in weeks for week in index}), name="week")


def affected_weeks(delivery: Delivery, known: Sequence[str]) -> list[str]:
    """Partition keys that a file changes: its own weeks; of conditions those with sales; of stores the newest.

    Conditions of weeks to come go with the newest week.
    """
    newest = list(known[-1:])
    if delivery.kind == "stores":
        return newest
    own = {week_key(week) for week in delivery.weeks}
    if delivery.kind == "sales":
        return sorted(own)
    to_come = newest if newest and any(week > newest[0] for week in own) else []
    return sorted((own & set(known)) | set(to_come))


@dg.sensor(job=ingest_job, minimum_interval_seconds=60, description="Asks for the weeks each new file covers, once.")
def landing_zone_sensor(context: dg.SensorEvaluationContext, landing: Landing) -> dg.SensorResult | dg.SkipReason:
    """One run per new file and stretch of weeks. A file is new when its content is; unchanged files are not read.

    A file that cannot be read, or whose weeks are no Fridays, asks for no week; the run's checks judge all else.
    """
    zone = landing.zone()
    try:
        files = zone.files()
    except DemandError as error:
        return dg.SkipReason(str(error))
    seen: dict[str, str] = json.loads(context.cursor) if context.cursor else {}
    fresh = [file for file in files if seen.get(file.uri) != file.fingerprint]
    if not fresh:
        return dg.SkipReason(f"nothing new among {len(files)} files in {landing.uri}")
    problems: list[str] = []
    deliveries: list[Delivery] = []
    for file in fresh:
        try:
            delivery = zone.read(file)
            for week in delivery.weeks:
                as_week(week)
            deliveries.append(delivery)
        except (DemandError, ValueError) as error:
            problems.append(str(error))
            context.log.error(f"{file.name} is left out until it changes: {error}")
    new_weeks = weeks_of(deliveries)
    register_weeks(context.instance, new_weeks)
    known = known_weeks(context.instance)
    requests = [
        dg.RunRequest(
            run_key=f"{delivery.content_hash[:32]}:{first}:{last}",
            tags={**range_tags(first, last), "demand/file": delivery.file.name},
        )
        # Sales of a week need its conditions and stores, which the same run reads.
        for delivery in sorted(deliveries, key=lambda one: one.kind != "sales")
        for first, last in key_ranges(affected_weeks(delivery, known), known)
    ]
    cursor = json.dumps({file.uri: file.fingerprint for file in files})
    if not requests:
        context.update_cursor(cursor)
        return dg.SkipReason("; ".join(problems) or "the new files cover no week with sales")
    return dg.SensorResult(run_requests=requests, cursor=cursor)


@dg.sensor(job=features_job, minimum_interval_seconds=60, description="Rebuilds features whose data changed.")
def stale_features_sensor(
    context: dg.SensorEvaluationContext, lake: ParquetLake, training: Training
) -> dg.SensorResult | dg.SkipReason:
    """One run per stretch of origins whose features are missing or were made from other data than there is now."""
    known = known_weeks(context.instance)
    stale = [key for key in stale_origins(lake, training.horizon_weeks, training.feature_origins) if key in set(known)]
    if not stale:
        return dg.SkipReason("features are up to date with the data")
    versions = lake.versions("raw_sales")
    state = fingerprint([versions[key] for key in stale if key in versions])
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(run_key=f"{first}:{last}:{state}", tags=range_tags(first, last))
            for first, last in key_ranges(stale, known)
        ]
    )


def weekly_request(
    context: dg.ScheduleEvaluationContext, lake: ParquetLake, ledger: PromotionLedger
) -> dg.RunRequest | dg.SkipReason:
    """A run for the newest landed week, or the reason why not: nothing landed, no model, or it is forecast already."""
    known = known_weeks(context.instance)
    landed = lake.versions("raw_sales")
    if not landed:
        return dg.SkipReason("no week of sales has landed yet")
    newest = max(landed)
    if newest not in known:
        return dg.SkipReason(f"week {newest} is in the lake but not registered; run the landing zone sensor first")
    if ledger.champion() is None:
        return dg.SkipReason("no model is in production yet; the retraining sensor trains the first one")
    due = context.scheduled_execution_time.date()
    forecast = {key.split("/")[0] for key in lake.partitions("published_forecast", nested=True)}
    if newest in forecast:
        return dg.SkipReason(
            f"the newest landed week, {newest}, is forecast already; the delivery due by {due:%Y-%m-%d} has not landed"
        )
    return dg.RunRequest(run_key=f"{newest}:{landed[newest]}", partition_key=newest)


def weekly_schedule(cron: str) -> dg.ScheduleDefinition:
    """`weekly_request` at the times of a cron expression, UTC."""
    return dg.schedule(
        job=weekly_job,
        name="weekly_schedule",
        cron_schedule=cron,
        execution_timezone="UTC",
        description="The whole graph for the newest week that has landed.",
    )(weekly_request)


@dg.sensor(
    job=forecast_job,
    minimum_interval_seconds=300,
    description="Retrains when realised loss has left its band, drift is severe for weeks, or the champion is too old.",
)
def retraining_sensor(
    context: dg.SensorEvaluationContext,
    lake: ParquetLake,
    training: Training,
    registry: ModelRegistry,
    ledger: PromotionLedger,
    retraining: RetrainingRules,
) -> dg.RunRequest | dg.SkipReason:
    """One training per piece of evidence: the run's key carries the evidence's version, every tick says why or why not.

    The evidence is judged as a whole at every tick, so what arrives during a cool-down or another training is not lost.
    """
    from demand_assets.forecasting.retraining import decide_retraining

    known = set(known_weeks(context.instance))
    built = [key for key in lake.partitions("demand_features") if key in known]
    if not built:
        return dg.SkipReason("no week has features yet")
    week = built[-1]
    if set(stale_origins(lake, training.horizon_weeks, training.feature_origins)) & known:
        return dg.SkipReason(f"features are being rebuilt; week {week} is judged when they are there")
    under_way = context.instance.get_runs(
        dg.RunsFilter(job_name=forecast_job.name, statuses=[*NOT_FINISHED_STATUSES]), limit=1
    )
    if under_way:
        return dg.SkipReason(f"run {under_way[0].run_id} is training already; the evidence is judged when it has ended")
    evidence = gather_evidence(lake, registry, ledger, week)
    decision = decide_retraining(evidence, retraining.policy())
    if not decision.act:
        return dg.SkipReason(f"no retraining: {decision.words}")
    context.log.info(f"retraining for {decision.trigger}: {decision.words}")
    return dg.RunRequest(
        run_key=f"{decision.trigger}:{week}:{fingerprint(evidence.described())}",
        partition_key=week,
        tags={REQUESTED_BY_TAG: f"retraining sensor, {decision.trigger}: {decision.words}"},
    )


sensors = [landing_zone_sensor, stale_features_sensor, retraining_sensor]
