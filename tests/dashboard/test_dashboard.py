"""What planners, analysts and engineers see."""

from __future__ import annotations

import csv
import re
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, expect

from api.formats import Format, render
from demand_assets.store.engine import create_engine_for
from demand_assets.store.migrations import migrate
from demand_assets.store.publish import VintageRecord, publish_actuals, publish_vintage
from tests.dashboard import retailer
from tests.dashboard.conftest import served

PAGES = (
    "",
    "#/?level=store&store=1",
    "#/?level=department.family&group=fresh&by.store=region",
    "#/series",
    "#/series?store=1&dept=3&earlier=1",
    "#/orders",
    "#/changes?weeks=each",
    "#/exceptions",
    "#/accuracy",
    "#/accuracy?level=department.family&group=fresh&before=2",
    "#/drift?show=all",
    "#/models",
    "#/overrides",
    "#/scenarios",
    "#/scenarios?name=half-price",
)


def settled(page: Page, address: str) -> None:
    """The page with nothing left to load."""
    page.goto("about:blank")  # a change of the fragment alone would not load the page anew
    page.goto(address)
    expect(page.locator("h1")).to_be_visible()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    expect(page.locator(".loading")).to_have_count(0)


def amount(value: float) -> str:
    return f"{value:,.0f}"


def shown(week: date) -> str:
    """A week as the pages show it to a browser of en-US."""
    return f"{week:%b} {week.day}, {week.year}"


def test_the_overview_shows_the_newest_forecast_and_how_good_it_was(page: Page, service: str, origin: date) -> None:
    settled(page, service)
    facts = page.get_by_label("Newest forecast")
    expect(facts).to_contain_text(f"Origin week{shown(origin)}")
    expect(facts).to_contain_text("fresh")
    expect(facts).to_contain_text("xgboost 2")
    week = origin + timedelta(weeks=1)
    total = httpx.get(f"{service}/v1/totals", params={"from": str(week), "to": str(week)}).json()["items"][0]
    expect(page.get_by_label("Figures")).to_contain_text(amount(total["forecast"]))
    expect(page.locator(".plot canvas")).to_have_count(4)
    expect(
        page.get_by_text("Below seasonal naive in 2 of 2 weeks. Planners' numbers came nearer in 2 of 2 weeks.")
    ).to_be_visible()
    page.get_by_role("region", name="Next week by Store").get_by_role("link", name="Store 2").click()
    expect(page.get_by_role("heading", level=1, name="Store 2")).to_be_focused()
    page.go_back()
    expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()


def test_the_series_page_shows_the_forecast_and_its_reasons(page: Page, service: str, origin: date) -> None:
    settled(page, f"{service}/#/series?store=1&dept=3")
    week = origin + timedelta(weeks=1)
    forecast = httpx.get(f"{service}/forecast", params={"store_id": 1, "dept_id": 3, "week": str(week)}).json()
    weeks = page.get_by_role("region", name="Weeks to come and what to order")
    expect(weeks.get_by_role("row", name=re.compile(shown(week)))).to_contain_text(amount(forecast["forecast"]))
    why = page.get_by_role("region", name="Why")
    expect(why.get_by_role("row", name=re.compile("^Recent trend"))).to_contain_text("+")
    expect(why.get_by_role("row", name=re.compile("^Forecast"))).to_contain_text(amount(forecast["forecast"]))
    later = origin + timedelta(weeks=3)
    why.get_by_label("Week").select_option(str(later))
    expect(why.get_by_text(f"forecast of {shown(later)}").first).to_be_visible()
    expect(page).to_have_url(re.compile(f"target={later}"))


def test_the_order_follows_the_service_level(page: Page, service: str, origin: date) -> None:
    settled(page, f"{service}/#/series?store=1&dept=3")
    slider = page.get_by_label(re.compile("Service level"))
    slider.focus()
    page.keyboard.press("End")
    week = origin + timedelta(weeks=1)
    asked = f"store_id=1&dept_id=3&week={week}&service_level=0.99"
    order = httpx.get(f"{service}/v1/orders?{asked}").json()["items"][0]["order_quantity"]
    expect(page.get_by_role("row", name=re.compile(shown(week))).first).to_contain_text(amount(order))
    expect(page).to_have_url(re.compile("level=0.99"))


def test_exceptions_link_to_their_series(page: Page, service: str, origin: date) -> None:
    settled(page, f"{service}/#/exceptions")
    worst = httpx.get(f"{service}/v1/exceptions").json()["items"][0]
    row = page.get_by_role("row").nth(1)
    expect(row).to_contain_text(amount(worst["at_risk"]))
    expect(row).to_contain_text(worst["reason"])
    before = shown(origin - timedelta(weeks=1))
    page.get_by_label("Week", exact=True).select_option(label=before)
    expect(page.get_by_text(f"Week of {before}, by amount at risk, USD").first).to_be_visible()
    page.get_by_role("link", name=re.compile("^Store ., Department")).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^Store ., Department "))


def test_the_drift_heatmap_lists_the_groups_of_a_cell(page: Page, service: str, origin: date) -> None:
    settled(page, f"{service}/#/drift?show=all")
    cell = page.get_by_role("button", name=re.compile(f"^Consumer prices against last year, {shown(origin)}"))
    cell.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    before = origin - timedelta(weeks=1)
    expect(page.get_by_role("button", name=re.compile(f", {shown(before)}:"))).to_have_count(len(retailer.VARIABLES))
    page.keyboard.press("Enter")
    groups = page.get_by_role("region", name=re.compile(f"week of {shown(before)}: groups"))
    expect(groups.get_by_role("row")).to_have_count(1 + 2 * 3)
    expect(groups).to_contain_text("In files and alerts: ")
    expect(page).to_have_url(re.compile(f"week={before}"))
    spread = page.get_by_role("region", name=re.compile(f"week of {shown(before)}: distribution"))
    expect(
        spread.get_by_role("img", name=re.compile("This week: 40 values, most often .* Same season last year: 40"))
    ).to_be_visible()
    expect(spread.locator("rect title").first).to_have_text(re.compile(r"^This week, 1\.000 to 1\.260: \d"))
    expect(spread.get_by_role("row", name=re.compile("^Median")).get_by_role("cell")).to_have_count(2)
    expect(spread.get_by_text("10% to 90% of the series", exact=True)).to_be_visible()


def test_models_show_what_is_in_production_and_what_was_refused(page: Page, service: str) -> None:
    settled(page, f"{service}/#/models")
    expect(page.get_by_role("row", name=re.compile("in production"))).to_contain_text("demand_forecaster 2")
    expect(page.get_by_text("FVA against seasonal naive").locator("..")).to_contain_text(re.compile(r"\+\d"))
    decisions = page.get_by_role("list", name="Decisions, the newest first")
    expect(decisions.get_by_role("heading").first).to_have_text("Version 3 refused, against version 2")
    expect(decisions).to_contain_text("WMAE 1,340 is worse than the champion's 1,250")
    page.get_by_label("Show").select_option("promoted")
    expect(page.get_by_role("heading", name="Version 3 refused, against version 2")).to_have_count(0)
    expect(page).to_have_url(re.compile("outcome=promoted"))


def test_a_scenario_stands_beside_the_forecast_it_was_made_from(page: Page, service: str) -> None:
    settled(page, f"{service}/#/scenarios")
    page.get_by_role("link", name="half-price").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Scenario half-price")
    found = httpx.get(f"{service}/v1/scenarios/half-price").json()
    expect(page.get_by_label("Figures")).to_contain_text(amount(found["forecast"]))
    expect(page.get_by_label("Figures")).to_contain_text(f"before {amount(found['base_forecast'])}")
    week = page.get_by_role("region", name="Week by week").get_by_role("row").nth(1)
    expect(week).to_contain_text(amount(found["weeks"][0]["base_order_quantity"]))
    expect(page.get_by_role("region", name="What was changed")).to_contain_text("price,*0.5")
    newest = httpx.get(f"{service}/v1/vintages", params={"kind": "forecast", "limit": 1}).json()["items"][0]
    expect(page.get_by_label("Newest forecast")).to_contain_text(newest["data_version"][:8])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_serious_accessibility_findings(browser: Browser, service: str, scheme: str) -> None:
    with browser.new_context(color_scheme=scheme) as context:  # type: ignore[arg-type]
        page = context.new_page()
        for path in PAGES:
            settled(page, f"{service}/{path}")
            for details in page.locator("details").all():
                details.evaluate("each => { each.open = true; }")
            found = Axe().run(page).response["violations"]
            assert [(path, each["id"], each["nodes"][0]["html"]) for each in found] == []


# What is wider than its box; the next frame has the form that fits.
CUT_OFF = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(
  [...document.querySelectorAll("html, .scroll:not(:has(> .heat:not(.narrow)))")]
    .filter((each) => each.scrollWidth > each.clientWidth + 1)
    .map((each) => each.closest("section")?.querySelector("h2").textContent ?? "page")))))"""


def cut_off(page: Page) -> list[tuple[int, str]]:
    """(width of the window, heading) of what is cut off, with everything opened that can be."""
    for details in page.locator("main details").all():
        details.evaluate("each => { each.open = true; }")
    found = []
    for width in (390, 1024, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        found += [(width, heading) for heading in page.evaluate(CUT_OFF)]
    return found


def test_no_column_is_cut_off_at_any_width(page: Page, service: str) -> None:
    for path in PAGES:
        settled(page, f"{service}/{path}")
        assert (path, cut_off(page)) == (path, [])


def test_ids_are_text_and_amounts_have_the_retailers_unit(page: Page, tmp_path: Path, origin: date) -> None:
    url, series = f"sqlite:///{tmp_path / 'store.db'}", ("<img src=x>", "a/b & c")
    migrate(url)
    engine = create_engine_for(url)
    published = datetime.combine(origin, time(6), UTC)
    record = VintageRecord(origin, 1, "croston", "1", "data-1", "0.3.0", published, "pieces")
    row = (*series, origin + timedelta(weeks=1), 1, 0.25, 0.0, 0.25, 1.5, None)
    publish_vintage(engine, record, [row])
    publish_actuals(engine, [(*series, origin, 0.5, False)])
    engine.dispose()
    with served(url) as address:
        settled(page, f"{address}/#/series")
        page.get_by_role("link", name="Store <img src=x>, Department a/b & c").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Store <img src=x>, Department a/b & c")
        expect(page.get_by_text("forecast 0.25 pieces, p10 to p90 0 to 1.5")).to_be_visible()
        expect(page.get_by_label("Amount, pieces")).to_be_visible()
        page.get_by_role("link", name="Department a/b & c", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Department a/b & c")
        expect(page.get_by_label("Department", exact=True)).to_have_value("a/b & c")
        expect(page.locator("img")).to_have_count(0)


def test_an_empty_store_says_so(page: Page, empty_service: str) -> None:
    settled(page, empty_service)
    expect(page.get_by_text("No forecast is published yet.")).to_be_visible()
    expect(page.get_by_text("No week is scored yet.").first).to_be_visible()
    for path, said in (
        ("#/series", "No series."),
        ("#/orders", "Nothing to order."),
        ("#/changes", "Nothing to compare."),
        ("#/exceptions", "No exceptions yet."),
        ("#/drift", "No drift report yet."),
        ("#/models", "No model was judged yet."),
        ("#/overrides", "No override was ever given."),
        ("#/scenarios", "No scenario was ever made."),
    ):
        settled(page, f"{empty_service}/{path}")
        expect(page.get_by_text(said).first).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)


def test_what_does_not_exist_says_so_and_can_be_asked_for_again(page: Page, service: str) -> None:
    settled(page, f"{service}/#/series?store=99&dept=3")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Not found")
    expect(alert).to_contain_text("Request")
    expect(alert.get_by_role("button", name="Retry")).to_be_visible()
    settled(page, f"{service}/#/nonsense")
    expect(page.get_by_role("heading", level=1)).to_have_text("No such page")


def test_a_store_that_cannot_be_reached_says_so(page: Page, tmp_path: Path) -> None:
    with served(f"sqlite:///{tmp_path / 'missing' / 'store.db'}") as address:
        settled(page, address)
        expect(page.get_by_text("The store cannot be reached").first).to_be_visible()


def test_a_key_is_asked_for_once_and_kept_for_the_tab(page: Page, tmp_path: Path, origin: date) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    retailer.fill(url, origin)
    key = retailer.key(url)
    with served(url, DEMAND_API_AUTH="on") as address:
        page.goto(address)
        page.get_by_role("textbox", name="API key").fill(key)
        page.keyboard.press("Enter")
        expect(page.get_by_label("Figures")).to_be_visible()
        page.reload()
        expect(page.get_by_label("Figures")).to_be_visible()
        page.get_by_role("button", name="Forget key").click()
        expect(page.get_by_role("textbox", name="API key")).to_be_focused()


def test_a_key_that_is_being_typed_outlives_the_drawing_of_the_page(page: Page, tmp_path: Path, origin: date) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    retailer.fill(url, origin)
    with served(url, DEMAND_API_AUTH="on") as address:
        page.goto(address)
        key = page.get_by_role("textbox", name="API key")
        key.fill("dk_half")
        page.evaluate("location.hash = '#/overrides'")
        expect(page.locator("h1")).to_have_text("Overrides")
        expect(key).to_have_value("dk_half")
        expect(key).to_be_focused()


def test_it_asks_for_nothing_outside(browser: Browser, service: str) -> None:
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    with browser.new_context() as context:
        page = context.new_page()
        page.on("request", note)
        for path in PAGES:
            settled(page, f"{service}/{path}")
    assert len(asked) > len(PAGES)
    assert [url for url in asked if not url.startswith((service, "about:", "data:"))] == []


def test_csv_download_has_the_rows_shown(page: Page, service: str, origin: date) -> None:
    settled(page, f"{service}/#/?sort.next-week-by-store=store_id")
    with page.expect_download() as started:
        page.get_by_role("region", name="Next week by Store").get_by_role("button", name=re.compile("CSV")).click()
    with open(started.value.path(), newline="") as file:
        rows = list(csv.DictReader(file))
    items = httpx.get(
        f"{service}/v1/totals", params={"level": "store", "from": str(origin + timedelta(weeks=1))}
    ).json()["items"]
    first = {row["store_id"]: row["final"] for row in items if row["horizon"] == 1}
    assert [row["store_id"] for row in rows] == ["1", "2"]
    assert {row["store_id"]: float(row["final"]) for row in rows} == first


def test_a_cell_of_a_download_is_text_wherever_the_api_says_so(page: Page, service: str) -> None:
    texts = [
        "=1", " =1", "\n=1", "\ufeff=1", "\uff1d1", "\u3000\uff0b1", "\ufe66", "\u2212", "fair\r=1", "a=1", "\tx",
    ]  # fmt: skip
    page.goto(service)
    ours = page.evaluate(
        "async texts => (await import('/static/js/csv.js')).csvText(['text'], texts.map(each => [each]))", texts
    )
    assert ours.encode() == render({"text": (str, texts)}, Format.CSV)


def test_a_filter_is_in_the_address_and_keeps_the_focus(page: Page, service: str) -> None:
    settled(page, service)
    page.get_by_label("Show").focus()
    page.get_by_label("Show").select_option("26")
    expect(page).to_have_url(re.compile("weeks=26"))
    expect(page.get_by_label("Show")).to_be_focused()
    page.go_back()
    expect(page.get_by_label("Show")).to_have_value("60")


def test_a_chart_is_read_by_keyboard(page: Page, service: str, origin: date) -> None:
    settled(page, f"{service}/#/series?store=1&dept=3")
    chart = page.get_by_role("group", name=re.compile("Arrow keys read the weeks"))
    chart.focus()
    for _ in range(retailer.HORIZON + 1):
        page.keyboard.press("ArrowLeft")
    expect(page.get_by_text(f"{shown(origin)}, Last year", exact=False)).to_contain_text(
        f"Sales {amount(retailer.sales('1', '3', origin))}"
    )


def test_the_theme_chosen_is_remembered(page: Page, service: str) -> None:
    settled(page, service)
    button = page.get_by_role("button", name=re.compile("^Theme"))
    button.click()
    button.click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
