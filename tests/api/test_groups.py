"""Attributes of stores and departments: levels of totals, filters of lists."""

from __future__ import annotations

import httpx
import pytest

from demand_assets.store.dataset import Member, publish_members
from demand_assets.store.engine import create_engine_for
from demand_assets.store.finals import final_quantile
from demand_assets.store.publish import publish_vintage
from tests.api.conftest import columns, items, problem, serving
from tests.api.stores import FORMULA, NOW, ORIGIN, RECORD, WEEK

INTERVAL = ("p10", "p50", "p90", "final_p10", "final_p50", "final_p90")
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
    names = ("week", "actual", "forecast", "final", "origin_week", "vintage_id", *INTERVAL)
    found = items(full, "totals", level=f"store.{attribute}", **PERIOD)
    assert columns(found, *names) == columns(items(full, "totals", **PERIOD), *names)
    assert {(row["group"], row["store_id"]) for row in found} <= {("north", None), ("100.5", None)}


@pytest.mark.parametrize(("level", "more"), [("store.open", {}), ("store.region", {"store_id": "1"})])
def test_a_group_of_one_store_has_its_interval(full: httpx.Client, level: str, more: dict[str, str]) -> None:
    names = ("week", "final", *INTERVAL)
    one = items(full, "totals", level="store", store_id="1", **PERIOD)
    found = [row for row in items(full, "totals", level=level, **more, **PERIOD) if row["group"] != "false"]
    assert columns(found, *names) == columns(one, *names)
    assert one[-1]["final_p10"] is not None


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        # Errors that share nothing: sqrt(3^2 + 4^2) below, and above.
        ((1000 - 13, 1000, 1000 + 26), (300 - 5, 300, 300 + 10)),
        # One error: 3 + 4.
        ((1000 - 19, 1000, 1000 + 38), (300 - 7, 300, 300 + 14)),
        # A chain that is surer than that is luck: no narrower than without anything shared.
        ((1000 - 1, 1000, 1000 + 1), (300 - 5, 300, 300 + 10)),
        # The chain's median lies 96 below the sum of the stores': the first pair has 24 of 192 in each sum of pairs.
        ((904 - 13, 904, 904 + 26), (300 - 12 - 5, 300 - 12, 300 - 12 + 10)),
    ],
)
def test_the_interval_of_some_stores_lies_between_theirs_and_the_chains(
    own_url: str, chain: tuple[float, ...], expected: tuple[float, ...]
) -> None:
    stores = {"1": (100.0, 3.0), "2": (200.0, 4.0), "3": (700.0, 12.0)}
    given = {name: (middle - below, middle, middle + 2 * below) for name, (middle, below) in stores.items()}
    totals = [("store", name, None, WEEK, 1, each[1], *each, 1) for name, each in given.items()]
    engine = create_engine_for(own_url)
    rows = [(name, "3", WEEK, 1, each[1], *each, None) for name, each in given.items()]
    publish_vintage(engine, RECORD, rows, [*totals, ("chain", None, None, WEEK, 1, 1000.0, *chain, 3)])
    size = {"1": "small", "2": "small", "3": "large"}
    publish_members(engine, [Member(name, None, {"size": each}) for name, each in size.items()], [], NOW)
    engine.dispose()
    with serving(own_url) as client:
        found = {row["group"]: row for row in items(client, "totals", level="store.size")}
    assert [found["small"][name] for name in ("p10", "p50", "p90")] == pytest.approx(expected)
    small = found["small"]
    # The store has a planner's number, with which the interval moves.
    assert small["final"] != small["forecast"]
    assert small["final_p90"] == final_quantile(small["p90"], small["forecast"], small["final"])


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
