"""Every snippet of docs/clients.md, and its notebook, runs against a running service."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from tests.api.conftest import items
from tests.api.test_files import HttpFiles

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "clients.md").read_text()
ADDRESS = "http://127.0.0.1:8000"
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


def needed(snippet: str) -> str:
    return re.findall(r"^(?:import|from) (\w+)", snippet, re.MULTILINE)[0]


def run(snippet: str, client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = {}
    exec(snippet.replace(ADDRESS, str(client.base_url)), found)
    return found


@pytest.mark.parametrize("snippet", SNIPPETS, ids=[f"{at} {needed(each)}" for at, each in enumerate(SNIPPETS)])
def test_a_snippet_runs(full: httpx.Client, snippet: str) -> None:
    if importlib.util.find_spec(needed(snippet)) is None:
        pytest.skip(f"{needed(snippet)} is not installed")
    # In place of httpfs, which duckdb would download.
    duckdb.register_filesystem(HttpFiles())
    try:
        found = run(snippet, full)
    finally:
        duckdb.unregister_filesystem("http")
    frames = [value for value in found.values() if hasattr(value, "__len__") and not isinstance(value, (str, dict))]
    assert frames
    assert all(len(frame) > 0 for frame in frames)


def test_the_notebook_runs(full: httpx.Client) -> None:
    cells = json.loads((DOCS / "clients.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    found = run("\n".join(code), full)
    assert [len(found[name]) for name in ("forecasts", "accuracy", "history", "orders")] == [6, 2, 18, 6]
    assert all(not cell.get("outputs") for cell in cells)


def test_commands_make_their_files(full: httpx.Client, tmp_path: Path) -> None:
    (script,) = COMMANDS
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace(ADDRESS, str(full.base_url))],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert '"items":[' in ran.stdout
    rows = list(csv.DictReader(io.StringIO((tmp_path / "forecasts.csv").read_text(encoding="utf-8"))))
    assert [row["store_id"] for row in rows] == [row["store_id"] for row in items(full, "forecasts")]
    assert (tmp_path / "forecasts.xlsx").read_bytes()[:2] == b"PK"


def test_the_csv_that_r_reads_is_as_the_page_says(full: httpx.Client) -> None:
    (path,) = re.findall(rf'read\.csv\("{ADDRESS}(.*?)"', PAGE)
    text = full.get(path).content.decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert text.count("\r\n") == len(rows) + 1
    assert {row["is_stale"] for row in rows} == {"false"}
    assert "" in {row["order_quantity"] for row in rows}
