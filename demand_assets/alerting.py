"""What raises an alert: runs, checks, ticks, and the health of store and lake; and the news of published vintages."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterEventType

from demand_assets.adapters.alerts import Alert, Alerts, one_line
from demand_assets.adapters.dagster_internals import InstigatorStatus, SerializableErrorInfo, TickStatus
from demand_assets.adapters.events import Events
from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.metrics import health_metrics
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.registry import ModelRegistry
from demand_assets.health import health_alerts
from demand_assets.partitions import RANGE_END, RANGE_START
from demand_assets.provenance import fingerprint
from demand_assets.resources import Clock

PARTITION = "dagster/partition"
# On runs of a command: somebody sits before them.
COMMAND_TAG = "demand/command"

# A run scores the week before and lists its exceptions once it has published.
NEWS_AFTER = timedelta(minutes=5)

# A daemon or a code server that is busy misses a call now and then; the daemon asks again.
_PATIENCE_TICKS = 3

_STEP_ENDS = (DagsterEventType.STEP_FAILURE, DagsterEventType.STEP_SUCCESS)
_RUN_EVENTS = {
    *_STEP_ENDS,
    DagsterEventType.RUN_FAILURE,
    DagsterEventType.ASSET_CHECK_EVALUATION,
    DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
}


def _causes(error: SerializableErrorInfo | None) -> Iterator[SerializableErrorInfo]:
    """The error, then what it was raised from."""
    while error is not None:
        yield error
        error = error.cause


def root_cause(error: SerializableErrorInfo) -> str:
    """What the innermost cause of an error says, without the name of this package's errors."""
    *_, error = _causes(error)
    return error.message.strip().removeprefix(f"demand_assets.errors.{error.cls_name}: ")


def failure_reason(event: dg.DagsterEvent) -> str:
    """Why a step failed, of the event that says so: the description it gave, else its innermost cause."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description.strip()
    return root_cause(data.error) if data.error else "failed without an error"


def was_interrupted(event: dg.DagsterEvent) -> bool:
    """Whether a step failed because its process was told to stop, of the event that says so."""
    interrupted = dg.DagsterExecutionInterruptedError.__name__
    return any(error.cls_name == interrupted for error in _causes(event.step_failure_data.error))


@dataclass(frozen=True)
class RunWeeks:
    """The weeks a run was for: the newest (None for a run of no week), and all of them in words."""

    newest: str | None
    words: str


def weeks_of_run(run: dg.DagsterRun) -> RunWeeks:
    """The partition or range of partitions that a run was asked for, by its tags."""
    newest = run.tags.get(PARTITION, run.tags.get(RANGE_END))
    if newest is None:
        return RunWeeks(None, "no week in particular")
    first = run.tags.get(RANGE_START, newest)
    return RunWeeks(newest, f"week {newest}" if first == newest else f"weeks {first} to {newest}")


def alerts_for_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[Alert]:
    """What is wrong with a finished run: its failure, each check it failed, and the checks it never evaluated.

    A failed check alone does not fail a run (dagster#29896). Checks that a failed step took down with it, its own and
    those after it, are not missing: the failure was reported already. Nothing is wrong with a command that its user
    interrupted.
    """
    entries = instance.all_logs(run.run_id, of_type=_RUN_EVENTS)
    events = [entry.dagster_event for entry in entries if entry.dagster_event is not None]
    failures = (event for event in events if event.event_type == DagsterEventType.STEP_FAILURE)
    if COMMAND_TAG in run.tags and any(map(was_interrupted, failures)):
        return []
    evaluations = [
        event.asset_check_evaluation_data
        for event in events
        if event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    alerts = [] if run.status != dg.DagsterRunStatus.FAILURE else [_failed_run(run, events)]
    alerts += [_failed_check(run, evaluation) for evaluation in evaluations if _is_wrong(evaluation)]
    # Dagster records no event for the steps it gives up after a failed one, so then only those that ended well count.
    ended = {kind: {event.step_key for event in events if event.event_type == kind} for kind in _STEP_ENDS}
    planned = {
        event.asset_check_planned_data.asset_check_key
        for event in events
        if event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
        and (not ended[DagsterEventType.STEP_FAILURE] or event.step_key in ended[DagsterEventType.STEP_SUCCESS])
    }
    missing = planned - {evaluation.asset_check_key for evaluation in evaluations}
    return [*alerts, *([_missing_checks(run, sorted(map(_check_name, missing)))] if missing else [])]


def _is_wrong(evaluation: dg.AssetCheckEvaluation) -> bool:
    """Whether a check failed as an error; one that only warns, as returns do every week, is read in the UI."""
    return not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR


def _failed_run(run: dg.DagsterRun, events: Sequence[dg.DagsterEvent]) -> Alert:
    weeks = weeks_of_run(run)
    failed = [event for event in events if event.event_type == DagsterEventType.STEP_FAILURE]
    ended = [event.message for event in events if event.event_type == DagsterEventType.RUN_FAILURE and event.message]
    step = failed[0].step_key if failed else None
    reason = one_line(failure_reason(failed[0]) if failed else "\n".join(ended[-1:]))
    where = f" at {step}" if step else ""
    return Alert(
        kind="run_failed",
        subject=run.job_name,
        week=weeks.newest,
        severity="critical",
        summary=f"run of {run.job_name} for {weeks.words} failed{where}: {reason}",
        figures={"failed steps": [event.step_key for event in failed] or "none", "run": run.run_id},
        evidence=run.run_id,
    )


def _failed_check(run: dg.DagsterRun, evaluation: dg.AssetCheckEvaluation) -> Alert:
    weeks = weeks_of_run(run)
    name = _check_name(evaluation.asset_check_key)
    why = f": {one_line(evaluation.description)}" if evaluation.description else ""
    numbers = {
        label: value.value
        for label, value in evaluation.metadata.items()
        if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
    }
    return Alert(
        kind="check_failed",
        subject=name,
        week=evaluation.partition or weeks.newest,
        severity="critical",
        summary=f"check {name} failed for {weeks.words}{why}",
        figures={**numbers, "job": run.job_name, "run": run.run_id},
        # The same week failing in the same way in a later run is known; other figures are news.
        evidence=fingerprint([evaluation.description, numbers]),
    )


def _missing_checks(run: dg.DagsterRun, names: Sequence[str]) -> Alert:
    weeks = weeks_of_run(run)
    return Alert(
        kind="check_missing",
        subject=run.job_name,
        week=weeks.newest,
        severity="critical",
        summary=f"run of {run.job_name} for {weeks.words} never evaluated {len(names)} checks it had planned",
        figures={"checks": list(names), "run": run.run_id},
        evidence=run.run_id,
    )


def _check_name(key: dg.AssetCheckKey) -> str:
    return f"{key.asset_key.to_user_string()}:{key.name}"


def tick_alerts(instance: dg.DagsterInstance) -> tuple[list[Alert], int]:
    """An alert per sensor and schedule whose newest finished tick failed, and how many were looked at.

    One alert per stretch of failures: the tick that last went well is its evidence. A code server that did not answer
    is one only from the third failure in a row on.
    """
    alerts: list[Alert] = []
    good = [TickStatus.SUCCESS, TickStatus.SKIPPED]
    running = [state for state in instance.all_instigator_state() if state.status != InstigatorStatus.STOPPED]
    for state in running:
        where = (state.instigator_origin_id, state.selector_id)
        newest = instance.get_ticks(*where, limit=1, statuses=[*good, TickStatus.FAILURE])
        if not newest or newest[0].status != TickStatus.FAILURE:
            continue
        tick = newest[0]
        if _is_unanswered(tick.error) and (tick.consecutive_failure_count or 0) < _PATIENCE_TICKS:
            continue
        well = instance.get_ticks(*where, limit=1, statuses=good)
        since = _moment(well[0].timestamp) if well else "never"
        reason = one_line(root_cause(tick.error)) if tick.error else "no error was recorded"
        what = state.instigator_type.value.lower()
        alerts.append(
            Alert(
                kind="sensor_failed",
                subject=state.instigator_name,
                week=None,
                severity="critical",
                summary=f"{what} {state.instigator_name} fails: {reason}",
                figures={"newest failed tick": _moment(tick.timestamp), "last good tick": since},
                evidence=str(well[0].tick_id) if well else "",
            )
        )
    return alerts, len(running)


def _is_unanswered(error: SerializableErrorInfo | None) -> bool:
    """Whether a tick failed because the code server did not answer in time; code that cannot be loaded is a fault."""
    names = {str(cause.cls_name) for cause in _causes(error)}
    return "DagsterCodeLocationLoadError" not in names and not names.isdisjoint(
        ("DagsterUserCodeUnreachableError", "DagsterUserCodeUnreachableTimeoutError")
    )


def _moment(timestamp: float) -> str:
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d %H:%M:%S} UTC"


def alert_on_run(instance: dg.DagsterInstance, run_id: str, alerts: Alerts) -> list[Alert]:
    """Fire what is wrong with a finished run; the alerts that were new."""
    run = instance.get_run_by_id(run_id)
    return [] if run is None else fire_all(alerts, alerts_for_run(instance, run))


def fire_all(alerts: Alerts, found: Iterable[Alert]) -> list[Alert]:
    """Fire each; those that were new."""
    return [alert for alert in found if alerts.fire(alert)]


def _tell(context: dg.RunStatusSensorContext, alerts: Alerts) -> None:
    run = context.dagster_run
    found = alerts_for_run(context.instance, run)
    new = fire_all(alerts, found)
    context.log.info(f"run {run.run_id} of {run.job_name}: {_in_words(found, new)}")
    for alert in new:
        context.log.warning(alert.line())


def _in_words(found: Sequence[Alert], new: Sequence[Alert]) -> str:
    if not found:
        return "nothing to alert on"
    known = f", {len(found) - len(new)} sent before" if len(found) > len(new) else ""
    return f"{len(new)} new alerts{known}: {', '.join(sorted({alert.kind for alert in found}))}"


@dg.run_failure_sensor(
    # Runs that `demand run` started in its own process belong to no code location.
    monitor_all_code_locations=True,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Alerts on each failed run: the step, the error, and checks that failed or were never evaluated.",
)
def run_failure_alerts(context: dg.RunFailureSensorContext, alerts: Alerts) -> None:
    """Alerts of a run that failed."""
    _tell(context, alerts)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitor_all_code_locations=True,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Alerts on checks that failed or were never evaluated in runs that succeeded all the same.",
)
def run_success_alerts(context: dg.RunStatusSensorContext, alerts: Alerts) -> None:
    """Alerts of a run that succeeded: failed and missing checks do not fail one."""
    _tell(context, alerts)


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Alerts on severe drift, accuracy out of band, repeated refusals, failing sensors and a store down.",
)
def monitoring_alerts(
    context: dg.SensorEvaluationContext,
    lake: ParquetLake,
    registry: ModelRegistry,
    ledger: PromotionLedger,
    alerts: Alerts,
    clock: Clock,
) -> dg.SkipReason:
    """Fires what the store and the ticks say, and again what a channel has missed."""
    ticks, looked_at = tick_alerts(context.instance)
    found = [*ticks, *health_alerts(lake, registry, ledger, clock.now())]
    new = fire_all(alerts, found)
    missed = alerts.redeliver()
    if alerts.metrics_namespace and not any(alert.kind == "store_unreachable" for alert in found):
        alerts.put_metrics(health_metrics(lake, ledger, clock.now()))
    for alert in new:
        context.log.warning(alert.line())
    caught_up = f"; {missed} alerts delivered that a channel had missed" if missed else ""
    looked = f"looked at drift, accuracy, promotions and {looked_at} sensors and schedules"
    return dg.SkipReason(f"{looked}: {_in_words(found, new)}{caught_up}")


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells webhooks, an SNS topic and the addresses of alerts of each published vintage, in order.",
)
def publication_events(context: dg.SensorEvaluationContext, events: Events, clock: Clock) -> dg.SkipReason:
    """Sends the events that a target has yet to take."""
    told = events.tell(clock.now(), NEWS_AFTER)
    for one in told:
        if one.failure:
            context.log.error(f"{one.target} is told again: {one.failure}")
    return dg.SkipReason(f"told {len(told)} targets of {sum(one.events for one in told)} events")


alert_sensors = [run_failure_alerts, run_success_alerts, monitoring_alerts, publication_events]
