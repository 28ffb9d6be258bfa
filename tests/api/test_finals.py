"""The final number: orders, totals and exports follow it, the system's own stays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demand_assets.store.finals import final_order, final_quantile
from tests.api.conftest import items, serving
from tests.api.stores import FORMULA, ORIGINS, SERIES, WEEK, fill_full

AMOUNTS = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))


@given(forecast=AMOUNTS, below=st.floats(0, 1e5), above=st.floats(0, 1e5), final=AMOUNTS)
def test_an_interval_moves_with_the_number(forecast: float, below: float, above: float, final: float) -> None:
    low, high = (final_quantile(each, forecast, final) for each in (forecast - below, forecast + above))
    assert low <= final <= high
    assert high - low <= 2 * (below + above) * (1 + 1e-9) + 1e-6
    assert final_quantile(forecast, forecast, final) == pytest.approx(final)
    # What cannot be below zero stays so.
    if forecast >= below and final >= 0:
        assert low >= -1e-6


@pytest.mark.parametrize(
    ("forecast", "final", "expected"),
    [
        (100.0, 50.0, (45.0, 60.0)),  # half of it: half as wide
        (100.0, 0.0, (0.0, 0.0)),  # a closed store sells nothing for sure
        (100.0, 150.0, (135.0, 180.0)),
        (100.0, 400.0, (380.0, 440.0)),  # at most twice as wide
        (0.0, 50.0, (40.0, 70.0)),  # no ratio to go by
        (100.0, -5.0, (-15.0, 15.0)),
    ],
)
def test_the_rule_of_the_interval(forecast: float, final: float, expected: tuple[float, float]) -> None:
    moved = (final_quantile(forecast - 10, forecast, final), final_quantile(forecast + 20, forecast, final))
    assert moved == pytest.approx(expected)
    assert final_order(forecast + 20, forecast, final) == pytest.approx(max(expected[1], 0.0))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    url = f"sqlite:///{tmp_path_factory.mktemp('finals') / 'store.db'}"
    fill_full(url)
    with serving(url) as client:
        yield client


WEEKS = tuple(str(ORIGINS[-1] + timedelta(weeks=ahead)) for ahead in (1, 2))
KEYS = st.tuples(st.sampled_from(SERIES), st.sampled_from(WEEKS))


@settings(max_examples=15, deadline=None)
@given(numbers=st.dictionaries(KEYS, st.none() | st.floats(0, 1e6), min_size=1))
def test_every_view_sums_to_the_same_final_numbers(
    client: httpx.Client, numbers: dict[tuple[tuple[str, str], str], float | None]
) -> None:
    names = ("store_id", "dept_id", "week", "override")
    rows = [dict(zip(names, (*series, week, number), strict=True)) for (series, week), number in numbers.items()]
    headers = {"Idempotency-Key": str(uuid4())}
    sent = client.post("/v1/overrides:upload", json={"items": rows}, headers=headers, params={"reason": "fair"})
    assert sent.status_code in (200, 201), sent.text
    forecasts = items(client, "forecasts")
    group_of = {"store": {"1": "true", "2": "false"}, "department": {"3": FORMULA, "4": "dry"}}
    for row in forecasts:
        number = numbers.get(((row["store_id"], row["dept_id"]), row["week"]))
        if number is not None:
            assert (row["final"], row["override"]["override"]) == (number, number)
        elif row["override"] is None:
            assert row["final"] == row["forecast"]
    levels: list[tuple[str, tuple[str, ...]]] = [("chain", ()), ("store", ("store_id",)), ("department", ("dept_id",))]
    for level, keys in [*levels, ("store.open", ("group",)), ("department.kind", ("group",))]:
        sums: defaultdict[tuple[Any, ...], float] = defaultdict(float)
        groups, name = group_of.get(level.partition(".")[0], {}), "store_id" if level.startswith("store") else "dept_id"
        for row in forecasts:
            row["group"] = groups.get(row[name])
            sums[(row["week"], *(row[key] for key in keys))] += row["final"]
        totals = [
            row for row in items(client, "totals", level=level, **{"from": str(WEEK)}) if row["final"] is not None
        ]
        assert {(row["week"], *(row[key] for key in keys)): row["final"] for row in totals} == pytest.approx(dict(sums))
        assert all(row["final_p10"] <= row["final_p50"] <= row["final_p90"] for row in totals)
    orders = items(client, "orders", service_level=0.5)
    assert [row["final"] for row in orders] == [row["final"] for row in forecasts]
    assert [row["order_quantity"] for row in orders] == pytest.approx([max(row["final_p50"], 0) for row in forecasts])
