"""Behind a proxy that serves it under a prefix, which it takes off or leaves in."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from pydantic import ValidationError

from api.settings import ApiSettings
from tests.api.conftest import serving
from tests.api.stores import ASKED


@pytest.fixture
def client(full_url: str) -> Iterator[httpx.Client]:
    with serving(full_url, root_path="/tools/demand") as client:
        yield client


@pytest.mark.parametrize("prefix", ["/tools/demand", ""], ids=["left in", "taken off"])
def test_it_answers_under_the_prefix_and_links_to_it(client: httpx.Client, prefix: str) -> None:
    for path in ("/", "/docs", "/health", "/static/index.html"):
        assert client.get(prefix + path).status_code == 200
    assert client.get(f"{prefix}/forecast", params=ASKED).json()["store_id"] == "1"
    page = client.get(f"{prefix}/v1/forecasts?limit=2")
    following = page.links["next"]["url"]
    assert following.startswith("/tools/demand/v1/forecasts?")
    assert client.get(following).json()["items"] != page.json()["items"]
    assert client.get(f"{prefix}/openapi.json").json()["servers"] == [{"url": "/tools/demand"}]
    body = {**ASKED, "override": 1.0, "reason": "fair"}
    made = client.post(f"{prefix}/v1/overrides", json=body, headers={"Idempotency-Key": f"a{len(prefix)}"})
    assert client.get(made.headers["location"]).json()["override_id"] == made.json()["override_id"]


def test_another_path_that_begins_alike_is_not_there(client: httpx.Client) -> None:
    assert client.get("/tools/demands/health").status_code == 404


@pytest.mark.parametrize("wrong", ["demand", "/demand/", "/a b", "https://x", "/a?b"])
def test_a_prefix_begins_with_a_slash_and_ends_without(wrong: str) -> None:
    with pytest.raises(ValidationError, match="root_path"):
        ApiSettings(store_url="sqlite:///x.db", root_path=wrong)
