"""The way into the dashboard and out of it, in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.api.openid import OpenIdProvider, provider
from tests.api.people import signing_in
from tests.dashboard import retailer


@pytest.fixture(scope="module")
def openid() -> Iterator[OpenIdProvider]:
    with provider(asks=True) as made:
        yield made


@pytest.fixture(scope="module")
def guarded(openid: OpenIdProvider, tmp_path_factory: pytest.TempPathFactory, origin: date) -> Iterator[str]:
    """Address of a service that people sign in at."""
    url = f"sqlite:///{tmp_path_factory.mktemp('guarded') / 'store.db'}"
    retailer.fill(url, origin)
    with signing_in(url, openid, lambda: datetime.now(UTC)) as client:
        yield str(client.base_url).rstrip("/")


def test_a_planner_signs_in_gives_a_number_and_signs_out(page: Page, guarded: str, openid: OpenIdProvider) -> None:
    view = f"{guarded}/#/series?store=2&dept=7"
    page.goto(view)
    page.get_by_role("link", name="Continue as ann@example.org").click()
    expect(page).to_have_url(view)
    expect(page.get_by_text("ann@example.org")).to_be_visible()
    expect(page.get_by_text("An API key is needed")).to_have_count(0)
    page.get_by_label("Amount, USD").fill("23456")
    page.get_by_label("Reason").fill("Local fair")
    page.get_by_role("button", name="Give override").click()
    listed = page.get_by_role("region", name="Overrides of this series")
    expect(listed.get_by_role("row", name=re.compile("Local fair"))).to_contain_text("ann@example.org")
    # The session ends while something is typed: it is not lost.
    page.get_by_label("Amount, USD").fill("20000")
    page.get_by_label("Reason").fill("Typed for minutes")
    page.context.clear_cookies()
    page.get_by_role("button", name="Give override").click()
    expect(page.get_by_role("alert")).to_contain_text("nobody is signed in; sign in at /sign-in")
    expect(page.get_by_label("Reason")).to_have_value("Typed for minutes")
    page.evaluate("sessionStorage.clear()")
    # Again, by a long name on a phone.
    page.set_viewport_size({"width": 390, "height": 800})
    openid.person = openid.person | {"email": f"{'ann.' * 20}@example.org"}
    page.reload()
    page.get_by_role("link", name="Continue as ann").click()
    expect(page).to_have_url(view)
    expect(page.get_by_role("button", name="Sign out")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Signed out")).to_be_visible()
    assert Axe().run(page).response["violations"] == []
    page.get_by_role("link", name="Sign in").click()
    expect(page.get_by_role("link", name="Continue as ann")).to_be_visible()


def test_who_cannot_get_in_reads_why(page: Page, guarded: str, openid: OpenIdProvider) -> None:
    openid.person = openid.person | {"email": "eve@example.org", "groups": ["visitors"]}
    page.goto(guarded)
    page.get_by_role("link", name="Continue as eve@example.org").click()
    expect(page.get_by_role("heading", name="Not signed in")).to_be_visible()
    expect(page.get_by_text("You are signed in as eve@example.org and have no role here")).to_be_visible()
    # Where no cookie is kept, nobody goes in circles.
    page.evaluate("sessionStorage.clear()")
    page.context.route("**/sign-in?**", lambda route: route.fulfill(status=302, headers={"location": f"{guarded}/"}))
    page.goto(guarded)
    expect(page.get_by_role("heading", name="An API key is needed")).to_be_visible()
