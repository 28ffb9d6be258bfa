"""How much to order: the newsvendor's quantile of demand.

Ordering a unit too few costs `underage`, one too many `overage`; the expected cost is least at the quantile
underage / (underage + overage) of demand. Source: Arrow, Harris and Marschak 1951, Econometrica 19.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from demand_assets.forecasting.baselines import SEASONAL_NAIVE

UNDERAGE, OVERAGE = 3.0, 1.0
_Z = float(ndtri(0.9))


def service_level(underage: float = UNDERAGE, overage: float = OVERAGE) -> float:
    """The share of cases in which the order should suffice; ValueError unless both costs are positive."""
    if not (underage > 0 and overage > 0):
        raise ValueError(f"expected positive costs of a unit too few and too many, got {underage} and {overage}")
    return underage / (underage + overage)


def quantile_at(forecast: pd.DataFrame, level: float) -> NDArray[np.float64]:
    """(n,) quantile of demand at `level`, from p10, p50, p90.

    Between and beyond those three it is linear in the normal score: exact for a normal error, and one that is wider
    upwards than downwards stays so.
    """
    if not 0 < level < 1:
        raise ValueError(f"expected a service level between 0 and 1, got {level}")
    median = forecast["p50"].to_numpy(dtype=float)
    outer = forecast["p90" if level >= 0.5 else "p10"].to_numpy(dtype=float)
    return median + (outer - median) * abs(float(ndtri(level))) / _Z


def order_quantities(
    forecast: pd.DataFrame, underage: float = UNDERAGE, overage: float = OVERAGE
) -> NDArray[np.float64]:
    """(n,) quantity to have in stock for each row's week, at selling prices; never negative."""
    return np.maximum(quantile_at(forecast, service_level(underage, overage)), 0.0)


def order_now(
    forecast: pd.DataFrame, lead_weeks: int, on_hand: pd.Series | float = 0.0, level: float | None = None
) -> pd.DataFrame:
    """[store_id, dept_id, order_quantity]: one order per series that must last until the next one arrives.

    It covers the first `lead_weeks` + 1 weeks of one origin's forecast (the wait, and the week of review). Medians add
    up; spreads add up as independent errors do, by their squares. `on_hand` (by store_id and dept_id) is taken
    off, and an order is never negative. ValueError when the forecast does not reach that far.
    """
    weeks = lead_weeks + 1
    reach = int(forecast["horizon"].max())
    if not 0 <= lead_weeks < reach:
        raise ValueError(f"a lead time of {lead_weeks} weeks needs forecasts {weeks} weeks ahead, got {reach}")
    level = service_level() if level is None else level
    covered = forecast[forecast["horizon"] <= weeks]
    median = covered["p50"].to_numpy(dtype=float)
    spread = quantile_at(covered, level) - median
    sums = (
        covered[["store_id", "dept_id"]]
        .assign(median=median, square=spread**2)
        .groupby(["store_id", "dept_id"], sort=True)
        .sum()
    )
    wanted = sums["median"] + np.sign(level - 0.5) * np.sqrt(sums["square"])
    have = on_hand.reindex(wanted.index).fillna(0.0) if isinstance(on_hand, pd.Series) else on_hand
    return (wanted - have).clip(lower=0.0).rename("order_quantity").reset_index()


def order_cost(
    actual: NDArray[np.float64], order: NDArray[np.float64], underage: float = UNDERAGE, overage: float = OVERAGE
) -> NDArray[np.float64]:
    """(n,) cost of each order: `underage` per unit below the sales, `overage` per unit above them."""
    return np.where(actual > order, underage * (actual - order), overage * (order - actual))


def simulated_order_cost(points: pd.DataFrame, underage: float = UNDERAGE, overage: float = OVERAGE) -> pd.DataFrame:
    """[model, cost, saving]: mean cost per point had each model's order quantity been ordered, cheapest first.

    `points` is a backtest frame; rows without an actual do not count. The row `order the seasonal naive` orders that
    forecast as it is; `saving` is the share of its cost saved. Unsold and missing units count at selling prices.
    """
    known = points[points["actual"].notna()]
    actual = known["actual"].to_numpy()
    quantities = order_quantities(known, underage, overage)
    ordered = known[["model"]].assign(cost=order_cost(actual, quantities, underage, overage))
    costs = ordered.groupby("model")["cost"].mean()
    naive = (known["model"] == SEASONAL_NAIVE).to_numpy()
    as_forecast = np.maximum(known["forecast"].to_numpy(), 0.0)
    reference = float(order_cost(actual, as_forecast, underage, overage)[naive].mean())
    costs[f"order the {SEASONAL_NAIVE}"] = reference
    return costs.sort_values().reset_index().assign(saving=lambda table: 1 - table["cost"] / reference)
