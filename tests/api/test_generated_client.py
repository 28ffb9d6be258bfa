"""A client that openapi-python-client generates from docs/openapi.json, against the running service."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from tests.api.conftest import items
from tests.api.stores import WEEK

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"
PACKAGE = "demand_forecasts_client"
# The generator knows JSON, forms and bytes; a workbook and a CSV are bytes to it.
AS_BYTES = (
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "text/csv",
    "text/tab-separated-values",
)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    tmp_path = tmp_path_factory.mktemp("generated")
    config = {"content_type_overrides": dict.fromkeys(AS_BYTES, "application/octet-stream"), "post_hooks": []}
    (tmp_path / "config.json").write_text(json.dumps(config))
    ended = subprocess.run(
        [
            sys.executable, "-m", "openapi_python_client", "generate", "--path", DOCUMENT, "--config",
            tmp_path / "config.json", "--output-path", tmp_path / "client", "--fail-on-warning",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path / "client")
        yield importlib.import_module(PACKAGE)


def test_a_generated_client_reads_typed_forecasts(generated: ModuleType, full: httpx.Client) -> None:
    with generated.Client(base_url=str(full.base_url)) as client:

        def call(path: str, **arguments: Any) -> Any:
            return importlib.import_module(f"{PACKAGE}.api.{path}").sync(client=client, **arguments)

        one = call("forecasts.get_forecast", store_id="1", dept_id="3", week=WEEK)
        assert (one.forecast, one.week, one.store_id) == (131.0, WEEK, "1")
        listed = call("forecasts.list_forecasts", store_id=["1"])
        rows = items(full, "forecasts", store_id="1")
        assert [(row.week.isoformat(), row.forecast) for row in listed.items] == [
            (row["week"], row["forecast"]) for row in rows
        ]
        assert call("forecasts.get_forecast", store_id="9", dept_id="3", week=WEEK).status == 404
