"""The reference pages: every operation of the service, without a network, in the content policy of all pages."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, Route, expect

from tests.dashboard import retailer
from tests.dashboard.conftest import served
from tests.dashboard.test_dashboard import settled, shown


def test_the_reference_shows_every_operation_without_a_network(page: Page, service: str) -> None:
    outside: list[str] = []

    def refused(route: Route) -> None:
        outside.append(route.request.url)
        route.abort()

    page.route(lambda url: not url.startswith((service, "data:")), refused)
    page.goto(f"{service}/docs")
    document = httpx.get(f"{service}/openapi.json").json()
    wanted = {(method.upper(), path) for path, each in document["paths"].items() for method in each}
    expect(page.locator(".opblock")).to_have_count(len(wanted))
    shown = page.locator(".opblock-summary").evaluate_all(
        "all => all.map(each => ['.opblock-summary-method', '.opblock-summary-path']"
        ".map(part => each.querySelector(part).textContent.replaceAll('\\u200b', '')))"
    )
    assert {tuple(each) for each in shown} == wanted
    assert outside == []


def test_a_request_can_be_tried_on_the_reference(page: Page, service: str) -> None:
    page.goto(f"{service}/docs")
    page.locator(".opblock", has_text="/v1/dataset").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("200")


def test_the_dashboard_leads_to_the_reference_and_back(page: Page, service: str) -> None:
    settled(page, service)
    page.get_by_role("link", name="API reference").click()
    expect(page).to_have_title("API reference: demand forecasts")
    page.get_by_role("link", name="Dashboard").click()
    expect(page.get_by_label("Newest forecast")).to_be_visible()


def test_the_reference_is_dark_where_the_dashboard_is(browser: Browser, service: str) -> None:
    with browser.new_context(color_scheme="dark") as context:
        page = context.new_page()
        page.goto(f"{service}/docs")
        expect(page.locator("html.dark-mode")).to_be_attached()


def test_every_page_works_under_the_prefix_of_a_proxy(page: Page, tmp_path: Path, origin: date) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    retailer.fill(url, origin)
    with served(url, DEMAND_API_ROOT_PATH="/tools/demand") as address:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        settled(page, f"{address}/tools/demand/")
        expect(page.get_by_label("Newest forecast")).to_contain_text(shown(origin))
        page.get_by_role("link", name="API reference").click()
        page.locator(".opblock", has_text="/v1/dataset").click()
        page.get_by_role("button", name="Try it out").click()
        page.get_by_role("button", name="Execute").click()
        expect(page.locator(".request-url")).to_contain_text(f"{address}/tools/demand/v1/dataset")
        assert [each for each in asked if not each.startswith((f"{address}/tools/demand/", "data:", "about:"))] == []
