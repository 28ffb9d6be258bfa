"""Planners' numbers on the dashboard: given, refused, uploaded, approved."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

from demand_assets.store.engine import create_engine_for
from demand_assets.store.keys import create_key
from tests.dashboard import retailer
from tests.dashboard.conftest import served
from tests.dashboard.test_dashboard import settled, shown


def test_an_override_is_made_by_keyboard_and_shown_beside_the_forecast(page: Page, service: str, origin: date) -> None:
    settled(page, f"{service}/#/series?store=2&dept=7")
    keys: list[str] = []
    page.on("request", lambda sent: keys.append(sent.headers["idempotency-key"]) if sent.method == "POST" else None)
    page.get_by_label("Week", exact=True).last.focus()
    for text in ("", "23,456", "", "Local fair <b>on Saturday</b>"):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("23,456 USD counts in place of the forecast")).to_be_visible()
    week = shown(origin + timedelta(weeks=1))
    ahead = page.get_by_role("region", name="Weeks to come and what to order")
    expect(ahead.get_by_role("row", name=re.compile(week))).to_contain_text("23,456")
    listed = page.get_by_role("region", name="Overrides of this series")
    expect(listed.get_by_text("Local fair <b>on Saturday</b>")).to_be_visible()
    expect(listed.get_by_text("active", exact=True)).to_be_visible()
    page.get_by_label("Reason").fill("Called off")
    page.get_by_role("button", name="Withdraw the number").click()
    expect(listed.get_by_role("rowheader")).to_have_count(2)
    expect(listed.get_by_text("superseded")).to_be_visible()
    assert len(keys) == len(set(keys)) == 2


def test_a_refused_override_says_why_and_a_repeat_keeps_its_key(page: Page, service: str) -> None:
    settled(page, f"{service}/#/series?store=2&dept=11")
    keys: list[str] = []
    page.on("request", lambda sent: keys.append(sent.headers["idempotency-key"]) if sent.method == "POST" else None)
    page.get_by_label("Amount, USD").fill("100")
    page.get_by_label("Expires after").fill("2001-01-05")
    page.get_by_label("Reason").fill("Too late")
    page.get_by_role("button", name="Give override").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("expected a time to come")
    expect(alert.locator("code")).to_have_text(re.compile(r"^\w{16,}$"))
    alert.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("button", name="Give override")).to_be_enabled()
    page.get_by_label("Expires after").fill("")
    page.get_by_role("button", name="Give override").click()
    expect(page.get_by_text("100 USD counts in place of the forecast")).to_be_visible()
    assert (keys[0] == keys[1], keys[1] == keys[2]) == (True, False)


def test_pasted_numbers_are_looked_at_first_then_added_and_undone_together(
    page: Page, service: str, origin: date
) -> None:
    week = origin + timedelta(weeks=2)
    asked = {"store_id": "1", "dept_id": "3", "week": str(week)}
    before = httpx.get(f"{service}/forecast", params=asked).json()["final"]
    settled(page, f"{service}/#/overrides")
    form = page.get_by_role("region", name="Many at once")
    rows = form.get_by_label("Or rows pasted from a spreadsheet, with their header")
    rows.fill(f"store_id\tdept_id\tweek\toverride\n1\t3\t{week}\t77777\n1\t99\t{week}\t5")
    form.get_by_label("Reason, where a row has none").fill("Autumn fair")
    form.get_by_role("button", name="Preview").click()
    expect(form.get_by_text("1 refused: nothing can be added")).to_be_visible()
    expect(form.get_by_text("only what is forecast can be overridden")).to_be_visible()
    rows.fill(f"store_id\tdept_id\tweek\toverride\n1\t3\t{week}\t77777")
    form.get_by_role("button", name="Preview").click()
    form.get_by_role("button", name="Add 1 number").click()
    expect(form.get_by_text("1 override added.")).to_be_visible()
    assert httpx.get(f"{service}/forecast", params=asked).json()["final"] == 77777
    form.get_by_role("button", name="Show them").click()
    page.get_by_role("region", name="Uploads").get_by_role("button", name="Undo the upload").first.click()
    expect(page.get_by_text("undo of upload").first).to_be_visible()
    assert httpx.get(f"{service}/forecast", params=asked).json()["final"] == before


# As a spreadsheet's cells come from the clipboard.
PASTE = """text => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text", text);
    const pasted = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
    document.activeElement.dispatchEvent(pasted);
}"""


def test_several_weeks_are_edited_as_a_grid_by_typing_and_by_pasting(page: Page, tmp_path: Path, origin: date) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    retailer.fill(url, origin, weeks=10, vintages=1)
    weeks = [str(origin + timedelta(weeks=ahead)) for ahead in (1, 2)]
    with served(url) as address:

        def finals(dept: str) -> list[float]:
            asked = ({"store_id": "1", "dept_id": dept, "week": week} for week in weeks)
            return [httpx.get(f"{address}/forecast", params=each).json()["final"] for each in asked]

        before = finals("7")[1]
        settled(page, f"{address}/#/overrides?store=1")
        grid = page.get_by_role("region", name="Edit as a grid")
        rows = grid.locator("tbody tr")
        rows.first.get_by_role("textbox").first.focus()
        page.keyboard.type("12,345.5")
        page.keyboard.press("Enter")
        expect(rows.nth(1).get_by_role("textbox").first).to_be_focused()
        page.evaluate(PASTE, "100\tmany\n")
        grid.get_by_label("Reason", exact=True).fill("Street market")
        grid.get_by_role("button", name="Preview").click()
        expect(grid.get_by_text("1 cell: expected a number, +10% or withdraw.")).to_be_visible()
        page.keyboard.press("Control+a")
        page.keyboard.type("+50%")
        grid.get_by_role("button", name="Preview").click()
        expect(grid.get_by_text("3 numbers to add.")).to_be_visible()
        grid.get_by_role("button", name="Add 3 numbers").click()
        expect(grid.get_by_text("3 overrides added.")).to_be_visible()
        assert finals("3")[0] == 12345.5
        assert finals("7") == [100.0, before * 1.5]


def test_a_second_person_approves_what_is_over_a_limit(page: Page, tmp_path: Path, origin: date) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    retailer.fill(url, origin)
    engine = create_engine_for(url)
    people = (("ann", ("read", "write")), ("bob", ("read", "write", "approve")))
    keys = {name: create_key(engine, name, scopes, datetime.now(UTC))[0] for name, scopes in people}
    engine.dispose()
    body = {"store_id": "1", "dept_id": "3", "week": str(origin + timedelta(weeks=1)), "override": 1.0}
    with served(url, DEMAND_API_AUTH="on", DEMAND_API_APPROVAL_PERCENT="20") as address:
        headers = {"Authorization": f"Bearer {keys['ann']}", "Idempotency-Key": "over"}
        given = httpx.post(f"{address}/v1/overrides", json=body | {"reason": "Closed"}, headers=headers).json()
        assert (given["status"], given["author"]) == ("waiting", "ann")
        page.goto(f"{address}/#/overrides")
        page.get_by_role("textbox", name="API key").fill(keys["bob"])
        page.keyboard.press("Enter")
        waiting = page.get_by_role("region", name="Wait for approval")
        waiting.get_by_role("button", name="Approve").click()
        listed = page.get_by_role("region", name="All overrides")
        expect(listed.get_by_role("row", name=re.compile("Closed")).get_by_text("active")).to_be_visible()
        expect(waiting).to_have_count(0)
