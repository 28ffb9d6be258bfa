"""A story in the invented sales: a store that opens, two promotions, a department that drifts, a corrected week.

It scales rows of a sample, leaves some out and draws nothing, so the same sample tells the same story. Weeks are
numbered from the newest week of sales, which is 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.forecasting.weeks import DAYS, weeks_between
from demand_assets.sample.generator import SampleStream

Weeks = NDArray[np.integer[Any]]

PLANNED_WEEKS = 8
# A promotion is planned for a week to come, and ran every nine weeks before it.
NEXT_PROMOTION, BETWEEN_PROMOTIONS = 2, 9
PRICE, YEARLY_RISE, SHARE_OFF = 8.0, 0.04, 0.25
LIFT, NO_LIFT = 1.7, 1.02
OPENS, OPENING_LIFT, OPENING_FADES = -39, 0.5, 4.0
# Faster than its past, so that the drift report tells it from a department that shrinks slowly.
DRIFTS_FROM, LOST_A_WEEK = -4, 0.12
CORRECTED, REPORTED_SHARE = -3, 0.35
_WEEK = pd.Timedelta(days=DAYS)


@dataclass(frozen=True)
class Roles:
    """Who plays what between the weeks `oldest` and `newest`; None where a sample is too small for it.

    `opened`, `corrected` and `shown`, which sells both promotions most weeks, are stores, the others departments: with
    a promotion that `worked`, with one that `failed`, and one whose sales are `drifting`.
    """

    oldest: pd.Timestamp
    newest: pd.Timestamp
    opened: int | None
    corrected: int
    shown: int
    worked: int
    failed: int | None
    drifting: int | None

    def week(self, number: int) -> pd.Timestamp:
        """The day that ends a week."""
        return self.newest + number * _WEEK

    @property
    def opening(self) -> int:
        """The first week of the store that opens; a short history is halved by it."""
        return max(OPENS, -(self._past // 2))

    @property
    def late(self) -> int:
        """The week that is corrected."""
        return max(CORRECTED, -self._past)

    @property
    def _past(self) -> int:
        return int((self.newest - self.oldest) // _WEEK)

    def number(self, weeks: "pd.Series[pd.Timestamp]") -> Weeks:
        """(n,) numbers of the weeks."""
        return np.asarray((weeks - self.newest) // _WEEK)


@dataclass(frozen=True, eq=False)
class Story:
    """A sample with its story: `data` has the sales as first reported, `correction` the rows that are right.

    `plan`: [store_id, dept_id, week, price, promo] of the departments with promotions, to `PLANNED_WEEKS`.
    """

    data: SampleStream
    plan: pd.DataFrame
    correction: pd.DataFrame
    roles: Roles


def tell(data: SampleStream) -> Story:
    """Put the story into a sample; it takes the first part of its sales at once."""
    first = next(data.sales)
    stores = data.stores["store_id"].tolist()
    largest = first.groupby("dept_id")["sales"].sum().sort_values(ascending=False, kind="stable").index[:3]
    failed, drifting = (*map(int, largest[1:]), None, None)[:2]
    roles = Roles(
        oldest=first["week"].min(),
        newest=first["week"].max(),
        opened=stores[-1] if len(stores) > 1 else None,
        corrected=stores[0],
        shown=_shown(first, largest[:2], stores),
        worked=int(largest[0]),
        failed=failed,
        drifting=drifting,
    )
    parts = (_reported(_sold(part, roles), roles) for part in chain([first], data.sales))
    right = _sold(first, roles)
    correction = right[_is_corrected(right, roles)]
    return Story(SampleStream(parts, data.conditions, data.stores), _plan(stores, roles), correction, roles)


def _shown(sales: pd.DataFrame, promoted: "pd.Index[int]", stores: Sequence[int]) -> int:
    """The store with the most rows of the promoted departments in the last year; the last store opens late."""
    recent = sales["week"] > sales["week"].max() - 52 * _WEEK
    rows = sales.loc[recent & sales["dept_id"].isin(promoted), "store_id"].value_counts()
    return max(stores[:-1] or stores, key=lambda store: int(rows.get(store, 0)))


def _sold(sales: pd.DataFrame, roles: Roles) -> pd.DataFrame:
    """What is sold with a store that opens, promotions and drift."""
    number, dept = roles.number(sales["week"]), sales["dept_id"].to_numpy()
    of_opened = sales["store_id"].to_numpy() == roles.opened
    since = number - roles.opening
    factor = np.where(of_opened, 1 + OPENING_LIFT * np.exp(-np.maximum(since, 0) / OPENING_FADES), 1.0)
    runs = _runs(number)
    factor *= np.where(runs & (dept == roles.worked), LIFT, np.where(runs & (dept == roles.failed), NO_LIFT, 1.0))
    drifted = np.where(dept == roles.drifting, np.maximum(number - DRIFTS_FROM, 0), 0)
    factor *= (1 - LOST_A_WEEK) ** drifted
    told = sales.assign(sales=(sales["sales"] * factor).round(2))
    return told[~of_opened | (since >= 0)].reset_index(drop=True)


def _runs(number: Weeks) -> NDArray[np.bool_]:
    return (number - NEXT_PROMOTION) % BETWEEN_PROMOTIONS == 0


def without_promotion(roles: Roles) -> str:
    """Changes for `demand scenario`: the promotion to come, of the department where it works, dropped in one store."""
    of = f"{roles.shown},{roles.worked},{roles.week(NEXT_PROMOTION):%Y-%m-%d}"
    back = 1 / (1 - SHARE_OFF)
    return f"store_id,dept_id,week,covariate,change\n{of},promo,0\n{of},price,*{back:.4f}\n"


def _is_corrected(sales: pd.DataFrame, roles: Roles) -> NDArray[np.bool_]:
    week = roles.number(sales["week"]) == roles.late
    return np.asarray(week & (sales["store_id"] == roles.corrected))


def _reported(sales: pd.DataFrame, roles: Roles) -> pd.DataFrame:
    """What is reported at first: of one store and week only a part."""
    share = np.where(_is_corrected(sales, roles), REPORTED_SHARE, 1.0)
    return sales.assign(sales=(sales["sales"] * share).round(2))


def _plan(stores: Sequence[int], roles: Roles) -> pd.DataFrame:
    """Prices and promotions, the same in all stores: a price that rises by the year, less in weeks with a promotion."""
    departments = [dept for dept in (roles.worked, roles.failed) if dept is not None]
    weeks = weeks_between(roles.oldest, roles.week(PLANNED_WEEKS))
    plan = pd.MultiIndex.from_product([list(stores), departments, weeks], names=["store_id", "dept_id", "week"])
    rows = plan.to_frame(index=False)
    promo = _runs(roles.number(rows["week"]))
    usual = PRICE * (1 + YEARLY_RISE) ** (rows["week"].dt.year - roles.oldest.year)
    return rows.assign(price=(usual * np.where(promo, 1 - SHARE_OFF, 1.0)).round(2), promo=promo.astype(np.int8))
