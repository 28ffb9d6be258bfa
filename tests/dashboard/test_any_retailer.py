"""Names, labels, unit, weekday and hostile ids of any retailer on every page."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from demand_assets.store.dataset import Dataset, publish_dataset
from demand_assets.store.engine import create_engine_for
from tests.api import hostile
from tests.api.hostile import IDS, NAME, STORE, name_of
from tests.dashboard.conftest import served
from tests.dashboard.test_dashboard import cut_off, settled

LONG = "🎪" * 200
PAGES = (
    "",
    "#/?" + urlencode({"level": "store", "store": STORE}),
    "#/?" + urlencode({"level": "department", "dept": LONG}),
    "#/series",
    "#/series?" + urlencode({"store": STORE, "dept": "food/1"}),
    "#/series?" + urlencode({"store": LONG, "dept": "food/1"}),
    "#/series?" + urlencode({"store": STORE, "dept": LONG, "earlier": 1}),
    "#/exceptions",
    "#/overrides",
    "#/drift?show=all&variable=mean_13",
    "#/models",
)


@pytest.fixture(scope="module")
def sunday() -> date:
    """The last Sunday whose week has ended."""
    day = datetime.now(UTC).date() - timedelta(days=1)
    return day - timedelta(days=(day.weekday() - 6) % 7)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, sunday: date) -> Iterator[str]:
    url = f"sqlite:///{tmp_path_factory.mktemp('hostile') / 'store.db'}"
    hostile.fill(url, sunday, datetime.combine(sunday + timedelta(days=1), hostile.PUBLISHED.timetz()))
    with served(url) as address:
        yield address


def test_a_link_leads_to_the_series_of_its_very_id(page: Page, address: str) -> None:
    for dept in IDS:
        page.goto(f"{address}/#/?" + urlencode({"level": "department", "dept": dept}))
        expect(page.get_by_label("Article", exact=True)).to_have_value(dept)
        shown = f"{name_of(dept)} ({dept})" if name_of(dept) else f"Article {dept}"
        series = page.get_by_role("region", name="Largest exceptions").get_by_role("rowheader").get_by_role("link")
        expect(series.first).to_have_text(f"{NAME} ({STORE}), {shown}")
        series.first.click()
        expect(page.get_by_label("Article", exact=True)).to_have_value(dept)
        expect(page.get_by_label("Shop", exact=True)).to_have_value(STORE)
        expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(f"^{re.escape(f'{NAME} ({STORE}), ')}"))
        expect(page.get_by_role("region", name="Weeks to come and what to order").get_by_role("row")).to_have_count(3)
        expect(page.get_by_role("alert")).to_have_count(0)
        expect(page.locator("img")).to_have_count(0)


def test_every_page_speaks_the_retailers_words(page: Page, address: str) -> None:
    for path in PAGES:
        settled(page, f"{address}/{path}")
        words = page.locator("body").inner_text()
        found = re.findall(r"USD|\$|Friday|\b[Ss]tores?\b|\b[Dd]epartments?\b", words)
        assert (path, found) == (path, [])
        assert "Weeks are named by the Sunday that ends them. Amounts are per week, in EUR." in words


def test_a_member_is_found_by_a_part_of_its_name(page: Page, address: str) -> None:
    settled(page, f"{address}/#/exceptions")
    article = page.get_by_label("Article", exact=True)
    article.fill("of food/1")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("dept=food%2F1"))
    settled(page, f"{address}/#/series")
    page.get_by_label("Shop", exact=True).fill(NAME.upper())
    page.get_by_label("Article", exact=True).fill("Name of food/1")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("h1")).to_contain_text("food/1")


def test_the_overview_shows_labels_names_and_the_unit(page: Page, address: str) -> None:
    settled(page, address)
    shops = page.get_by_role("region", name="Next week by Shop")
    expect(shops.get_by_role("link", name=f"{NAME} ({STORE})")).to_be_visible()
    expect(shops.get_by_text(re.compile(", EUR$")).first).to_be_visible()
    expect(
        page.get_by_role("region", name="Next week by Article").get_by_role("link", name="Name of food/1")
    ).to_be_visible()
    expect(page.get_by_role("region", name="Accuracy by Article")).to_be_visible()
    expect(page.get_by_label("Figures")).to_contain_text("1,604 EUR")
    page.get_by_label("Totals of").select_option("one Shop")
    expect(page.get_by_label("Shop", exact=True)).to_be_visible()


def test_a_download_has_ids_and_names_apart(page: Page, address: str) -> None:
    settled(page, f"{address}/#/exceptions?" + urlencode({"store": STORE}))
    with page.expect_download() as started:
        page.get_by_role("button", name=re.compile("^CSV of Week")).click()
    with open(started.value.path(), newline="") as file:
        rows = [(row["store_id"], row["store_name"], row["dept_id"], row["dept_name"]) for row in csv.DictReader(file)]
    guarded = {each: f"'{each}" if each[0] in "=@" else each for each in IDS}
    assert rows == [(STORE, NAME, guarded[each], name_of(each) or "") for each in IDS]


def test_another_weekday_is_refused_with_the_nearest_weeks(page: Page, address: str, sunday: date) -> None:
    settled(page, f"{address}/#/overrides")
    page.get_by_label("Week, a Sunday").fill(str(sunday + timedelta(days=1)))
    page.keyboard.press("Enter")
    said = f"is a Monday; weeks end on Sunday, the nearest are {sunday} and {sunday + timedelta(weeks=1)}"
    expect(page.get_by_role("alert").first).to_contain_text(said)


def test_one_series_a_store_has_no_departments(page: Page, tmp_path: Path, sunday: date) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    hostile.fill(url, sunday, datetime.combine(sunday + timedelta(days=1), hostile.PUBLISHED.timetz()), weeks=2)
    engine = create_engine_for(url)
    publish_dataset(engine, Dataset("pieces", 6, "Shop", has_departments=False), hostile.NOW)
    engine.dispose()
    with served(url) as address:
        settled(page, address)
        expect(page.get_by_role("region", name="Next week by Shop")).to_be_visible()
        expect(page.get_by_text("Department")).to_have_count(0)
        settled(page, f"{address}/#/series")
        page.get_by_label("Shop").fill("it's")
        page.get_by_role("button", name="Show", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Shop it's")
        expect(page.get_by_role("region", name="Weeks to come and what to order")).to_be_visible()


def test_no_page_has_accessibility_findings(page: Page, address: str) -> None:
    for path in PAGES[:7]:
        settled(page, f"{address}/{path}")
        found = Axe().run(page).response["violations"]
        assert [(path, each["id"], each["nodes"][0]["html"]) for each in found] == []


def test_long_names_cut_no_column_off(page: Page, address: str) -> None:
    for path in PAGES:
        settled(page, f"{address}/{path}")
        assert (path, cut_off(page)) == (path, [])
