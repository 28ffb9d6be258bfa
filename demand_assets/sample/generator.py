"""Sales of stores x departments, with what makes retail hard: seasons, moving holidays, returns, gaps.

Everything is drawn from one seed and is array arithmetic over weeks x series; the same arguments give the same frames.
Sales are made by blocks of stores, so that a large retailer needs the memory of a block.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.errors import SettingsError
from demand_assets.forecasting.holidays import US, holiday_date, holiday_weeks
from demand_assets.forecasting.weeks import DAYS, weeks_between

Matrix = NDArray[np.float64]

WEEKS_KNOWN_AHEAD = 39
MARKDOWNS_START = pd.Timestamp("2011-11-11")
INDICATORS_LAG_WEEKS = 13
_YEAR = 365.25
# A block has its own draws, what departments are like comes from the first: other sizes give other sales.
BLOCK_STORES = 100


@dataclass(frozen=True, eq=False)
class SampleData:
    """Frames as ingestion makes them: sales, conditions (running past the last sales week) and stores."""

    sales: pd.DataFrame
    conditions: pd.DataFrame
    stores: pd.DataFrame


@dataclass(frozen=True, eq=False)
class SampleStream:
    """Sample data whose sales come in parts: `sales` yields stores after stores, sorted by store, department, week."""

    sales: Iterator[pd.DataFrame]
    conditions: pd.DataFrame
    stores: pd.DataFrame


def generate(
    stores: int, departments: int, weeks: int, seed: int, first_week: str | pd.Timestamp = "2010-02-05"
) -> SampleData:
    """Sales of about 90% of all `stores` x `departments` pairs over `weeks` weeks from `first_week`, of any weekday.

    SettingsError naming the argument that is out of range.
    """
    made = stream(stores, departments, weeks, seed, first_week)
    sales = pd.concat(made.sales, ignore_index=True).sort_values("week", kind="stable", ignore_index=True)
    return SampleData(sales, made.conditions, made.stores)


def stream(
    stores: int,
    departments: int,
    weeks: int,
    seed: int,
    first_week: str | pd.Timestamp = "2010-02-05",
    last_week: date | None = None,
) -> SampleStream:
    """`generate` in the memory of a hundred stores, and in the order of the shipped file.

    A `last_week` decides the first one.
    """
    for name, value, most in (("stores", stores, 100_000), ("departments", departments, 999), ("weeks", weeks, 2_000)):
        if not 1 <= value <= most:
            raise SettingsError(f"{name} is {value}; expected 1 to {most:,}")
    if seed < 0:
        raise SettingsError(f"seed is {seed}; expected 0 or more")
    rng = np.random.default_rng(seed)
    first = pd.Timestamp(first_week if last_week is None else last_week - timedelta(weeks=weeks - 1))
    calendar = weeks_between(first, first + pd.Timedelta(days=DAYS * (weeks + WEEKS_KNOWN_AHEAD - 1)))
    table = _stores(rng, stores)
    conditions = _conditions(rng, calendar, table, last_sales=calendar[weeks - 1])
    return SampleStream(_sales(rng, seed, calendar[:weeks], table, conditions, departments), conditions, table)


def _stores(rng: np.random.Generator, count: int) -> pd.DataFrame:
    kind = rng.choice(3, size=count, p=[0.5, 0.37, 0.13])
    middle, spread = np.array([180_000, 100_000, 40_500])[kind], np.array([30_000, 28_000, 1_500])[kind]
    size = np.clip(np.rint(middle + spread * rng.standard_normal(count)), 30_000, 230_000).astype(np.int64)
    return pd.DataFrame(
        {
            "store_id": np.arange(1, count + 1, dtype=np.int32),
            "store_type": np.array(["A", "B", "C"], dtype=object)[kind],
            "size_sqft": size,
        }
    )


def _conditions(
    rng: np.random.Generator, calendar: pd.DatetimeIndex, stores: pd.DataFrame, last_sales: pd.Timestamp
) -> pd.DataFrame:
    """Weather, fuel, markdowns, CPI, unemployment and holiday flags of every store and week."""
    weeks, count = len(calendar), len(stores)
    season = np.cos(2 * np.pi * (calendar.dayofyear.to_numpy() - 200) / _YEAR)[:, None]
    region = rng.integers(0, 5, count)
    temperature = np.linspace(48, 74, 5)[region] + np.linspace(26, 16, 5)[region] * season
    temperature = temperature + 5 * rng.standard_normal((weeks, count))
    fuel = 2.7 + np.cumsum(0.03 * rng.standard_normal(weeks)) + 0.005 * np.arange(weeks)
    fuel = (
        np.clip(fuel, 2.2, 4.6)[:, None]
        + 0.12 * rng.standard_normal(5)[region]
        + 0.02 * rng.standard_normal((weeks, count))
    )

    quarter = (calendar.year * 4 + calendar.quarter).to_numpy() - (calendar[0].year * 4 + calendar[0].quarter)
    drift = np.cumsum(rng.normal(-0.12, 0.12, size=(quarter[-1] + 1, 5)), axis=0)
    unemployment = np.clip(np.array([6.5, 7.3, 8.1, 9.0, 10.2])[region] + drift[quarter][:, region], 3.5, 14)
    cpi = np.linspace(128, 214, 5)[region] * (1 + 0.0005 * np.arange(weeks))[:, None]
    cpi = cpi + 0.05 * rng.standard_normal((weeks, 1))
    late = (calendar > last_sales + pd.Timedelta(days=DAYS * (WEEKS_KNOWN_AHEAD - INDICATORS_LAG_WEEKS)))[:, None]

    markdowns = rng.lognormal([8.3, 7.0, 5.5, 7.6, 8.2], [1.0, 1.6, 1.9, 1.2, 0.8], size=(weeks, count, 5))
    markdowns *= (stores["size_sqft"].to_numpy() / 130_000)[None, :, None]
    absent = rng.random((weeks, count, 5)) < np.array([0.04, 0.25, 0.12, 0.13, 0.0])
    absent |= np.asarray(calendar < MARKDOWNS_START)[:, None, None]
    markdowns = np.where(absent, np.nan, np.round(markdowns, 2))

    def column(values: Matrix, digits: int) -> Matrix:
        return np.asarray(np.round(np.broadcast_to(values, (weeks, count)), digits), dtype=float).ravel()

    return pd.DataFrame(
        {
            "store_id": np.tile(stores["store_id"].to_numpy(), weeks),
            "week": np.repeat(calendar.to_numpy(), count),
            "temperature_f": column(temperature, 2),
            "fuel_price": column(fuel, 3),
            **{f"markdown{i + 1}": markdowns[:, :, i].ravel() for i in range(5)},
            "cpi": column(np.where(late, np.nan, cpi), 7),
            "unemployment_pct": column(np.where(late, np.nan, unemployment), 3),
            "is_holiday": np.repeat(_flags(calendar), count),
        }
    )


def _flags(calendar: pd.DatetimeIndex) -> NDArray[np.bool_]:
    """(T,) which weeks the retailer flags: those of a US one."""
    flagged: NDArray[np.bool_] = holiday_weeks(US, calendar[0], calendar[-1])["is_holiday"].to_numpy(dtype=bool)
    return flagged


def _bump(calendar: pd.DatetimeIndex, name: str, before: int, after: int) -> Matrix:
    """(T,) share of each week's seven days that lies within `before` days to `after` days of a holiday."""
    days = calendar.to_numpy()[:, None] - np.arange(DAYS)[None, :] * np.timedelta64(1, "D")
    inside = np.zeros(days.shape, dtype=bool)
    for year in range(calendar[0].year - 1, calendar[-1].year + 2):
        day = holiday_date(name, year).to_datetime64()
        inside |= (days >= day - np.timedelta64(before, "D")) & (days <= day + np.timedelta64(after, "D"))
    return inside.mean(axis=1, dtype=float)


@dataclass(frozen=True, eq=False)
class _Departments:
    """What the departments of the whole retailer are like: ids, level, yearly curve (T, D), how they grow, and more."""

    ids: NDArray[np.int32]
    level: Matrix
    curve: Matrix
    growth: Matrix
    shared: Matrix
    response: Matrix


def _sales(
    rng: np.random.Generator,
    seed: int,
    calendar: pd.DatetimeIndex,
    stores: pd.DataFrame,
    conditions: pd.DataFrame,
    departments: int,
) -> Iterator[pd.DataFrame]:
    weeks, count = len(calendar), len(stores)
    size = (stores["size_sqft"].to_numpy() / 130_000.0) ** 1.1
    markdown = np.nansum([conditions[f"markdown{i}"].to_numpy() for i in range(1, 6)], axis=0)
    markdown = markdown[: weeks * count].reshape(weeks, count) / (20_000.0 * size)
    known: _Departments | None = None
    for first in range(0, count, BLOCK_STORES):
        block = slice(first, first + BLOCK_STORES)
        draw = rng if known is None else np.random.default_rng([seed, first])
        sales, known = _block(
            draw, calendar, stores["store_id"].to_numpy()[block], size[block], markdown[:, block], departments, known
        )
        yield sales


def _block(
    rng: np.random.Generator,
    calendar: pd.DatetimeIndex,
    store_ids: NDArray[np.int32],
    size: Matrix,
    markdown: Matrix,
    departments: int,
    known: _Departments | None,
) -> tuple[pd.DataFrame, _Departments]:
    """Sales of some stores; what departments are like is drawn where it is not `known`."""
    weeks, count = len(calendar), len(store_ids)
    if known is None:
        ids = np.sort(rng.choice(np.arange(1, max(99, departments) + 1), departments, replace=False)).astype(np.int32)
        level, curve = _curves(rng, calendar, departments)
    else:
        ids, level, curve = known.ids, known.level, known.curve

    # Series: not every store has every department; size, taste and growth differ.
    held = rng.random((count, departments)) < rng.beta(9, 0.8, departments)
    held[:, 0] = True
    store, dept = np.nonzero(held)
    n = len(store)
    taste = np.exp(rng.normal(0, 0.4, n))
    base = level[dept] * size[store] * taste
    years = np.arange(weeks)[:, None] / 52.0
    department_growth = rng.normal(0.01, 0.03, departments) if known is None else known.growth
    growth = department_growth[dept] + rng.normal(0.005, 0.03, count)[store] + rng.normal(0, 0.05, n)
    own_season = 1.0 + 0.25 * rng.standard_normal(n)

    # Small series are the noisy ones; errors last for some weeks.
    sigma = np.clip(0.055 + 1.4 / np.sqrt(base), 0.055, 0.9)
    noise = rng.standard_normal((weeks, n)) * sigma
    for week in range(1, weeks):
        noise[week] = 0.45 * noise[week - 1] + np.sqrt(1 - 0.45**2) * noise[week]
    shared = _shared_shocks(rng, weeks, departments) if known is None else known.shared
    shock = np.where(rng.random((weeks, n)) < 0.003, rng.normal(0, 0.5, (weeks, n)), 0.0)

    if known is None:
        response = np.where(rng.random(departments) < 0.4, rng.uniform(0.0, 0.08, departments), 0.0)
        known = _Departments(ids, level, curve, department_growth, shared, response)
    lift = np.minimum(markdown, 3.0)[:, store] * known.response[dept]

    log_sales = curve[:, dept] * own_season + growth * years + shared[:, dept] + noise + shock + lift
    sales: Matrix = base * np.exp(log_sales)
    # Returns outweigh sales now and then where little is sold.
    returned = rng.random((weeks, n)) < np.clip(0.6 / np.sqrt(base) - 0.008, 0, 0.05)
    sales[returned] *= -0.15
    sales = np.asarray(np.round(np.clip(sales, -5_000.0, 650_000.0), 2), dtype=np.float64)

    present = _presence(rng, weeks, n, base)
    # The first department of a store never closes, so that every store sells in every week.
    present[:, np.unique(store, return_index=True)[1]] = True
    series, at = np.nonzero(present.T)
    frame = pd.DataFrame(
        {
            "store_id": store_ids[store[series]],
            "dept_id": ids[dept[series]],
            "week": calendar.to_numpy()[at],
            "sales": sales[at, series],
            "is_holiday": _flags(calendar)[at],
        }
    )
    return frame, known


def _curves(rng: np.random.Generator, calendar: pd.DatetimeIndex, departments: int) -> tuple[Matrix, Matrix]:
    """Departments: a level, a yearly curve of two waves, and how strongly each holiday moves them."""
    level = np.exp(np.clip(rng.normal(8.75, 1.15, departments), 4.5, 11.2))
    angle = 2 * np.pi * calendar.dayofyear.to_numpy()[:, None] / _YEAR
    swing = np.abs(rng.normal(0, 0.17, (2, departments)))
    phase = rng.uniform(0, 2 * np.pi, (2, departments))
    curve = swing[0] * np.cos(angle - phase[0]) + swing[1] * np.cos(2 * angle - phase[1])
    effect = np.zeros((len(calendar), departments))
    for name, (before, after), chance, low, high in (
        ("thanksgiving", (2, 2), 0.60, 0.3, 3.6),
        ("christmas", (15, 0), 0.75, 0.25, 1.9),
        ("easter", (9, 0), 0.25, 0.15, 1.0),
        ("super_bowl", (6, 0), 0.25, 0.05, 0.25),
        ("labor_day", (5, 1), 0.20, 0.05, 0.25),
    ):
        strength = np.where(rng.random(departments) < chance, rng.uniform(low, high, departments), 0.0)
        effect += _bump(calendar, name, before, after)[:, None] * strength
    after_christmas = _bump(calendar, "christmas", -1, 8)[:, None] * rng.uniform(0.0, 0.35, departments)
    return level, curve + np.log1p(effect) - after_christmas


def _shared_shocks(rng: np.random.Generator, weeks: int, departments: int) -> Matrix:
    """(T, D) what moves a department in all stores at once, and fades."""
    shared = np.zeros((weeks, departments))
    steps = 0.03 * rng.standard_normal((weeks, departments))
    for week in range(1, weeks):
        shared[week] = 0.85 * shared[week - 1] + steps[week]
    return shared


def _presence(rng: np.random.Generator, weeks: int, n: int, base: Matrix) -> NDArray[np.bool_]:
    """(T, n) where a series has a row: late starters, leavers, gaps, and some seen only for a few weeks."""
    at = np.arange(weeks)[:, None]
    fate = rng.random(n)
    # Small departments are the ones that come and go.
    fragile = np.clip(1.9 - np.log10(base) / 2.2, 0.3, 1.6)
    start = np.where(fate < 0.06 * fragile, rng.integers(1, max(weeks, 2), n), 0)
    leaves = (fate > 0.1) & (fate < 0.1 + 0.06 * fragile)
    end = np.where(leaves, rng.integers(1, weeks + 1, n), weeks)
    brief = fate > 1 - 0.06 * fragile
    start = np.where(brief, rng.integers(0, weeks, n), start)
    end = np.where(brief, np.minimum(start + rng.integers(1, 9, n), weeks), end)
    present = (at >= start) & (at < end)
    gap = rng.random(n) < 0.05
    gap_start, gap_length = rng.integers(0, weeks, n), rng.integers(1, 16, n)
    present &= ~(gap & (at >= gap_start) & (at < gap_start + gap_length))
    # A sparse series reports only some of its weeks.
    sparse = (base < 400) & (rng.random(n) < 0.35)
    return present & ~(sparse & (rng.random((weeks, n)) < 0.4))
