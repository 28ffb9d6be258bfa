"""The main pages in Firefox, where it is installed."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest

from tests.dashboard.firefox import firefox
from tests.dashboard.test_dashboard import CUT_OFF, amount

PROGRAM = shutil.which("firefox-esr") or shutil.which("firefox")
# Path -> what the page has drawn when it is whole.
PAGES = {
    "#/": "canvas",
    "#/series?store=1&dept=3&earlier=1": "canvas",
    "#/accuracy": "canvas",
    "#/orders": "tbody tr",
    "#/drift?show=all": ".heat .cell",
    "#/models": ".timeline li",
    "#/overrides": "form",
}


@pytest.mark.skipif(PROGRAM is None, reason="no Firefox: install firefox-esr or firefox")
def test_the_main_pages_are_whole_in_firefox(service: str, origin: date, tmp_path: Path) -> None:
    week = str(origin + timedelta(weeks=1))
    total = httpx.get(f"{service}/v1/totals", params={"from": week, "to": week}).json()["items"][0]
    with firefox(str(PROGRAM), tmp_path) as browser:
        for path, drawn in PAGES.items():
            for width in (1280, 390):
                browser.show(f"{service}/{path}", width)
                browser.value("document.querySelectorAll('main details').forEach((each) => (each.open = true))")
                assert (path, width, browser.value(f"({CUT_OFF})()")) == (path, width, [])
                assert browser.value(f"document.querySelectorAll('main {drawn}').length") > 0, path
                assert browser.value("document.querySelectorAll('[role=alert]').length") == 0, path
        browser.show(f"{service}/#/", 1280)
        assert amount(total["final"]) in browser.value("document.querySelector('.figures').textContent")
        assert browser.wrong == []
