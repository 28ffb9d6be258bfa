"""`demand dev` in a real browser: the graph is there, a week is materialised by clicking, and Ctrl-C stops it all."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from demand_assets.commands import dev
from demand_assets.errors import DemandError
from tests.waiting import GUARD_S, until
from tests.wiring.conftest import environment_of

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def get_json(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=GUARD_S) as answer:
        body: dict[str, object] = json.load(answer)
    return body


def materialise(page: Page, address: str, asset: str, week: str) -> None:
    page.goto(f"{address}/assets/{asset}?view=partitions")
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Select a partition or create one").click()
    page.keyboard.type(week)
    page.get_by_role("menuitem").filter(has_text=week).click()
    # The list lies over the button until a click elsewhere closes it.
    dialog.get_by_text("Partition selection").first.click()
    dialog.get_by_role("button", name="Launch").click()


@pytest.mark.long
def test_a_week_is_materialised_from_the_browser(workspace: tuple[Path, Path]) -> None:
    home, zone = workspace
    dagster, api, mlflow = free_ports(3)
    environment = {**environment_of(home), "DEMAND_LANDING_URI": str(zone)}
    process = subprocess.Popen(
        [
            *(sys.executable, "-u", "-m", "demand_assets.cli", "dev", "--dagster-port", str(dagster)),
            *("--api-port", str(api), "--mlflow-port", str(mlflow)),
        ],
        env=environment,
        cwd=home.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if "Ctrl-C" in line:
                break
        assert f"http://127.0.0.1:{dagster}" in "".join(said), said
        assert "/#/experiments/1/runs?workflowType=machine_learning" in "".join(said), said
        health = get_json(f"http://127.0.0.1:{api}/health")
        assert health["status"] == "ok"
        week = str(health["newest_origin_week"])
        with urllib.request.urlopen(f"http://127.0.0.1:{mlflow}/health", timeout=GUARD_S) as answer:
            assert answer.status == 200

        footer = home / "lake" / "demand_features" / f"{week}.parquet"
        footer.unlink()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            page = browser.new_page(viewport={"width": 1500, "height": 1000})
            page.set_default_timeout(GUARD_S * 1000)
            page.goto(f"http://127.0.0.1:{dagster}/asset-groups")
            for group in ("ingestion", "features", "training", "forecasting", "monitoring"):
                expect(page.get_by_text(group, exact=True).first).to_be_visible(timeout=GUARD_S * 1000)
            materialise(page, f"http://127.0.0.1:{dagster}", "demand_features", week)
            until(footer.exists, process)
            browser.close()
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()  # Also drains and closes the pipe.
    assert process.returncode == 0
    for port in (dagster, api, mlflow):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert not _children_of(home)


def _children_of(home: Path) -> list[str]:
    """Processes whose environment names this workspace."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environ = (entry / "environ").read_bytes()
        except OSError:
            continue
        if f"DEMAND_HOME={home}".encode() in environ and int(entry.name) != os.getpid():
            found.append((entry / "cmdline").read_bytes().decode(errors="replace"))
    return found


def test_a_taken_port_is_one_clear_line(workspace: tuple[Path, Path]) -> None:
    home, _ = workspace
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "demand_assets.cli", "dev", "--api-port", str(port), "--dagster-port", "1"],
            env=environment_of(home), capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr.strip() == (
        f"demand: port {port} for API is taken; stop what listens there or choose another port"
    )


def server(port: int) -> subprocess.Popen[bytes]:
    """A process with a child of its own that listens on `port`, as Dagster's servers have."""
    child = f"import signal, socket; held = socket.create_server(('127.0.0.1', {port})); signal.pause()"
    script = f"import signal, subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]); signal.pause()"
    return subprocess.Popen([sys.executable, "-c", script], start_new_session=True, stderr=subprocess.DEVNULL)


def test_servers_are_waited_for_and_stopped_with_their_children() -> None:
    (port,) = free_ports(1)
    processes = {"API": server(port)}
    dev._await(processes, {"API": port})
    dev._stop(processes)
    assert processes["API"].wait() != 0
    until(lambda: not listens(port))


def test_a_server_that_ends_by_itself_is_named_with_its_code() -> None:
    (port,) = free_ports(1)
    processes = {"MLflow": subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"], start_new_session=True)}
    with pytest.raises(DemandError, match="MLflow ended by itself with code 3; see its log"):
        dev._await(processes, {"MLflow": port})
    dev._stop(processes)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
