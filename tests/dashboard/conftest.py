"""A browser at the real service, over a small invented retailer."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from demand_assets.store.migrations import migrate
from tests.api.conftest import database
from tests.dashboard import retailer
from tests.waiting import GUARD_S, answers, until

# Playwright's own five seconds are too few on a busy machine.
expect.set_options(timeout=GUARD_S * 1000)


@contextmanager
def served(url: str, **settings: str) -> Iterator[str]:
    """Address of a service of its own over the store `url`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DEMAND_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "api", "--port", str(port)],
        env=kept | {"DEMAND_STORE_URL": url, "DEMAND_API_LOG_LEVEL": "warning"} | settings,
        cwd=Path(__file__).parents[2],
    )
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: answers(f"{address}/health"), process)
        yield address
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def origin() -> date:
    return retailer.friday(datetime.now(UTC))


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, origin: date) -> Iterator[str]:
    url = f"sqlite:///{tmp_path_factory.mktemp('dashboard') / 'store.db'}"
    retailer.fill(url, origin)
    with served(url) as address:
        yield address


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def each_service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, origin: date
) -> Iterator[str]:
    """A service over each database, with a layout of orders; tests give no numbers in it but their own."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path_factory.mktemp('each') / 'store.db'}"
        else:
            url = stack.enter_context(database(request.getfixturevalue("postgres_server")))
        retailer.fill(url, origin)
        layout = '{"columns": {"Filiale": "store_id", "Menge": "order_quantity"}, "separator": ";", "decimal": ","}'
        yield stack.enter_context(served(url, DEMAND_API_ORDER_LAYOUT=layout))


@pytest.fixture(scope="session")
def empty_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    url = f"sqlite:///{tmp_path_factory.mktemp('empty') / 'store.db'}"
    migrate(url)
    with served(url) as address:
        yield address


# One per test: while Playwright is open, its event loop runs in this thread, where other tests need theirs.
@pytest.fixture
def browser() -> Iterator[Browser]:
    # CHROMIUM names one; else one of the system, else the one that Playwright installed.
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        if found is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("no Chromium: install one, or name it in CHROMIUM")
        with playwright.chromium.launch(executable_path=found, args=["--no-sandbox"]) as browser:
            yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh page; an error in a script or a violation of the content policy fails the test."""
    with browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True) as context:
        context.set_default_timeout(GUARD_S * 1000)
        page = context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
        yield page
        assert wrong == []
