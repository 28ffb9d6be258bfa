"""Feature rows of weeks without drift, changes that make them drift, and the reports about them."""

import dataclasses

import numpy as np
import pandas as pd

from demand_assets.forecasting.calendar import holiday_kind
from demand_assets.forecasting.features import FEATURES
from demand_assets.forecasting.holidays import US, holiday_weeks
from demand_assets.forecasting.weeks import add_weeks, weeks_between
from demand_assets.monitoring.drift import JudgedWeek, block_report, drift_report
from demand_assets.monitoring.drift_metrics import units
from demand_assets.monitoring.drift_statistics import bin_counts, quantile_edges, stability_index

WEEK = pd.Timestamp("2012-06-29")
AS_OF = add_weeks(WEEK, -4)
CALENDAR = holiday_weeks(US, pd.Timestamp("2008-01-04"), pd.Timestamp("2014-12-26"))
STORES, DEPARTMENTS = 24, (*range(1, 12), *range(20, 30))


def origins(weeks: pd.DatetimeIndex, seed: int = 1) -> pd.DataFrame:
    """Quiet features: every series wanders a little around its level, the same in every season."""
    draw = np.random.default_rng(seed)
    keys = pd.MultiIndex.from_product(
        [weeks, range(1, STORES + 1), DEPARTMENTS], names=["origin_week", "store_id", "dept_id"]
    ).to_frame(index=False)
    values = {name: draw.normal(1.0, 0.1, len(keys)).astype(np.float32) for name in FEATURES}
    by_store = {
        name: np.float32(1) + keys["store_id"].to_numpy(np.float32) / 100 for name in ("cpi_change", "fuel_change")
    }
    fixed = {
        "horizon": 1,
        "residual_lag_0": draw.normal(0.0, 0.1, len(keys)).astype(np.float32),
        "store_type": np.float32(0),
        "is_holiday": np.float32(0),
        "origin_is_holiday": (holiday_kind(pd.DatetimeIndex(keys["origin_week"]), CALENDAR) > 0).astype(np.float32),
        "prediction": values["lag_0"],
        "scale": 1000.0,
    }
    return keys.assign(**{**values, **by_store, **fixed})


HISTORY = origins(weeks_between(add_weeks(WEEK, -60), WEEK))
NO_HOLIDAY = pd.DataFrame({"target_week": [add_weeks(WEEK, 1)], "is_holiday": [0.0]})


def report_of(rows: pd.DataFrame, targets: pd.DataFrame = NO_HOLIDAY) -> pd.DataFrame:
    now = rows["origin_week"] == WEEK
    return drift_report(rows[now], rows[~now], AS_OF, targets, CALENDAR)


def report_on(rows: pd.DataFrame, name: str, as_of: pd.Timestamp = AS_OF) -> pd.DataFrame:
    """The report's rows about one variable."""
    judged = JudgedWeek.of(rows[rows["origin_week"] == WEEK], as_of)
    block = [dataclasses.replace(unit, variables=(name,)) for unit in units() if name in unit.variables]
    return block_report(lambda columns: rows[list(columns)], judged, block)


def changed(change: str, rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.copy()
    now = rows["origin_week"] == WEEK
    match change:
        case "department group":
            rows.loc[now & rows["dept_id"].between(20, 29), "residual_lag_0"] += 0.1
        case "stores":
            rows.loc[now & rows["store_id"].isin([3, 7]), "residual_lag_0"] += 1.0
        case "stores fall":
            rows.loc[now & rows["store_id"].isin([3, 7]), "residual_lag_0"] -= 1.0
        case "cpi":
            rows.loc[now, "cpi_change"] *= 100
        case "cpi falls":
            rows.loc[now, "cpi_change"] /= 100
        case "spread":
            # Around the same mean.
            rows.loc[now, "growth_4"] += np.where(np.arange(now.sum()) % 2 == 0, 0.3, -0.3).astype(np.float32)
        case "missing":
            rows.loc[now & (rows["store_id"] % 5 == 0), "lag_0"] = np.nan
        case "flag":
            rows.loc[rows["origin_week"] == add_weeks(WEEK, -52), "origin_is_holiday"] = 1
    return rows


def psi(reference: np.ndarray, now: np.ndarray) -> float:
    if not len(reference) or not len(now):
        return np.nan
    ordered = np.sort(reference)
    edges = quantile_edges(ordered)
    return float(stability_index(bin_counts(ordered, edges), bin_counts(np.sort(now), edges)))
