"""What is said about an address of Apprise never holds any part of it but its scheme."""

import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from demand_assets.adapters.notices import channels_of, hidden, notify, require_known
from demand_assets.errors import DeliveryError, SettingsError

ADDRESSES = [
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops",
    "mailto://ann:p%40ss@127.0.0.1:9?from=demand@shop.test&to=bob@shop.test",
    "json://ann:hunter2@127.0.0.1:9/s3cret",
]


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What a handler of the root logger is given, at any level; pytest's own also listens to loggers below it."""
    text = io.StringIO()
    handler, root = logging.StreamHandler(text), logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


def test_a_channel_is_named_by_its_scheme_and_a_hash() -> None:
    names = list(channels_of(" \n".join(ADDRESSES)))
    assert [name.split("-")[0] for name in names] == ["slack", "mailto", "json"]
    assert len(set(channels_of("json://a json://b json://a"))) == 2
    assert channels_of("") == {}


def test_the_addresses_of_the_docs_can_be_read() -> None:
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    (example,) = re.findall(r'export DEMAND_ALERT_URLS="(.*)"', text)
    assert len(channels_of(example)) == 2
    require_known(example, "DEMAND_ALERT_URLS")


def test_no_part_of_an_address_is_shown_as_written_or_decoded() -> None:
    text = "SMTP of Ann with p@ss or p%40ss at 127.0.0.1 failed"
    assert hidden(text, ADDRESSES[1]) == "SMTP of *** with *** or *** at *** failed"
    assert hidden("no address", "json://") == "no address"


@pytest.mark.parametrize(
    ("address", "shown"), [("nothing://hunter2", "nothing"), ("hunter2", "address"), ("mailto://hunter2", "mailto")]
)
def test_an_address_that_cannot_be_read_is_refused_without_being_shown(
    address: str, shown: str, logged: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SettingsError) as refused:
        require_known(f"json://good {address}", "DEMAND_ALERT_URLS")
    assert str(refused.value).startswith(f"DEMAND_ALERT_URLS: Apprise cannot read address 2 ({shown}://...); expected")
    assert "hunter2" not in "".join([str(refused.value), logged.getvalue(), *capfd.readouterr()])


@pytest.mark.parametrize("address", ADDRESSES[1:])
def test_a_service_that_is_down_is_a_reason_without_secrets(
    address: str, logged: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DeliveryError) as failed:
        notify(address, "title", "body", "info")
    assert "onnection" in str(failed.value)
    said = "".join([str(failed.value), logged.getvalue(), *capfd.readouterr()])
    assert not [secret for secret in ("hunter2", "s3cret", "p%40ss", "p@ss", "bob") if secret in said]
