"""The sample retailer's data in forms that people bring."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from demand_assets.sample import SampleData


def frames(data: SampleData) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Sales, conditions and stores under the headers of the Walmart files."""
    sales = data.sales.rename(
        columns={
            "store_id": "Store",
            "dept_id": "Dept",
            "week": "Date",
            "sales": "Weekly_Sales",
            "is_holiday": "IsHoliday",
        }
    )
    names = {
        "store_id": "Store",
        "week": "Date",
        "temperature_f": "Temperature",
        "fuel_price": "Fuel_Price",
        "cpi": "CPI",
    }
    more = {
        "unemployment_pct": "Unemployment",
        "is_holiday": "IsHoliday",
        **{f"markdown{n}": f"MarkDown{n}" for n in range(1, 6)},
    }
    stores = data.stores.rename(columns={"store_id": "Store", "store_type": "Type", "size_sqft": "Size"})
    return sales, data.conditions.rename(columns={**names, **more}), stores


Write = Callable[[Path, pd.DataFrame, pd.DataFrame, pd.DataFrame], None]


def _csvs(
    folder: Path, sales: pd.DataFrame, conditions: pd.DataFrame | None, stores: pd.DataFrame | None, **how: object
) -> None:
    for name, frame in (("train", sales), ("features", conditions), ("stores", stores)):
        if frame is not None:
            frame.to_csv(folder / f"{name}.csv", index=False, **how)  # type: ignore[call-overload]


def text_ids(folder: Path, sales: pd.DataFrame, conditions: pd.DataFrame, stores: pd.DataFrame) -> None:
    """Stores and departments with ids that are no numbers."""
    sales = sales.assign(Store="ZRH-0" + sales["Store"].astype(str), Dept="food/" + sales["Dept"].astype(str))
    conditions = conditions.assign(Store="ZRH-0" + conditions["Store"].astype(str))
    _csvs(folder, sales, conditions, stores.assign(Store="ZRH-0" + stores["Store"].astype(str)))


def sales_only(folder: Path, sales: pd.DataFrame, conditions: pd.DataFrame, stores: pd.DataFrame) -> None:
    """Sales alone, without holiday flags."""
    _csvs(folder, sales.drop(columns="IsHoliday"), None, None)


def merged(folder: Path, sales: pd.DataFrame, conditions: pd.DataFrame, stores: pd.DataFrame) -> None:
    """One file with everything."""
    both = sales.merge(conditions.drop(columns="IsHoliday"), on=["Store", "Date"]).merge(stores, on="Store")
    both.to_csv(folder / "all.csv", index=False)


def units(folder: Path, sales: pd.DataFrame, conditions: pd.DataFrame, stores: pd.DataFrame) -> None:
    """Whole pieces, not money."""
    pieces = (sales["Weekly_Sales"] / 100).round().astype(int)
    _csvs(folder, sales.assign(Weekly_Sales=pieces), conditions, stores)
    (folder / "demand.toml").write_text('[data]\nunit = "pieces"\n')


def one_series_a_store(folder: Path, sales: pd.DataFrame, conditions: pd.DataFrame, stores: pd.DataFrame) -> None:
    """No departments."""
    rules = {"Weekly_Sales": ("Weekly_Sales", "sum"), "Holiday_Flag": ("IsHoliday", "max")}
    one = sales.groupby(["Store", "Date"], as_index=False).agg(**rules)
    one.assign(Holiday_Flag=one["Holiday_Flag"].astype(int)).to_csv(folder / "walmart.csv", index=False)


def holidays_by_store(folder: Path, sales: pd.DataFrame, conditions: pd.DataFrame, stores: pd.DataFrame) -> None:
    """A store whose region has holidays of its own."""
    weeks = sorted(conditions["Date"].unique())[30:32]
    own = conditions["Date"].isin(weeks) & (conditions["Store"] == 2)
    _csvs(folder, sales.drop(columns="IsHoliday"), conditions.assign(IsHoliday=conditions["IsHoliday"] | own), stores)


def daily(folder: Path, sales: pd.DataFrame, conditions: pd.DataFrame, stores: pd.DataFrame) -> None:
    """Days of a till, the last week unfinished, with text dates and a semicolon."""
    days = [
        sales.assign(date=sales["Date"] - pd.Timedelta(days=back), amount=sales["Weekly_Sales"] / 7)
        for back in range(7)
    ]
    rows = pd.concat(days).rename(columns={"Store": "filiale", "Dept": "artikel"})
    rows = rows[rows["date"] < sales["Date"].max() - pd.Timedelta(days=1)]
    rows["date"] = rows["date"].dt.strftime("%d.%m.%Y")
    rows[["date", "filiale", "artikel", "amount"]].rename(columns={"amount": "umsatz"}).to_csv(
        folder / "kasse.csv", index=False, sep=";", decimal=","
    )
    (folder / "demand.toml").write_text('[data]\nunit = "EUR"\nweek_ends = "friday"\n')


def moved(folder: Path, sales: pd.DataFrame, conditions: pd.DataFrame, stores: pd.DataFrame) -> None:
    """Weeks that end a day later, twice the amounts in another currency, and ids that are no numbers."""
    day = pd.Timedelta(days=1)
    amounts = {name: 2 * conditions[name] for name in conditions if name.startswith("MarkDown")}
    conditions = conditions.assign(Date=conditions["Date"] + day, **amounts)
    text_ids(folder, sales.assign(Date=sales["Date"] + day, Weekly_Sales=2 * sales["Weekly_Sales"]), conditions, stores)
    (folder / "demand.toml").write_text('[data]\nunit = "EUR"\nweek_ends = "saturday"\n')


def zipped(folder: Path, sales: pd.DataFrame, conditions: pd.DataFrame, stores: pd.DataFrame) -> None:
    """The archives as downloaded."""
    for name, frame in (("train", sales), ("features", conditions), ("stores", stores)):
        with zipfile.ZipFile(folder / f"{name}.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{name}.csv", frame.to_csv(index=False, na_rep="NA"))


FORMS: Mapping[str, Write] = {
    form.__name__: form
    for form in (daily, text_ids, sales_only, merged, units, one_series_a_store, holidays_by_store, moved, zipped)
}


def write(name: str, folder: Path, data: SampleData) -> None:
    """The retailer's data in the form of that name."""
    folder.mkdir(parents=True, exist_ok=True)
    FORMS[name](folder, *frames(data))
