"""The baselines at an origin, in the unit of sales."""

import numpy as np

from demand_assets.forecasting.baselines import BASELINES
from demand_assets.forecasting.features.history import aligned
from demand_assets.forecasting.features.origin import Origin
from demand_assets.forecasting.features.spec import Columns
from demand_assets.forecasting.weeks import WEEKS_PER_YEAR

AVERAGE_WEEKS = 8


def baselines(origin: Origin) -> Columns:
    """(H, n) forecasts of each of `BASELINES`, by name."""
    row, sales = origin.row, origin.sales
    year = sales[max(row + 1 - WEEKS_PER_YEAR, 0) : row + 1]
    # An active series has a sale in the year to the origin.
    last = year[len(year) - 1 - np.argmax(~np.isnan(year[::-1]), axis=0), np.arange(sales.shape[1])]
    mean = origin.history.means[AVERAGE_WEEKS][row, origin.active]
    seasonal = aligned(sales, (origin.targets - WEEKS_PER_YEAR).astype(float), row)
    seasonal = np.where(np.isnan(seasonal), last, seasonal)
    _, svd_stl = origin.decomposed
    made = (
        seasonal,
        origin.naive,
        np.where(np.isnan(svd_stl), seasonal, svd_stl),
        origin.demand_rate,
        np.where(np.isnan(mean), last, mean),
        last,
    )
    return {name: np.broadcast_to(values, seasonal.shape) for name, values in zip(BASELINES, made, strict=True)}
