"""Features of the target weeks' counterparts last year, and of what the forecast starts from."""

import numpy as np

from demand_assets.forecasting.features.history import Matrix, aligned, ratio
from demand_assets.forecasting.features.origin import Origin
from demand_assets.forecasting.features.spec import Columns
from demand_assets.forecasting.weeks import WEEKS_PER_YEAR


def around_last_year(origin: Origin) -> Columns:
    """(H, n) sales at and around the aligned week last year, and at that of two years ago, scaled."""

    def near(weeks: int) -> Matrix:
        return aligned(origin.sales, origin.position + weeks, origin.row)

    before, after = near(-1), near(1)
    around = np.stack([near(-2), before, origin.last_year, after, near(2)])
    present = (~np.isnan(around)).sum(axis=0).astype(float)
    values = {
        "last_year": origin.last_year,
        "last_year_before": before,
        "last_year_after": after,
        "last_year_mean": ratio(np.nansum(around, axis=0), present),
        "two_years_ago": near(-WEEKS_PER_YEAR),
    }
    return {name: value / origin.scale for name, value in values.items()}


def starting_point(origin: Origin) -> Columns:
    """(H, n) the base and the two guesses it is made from, scaled."""
    smooth_last_year, _ = origin.smoothed
    decomposed, _ = origin.decomposed
    return {
        "base_scaled": origin.base / origin.scale,
        "aligned": origin.moved(origin.naive) / origin.scale,
        "decomposition": origin.moved(decomposed) / origin.scale,
        "smooth_last_year": smooth_last_year / origin.scale,
        "smooth_base": origin.moved(smooth_last_year * origin.growth) / origin.scale,
    }


def seasons(origin: Origin) -> Columns:
    """(H, n) the season of the department and of the store at the aligned week last year."""
    _, profile = origin.smoothed
    stores = origin.history.store_sales
    of_store = ratio(aligned(stores, origin.position, origin.row), origin.yearly_mean(stores)[None, :])
    return {
        "dept_profile": profile[:, origin.dept],
        "store_index": of_store[:, origin.store],
        "dept_index": origin.dept_index[:, origin.dept],
        "dept_index_change": origin.dept_index_change,
    }
