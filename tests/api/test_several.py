"""Filters that name several stores or departments."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from demand_assets.store.engine import create_engine_for
from demand_assets.store.publish import publish_actuals
from tests.api.conftest import columns, items, problem, serving
from tests.api.stores import ORIGIN, fill_full

ALL = [("1", "3"), ("1", "4"), ("2", "3")]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"store_id": "1"}, ALL[:2]),
        ({"store_id": "1,2"}, ALL),
        ({"store_id": "2,1,2"}, ALL),
        ({"dept_id": "3,4"}, ALL),
        ({"store_id": "1,2", "dept_id": "3"}, [ALL[0], ALL[2]]),
        ({"store_id": "2", "dept_id": "3,4"}, ALL[2:]),
    ],
)
def test_a_filter_names_one_id_or_several(
    full: httpx.Client, filters: dict[str, str], found: list[tuple[str, str]]
) -> None:
    for path in ("forecasts", "orders"):
        assert sorted(set(columns(items(full, path, **filters), "store_id", "dept_id"))) == found
    series = columns(items(full, "series", **filters), "store_id", "dept_id")
    assert sorted({*series, *found} - {("2", "9")}) == found
    exceptions = columns(items(full, "exceptions", **filters), "store_id", "dept_id")
    assert sorted(exceptions) == found


def test_each_list_of_series_takes_several(full: httpx.Client) -> None:
    assert columns(items(full, "stores", store_id="2,1"), "store_id") == [("1",), ("2",)]
    assert columns(items(full, "departments", dept_id="3,9"), "dept_id") == [("3",), ("9",)]
    assert {row["store_id"] for row in items(full, "totals", level="store", store_id="1,2")} == {"1", "2"}
    for path, more in (("overrides", {}), ("overrides/accuracy", {}), ("forecasts", {"vintages": "all"})):
        parts = [row for store in "12" for row in items(full, path, store_id=store, **more)]
        whole = items(full, path, store_id="1,2", **more)
        assert sorted(map(str, whole)) == sorted(map(str, parts))


def test_every_id_of_several_has_to_be_known(full: httpx.Client) -> None:
    assert problem(full.get("/v1/forecasts?store_id=1,8,9"), 404) == "store 8, 9 is not known here; see /v1/stores"
    assert "dept  is not known here" in problem(full.get("/v1/series?dept_id=3,"), 404)


def test_pages_of_several_are_one_list(full: httpx.Client) -> None:
    first = full.get("/v1/forecasts?store_id=1,2&limit=4").json()
    second = full.get("/v1/forecasts", params={"store_id": "1,2", "limit": 4, "cursor": first["next_cursor"]}).json()
    assert first["items"] + second["items"] == items(full, "forecasts", store_id="1,2")


def test_an_id_that_has_a_comma_is_one_id(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    fill_full(url)
    engine = create_engine_for(url)
    publish_actuals(engine, [("1,2", "3", ORIGIN, 7.0, False)])
    engine.dispose()
    with serving(url) as client:
        assert columns(items(client, "series", store_id="1,2"), "store_id") == [("1,2",)]
        assert {row["store_id"] for row in items(client, "series", store_id="2,1")} == {"1", "2"}
