"""Rows of later weeks as plans, rows of several files as one table, and both as drivers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from demand_assets.ingestion.ahead import driver_frames_of, weeks_ahead
from demand_assets.ingestion.columnwise import merge_columnwise
from demand_assets.ingestion.dataset import Covariate
from demand_assets.ingestion.delivery import KEYS, Delivery, LandedFile
from demand_assets.ingestion.understanding import Kind

WEEKS = pd.DatetimeIndex(["2012-11-02", "2012-11-09", "2012-11-16"], name="week")
SERIES = KEYS["series_covariates"]


def rows(*weeks: int, dept: int | None = 1, **values: list[float]) -> pd.DataFrame:
    frame = pd.DataFrame({"store_id": np.int32(1), "week": WEEKS[list(weeks)].to_numpy("datetime64[ns]")})
    frame = frame if dept is None else frame.assign(dept_id=np.int32(dept))
    return frame.astype({"store_id": "int32"}).assign(**values)


def delivery(name: str, frame: pd.DataFrame, kind: Kind = "series_covariates", ahead: str = "") -> Delivery:
    file = LandedFile(name, name, 1, datetime(2012, 11, 2, tzinfo=UTC), name)
    weeks = pd.DatetimeIndex(frame["week"].unique(), name="week")
    return Delivery(file, kind, frame, f"hash of {name}", weeks, known_ahead=tuple(ahead.split()))


def told(frame: pd.DataFrame, *names: str) -> list[list[object]]:
    shown = frame.assign(**{name: frame[name].dt.strftime("%m-%d") for name in frame if frame[name].dtype.kind == "M"})
    return shown[list(names)].astype(object).where(shown[list(names)].notna(), None).to_numpy().tolist()


def test_a_file_of_prices_leaves_the_promotions_of_another_as_they_are() -> None:
    both = delivery("both.csv", rows(0, 1, price=[2.0, 2.0], promo=[0.0, 1.0]))
    price = delivery("price.csv", rows(1, 2, price=[1.5, 1.5]))
    merged = merge_columnwise(None, {}, [both, price], SERIES, weeks=WEEKS)
    assert told(merged.frame, "week", "price", "promo") == [
        ["11-02", 2.0, 0.0], ["11-09", 1.5, 1.0], ["11-16", 1.5, None],
    ]  # fmt: skip
    names = {f"{week:%m-%d}": [one.file for one in landings] for week, landings in merged.landings.items()}
    assert names == {"11-02": ["both.csv"], "11-09": ["both.csv", "price.csv"], "11-16": ["price.csv"]}


def test_stored_columns_that_no_file_brings_stay_and_a_file_is_applied_once() -> None:
    stored = rows(0, 1, price=[2.0, 2.0], promo=[0.0, 1.0])
    price = delivery("price.csv", rows(1, price=[1.5]))
    first = merge_columnwise(stored, {}, [price], SERIES, weeks=WEEKS)
    assert told(first.frame, "week", "price", "promo") == [["11-02", 2.0, 0.0], ["11-09", 1.5, 1.0]]
    assert list(first.changed_weeks) == [WEEKS[1]]
    again = merge_columnwise(first.frame, first.landings, [price], SERIES, weeks=WEEKS)
    assert (again.frame.equals(first.frame), len(again.recorded_weeks)) == (True, 0)


def test_a_plan_has_the_columns_known_ahead_of_later_weeks_of_series_and_of_stores() -> None:
    prices = delivery("p.csv", rows(0, 1, 2, price=[2.0, 1.0, 1.0], cost=[1.0, 1.0, 1.0]), ahead="price")
    later = delivery("later.csv", rows(2, price=[0.5], cost=[1.0]), ahead="price")
    stores = delivery("s.csv", rows(1, 2, dept=None, event=[7.0, np.nan], rain=[1.0, 1.0]), "covariates", "event")
    ahead = weeks_ahead([prices, later, stores], "2012-11-02")
    assert ahead.plan is not None
    assert told(ahead.plan, "origin_week", "dept_id", "week", "event", "price") == [
        ["11-02", 0, "11-09", 7.0, None],
        ["11-02", 1, "11-09", None, 1.0],
        ["11-02", 1, "11-16", None, 0.5],
    ]
    assert set(ahead.plan) == {"origin_week", "store_id", "dept_id", "week", "event", "price"}
    assert ahead.conditions is not None
    assert told(ahead.conditions, "week", "rain") == [["11-09", 1.0], ["11-16", 1.0]]
    nothing = weeks_ahead([prices], "2012-11-16")
    assert (nothing.plan, nothing.conditions) == (None, None)


def test_drivers_are_the_columns_known_ahead_and_each_flag_of_a_text() -> None:
    covariates = [
        Covariate("price", "series", True),
        Covariate("holiday", "store", True),
        Covariate("rain", "store", False),
    ]
    stores = rows(0, dept=None, **{"holiday=a": [1.0], "rain": [3.0], "holiday=b": [0.0]})
    series = rows(0, price=[2.0])
    found = driver_frames_of(covariates, stores, series, pd.DataFrame())
    assert found is not None
    assert found.names == ("holiday=a", "holiday=b", "price")
    frames: Mapping[str, pd.DataFrame] = {"stores": found.of_stores, "series": found.of_series, "plans": found.plans}
    assert {name: list(frame) for name, frame in frames.items()} == {
        "stores": ["store_id", "week", "holiday=a", "holiday=b"],
        "series": ["store_id", "dept_id", "week", "price"],
        "plans": ["origin_week", "store_id", "dept_id", "week", "holiday=a", "holiday=b", "price"],
    }
    assert driver_frames_of(covariates[2:], stores, series, pd.DataFrame()) is None
