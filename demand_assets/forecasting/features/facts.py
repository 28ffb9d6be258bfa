"""Features that are facts: the calendar of the target weeks, the store, and covariates observed at the origin."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demand_assets.forecasting.features.history import ratio
from demand_assets.forecasting.features.origin import MIN_SCALE, Origin
from demand_assets.forecasting.features.spec import Columns
from demand_assets.forecasting.panel import COVARIATE_COLUMNS
from demand_assets.forecasting.weeks import WEEKS_PER_YEAR

STORE_TYPES = ("A", "B", "C")


def calendar_of_targets(origin: Origin) -> Columns:
    """(H, n) calendar facts of the target weeks."""
    history, targets = origin.history, origin.targets
    by_week: dict[str, NDArray[Any]] = {
        "horizon": targets - origin.row,
        "alignment_shift": history.back[targets] - WEEKS_PER_YEAR,
        "holiday_kind": history.holiday_kind[targets],
        "easter_offset": history.easter_offset[targets],
    }
    shape = (len(targets), len(origin.active))
    columns = {name: np.broadcast_to(value[:, None], shape).astype(float) for name, value in by_week.items()}
    return columns | {"is_holiday": origin.panel.is_holiday[targets][:, origin.store].astype(float)}


def series_facts(origin: Origin) -> Columns:
    """(n,) facts of the store and the department, and whether the origin is a holiday week."""
    stores = origin.panel.stores
    facts = stores.reindex(columns=["store_type", "size_sqft"])
    codes = facts["store_type"].map({name: code for code, name in enumerate(STORE_TYPES)})
    return {
        "origin_is_holiday": origin.panel.is_holiday[origin.row][origin.store].astype(float),
        "store_type": codes.fillna(-1).to_numpy(dtype=float)[origin.store],
        "store_size": facts["size_sqft"].to_numpy(dtype=float)[origin.store] / 1000.0,
        "department": origin.panel.series["dept_id"].to_numpy(dtype=float)[origin.active],
    }


def covariates(origin: Origin) -> Columns:
    """(n,) covariates of the origin week, against a year before where the level itself would only name the year."""
    history, row = origin.history, origin.row
    observed = origin.panel.covariates
    unknown = np.full(len(origin.panel.stores), np.nan)
    now = {name: observed[name][row] for name in COVARIATE_COLUMNS}
    before = {
        name: observed[name][row - WEEKS_PER_YEAR] if row >= WEEKS_PER_YEAR else unknown for name in COVARIATE_COLUMNS
    }
    size = np.maximum(origin.yearly_mean(history.store_sales), MIN_SCALE)
    recent = history.markdown[max(row - 3, 0) : row + 1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a store without markdowns has no mean: NaN says so
        markdown_4 = np.nanmean(recent, axis=0)
    by_store = {
        "temperature": now["temperature_f"],
        "temperature_change": now["temperature_f"] - before["temperature_f"],
        "fuel_change": ratio(now["fuel_price"], before["fuel_price"]),
        "cpi_change": ratio(now["cpi"], before["cpi"]),
        "unemployment_change": now["unemployment_pct"] - before["unemployment_pct"],
        "markdown": history.markdown[row] / size,
        "markdown_4": markdown_4 / size,
    }
    return {name: value[origin.store] for name, value in by_store.items()}
