"""Three retailers unlike Walmart, from CSV to forecast, with nothing set differently."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from demand_assets.adapters.landing import LandingZone
from demand_assets.forecasting.backtest import backtest
from demand_assets.forecasting.calendar import calendar_for, calendar_from_covariates
from demand_assets.forecasting.features import build_features, first_origin
from demand_assets.forecasting.forecaster import fit
from demand_assets.forecasting.holidays import HolidayRule
from demand_assets.forecasting.metrics import score
from demand_assets.forecasting.models.xgboost import XGBoostConfig
from demand_assets.forecasting.panel import build_panel
from demand_assets.forecasting.weeks import weeks_between
from demand_assets.ingestion.context import Context
from demand_assets.ingestion.outcome import raise_on_failure
from demand_assets.ingestion.quality import validate_deliveries

HORIZON = 4


def _write(
    folder: Path,
    first: str,
    weeks: int,
    stores: int,
    depts: list[int],
    holidays: list[str],
    present: Callable[[pd.DataFrame], "pd.Series[bool]"],
) -> None:
    """The three CSVs: a yearly season, growth and noise; flat CPI, no markdowns, no fuel price, one store type."""
    rng = np.random.default_rng(4)
    dates = pd.date_range(first, periods=weeks, freq="7D")
    flagged = set(pd.DatetimeIndex(holidays))
    rows = pd.MultiIndex.from_product([range(1, stores + 1), depts, dates], names=["Store", "Dept", "Date"])
    sales = rows.to_frame(index=False)
    week = ((sales["Date"] - dates[0]).dt.days // 7).to_numpy()
    holiday = sales["Date"].isin(flagged)
    season = 1 + 0.4 * np.sin(2 * np.pi * (week / 52 + sales["Dept"] / 9)) + 0.8 * holiday
    level = 1000.0 * sales["Store"] * (1 + sales["Dept"] % 5)
    noise = rng.normal(1, 0.08, len(sales))
    sales["Weekly_Sales"] = (level * season * (1 + 0.002 * week) * noise).round(2)
    sales["IsHoliday"] = holiday
    sales[present(sales)].to_csv(folder / "train.csv", index=False)
    numbers = range(1, stores + 1)
    covariates = pd.MultiIndex.from_product([numbers, dates], names=["Store", "Date"]).to_frame(index=False)
    blank = dict.fromkeys(("MarkDown1", "MarkDown2", "MarkDown3", "MarkDown4", "MarkDown5"), "NA")
    covariates = covariates.assign(Temperature=60.0, Fuel_Price="NA", **blank, CPI=100.0, Unemployment="NA")
    covariates["IsHoliday"] = covariates["Date"].isin(flagged)
    covariates.to_csv(folder / "features.csv", index=False)
    pd.DataFrame({"Store": numbers, "Type": "A", "Size": 50_000}).to_csv(folder / "stores.csv", index=False)


def _everything(sales: pd.DataFrame) -> "pd.Series[bool]":
    return pd.Series(data=True, index=sales.index)


def _ragged(sales: pd.DataFrame) -> "pd.Series[bool]":
    """Department 2 starts late, 3 stops, 4 has a gap, 5 sold in one single week."""
    week = (sales["Date"] - sales["Date"].min()).dt.days // 7
    dept = sales["Dept"]
    return ~(
        ((dept == 2) & (week < 40))
        | ((dept == 3) & (week > 55))
        | ((dept == 4) & week.between(30, 44))
        | ((dept == 5) & (week != 60))
    )


RETAILERS = {
    "one department, no second year": ("2015-01-02", 88, 8, [7], ["2015-11-27", "2016-02-12"], _everything),
    "other years and other holidays": (
        "2019-01-04",
        150,
        4,
        [1, 2, 3, 4, 5],
        ["2019-07-12", "2019-11-15", "2020-07-10", "2020-11-13", "2021-07-09", "2021-11-12"],
        _everything,
    ),
    "one store, late starts, stops and gaps": ("2022-01-07", 72, 1, list(range(1, 13)), ["2022-12-30"], _ragged),
}


@pytest.mark.parametrize("name", RETAILERS)
def test_another_retailer_is_forecast_unchanged(name: str, tmp_path: Path) -> None:
    _write(tmp_path, *RETAILERS[name])
    deliveries = LandingZone(str(tmp_path)).read_all()
    raise_on_failure(validate_deliveries(deliveries, None, Context(today=date(2024, 1, 1))))
    frames = {delivery.kind: delivery.frame for delivery in deliveries}
    sales = frames["sales"]
    calendar = calendar_for(calendar_from_covariates(frames["covariates"]), HolidayRule(), sales["week"], HORIZON)
    panel = build_panel(sales, frames["covariates"], frames["stores"], calendar, HORIZON)
    stored = list(weeks_between(first_origin(panel.weeks), panel.weeks[-1]))
    features = build_features(panel, stored, HORIZON)
    config = XGBoostConfig(rounds=40, seed=1, threads=1)

    result = backtest(features, sales, [stored[-9], stored[-5]], HORIZON, config)
    wmae = score(result.cv_results).set_index("model")["wmae"]
    assert wmae["xgboost"] < wmae["seasonal_naive"]

    newest = features[features["origin_week"] == panel.weeks[-1]]
    forecaster = fit(features, sales, panel.weeks[-1], config).judged(result.cv_results, HORIZON)
    forecast = forecaster.predict(newest)
    recent = sales[sales["week"] > panel.weeks[-1] - pd.Timedelta(weeks=52)]
    assert len(forecast) == HORIZON * len(recent[["store_id", "dept_id"]].drop_duplicates())
    values = forecast[["p10", "p50", "p90"]].to_numpy()
    assert np.isfinite(values).all()
    assert np.isfinite(forecast["forecast"]).all()
    assert (np.diff(values, axis=1) >= 0).all()
