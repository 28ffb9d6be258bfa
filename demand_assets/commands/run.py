"""`demand run`: the main job, executed as runs of the Dagster graph, so that the UI shows them."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from demand_assets.commands.instance import (
    child_environment,
    fail_orphaned_runs,
    only_run,
    sync_at_checkpoints,
)
from demand_assets.commands.summary import Progress, print_summary, summary_of
from demand_assets.commands.terminal import log_alerts, print_json, terminal
from demand_assets.errors import DemandError, LandingError, SchemaError
from demand_assets.settings import Settings, read_settings, remember_workspace, workspace_for

if TYPE_CHECKING:
    import dagster as dg
    from rich.status import Status

    from demand_assets.adapters.landed import Contents
    from demand_assets.adapters.parquet import ParquetLake
    from demand_assets.ingestion.dataspec import Accept
    from demand_assets.ingestion.delivery import Delivery
    from demand_assets.planning import Plan
    from demand_assets.resources import Training

# Old runs of which one command deletes no more, so that its end is near.
_MOST_DELETED = 500


def run_main_job(raw_dir: str | None, as_json: bool) -> None:
    """Ingest what is new, rebuild the features it changed, then forecast and publish the newest week.

    It trains and promotes first only when the retraining rules ask for it, as the sensor does.

    DemandError, one line, when the input is not what the contract says or a step fails; a run that was killed is
    taken up by running again. KeyboardInterrupt on Ctrl-C, once the run in progress has ended.
    """
    started = time.perf_counter()
    console = terminal(stderr=as_json)
    settings = read_settings()
    # A workspace that DEMAND_HOME names is not remembered: later commands read DEMAND_HOME too.
    own_workspace = raw_dir is not None and "DEMAND_HOME" not in os.environ
    if raw_dir is not None:
        address = raw_dir if "://" in raw_dir else os.path.abspath(raw_dir)
        settings = read_settings(home=workspace_for(raw_dir) if own_workspace else settings.home, landing_uri=address)
    console.print(f"Reading {settings.landing} ...")
    os.environ.update(child_environment(settings))
    log_alerts(settings.home)

    from demand_assets.adapters.parquet import ParquetLake
    from demand_assets.assets.dataset import judging_context
    from demand_assets.forecasting.methods import history_needs
    from demand_assets.landed_weeks import landed_weeks, require_no_empty_week, weeks_of
    from demand_assets.planning import TRAIN_AND_FORECAST, Plan, PlannedRun, keyed, plan_scoring
    from demand_assets.resources import build_resources, build_training
    from demand_assets.store.migrations import migrate

    training = build_training(settings)
    # A wrong model or setting is refused here, not after ingestion and features.
    training.config()
    migrate(settings.store)
    resources = build_resources(settings)
    landing = resources["landing"]
    zone = landing.zone()
    contents = zone.contents()
    _tell(console, contents)
    contents.require_answers()
    lake = ParquetLake(uri=settings.lake, table_uris=settings.table_uris)
    require_no_empty_week(lake)
    deliveries = keyed(contents.deliveries, lake)
    weeks = weeks_of(deliveries)
    rows_in = sum(len(delivery.frame) for delivery in deliveries if delivery.kind == "sales")
    console.print(f"  {rows_in:,} rows of sales, {len(weeks)} weeks, in {contents.dataset.unit}")

    with only_run(settings.home), _news(console, resources), console.status("Starting Dagster ...") as status:
        import dagster as dg

        from demand_assets.partitions import passed_over, range_tags, register_weeks, stray_partitions

        progress = Progress()
        records = Path(os.environ["DAGSTER_HOME"]).resolve()
        with sync_at_checkpoints(records), dg.DagsterInstance.get() as instance:
            fail_orphaned_runs(instance, settings)
            lake.sweep()
            found = landed_weeks(lake, deliveries, judging_context(landing, lake))
            _follow_set_aside(console, zone.located(found.set_aside).to_dict("records"), progress)
            known = found.keys
            register_weeks(instance, known)
            if strays := stray_partitions(instance, known):
                console.print(f"  {passed_over(strays)}", style="yellow")
            if not known:
                raise LandingError(f"no sales have landed in {settings.landing}; land a sales file first")
            accepted = (*contents.dataset.accepted, *zone.accepted)
            for plan in _plans(lake, deliveries, training, known, accepted):
                console.print(f"  {plan.reason}")
                for run in plan.runs:
                    _execute(console, status, instance, run.job, range_tags(run.first, run.last), progress)
            landed = lake.partitions("raw_sales")
            newest = max(landed)
            if not lake.partitions("demand_features"):
                needs = history_needs(len(landed), training.horizon_weeks)
                raise SchemaError(f"{len(landed)} weeks have landed, too few for a first forecast: {needs}")
            trains, words = _training(lake, resources, training, instance, known)
            console.print(f"  {words}")
            if trains:
                due = Plan((PlannedRun(TRAIN_AND_FORECAST, newest, newest, newest, words),), words)
            else:
                due = _forecast(lake, resources, training, newest)
                console.print(f"  {due.reason}")
            for run in due.runs:
                _execute(console, status, instance, run.job, {"dagster/partition": run.last}, progress)
            scoring = plan_scoring(lake, known)
            for run in scoring.runs:
                console.print(f"  {scoring.reason}")
                _execute(console, status, instance, run.job, range_tags(run.first, run.last), progress)
            _delete_old_runs(console, instance, settings, resources)
        summary = summary_of(settings, lake, resources, progress, rows_in, newest, time.perf_counter() - started)
        summary |= {"retrained": trains, "retraining": words}
        summary |= {"unit": contents.dataset.unit, "refused": [one.message for one in contents.refused]}
        rows = [*contents.wrong_rows().to_dict("records"), *progress.set_aside.values()]
        summary["set_aside"] = [{name: row[name] for name in ("file", "line", "check", "reason")} for row in rows]
    if own_workspace:
        remember_workspace(settings)
    if as_json:
        print_json(summary)
    else:
        print_summary(console, summary)
    if contents.refused:
        raise DemandError("; ".join(["the run is done without the files that were refused", *summary["refused"]]))


def _tell(console: Console, contents: "Contents") -> None:
    """Say what the files were understood as, and which were left out."""
    for file in contents.understanding.files:
        left_out = f"; left out: {', '.join(file.left_out)}" if file.left_out else ""
        console.print(f"  {file.name}: {file.role}{left_out}")
    for note in contents.notes:
        console.print(f"  {note}")
    _tell_set_aside(console, contents.wrong_rows().to_dict("records"))
    for refusal in contents.refused:
        console.print(f"  refused: {refusal.message}", style="red")


def _tell_set_aside(console: Console, rows: Iterable[Mapping[Any, Any]]) -> None:
    for row in rows:
        console.print(f"  set aside: {row['file']} line {row['line']}: {row['reason']}", style="yellow")


def _follow_set_aside(console: Console, rows: Iterable[Mapping[Any, Any]], progress: Progress) -> None:
    """Tell rows that are impossible beside stored sales, each once: a run records them with each of its weeks."""
    fresh = {key: row for row in rows if (key := (row["file"], row["line"])) not in progress.set_aside}
    _tell_set_aside(console, fresh.values())
    progress.set_aside |= fresh


@contextmanager
def _news(console: Console, resources: "Mapping[str, Any]") -> Iterator[None]:
    """Tell of what was published at the end, also of a run that failed after it had published."""
    try:
        yield
    except DemandError:
        _tell_news(console, resources)
        raise
    _tell_news(console, resources)


def _tell_news(console: Console, resources: "Mapping[str, Any]") -> None:
    """Tell who is to hear of published vintages; one that cannot be told now is told by the next run or tick."""
    for told in resources["events"].tell(resources["clock"].now()):
        if told.failure:
            console.print(f"  {told.target} is told again of new forecasts: {told.failure}", style="yellow")
        elif told.events:
            console.print(f"  {told.target}: told of {told.events} new forecasts")


def _plans(
    lake: "ParquetLake",
    deliveries: "Sequence[Delivery]",
    training: "Training",
    known: "Sequence[str]",
    accepted: "Sequence[Accept]",
) -> "Iterator[Plan]":
    """What is due before training, each plan made once the runs of the one before have ended."""
    from demand_assets.planning import plan_features, plan_ingestion

    yield plan_ingestion(lake, deliveries, known, accepted)
    yield plan_features(lake, training, known)


def _training(
    lake: "ParquetLake",
    resources: "Mapping[str, Any]",
    training: "Training",
    instance: "dg.DagsterInstance",
    known: "Sequence[str]",
) -> tuple[bool, str]:
    """Whether the retraining rules ask for a training, and why or why not."""
    from demand_assets.automation import run_under_way
    from demand_assets.planning import TRAIN_AND_FORECAST, plan_training

    registry, ledger = resources["registry"], resources["ledger"]
    policy = resources["retraining"].policy()
    under_way = run_under_way(instance, TRAIN_AND_FORECAST, resources["clock"].now())
    plan = plan_training(lake, registry, ledger, training, policy, known, under_way)
    if plan.runs:
        return True, f"training, {plan.reason}"
    champion = ledger.champion()
    if champion is None:
        return True, f"training, no method is in production yet; {plan.reason}"
    return False, f"{plan.reason}; version {champion.version}, {champion.method}, forecasts"


def _forecast(lake: "ParquetLake", resources: "Mapping[str, Any]", training: "Training", newest: str) -> "Plan":
    """The forecast of the newest week by the champion, if it is due."""
    from demand_assets.assets.forecasting import champion_of
    from demand_assets.planning import plan_forecast
    from demand_assets.store.engine import reading
    from demand_assets.store.migrations import opened
    from demand_assets.store.queries import newest_vintage

    with opened(resources["store"].address) as engine, reading(engine) as connection:
        published = newest_vintage(connection)
    champion, costs = champion_of(resources["ledger"]), resources["order_costs"]
    return plan_forecast(lake, champion, published, costs, newest, training.horizon_weeks)


def _execute(
    console: Console,
    status: "Status",
    instance: "dg.DagsterInstance",
    job: str,
    tags: Mapping[str, str],
    progress: Progress,
) -> None:
    """One run in this process, with a line per finished asset; DemandError naming the first failed step."""
    import dagster as dg

    from demand_assets.alerting import COMMAND_TAG, alert_on_run
    from demand_assets.resources import build_alerts

    before = _newest_run(instance)
    done = threading.Event()
    follow = partial(_read_events, console, status, instance, before, done, progress)
    watcher = threading.Thread(target=_watch, args=(follow, progress), name="progress", daemon=True)
    watcher.start()
    try:
        # Not execute_in_process: that keeps every output in memory until the run ends.
        result = dg.execute_job(
            dg.build_reconstructable_job("demand_assets.definitions", "job_named", (job,)),
            instance=instance,
            tags={**tags, COMMAND_TAG: "run"},
            # The closing line is ours: Dagster's console log would bury it.
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    except dg.DagsterExecutionInterruptedError:
        raise KeyboardInterrupt from None
    finally:
        done.set()
        watcher.join()
    if progress.interrupted:
        raise KeyboardInterrupt
    if progress.lost is not None:
        raise progress.lost
    for alert in alert_on_run(instance, result.run_id, build_alerts(read_settings())):
        console.print(f"  alert: {alert.summary}")
    if not result.success:
        raise DemandError(progress.failures[0] if progress.failures else f"run {result.run_id} of {job} failed")


def _delete_old_runs(
    console: Console, instance: "dg.DagsterInstance", settings: Settings, resources: "Mapping[str, Any]"
) -> None:
    from demand_assets.run_history import delete_old_runs

    now, weeks = resources["clock"].now(), settings.run_history_weeks
    local = settings.deployment == "local"
    if deleted := delete_old_runs(instance, now, weeks, _MOST_DELETED, with_logs=local):
        console.print(f"  {deleted} runs older than {weeks} weeks deleted from Dagster's history")


def _newest_run(instance: "dg.DagsterInstance") -> str | None:
    import dagster as dg

    from demand_assets.alerting import COMMAND_TAG

    runs = instance.get_runs(dg.RunsFilter(tags={COMMAND_TAG: "run"}), limit=1)
    return runs[0].run_id if runs else None


def _watch(follow: Callable[[], None], progress: Progress) -> None:
    """Follow a run; an error ends that."""
    try:
        follow()
    except Exception as error:  # noqa: BLE001 raised again by the thread that waits
        progress.lost = error


def _read_events(
    console: Console,
    status: "Status",
    instance: "dg.DagsterInstance",
    before: str | None,
    done: threading.Event,
    progress: Progress,
) -> None:
    """Follow the events of the next run of this command after run `before`, until it is done."""
    from dagster import DagsterEventType

    wanted = {
        DagsterEventType.STEP_START,
        DagsterEventType.STEP_SUCCESS,
        DagsterEventType.STEP_FAILURE,
        DagsterEventType.ASSET_MATERIALIZATION,
    }
    cursor: str | None = None
    run_id: str | None = None
    while True:
        last_look = done.wait(0.2)
        if run_id is None:
            newest = _newest_run(instance)
            run_id = newest if newest != before else None
        while run_id is not None:
            connection = instance.get_records_for_run(run_id, cursor=cursor, of_type=wanted, limit=1000)
            cursor = connection.cursor
            for record in connection.records:
                _follow(console, status, record.event_log_entry, progress)
            if not connection.has_more:
                break
        if last_look:
            return


def _follow(console: Console, status: "Status", entry: Any, progress: Progress) -> None:
    from demand_assets.assets.checks import ROWS_SET_ASIDE

    event, step = entry.dagster_event, entry.step_key
    match event.event_type_value:
        case "STEP_START":
            status.update(f"{step} ...")
        case "ASSET_MATERIALIZATION":
            made = event.step_materialization_data.materialization
            name = made.asset_key.to_user_string()
            progress.metadata[name] = {key: value.value for key, value in made.metadata.items()}
            if ROWS_SET_ASIDE in made.metadata:
                rows = (record.data for record in made.metadata[ROWS_SET_ASIDE].records)
                _follow_set_aside(console, rows, progress)
        case "STEP_SUCCESS" if step in progress.metadata:
            seconds = event.step_success_data.duration_ms / 1000
            progress.seconds[step] = progress.seconds.get(step, 0.0) + seconds
            console.print(Text.assemble("  ", ("done", "green"), f" {step:<20} {seconds:6.1f} s"))
        case "STEP_FAILURE":
            from demand_assets.alerting import failure_reason, was_interrupted

            progress.interrupted |= was_interrupted(event)
            reason = failure_reason(event)
            progress.failures.append(f"{step}: {' '.join(reason.split())}")
            console.print(Text.assemble("  ", ("failed", "red"), f" {step}"))
