"""What store, lake and landing zone say is wrong, as alerts: drift, accuracy, refusals, a baseline that serves."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from demand_assets.adapters.alerts import Alert, one_line
from demand_assets.adapters.evidence import DRIFT_COLUMNS, chain_losses
from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.registry import ModelRegistry, RegisteredVersion
from demand_assets.errors import StoreError
from demand_assets.provenance import fingerprint

if TYPE_CHECKING:
    from sqlalchemy import Connection

DRIFTS_NAMED = 3
REFUSALS = 3
EVERY_FILE_IS_READ = "dataset:every_file_is_read"


def severe_drift_alert(lake: ParquetLake) -> Alert | None:
    """The newest drift report's verdict if it is severe, with what drifted, worst first; None otherwise."""
    from demand_assets.monitoring.drift import drift_verdict
    from demand_assets.monitoring.drift_severity import SEVERE

    weeks = lake.partitions("drift_report")
    rows = lake.read("drift_report", weeks[-1:], DRIFT_COLUMNS) if weeks else None
    if rows is None:
        return None
    verdict = drift_verdict(rows)
    if verdict.severity != SEVERE:
        return None
    touched = f"groups with {verdict.sales_share:.0%} of sales drifted severely in week {weeks[-1]}"
    return Alert(
        kind="severe_drift",
        subject="drift_report",
        week=weeks[-1],
        severity="warning",
        summary=f"{touched}, foremost {verdict.severe[0]}",
        figures={"severe": len(verdict.severe), "worst": list(verdict.severe[:DRIFTS_NAMED])},
        evidence=fingerprint(list(verdict.severe)),
    )


def refused_files_alert(messages: Sequence[str]) -> Alert:
    """Files of the landing zone that are refused and that no run reads: what the check of a run would say of them."""
    return Alert(
        kind="check_failed",
        subject=EVERY_FILE_IS_READ,
        week=None,
        severity="critical",
        summary=f"check {EVERY_FILE_IS_READ} fails: {one_line('; '.join(messages))}",
        figures={"files": len(messages)},
        evidence=fingerprint(list(messages)),
    )


def accuracy_alert(week: str, reason: str, figures: Mapping[str, Any]) -> Alert:
    """Realised loss of `week` is out of its band, for `reason`: one alert per week."""
    return Alert(
        kind="accuracy_out_of_band",
        subject="forecast_accuracy",
        week=week,
        severity="critical",
        summary=f"realised accuracy of week {week} is out of its band: {reason}",
        figures=figures,
    )


def accuracy_out_of_band(losses: Sequence[tuple[str, float]]) -> Alert | None:
    """The newest scored week's WMAE of the chain above the band of its own history; None while it is inside."""
    from demand_assets.monitoring.retraining import loss_state

    state = loss_state(losses)
    if state is None or not state.degraded:
        return None
    return accuracy_alert(
        state.week,
        f"WMAE {state.wmae:,.0f} is above {state.upper:,.0f}, for {state.weeks_above} weeks now",
        {
            "WMAE": round(state.wmae, 2),
            "end of the band": round(state.upper, 2),
            "median before": round(state.centre, 2),
            "weeks above": state.weeks_above,
        },
    )


def promotion_refused_alert(connection: "Connection") -> Alert | None:
    """The gate has refused three challengers in a row, or six, or nine; None below."""
    from demand_assets.store.ledger import refusals_in_a_row

    rows = refusals_in_a_row(connection)
    if len(rows) < REFUSALS:
        return None
    newest, first = rows[0], rows[-1]
    reasons = newest["reasons"] if isinstance(newest["reasons"], list) else [newest["reasons"]]
    return Alert(
        kind="promotion_refused",
        subject=newest["model_name"],
        week=newest["as_of"].isoformat() if newest["as_of"] else None,
        severity="warning",
        summary=f"the gate refused {len(rows)} challengers in a row, version {newest['to_version']} last: "
        + one_line("; ".join(map(str, reasons))),
        figures={
            "refused versions": [row["to_version"] for row in rows[:10]],
            "champion": newest["from_version"] or "none",
        },
        evidence=f"{first['promotion_id']}:{len(rows) // REFUSALS}",
    )


def baseline_serves_alert(champion: RegisteredVersion | None, newest_trained: str | None) -> Alert | None:
    """The method in production needs no training: one alert per method and newest trained model, which was refused."""
    if champion is None or champion.is_trained:
        return None
    # A version whose MLflow run was deleted has no metrics.
    wmae = f"backtest_wmae_{champion.model}"
    refused = "no model was trained yet" if newest_trained is None else f"model version {newest_trained} was refused"
    return Alert(
        kind="baseline_serves",
        subject=champion.method,
        week=None,
        severity="warning",
        summary=f"{champion.method}, a method without training, forecasts as version {champion.version}: {refused}",
        figures={name: round(value, 2) for name, value in champion.metrics.items() if name == wmae},
        evidence=str(newest_trained),
    )


def store_unreachable_alert(error: StoreError, now: datetime) -> Alert:
    """The SQL store cannot be read: one alert per day of it."""
    return Alert(
        kind="store_unreachable",
        subject="SQL store",
        week=None,
        severity="critical",
        summary=one_line(str(error)),
        figures={"noticed": f"{now:%Y-%m-%d %H:%M} UTC"},
        evidence=f"{now:%Y-%m-%d}",
    )


def health_alerts(lake: ParquetLake, registry: ModelRegistry, ledger: PromotionLedger, now: datetime) -> list[Alert]:
    """What is wrong by store and lake: drift, loss out of band, refusals, a baseline that serves, a store down."""
    from demand_assets.store.engine import reading
    from demand_assets.store.migrations import opened

    try:
        with opened(ledger.address) as engine, reading(engine) as connection:
            refused = promotion_refused_alert(connection)
        losses = chain_losses(registry, ledger)
        champion, trained = ledger.champion(), registry.newest(trained=True)
    except StoreError as error:
        return [store_unreachable_alert(error, now)]
    serves = baseline_serves_alert(champion, None if trained is None else trained.version)
    found = (severe_drift_alert(lake), accuracy_out_of_band(losses), refused, serves)
    return [alert for alert in found if alert is not None]
