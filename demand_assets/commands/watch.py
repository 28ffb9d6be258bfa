"""`demand watch`: the dead-man's check. It reads the store and Dagster's storage itself, so that it outlives both."""

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from demand_assets.adapters.alerts import Alert, one_line
from demand_assets.commands.terminal import log_alerts, moment_of, print_json, terminal
from demand_assets.errors import StoreError
from demand_assets.settings import Settings, read_settings

HEARTBEAT_LASTS = timedelta(minutes=5)


@dataclass
class Findings:
    """What was looked at, in words, and what is wrong."""

    looked_at: list[str] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)


def watch_once(at: str | None, daemon: bool, as_json: bool) -> int:
    """Look once, fire what is wrong, say both; 0 when nothing is wrong, else 1."""
    settings = read_settings()
    now = datetime.now(UTC) if at is None else moment_of("--now", at)
    console = terminal(stderr=as_json)
    console.print(f"Looking at {settings.home} as of {now:%Y-%m-%d %H:%M} UTC ...")
    log_alerts(settings.home)
    from demand_assets.alerting import fire_all
    from demand_assets.resources import build_alerts

    found = Findings()
    _look_for_forecast(settings, now, found)
    _look_at_dagster(settings, now, daemon, found)
    new = {alert.key for alert in fire_all(build_alerts(settings), found.alerts)}
    if as_json:
        shown = [
            {**asdict(alert), "key": alert.key, "runbook": alert.runbook, "new": alert.key in new}
            for alert in found.alerts
        ]
        report = {"now": now.isoformat(), "ok": not shown, "looked_at": found.looked_at, "alerts": shown}
        print_json(report)
    else:
        for line in found.looked_at:
            console.print(f"  {line}")
        for alert in found.alerts:
            sent = "" if alert.key in new else " [sent before]"
            console.print(f"  {alert.line()}{sent}")
        console.print(_verdict(len(found.alerts)))
    return 1 if found.alerts else 0


def _verdict(wrong: int) -> str:
    if wrong == 0:
        return "All is well."
    return "1 thing is wrong." if wrong == 1 else f"{wrong} things are wrong."


def _look_for_forecast(settings: Settings, now: datetime, found: Findings) -> None:
    """The newest week whose deadline has passed has a vintage."""
    from demand_assets.forecasting.weeks import newest_ended
    from demand_assets.health import store_unreachable_alert
    from demand_assets.store.engine import create_engine_for, reading
    from demand_assets.store.queries import newest_vintage, vintages_of

    patience = timedelta(hours=settings.forecast_deadline_hours)
    try:
        engine = create_engine_for(settings.store)
        with reading(engine) as connection:
            newest = newest_vintage(connection)
            # A week ends on the weekday of those before it.
            due = None if newest is None else newest_ended(now - patience, newest["origin_week"].weekday()).date()
            vintages = [] if due is None else vintages_of(connection, due)
        engine.dispose()
    except StoreError as error:
        found.looked_at.append("SQL store: cannot be read")
        found.alerts.append(store_unreachable_alert(error, now))
        return
    if newest is None or due is None:
        found.looked_at.append("forecast: none was ever published, so none is due yet; `demand run` makes the first")
        return
    deadline = datetime(due.year, due.month, due.day, tzinfo=UTC) + timedelta(days=1) + patience
    what = f"forecast of week {due}, due by {deadline:%Y-%m-%d %H:%M} UTC"
    if vintages:
        found.looked_at.append(f"{what}: published, {len(vintages)} vintages")
        return
    last = f"{newest['origin_week']}, published {newest['published_at']:%Y-%m-%d %H:%M} UTC"
    if newest["origin_week"] > due:
        found.looked_at.append(f"{what}: passed over, the newest vintage is of week {last}")
        return
    found.looked_at.append(f"{what}: absent")
    found.alerts.append(
        Alert(
            kind="forecast_missing",
            subject="published_forecast",
            week=due.isoformat(),
            severity="critical",
            summary=f"week {due} has no forecast, due by {deadline:%Y-%m-%d %H:%M} UTC; the newest is of week {last}",
            figures={
                "deadline": f"{deadline:%Y-%m-%d %H:%M} UTC",
                "hours late": round((now - deadline) / timedelta(hours=1), 1),
                "newest week": newest["origin_week"].isoformat(),
                "newest vintage": newest["vintage_id"],
            },
        )
    )


def _look_at_dagster(settings: Settings, now: datetime, daemon: bool, found: Findings) -> None:
    """Newest ticks and heartbeats in Dagster's storage, where there is one."""
    home = Path(os.environ.get("DAGSTER_HOME") or settings.dagster_home)
    if not (home / "dagster.yaml").exists():
        found.looked_at.append(f"Dagster: no instance in {home}, so no sensor or daemon to look at")
        if daemon:
            found.alerts.append(_silent(now, f"there is no Dagster instance in {home}", {"instance": str(home)}, ""))
        return
    # Which the instance's own file may name as the folder of its storage.
    os.environ["DAGSTER_HOME"] = str(home)
    import dagster as dg
    from dagster_postgres.utils import DagsterPostgresException
    from sqlalchemy.exc import SQLAlchemyError

    from demand_assets.alerting import tick_alerts
    from demand_assets.health import store_unreachable_alert

    try:
        with dg.DagsterInstance.from_config(str(home)) as instance:
            alerts, running = tick_alerts(instance)
            beats = {name: beat.timestamp for name, beat in instance.get_daemon_heartbeats().items()}
            required = sorted(instance.get_required_daemon_types())
    except (SQLAlchemyError, DagsterPostgresException) as error:
        found.looked_at.append(f"Dagster: the storage of {home} cannot be read")
        reason = f"Dagster's storage of {home} cannot be read: {one_line(str(error))}"
        found.alerts.append(store_unreachable_alert(StoreError(reason), now))
        return
    found.looked_at.append(f"Dagster: {running} sensors and schedules have run, {len(alerts)} of them fail")
    found.alerts += alerts
    if daemon:
        _look_at_heartbeats(now, {name: beats.get(name) for name in required}, found)


def _look_at_heartbeats(now: datetime, beats: dict[str, float | None], found: Findings) -> None:
    heard = {name: None if beat is None else datetime.fromtimestamp(beat, UTC) for name, beat in beats.items()}
    silent = {name: beat for name, beat in heard.items() if beat is None or now - beat > HEARTBEAT_LASTS}
    found.looked_at.append(f"Dagster's daemon: {len(heard) - len(silent)} of {len(heard)} parts heard within 5 minutes")
    if not silent:
        return
    last = {name: f"{beat:%Y-%m-%d %H:%M} UTC" if beat else "never" for name, beat in silent.items()}
    # The last heartbeats name the outage: the next one is another alert.
    found.alerts.append(_silent(now, f"not heard for 5 minutes: {', '.join(silent)}", last, json.dumps(last)))


def _silent(now: datetime, reason: str, figures: dict[str, str], evidence: str) -> Alert:
    return Alert(
        kind="daemon_silent",
        subject="dagster-daemon",
        week=None,
        severity="critical",
        summary=f"Dagster's daemon is silent: {reason}",
        figures={**figures, "as of": f"{now:%Y-%m-%d %H:%M} UTC"},
        evidence=evidence,
    )
