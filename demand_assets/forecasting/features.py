"""demand_features: for every origin, series and horizon, what was known at the origin, and nothing later.

One vectorised pass over the panel serves every origin. The forecast is built on `base`, the mean of two guesses:
last year's value at the aligned week times recent growth, and the season and level of the decomposed history. The
model learns what that misses, in units of the series' own scale. The baselines are made in the same pass, in the unit
of sales; they are no inputs of the model.
"""

import warnings
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from demand_assets.errors import SchemaError
from demand_assets.forecasting.baselines import BASELINES
from demand_assets.forecasting.calendar import easter_offset, holiday_kind, weeks_back
from demand_assets.forecasting.decomposition import LEAST_WEEKS, TWO_YEARS, decompose
from demand_assets.forecasting.panel import CONDITION_COLUMNS, MARKDOWN_COLUMNS, Panel, department_blocks
from demand_assets.forecasting.smoothing import WINDOW_WEEKS, smooth_departments
from demand_assets.forecasting.weeks import WEEKS_PER_YEAR, add_weeks
from demand_assets.forecasting.windows import running, window, window_statistics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

KEYS = ("store_id", "dept_id", "origin_week", "target_week", "horizon")
LAGS = (0, 1, 2, 3, 4, 7, 12)
MEANS = (4, 8, 13, 26)
DEVIATIONS = (13, 52)
GROWTH_WEEKS = (4, 8, 16)
# Of the moving average among the baselines.
AVERAGE_WEEKS = 8
# Growth is judged on eight weeks and shrunk towards the department's as if eight typical weeks had grown like it.
BASE_GROWTH_WEEKS = 8
SHRINKAGE_WEEKS = 8.0
GROWTH_RANGE = (0.5, 2.0)
# Last year's value is one noisy week; this much of it gives way to the department's smoothed one.
SMOOTH_SHARE = 0.65
MIN_SCALE = 1.0
STORE_TYPES = ("A", "B", "C")

_DESCRIBED: dict[str, str] = {
    "store_id": "Store number",
    "dept_id": "Department number within the store",
    "origin_week": "Last week whose sales are known (Friday)",
    "target_week": "Week to forecast (Friday)",
    "horizon": "Weeks from origin to target, 1..H",
    "base": "Mean of smoothed last year times growth and of the decomposition, USD; the forecast starts here",
    "scale": "Mean weekly sales of the 52 weeks to the origin, USD; unit of every scaled feature",
    **{name: f"Baseline: {text[0].lower()}{text[1:]}" for name, text in BASELINES.items()},
    **{f"lag_{k}": f"Sales {k} weeks before the origin, scaled" for k in LAGS},
    **{f"mean_{k}": f"Mean sales of the {k} weeks to the origin, scaled" for k in MEANS},
    **{f"deviation_{k}": f"Standard deviation of the {k} weeks to the origin, scaled" for k in DEVIATIONS},
    "weeks_observed": "Weeks with sales among the 52 to the origin",
    "last_year": "Sales at the aligned week last year, scaled",
    "last_year_before": "Sales in the week before the aligned one, scaled",
    "last_year_after": "Sales in the week after the aligned one, scaled",
    "last_year_mean": "Mean sales of the five weeks around the aligned one, scaled",
    "two_years_ago": "Sales at the aligned week two years ago, scaled",
    "base_scaled": "base over scale",
    "aligned": "Last year at the aligned week times recent growth, scaled; else the recent level in its season",
    "decomposition": "Level of the decomposed history plus the season of the target week, scaled",
    **{f"growth_{k}": f"Sales of {k} weeks to the origin over the same weeks last year" for k in GROWTH_WEEKS},
    **{f"dept_growth_{k}": f"The same growth of the department over all stores, {k} weeks" for k in GROWTH_WEEKS},
    **{f"store_growth_{k}": f"The same growth of the store over all departments, {k} weeks" for k in GROWTH_WEEKS},
    "miss_0": "Error of last year times growth in the origin week, scaled",
    "miss_1": "The same one week earlier",
    "miss_4": "Its mean over 4 weeks",
    "miss_13": "Its mean over 13 weeks",
    "smooth_last_year": "Sales at the aligned week last year, smoothed over the department's stores, scaled",
    "smooth_base": "The same times recent growth",
    "dept_profile": "Sales of the department's series at the aligned week over their mean week",
    "store_index": "Store's sales at the aligned week last year over its mean of the 52 weeks to the origin",
    "dept_index": "Department's sales at the aligned week last year over its mean of that year",
    "dept_index_change": "That index over the one of the origin's aligned week",
    "dept_miss_4": "Department's mean error of last year times growth over 4 weeks, scaled by the department",
    "store_miss_4": "Store's mean error of last year times growth over 4 weeks, scaled by the store",
    "alignment_shift": "Weeks by which the aligned week differs from 52 weeks before",
    "is_holiday": "1 if the target is a holiday week",
    "holiday_kind": "Holiday of the target week: 1 Super Bowl, 2 Labor Day, 3 Thanksgiving, 4 Christmas, 0 none",
    "easter_offset": "Weeks from Easter's week to the target, clipped to -4..4",
    "origin_is_holiday": "1 if the origin is a holiday week",
    "store_type": "Store format A, B, C as 0, 1, 2; -1 for any other",
    "store_size": "Selling area, thousand square feet",
    "department": "Department number",
    "temperature": "Temperature at the origin, degrees Fahrenheit",
    "temperature_change": "Temperature at the origin less that of a year before",
    "fuel_change": "Fuel price at the origin over that of a year before",
    "cpi_change": "CPI at the origin over that of a year before",
    "unemployment_change": "Unemployment at the origin less that of a year before, points",
    "markdown": "Markdowns of the store at the origin over its mean weekly sales",
    "markdown_4": "The same, mean of the 4 weeks to the origin",
}
FEATURE_DESCRIPTIONS: Mapping[str, str] = _DESCRIBED
FEATURE_COLUMNS: tuple[str, ...] = (
    "horizon",
    *(name for name in _DESCRIBED if name not in (*KEYS, "base", "scale", *BASELINES)),
)


def first_origin(weeks: pd.DatetimeIndex) -> pd.Timestamp:
    """The earliest origin with a year behind it, so that its targets have a counterpart last year."""
    return add_weeks(weeks.min(), WEEKS_PER_YEAR)


def build_features(panel: Panel, origins: Sequence[pd.Timestamp], horizon_weeks: int, threads: int = 1) -> pd.DataFrame:
    """demand_features: one row per active series (a sale in the 52 weeks to the origin) x origin x horizon 1..H.

    Keys, then `base`, `scale` and `BASELINES` as float64, then `FEATURE_COLUMNS` as float32; sorted by origin, store,
    dept, horizon. SchemaError when an origin is outside the panel.
    """
    (block,) = feature_blocks(panel, len(panel.series))
    parts = [part for _, part in block_features(block, origins, horizon_weeks, threads)]
    # Column by column out of the parts, so that both never stand in memory whole.
    return pd.DataFrame({name: np.concatenate([part.pop(name) for part in parts]) for name in [*parts[0]]}, copy=False)


@dataclass(frozen=True, eq=False)
class ChainHistory:
    """What the features of a series know of others than its department's: (T, n) sums over stores and their markdowns.

    `now` and `then` are running sums of sales that have a counterpart a year before, and of those counterparts.
    `back`, `season_back` (T + H,): weeks to the aligned week of a year before, with Easter and without.
    """

    back: "Matrix"
    season_back: "Matrix"
    now: "Matrix"
    then: "Matrix"
    sales: "Matrix"
    markdown: "Matrix"


@dataclass(frozen=True, eq=False)
class FeatureBlock:
    """Whole departments of a panel, with all that their features are made from: the unit of work and of memory.

    `width` is the size of the largest department of the whole panel: to the last bit, a sum depends on how wide its
    matrix is, and a block's features are those it would have beside others.
    """

    panel: Panel
    chain: ChainHistory
    width: int


def feature_blocks(panel: Panel, series_per_block: int) -> Iterator[FeatureBlock]:
    """The panel in blocks of whole departments, each of at least `series_per_block` series but the last.

    ValueError when that is less than one.
    """
    dept = panel.series["dept"].to_numpy()
    columns = department_blocks(dept, series_per_block)
    parts = [panel] if len(columns) == 1 else [panel.of(part) for part in columns]
    chain = _chain_history(panel, parts)
    for part in parts:
        yield FeatureBlock(part, chain, int(np.bincount(dept).max()))


def block_features(
    block: FeatureBlock, origins: Sequence[pd.Timestamp], horizon_weeks: int, threads: int = 1
) -> "Iterator[tuple[pd.Timestamp, dict[str, NDArray[np.generic]]]]":
    """Each origin, in order, with the columns of its rows of demand_features for the series of a block.

    They are made in `threads` threads; an origin at which no series of the block is active has no rows.
    SchemaError when an origin is outside the panel.
    """
    panel = block.panel
    at = panel.position(pd.DatetimeIndex(list(origins)))
    outside = [week for week, row in zip(origins, at, strict=True) if not 0 <= row < len(panel.weeks)]
    if outside:
        raise SchemaError(
            f"origin {outside[0]:%Y-%m-%d} is outside the sales, which run from "
            f"{panel.weeks[0]:%Y-%m-%d} to {panel.weeks[-1]:%Y-%m-%d}"
        )
    names = (*KEYS, "base", "scale", *BASELINES, *(name for name in FEATURE_COLUMNS if name != "horizon"))
    rows = sorted(set(at.tolist()))
    # The matrix products are small: with more threads than idle cores BLAS spends its time waiting for itself.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        history = _History(panel, block)

        def made(row: int) -> "dict[str, NDArray[np.generic]]":
            columns = _at_origin(panel, history, row, horizon_weeks)
            return {name: columns[name] for name in names}

        # A few ahead of what is taken, so that what is not yet taken does not fill the memory.
        pending: deque[tuple[pd.Timestamp, Future[dict[str, NDArray[np.generic]]]]] = deque()
        for row in rows:
            pending.append((panel.weeks[row], pool.submit(made, row)))
            if len(pending) > 2 * threads:
                yield _taken(pending)
        while pending:
            yield _taken(pending)


def _taken(
    pending: "deque[tuple[pd.Timestamp, Future[dict[str, NDArray[np.generic]]]]]",
) -> "tuple[pd.Timestamp, dict[str, NDArray[np.generic]]]":
    origin, columns = pending.popleft()
    return origin, columns.result()


def _chain_history(panel: Panel, parts: Sequence[Panel]) -> ChainHistory:
    """Sums over the stores of all parts, part by part, so that no more than one stands in memory a second time."""
    # Weeks back for all flagged weeks, so that targets after the last week have theirs.
    back = weeks_back(panel.flagged_weeks())
    shape = (len(panel.weeks), len(panel.stores))
    now, then, sales = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for part in parts:
        in_store = (part.series["store"].to_numpy(), len(panel.stores))
        paired_now, paired_then, _ = _paired(part.sales, back)
        now, then = _grouped(paired_now, *in_store, now), _grouped(paired_then, *in_store, then)
        sales = _grouped(np.nan_to_num(part.sales), *in_store, sales)
    markdowns = np.nansum([panel.conditions[name] for name in MARKDOWN_COLUMNS], axis=0)
    reported = ~np.all([np.isnan(panel.conditions[name]) for name in MARKDOWN_COLUMNS], axis=0)
    return ChainHistory(
        back=back,
        season_back=weeks_back(panel.flagged_weeks(), easter=False),
        now=running(now),
        then=running(then),
        sales=sales,
        markdown=np.where(reported, markdowns, np.nan),
    )


def _paired(sales: "Matrix", back: "Matrix") -> "tuple[Matrix, Matrix, NDArray[np.bool_]]":
    """(T, S) sales of the weeks that have a counterpart a year before, those counterparts, 0 elsewhere; and which."""
    past = np.arange(len(sales))
    last_year = aligned(sales, past - back[: len(past)], past)
    paired = ~np.isnan(sales) & ~np.isnan(last_year)
    return np.where(paired, sales, 0.0), np.where(paired, last_year, 0.0), paired


class _History:
    """What every origin draws on, each week computed from itself and earlier ones: (T, S) matrices and running sums."""

    def __init__(self, panel: Panel, block: FeatureBlock) -> None:
        sales, chain = panel.sales, block.chain
        self.sales = sales
        self.width = block.width
        self.back, self.season_back = chain.back, chain.season_back
        now, then, paired = _paired(sales, chain.back)
        self.now, self.then, self.pairs = running(now), running(then), running(paired)
        filled = np.nan_to_num(sales)
        self.total, self.count = running(filled), running(~np.isnan(sales))
        self.means, self.deviations = window_statistics(sales, MEANS, DEVIATIONS)
        in_dept = (panel.series["dept"].to_numpy(), panel.departments)
        self.dept_now, self.dept_then = running(_grouped(now, *in_dept)), running(_grouped(then, *in_dept))
        self.dept_sales = _grouped(filled, *in_dept)
        self.store_now, self.store_then, self.store_sales = chain.now, chain.then, chain.sales
        self.markdown = chain.markdown


def _grouped(values: "Matrix", group: "NDArray[np.int64]", groups: int, before: "Matrix | None" = None) -> "Matrix":
    """(T, groups) sums of the columns of `values` (T, S) that belong to each group, on top of those `before`.

    Sparse, because it adds up series by series: a dense product's last bits depend on BLAS threads and on T. And so a
    sum over parts, each on top of the one before, is that over the whole.
    """
    from scipy.sparse import csr_array

    if before is not None:
        values, group = np.hstack([before, values]), np.concatenate([np.arange(groups), group])
    members = csr_array((np.ones(len(group)), (group, np.arange(len(group)))), shape=(groups, len(group)))
    return np.ascontiguousarray((members @ values.T).T)


def aligned(values: "Matrix", position: "NDArray[np.float64]", limit: "NDArray[np.int64] | int") -> "Matrix":
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


def _ratio(over: "Matrix", under: "Matrix") -> "Matrix":
    """over / under where under is positive, else NaN."""
    return np.divide(over, under, out=np.full(np.broadcast(over, under).shape, np.nan), where=under > 0)


def _at_origin(panel: Panel, history: _History, row: int, horizon_weeks: int) -> "dict[str, NDArray[np.generic]]":
    """The rows of one origin, as columns."""
    year = WEEKS_PER_YEAR
    active = np.flatnonzero(window(history.count, row, year) > 0)
    store, dept = panel.series["store"].to_numpy()[active], panel.series["dept"].to_numpy()[active]
    count = window(history.count, row, year)[active]
    mean_52 = window(history.total, row, year)[active] / count
    # Absolute: a series of returns has a size too. Floored, so that dividing by it is safe.
    scale = np.maximum(np.abs(mean_52), MIN_SCALE)
    features = _own_history(history, row, active, scale)

    dept_growth = {k: _ratio(window(history.dept_now, row, k), window(history.dept_then, row, k)) for k in GROWTH_WEEKS}
    store_growth = {
        k: _ratio(window(history.store_now, row, k), window(history.store_then, row, k)) for k in GROWTH_WEEKS
    }
    for k in GROWTH_WEEKS:
        own = _ratio(window(history.now, row, k)[active], window(history.then, row, k)[active])
        features[f"growth_{k}"] = np.clip(own, 0.0, 5.0)
        features[f"dept_growth_{k}"] = np.clip(dept_growth[k], 0.0, 5.0)[dept]
        features[f"store_growth_{k}"] = np.clip(store_growth[k], 0.0, 5.0)[store]
    growth = _growth(history, row, active, features[f"dept_growth_{BASE_GROWTH_WEEKS}"], scale)

    for ending, name in ((0, "miss_0"), (1, "miss_1")):
        one = window(history.pairs, row, 1, ending)[active]
        missed = window(history.now, row, 1, ending)[active] - growth * window(history.then, row, 1, ending)[active]
        features[name] = np.where(one > 0, missed / scale, np.nan)
    for weeks in (4, 13):
        missed = window(history.now, row, weeks)[active] - growth * window(history.then, row, weeks)[active]
        features[f"miss_{weeks}"] = _ratio(missed, window(history.pairs, row, weeks)[active]) / scale
    for name, members, now, then, grown in (
        ("dept_miss_4", dept, history.dept_now, history.dept_then, dept_growth[BASE_GROWTH_WEEKS]),
        ("store_miss_4", store, history.store_now, history.store_then, store_growth[BASE_GROWTH_WEEKS]),
    ):
        missed = window(now, row, 4) - grown * window(then, row, 4)
        features[name] = _ratio(missed, window(now, row, 4))[members]

    features |= _conditions(panel, history, row, store)
    size = panel.stores["size_sqft"].to_numpy(dtype=float) / 1000.0
    codes = panel.stores["store_type"].map({name: code for code, name in enumerate(STORE_TYPES)})
    features["store_type"] = codes.fillna(-1).to_numpy(dtype=float)[store]
    features["store_size"] = size[store]
    features["department"] = panel.series["dept_id"].to_numpy(dtype=float)[active]
    features["origin_is_holiday"] = np.full(len(active), float(panel.is_holiday[row]))

    targets = row + 1 + np.arange(horizon_weeks)
    series = _Series(active, store, dept, scale, growth, features["mean_8"], mean_52 / scale)
    ahead = _targets(panel, history, row, targets, series)
    horizons = np.arange(1, horizon_weeks + 1)
    repeated = {name: np.repeat(value.astype(np.float32), horizon_weeks) for name, value in features.items()}
    by_target = {name: np.ascontiguousarray(value.T).ravel() for name, value in ahead.items()}
    in_units = {name: by_target.pop(name) for name in ("base", *BASELINES)}
    flagged = panel.flagged_weeks()
    names = panel.series.iloc[active]
    return {
        "store_id": np.repeat(names["store_id"].to_numpy(), horizon_weeks),
        "dept_id": np.repeat(names["dept_id"].to_numpy(), horizon_weeks),
        "origin_week": np.full(horizon_weeks * len(active), panel.weeks[row].to_datetime64()),
        "target_week": np.tile(flagged[targets].to_numpy(), len(active)),
        "horizon": np.tile(horizons, len(active)).astype(np.int16),
        "scale": np.repeat(scale, horizon_weeks),
        **in_units,
        **repeated,
        **{name: value.astype(np.float32) for name, value in by_target.items()},
    }


def _own_history(history: _History, row: int, active: "NDArray[np.int64]", scale: "Matrix") -> "dict[str, Matrix]":
    """(n,) lags, window means and deviations of each active series at an origin, scaled."""
    features: dict[str, Matrix] = {}
    for lag in LAGS:
        features[f"lag_{lag}"] = (
            history.sales[row - lag, active] / scale if row >= lag else np.full(len(active), np.nan)
        )
    for weeks in MEANS:
        features[f"mean_{weeks}"] = history.means[weeks][row, active] / scale
    for weeks in DEVIATIONS:
        features[f"deviation_{weeks}"] = history.deviations[weeks][row, active] / scale
    features["weeks_observed"] = window(history.count, row, WEEKS_PER_YEAR)[active]
    return features


def _growth(
    history: _History, row: int, active: "NDArray[np.int64]", dept_growth: "Matrix", scale: "Matrix"
) -> "Matrix":
    """(n,) recent growth of each series, shrunk to its department's and clipped."""
    pull = SHRINKAGE_WEEKS * scale
    of_dept = np.where(np.isnan(dept_growth), 1.0, dept_growth)
    now = window(history.now, row, BASE_GROWTH_WEEKS)[active]
    then = window(history.then, row, BASE_GROWTH_WEEKS)[active]
    return np.clip((now + pull * of_dept) / np.maximum(then + pull, pull), *GROWTH_RANGE)


def _conditions(panel: Panel, history: _History, row: int, store: "NDArray[np.int64]") -> "dict[str, Matrix]":
    """Conditions of the origin week, against a year before where the level itself would only name the year."""
    unknown = np.full(len(panel.stores), np.nan)
    now = {name: panel.conditions[name][row] for name in CONDITION_COLUMNS}
    before = {
        name: panel.conditions[name][row - WEEKS_PER_YEAR] if row >= WEEKS_PER_YEAR else unknown
        for name in CONDITION_COLUMNS
    }
    size = np.maximum(history.store_sales[max(row - 51, 0) : row + 1].mean(axis=0), MIN_SCALE)
    recent = history.markdown[max(row - 3, 0) : row + 1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a store without markdowns has no mean: NaN says so
        markdown_4 = np.nanmean(recent, axis=0)
    values = {
        "temperature": now["temperature_f"],
        "temperature_change": now["temperature_f"] - before["temperature_f"],
        "fuel_change": _ratio(now["fuel_price"], before["fuel_price"]),
        "cpi_change": _ratio(now["cpi"], before["cpi"]),
        "unemployment_change": now["unemployment_pct"] - before["unemployment_pct"],
        "markdown": history.markdown[row] / size,
        "markdown_4": markdown_4 / size,
    }
    return {name: value[store] for name, value in values.items()}


@dataclass(frozen=True, eq=False)
class _Series:
    """The n active series of an origin: their places in the panel, scale in USD, growth, and level over scale."""

    active: "NDArray[np.int64]"
    store: "NDArray[np.int64]"
    dept: "NDArray[np.int64]"
    scale: "Matrix"
    growth: "Matrix"
    recent: "Matrix"
    typical: "Matrix"


def _targets(
    panel: Panel, history: _History, row: int, targets: "NDArray[np.int64]", series: _Series
) -> "dict[str, Matrix]":
    """(H, n) features of the target weeks: their counterparts last year, and calendar facts."""
    position = targets - history.back[targets]
    scale, dept = series.scale, series.dept
    sales = history.sales[:, series.active]
    last_year = aligned(sales, position, row)
    before, after = aligned(sales, position - 1, row), aligned(sales, position + 1, row)
    around = np.stack([aligned(sales, position - 2, row), before, last_year, after, aligned(sales, position + 2, row)])
    present = (~np.isnan(around)).sum(axis=0)
    around_mean = _ratio(np.nansum(around, axis=0), present.astype(float))

    dept_mean = history.dept_sales[max(row - 51, 0) : row + 1].mean(axis=0)
    dept_then = _ratio(aligned(history.dept_sales, position, row), dept_mean[None, :])
    recent_weeks = np.arange(max(row - BASE_GROWTH_WEEKS + 1, 0), row + 1)
    dept_recent = aligned(history.dept_sales, recent_weeks - history.back[recent_weeks], row)
    now_index = _ratio(np.nansum(dept_recent, axis=0) / len(recent_weeks), dept_mean)
    index_change = _ratio(dept_then, now_index[None, :])
    store_mean = history.store_sales[max(row - 51, 0) : row + 1].mean(axis=0)
    store_then = _ratio(aligned(history.store_sales, position, row), store_mean[None, :])

    first = max(row + 1 - WINDOW_WEEKS, 0)
    smoothed, profile = smooth_departments(
        history.sales[first : row + 1], panel.series["dept"].to_numpy(), width=history.width
    )
    smooth_last_year = aligned(smoothed[:, series.active], position - first, row - first)

    # Without a counterpart last year: the series' recent level moved by its department's season.
    level = np.where(np.isnan(series.recent), series.typical, series.recent) * scale
    season = np.clip(np.nan_to_num(index_change[:, dept], nan=1.0), 0.25, 4.0)
    naive = np.where(np.isnan(last_year), level * season, last_year * series.growth)
    blended = last_year + SMOOTH_SHARE * (smooth_last_year - last_year)
    smooth = np.where(np.isnan(blended), naive, blended * series.growth)
    decomposed, svd_stl = (ahead[:, series.active] for ahead in _decomposed(panel, history, row, targets))
    base = np.where(np.isnan(decomposed), smooth, (smooth + decomposed) / 2)

    weeks = panel.flagged_weeks()[targets]
    per_week = {
        "alignment_shift": history.back[targets] - WEEKS_PER_YEAR,
        "is_holiday": panel.is_holiday[targets],
        "holiday_kind": holiday_kind(weeks),
        "easter_offset": easter_offset(weeks),
    }
    shape = last_year.shape
    return {
        "base": base,
        **_baselines(history, row, targets, series.active, naive, svd_stl),
        "last_year": last_year / scale,
        "last_year_before": before / scale,
        "last_year_after": after / scale,
        "last_year_mean": around_mean / scale,
        "two_years_ago": aligned(sales, position - WEEKS_PER_YEAR, row) / scale,
        "base_scaled": base / scale,
        "aligned": naive / scale,
        "decomposition": decomposed / scale,
        "smooth_last_year": smooth_last_year / scale,
        "smooth_base": smooth_last_year * series.growth / scale,
        "dept_profile": aligned(profile, position - first, row - first)[:, dept],
        "store_index": store_then[:, series.store],
        "dept_index": dept_then[:, dept],
        "dept_index_change": index_change[:, dept],
        **{name: np.broadcast_to(value[:, None], shape).astype(float) for name, value in per_week.items()},
    }


def _decomposed(panel: Panel, history: _History, row: int, targets: "NDArray[np.int64]") -> "tuple[Matrix, Matrix]":
    """(H, S) level plus season in the unit of sales, from all weeks to the origin; NaN until there are enough.

    First with the season of the aligned week, known from `LEAST_WEEKS` on; then with that of the same week of the
    year, from two years on.
    """
    unknown = np.full((len(targets), history.sales.shape[1]), np.nan)
    if row + 1 < LEAST_WEEKS:
        return unknown, unknown
    season, level = decompose(history.sales[: row + 1], panel.series["dept"].to_numpy(), history.width)
    moved = level + aligned(season, targets - history.season_back[targets], row)
    return moved, unknown if row + 1 < TWO_YEARS else level + season[targets % WEEKS_PER_YEAR]


def _baselines(
    history: _History,
    row: int,
    targets: "NDArray[np.int64]",
    active: "NDArray[np.int64]",
    aligned_naive: "Matrix",
    svd_stl: "Matrix",
) -> "dict[str, Matrix]":
    """(H, n) `BASELINES` of the active series, by name; `svd_stl` is NaN where the decomposition has none."""
    sales = history.sales[:, active]
    year = sales[max(row + 1 - WEEKS_PER_YEAR, 0) : row + 1]
    # An active series has a sale in the year to the origin.
    last = year[len(year) - 1 - np.argmax(~np.isnan(year[::-1]), axis=0), np.arange(len(active))]
    mean = history.means[AVERAGE_WEEKS][row, active]
    seasonal = aligned(sales, (targets - WEEKS_PER_YEAR).astype(float), row)
    seasonal = np.where(np.isnan(seasonal), last, seasonal)
    ahead = (
        seasonal,
        aligned_naive,
        np.where(np.isnan(svd_stl), seasonal, svd_stl),
        np.where(np.isnan(mean), last, mean),
        last,
    )
    return {name: np.broadcast_to(values, seasonal.shape) for name, values in zip(BASELINES, ahead, strict=True)}
