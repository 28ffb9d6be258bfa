"""The final number: a planner's override in force, else the system's forecast. Orders and totals follow it.

Quantiles and the order move with it by one rule. A quantile lies as far from the final number as the system's lies
from its forecast, times the ratio of the two numbers, at most 2. So a planner who expects half of the forecast halves
its interval, 0 means to order nothing, and a forecast near zero, whose ratio says little, does not get an interval
without bounds. Where the forecast is not positive, or the final number is negative, the interval moves as it is.
"""

from __future__ import annotations

MOST_SPREAD = 2.0


def spread_factor(forecast: float, final: float) -> float:
    """What the distance of a quantile from the forecast is multiplied by."""
    return min(final / forecast, MOST_SPREAD) if forecast > 0 and final >= 0 else 1.0


def final_quantile(quantile: float, forecast: float, final: float) -> float:
    """A quantile of demand, or an order that is one, moved from the forecast to the final number."""
    if final == forecast:
        return quantile
    return final + (quantile - forecast) * spread_factor(forecast, final)


def final_order(order: float, forecast: float, final: float) -> float:
    """An order quantity moved with the number it is for; never negative."""
    return max(final_quantile(order, forecast, final), 0.0)
