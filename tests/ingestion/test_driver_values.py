"""Values of drivers by week become stretches of weeks with one value."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from demand_assets.assets.rows import store_table
from demand_assets.contract.drivers import DRIVER_VALUES, DRIVERS
from demand_assets.forecasting.drivers import ALL, DriverFrames
from demand_assets.ingestion.driver_values import driver_tables
from demand_assets.store.columns import columns_of

WEEKS = pd.date_range("2012-09-28", periods=8, freq="7D")
NEWEST = WEEKS[4]


def frames(of_stores: pd.DataFrame, of_series: pd.DataFrame, plans: pd.DataFrame, *names: str) -> DriverFrames:
    return DriverFrames(names, of_stores, of_series, plans)


def series(name: str, values: list[float], store: int = 1, dept: int = 3) -> pd.DataFrame:
    return pd.DataFrame({"store_id": store, "dept_id": dept, "week": WEEKS[: len(values)], name: values})


def no_stores() -> pd.DataFrame:
    return pd.DataFrame({"store_id": np.empty(0, np.int32), "week": np.empty(0, "datetime64[ns]")})


def plan(values: dict[pd.Timestamp, float], name: str, dept: int, origin: pd.Timestamp = NEWEST) -> pd.DataFrame:
    rows = {"origin_week": origin, "store_id": 1, "dept_id": dept, "week": list(values), name: list(values.values())}
    return pd.DataFrame(rows)


def test_weeks_with_one_value_are_one_row_and_a_plan_begins_another() -> None:
    price = series("price", [2.0, 2.0, np.nan, 2.0, 2.0])
    planned = plan({WEEKS[5]: 2.0, WEEKS[6]: 1.5, WEEKS[7]: 1.5}, "price", 3)
    older = plan({WEEKS[4]: 9.0}, "price", 3, WEEKS[3])
    drivers, values = driver_tables(
        frames(no_stores(), price, pd.concat([older, planned]), "price"), None, None, NEWEST
    )
    assert drivers.to_numpy().tolist() == [[1, "price", "number", True]]
    assert list(zip(values["first_week"], values["last_week"], values["value"], values["is_planned"], strict=True)) == [
        (WEEKS[0], WEEKS[1], 2.0, False),
        (WEEKS[3], WEEKS[4], 2.0, False),
        (WEEKS[5], WEEKS[5], 2.0, True),
        (WEEKS[6], WEEKS[7], 1.5, True),
    ]
    assert values[["store_id", "dept_id", "driver_key"]].drop_duplicates().to_numpy().tolist() == [[1, 3, 1]]


def test_stretches_are_the_weeks_of_a_plain_loop() -> None:
    random = np.random.default_rng(5)
    parts = [series("promo", random.choice([0.0, 1.0, np.nan], 8), store, dept) for store in (1, 2) for dept in (3, 4)]
    shuffled = pd.concat(parts).sample(frac=1, random_state=1)
    drivers, values = driver_tables(frames(no_stores(), shuffled, plan({}, "promo", 3), "promo"), None, None, WEEKS[-1])
    assert drivers["kind"].tolist() == ["flag"]
    weeks = [
        (row.store_id, row.dept_id, week, row.value)
        for row in values.itertuples()
        for week in pd.date_range(row.first_week, row.last_week, freq="7D")
    ]
    stated = shuffled.dropna().sort_values(["store_id", "dept_id", "week"])
    assert weeks == list(stated.itertuples(index=False, name=None))
    following = values.groupby(["store_id", "dept_id"]).shift(-1)
    joined = (following["first_week"] - values["last_week"]).dt.days == 7
    assert (following["value"] != values["value"])[joined].all()


def test_markdowns_of_a_store_are_summed_and_missing_only_when_all_kinds_are() -> None:
    kinds = {"markdown1": [np.nan, 10.0, 0.0], "markdown2": [np.nan, -2.5, 0.0]}
    covariates = pd.DataFrame({"store_id": 1, "week": WEEKS[:3], **kinds})
    ahead = pd.DataFrame({"store_id": 1, "week": WEEKS[5:6], "markdown1": [4.0]})
    drivers, values = driver_tables(None, covariates, ahead, NEWEST)
    assert drivers.to_numpy().tolist() == [[1, "markdown", "number", False]]
    assert list(zip(values["first_week"], values["value"], values["is_planned"], strict=True)) == [
        (WEEKS[1], 7.5, False),
        (WEEKS[2], 0.0, False),
        (WEEKS[5], 4.0, True),
    ]
    assert values["dept_id"].eq(ALL).all()


def test_planned_markdowns_are_drivers_of_their_own() -> None:
    covariates = pd.DataFrame({"store_id": 1, "week": WEEKS[:1], "markdown1": [4.0]})
    planned = frames(covariates, series("x", []), plan({}, "markdown1", ALL), "markdown1")
    drivers, values = driver_tables(planned, covariates, None, NEWEST)
    assert drivers["driver"].tolist() == ["markdown1"]
    assert len(values) == 1


def test_without_drivers_both_tables_are_empty_and_can_be_published() -> None:
    drivers, values = driver_tables(None, None, None, NEWEST)
    for frame, table in ((drivers, DRIVERS), (values, DRIVER_VALUES)):
        assert frame.empty
        found = columns_of(store_table(frame, table, {"store_id": {}, "dept_id": {}}), table)
        assert len(found) == 0


@pytest.mark.parametrize("weeks_ahead", [52, 53])
def test_a_plan_is_kept_for_a_year(weeks_ahead: int) -> None:
    planned = plan({NEWEST + pd.Timedelta(weeks=weeks_ahead): 1.0}, "promo", ALL)
    drivers, values = driver_tables(frames(no_stores(), series("x", []), planned, "promo"), None, None, NEWEST)
    assert len(values) == (1 if weeks_ahead == 52 else 0)
    assert len(drivers) == len(values)
