"""Alerts are told once, over the log, SNS and CloudWatch; a channel that is down costs nothing but time."""

import json
import logging
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from sqlalchemy import insert, update

from demand_assets.adapters.alerts import KINDS, Alert, Alerts, one_line
from demand_assets.store.engine import create_engine_for
from demand_assets.store.migrations import migrate
from demand_assets.store.tables import alerts as alerts_table
from tests.receivers import mailbox, webhook

DRIFT = Alert(
    kind="severe_drift",
    subject="drift_report",
    week="2012-06-29",
    severity="warning",
    summary="3 distributions drifted severely",
    figures={"severe": 3, "worst": ["cpi of chain all", "lag_52 of dept 7"]},
)


@pytest.fixture
def aws(aws_environment: str) -> str:
    """A name that no other test uses at the server."""
    return f"alerts-{os.urandom(6).hex()}"


@pytest.fixture
def store(tmp_path: Path) -> str:
    """URL of an empty store."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    migrate(url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest) -> str:
    """URL of an empty store on each of the two databases."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("store"))
    url = str(request.getfixturevalue("postgres_url"))
    migrate(url)
    return url


def change(store: str, statement: Any) -> None:
    engine = create_engine_for(store)
    with engine.begin() as connection:
        connection.execute(statement)
    engine.dispose()


def topic_and_queue(name: str) -> tuple[str, str]:
    """A topic, and a queue that receives what is published to it; both FIFO if the name ends so."""
    attributes = {"FifoTopic": "true"} if name.endswith(".fifo") else {}
    topic = boto3.client("sns").create_topic(Name=name, Attributes=attributes)["TopicArn"]
    fifo = {"FifoQueue": "true"} if attributes else {}
    queue = boto3.client("sqs").create_queue(QueueName=name, Attributes=fifo)["QueueUrl"]
    boto3.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:{topic.split(':')[4]}:{name}"
    )
    return topic, queue


def messages(queue: str) -> list[dict[str, Any]]:
    received = boto3.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in received]


def told(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    """What the log of alerts was told, at `level` and above; the server logs its requests, too."""
    return [one.message for one in caplog.records if one.name == "demand.alerts" and one.levelno >= level]


def test_an_alert_is_new_once_and_can_be_read_back(either: str, caplog: pytest.LogCaptureFixture) -> None:
    alerts = Alerts(store_url=either)
    assert alerts.newest() == []
    assert [alerts.fire(DRIFT), alerts.fire(DRIFT)] == [True, False]
    (record,) = alerts.newest()
    assert record.alert == DRIFT
    assert timedelta() <= datetime.now(UTC) - record.fired_at < timedelta(minutes=1)
    assert told(caplog) == [
        "warning alert severe_drift of week 2012-06-29: 3 distributions drifted severely "
        "(severe: 3; worst: cpi of chain all, lag_52 of dept 7); see docs/runbook.md#severe-drift"
    ]


def test_other_evidence_is_another_alert(store: str) -> None:
    alerts = Alerts(store_url=store)
    assert all(alerts.fire(replace(DRIFT, evidence=evidence)) for evidence in ("one", "two"))
    assert [record.alert.evidence for record in alerts.newest()] == ["two", "one"]
    assert [record.alert.evidence for record in alerts.newest(limit=1)] == ["two"]


def test_twenty_threads_tell_it_once(either: str, aws: str) -> None:
    topic, queue = topic_and_queue(aws)
    alerts = Alerts(store_url=either, sns_topic_arn=topic)
    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(alerts.fire, [DRIFT] * 20)) >= 1
    assert len(messages(queue)) == 1
    assert len(alerts.newest()) == 1


def test_processes_that_fire_together_tell_it_once(store: str) -> None:
    program = (
        "import sys; from demand_assets.adapters.alerts import Alert, Alerts; sys.stdin.readline();"
        "alert = Alert('run_failed', 'weekly', None, 'critical', 'failed', {});"
        f"print(sum(Alerts(store_url={store!r}).fire(alert) for _ in range(50)))"
    )
    together = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    ended = [process.communicate("go\n") for process in together]
    assert sum(int(stdout) for stdout, _ in ended) == 1
    assert "".join(stderr for _, stderr in ended).count("critical alert run_failed: failed") == 1


def test_a_subscriber_of_the_topic_reads_the_week_the_figures_and_the_runbook(store: str, aws: str) -> None:
    topic, queue = topic_and_queue(aws)
    assert Alerts(store_url=store, sns_topic_arn=topic).fire(DRIFT)
    (message,) = messages(queue)
    assert message["Subject"] == "[warning] severe_drift: 3 distributions drifted severely"
    for text in ("Week: 2012-06-29", "severe: 3", "lag_52 of dept 7", "docs/runbook.md#severe-drift"):
        assert text in message["Message"]
    attributes = {name: value["Value"] for name, value in message["MessageAttributes"].items()}
    assert (attributes["kind"], attributes["severity"], attributes["week"]) == (
        "severe_drift",
        "warning",
        "2012-06-29",
    )
    assert json.loads(attributes["figures"]) == DRIFT.figures


def test_a_subject_is_made_fit_for_sns(store: str, aws: str) -> None:
    topic, queue = topic_and_queue(aws)
    assert Alerts(store_url=store, sns_topic_arn=topic).fire(replace(DRIFT, summary="Überschuß " * 30))
    (message,) = messages(queue)
    assert len(message["Subject"]) == 100
    assert message["Subject"].isascii()


def test_alerts_are_counted_by_kind_and_by_severity(store: str, aws: str) -> None:
    alerts = Alerts(store_url=store, metrics_namespace=aws)
    assert [alerts.fire(DRIFT), alerts.fire(DRIFT)] == [True, False]
    cloudwatch = boto3.client("cloudwatch")
    listed = cloudwatch.list_metrics(Namespace=aws)["Metrics"]
    assert sorted((one["MetricName"], *one["Dimensions"][0].values()) for one in listed) == [
        ("Alerts", "Kind", "severe_drift"),
        ("Alerts", "Severity", "warning"),
    ]
    now = datetime.now(UTC)
    counted = cloudwatch.get_metric_statistics(
        Namespace=aws, MetricName="Alerts", Dimensions=[{"Name": "Kind", "Value": "severe_drift"}], Period=3600,
        StartTime=now - timedelta(hours=1), EndTime=now + timedelta(hours=1), Statistics=["Sum"],
    )["Datapoints"]  # fmt: skip
    assert sum(point["Sum"] for point in counted) == 1


def test_a_channel_that_is_down_raises_nothing_and_is_told_later(
    store: str, aws: str, aws_endpoint: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    topic, queue = topic_and_queue(aws)
    alerts = Alerts(store_url=store, sns_topic_arn=topic)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", "http://127.0.0.1:9")
    assert [alerts.fire(DRIFT), alerts.fire(DRIFT)] == [True, False]
    reasons = told(caplog, logging.ERROR)
    assert len(reasons) == 2
    assert "sns did not take alert severe_drift-2012-06-29" in reasons[0]
    assert "127.0.0.1:9" in reasons[0]
    monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", aws_endpoint)
    assert [alerts.redeliver(), alerts.redeliver(), alerts.fire(DRIFT)] == [1, 0, False]
    assert len(messages(queue)) == 1
    assert told(caplog).count(DRIFT.line()) == 1


def test_what_a_channel_missed_is_told_for_a_day(store: str, aws: str) -> None:
    topic, queue = topic_and_queue(aws)
    alerts = Alerts(store_url=store, sns_topic_arn=topic)
    day = timedelta(days=1)
    for evidence, age in (("young", day - timedelta(minutes=1)), ("old", day), ("older", 2 * day)):
        alert = replace(DRIFT, evidence=evidence)
        assert Alerts(store_url=store).fire(alert)  # no channel yet
        fired = update(alerts_table).where(alerts_table.c.alert_key == alert.key)
        change(store, fired.values(claimed_at=datetime.now(UTC) - age))
    assert Alerts(store_url=store).redeliver() == 0
    assert [alerts.redeliver(), alerts.redeliver()] == [1, 0]
    (message,) = messages(queue)
    assert message["Message"].splitlines()[-1] == f"Alert: {replace(DRIFT, evidence='young').key}"
    # An alert that is seen again is told however old it is.
    assert alerts.fire(replace(DRIFT, evidence="older"))


def test_each_address_is_told_once_and_a_service_that_is_down_later(
    store: str, caplog: pytest.LogCaptureFixture
) -> None:
    with webhook() as hook, mailbox() as box:
        alerts = Alerts(store_url=store, addresses=f"{hook.address} {box.address}")
        hook.status = 500
        assert [alerts.fire(DRIFT), alerts.fire(DRIFT)] == [True, False]
        assert (len(hook.taken), len(box.mails)) == (0, 1)
        (reason, _) = told(caplog, logging.ERROR)
        assert re.fullmatch(
            r"json-\w{16} did not take alert \S+ and is tried again: Failed to send .*error=500.*", reason
        )
        hook.status = 200
        assert [alerts.redeliver(), alerts.redeliver()] == [1, 0]
        assert (len(hook.taken), len(box.mails)) == (1, 1)
        ((mail,), (body,)) = box.mails, hook.bodies
    assert mail["subject"] == body["title"] == "[warning] severe_drift: 3 distributions drifted severely"
    assert body["type"] == "warning"
    assert "lag_52 of dept 7" in body["message"]
    for secret in ("hunter2", "s3cret", "ann"):
        assert secret not in caplog.text


def test_a_topic_that_does_not_exist_raises_nothing(store: str, aws: str) -> None:
    alerts = Alerts(store_url=store, sns_topic_arn=f"arn:aws:sns:us-east-1:123456789012:{aws}")
    assert [alerts.fire(DRIFT), alerts.fire(DRIFT)] == [True, False]


def test_a_claim_of_a_process_that_died_is_taken_over(store: str, aws: str) -> None:
    topic, queue = topic_and_queue(aws)
    alerts = Alerts(store_url=store, sns_topic_arn=topic)
    now, claims = datetime.now(UTC), update(alerts_table)
    claim = {"alert_key": DRIFT.key, "channel": "sns", "alert": {}, "claimed_at": now - timedelta(minutes=9)}
    change(store, insert(alerts_table).values(claim))
    # Sending takes seconds: for ten minutes a claim may be of a process that lives.
    assert [alerts.fire(DRIFT), alerts.fire(DRIFT)] == [True, False]
    assert messages(queue) == []
    change(store, claims.where(alerts_table.c.channel == "sns").values(claimed_at=now - timedelta(minutes=11)))
    assert alerts.fire(DRIFT)
    assert len(messages(queue)) == 1
    # What was sent is never sent again, however long ago that was.
    change(store, claims.values(claimed_at=now - timedelta(days=3), sent_at=now - timedelta(days=3)))
    assert not alerts.fire(DRIFT)


def test_while_the_store_is_away_an_alert_is_told_once_by_each_process(
    tmp_path: Path, aws: str, aws_endpoint: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    topic, queue = topic_and_queue(aws)
    alerts = Alerts(store_url=f"sqlite:///{tmp_path / 'nowhere' / 'store.db'}", sns_topic_arn=topic)
    away = replace(DRIFT, kind="store_unreachable", evidence=aws)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", "http://127.0.0.1:9")
    assert alerts.fire(away)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", aws_endpoint)
    assert [alerts.fire(away), alerts.fire(away)] == [True, False]
    assert len(messages(queue)) == 1
    unrecorded = told(caplog)[0]
    assert unrecorded.startswith(f"the delivery of {away.key} cannot be recorded (SQLite file ")
    assert told(caplog).count(away.line()) == 1
    assert alerts.newest() == []


def test_alerts_differ_by_kind_subject_week_and_evidence() -> None:
    others = [
        DRIFT,
        replace(DRIFT, kind="check_failed"),
        replace(DRIFT, subject="another"),
        replace(DRIFT, week="2012-07-06"),
        replace(DRIFT, week=None),
        replace(DRIFT, evidence="run"),
    ]
    assert len({alert.key for alert in others}) == len(others)
    assert replace(DRIFT, summary="said otherwise", severity="critical", figures={}).key == DRIFT.key
    assert DRIFT.key.startswith("severe_drift-2012-06-29-")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (99.994, "99.99"),
        (-0.12345, "-0.1235"),
        (100.4, "100"),
        (-1234567.8, "-1,234,568"),
        (1234, "1234"),
        ([1.5, "a  b"], "1.5, a b"),
        ("two\nlines", "two lines"),
    ],
)
def test_a_figure_is_shown_on_one_line(value: object, shown: str) -> None:
    alert = replace(DRIFT, week=None, figures={"figure": value})
    assert alert.line() == (
        f"warning alert severe_drift: 3 distributions drifted severely (figure: {shown}); "
        "see docs/runbook.md#severe-drift"
    )
    assert alert.body().splitlines() == [
        "3 distributions drifted severely",
        "",
        "Week: none in particular",
        "Subject: drift_report",
        "Severity: warning",
        f"  figure: {shown}",
        "",
        "What to do: docs/runbook.md#severe-drift",
        f"Alert: {alert.key}",
    ]


def test_a_reason_is_the_first_line_that_says_something() -> None:
    assert one_line("\n  \n  no   such file \nmore") == "no such file"
    assert one_line("x" * 301) == "x" * 300
    assert one_line(" \n") == "no reason was given"


def test_metrics_are_put_into_the_namespace_if_there_is_one(
    store: str, aws: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    alerts = Alerts(store_url=store, metrics_namespace=aws)
    metrics = [("WMAE", 12.5, "None"), ("Lag", 3.0, "Seconds")]
    assert not Alerts(store_url=store).put_metrics(metrics)
    assert not alerts.put_metrics([])
    assert alerts.put_metrics(metrics)
    listed = boto3.client("cloudwatch").list_metrics(Namespace=aws)["Metrics"]
    assert sorted(one["MetricName"] for one in listed) == ["Lag", "WMAE"]
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", "http://127.0.0.1:9")
    assert not alerts.put_metrics(metrics)
    assert told(caplog, logging.ERROR)[0].startswith("cloudwatch did not take the metrics: ")


def test_every_kind_of_alert_has_its_section_in_the_runbook() -> None:
    text = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text()
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    anchors = {heading.lower().replace("'", "").replace(" ", "-") for heading in headings}
    wanted = {replace(DRIFT, kind=kind).runbook.split("#")[1] for kind in KINDS}
    assert wanted <= anchors
