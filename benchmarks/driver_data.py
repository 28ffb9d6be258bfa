"""Two real retailers with drivers known ahead, as frames by week: Rossmann's drug stores and Dominick's soap."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from demand_assets.forecasting.calendar import calendar_for
from demand_assets.forecasting.drivers import DriverFrames
from demand_assets.forecasting.holidays import HolidayRule
from demand_assets.forecasting.weeks import week_of_day

HORIZON = 4
SUNDAY = 6
KEYS = ["store_id", "dept_id", "week"]
SOAP_PRODUCTS = 200
SOAP_ORIGINS = 13


@dataclass(frozen=True, eq=False)
class Retailer:
    """Weekly frames of a retailer whose weeks end on Sunday, and the origins that are scored."""

    name: str
    sales: pd.DataFrame
    stores: pd.DataFrame
    calendar: pd.DataFrame
    drivers: DriverFrames
    origins: list[pd.Timestamp]


def rossmann(file: Path) -> Retailer:
    """1,115 stores in EUR; a week's days of promotion, school holidays and state holidays, per store.

    The file has open days alone, so a state holiday is a public holiday somewhere in Germany, Monday to Saturday, on
    which the store has no row. A promotion runs in all stores, so a day of it counts for closed stores too.
    """
    import holidays

    days = pd.read_parquet(file, columns=["Store", "Date", "Sales", "Promo", "SchoolHoliday"])
    days["week"] = week_of_day(pd.DatetimeIndex(days["Date"]), SUNDAY)
    # The weeks at either end are not whole.
    whole = (days["week"] > days["week"].min()) & (days["week"] < days["week"].max())
    days = days[whole]
    by_week = days.groupby(["Store", "week"]).agg(sales=("Sales", "sum"), school=("SchoolHoliday", "sum"))
    chain = days.groupby("Date").agg(week=("week", "first"), promo=("Promo", "max"))
    promo = chain.groupby("week")["promo"].sum()
    german = {
        pd.Timestamp(day)
        for state in holidays.list_supported_countries()["DE"]
        for day in holidays.country_holidays("DE", subdiv=state, years=range(2013, 2016))
    }
    span = pd.DatetimeIndex(sorted(day for day in german if day.dayofweek != SUNDAY))
    span = span[(span >= days["Date"].min()) & (span <= days["Date"].max())]
    opened = days.loc[days["Date"].isin(span)].groupby(["Store", "week"]).size()
    offered = pd.Series(1, index=week_of_day(span, SUNDAY)).groupby(level=0).sum()
    grid = pd.MultiIndex.from_product([sorted(days["Store"].unique()), promo.index], names=["Store", "week"])
    held = by_week.reindex(grid).assign(opened=opened.reindex(grid).fillna(0.0)).reset_index()
    held["promo"] = held["week"].map(promo).astype(float)
    held["state_holiday"] = held["week"].map(offered).fillna(0.0) - held["opened"]
    held = held.rename(columns={"Store": "store_id"})
    sales = held.loc[held["sales"].notna(), ["store_id", "week", "sales"]].assign(dept_id=1)
    names = ("promo", "school", "state_holiday")
    of_stores = held[["store_id", "week", *names]].fillna({"school": 0.0})
    wanted = [
        "2014-12-19", "2015-01-16", "2015-02-13", "2015-03-13", "2015-04-10", "2015-05-08", "2015-06-05", "2015-07-03",
    ]  # fmt: skip
    # The Sunday nearest to each of these Fridays.
    origins = [pd.Timestamp(day) + pd.Timedelta(days=2) for day in wanted]
    return _retailer("rossmann", sales, HolidayRule(country="DE"), names, of_stores, None, origins)


def soap(file: Path, stores: int | None = None) -> Retailer:
    """The 200 best-selling products in pieces, of all stores or so many evenly spread ones; price per store and week.

    The file has a row, and with it a price, only where a piece was sold. A price that is not stated is the one that
    most stores asked in that week, else the store's last one: so a stated price does not tell that something sold.
    """
    rows = pd.read_csv(file, parse_dates=["week"])
    rows["item"] = rows["product"] + "/" + rows["size"]
    best = rows.groupby("item")["move"].sum().nlargest(SOAP_PRODUCTS).index
    rows = rows[rows["item"].isin(best)]
    if stores is not None:
        every = np.unique(rows["store"])
        rows = rows[rows["store"].isin(every[np.linspace(0, len(every) - 1, stores).round().astype(int)])]
    rows["dept_id"] = rows["item"].map({name: code for code, name in enumerate(sorted(best), start=1)})
    rows = rows.rename(columns={"store": "store_id"})
    # Two rows of a product, store and week are two bar codes of it.
    rows["value"] = rows["price"] * rows["move"]
    sold = rows.groupby(KEYS, as_index=False).agg(sales=("move", "sum"), value=("value", "sum"))
    sold["price"] = sold["value"] / sold["sales"]
    weeks = pd.DatetimeIndex(np.sort(sold["week"].unique()))
    series = sold[["store_id", "dept_id"]].drop_duplicates()
    grid = series.merge(pd.DataFrame({"week": weeks}), how="cross").merge(sold[[*KEYS, "price"]], how="left")
    grid = grid.sort_values(KEYS, ignore_index=True)
    grid["price"] = grid["price"].fillna(grid.groupby(["dept_id", "week"])["price"].transform("median"))
    grid["price"] = grid.groupby(["store_id", "dept_id"])["price"].ffill()
    origins = list(weeks[-1 - HORIZON * np.arange(SOAP_ORIGINS, 0, -1)])
    return _retailer(
        "soap", sold[[*KEYS, "sales"]].astype({"sales": float}), HolidayRule(country="US"), ("price",), None, grid,
        origins,
    )  # fmt: skip


def _retailer(
    name: str,
    sales: pd.DataFrame,
    rule: HolidayRule,
    names: tuple[str, ...],
    of_stores: pd.DataFrame | None,
    of_series: pd.DataFrame | None,
    origins: list[pd.Timestamp],
) -> Retailer:
    no_flags = pd.DataFrame({"week": pd.DatetimeIndex([]), "is_holiday": np.array([], dtype=bool)})
    calendar = calendar_for(no_flags, rule, sales["week"], HORIZON)
    none = sales[KEYS].iloc[:0]
    drivers = DriverFrames(
        names,
        of_stores=none[["store_id", "week"]] if of_stores is None else of_stores,
        of_series=none if of_series is None else of_series,
        plans=none.assign(origin_week=none["week"], **dict.fromkeys(names, 0.0)),
    )
    stores = pd.DataFrame({"store_id": np.unique(sales["store_id"])})
    return Retailer(name, sales[[*KEYS, "sales"]], stores, calendar, drivers, origins)
