"""Attributes of stores and departments: levels of totals, filters of lists."""

from __future__ import annotations

import httpx
import pytest

from tests.api.conftest import columns, items, problem
from tests.api.stores import FORMULA, ORIGIN, WEEK

PERIOD = {"from": str(ORIGIN), "to": str(WEEK)}


def test_each_value_of_an_attribute_is_listed(full: httpx.Client) -> None:
    found = columns(items(full, "attributes"), "level", "attribute", "value", "members")
    assert set(found) == {
        ("department", "kind", FORMULA, 1),
        ("department", "kind", "dry", 1),
        ("store", "open", "false", 1),
        ("store", "open", "true", 1),
        ("store", "region", "north", 2),
        ("store", "size = m²", "100.5", 2),
    }


@pytest.mark.parametrize("attribute", ["region", "size = m²"])
def test_the_totals_of_an_attribute_that_all_have_are_the_chains(full: httpx.Client, attribute: str) -> None:
    names = ("week", "actual", "forecast", "final", "origin_week", "vintage_id")
    found = items(full, "totals", level=f"store.{attribute}", **PERIOD)
    assert columns(found, *names) == columns(items(full, "totals", **PERIOD), *names)
    assert {(row["group"], row["store_id"], row["p10"]) for row in found} <= {
        ("north", None, None),
        ("100.5", None, None),
    }


def test_who_lacks_the_attribute_is_in_a_group_without_a_name(full: httpx.Client) -> None:
    found = items(full, "totals", level="department.kind", **{"from": str(ORIGIN), "to": str(ORIGIN)})
    departments = items(full, "totals", level="department", **{"from": str(ORIGIN), "to": str(ORIGIN)})
    sold = {row["dept_id"]: row["actual"] for row in departments}
    # Department 9 has no facts.
    assert columns(found, "group", "actual") == [("", sold["9"]), (FORMULA, sold["3"]), ("dry", sold["4"])]


@pytest.mark.parametrize(
    ("path", "more"),
    [("forecasts", {}), ("series", {}), ("orders", {}), ("exceptions", {}), ("overrides", {}), ("changes", {}),
     ("totals", {"level": "store"}), ("accuracy", {"level": "store"})],
)  # fmt: skip
def test_a_list_is_narrowed_to_those_having_an_attribute(full: httpx.Client, path: str, more: dict[str, str]) -> None:
    every = items(full, path, **more)
    found = items(full, path, store_attribute="open=true", **more)
    assert found == [row for row in every if row["store_id"] == "1"]
    assert found != []
    assert items(full, path, store_attribute="size = m²=100.5", store_id="1", **more) == found


def test_several_totals_are_scored_together(full: httpx.Client) -> None:
    one = items(full, "accuracy/weeks", level="store", store_id="1")
    assert items(full, "accuracy/weeks", level="store", store_attribute="region=north") == one


def test_an_attribute_that_nobody_has_is_not_found(full: httpx.Client) -> None:
    for path, asked in (
        ("totals", {"level": "store.colour"}),
        ("forecasts", {"store_attribute": "region=south"}),
        ("forecasts", {"dept_attribute": "region"}),
    ):
        answer = full.get(f"/v1/{path}", params=asked)
        assert "see /v1/attributes" in problem(answer, 404)
    widened = full.get("/v1/totals", params={"store_attribute": "region=north"})
    assert problem(widened, 404) == "level chain has no total of store_attribute region=north; ask for level=store"
    assert full.get("/v1/totals", params={"level": "store."}).status_code == 422
