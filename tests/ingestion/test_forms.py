"""The known forms, in their exact layouts on small made-up tables."""

from __future__ import annotations

import io
import itertools
import zipfile
from datetime import date

import pytest

from demand_assets.ingestion.forms import known_forms
from tests.ingestion.landed import FEATURES, TRAIN, WALMART, csv, days, plan, plans, report, roles, understood

DAYS = days(30, 1)
M5 = {
    "calendar.csv": csv(
        "date,wm_yr_wk,weekday,wday,month,year,d,event_name_1,event_type_1,event_name_2,event_type_2,"
        "snap_CA,snap_TX,snap_WI",
        *(
            (day, 11101 + i // 7, f"{day:%A}", i % 7 + 1, day.month, 2010, f"d_{i + 1}", "", "", "", "", i % 2, 0, 1)
            for i, day in enumerate(days(40, 1))
        ),
    ),
    "sales_train_validation.csv": csv(
        f"id,item_id,dept_id,cat_id,store_id,state_id,{','.join(f'd_{i}' for i in range(1, 31))}",
        *(
            (f"{item}_{store}_validation", item, item[:-4], item.split("_")[0], store, store[:2], *range(30))
            for item, store in itertools.product(("HOBBIES_1_001", "FOODS_3_090"), ("CA_1", "TX_2"))
        ),
    ),
    "sell_prices.csv": csv("store_id,item_id,wm_yr_wk,sell_price", ("CA_1", "HOBBIES_1_001", 11101, 9.58)),
}
FAMILIES = ("AUTOMOTIVE", "BREAD/BAKERY")
OIL = csv("date,dcoilwtico", *((day, "" if i == 0 else 93.14 + i) for i, day in enumerate(DAYS)))
STORE_SALES = {
    "holidays_events.csv": csv("date,type,locale,locale_name,description,transferred", (DAYS[0], *"abcde")),
    "oil.csv": OIL,
    "stores.csv": csv(
        "store_nbr,city,state,type,cluster", (1, "Quito", "Pichincha", "D", 13), (2, "Loja", "L", "B", 6)
    ),
    "train.csv": csv(
        "id,date,store_nbr,family,sales,onpromotion",
        *(
            (number, day, store, family, number + 0.5, number % 3)
            for number, (day, store, family) in enumerate(itertools.product(DAYS, (1, 2), FAMILIES))
        ),
    ),
    "transactions.csv": csv("date,store_nbr,transactions", *((day, s, 770) for day in DAYS for s in (1, 2))),
}
ROSSMANN = csv(
    "Store,DayOfWeek,Date,Sales,Customers,Open,Promo,StateHoliday,SchoolHoliday",
    *(
        (s, day.isoweekday(), day, 100 * i, 50 + i, 1, i % 2, "0", i % 3 % 2)
        for i, day in enumerate(DAYS)
        for s in (1, 2)
    ),
)
STORE = csv(
    "Store,StoreType,Assortment,CompetitionDistance,CompetitionOpenSinceMonth,Promo2",
    (1, "c", "a", 1270, 9, 0),
    (2, "a", "a", "", 11, 1),
)


def test_every_form_is_a_declaration_that_loads() -> None:
    assert [form.name for form in known_forms()] == [
        "amazon_forecast",
        "favorita",
        "long",
        "m5",
        "rossmann",
        "walmart",
        "walmart_45",
    ]


def test_walmart_keeps_the_names_that_its_columns_have_in_the_lake() -> None:
    answer = understood(WALMART)
    assert (answer.form, answer.spec.data.unit, answer.spec.data.week_ends) == ("walmart", "USD", "friday")
    assert dict(plan(answer, "covariates").values) == {
        "temperature_f": "Temperature",
        "fuel_price": "Fuel_Price",
        **{f"markdown{i}": f"MarkDown{i}" for i in range(1, 6)},
        "cpi": "CPI",
        "unemployment_pct": "Unemployment",
    }
    assert dict(plan(answer, "stores").values) == {"store_type": "Type", "size_sqft": "Size"}
    assert (answer.spec.holidays.column, answer.spec.holidays.retail) == ("IsHoliday", "us")
    assert [plan.flag for _, plan in answer.plans] == ["IsHoliday", "", "IsHoliday"]


@pytest.mark.parametrize("absent", [["features.csv"], ["stores.csv"], ["features.csv", "stores.csv"]])
def test_parts_of_walmart_may_be_absent(absent: list[str]) -> None:
    answer = understood({name: text for name, text in WALMART.items() if name not in absent})
    assert answer.form == "walmart"
    assert not answer.questions
    assert set(roles(answer)) == {"features.csv", "stores.csv", "train.csv"} - set(absent)


def test_walmart_sales_may_be_without_flags_and_features_with_flags_alone() -> None:
    sales = "\n".join(line.rsplit(",", 1)[0] for line in TRAIN.splitlines()) + "\n"
    rows = [line.split(",") for line in FEATURES.splitlines()]
    flags = "\n".join(",".join((row[0], row[1], row[-1])) for row in rows) + "\n"
    answer = understood({"features.csv": flags, "train.csv": sales})
    covariates = plan(answer, "covariates")
    assert (covariates.level, covariates.flag, dict(covariates.values)) == ("store", "IsHoliday", {})
    assert plan(answer, "sales").flag == ""
    assert understood({"train.csv": sales}).spec.holidays.retail == "us"


def test_walmart_in_one_file_has_sales_covariates_and_stores() -> None:
    header = f"{TRAIN.splitlines()[0]},Temperature,Fuel_Price,MarkDown1,CPI,Unemployment,Type,Size"
    rows = "\n".join(f"{line},42.31,2.572,NA,211.1,8.1,A,151315" for line in TRAIN.splitlines()[1:])
    found = plans(understood({"train.csv": f"{header}\n{rows}\n"}), "train.csv")
    assert [(one.kind, one.level, one.flag) for one in found] == [
        ("sales", "series", "IsHoliday"),
        ("covariates", "store", ""),
        ("stores", "store", ""),
    ]
    assert list(found[1].values) == ["temperature_f", "fuel_price", "markdown1", "cpi", "unemployment_pct"]
    assert dict(found[2].values) == {"store_type": "Type", "size_sqft": "Size"}


def test_walmart_45_is_one_series_a_store() -> None:
    header = "Store,Date,Weekly_Sales,Holiday_Flag,Temperature,Fuel_Price,CPI,Unemployment"
    rows = [(s, day.strftime("%d-%m-%Y"), 1643690.9, 0, 42.31, 2.572, 211.09, 8.106) for s in (1, 2) for day in days(8)]
    answer = understood({"Walmart.csv": csv(header, *rows)})
    sold = plan(answer, "sales")
    assert (answer.form, sold.store, sold.dept, sold.flag) == ("walmart_45", ("Store",), (), "Holiday_Flag")
    assert sold.types["Date"].date_format == "%d-%m-%Y"
    assert list(plan(answer, "covariates").values) == ["temperature_f", "fuel_price", "cpi", "unemployment_pct"]


def test_rossmann_is_daily_in_euros_with_promotions_known_ahead() -> None:
    answer = understood({"store.csv": STORE, "test.csv": "Id,Store\n1,1\n", "train.csv": ROSSMANN})
    spec, sold = answer.spec, plan(answer, "sales")
    assert (answer.form, spec.data.unit, spec.data.week_ends, spec.holidays.country) == (
        "rossmann",
        "EUR",
        "sunday",
        "DE",
    )
    assert (sold.days, sold.dept, sold.flag) == (True, (), "")
    assert [(block.known_ahead, block.weekly, block.columns) for block in spec.covariates] == [
        (True, "days", ("Promo", "SchoolHoliday", "StateHoliday"))
    ]
    assert list(plan(answer, "stores").values) == ["StoreType", "Assortment", "CompetitionDistance"]
    assert "Customers: not used" in report(answer, "train.csv").left_out


def test_m5_is_wide_with_dates_from_its_calendar() -> None:
    answer = understood(M5)
    sold, calendar = plan(answer, "sales"), plan(answer, "covariates")
    assert (answer.form, sold.store, sold.dept, sold.days) == ("m5", ("store_id",), ("item_id",), True)
    assert (len(sold.dates), sold.dates["d_1"], sold.dates["d_30"]) == (30, date(2010, 2, 5), date(2010, 3, 6))
    assert (calendar.level, list(calendar.values)) == ("chain", ["snap_CA", "snap_TX", "snap_WI", "event_type_1"])
    prices = plan(answer, "series_covariates")
    assert (prices.date, prices.days, prices.known_ahead) == ("wm_yr_wk", False, ("sell_price",))
    assert prices.keyed["11101"] == date(2010, 2, 12)
    assert list(plan(answer, "stores").values) == ["state_id"]
    assert list(plan(answer, "departments").values) == ["dept_id", "cat_id"]
    assert (answer.spec.data.unit, answer.spec.data.week_ends) == ("pieces", "friday")
    assert answer.notes == ()


def test_favorita_store_sales_come_from_one_archive() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in STORE_SALES.items():
            archive.writestr(name, text)
    answer = understood({"store-sales.zip": packed.getvalue()})
    assert answer.form == "favorita"
    assert not answer.questions
    assert [(source.part, plan.kind, plan.level, list(plan.values)) for source, plan in answer.plans] == [
        ("oil.csv", "covariates", "chain", ["dcoilwtico"]),
        ("stores.csv", "stores", "store", ["city", "state", "type", "cluster"]),
        ("train.csv", "sales", "series", ["sales"]),
        ("train.csv", "series_covariates", "series", ["onpromotion"]),
        ("transactions.csv", "covariates", "store", ["transactions"]),
    ]
    assert (answer.spec.sales.missing, answer.spec.holidays.country) == ("zero", "EC")
    assert report(answer, "store-sales.zip: train.csv").left_out == ("id: row numbers",)


def test_favorita_with_items_has_departments() -> None:
    items = csv("item_nbr,family,class,perishable", (96995, "GROCERY I", 1093, 0), (99197, "CLEANING", 1067, 1))
    sales = csv(
        "id,date,store_nbr,item_nbr,unit_sales,onpromotion",
        *((i, day, 25, item, 7.5, "False") for i, (day, item) in enumerate(itertools.product(DAYS, (96995, 99197)))),
    )
    answer = understood({"items.csv": items, "oil.csv": OIL, "train.csv": sales})
    assert (answer.form, plan(answer, "sales").dept, answer.spec.data.unit) == ("favorita", ("item_nbr",), "pieces")
    assert list(plan(answer, "departments").values) == ["family", "class", "perishable"]


@pytest.mark.parametrize("value", ["demand", "target_value"])
def test_amazon_forecast_has_target_related_and_metadata(value: str) -> None:
    keys = list(itertools.product(days(20), ("a", "b"), ("zrh", "gva")))
    answer = understood(
        {
            "metadata.csv": csv("item_id,category,brand", ("a", "x", "y"), ("b", "z", "y")),
            "related.csv": csv("item_id,timestamp,location,price", *((i, day, place, 9.5) for day, i, place in keys)),
            "target.csv": csv(f"item_id,timestamp,{value},location", *((i, day, 1.5, place) for day, i, place in keys)),
        }
    )
    sold = plan(answer, "sales")
    assert (answer.form, sold.store, sold.dept) == ("amazon_forecast", ("location",), ("item_id",))
    assert roles(answer) == {"metadata.csv": "departments", "related.csv": "covariates", "target.csv": "sales"}
    assert [(block.level, block.known_ahead, block.columns) for block in answer.spec.covariates] == [
        ("series", True, ("price",))
    ]


def test_the_long_form_is_one_chain_of_series() -> None:
    rows = [(series, day, 1.5) for series in ("s1", "s2") for day in days(8)]
    sold = plan(understood({"data.csv": csv("unique_id,ds,y", *rows)}), "sales")
    assert (sold.store, sold.dept, sold.date, sold.values) == ((), ("unique_id",), "ds", {"sales": "y"})


def test_a_known_form_summed_to_weeks_keeps_the_weekday_of_its_dates() -> None:
    rows = [(1, day, 700, 1, 0, 0) for day in days(8)]
    answer = understood({"train.csv": csv("Store,Date,Sales,Promo,StateHoliday,SchoolHoliday", *rows)})
    assert (answer.form, answer.spec.data.week_ends, plan(answer, "sales").days) == ("rossmann", "friday", False)


def test_one_date_is_a_week_where_the_amounts_are_called_weekly() -> None:
    answer = understood(
        {"next.csv": csv("Store,Dept,Date,Weekly_Sales,IsHoliday", ("1", "1", "2011-09-30", "5.5", "FALSE"))}
    )
    assert (answer.questions, answer.spec.data.week_ends, plan(answer, "sales").days) == ((), "friday", False)
