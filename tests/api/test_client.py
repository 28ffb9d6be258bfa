"""demand_client against the running service."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pandas as pd
import pytest

from demand_client import DemandClient, DemandError, RefusedError, UnavailableError
from demand_client.transport import Transport
from tests.api.conftest import Keys, items, serving
from tests.api.stores import ORIGIN, UNICODE, WEEK
from tests.waiting import until


@pytest.fixture
def demand(full: httpx.Client) -> Iterator[DemandClient]:
    with DemandClient(str(full.base_url)) as client:
        yield client


def test_forecasts_are_a_frame_of_text_ids_dates_and_numbers(demand: DemandClient, full: httpx.Client) -> None:
    frame = demand.forecasts(store_id=["1", "2"], dept_id="3", start=WEEK, end=pd.Timestamp(WEEK))
    assert frame[["store_id", "week", "forecast"]].to_dict("list") == {
        "store_id": ["1", "2"], "week": [pd.Timestamp(WEEK)] * 2, "forecast": [131.0, 231.0],
    }  # fmt: skip
    assert [str(frame[name].dtype) for name in ("week", "published_at", "horizon")] == [
        "datetime64[ns]", "datetime64[ns, UTC]", "int32",
    ]  # fmt: skip
    assert len(demand.forecasts(vintages="all")) == len(items(full, "forecasts", vintages="all"))


def test_every_method_gives_the_rows_of_its_list(demand: DemandClient, full: httpx.Client) -> None:
    frames = {
        "orders": demand.orders(service_level=0.9),
        "totals": demand.totals(),
        "accuracy/weeks": demand.accuracy_weeks(start=ORIGIN),
        "exceptions": demand.exceptions(),
        "vintages": demand.vintages(),
        "series": demand.series(),
        "overrides": demand.overrides(store_id="1"),
        "drift": demand.table("/v1/drift", severity="severe"),
    }
    filters: dict[str, dict[str, Any]] = {
        "orders": {"service_level": 0.9}, "accuracy/weeks": {"from": str(ORIGIN)}, "overrides": {"store_id": "1"},
        "drift": {"severity": "severe"},
    }  # fmt: skip
    for path, frame in frames.items():
        rows = items(full, path, **filters.get(path, {}))
        assert (len(frame), list(frame.columns)) == (len(rows), list(rows[0]))
    assert demand.dataset()["unit"] == "USD"


def test_one_forecast_is_as_the_service_says_it(demand: DemandClient) -> None:
    found = demand.forecast("1", "3", WEEK)
    assert (found["forecast"], found["week"], found["horizon"]) == (131.0, "2012-11-02", 1)
    assert demand.forecast("1", "3", "2012-11-02", horizon=2)["forecast"] == 132.0
    early = demand.forecast("1", "3", WEEK, as_of=datetime(2012, 10, 27, 6, 30, tzinfo=UTC))
    assert early["forecast"] == 181.0


def test_forecasts_of_keys_keep_their_rows_and_columns(demand: DemandClient) -> None:
    keys = pd.DataFrame(
        {
            "store_id": ["2", "9", "1"],
            "dept_id": ["3", "3", "3"],
            "week": pd.to_datetime([WEEK, WEEK, WEEK]),
            "note": ["a", "b", "c"],
        }
    )
    found = demand.forecasts_of(keys)
    pd.testing.assert_frame_equal(found[keys.columns], keys, check_dtype=False)
    assert found["forecast"].fillna(-1).to_list() == [231.0, -1.0, 131.0]
    assert demand.forecasts_of(keys.iloc[:0]).empty
    assert demand.forecasts_of(keys.iloc[[1]])["forecast"].isna().all()


def test_pages_are_put_together(full_url: str) -> None:
    with serving(full_url, export_rows=1000) as client, DemandClient(str(client.base_url)) as demand:
        whole = demand.forecasts()
        pd.testing.assert_frame_equal(demand.table("/v1/forecasts", limit=4), whole)


def test_an_override_is_made_once(full_url: str) -> None:
    with serving(full_url) as client, DemandClient(str(client.base_url)) as demand:
        given = {"reason": UNICODE, "idempotency_key": "once"}
        first = demand.override("2", "3", WEEK, 250.0, expires_at=datetime(2030, 1, 1, tzinfo=UTC), **given)
        again = demand.override("2", "3", WEEK, 250.0, expires_at=datetime(2030, 1, 1, tzinfo=UTC), **given)
        assert (first["override_id"], first["override"]) == (again["override_id"], 250.0)
        assert demand.overrides(store_id="2")["override"].to_list()[0] == 250.0


def test_a_refusal_says_what_the_service_says(demand: DemandClient) -> None:
    with pytest.raises(RefusedError, match="404: store 9 is not known here; see /v1/series") as refused:
        demand.forecasts(store_id="9")
    assert (refused.value.status, bool(refused.value.request_id)) == (404, True)
    with pytest.raises(RefusedError, match="422: week: 2012-11-01 is a Thursday"):
        demand.forecast("1", "3", date(2012, 11, 1))
    with pytest.raises(ValueError, match="expected ids without a comma where there are several, got 'a,b'"):
        demand.forecasts(store_id=["1", "a,b"])


def test_a_key_is_sent(full_url: str) -> None:
    keys = Keys(full_url)
    token, _ = keys.make("reader", "read")
    keys.engine.dispose()
    with serving(full_url, auth="on") as client:
        until(lambda: client.get("/ready").status_code == 200)
        with DemandClient(str(client.base_url), key=token) as demand:
            assert len(demand.vintages()) == 4
        with DemandClient(str(client.base_url)) as stranger, pytest.raises(RefusedError, match="401: an API key"):
            stranger.vintages()


def answering(*answers: httpx.Response) -> httpx.Client:
    left = list(answers)
    return httpx.Client(base_url="http://api", transport=httpx.MockTransport(lambda request: left.pop(0)))


def test_it_waits_as_long_as_it_is_told_to_and_gives_up_in_the_end() -> None:
    waited: list[float] = []
    busy = httpx.Response(429, headers={"Retry-After": "7"})
    down = httpx.Response(
        503, json={"detail": "down", "request_id": "r"}, headers={"content-type": "application/problem+json"}
    )
    assert Transport(answering(busy, down, httpx.Response(200)), 3, waited.append).send("GET", "/").status_code == 200
    assert waited == [7.0, 5.0]
    with pytest.raises(UnavailableError, match=r"asked 2 times, the last answer was 503: down \(request r\)"):
        Transport(answering(busy, down), 2, waited.append).send("GET", "/")
    assert waited == [7.0, 5.0, 7.0]


def test_a_service_that_is_not_there_is_one_line() -> None:
    with DemandClient("http://127.0.0.1:1") as demand, pytest.raises(DemandError, match=r":1 does not answer"):
        demand.vintages()
