"""A planner sees below the chart of a series what prices and promotions were, and what they are planned to be."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect

from demand_assets.store.engine import create_engine_for
from demand_assets.store.publish import publish_drivers
from tests.dashboard import retailer
from tests.dashboard.conftest import served
from tests.dashboard.test_dashboard import settled, shown

SERIES = "#/series?store=1&dept=3"


def strip(page: Page, name: str) -> Locator:
    return page.locator(".strip").filter(has_text=re.compile(f"^{name}"))


def touched(page: Page, name: str) -> list[str]:
    """What the stretches of a strip say of themselves."""
    return strip(page, name).locator("title").all_text_contents()


def test_plans_stand_apart_from_the_past_below_the_chart(page: Page, each_service: str, origin: date) -> None:
    settled(page, f"{each_service}/{SERIES}")
    cut, later = origin + timedelta(weeks=2), [origin + timedelta(weeks=ahead) for ahead in (3, 4)]
    assert touched(page, "Shelf price")[-3:] == [
        f"Shelf price: 1,999.95, planned, {shown(origin + timedelta(weeks=1))}",
        f"Shelf price: 1,234.5, planned, {shown(cut)}",
        f"Shelf price: 1,999.95, planned, {shown(later[0])} to {shown(later[1])}",
    ]
    expect(strip(page, "Shelf price").locator(".strip-line.planned")).to_have_attribute("d", re.compile(r"V.*V.*V"))
    # The promotion that the series itself has in that week counts, not the store's.
    assert f"Promo: yes, planned, {shown(cut)}" in touched(page, "Promo")
    expect(strip(page, "Promo").locator(".strip-block.planned")).to_have_count(1)
    # A strike never was; it has no strip, and the summary says so.
    expect(page.locator(".strip")).to_have_count(3)
    chart = page.locator("figure.chart")
    expect(chart).to_contain_text("Planned for the weeks ahead, and known to the forecast: Promo; Shelf price.")
    expect(chart).to_contain_text("0 in all these weeks: Strike, whole Store.")


def test_a_strip_has_its_weeks_under_those_of_the_chart(page: Page, service: str, origin: date) -> None:
    settled(page, f"{service}/{SERIES}")
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        ground = strip(page, "Shelf price").locator(".strip-touch").nth(-2)
        ground.hover()
        expect(strip(page, "Shelf price").locator(".reading")).to_have_text("1,234.5, planned")
        expect(page.locator(".reading-week").first).to_contain_text(shown(origin + timedelta(weeks=2)))
        line, week = page.locator(".u-cursor-x").first.bounding_box(), ground.bounding_box()
        assert line is not None
        assert week is not None
        assert week["x"] < line["x"] + line["width"] < week["x"] + week["width"]


def test_plans_are_read_by_keyboard_and_in_the_table(page: Page, service: str, origin: date) -> None:
    settled(page, f"{service}/{SERIES}")
    page.get_by_role("group", name=re.compile("Arrow keys read the weeks")).focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    cut = origin + timedelta(weeks=2)
    expect(page.get_by_text(f"{shown(cut)}, ", exact=False).first).to_contain_text(
        "Promo yes, planned, Shelf price 1,234.5, planned"
    )
    figure = page.locator("figure.chart")
    figure.get_by_text("Data of", exact=False).click()
    heads = figure.get_by_role("columnheader").all_text_contents()
    row = figure.get_by_role("row", name=re.compile(f"^{shown(cut)}")).get_by_role("cell").all_text_contents()
    said = dict(zip(heads[1:], row, strict=True))
    names = ("Promo", "Shelf price", "Markdowns, whole Store", "Strike, whole Store")
    assert [said[name] for name in names[:2]] == ["yes, planned", "1,234.5, planned"]
    assert set(names) < set(heads)


def test_values_of_drivers_are_written_as_the_browsers_locale_does(browser: Browser, service: str) -> None:
    with browser.new_context(locale="de-DE") as context:
        page = context.new_page()
        settled(page, f"{service}/{SERIES}")
        assert "Shelf price: 1.234,5, planned" in touched(page, "Shelf price")[-2]


def test_many_drivers_are_a_few_strips_and_the_rest_on_request(page: Page, tmp_path: Path, origin: date) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    retailer.fill(url, origin)
    engine = create_engine_for(url)
    drivers = [(number, f"price_{number}", "number", True) for number in range(1, 10)]
    publish_drivers(engine, drivers, [("1", "3", number, origin, origin, 2.5, False) for number in range(1, 10)])
    engine.dispose()
    with served(url) as address:
        settled(page, f"{address}/{SERIES}")
        expect(page.locator(".strip:visible")).to_have_count(6)
        page.get_by_text("3 more", exact=True).click()
        expect(page.locator(".strip:visible")).to_have_count(9)
