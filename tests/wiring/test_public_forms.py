"""M5's and Favorita's archives, small and made up but in their exact layouts: from zip to the answer of the API."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from demand_assets.adapters.arrow_frames import read_frame
from tests.api.conftest import InProcess, application
from tests.wiring.conftest import run

DAYS = pd.date_range("2013-01-07", periods=560)


def archive(path: Path, **tables: pd.DataFrame) -> None:
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, table in tables.items():
            file.writestr(f"{name}.csv", table.to_csv(index=False))


def daily_amounts(series: int) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
    rng = np.random.default_rng(4)
    season = 20 + 10 * np.sin(np.arange(len(DAYS)) * 2 * np.pi / 364)
    return rng.poisson(season[:, None] * np.arange(1, series + 1), (len(DAYS), series))


def answer(home: Path, **query: str) -> dict[str, object]:
    response = InProcess(application(f"sqlite:///{home / 'store.db'}")).get("/forecast", params=query)
    assert response.status_code == 200, response.text
    found: dict[str, object] = response.json()
    return found


@pytest.mark.long
def test_m5_as_downloaded_is_forecast(first_home: Path, tmp_path: Path) -> None:
    amounts = daily_amounts(4)
    keys = [
        (f"FOODS_1_{item:03d}", "FOODS_1", "FOODS", store, store[:2]) for store in ("CA_1", "TX_2") for item in (1, 2)
    ]
    columns = [f"d_{day}" for day in range(1, len(DAYS) + 1)]
    sales = pd.DataFrame(keys, columns=["item_id", "dept_id", "cat_id", "store_id", "state_id"])
    sales.insert(0, "id", sales["item_id"] + "_" + sales["store_id"] + "_validation")
    sales = pd.concat([sales, pd.DataFrame(amounts.T, columns=columns)], axis=1)
    # As in M5 weeks begin on Saturday, and the calendar and the prices run four weeks past the sales.
    dates = pd.date_range(DAYS[0], periods=len(DAYS) + 28)
    week = 11_101 + (np.arange(len(dates)) + 2) // 7
    calendar = pd.DataFrame(
        {
            "date": dates.strftime("%Y-%m-%d"),
            "wm_yr_wk": week,
            "weekday": dates.day_name(),
            "d": [f"d_{day}" for day in range(1, len(dates) + 1)],
            "event_type_1": np.where(dates.day == 25, "National", ""),
            "snap_CA": (dates.day <= 10).astype(int),
        }
    )
    sold = (len(DAYS) + 1) // 7
    prices = pd.DataFrame(
        {
            "store_id": "CA_1",
            "item_id": "FOODS_1_001",
            "wm_yr_wk": np.unique(week),
            "sell_price": np.where(np.arange(len(np.unique(week))) <= sold, 2.5, 1.5),
        }
    )
    zone, home = tmp_path / "zone", first_home
    archive(zone / "m5.zip", sales_train_validation=sales, calendar=calendar, sell_prices=prices)
    summary = run(home, zone)
    found = answer(home, store_id="CA_1", dept_id="FOODS_1_001", week="2014-07-25")
    assert (summary["unit"], found["unit"], found["origin_week"]) == ("pieces", "pieces", "2014-07-18")
    assert found["forecast"] > 0
    series = read_frame(home / "lake" / "raw_series_covariates")
    assert series["sell_price"].eq(2.5).all()
    plan = read_frame(home / "lake" / "plans_ahead" / "2014-07-18.parquet")
    assert plan["week"].max() == pd.Timestamp("2014-08-22")
    of_item, of_stores = plan[plan["dept_id"] > 0], plan[plan["dept_id"] == 0]
    assert of_item["sell_price"].tolist() == [2.5, 1.5, 1.5, 1.5, 1.5]
    assert of_stores.groupby("week")[["snap_CA", "event_type_1=National"]].max().to_numpy().tolist() == [
        [0, 1], [1, 0], [7, 0], [2, 0],
    ]  # fmt: skip
    departments = read_frame(home / "lake" / "departments.parquet")
    assert departments[["id", "dept", "cat_id"]].to_numpy().tolist() == [
        ["FOODS_1_001", "FOODS_1", "FOODS"], ["FOODS_1_002", "FOODS_1", "FOODS"],
    ]  # fmt: skip


@pytest.mark.long
def test_favorita_as_downloaded_is_forecast(first_home: Path, tmp_path: Path) -> None:
    families = ("BEVERAGES", "BREAD/BAKERY")
    rows = pd.MultiIndex.from_product([DAYS, (1, 2), families], names=["date", "store_nbr", "family"]).to_frame(
        index=False
    )
    sales = rows.assign(date=rows["date"].dt.strftime("%Y-%m-%d"), sales=daily_amounts(4).ravel() * 1.5, onpromotion=0)
    sales.insert(0, "id", np.arange(len(sales)))
    stores = pd.DataFrame(
        {"store_nbr": [1, 2], "city": ["Quito", "Cuenca"], "state": "Azuay", "type": "D", "cluster": [13, 6]}
    )
    oil = pd.DataFrame({"date": DAYS.strftime("%Y-%m-%d"), "dcoilwtico": np.where(DAYS.dayofweek < 5, 93.1, np.nan)})
    zone, home = tmp_path / "zone", first_home
    archive(zone / "store-sales.zip", train=sales, stores=stores, oil=oil)
    run(home, zone)
    found = answer(home, store_id="2", dept_id="BREAD/BAKERY", week="2014-07-27")
    assert found["forecast"] > 0
    covariates = read_frame(home / "lake" / "raw_covariates")
    assert covariates["dcoilwtico"].round(1).eq(93.1).all()
    assert read_frame(home / "lake" / "raw_series_covariates")["onpromotion"].eq(0).all()
    assert not (home / "lake" / "plans_ahead").exists()
    assert set(covariates["store_id"]) == {1, 2}
