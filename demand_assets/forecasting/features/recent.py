"""Features of the weeks to the origin: lags, windows, growth, and residuals of last year times growth."""

import numpy as np

from demand_assets.forecasting.features.history import DEVIATIONS, MEANS, ratio
from demand_assets.forecasting.features.origin import BASE_GROWTH_WEEKS, GROUP_GROWTH_RANGE, Origin
from demand_assets.forecasting.features.spec import Columns
from demand_assets.forecasting.windows import window

LAGS = (0, 1, 2, 3, 4, 7, 12)
GROWTH_WEEKS = (4, 8, 16)
RESIDUAL_MEANS = (4, 13)


def windows_to_origin(origin: Origin) -> Columns:
    """(n,) lags, window means and deviations, scaled, and the number of weeks with sales."""
    history, row, active, scale = origin.history, origin.row, origin.active, origin.scale
    unknown = np.full(len(active), np.nan)
    return {
        **{f"lag_{lag}": history.sales[row - lag, active] / scale if row >= lag else unknown for lag in LAGS},
        **{f"mean_{weeks}": history.means[weeks][row, active] / scale for weeks in MEANS},
        **{f"deviation_{weeks}": history.deviations[weeks][row, active] / scale for weeks in DEVIATIONS},
        "weeks_observed": origin.weeks_observed,
    }


def growth_to_origin(origin: Origin) -> Columns:
    """(n,) growth on last year of the series, of its department and of its store."""
    columns = {}
    for weeks in GROWTH_WEEKS:
        growths = (
            ("growth", ratio(*origin.pairs(weeks)), slice(None)),
            ("dept_growth", origin.dept_growth(weeks), origin.dept),
            ("store_growth", origin.store_growth(weeks), origin.store),
        )
        for name, growth, members in growths:
            columns[f"{name}_{weeks}"] = np.clip(growth, *GROUP_GROWTH_RANGE)[members]
    return columns


def residuals(origin: Origin) -> Columns:
    """(n,) what last year times recent growth missed, scaled."""
    history, row = origin.history, origin.row
    columns = {}
    for lag in (0, 1):
        now, then = origin.pairs(1, lag)
        paired = window(history.pairs, row, 1, lag)[origin.active] > 0
        columns[f"residual_lag_{lag}"] = np.where(paired, (now - origin.growth * then) / origin.scale, np.nan)
    for weeks in RESIDUAL_MEANS:
        now, then = origin.pairs(weeks)
        count = window(history.pairs, row, weeks)[origin.active]
        columns[f"residual_mean_{weeks}"] = ratio(now - origin.growth * then, count) / origin.scale
    return columns


def group_residuals(origin: Origin) -> Columns:
    """(n,) the same of the department and of the store over four weeks, over their sales."""
    history = origin.history
    columns = {}
    for name, members, now_sums, then_sums, growth in (
        ("dept", origin.dept, history.dept_now, history.dept_then, origin.dept_growth(BASE_GROWTH_WEEKS)),
        ("store", origin.store, history.store_now, history.store_then, origin.store_growth(BASE_GROWTH_WEEKS)),
    ):
        now, then = window(now_sums, origin.row, 4), window(then_sums, origin.row, 4)
        columns[f"{name}_residual_mean_4"] = ratio(now - growth * then, now)[members]
    return columns
