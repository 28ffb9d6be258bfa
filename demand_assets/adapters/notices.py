"""Chat, mail and webhooks by Apprise's addresses, which hold passwords and tokens: none is shown, logged or stored."""

import logging
import re
from functools import cache
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

from demand_assets.errors import DeliveryError, SettingsError
from demand_assets.provenance import fingerprint

if TYPE_CHECKING:
    from apprise import Apprise

Level = Literal["info", "warning", "failure"]
# A service that does not answer soon is tried again later.
_TIMEOUT_S = 15.0
_HIDDEN = "***"


def channels_of(addresses: str) -> dict[str, str]:
    """Name -> address of each of the `addresses`, which spaces separate. A name is the scheme and a hash."""
    return {f"{_scheme(address)}-{fingerprint([address])}": address for address in addresses.split()}


def require_known(addresses: str, setting: str) -> None:
    """SettingsError, without the address, for one that Apprise cannot read."""
    for at, address in enumerate(addresses.split(), start=1):
        if not _opened(address):
            raise SettingsError(
                f"{setting}: Apprise cannot read address {at} ({_scheme(address)}://...); expected one such as "
                "mailto://USER:PASSWORD@HOST?to=PERSON@HOST, see https://appriseit.com/services"
            )


def notify(address: str, title: str, body: str, level: Level) -> None:
    """Send a plain text to one address; DeliveryError with Apprise's reason, the address's parts hidden in it."""
    result = _opened(address).notify(body, title, notify_type=level, body_format="text", timeout=_TIMEOUT_S)
    if not result:
        said = " ".join(entry.message for entry in result.logs()) or f"Apprise says {result.status.name}"
        raise DeliveryError(hidden(said, address))


def hidden(text: str, address: str) -> str:
    """`text` without any part of an address but its scheme, as written or decoded."""
    parts = re.split(r"[:/@?&=,#;\s]+", address.partition("://")[2])
    secrets = {each for part in parts for each in (part, unquote(part)) if len(each) > 2}
    if not secrets:
        return text
    longest_first = sorted(secrets, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), _HIDDEN, text, flags=re.IGNORECASE)


def _scheme(address: str) -> str:
    scheme, found, _ = address.partition("://")
    # Without one the whole text may be a password.
    return scheme.lower() if found and re.fullmatch(r"\w+", scheme) else "address"


@cache
def _opened(address: str) -> "Apprise":
    """Apprise with that one address, or with none if it cannot be read."""
    import apprise

    # It would tell of addresses it cannot read, and in part hide them; its reasons are taken from its results.
    logging.getLogger("apprise").propagate = False
    asset = apprise.AppriseAsset(
        app_id="Demand", app_desc="Demand forecasts", app_url="", async_mode=False, secure_logging=True
    )
    opened = apprise.Apprise(asset=asset)
    opened.add(address)
    return opened
