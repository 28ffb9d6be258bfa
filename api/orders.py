"""Order quantities at a service level: those of `demand_assets.forecasting.orders`, without its numpy."""

from __future__ import annotations

from statistics import NormalDist

_Z90 = NormalDist().inv_cdf(0.9)


def order_quantity(p10: float, p50: float, p90: float, service_level: float) -> float:
    """What to have in stock so that it suffices in that share of weeks, 0 < `service_level` < 1; never negative.

    The quantile of demand, linear in the normal score through p10, p50 and p90: exact for a normal error, and one that
    is wider upwards stays so.
    """
    score = NormalDist().inv_cdf(service_level) / _Z90
    outer = p90 if service_level >= 0.5 else p10
    return max(p50 + (outer - p50) * abs(score), 0.0)
