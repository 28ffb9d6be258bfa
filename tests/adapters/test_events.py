"""Published vintages are told to webhooks, SNS and people, at least once and in order, by real servers on loopback."""

import base64
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from demand_assets.adapters.alerts import Alert, Alerts
from demand_assets.adapters.events import Events, signature
from demand_assets.store.engine import create_engine_for
from demand_assets.store.migrations import HEAD, migrate
from demand_assets.store.publish import VintageRecord, publish_accuracy, publish_exceptions, publish_vintage
from demand_assets.store.tables import event_targets
from tests.adapters.test_alerts import messages, topic_and_queue
from tests.receivers import Mailbox, Webhook, mailbox, webhook

ORIGIN = date(2012, 10, 26)
NOW = datetime(2012, 10, 27, 6, tzinfo=UTC)
RECORD = VintageRecord(ORIGIN, 2, "xgboost", "7", "data-1", "code-1", NOW, "USD")
KEY = b"a key of 32 bytes, as it must be"
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
FAILED = Alert("run_failed", "weekly", "2012-10-26", "critical", "run of weekly failed", {"run": "r1"}, "r1")


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as server:
        yield server


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty store on each of the two databases."""
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'store.db'}" if sqlite else str(request.getfixturevalue("postgres_url"))
    migrate(url)
    return url


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    migrate(url)
    return url


def publish(store: str, amount: float = 100.0, record: VintageRecord = RECORD) -> str:
    """Add a vintage of two weeks of one series; its id."""
    weeks = [(record.origin_week + timedelta(weeks=ahead), ahead) for ahead in (1, 2)]
    band = (amount, amount - 10, amount, amount + 10)
    rows = [("1", "3", week, ahead, *band, None) for week, ahead in weeks]
    keys = (("chain", None, None), ("store", "1", None), ("department", None, "3"))
    totals = [(*key, week, ahead, *band, 1) for key in keys for week, ahead in weeks]
    engine = create_engine_for(store)
    published = publish_vintage(engine, record, rows, totals)
    engine.dispose()
    return published.vintage_id


def verifier_of_the_docs() -> Callable[[str, dict[str, str], bytes], bool]:
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    (lines,) = (block.split("```")[0] for block in text.split("```python\n")[1:] if "webhook-signature" in block)
    names: dict[str, Any] = {}
    exec(lines, names)
    verify: Callable[[str, dict[str, str], bytes], bool] = names["is_genuine"]
    return verify


def test_a_signature_is_that_of_the_specification() -> None:
    # The example of Standard Webhooks' libraries.
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    signed = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def sequences(hook: Webhook) -> list[int]:
    return [body["sequence"] for body in hook.bodies]


def test_a_webhook_gets_the_vintage_its_address_and_a_signature(either: str, hook: Webhook) -> None:
    vintage_id = publish(either)
    events = Events(store_url=either, webhooks=hook.url, secret=SECRET, public_url="https://demand.test/shop/")
    assert [one.events for one in events.tell(NOW)] == [1]
    assert [one.events for one in events.tell(NOW)] == [0]
    ((headers, body),) = hook.taken
    weeks = ["2012-11-02", "2012-11-09"]
    assert json.loads(body) == {
        "event": "vintage.published",
        "vintage_id": vintage_id,
        "sequence": 1,
        "origin_week": "2012-10-26",
        "horizon_weeks": 2,
        "unit": "USD",
        "kind": "forecast",
        "method": "xgboost",
        "model_version": "7",
        "published_at": "2012-10-27T06:00:00+00:00",
        "rows": 2,
        "totals": [{"target_week": week, "forecast": 100.0, "p10": 90.0, "p90": 110.0} for week in weeks],
        "url": f"https://demand.test/shop/v1/vintages/{vintage_id}",
    }
    assert headers["webhook-id"] == vintage_id
    is_genuine = verifier_of_the_docs()
    assert is_genuine(SECRET, headers, body)
    assert not is_genuine(SECRET, headers, body.replace(b"100.0", b"100.1"))
    assert not is_genuine(SECRET, headers | {"webhook-id": "another"}, body)
    stale = str(int(headers["webhook-timestamp"]) - 301)
    assert not is_genuine(SECRET, headers | {"webhook-timestamp": stale}, body)


def test_a_failure_and_a_publication_reach_webhook_and_mail_once_each(store: str, hook: Webhook, box: Mailbox) -> None:
    addresses = f"{hook.address} {box.address}"
    publish(store)
    for _ in range(2):
        Alerts(store_url=store, addresses=addresses).fire(FAILED)
        Events(store_url=store, addresses=addresses).tell(NOW)
    titles = ["[critical] run_failed: run of weekly failed", "Forecast of week Oct 26, 2012 published"]
    assert [body["title"] for body in hook.bodies] == titles
    assert [body["type"] for body in hook.bodies] == ["failure", "info"]
    assert [mail["subject"] for mail in box.mails] == titles
    assert [mail["to"] for mail in box.mails] == ["ann@shop.test"] * 2


def test_a_target_that_is_down_is_told_all_in_order_later(
    store: str, hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    first = publish(store)
    hook.status = 503
    events = Events(store_url=store, webhooks=hook.url, secret=SECRET)
    (failed,) = events.tell(NOW)
    publish(store, 120.0)
    # The later event waits for the earlier one.
    assert events.tell(NOW) == [failed]
    assert (hook.asked, hook.taken) == (2, [])
    assert (failed.events, failed.failure) == (0, "expected 127.0.0.1 to answer 2xx, got 503")
    (line, _) = [one.message for one in caplog.records if one.name == "demand.alerts.events"]
    assert line.endswith("did not take the event after sequence 0 and is told again: " + failed.failure)
    hook.status = 204
    publish(store, 130.0, replace(RECORD, kind="backtest"))
    assert [one.events for one in events.tell(NOW)] == [3]
    assert sequences(hook) == [1, 2, 3]
    assert hook.bodies[0]["vintage_id"] == first


def test_a_redirect_is_a_failure(store: str, hook: Webhook) -> None:
    publish(store)
    hook.status = 302
    (failed,) = Events(store_url=store, webhooks=hook.url, secret=SECRET).tell(NOW)
    assert failed.failure == "expected 127.0.0.1 to answer 2xx, got 302"


def test_one_target_that_is_down_holds_up_no_other(store: str, hook: Webhook) -> None:
    publish(store)
    down = "http://127.0.0.1:9/hook/s3cret"
    failed, good = Events(store_url=store, webhooks=f"{down} {hook.url}", secret=SECRET).tell(NOW)
    assert failed.failure == "127.0.0.1 cannot be reached: ConnectionError"
    assert (good.events, good.failure) == (1, "")


def test_of_threads_that_tell_together_each_event_is_sent_once(either: str, hook: Webhook) -> None:
    for amount in range(100, 105):
        publish(either, float(amount))
    events = Events(store_url=either, webhooks=hook.url, secret=SECRET)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(events.tell, [NOW] * 8))
    assert sequences(hook) == [1, 2, 3, 4, 5]


def test_the_turn_of_a_process_that_died_is_taken_over(store: str, hook: Webhook) -> None:
    publish(store)
    events = Events(store_url=store, webhooks=hook.url, secret=SECRET)
    events.tell(NOW)
    publish(store, 120.0)
    for minutes, expected in ((9, 0), (11, 1)):
        engine = create_engine_for(store)
        with engine.begin() as connection:
            claimed = {"claimed_at": datetime.now(UTC) - timedelta(minutes=minutes)}
            connection.execute(update(event_targets).values(claimed))
        engine.dispose()
        assert [one.events for one in events.tell(NOW)] == [expected]


def test_a_new_target_hears_of_the_last_day(store: str, hook: Webhook) -> None:
    for amount, hours in ((100.0, 48), (110.0, 25), (120.0, 23), (130.0, 0)):
        publish(store, amount, replace(RECORD, published_at=NOW - timedelta(hours=hours)))
    Events(store_url=store, webhooks=hook.url, secret=SECRET).tell(NOW)
    assert sequences(hook) == [3, 4]


def test_people_hear_of_forecasts_only(store: str, hook: Webhook) -> None:
    for kind in ("backtest", "forecast", "scenario"):
        publish(store, record=replace(RECORD, kind=kind))
    Events(store_url=store, addresses=hook.address).tell(NOW)
    assert [body["title"] for body in hook.bodies] == ["Forecast of week Oct 26, 2012 published"]


def test_people_hear_of_a_forecast_some_time_after_it_was_published(store: str, hook: Webhook) -> None:
    publish(store)
    events = Events(store_url=store, addresses=hook.address, webhooks=hook.url, secret=SECRET)
    later = NOW + timedelta(minutes=5)
    told = [events.tell(now, news_after=timedelta(minutes=5)) for now in (later - timedelta(seconds=1), later)]
    assert [[one.events for one in each] for each in told] == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("locale", "day", "write"),
    [
        ("en-US", {-1: "Oct 19, 2012", 0: "Oct 26, 2012", 1: "Nov 2, 2012", 2: "Nov 9, 2012"}, str),
        (
            "de-DE",
            {-1: "19.10.2012", 0: "26.10.2012", 1: "02.11.2012", 2: "09.11.2012"},
            lambda text: text.translate(str.maketrans(",.", ".,")).replace("%", "\N{NO-BREAK SPACE}%"),
        ),
    ],
)
def test_a_mail_says_what_is_expected_what_changed_how_good_it_was_and_the_exceptions(
    store: str, box: Mailbox, locale: str, day: dict[int, str], write: Callable[[str], str]
) -> None:
    week = date(2012, 10, 26)
    before = replace(RECORD, origin_week=date(2012, 10, 19), published_at=NOW - timedelta(days=7))
    vintages = [publish(store, 8000.0, before), publish(store, 10000.0)]
    engine = create_engine_for(store)
    scores = (1, 12.5, 12.5, 12.5, -12.5, 92.5, -12.5, 1.0, 3.25, None)
    publish_accuracy(engine, [(week, vintages[0], "xgboost", 1, "chain", None, None, *scores)])
    exception = ("1", "3", 1, 1, 80.0, 70.0, 90.0, 85.0, 2000.0, 115.0, "sold more than ever")
    publish_exceptions(engine, week, [(week, vintages[0], *exception)])
    engine.dispose()
    Events(store_url=store, addresses=box.address, public_url="https://demand.test", locale=locale).tell(NOW)
    (mail,) = box.mails
    assert mail["subject"] == f"Forecast of week {day[0]} published"
    plain = mail.get_body(("plain",))
    assert plain is not None
    more = f"{write('+2,000')} ({write('+25.0%')})"
    assert plain.get_content().strip().splitlines() == [
        f"2 forecasts for the 2 weeks after {day[0]} are published: vintage {vintages[1]}, by xgboost, version 7.",
        "",
        "Expected in all, in USD:",
        *(f"  {day[ahead]}: {write('10,000')} ({write('9,990')} to {write('10,010')})" for ahead in (1, 2)),
        "",
        f"What changed since the forecast of week {day[-1]}:",
        f"  {day[1]}: {more}",
        "",
        f"What changed most since the forecast of week {day[-1]}:",
        f"  Department 3: {more}",
        f"  Store 1: {more}",
        "",
        f"Accuracy of week {day[0]}: WMAE {write('12.5')}; under by {write('12.5')} on average; {write('100%')} of "
        f"sales within p10 to p90; {write('3.2')} better than last year's sales would have been.",
        "",
        f"Exceptions of week {day[0]}: 1, the most money at risk first:",
        f"  Store 1, Department 3: sold {write('2,000')}, expected 70 to 90; sold more than ever",
        "",
        f"More: https://demand.test/v1/vintages/{vintages[1]}",
    ]


@pytest.mark.parametrize("suffix", ["", ".fifo"])
def test_a_topic_gets_the_events_with_their_kind(store: str, aws_environment: str, suffix: str) -> None:
    topic, queue = topic_and_queue(f"events-{os.urandom(6).hex()}{suffix}")
    vintage_id = publish(store)
    events = Events(store_url=store, sns_topic_arn=topic)
    assert [one.events for one in [*events.tell(NOW), *events.tell(NOW)]] == [1, 0]
    (message,) = messages(queue)
    assert json.loads(message["Message"])["vintage_id"] == vintage_id
    attributes = {name: value["Value"] for name, value in message["MessageAttributes"].items()}
    assert attributes == {
        "event": "vintage.published",
        "kind": "forecast",
        "origin_week": "2012-10-26",
        "sequence": "1",
    }


def test_without_targets_or_a_store_nothing_happens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nowhere = f"sqlite:///{tmp_path / 'store.db'}"
    assert Events(store_url=nowhere).tell(NOW) == []
    assert Events(store_url=nowhere, webhooks="http://127.0.0.1:9", secret=SECRET).tell(NOW) == []
    assert caplog.messages == []


def test_a_store_of_another_revision_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "store.db").touch()
    events = Events(store_url=f"sqlite:///{tmp_path / 'store.db'}", webhooks="http://127.0.0.1:9", secret=SECRET)
    assert events.tell(NOW) == []
    assert caplog.messages == [
        f"nobody can be told of published vintages: store is at no revision, code expects {HEAD}: run `demand migrate`"
    ]
