"""What a changed plan moves a forecast by, beside what such changes moved past sales by.

Rossmann: five days of promotion in a week that has none. Soap: a week at a fifth less and at half the usual price. The
forecast's ratio is that of one target week with the change to the same week without it.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import pandas as pd

from benchmarks import machine
from benchmarks.driver_data import HORIZON, KEYS, Retailer, rossmann, soap
from demand_assets.forecasting.drivers import DriverFrames
from demand_assets.forecasting.features import build_features, first_origin
from demand_assets.forecasting.forecaster import Forecaster, fit
from demand_assets.forecasting.models.xgboost import XGBoostConfig
from demand_assets.forecasting.panel import build_panel
from demand_assets.forecasting.weeks import add_weeks, weeks_between

SERIES = ["store_id", "dept_id"]
LEVEL_WEEKS = 8
PROMOTED_DAYS = 5
# A price that is within this of the changed one counts as such a change.
NEAR = 0.05
CUTS = {"a fifth less": 0.8, "half the price": 0.5}


@dataclass(frozen=True, eq=False)
class Trained:
    """A forecaster of the newest origin of a retailer with drivers."""

    retailer: Retailer
    origin: pd.Timestamp
    forecaster: Forecaster

    @classmethod
    def of(cls, retailer: Retailer, every: int, config: XGBoostConfig) -> "Trained":
        """Train at the newest scored origin, from one origin in `every` weeks."""
        origin = retailer.origins[-1]
        stored = weeks_between(first_origin(pd.DatetimeIndex(retailer.sales["week"])), origin)
        features = _features(retailer, retailer.drivers, list(stored[::-every]))
        return cls(retailer, origin, fit(features, retailer.sales, origin, config))

    def forecast(self, drivers: DriverFrames, week: pd.Timestamp) -> "pd.Series[float]":
        """Forecasts of one week by series, on the plan that `drivers` holds."""
        made = self.forecaster.predict(_features(self.retailer, drivers, [self.origin]))
        return made[made["target_week"] == week].set_index(SERIES)["forecast"]


def _features(retailer: Retailer, drivers: DriverFrames, origins: list[pd.Timestamp]) -> pd.DataFrame:
    none = pd.DataFrame({"store_id": [], "week": pd.DatetimeIndex([])})
    panel = build_panel(retailer.sales, none, retailer.stores, retailer.calendar, HORIZON, drivers=drivers)
    return build_features(panel, origins, HORIZON)


def promotion_added(trained: Trained) -> pd.DataFrame:
    """One row: past and forecast ratio of a week of promotion to one without."""
    plan = trained.retailer.drivers.of_stores
    ahead = weeks_between(add_weeks(trained.origin, 1), add_weeks(trained.origin, HORIZON))
    # A promotion runs in all stores, so a week has one or none.
    days = plan.groupby("week")["promo"].max()
    week = next(week for week in ahead if days[week] == 0)
    without, added = (
        trained.forecast(_planned(trained.retailer.drivers, plan["week"] == week, "promo", value), week)
        for value in (0.0, float(PROMOTED_DAYS))
    )
    past = trained.retailer.sales.merge(plan, on=["store_id", "week"])
    past = past[past["week"] <= trained.origin].sort_values(KEYS)
    by_store = past.groupby("store_id")
    # Such a week between two without promotion, none of the three with a state holiday.
    beside = [by_store[["week", "sales", "promo", "state_holiday"]].shift(step) for step in (-1, 1)]
    fit_for = (past["promo"] == PROMOTED_DAYS) & (past["state_holiday"] == 0)
    for step, rows in zip((1, -1), beside, strict=True):
        fit_for &= (rows["week"] == past["week"] + pd.Timedelta(weeks=step)) & (rows["promo"] == 0)
        fit_for &= rows["state_holiday"] == 0
    usual = (beside[0]["sales"] + beside[1]["sales"]) / 2
    return _ratios("promotion added", past[fit_for].assign(usual=usual), without, added)


def price_cut(trained: Trained, name: str, factor: float) -> pd.DataFrame:
    """One row: past and forecast ratio of a week at a share `factor` of the usual price, of series that had such."""
    prices = trained.retailer.drivers.of_series.sort_values(KEYS).copy()
    by_series = prices.groupby(SERIES)["price"]
    prices["usual_price"] = by_series.transform(lambda values: values.shift(1).rolling(LEVEL_WEEKS).median())
    past = prices.merge(trained.retailer.sales, on=KEYS, how="left").sort_values(KEYS)
    past = past[past["week"] <= trained.origin]
    past["usual"] = past.groupby(SERIES)["sales"].transform(
        lambda values: values.shift(1).rolling(LEVEL_WEEKS, min_periods=LEVEL_WEEKS // 2).mean()
    )
    share = past["price"] / past["usual_price"]
    cut = past[((share - factor).abs() <= NEAR) & past["usual"].notna() & past["sales"].notna()]
    week = add_weeks(trained.origin, 1)
    at = prices["week"] == week
    usual = prices.loc[at, "usual_price"]
    # The rows keep their labels, so `at` and `usual` find those of the drivers in any order.
    without, with_cut = (
        trained.forecast(_planned(trained.retailer.drivers, at, "price", usual * value), week)
        for value in (1.0, factor)
    )
    had = pd.MultiIndex.from_frame(cut[SERIES].drop_duplicates())
    return _ratios(name, cut, without[without.index.isin(had)], with_cut[with_cut.index.isin(had)])


def _planned(
    drivers: DriverFrames, at: "pd.Series[bool]", name: str, value: "float | pd.Series[float]"
) -> DriverFrames:
    """The drivers with other values of one of them in the rows `at`."""
    of_stores = name in drivers.of_stores.columns
    frame = (drivers.of_stores if of_stores else drivers.of_series).copy()
    frame.loc[at, name] = value
    return replace(drivers, of_stores=frame) if of_stores else replace(drivers, of_series=frame)


def _ratios(name: str, past: pd.DataFrame, without: "pd.Series[float]", changed: "pd.Series[float]") -> pd.DataFrame:
    moved = changed / without
    low, middle, high = np.quantile(moved, [0.1, 0.5, 0.9])
    row = {
        "past weeks": len(past),
        "past, median": (past["sales"] / past["usual"]).median(),
        "past, sums": past["sales"].sum() / past["usual"].sum(),
        "forecast, median": middle,
        "forecast, sums": changed.sum() / without.sum(),
        "forecast, p10": low,
        "forecast, p90": high,
        "series": len(moved),
        "up": float((moved > 1).mean()),
    }
    return pd.DataFrame(row, index=[name])


@click.command()
@click.option("--rossmann", "rossmann_file", type=click.Path(exists=True, path_type=Path), help="rossmann.parquet")
@click.option("--soap", "soap_file", type=click.Path(exists=True, path_type=Path), help="soap.csv.gz")
@click.option("--soap-stores", default=24, show_default=True, help="Evenly spread stores of the soap data.")
@click.option("--threads", default=2, show_default=True)
def main(rossmann_file: Path | None, soap_file: Path | None, soap_stores: int, threads: int) -> None:
    """Print the ratios; write them as JSON."""
    config = XGBoostConfig(seed=1, threads=threads)
    rows = []
    if rossmann_file:
        rows.append(promotion_added(Trained.of(rossmann(rossmann_file), 1, config)))
    if soap_file:
        trained = Trained.of(soap(soap_file, soap_stores), 4, config)
        rows += [price_cut(trained, name, factor) for name, factor in CUTS.items()]
    table = pd.concat(rows)
    click.echo(table.round(3).T.to_string())
    machine.write("what_if", {"ratios": table.to_dict(orient="index")})


if __name__ == "__main__":
    main()
