"""Alerts: a record of each, so that it is told once by however many processes, and the channels that carry it.

An alert's key says what is wrong with what, when, and by which evidence. Whoever creates the file of that key first
has a new alert; whoever claims it for a channel first sends it there. A channel that fails gives its claim back.
"""

import errno
import json
import logging
import os
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

import dagster as dg
from botocore.exceptions import BotoCoreError, ClientError

from demand_assets.adapters.files import filesystem_at
from demand_assets.provenance import fingerprint

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

Kind = Literal[
    "run_failed",
    "check_failed",
    "check_missing",
    "sensor_failed",
    "severe_drift",
    "accuracy_out_of_band",
    "promotion_refused",
    "forecast_missing",
    "store_unreachable",
    "daemon_silent",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
Severity = Literal["warning", "critical"]
RUNBOOK = "docs/runbook.md"
METRIC = "Alerts"

# What a folder, S3, SNS or CloudWatch that is down or refuses raises.
CHANNEL_ERRORS = (OSError, BotoCoreError, ClientError)
# A process that died between claiming and sending must not silence the alert; sending takes seconds.
CLAIM_LASTS = timedelta(minutes=10)
REDELIVERY_LASTS = timedelta(hours=24)
_RACE_PAUSE_S = 0.1
_RACE_ATTEMPTS = 20
# SNS takes 100 characters of printable ASCII.
_SUBJECT_LENGTH = 100

_log = logging.getLogger("demand.alerts")


@dataclass(frozen=True)
class Alert:
    """One thing that is wrong. `week` is an ISO Friday or None; `figures` are JSON values by what they are called.

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


class Alerts(dg.ConfigurableResource):
    """Where alerts go: records under `uri` (a folder or s3://bucket/prefix) and the log; SNS and CloudWatch if named.

    `sns_topic_arn` and `metrics_namespace` turn those channels on. Nothing here raises because a channel is down.
    """

    uri: str
    sns_topic_arn: str = ""
    metrics_namespace: str = ""

    def fire(self, alert: Alert) -> bool:
        """Deliver `alert` to each channel that has not had it; True when this call delivered it to any.

        A channel that fails is logged with its reason and tried again by the next `fire` of the same alert or by
        `redeliver`. Where even the record cannot be written, the alert is delivered all the same: twice beats never.
        """
        record = {**asdict(alert), "runbook": alert.runbook, "fired_at": datetime.now(UTC).isoformat()}
        try:
            new = self._create(f"{alert.key}.json", record)
        except CHANNEL_ERRORS as error:
            _log.error(
                "the record of an alert cannot be written to %s (%s); it may be told again",
                self.uri,
                one_line(str(error)),
            )
            self._write_log(alert)
            for name, send in self._channels().items():
                self._send(name, send, alert)
            return True
        if new:
            self._write_log(alert)
        delivered = [self._deliver(name, send, alert) for name, send in self._channels().items()]
        return new or any(delivered)

    def redeliver(self) -> int:
        """Fire again what was fired in the last day; how many a channel had missed and has now.

        For alerts that are seen once, such as a failed run, while a channel is down.
        """
        if not self._channels():
            return 0
        since = datetime.now(UTC) - REDELIVERY_LASTS
        return sum(self.fire(record.alert) for record in self.newest() if record.fired_at >= since)

    def measure(self, measures: Sequence[tuple[str, float, str]]) -> bool:
        """Put (name, value, unit) into the namespace, if one is set; whether it took them. A failure is logged."""
        if not self.metrics_namespace or not measures:
            return False
        data = [{"MetricName": name, "Value": value, "Unit": unit} for name, value, unit in measures]
        try:
            self._client("cloudwatch").put_metric_data(Namespace=self.metrics_namespace, MetricData=data)
        except CHANNEL_ERRORS as error:
            _log.error("cloudwatch did not take the measures: %s", one_line(str(error)))
            return False
        return True

    def newest(self, limit: int = 100) -> list[AlertRecord]:
        """The alerts fired last, newest first; none while the records cannot be read, which is logged."""
        try:
            filesystem, root = self._filesystem()
            filesystem.invalidate_cache()
            files = filesystem.find(root, maxdepth=1, detail=True)
            names = [name for name in files if re.search(r"(^|/)[^./][^/]*\.json$", name)]
            newest = sorted(names, key=lambda name: _modified(files[name]), reverse=True)[:limit]
            records = [_record(json.loads(filesystem.cat_file(name))) for name in newest]
        except CHANNEL_ERRORS as error:
            _log.error("the records of alerts in %s cannot be read: %s", self.uri, one_line(str(error)))
            return []
        return sorted(records, key=lambda record: record.fired_at, reverse=True)

    def _channels(self) -> dict[str, Callable[[Alert], None]]:
        channels: dict[str, Callable[[Alert], None]] = {}
        if self.sns_topic_arn:
            channels["sns"] = self._publish
        if self.metrics_namespace:
            channels["cloudwatch"] = self._count
        return channels

    def _write_log(self, alert: Alert) -> None:
        _log.log(logging.CRITICAL if alert.severity == "critical" else logging.WARNING, "%s", alert.line())

    def _deliver(self, name: str, send: Callable[[Alert], None], alert: Alert) -> bool:
        """Send over one channel unless that was done or is being done; whether it was done here."""
        claim = f"{name}/{alert.key}.json"
        try:
            if not self._claim(claim):
                return False
            if not self._send(name, send, alert):
                self._remove(claim)
                return False
            self._overwrite(claim, {"sent_at": datetime.now(UTC).isoformat()})
        except CHANNEL_ERRORS as error:
            _log.error("the delivery of %s to %s cannot be recorded: %s", alert.key, name, one_line(str(error)))
            return False
        return True

    def _send(self, name: str, send: Callable[[Alert], None], alert: Alert) -> bool:
        try:
            send(alert)
        except CHANNEL_ERRORS as error:
            _log.error("%s did not take alert %s and is tried again: %s", name, alert.key, one_line(str(error)))
            return False
        return True

    def _claim(self, name: str) -> bool:
        """Take the sending of one alert over one channel; one claim of a process that died is taken over."""
        claimed = {"claimed_at": datetime.now(UTC).isoformat()}
        if self._create(name, claimed):
            return True
        filesystem, root = self._filesystem()
        try:
            held = json.loads(filesystem.cat_file(f"{root}/{name}"))
        except FileNotFoundError:
            return False  # given back this moment: the next tick finds it free
        if "sent_at" in held or datetime.fromisoformat(held["claimed_at"]) > datetime.now(UTC) - CLAIM_LASTS:
            return False
        self._remove(name)
        return self._create(name, claimed)

    def _filesystem(self) -> tuple["AbstractFileSystem", str]:
        return filesystem_at(self.uri)

    def _create(self, name: str, content: Mapping[str, Any]) -> bool:
        """Write a file whole unless it exists; whether this call wrote it."""
        filesystem, root = self._filesystem()
        path, data = f"{root}/{name}", json.dumps(content, default=str).encode()
        if "://" not in self.uri:
            temporary = _temporary(path, data)
            try:
                os.link(temporary, path)  # unlike a rename, a link never replaces
            except FileExistsError:
                return False
            finally:
                os.unlink(temporary)
            return True
        for _ in range(_RACE_ATTEMPTS):
            try:
                filesystem.pipe_file(path, data, mode="create")
            except FileExistsError:
                return False
            except OSError as error:
                if not _lost_a_race(error):
                    raise
                time.sleep(_RACE_PAUSE_S)
            else:
                return True
        raise OSError(errno.EBUSY, f"{self.uri}/{name} is being written by others; it is tried again")

    def _overwrite(self, name: str, content: Mapping[str, Any]) -> None:
        filesystem, root = self._filesystem()
        path, data = f"{root}/{name}", json.dumps(content).encode()
        if "://" in self.uri:
            filesystem.pipe_file(path, data)
        else:
            os.replace(_temporary(path, data), path)

    def _remove(self, name: str) -> None:
        filesystem, root = self._filesystem()
        try:
            filesystem.rm_file(f"{root}/{name}")
        except FileNotFoundError:
            _log.info("%s was given back by another process", name)

    def _publish(self, alert: Alert) -> None:
        subject = f"[{alert.severity}] {alert.kind}: {alert.summary}".encode("ascii", "replace").decode()
        attributes = {
            "kind": alert.kind,
            "severity": alert.severity,
            "subject": alert.subject,
            "week": alert.week or "none",
            "figures": json.dumps(alert.figures, default=str),
        }
        self._client("sns").publish(
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
        self._client("cloudwatch").put_metric_data(
            Namespace=self.metrics_namespace,
            MetricData=[
                {"MetricName": METRIC, "Dimensions": [dimension], "Value": 1.0, "Unit": "Count"}
                for dimension in dimensions
            ],
        )

    def _client(self, service: str) -> Any:
        import boto3
        from botocore.config import Config

        # Whoever fires has other work to do: a channel that does not answer soon is tried again later.
        config = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2, "mode": "standard"})
        region = self.sns_topic_arn.split(":")[3] if self.sns_topic_arn.count(":") >= 5 else None
        # A session each: the default one is not safe among threads.
        session: Any = boto3.session.Session(region_name=region)
        return session.client(service, config=config)


def _record(held: Mapping[str, Any]) -> AlertRecord:
    fields = {name: held[name] for name in Alert.__dataclass_fields__}
    return AlertRecord(Alert(**fields), datetime.fromisoformat(held["fired_at"]))


def _modified(found: Mapping[str, Any]) -> float:
    # fsspec names the time as each file system does.
    when = found.get("mtime", found.get("LastModified", 0.0))
    return when.timestamp() if isinstance(when, datetime) else float(when)


def _temporary(path: str, data: bytes) -> str:
    """A whole, synced file beside `path`, to be linked or renamed to it."""
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    temporary = f"{folder}/.{name}.{uuid.uuid4().hex}"
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return temporary


def _lost_a_race(error: OSError) -> bool:
    """Whether S3 answered 409: two conditional writes of one key met, and one has to ask again."""
    response = getattr(error.__cause__, "response", None) or {}
    return bool(response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 409)
