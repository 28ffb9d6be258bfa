"""People at the service: its settings for sign-in, and a browser's part in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx
from fastapi import Response

from api.people import SESSION, Role, person
from api.sessions import Sessions, SignedCookies
from tests.api.conftest import address_of, free_port, monday, serving
from tests.api.openid import CLIENT_ID, CLIENT_SECRET, OpenIdProvider
from tests.waiting import GUARD_S

SECRET = "of the session, for tests alone, 32 or more"
ROLES = "viewer=sales; planner=sales-planners; approver=cn=leads,ou=sales; admin=it"
# Every setting that sign-in needs.
WHOLE: dict[str, str] = {
    "store_url": "sqlite:///x.db", "public_url": "https://demand.test", "oidc_issuer": "https://provider.test",
    "oidc_client_id": "demand", "oidc_roles": "viewer=*", "session_secret": "s" * 32,
}  # fmt: skip
# What each may, as docs/api.md says.
MAY: dict[Role, set[str]] = {
    "viewer": {"read"}, "planner": {"read", "write"}, "approver": {"read", "approve"},
    "admin": {"read", "write", "approve"},
}  # fmt: skip


@contextmanager
def signing_in(
    store_url: str, openid: OpenIdProvider | None, now: Callable[[], datetime] = monday, **settings: Any
) -> Iterator[httpx.Client]:
    """A service whose people sign in at `openid`; none: at one that is never asked."""
    listener = free_port()
    given: dict[str, Any] = {
        "public_url": address_of(listener),
        "oidc_issuer": openid.issuer if openid else "https://provider.invalid",
        "oidc_client_id": CLIENT_ID, "oidc_client_secret": CLIENT_SECRET, "oidc_roles": ROLES,
        "session_secret": SECRET, "refresh_seconds": 0.02, "rate_burst": 10_000,
    }  # fmt: skip
    with serving(store_url, now, listener, **given | settings) as client:
        client.get("/ready")
        yield client


def visitor(client: httpx.Client) -> httpx.Client:
    """A browser at the service, without cookies."""
    # Connections are not kept, so nobody has to close it; certificates, which take 30 ms to read, are not needed.
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(base_url=client.base_url, timeout=GUARD_S, limits=limits, verify=False)


def own(client: httpx.Client) -> dict[str, str]:
    """What a browser says of a request that a page of the service makes."""
    return {"Origin": str(client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}


def until_the_callback(browser: httpx.Client, target: str = "/") -> str:
    """Address with which the provider sends the browser back."""
    to_provider = browser.get("/sign-in", params={"next": target})
    assert to_provider.status_code == 302, to_provider.text
    back = browser.get(to_provider.headers["location"])
    assert back.status_code == 302, back.text
    return back.headers["location"]


def signed_in(client: httpx.Client, target: str = "/") -> tuple[httpx.Client, httpx.Response]:
    """A browser that went through the whole sign-in, and the last answer."""
    browser = visitor(client)
    return browser, browser.get(until_the_callback(browser, target))


def cookie_of(*roles: Role, name: str = "ann@example.org", secret: str = SECRET, hours: float = 8) -> dict[str, str]:
    """The cookie of somebody with these roles, as the service itself signs it."""
    answer = Response()
    cookies = SignedCookies(secret, "http://127.0.0.1", monday)
    Sessions(cookies, hours).begin(answer, person("session", name, roles, monday()))
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


def value_of(cookie: dict[str, str]) -> str:
    return cookie["Cookie"].removeprefix(f"{SESSION}=")
