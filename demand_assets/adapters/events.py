"""Events: each published vintage is told to each target at least once, in order of `sequence`, one after the other.

Machines (webhooks, an SNS topic) get every vintage as JSON; people, by the addresses that receive alerts, get a text
about each vintage of kind forecast. A target that is down is told later, and hears nothing out of order meanwhile.
Webhooks are signed as in the specification Standard Webhooks, https://www.standardwebhooks.com.
"""

import base64
import hmac
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from demand_assets.adapters.alerts import CHANNEL_ERRORS, client_of, one_line
from demand_assets.adapters.hidden_values import StoreResource, revealed
from demand_assets.adapters.notices import channels_of, notify
from demand_assets.errors import DeliveryError, StoreError
from demand_assets.locales import DEFAULT_LOCALE
from demand_assets.provenance import fingerprint

if TYPE_CHECKING:
    from sqlalchemy import Engine

Event = Mapping[str, Any]
# The subject and the text of a message to people.
Words = tuple[str, str]
SECRET_PREFIX = "whsec_"  # noqa: S105
# A target that is new hears of what was published this long before, so that the run that it was set for counts.
NEW_SINCE = timedelta(hours=24)
# A sensor's tick must end within a minute; what is left is told in the next one.
_PATIENCE_S = 30.0
_CONNECT_S, _ANSWER_S = 3.0, 10.0

# Its handlers are those of the log of alerts.
_log = logging.getLogger("demand.alerts.events")


@dataclass(frozen=True)
class Told:
    """How many events one target took, and why it took no more; empty when it has had all."""

    target: str
    events: int
    failure: str = ""


@dataclass(frozen=True)
class _Target:
    """`send` takes an event, and what it is in words: of `people`, who hear of vintages of kind forecast only."""

    name: str
    send: Callable[[Event, Words], None]
    people: bool = False


class Events(StoreResource):
    """Who is told of published vintages: `webhooks` (signed with `secret`), an SNS topic, `addresses` of Apprise.

    The store at `store_url` holds how far each was told. `public_url` is that of the API, for links, `locale`
    that of numbers and days in what people get. Nothing here raises because a target or the store is down.
    """

    public_url: str = ""
    webhooks: str = ""
    secret: str = ""
    sns_topic_arn: str = ""
    addresses: str = ""
    locale: str = DEFAULT_LOCALE

    def tell(self, now: datetime, news_after: timedelta = timedelta(0)) -> list[Told]:
        """Tell every target what it has yet to hear; a failure is logged in one line and tried again by the next call.

        `now` is by the clock that vintages are published by; people hear of a vintage `news_after` it was published. A
        target that another process is telling is left to it.
        """
        from demand_assets.store.engine import is_to_come
        from demand_assets.store.migrations import opened

        targets = self._targets()
        if not targets or is_to_come(self.address):
            return []
        until = time.monotonic() + _PATIENCE_S
        try:
            with opened(self.address) as engine:
                return [self._tell(engine, target, now, now - news_after, until) for target in targets]
        except StoreError as error:
            _log.error("nobody can be told of published vintages: %s", one_line(str(error)))
            return []

    def _targets(self) -> list[_Target]:
        secret = revealed(self.secret)
        targets = [
            _Target(f"webhook-{fingerprint([url])}", partial(_post, url, secret))
            for url in revealed(self.webhooks).split()
        ]
        if topic := self.sns_topic_arn:
            targets.append(_Target(f"sns-{fingerprint([topic])}", partial(_publish, topic)))
        people = channels_of(revealed(self.addresses))
        return [*targets, *(_Target(name, partial(_write, to), people=True) for name, to in people.items())]

    def _tell(self, engine: "Engine", target: _Target, now: datetime, news_until: datetime, until: float) -> Told:
        from demand_assets.store.events import Turn

        turn = Turn(engine, target.name)
        position = turn.take(datetime.now(UTC), now - NEW_SINCE)
        if position is None:
            return Told(target.name, 0)
        told = 0
        try:
            while sent := self._send_next(engine, target, position, news_until):
                position, told = sent, told + 1
                turn.advance(position, datetime.now(UTC))
                # Looked at after the first one, so that no target that is down takes the turn of another.
                if time.monotonic() > until:
                    break
        except CHANNEL_ERRORS as error:
            failure = one_line(str(error))
            _log.error(
                "%s did not take the event after sequence %s and is told again: %s", turn.target, position, failure
            )
            return Told(target.name, told, failure)
        finally:
            turn.end()
        return Told(target.name, told)

    def _send_next(self, engine: "Engine", target: _Target, after: int, news_until: datetime) -> int | None:
        """Sequence of the event that was sent; None when there is none after that one."""
        from demand_assets.adapters.news import digest_of, subject_of
        from demand_assets.store.engine import reading
        from demand_assets.store.events import next_event, next_news

        # Closed before the event is sent, which may take seconds.
        with reading(engine) as connection:
            people = target.people
            found = next_news(connection, after, news_until) if people else next_event(connection, after)
            if found is None:
                return None
            event = {**found, "url": f"{self.public_url.rstrip('/')}/v1/vintages/{quote(found['vintage_id'])}"}
            words = (subject_of(event, self.locale), digest_of(connection, event, self.locale)) if people else ("", "")
        target.send(event, words)
        return int(event["sequence"])


def signature(secret: str, event_id: str, timestamp: str, body: bytes) -> str:
    """`v1,` and the base64 of the HMAC-SHA256 of id, time and body under the key that `whsec_...` encodes."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.digest(key, f"{event_id}.{timestamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def body_of(event: Event) -> bytes:
    """An event as JSON; weeks as 2012-10-26, times in UTC."""
    return json.dumps(event, default=lambda value: value.isoformat(), allow_nan=False).encode()


def _post(url: str, secret: str, event: Event, _: Words) -> None:
    """POST an event to a webhook; DeliveryError, without the path of the address, unless it answers 2xx."""
    import requests

    body, sent_at = body_of(event), str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "demand-assets",
        "webhook-id": event["vintage_id"],
        "webhook-timestamp": sent_at,
        "webhook-signature": signature(secret, event["vintage_id"], sent_at, body),
    }
    host = urlsplit(url).hostname
    try:
        answer = requests.post(url, data=body, headers=headers, timeout=(_CONNECT_S, _ANSWER_S), allow_redirects=False)
    except requests.RequestException as error:
        # What it says holds the whole address.
        raise DeliveryError(f"{host} cannot be reached: {type(error).__name__}") from None
    if not 200 <= answer.status_code < 300:
        raise DeliveryError(f"expected {host} to answer 2xx, got {answer.status_code}")


def _publish(topic_arn: str, event: Event, _: Words) -> None:
    """Publish an event to an SNS topic; a FIFO topic keeps the order and drops what is sent twice."""
    attributes = {name: str(event[name]) for name in ("event", "kind", "origin_week", "sequence")}
    order = {"MessageGroupId": "vintages", "MessageDeduplicationId": event["vintage_id"]}
    client_of("sns", topic_arn).publish(
        TopicArn=topic_arn,
        Message=body_of(event).decode(),
        MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
        **(order if topic_arn.endswith(".fifo") else {}),
    )


def _write(address: str, _: Event, words: Words) -> None:
    notify(address, *words, "info")
