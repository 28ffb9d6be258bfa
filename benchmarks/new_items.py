"""Would a new series be forecast better from its look-alikes than from its own first weeks?

A look-alike is the same department or product in another store, whose mean week is brought to the new store's size by
the series that both stores have. Each series that starts after a year, with some weeks of its own known, is forecast
by a flat level over the next four weeks: the mean of its own weeks, the look-alikes' median, or a mixture in which the
look-alikes count as so many own weeks. Starts before and after the median start are shown apart: a weight chosen on
the early ones is judged on the late ones.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.driver_data import soap
from demand_assets.adapters.landing import LandingZone

Values = NDArray[np.float64]
HORIZON, RECENT, YEAR = 4, 8, 52
OWN_WEEKS = (1, 2, 4, 8)
WEIGHTS = (0.25, 0.5, 1.0, 2.0, 4.0)


def starts(sales: pd.DataFrame) -> pd.DataFrame:
    """[weeks, origin, own, alike, actual] of each new series with 1, 2, 4 and 8 weeks of its own known."""
    table = sales.pivot_table(index="week", columns=["store_id", "dept_id"], values="sales", aggfunc="sum")
    table = table.reindex(pd.date_range(table.index.min(), table.index.max(), freq="7D"))
    values, keys = table.to_numpy(), table.columns.to_frame(index=False)
    first = np.argmax(~np.isnan(values), axis=0)
    new = np.flatnonzero((first >= YEAR) & (first < len(values) - HORIZON - max(OWN_WEEKS)))
    found = [
        (weeks, int(first[one]) + weeks - 1, *_levels(values, keys, first, int(one), int(first[one]) + weeks - 1))
        for weeks in OWN_WEEKS
        for one in new
    ]
    return pd.DataFrame(found, columns=["weeks", "origin", "own", "alike", "actual"]).dropna()


def _levels(values: Values, keys: pd.DataFrame, first: NDArray[np.int64], one: int, origin: int) -> tuple[float, ...]:
    """Mean of the series' own weeks, level of its look-alikes (NaN without any), and mean of the weeks to forecast."""
    level = np.nanmean(values[max(origin - RECENT + 1, 0) : origin + 1], axis=0)
    settled = keys.assign(level=np.where(first <= origin - RECENT + 1, level, np.nan)).dropna()
    settled = settled[settled["dept_id"] != keys["dept_id"][one]]
    alike = keys.assign(level=level)[
        (keys["dept_id"] == keys["dept_id"][one]) & (first <= origin - RECENT + 1)
    ].dropna()
    here = settled[settled["store_id"] == keys["store_id"][one]][["dept_id", "level"]]
    both = settled.merge(here, on="dept_id", suffixes=("", "_here")).groupby("store_id")[["level", "level_here"]].sum()
    size = (both["level_here"] / both["level"]).reindex(alike["store_id"]).fillna(1.0).to_numpy()
    own = float(np.nanmean(values[first[one] : origin + 1, one]))
    ahead = float(np.nanmean(values[origin + 1 : origin + 1 + HORIZON, one]))
    return own, float(np.median(alike["level"] * size)) if len(alike) else np.nan, ahead


def errors(found: pd.DataFrame) -> pd.DataFrame:
    """Absolute error over sales of each way, by weeks known and half of the starts."""
    found = found.assign(half=np.where(found["origin"] <= found["origin"].median(), "early", "late"))
    ways = {"own": found["own"], "alike": found["alike"]}
    ways |= {
        f"alike as {weight:g}": (found["weeks"] * found["own"] + weight * found["alike"]) / (found["weeks"] + weight)
        for weight in WEIGHTS
    }
    missed = pd.DataFrame({name: (level - found["actual"]).abs() for name, level in ways.items()})
    groups = [found["weeks"], found["half"]]
    share = missed.groupby(groups).sum().div(found.groupby(groups)["actual"].sum(), axis=0)
    return share.assign(starts=missed.groupby(groups).size()).round(3)


def main() -> None:
    """Print the errors on Walmart and on soap."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--walmart", type=Path, required=True, help="folder with Walmart's CSVs")
    parser.add_argument("--soap", type=Path, required=True, help="soap.csv.gz")
    given = parser.parse_args()
    # Weeks of nothing are expected: a series that has just begun has no past.
    warnings.filterwarnings("ignore", "Mean of empty slice")
    for name, sales in (
        ("walmart", LandingZone(str(given.walmart)).contents().tables().sales),
        ("soap", soap(given.soap, 24).sales),
    ):
        print(f"\n{name}\n{errors(starts(sales)).to_string()}")


if __name__ == "__main__":
    main()
