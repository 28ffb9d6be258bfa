"""One origin: its active series, and the values that several features and the forecast's base are made from.

All of it is known at the origin. The base is the mean of two guesses: last year's value at the aligned week times
recent growth, and the season and level of the decomposed history. That of intermittent demand is its smoothed rate.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from demand_assets.forecasting.decomposition import LEAST_WEEKS, TWO_YEARS, decompose
from demand_assets.forecasting.features.history import History, Matrix, aligned, ratio
from demand_assets.forecasting.intermittent import INTERMITTENT_SHARE
from demand_assets.forecasting.smoothing import WINDOW_WEEKS, smooth_departments
from demand_assets.forecasting.weeks import WEEKS_PER_YEAR
from demand_assets.forecasting.windows import window

# Growth is measured on eight weeks and shrunk towards the department's as if eight typical weeks had grown like it.
BASE_GROWTH_WEEKS = 8
SHRINKAGE_WEEKS = 8.0
GROWTH_RANGE = (0.5, 2.0)
# Growth beyond this says that the assortment changed, not its sales.
GROUP_GROWTH_RANGE = (0.0, 5.0)
# One week of last year is noisy: this share of it is replaced by the value smoothed over the department.
SMOOTH_SHARE = 0.65
SEASON_RANGE = (0.25, 4.0)
MIN_SCALE = 1.0


class Origin:
    """The n series of a block that had a sale in the 52 weeks to the week `row`; their H target weeks are `targets`.

    `active` (n,) are their places in the panel, `store` and `dept` (n,) those of their store and department. `level`
    (n,) is the mean week of the 52 to the origin; `scale` (n,) is its size. `effect` (H, n) is what the drivers move
    the base by; None without drivers.
    """

    effect: Matrix | None = None

    def __init__(self, history: History, row: int, horizon_weeks: int) -> None:
        self.history, self.panel, self.row = history, history.panel, row
        self.targets = row + 1 + np.arange(horizon_weeks)
        count = window(history.count, row, WEEKS_PER_YEAR)
        self.active = np.flatnonzero(window(history.rows, row, WEEKS_PER_YEAR) > 0)
        self.store, self.dept = (self.panel.series[name].to_numpy()[self.active] for name in ("store", "dept"))
        self.weeks_observed = count[self.active]
        self.level = window(history.total, row, WEEKS_PER_YEAR)[self.active] / self.weeks_observed
        # Absolute: a series of returns has a size too. Floored, so that dividing by it is safe.
        self.scale = np.maximum(np.abs(self.level), MIN_SCALE)
        # (H,) position of each target's counterpart last year; fractions blend two weeks.
        self.position = self.targets - history.back[self.targets]

    def without_effects(self) -> "Origin":
        """The same origin on a history without the drivers' effects, with those of the target weeks as `effect`.

        So neither last year's promotions nor those of the last weeks mislead the base. Itself without drivers.
        """
        if not self.panel.drivers:
            return self
        log_effects = self.history.log_effects(self.row, len(self.targets))
        cleaned = Origin(self.history.without_effects(self.row, log_effects), self.row, len(self.targets))
        cleaned.panel, cleaned.scale = self.panel, self.scale
        cleaned.effect = np.exp(log_effects[self.row + 1 :, self.active])
        return cleaned

    def moved(self, values: Matrix) -> Matrix:
        """(H, n) values times the effect of the drivers."""
        return values if self.effect is None else values * self.effect

    def dept_growth(self, weeks: int) -> Matrix:
        """(D,) sales of the departments in the weeks to the origin over those of the same weeks last year."""
        history = self.history
        return ratio(window(history.dept_now, self.row, weeks), window(history.dept_then, self.row, weeks))

    def store_growth(self, weeks: int) -> Matrix:
        """(stores,) the same of the stores."""
        history = self.history
        return ratio(window(history.store_now, self.row, weeks), window(history.store_then, self.row, weeks))

    def pairs(self, weeks: int, ending: int = 0) -> tuple[Matrix, Matrix]:
        """(n,) sums of the `weeks` weeks to `ending` before the origin that have a counterpart, and of those."""
        history = self.history
        now, then = (window(sums, self.row, weeks, ending)[self.active] for sums in (history.now, history.then))
        return now, then

    @cached_property
    def growth(self) -> Matrix:
        """(n,) recent growth, shrunk to the department's and clipped."""
        of_dept = np.clip(self.dept_growth(BASE_GROWTH_WEEKS), *GROUP_GROWTH_RANGE)[self.dept]
        pull = SHRINKAGE_WEEKS * self.scale
        now, then = self.pairs(BASE_GROWTH_WEEKS)
        grown = now + pull * np.where(np.isnan(of_dept), 1.0, of_dept)
        return np.clip(grown / np.maximum(then + pull, pull), *GROWTH_RANGE)

    @cached_property
    def sales(self) -> Matrix:
        """(T, n) sales of the active series."""
        return self.history.sales[:, self.active]

    @cached_property
    def last_year(self) -> Matrix:
        """(H, n) sales at the aligned weeks last year."""
        return aligned(self.sales, self.position, self.row)

    def yearly_mean(self, sums: Matrix) -> Matrix:
        """(groups,) mean week of the 52 to the origin, of (T, groups) sales."""
        return sums[max(self.row + 1 - WEEKS_PER_YEAR, 0) : self.row + 1].mean(axis=0)

    @cached_property
    def dept_index(self) -> Matrix:
        """(H, D) departments' sales at the aligned weeks last year over their mean week."""
        sales = self.history.dept_sales
        return ratio(aligned(sales, self.position, self.row), self.yearly_mean(sales)[None, :])

    @cached_property
    def dept_index_change(self) -> Matrix:
        """(H, n) that index over the one of the recent weeks' counterparts."""
        history = self.history
        recent = np.arange(max(self.row - BASE_GROWTH_WEEKS + 1, 0), self.row + 1)
        then = aligned(history.dept_sales, recent - history.back[recent], self.row)
        lately = ratio(np.nansum(then, axis=0) / len(recent), self.yearly_mean(history.dept_sales))
        return ratio(self.dept_index, lately[None, :])[:, self.dept]

    @cached_property
    def smoothed(self) -> tuple[Matrix, Matrix]:
        """(H, n) sales at the aligned weeks last year, smoothed over stores, and (H, D) department profiles there."""
        first = max(self.row + 1 - WINDOW_WEEKS, 0)
        smooth, profile = smooth_departments(
            self.history.sales[first : self.row + 1], self.panel.series["dept"].to_numpy(), width=self.history.width
        )
        at, limit = self.position - first, self.row - first
        return aligned(smooth[:, self.active], at, limit), aligned(profile, at, limit)

    @cached_property
    def decomposed(self) -> tuple[Matrix, Matrix]:
        """(H, n) level plus season from all weeks to the origin, twice; NaN until there are enough weeks.

        First with the season of the aligned week, from `LEAST_WEEKS` on; then with that of the same week of the year,
        from two years on.
        """
        unknown = np.full((len(self.targets), len(self.active)), np.nan)
        weeks = self.row + 1
        if weeks < LEAST_WEEKS:
            return unknown, unknown
        season, level = decompose(self.history.sales[:weeks], self.panel.series["dept"].to_numpy(), self.history.width)
        season, level = season[:, self.active], level[self.active]
        moved = level + aligned(season, self.targets - self.history.season_back[self.targets], self.row)
        return moved, unknown if weeks < TWO_YEARS else level + season[self.targets % WEEKS_PER_YEAR]

    @cached_property
    def naive(self) -> Matrix:
        """(H, n) last year at the aligned week times growth; without a last year the recent level in its season."""
        recent = self.history.means[BASE_GROWTH_WEEKS][self.row, self.active]
        level = np.where(np.isnan(recent), self.level, recent)
        season = np.clip(np.nan_to_num(self.dept_index_change, nan=1.0), *SEASON_RANGE)
        return np.where(np.isnan(self.last_year), level * season, self.last_year * self.growth)

    @cached_property
    def floor(self) -> Matrix:
        """(n,) the least sales of a week up to the origin where that is negative, else 0."""
        return self.history.floor[self.row, self.active]

    @cached_property
    def demand_rate(self) -> Matrix:
        """(n,) expected sales of a week: probability of demand times its size, both smoothed."""
        return self.history.demand_rates[self.row, self.active]

    @cached_property
    def is_intermittent(self) -> NDArray[np.bool_]:
        """(n,) whether over half of the known weeks among the 52 to the origin are zeros."""
        zeros = window(self.history.zeros, self.row, WEEKS_PER_YEAR)[self.active]
        return zeros > INTERMITTENT_SHARE * self.weeks_observed

    @cached_property
    def base(self) -> Matrix:
        """(H, n) where the forecast starts, in the unit of sales."""
        smooth_last_year, _ = self.smoothed
        blended = self.last_year + SMOOTH_SHARE * (smooth_last_year - self.last_year)
        smooth = np.where(np.isnan(blended), self.naive, blended * self.growth)
        decomposed, _ = self.decomposed
        start = np.where(np.isnan(decomposed), smooth, (smooth + decomposed) / 2)
        return self.moved(np.where(self.is_intermittent, self.demand_rate, start))
