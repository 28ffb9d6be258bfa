"""All deliveries as the tables of the lake."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from demand_assets.errors import LandingError
from demand_assets.ingestion.assemble import Tables, calendar_with, tables_of
from demand_assets.ingestion.dataset import Dataset
from demand_assets.ingestion.dataspec import read_spec
from tests.ingestion.landed import csv, days, deliveries

TOML = '[data]\nunit = "EUR"\n'
FACTS = Dataset.of(read_spec(TOML + 'week_ends = "friday"'), "")
SALES = csv("date,shop,item,sales", *((day, shop, "x", 10.5) for day in days(4) for shop in ("ZRH-01", "BRN-02")))
FIXED = csv("date,shop,item,sales", (days(4)[0], "BRN-02", "x", 99.5), (days(5)[-1], "BRN-02", "y", 3.5))
SHOPS = csv("shop,city", ("ZRH-01", "Zurich"), ("GVA-03", "Geneva"))
WEATHER = csv("date,shop,rain", *((day, "ZRH-01", 0.5 + number) for number, day in enumerate(days(4))))


def tables(**files: str) -> Tables:
    landed = deliveries({f"{name}.csv": text for name, text in files.items()}, TOML)
    return tables_of(list(landed.values()), FACTS)


def test_ids_have_one_key_in_every_table() -> None:
    made = tables(sales=SALES, shops=SHOPS, weather=WEATHER)
    key = dict(zip(made.stores["id"], made.stores["store_id"], strict=True))
    assert sorted(key) == ["BRN-02", "GVA-03", "ZRH-01"]
    assert made.stores.set_index("id")["city"].dropna().to_dict() == {"GVA-03": "Geneva", "ZRH-01": "Zurich"}
    assert set(made.sales["store_id"]) == {key["BRN-02"], key["ZRH-01"]}
    rain = made.covariates.dropna(subset=["rain"])
    assert set(rain["store_id"]) == {key["ZRH-01"]}
    assert made.ids.store(key["ZRH-01"]) == "ZRH-01"
    assert made.departments["id"].tolist() == ["x"]


def test_a_later_file_corrects_an_earlier_one_and_adds_to_it() -> None:
    made = tables(a=SALES, b=FIXED)
    brn = made.stores.set_index("id").loc["BRN-02", "store_id"]
    own = made.sales[made.sales["store_id"] == brn]
    assert own["sales"].tolist() == [99.5, 10.5, 10.5, 10.5, 3.5]
    assert len(made.sales) == 9


def test_every_store_and_week_with_sales_has_a_row_of_covariates() -> None:
    made = tables(sales=SALES)
    assert made.covariates.columns.tolist() == ["store_id", "week", "is_holiday"]
    assert len(made.covariates) == 8
    weather = tables(sales=SALES, weather=WEATHER).covariates
    assert weather["rain"].isna().sum() == 4


def test_the_calendar_holds_every_landed_week_and_those_around() -> None:
    made = tables(sales=SALES)
    landed = made.calendar.loc[made.calendar["is_landed"], "week"]
    assert landed.tolist() == sorted(made.sales["week"].unique())
    assert made.calendar["week"].diff().dropna().eq(pd.Timedelta(weeks=1)).all()
    pd.testing.assert_frame_equal(calendar_with(made.calendar, FACTS), made.calendar)


def test_without_sales_there_are_no_tables() -> None:
    shops = [one for one in deliveries({"sales.csv": SALES, "shops.csv": SHOPS}, TOML).values() if one.kind == "stores"]
    with pytest.raises(LandingError, match="no file holds sales; land one first"):
        tables_of(shops, FACTS)
    assert np.array_equal([one.kind for one in shops], ["stores"])
