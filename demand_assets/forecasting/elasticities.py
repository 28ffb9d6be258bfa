"""What each driver does to sales, from history: own elasticities of the series, pooled over department and chain.

The logarithm of a week's sales less its local level (the mean of the weeks before) is regressed on the drivers less
theirs, so that season and trend drop out. Each sum is a running one, so the regression at any week is a look-up away
and knows nothing of later weeks. A department's effects are shrunk to the chain's and a series' to its department's:
the pool counts as some more weeks of the pool's mean information (ridge regression in closed form; Hoerl and Kennard
1970, Technometrics 12).
"""

from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from demand_assets.forecasting.windows import running, windows

Matrix = NDArray[np.float64]
# The local level of a week is the mean of so many weeks before it.
LEVEL_WEEKS = 8
# How many weeks of its own a series or a department needs to count as much as what it is shrunk to.
PRIOR_WEEKS = 26.0
# In logarithms: a week farther off its level, such as one of a closed store, counts as being so far off.
MOST_CHANGE = 1.5
# Added to the information of the chain, as a share of it: it only decides between drivers that never differ.
_RIDGE = 1e-6


def deviations(values: Matrix) -> Matrix:
    """(T, S) values less the mean of the known ones of the `LEVEL_WEEKS` weeks before; 0 where either is unknown."""
    known = ~np.isnan(values)
    held = np.where(known, values, 0.0)
    count, total = (_before(windows(running(each), LEVEL_WEEKS)) for each in (known, held))
    return np.where(known & (count > 0), held - total / np.maximum(count, 1.0), 0.0)


def _before(sums: Matrix) -> Matrix:
    """Those of the row before; 0 in the first."""
    return np.vstack([np.zeros_like(sums[:1]), sums[:-1]])


def evidence(sales: Matrix, drivers: Sequence[Matrix]) -> list[Matrix]:
    """What each week tells of the effects of K drivers, as (T, S) matrices whose sums over weeks `effects` takes.

    First the products of each two of the drivers' deviations, then those of each with the deviation of the logarithm of
    `sales` (T, S), then 1 for each week with sales. A driver that is NaN in a week tells nothing of it.
    """
    known = sales > 0
    logs = np.log(sales, where=known, out=np.full_like(sales, np.nan))
    moved = np.clip(deviations(logs), -MOST_CHANGE, MOST_CHANGE)
    own = [deviations(np.where(known, values, np.nan)) for values in drivers]
    return [
        *(one * other for one, other in combinations_with_replacement(own, 2)),
        *(one * moved for one in own),
        known.astype(float),
    ]


def effects(chain: Matrix, departments: Matrix, series: Matrix, dept: NDArray[np.int64], drivers: int) -> Matrix:
    """(S, K) change of the logarithm of sales per unit of each of K `drivers`.

    The arguments are sums of `evidence`, one row for each of its matrices: (M, 1) of the chain, (M, D) of departments
    and (M, S) of series, which lie in departments `dept` (S,).
    """
    gram, moment, weeks = _unpacked(chain, drivers)
    size = np.diagonal(gram[0])
    # A driver that never moved has no effect.
    still = np.diag(np.where(size > 0, _RIDGE * size, 1.0))
    of_chain = np.linalg.solve(gram + still, moment[..., None])[..., 0]
    prior = (gram / np.maximum(weeks, 1.0)[:, None, None] + still)[[0] * departments.shape[1]]
    of_dept, mean = _shrunk(departments, prior, of_chain[[0] * departments.shape[1]])
    return _shrunk(series, mean[dept], of_dept[dept])[0]


def _unpacked(sums: Matrix, drivers: int) -> tuple[Matrix, Matrix, Matrix]:
    """(n, K, K) products of drivers, (n, K) of theirs with sales, and (n,) weeks, of (M, n) sums."""
    gram = np.empty((sums.shape[1], drivers, drivers))
    for values, (one, other) in zip(sums, combinations_with_replacement(range(drivers), 2), strict=False):
        gram[:, one, other] = gram[:, other, one] = values
    return gram, sums[-1 - drivers : -1].T, sums[-1]


def _shrunk(own: Matrix, prior: Matrix, towards: Matrix) -> tuple[Matrix, Matrix]:
    """(n, K) effects of own sums and of `PRIOR_WEEKS` weeks like the pool's; (n, K, K) mean information of a week."""
    gram, moment, weeks = _unpacked(own, towards.shape[1])
    gram += PRIOR_WEEKS * prior
    moment = moment[..., None] + PRIOR_WEEKS * (prior @ towards[..., None])
    found = np.asarray(np.linalg.solve(gram, moment)[..., 0], dtype=np.float64)
    return found, gram / (weeks + PRIOR_WEEKS)[:, None, None]
