"""One method per list of the service; each returns a frame, of all pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from types import TracebackType
from typing import Any, Literal, Self
from uuid import uuid4

import httpx
import pandas as pd
import pyarrow as pa

from demand_client.transport import Transport

Ids = str | Sequence[str] | None
"""Stores or departments: one, several, or None for all."""
Week = date | str
"""The day that ends a week, as a date or as YYYY-MM-DD."""
Level = Literal["chain", "department", "store"]
_ARROW = "application/vnd.apache.arrow.stream"
_KEY = ["store_id", "dept_id", "week"]
_MOST_KEYS = 10_000


class DemandClient:
    """A service at `base_url`, such as http://127.0.0.1:8000; `key` is an API key where it asks for one.

    Ids are text and weeks are dates. Amounts are in the unit of `dataset()`. Each method raises RefusedError for what
    the service refuses and UnavailableError when it does not answer; `attempts`: how often it is asked when it says to
    come later, `timeout`: seconds to wait for an answer.
    """

    def __init__(
        self,
        base_url: str,
        *,
        key: str | None = None,
        timeout: float = 60.0,
        attempts: int = 5,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._transport = Transport(httpx.Client(base_url=base_url, headers=headers, timeout=timeout), attempts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.http.close()

    def dataset(self) -> dict[str, Any]:
        """The retailer's data: unit, weekday that ends a week, labels of stores and departments, newest vintage."""
        return self._json("/v1/dataset")

    def forecast(
        self,
        store_id: str,
        dept_id: str,
        week: Week,
        *,
        as_of: datetime | None = None,
        horizon: int | None = None,
        vintage_id: str | None = None,
    ) -> dict[str, Any]:
        """The newest forecast of one series and week, with what it was made from; of those that match, if given."""
        filters = {"as_of": as_of, "horizon": horizon, "vintage_id": vintage_id}
        return self._json("/forecast", store_id=store_id, dept_id=dept_id, week=week, **filters)

    def forecasts(
        self,
        *,
        store_id: Ids = None,
        dept_id: Ids = None,
        start: Week | None = None,
        end: Week | None = None,
        origin: Week | None = None,
        as_of: datetime | None = None,
        horizon: int | None = None,
        vintage_id: str | None = None,
        vintages: Literal["newest", "all"] = "newest",
    ) -> pd.DataFrame:
        """One row per store, department and week from `start` to `end`, of the newest vintage that matches.

        `vintages="all"`: of the newest vintage of every origin week.
        """
        filters = {"origin": origin, "as_of": as_of, "horizon": horizon, "vintage_id": vintage_id}
        series = {"store_id": store_id, "dept_id": dept_id, "from": start, "to": end}
        return self.table("/v1/forecasts", vintages=vintages, **series, **filters)

    def forecasts_of(self, keys: pd.DataFrame) -> pd.DataFrame:
        """`keys` (store_id, dept_id, week; n rows) with the newest forecast of each; missing where there is none."""
        wanted = keys.assign(week=pd.to_datetime(keys["week"]).dt.strftime("%Y-%m-%d"))
        found: list[dict[str, Any]] = []
        for begin in range(0, len(wanted), _MOST_KEYS):
            part = wanted.loc[:, _KEY].iloc[begin : begin + _MOST_KEYS].to_dict("records")
            found += self._transport.send("POST", "/v1/forecasts:batch", json={"keys": part}).json()["items"]
        rows = pd.DataFrame(found, columns=None if found else [*_KEY, "forecast"])
        merged = wanted.merge(rows.drop_duplicates(_KEY), on=_KEY, how="left", validate="many_to_one")
        return merged.assign(week=pd.to_datetime(merged["week"]))

    def orders(
        self,
        *,
        service_level: float = 0.75,
        store_id: Ids = None,
        dept_id: Ids = None,
        week: Week | None = None,
    ) -> pd.DataFrame:
        """Stock to have per store, department and week, so that it suffices in that share of weeks."""
        return self.table("/v1/orders", service_level=service_level, store_id=store_id, dept_id=dept_id, week=week)

    def totals(
        self,
        level: Level = "chain",
        *,
        store_id: Ids = None,
        dept_id: Ids = None,
        start: Week | None = None,
        end: Week | None = None,
    ) -> pd.DataFrame:
        """Sales and newest forecast per week of the chain, of each department or of each store."""
        series = {"store_id": store_id, "dept_id": dept_id}
        return self.table("/v1/totals", level=level, **series, **{"from": start, "to": end})

    def accuracy_weeks(
        self,
        level: Level = "chain",
        *,
        store_id: str | None = None,
        dept_id: str | None = None,
        start: Week | None = None,
        end: Week | None = None,
    ) -> pd.DataFrame:
        """Realised accuracy of one total, a row per week: wmae, bias, coverage, fva."""
        series = {"store_id": store_id, "dept_id": dept_id}
        return self.table("/v1/accuracy/weeks", level=level, **series, **{"from": start, "to": end})

    def exceptions(self, *, week: Week | None = None, store_id: Ids = None, dept_id: Ids = None) -> pd.DataFrame:
        """Series whose sales lay outside p10 to p90, by amount at risk; of the newest week with any unless named."""
        return self.table("/v1/exceptions", week=week, store_id=store_id, dept_id=dept_id)

    def vintages(self, *, origin: Week | None = None) -> pd.DataFrame:
        """Published runs, the newest first."""
        return self.table("/v1/vintages", kind="forecast", origin=origin)

    def series(self, *, store_id: Ids = None, dept_id: Ids = None) -> pd.DataFrame:
        """Every store x department that ever sold."""
        return self.table("/v1/series", store_id=store_id, dept_id=dept_id)

    def overrides(self, *, store_id: Ids = None, dept_id: Ids = None, week: Week | None = None) -> pd.DataFrame:
        """Planners' numbers, the newest first."""
        return self.table("/v1/overrides", store_id=store_id, dept_id=dept_id, week=week)

    def override(
        self,
        store_id: str,
        dept_id: str,
        week: Week,
        amount: float | None,
        *,
        reason: str,
        reason_code: str | None = None,
        expires_at: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Give a planner's number; None withdraws the one before. A repeat with the same key changes nothing.

        Its author is whom the API key belongs to.
        """
        body = {
            "store_id": store_id,
            "dept_id": dept_id,
            "week": _text(week),
            "override": amount,
            "reason": reason,
            "reason_code": reason_code,
            "expires_at": None if expires_at is None else _text(expires_at),
        }
        headers = {"Idempotency-Key": idempotency_key or str(uuid4())}
        made: dict[str, Any] = self._transport.send("POST", "/v1/overrides", json=body, headers=headers).json()
        return made

    def table(self, path: str, **filters: Any) -> pd.DataFrame:
        """Every row of the list at `path`, such as /v1/drift, with the filters that the reference names.

        Weeks are datetime64[ns], times are UTC, ids are text.
        """
        address: str | None = path
        options: dict[str, Any] = {"params": _texts(filters)}
        pages = []
        while address is not None:
            answer = self._transport.send("GET", address, headers={"Accept": _ARROW}, **options)
            pages.append(pa.ipc.open_stream(answer.content).read_all())
            # The link has the filters already.
            address, options = answer.links.get("next", {}).get("url"), {}
        frame: pd.DataFrame = pa.concat_tables(pages).to_pandas(date_as_object=False, coerce_temporal_nanoseconds=True)
        return frame

    def _json(self, path: str, **filters: Any) -> dict[str, Any]:
        body: dict[str, Any] = self._transport.send("GET", path, params=_texts(filters)).json()
        return body


def _texts(filters: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(value) for name, value in filters.items() if value is not None}


def _text(value: Any) -> str:
    if isinstance(value, pd.Timestamp | datetime):
        # A week of a frame is a time at midnight.
        is_day = value.tzinfo is None and value == datetime.combine(value.date(), datetime.min.time())
        return value.date().isoformat() if is_day else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str | int | float):
        return str(value)
    ids = list(value)
    if len(ids) > 1 and (alone := [each for each in ids if "," in each]):
        raise ValueError(f"expected ids without a comma where there are several, got {alone[0]!r}; ask for it alone")
    return ",".join(ids)
