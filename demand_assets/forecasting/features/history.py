"""What all origins of a block share: sales by week, their running sums, and each week's counterpart last year."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from demand_assets.forecasting.calendar import easter_offset, holiday_kind, weeks_back
from demand_assets.forecasting.drivers import OF_STORE, Driver
from demand_assets.forecasting.elasticities import effects, evidence
from demand_assets.forecasting.intermittent import demand_rates
from demand_assets.forecasting.panel import MARKDOWN_COLUMNS, Panel
from demand_assets.forecasting.weeks import WEEKS_PER_YEAR
from demand_assets.forecasting.windows import running, window_statistics

Matrix = NDArray[np.float64]
MEANS = (4, 8, 13, 26)
DEVIATIONS = (13, 52)
# In logarithms: effects of values of drivers that history hardly saw are bounded.
MOST_EFFECT = 1.5


@dataclass(frozen=True, eq=False)
class ChainHistory:
    """(T, n) sums over all departments of the n stores, and their markdowns.

    `now` and `then` are running sums of sales that have a counterpart a year before, and of those counterparts.
    `back`, `season_back` (T + H,): weeks to the aligned week of a year before, with Easter and without; `holiday_kind`,
    `easter_offset` (T + H,) of the weeks. `evidence` (M, T + 1, 1) has running sums of what weeks tell of the drivers,
    over all series; None without drivers.
    """

    back: Matrix
    season_back: Matrix
    holiday_kind: NDArray[np.int32]
    easter_offset: NDArray[np.int8]
    now: Matrix
    then: Matrix
    sales: Matrix
    markdown: Matrix
    evidence: Matrix | None = None

    @classmethod
    def of(cls, panel: Panel, parts: Sequence[Panel]) -> "ChainHistory":
        """Sums over the stores of all parts, part by part, so that only one part is copied in memory."""
        # Weeks back for all flagged weeks, so that targets after the last week have theirs.
        weeks = panel.flagged_weeks()
        back = weeks_back(weeks, panel.calendar)
        shape = (len(panel.weeks), len(panel.stores))
        now, then, sales = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        for part in parts:
            in_store = (part.series["store"].to_numpy(), len(panel.stores))
            paired_now, paired_then, _ = _paired(part.sales, back)
            now, then = _grouped(paired_now, *in_store, now), _grouped(paired_then, *in_store, then)
            sales = _grouped(np.nan_to_num(part.sales), *in_store, sales)
        markdowns = np.nansum([panel.covariates[name] for name in MARKDOWN_COLUMNS], axis=0)
        reported = ~np.all([np.isnan(panel.covariates[name]) for name in MARKDOWN_COLUMNS], axis=0)
        return cls(
            back=back,
            season_back=weeks_back(weeks, panel.calendar, with_easter=False),
            holiday_kind=holiday_kind(weeks, panel.calendar),
            easter_offset=easter_offset(weeks, panel.calendar),
            now=running(now),
            then=running(then),
            sales=sales,
            markdown=np.where(reported, markdowns, np.nan),
            evidence=_chain_evidence(parts) if panel.drivers else None,
        )


def _chain_evidence(parts: Sequence[Panel]) -> Matrix:
    """(M, T + 1, 1) running sums of `evidence_of` over all series, added up series by series."""
    total: list[Matrix] = []
    for part in parts:
        own = evidence_of(part)
        before = total or [np.zeros((len(part.weeks), 1)) for _ in own]
        whole = np.zeros(len(part.series), dtype=np.int64)
        total = [_grouped(values, whole, 1, sums) for values, sums in zip(own, before, strict=True)]
    return np.stack([running(sums) for sums in total])


def evidence_of(panel: Panel) -> list[Matrix]:
    """`elasticities.evidence` of the drivers of a panel."""
    weeks = len(panel.weeks)
    return evidence(
        panel.sales, [in_series(panel, driver, moved(driver, driver.values[:weeks])) for driver in panel.drivers]
    )


def moved(driver: Driver, values: NDArray[np.float32]) -> Matrix:
    """Values of a driver in the measure of its effect: logarithms of a price, so that ratios are differences."""
    known = values.astype(float)
    return np.log(known, where=known > 0, out=np.full_like(known, np.nan)) if driver.is_ratio else known


def in_series(panel: Panel, driver: Driver, values: Matrix) -> Matrix:
    """(n, S) values of a driver's series, or of the store of each."""
    return values[:, panel.series["store"].to_numpy()] if driver.level == OF_STORE else values


@dataclass(frozen=True, eq=False)
class FeatureBlock:
    """Whole departments of a panel, with all that their features are made from: the unit of work and of memory.

    `width` is the size of the largest department of the whole panel. The last bits of a sum depend on the width of its
    matrix, so a block of any size uses this one width and gets the same features.
    """

    panel: Panel
    chain: ChainHistory
    width: int


class History:
    """(T, S) matrices and running sums of a block's series, each week computed from itself and earlier ones."""

    def __init__(self, block: FeatureBlock) -> None:
        panel, chain = block.panel, block.chain
        sales = panel.sales
        self.panel, self.sales, self.width = panel, sales, block.width
        self.chain = chain
        self.back, self.season_back = chain.back, chain.season_back
        self.holiday_kind, self.easter_offset = chain.holiday_kind, chain.easter_offset
        now, then, paired = _paired(sales, chain.back)
        self.now, self.then, self.pairs = running(now), running(then), running(paired)
        filled = np.nan_to_num(sales)
        self.total, self.count = running(filled), running(~np.isnan(sales))
        # Absent rows that mean nothing sold keep no series alive.
        self.rows = self.count if panel.has_row is None else running(panel.has_row)
        self.means, self.deviations = window_statistics(sales, MEANS, DEVIATIONS)
        self.zeros = running(sales == 0)
        self.demand_rates = demand_rates(sales)
        self.floor = np.fmin(np.fmin.accumulate(sales), 0.0)
        in_dept = (panel.series["dept"].to_numpy(), panel.departments)
        self.dept_now, self.dept_then = running(_grouped(now, *in_dept)), running(_grouped(then, *in_dept))
        self.dept_sales = _grouped(filled, *in_dept)
        self.store_now, self.store_then, self.store_sales = chain.now, chain.then, chain.sales
        self.markdown = chain.markdown
        self.evidence = np.stack([running(values) for values in evidence_of(panel)]) if panel.drivers else None

    def log_effects(self, row: int, horizon_weeks: int) -> Matrix:
        """(row + 1 + H, S) what the drivers moved the logarithm of sales by, and will, as an origin knows it.

        Against their mean of the 52 weeks to the origin; a value that is not known moves nothing.
        """
        series, chain, panel = self.evidence, self.chain.evidence, self.panel
        if series is None or chain is None:
            raise ValueError("expected a panel with drivers, got one without")
        dept = panel.series["dept"].to_numpy()
        of_dept = _grouped(series[:, row + 1], dept, panel.departments)
        slopes = effects(chain[:, row + 1], of_dept, series[:, row + 1], dept, len(panel.drivers))
        total = np.zeros((row + 1 + horizon_weeks, panel.sales.shape[1]))
        for driver, slope in zip(panel.drivers, slopes.T, strict=True):
            known = moved(driver, driver.known_at(row, horizon_weeks))
            year = known[max(row + 1 - WEEKS_PER_YEAR, 0) : row + 1]
            usual = ratio(np.nansum(year, axis=0), (~np.isnan(year)).sum(axis=0).astype(float))
            total += slope * in_series(panel, driver, np.nan_to_num(known - usual))
        return np.clip(total, -MOST_EFFECT, MOST_EFFECT, out=total)

    def without_effects(self, row: int, log_effects: Matrix) -> "History":
        """The history to a week as it would have been with the drivers at their mean."""
        sales = self.panel.sales[: row + 1] / np.exp(log_effects[: row + 1])
        has_row = None if self.panel.has_row is None else self.panel.has_row[: row + 1]
        weeks = self.panel.weeks[: row + 1]
        panel = replace(self.panel, weeks=weeks, sales=sales, has_row=has_row, drivers=())
        return History(FeatureBlock(panel, self.chain, self.width))


def _paired(sales: Matrix, back: Matrix) -> tuple[Matrix, Matrix, NDArray[np.bool_]]:
    """(T, S) sales of the weeks that have a counterpart a year before, those counterparts, 0 elsewhere; and which."""
    past = np.arange(len(sales))
    last_year = aligned(sales, past - back[: len(past)], past)
    paired = ~np.isnan(sales) & ~np.isnan(last_year)
    return np.where(paired, sales, 0.0), np.where(paired, last_year, 0.0), paired


def _grouped(values: Matrix, group: NDArray[np.int64], groups: int, before: Matrix | None = None) -> Matrix:
    """(T, groups) sums of the columns of `values` (T, S) that belong to each group, on top of those `before`.

    A sparse product adds up series by series; the last bits of a dense one depend on BLAS threads and on T. So a sum
    over parts, each on top of the one before, equals the sum over the whole.
    """
    from scipy.sparse import csr_array

    if before is not None:
        values, group = np.hstack([before, values]), np.concatenate([np.arange(groups), group])
    members = csr_array((np.ones(len(group)), (group, np.arange(len(group)))), shape=(groups, len(group)))
    return np.ascontiguousarray((members @ values.T).T)


def aligned(values: Matrix, position: NDArray[np.float64], limit: NDArray[np.int64] | int) -> Matrix:
    """(k, n) rows of `values` (T, n) at fractional positions, neighbours blended; NaN before the first row.

    A position past `limit` (the origin) goes back further years until it is known; a blend of which one side is
    missing or past the limit takes the other side.
    """
    limit = np.broadcast_to(np.asarray(limit), position.shape)
    while (late := np.floor(position) > limit).any():
        position = np.where(late, position - WEEKS_PER_YEAR, position)
    low = np.floor(position).astype(np.int64)
    share = position - low
    rows = []
    for row, weight in ((low, 1 - share), (low + 1, share)):
        usable = (row >= 0) & (row <= limit) & (row < len(values)) & (weight > 0)
        found = values[np.where(usable, row, 0)]
        rows.append((np.where(usable[:, None], found, np.nan), weight[:, None]))
    (before, before_weight), (after, after_weight) = rows
    blend = before * before_weight + after * after_weight
    return np.where(np.isnan(before), after, np.where(np.isnan(after), before, blend))


def ratio(over: Matrix, under: Matrix) -> Matrix:
    """over / under where under is positive, else NaN."""
    return np.divide(over, under, out=np.full(np.broadcast(over, under).shape, np.nan), where=under > 0)
