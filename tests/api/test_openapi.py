"""The OpenAPI document: the one checked in is the service's, and the service keeps to it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from api.__main__ import openapi_text
from api.documents import document
from tests.api.conftest import serving
from tests.api.stores import fill

ROOT = Path(__file__).parents[2]
# Per operation; `make fuzz` asks for many more.
CASES = int(os.environ.get("FUZZ_CASES", "2"))


def test_the_document_checked_in_is_the_services() -> None:
    assert (ROOT / "docs" / "openapi.json").read_text() == openapi_text(), "run `make openapi`"


def test_a_service_that_has_started_makes_its_document_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr("api.app.document", lambda app, path: made.append(app) or document(app, path))
    with serving(fill(tmp_path)) as client:
        before = len(made)
        assert [client.post("/v1/series").status_code, client.get("/health?x=1").status_code] == [405, 422]
    assert (before, len(made)) == (1, 1)


def test_generated_requests_get_only_what_the_document_says(tmp_path: Path) -> None:
    with serving(fill(tmp_path)) as client:
        ran = subprocess.run(
            [
                str(Path(sys.executable).with_name("st")), "run", f"{client.base_url}/openapi.json", "--checks", "all",
                "--max-examples", str(CASES), "--seed", os.environ.get("FUZZ_SEED", "7"), "--no-color",
                # What makes a table of a body no schema says; test_uploads.py has it.
                "--warnings", "off", "--exclude-path", "/v1/overrides:upload",
            ],
            env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.api.schemathesis_hooks", "PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )  # fmt: skip
    sys.stdout.write(ran.stdout)
    assert ran.returncode == 0
    made = re.search(r"([\d,]+) generated", ran.stdout)
    assert made is not None
    assert int(made[1].replace(",", "")) >= 20 * CASES
