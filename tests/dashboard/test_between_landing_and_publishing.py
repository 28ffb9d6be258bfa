"""New sales are in the store, their forecast is not: what is sold already is not next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from playwright.sync_api import Page, expect

from demand_assets.store.engine import create_engine_for
from demand_assets.store.publish import publish_actuals
from tests.dashboard import retailer
from tests.dashboard.conftest import served
from tests.dashboard.test_dashboard import settled, shown


@pytest.fixture(scope="module", params=[1, retailer.HORIZON], ids=["one week landed", "all of them"])
def landed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, origin: date
) -> Iterator[tuple[str, list[date], list[date]]]:
    """(address of a service, the forecast weeks that have been sold, those to come)."""
    url = f"sqlite:///{tmp_path_factory.mktemp('between') / 'store.db'}"
    first = origin - timedelta(weeks=retailer.HORIZON)
    retailer.fill(url, first)
    weeks = [first + timedelta(weeks=ahead) for ahead in range(1, retailer.HORIZON + 1)]
    sold, to_come = weeks[: request.param], weeks[request.param :]
    engine = create_engine_for(url)
    keys = [(store, dept) for store in retailer.STORES for dept in retailer.DEPTS]
    publish_actuals(engine, [(*key, week, retailer.sales(*key, week), False) for key in keys for week in sold])
    engine.dispose()
    with served(url) as address:
        yield address, sold, to_come


Landed = tuple[str, list[date], list[date]]


def test_no_figure_of_the_overview_is_of_a_week_that_is_sold(page: Page, landed: Landed) -> None:
    address, sold, to_come = landed
    settled(page, address)
    figures = page.locator("dl.figures")
    expect(figures).to_contain_text(f"Sales, week of {shown(sold[-1])}")
    found = re.findall(
        r"Forecast, week of (\w+ \d+, \d+)|Next (\d+) weeks? together", figures.inner_text(), re.IGNORECASE
    )
    assert found == ([(shown(to_come[0]), ""), ("", f"{len(to_come)}")] if to_come else [])


@pytest.mark.parametrize("address_of", ["", "#/?level=store&store=1"])
def test_the_next_week_is_the_first_that_is_not_sold(page: Page, landed: Landed, address_of: str) -> None:
    address, _, to_come = landed
    settled(page, f"{address}/{address_of}")
    regions = page.get_by_role("region", name=re.compile("next week", re.IGNORECASE))
    for at in range(regions.count()):
        expect(regions.nth(at)).to_contain_text(f"Week of {shown(to_come[0])}" if to_come else "No ")
    coming = page.get_by_role("region", name="Weeks to come")
    assert re.findall(r"\w+ \d+, \d{4}", coming.inner_text()) == [shown(week) for week in to_come]


def test_a_series_is_ordered_and_changed_for_weeks_to_come_alone(page: Page, landed: Landed) -> None:
    address, _, to_come = landed
    settled(page, f"{address}/#/series?store=1&dept=3")
    if not to_come:
        expect(page.get_by_text("No week to come is forecast.")).to_be_visible()
        expect(page.locator("select[name=week]")).to_have_count(0)
        return
    weeks = page.get_by_role("region", name="Weeks to come and what to order").locator(
        "tbody tr td:first-child, tbody tr th"
    )
    expect(weeks.first).to_contain_text(shown(to_come[0]))
    assert page.locator("select[name=week] option").all_inner_texts() == [shown(week) for week in to_come]
    expect(page.get_by_text(f"Next week, {shown(to_come[0])}: forecast", exact=False)).to_have_count(1)
