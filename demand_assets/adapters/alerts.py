"""Alerts: a record of each, so that it is sent once, however many processes run, and the channels that carry it.

An alert's key names the fault, its subject, its week and its evidence. The process that adds a row for the key and a
channel to the table `alerts` first sends the alert over that channel. If the channel fails, the row is removed.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Literal, get_args

from botocore.exceptions import BotoCoreError, ClientError

from demand_assets.adapters.hidden_values import StoreResource, revealed
from demand_assets.adapters.notices import channels_of, notify
from demand_assets.errors import DeliveryError, StoreError
from demand_assets.provenance import fingerprint

if TYPE_CHECKING:
    from demand_assets.store.alerts import Claim

Kind = Literal[
    "run_failed",
    "check_failed",
    "check_missing",
    "sensor_failed",
    "severe_drift",
    "accuracy_out_of_band",
    "promotion_refused",
    "baseline_serves",
    "forecast_missing",
    "store_unreachable",
    "daemon_silent",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
Severity = Literal["warning", "critical"]
RUNBOOK = "docs/runbook.md"
METRIC = "Alerts"
# The channel that every alert goes to.
LOG = "log"

# What a channel that is down or refuses raises.
CHANNEL_ERRORS = (OSError, BotoCoreError, ClientError, DeliveryError)
REDELIVERY_LASTS = timedelta(hours=24)
# A tick of the sensor that redelivers must end within a minute.
_PATIENCE_S = 30.0
# SNS takes 100 characters of printable ASCII.
_SUBJECT_LENGTH = 100

_log = logging.getLogger("demand.alerts")
# (alert, channel) that this process has delivered while the store was away.
_unrecorded: set[tuple[str, str]] = set()


@dataclass(frozen=True)
class Alert:
    """One thing that is wrong. `week` is an ISO date or None; `figures` are JSON values by what they are called.

    The same kind, subject, week and evidence are the same alert; `evidence` names what it was seen in (a run, a set of
    rows, an outage), where the same trouble may come again. `summary` is one line.
    """

    kind: Kind
    subject: str
    week: str | None
    severity: Severity
    summary: str
    figures: Mapping[str, Any]
    evidence: str = ""

    @property
    def key(self) -> str:
        """Name of the record: kind, week and a hash of kind, subject, week and evidence."""
        digest = fingerprint([self.kind, self.subject, self.week, self.evidence])
        return "-".join(part for part in (self.kind, self.week, digest) if part)

    @property
    def runbook(self) -> str:
        """The section of the runbook to open."""
        return f"{RUNBOOK}#{self.kind.replace('_', '-')}"

    def line(self) -> str:
        """All of it on one line: severity, kind, week, summary, figures, section of the runbook."""
        week = f" of week {self.week}" if self.week else ""
        figures = "; ".join(f"{name}: {_shown(value)}" for name, value in self.figures.items())
        return f"{self.severity} alert {self.kind}{week}: {self.summary} ({figures}); see {self.runbook}"

    @property
    def title(self) -> str:
        """The subject of a mail."""
        return f"[{self.severity}] {self.kind}: {self.summary}"

    def body(self) -> str:
        """The same for a mail: a line per figure."""
        figures = [f"  {name}: {_shown(value)}" for name, value in self.figures.items()]
        about = [f"Week: {self.week or 'none in particular'}", f"Subject: {self.subject}", f"Severity: {self.severity}"]
        return "\n".join([self.summary, "", *about, *figures, "", f"What to do: {self.runbook}", f"Alert: {self.key}"])


@dataclass(frozen=True)
class AlertRecord:
    """An alert and when it was first fired, UTC."""

    alert: Alert
    fired_at: datetime


def one_line(text: str) -> str:
    """The first line of `text` that says something, in at most 300 characters."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return lines[0][:300] if lines else "no reason was given"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 100 else f"{value:,.0f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    return " ".join(str(value).split())


class Alerts(StoreResource):
    """Where alerts go: the log, and what is named; the store at `store_url` holds what was delivered.

    `sns_topic_arn`, `metrics_namespace` and `addresses` (of Apprise) turn those channels on. Nothing here raises
    because a channel or the store is down.
    """

    sns_topic_arn: str = ""
    metrics_namespace: str = ""
    addresses: str = ""

    def fire(self, alert: Alert) -> bool:
        """Deliver `alert` to each channel that has not had it; True when this call delivered it to any.

        A channel that fails is logged with its reason and tried again by the next `fire` of the same alert or by
        `redeliver`. While the store is away each process delivers it once by itself: twice beats never.
        """
        from demand_assets.store.alerts import Claim
        from demand_assets.store.migrations import opened

        try:
            with opened(self.address) as engine:
                claims = [Claim(engine, alert.key, name) for name in self._channels()]
                delivered = [self._deliver(claim, alert) for claim in claims]
        except StoreError as error:
            return self._deliver_unrecorded(alert, error)
        return any(delivered)

    def redeliver(self) -> int:
        """Fire again what was fired in the last day; how many a channel had missed and has now.

        For alerts that are seen once, such as a failed run, while a channel is down. The newest go first; of a channel
        that takes long to fail the rest is left to the next call.
        """
        if len(self._channels()) == 1:
            return 0
        since = datetime.now(UTC) - REDELIVERY_LASTS
        until = time.monotonic() + _PATIENCE_S
        missed = (record.alert for record in self.newest() if record.fired_at >= since)
        return sum(map(self.fire, takewhile(lambda _: time.monotonic() < until, missed)))

    def put_metrics(self, metrics: Sequence[tuple[str, float, str]]) -> bool:
        """Put (name, value, unit) into the namespace, if one is set; whether it took them. A failure is logged."""
        if not self.metrics_namespace or not metrics:
            return False
        data = [{"MetricName": name, "Value": value, "Unit": unit} for name, value, unit in metrics]
        try:
            self._cloudwatch().put_metric_data(Namespace=self.metrics_namespace, MetricData=data)
        except CHANNEL_ERRORS as error:
            _log.error("cloudwatch did not take the metrics: %s", one_line(str(error)))
            return False
        return True

    def newest(self, limit: int = 100) -> list[AlertRecord]:
        """The alerts fired last, newest first; none while the store cannot be read, which is logged."""
        from demand_assets.store.alerts import newest_alerts
        from demand_assets.store.engine import reading
        from demand_assets.store.migrations import opened

        try:
            with opened(self.address) as engine, reading(engine) as connection:
                found = newest_alerts(connection, LOG, limit)
        except StoreError as error:
            _log.error("the alerts that were fired cannot be read: %s", one_line(str(error)))
            return []
        return [AlertRecord(Alert(**alert), fired_at) for alert, fired_at in found]

    def _channels(self) -> dict[str, Callable[[Alert], None]]:
        channels: dict[str, Callable[[Alert], None]] = {LOG: _write_log}
        if self.sns_topic_arn:
            channels["sns"] = self._publish
        if self.metrics_namespace:
            channels["cloudwatch"] = self._count
        for name, address in channels_of(revealed(self.addresses)).items():
            channels[name] = partial(_notify, address)
        return channels

    def _deliver(self, claim: "Claim", alert: Alert) -> bool:
        """Send over one channel unless that was done or is being done; whether it was done here."""
        if not claim.take(json.loads(json.dumps(asdict(alert), default=str)), datetime.now(UTC)):
            return False
        if not self._send(claim.channel, alert):
            claim.give_back()
            return False
        claim.settle(datetime.now(UTC))
        return True

    def _deliver_unrecorded(self, alert: Alert, error: StoreError) -> bool:
        due = [name for name in self._channels() if (alert.key, name) not in _unrecorded]
        if due:
            _log.error("the delivery of %s cannot be recorded (%s); it may be sent again", alert.key, error)
        sent = {(alert.key, name) for name in due if self._send(name, alert)}
        _unrecorded.update(sent)
        return bool(sent)

    def _send(self, name: str, alert: Alert) -> bool:
        try:
            self._channels()[name](alert)
        except CHANNEL_ERRORS as error:
            _log.error("%s did not take alert %s and is tried again: %s", name, alert.key, one_line(str(error)))
            return False
        return True

    def _publish(self, alert: Alert) -> None:
        subject = alert.title.encode("ascii", "replace").decode()
        attributes = {
            "kind": alert.kind,
            "severity": alert.severity,
            "subject": alert.subject,
            "week": alert.week or "none",
            "figures": json.dumps(alert.figures, default=str),
        }
        client_of("sns", self.sns_topic_arn).publish(
            TopicArn=self.sns_topic_arn,
            Subject=subject[:_SUBJECT_LENGTH],
            Message=alert.body(),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value or "none"} for name, value in attributes.items()
            },
        )

    def _count(self, alert: Alert) -> None:
        # One datum per question asked of it: an alarm on a kind, and one on anything critical.
        dimensions = ({"Name": "Kind", "Value": alert.kind}, {"Name": "Severity", "Value": alert.severity})
        self._cloudwatch().put_metric_data(
            Namespace=self.metrics_namespace,
            MetricData=[
                {"MetricName": METRIC, "Dimensions": [dimension], "Value": 1.0, "Unit": "Count"}
                for dimension in dimensions
            ],
        )

    def _cloudwatch(self) -> Any:
        return client_of("cloudwatch", self.sns_topic_arn)


def client_of(service: str, topic_arn: str = "") -> Any:
    """A client of an AWS service that gives up soon, in the region of a topic if one is named."""
    import boto3
    from botocore.config import Config

    # The caller has other work to do, so a channel that does not answer soon is tried again later.
    config = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2, "mode": "standard"})
    region = topic_arn.split(":")[3] if topic_arn.count(":") >= 5 else None
    # A session each: the default one is not safe among threads.
    session: Any = boto3.session.Session(region_name=region)
    return session.client(service, config=config)


def _notify(address: str, alert: Alert) -> None:
    notify(address, alert.title, alert.body(), "failure" if alert.severity == "critical" else "warning")


def _write_log(alert: Alert) -> None:
    _log.log(logging.CRITICAL if alert.severity == "critical" else logging.WARNING, "%s", alert.line())
