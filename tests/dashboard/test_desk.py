"""What a planner does besides giving numbers: takes files along, asks what changed, keeps what is hers."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import httpx
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect

from api.attributions import GROUPS
from demand_assets.contract.words import variable_word
from demand_assets.forecasting.features.known_ahead import features_of_driver
from demand_assets.forecasting.features.spec import ATTRIBUTION_GROUPS
from demand_assets.monitoring.drift_metrics import drift_classes
from tests.dashboard import retailer
from tests.dashboard.test_dashboard import amount, settled, shown


def test_orders_are_downloaded_as_the_erp_reads_them(page: Page, each_service: str, origin: date) -> None:
    settled(page, f"{each_service}/#/orders?level=0.9")
    week = str(origin + timedelta(weeks=1))
    asked = {"service_level": 0.9, "week": week}
    rows = httpx.get(f"{each_service}/v1/orders", params=asked).json()["items"]
    figures = page.get_by_label("Figures")
    expect(figures).to_contain_text(amount(sum(row["order_quantity"] for row in rows)))
    with page.expect_download() as started:
        page.get_by_role("button", name="CSV for the ERP").click()
    with open(started.value.path(), newline="") as file:
        found = list(csv.reader(file, delimiter=";"))
    texts = [[row["store_id"], f"{row['order_quantity']:.2f}".replace(".", ",")] for row in rows]
    assert found == [["Filiale", "Menge"], *texts]
    assert started.value.suggested_filename == f"orders-{origin}.csv"
    page.get_by_label("Week", exact=True).select_option("all")
    expect(page.get_by_role("columnheader", name="Week")).to_be_visible()


def test_a_page_is_one_workbook_with_all_its_tables(page: Page, each_service: str, origin: date) -> None:
    settled(page, f"{each_service}/#/")
    with page.expect_download() as started:
        page.get_by_role("button", name="This page as Excel").press("Enter")
    assert started.value.suggested_filename == "Overview.xlsx"
    found = pd.read_excel(started.value.path(), sheet_name=None, engine="calamine", dtype={"store_id": "string"})
    tables = (
        "Sales and forecast",
        "Weeks to come",
        "Largest exceptions",
        "Next week by Store",
        "Accuracy by Department",
    )
    assert set(tables) < set(found)
    week = str(origin + timedelta(weeks=1))
    asked = {"level": "store", "from": week, "to": week}
    totals = httpx.get(f"{each_service}/v1/totals", params=asked).json()["items"]
    first = {row["store_id"]: row["final"] for row in totals}
    by_store = found["Next week by Store"]
    assert dict(zip(by_store["store_id"], by_store["final"], strict=True)) == pytest.approx(first)
    assert str(found["Weeks to come"]["week"].dtype).startswith("datetime64")


def test_what_changed_since_last_week_is_told_with_its_reasons(page: Page, each_service: str, origin: date) -> None:
    settled(page, f"{each_service}/#/changes")
    expect(page.get_by_role("heading", level=1)).to_have_text("What changed since last week")
    before, after = page.get_by_label("Before", exact=True), page.get_by_label("After", exact=True)
    expect(before.locator("option:checked")).to_contain_text(f"{shown(origin - timedelta(weeks=1))}, published")
    expect(after.locator("option:checked")).to_contain_text(f"{shown(origin)}, published")
    found = httpx.get(f"{each_service}/v1/changes", params={"level": "chain", "weeks": "together"}).json()["items"][0]
    figures = page.get_by_label("Figures")
    expect(figures).to_contain_text(amount(found["right_forecast"]))
    expect(figures).to_contain_text("Last year")
    week = page.get_by_role("region", name="The chain by week").get_by_role("row").nth(1)
    expect(week).to_contain_text(re.compile("Last year.*, Recent trend .*, Holiday "))
    by_department = page.get_by_role("region", name="By Department")
    by_department.get_by_label("By", exact=True).select_option("Department: family")
    asked = {"level": "department.family", "weeks": "together"}
    found = httpx.get(f"{each_service}/v1/changes", params=asked).json()["items"]
    groups = page.get_by_role("region", name="By Department: family")
    expect(groups.locator("tbody th")).to_have_text([row["group"] for row in found])
    expect(groups.locator("tbody tr").first).to_contain_text(amount(found[0]["right_forecast"]))
    after.select_option(label=f"{shown(origin)}, scenario half-price")
    before.select_option(index=1)
    expect(page.get_by_role("heading", level=1)).to_have_text("What changed")
    series = page.get_by_role("region", name="Series that changed most")
    expect(series.get_by_role("row").nth(1)).to_contain_text("No attributions")
    expect(page).to_have_url(re.compile("left=.*right="))


def test_a_favourite_series_and_a_named_view_are_found_again_by_keyboard(page: Page, service: str) -> None:
    settled(page, f"{service}/#/series?store=2&dept=7")
    page.get_by_role("button", name="Favourite").press("Enter")
    expect(page.get_by_role("button", name="Favourite")).to_have_attribute("aria-pressed", "true")
    settled(page, f"{service}/#/exceptions?store=1&sort.exceptions=-actual")
    menu = page.locator("#saved")
    menu.locator("summary").press("Enter")
    name = menu.get_by_label("Name of this view")
    name.fill("Mine <b>")
    name.press("Enter")
    expect(name).to_be_focused()
    page.keyboard.press("Escape")
    expect(menu.locator("summary")).to_be_focused()
    settled(page, f"{service}/#/series?show=favourites")
    expect(page.get_by_role("region", name="Favourite series").last.get_by_role("rowheader")).to_have_text(
        ["Store 2, Department 7"]
    )
    menu.locator("summary").press("Enter")
    menu.get_by_role("link", name="Mine <b>").press("Enter")
    expect(page.get_by_label("Store", exact=True)).to_have_value("1")
    expect(page).to_have_url(re.compile(r"exceptions\?store=1&sort.exceptions=-actual"))
    expect(menu).not_to_have_attribute("open", "")
    menu.locator("summary").press("Enter")
    menu.get_by_role("button", name="Remove Mine <b>").press("Enter")
    expect(menu.get_by_role("link", name="Mine <b>")).to_have_count(0)
    menu.get_by_role("link", name="Store 2, Department 7").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Store 2, Department 7")


def test_what_is_saved_belongs_to_one_data_set_and_outlives_a_foreign_entry(page: Page, service: str) -> None:
    settled(page, f"{service}/#/series?store=2&dept=7")
    button = page.get_by_role("button", name="Favourite")
    button.click()
    key = page.evaluate("Object.keys(localStorage).find(each => each.startsWith('saved'))")
    assert key == "saved / Store Department USD"
    page.evaluate("key => localStorage.setItem(key, 'no JSON')", key)
    page.reload()
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")


def test_every_drift_variable_and_group_of_attributions_has_a_name_and_a_meaning(page: Page, service: str) -> None:
    of_drivers = [each.name for level in ("store", "series") for each in features_of_driver(level, "shelf_price")]
    asked = [[*drift_classes(of_drivers)], [*GROUPS]]
    page.goto(service)
    variables, groups = page.evaluate(
        """async ([variables, groups]) => {
          const { loadWords, variableName, variableText, groupName, groupText } = await import('/static/js/names.js');
          await loadWords();
          return [variables.map(each => [variableName(each), variableText(each)]),
                  groups.map(each => [groupName(each), groupText(each)])];
        }""",
        asked,
    )
    for found in (variables, groups):
        assert [name for name, text in found if text is None or "_" in name or "{" in name + text] == []
        names = [name for name, _ in found]
        assert [name for name in names if names.count(name) > 1] == []
    assert ["Mean sales of 13 weeks", "Mean sales of the newest 13 weeks"] in variables
    assert variables == [[*variable_word(each)] for each in asked[0]]
    assert "Store: Shelf price against last year" in [name for name, _ in variables]
    assert tuple(ATTRIBUTION_GROUPS) == GROUPS


def test_groups_by_an_attribute_are_totals_and_filters(page: Page, each_service: str, origin: date) -> None:
    settled(page, f"{each_service}/#/")
    # Each store has its own area, so that it puts none together.
    assert page.get_by_label("Totals of").locator("option").all_inner_texts() == [
        "the chain", "one Store", "one Department", "Store: region", "Department: family",
    ]  # fmt: skip
    page.get_by_role("region", name="Next week by Department").get_by_label("By").select_option("Department: family")
    week = str(origin + timedelta(weeks=1))
    forecasts = httpx.get(f"{each_service}/v1/forecasts", params={"from": week, "to": week}).json()["items"]
    fresh = sum(row["final"] for row in forecasts if retailer.family(row["dept_id"]) == "fresh")
    families = page.get_by_role("region", name="Next week by Department: family")
    expect(families.get_by_role("row", name=re.compile("^fresh"))).to_contain_text(amount(fresh))
    families.get_by_role("link", name="fresh").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Department: family fresh")
    expect(page.get_by_label("Figures")).to_contain_text(amount(fresh))
    expect(page.get_by_role("region", name="Next week by Department").get_by_role("row")).to_have_count(3)
    expect(page.get_by_role("region", name="Error beside seasonal naive").locator("canvas")).to_have_count(1)
    page.get_by_label("Department: family").select_option("dry")
    expect(page.get_by_role("heading", level=1)).to_have_text("Department: family dry")
    page.get_by_role("link", name="All exceptions").click()
    expect(page.get_by_label("Department with")).to_have_value("family=dry")
    rows = page.get_by_role("region", name="Series outside").get_by_role("rowheader")
    expect(page.get_by_role("heading", level=1)).to_have_text("Exceptions")
    expect(rows.first).to_be_visible()
    shown = page.get_by_role("region", name="Series outside").locator("tbody .name").all_inner_texts()
    assert shown != []
    assert [each for each in shown if not each.endswith("Department 11")] == []


def read(text: str) -> date:
    """The week that is shown so."""
    return datetime.strptime(text, "%b %d, %Y").replace(tzinfo=UTC).date()


def test_holidays_are_called_by_their_names(page: Page, each_service: str, origin: date) -> None:
    for path in ("#/", "#/series?store=1&dept=3"):
        settled(page, f"{each_service}/{path}")
        chart = page.get_by_role("region", name="Sales and forecast")
        chart.locator("details.data > summary").click()
        expect(chart.locator("tbody tr").first).to_be_visible()
        named = {}
        for row in chart.locator("tbody tr").all():
            cells = row.locator("th, td").all_inner_texts()
            named[cells[0]] = cells[-1]
        # Rows are the newest first.
        holidays = [week for week in reversed(named) if retailer.is_holiday(read(week))]
        # The first one has no name in the calendar.
        assert [named[week] for week in holidays] == ["Holiday", *(f"Feast {at}" for at in range(1, len(holidays)))]
        assert {name for week, name in named.items() if week not in holidays} == {""}
        box = chart.get_by_role("group", name=re.compile("Arrow keys"))
        box.press("End")
        reading = chart.locator(".reading-week")
        while not reading.inner_text().startswith(holidays[-1]):
            assert read(" ".join(reading.inner_text().split()[:3])) > read(holidays[-1])
            box.press("ArrowLeft")
        expect(reading).to_have_text(f"{holidays[-1]} {named[holidays[-1]]}")


def test_past_forecasts_stand_beside_sales_and_baselines(page: Page, each_service: str, origin: date) -> None:
    settled(page, f"{each_service}/#/accuracy")
    against = page.get_by_role("region", name="Forecast against sales")
    asked = {"from": str(origin), "to": str(origin), "horizon": "1"}
    row = httpx.get(f"{each_service}/v1/totals", params=asked).json()["items"][0]
    week = against.get_by_role("row", name=re.compile(f"^{shown(origin)}"))
    for value in (row["forecast"], row["actual"]):
        expect(week).to_contain_text(amount(value))
    expect(week).to_contain_text(f"{100 * (row['forecast'] / row['actual'] - 1):.1f}%".replace("-", "\N{MINUS SIGN}"))
    models = page.get_by_role("region", name="Model against baselines by Department")
    scores = httpx.get(f"{each_service}/v1/accuracy/models", params={"level": "department", "horizon": 1}).json()[
        "items"
    ]
    found = {each["model"]: each["wmae"] for each in scores if each["dept_id"] == "7"}
    seven = models.get_by_role("row", name=re.compile("^Department 7"))
    for wmae in found.values():
        expect(seven).to_contain_text(amount(wmae))
    expect(seven).to_contain_text(f"+{100 * (1 - found['published'] / found['seasonal_naive']):.1f}%")
    against.get_by_label("Forecast made", exact=True).select_option("2 weeks before")
    expect(against.get_by_role("row", name=re.compile(f"^{shown(origin)}"))).to_contain_text(
        shown(origin - timedelta(weeks=2))
    )
    page.get_by_label("Totals of").select_option("Department: family")
    expect(page.get_by_role("heading", level=1)).to_have_text("Accuracy: Department: family dry")
    expect(models.locator("tbody tr")).to_have_count(0)


@pytest.mark.parametrize(
    ("locale", "written", "read"),
    [
        ("en-US", lambda text: text, {"15,000": 15000, "1.234": 1.234, "1,234,567.5": 1234567.5, "0,5": 0.5}),
        ("de-DE", lambda text: text.replace(",", "."), {"15.000": 15000, "1,234": 1.234, "1.234.567,5": 1234567.5}),
        (
            "de-CH",
            lambda text: text.replace(",", "'"),
            {"15'000": 15000, "15\N{RIGHT SINGLE QUOTATION MARK}000": 15000, "0.5": 0.5},
        ),
        ("fr-FR", lambda text: text.replace(",", "\u202f"), {"15 000": 15000, "1,5": 1.5, "15.00.0": None}),
    ],
)
def test_numbers_are_written_and_read_as_the_browsers_locale_does(
    browser: Browser, service: str, origin: date, locale: str, written: Callable[[str], str], read: dict[str, float]
) -> None:
    week = str(origin + timedelta(weeks=1))
    total = httpx.get(f"{service}/v1/totals", params={"from": week, "to": week}).json()["items"][0]
    with browser.new_context(locale=locale) as context:
        page = context.new_page()
        settled(page, service)
        # Releases of a browser differ in the apostrophe of Switzerland.
        figures = page.get_by_label("Figures").inner_text().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
        assert f"{written(amount(total['final']))} USD" in figures
        found = page.evaluate(
            "async (texts) => { const { decision } = await import('/static/js/formatting.js');"
            " return texts.map((text) => decision(text)?.override ?? null); }",
            list(read),
        )
    assert found == list(read.values())


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles"])
@pytest.mark.parametrize(
    ("locale", "written"),
    [("en-US", shown), ("de-DE", lambda week: f"{week:%d.%m.%Y}"), ("en-GB", lambda week: f"{week.day} {week:%b %Y}")],
)
def test_days_are_written_as_the_browsers_locale_does_and_the_same_in_every_zone(
    browser: Browser, service: str, origin: date, locale: str, written: Callable[[date], str], zone: str
) -> None:
    weeks = [origin + timedelta(weeks=ahead) for ahead in range(1, retailer.HORIZON + 1)]
    with browser.new_context(locale=locale, timezone_id=zone, accept_downloads=True) as context:
        page = context.new_page()
        settled(page, f"{service}/#/")
        expect(page.get_by_label("Newest forecast")).to_contain_text(written(origin))
        coming = page.get_by_role("region", name="Weeks to come")
        for row, week in zip(coming.locator("tbody th").all(), weeks, strict=True):
            expect(row).to_contain_text(written(week))
        with page.expect_download() as started:
            coming.get_by_role("button", name=re.compile("CSV")).click()
        with open(started.value.path(), newline="") as file:
            assert [row["week"] for row in csv.DictReader(file)] == [str(week) for week in weeks]
        settled(page, f"{service}/#/orders")
        choices = page.get_by_label("Week", exact=True).locator("option")
        assert choices.all_inner_texts() == [*map(written, weeks), "all weeks"]
        assert choices.first.get_attribute("value") == str(weeks[0])
        drawn = page.evaluate(
            "async (at) => (await import('/static/js/chart_drawing.js')).axes([1, 2])[0].values(null, [at])[0]",
            datetime(2012, 11, 2, tzinfo=UTC).timestamp(),
        )
    assert drawn == written(date(2012, 11, 2))
