"""What a week's drift is measured on: one row per series, its groups, their weekly means, and distances of samples."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.forecasting.features import (
    OF_CALENDAR,
    OF_DEPARTMENT,
    OF_SERIES,
    OF_STORE,
    STORE_TYPES,
    DriftClass,
    features_of,
)
from demand_assets.forecasting.weeks import WEEKS_PER_YEAR, week_number
from demand_assets.monitoring.drift_statistics import (
    bin_counts,
    ks_distance,
    ks_p_value,
    quantile_edges,
    stability_index,
)

Matrix = NDArray[np.float64]
Values = NDArray[np.floating[Any]]
Places = NDArray[np.int64]
TRAINING, LAST_SEASON = "training", "last_season"
PREDICTION = "prediction"
# The rows of demand_features that drift is measured on: one per series.
NEAREST: Mapping[str, float] = {"horizon": 1}
HISTORY_WEEKS = 52
SEASON_WEEKS = 2  # either side of the week 52 weeks before
CHAIN, STORE_TYPE, DEPARTMENT, STORE, DEPT_GROUP = "chain", "store_type", "department", "store", "dept_group"


def measured(features: pd.DataFrame, forecast: Matrix) -> pd.DataFrame:
    """The part of demand_features that drift is measured on: its rows of horizon 1, with the forecast over scale.

    `forecast` has one value per row of `features`.
    """
    near = np.logical_and.reduce([features[name].to_numpy() == value for name, value in NEAREST.items()])
    names = ["store_id", "dept_id", "origin_week", "scale", *features_of(features.columns)]
    scaled = scaled_forecast(np.asarray(forecast)[near], features["scale"].to_numpy()[near])
    return features.loc[near, names].assign(**{PREDICTION: scaled}).reset_index(drop=True)


def scaled_forecast(forecast: Matrix, scale: Matrix) -> NDArray[np.float32]:
    """(n,) forecasts over the scale of their series: the prediction that is watched for drift."""
    return (forecast / scale).astype(np.float32)


def department_group(dept_id: int) -> str:
    """The departments whose numbers share the ten, e.g. `90-99`: the nearest to a hierarchy that the data have."""
    return f"{dept_id // 10 * 10}-{dept_id // 10 * 10 + 9}"


@dataclass(frozen=True)
class Unit:
    """Variables with one value a week for each `key`, and the `kinds` of groups in which they are compared."""

    key: tuple[str, ...]
    variables: tuple[str, ...]
    kinds: tuple[str, ...]


SERIES = ("store_id", "dept_id")
_OF_PREDICTION = DriftClass(OF_SERIES)
# Drift class -> the key that has one value of a variable each week, and the kinds of groups it is compared in.
_KEYS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    OF_SERIES: (SERIES, (CHAIN, STORE_TYPE, DEPARTMENT, STORE)),
    # CPI of a store is one value: counted once per department it would look like a sample of seventy.
    OF_STORE: (("store_id",), (CHAIN, STORE_TYPE)),
    OF_DEPARTMENT: (("dept_id",), (CHAIN,)),
    OF_CALENDAR: ((), (CHAIN,)),
}


def drift_classes(columns: Iterable[str] = ()) -> dict[str, DriftClass]:
    """Every watched variable with its class: the features, those of drivers among `columns`, and the prediction."""
    return {**{name: spec.drift for name, spec in features_of(columns).items()}, PREDICTION: _OF_PREDICTION}


def units(columns: Iterable[str] = ()) -> tuple[Unit, ...]:
    """All watched variables, by their key; `columns` as for `drift_classes`."""
    classes = drift_classes(columns)
    return tuple(
        Unit(key, tuple(name for name, drift in classes.items() if drift.of == of), kinds)
        for of, (key, kinds) in _KEYS.items()
    )


def rows_of(unit: Unit, rows: pd.DataFrame) -> pd.DataFrame:
    """One row per origin and unit, of rows that are one per origin and series."""
    return rows if unit.key == SERIES else rows.drop_duplicates(["origin_week", *unit.key], ignore_index=True)


def matrix_of(rows: pd.DataFrame, variables: Sequence[str]) -> NDArray[np.float32]:
    """(n, V) values, each variable in one stretch of memory, as they are read."""
    values = np.empty((len(rows), len(variables)), dtype=np.float32, order="F")
    for column, name in enumerate(variables):
        values[:, column] = rows[name].to_numpy()
    return values


def groups_of(rows: pd.DataFrame, kind: str) -> tuple[Places, list[str]]:
    """(n,) position of each row's group, and the groups' names."""
    if kind == CHAIN:
        return np.zeros(len(rows), dtype=np.int64), ["all"]
    column = {STORE_TYPE: "store_type", DEPARTMENT: "dept_id", STORE: "store_id"}[kind]
    # By hash: there are few groups, and sorting millions of rows takes much longer.
    at, codes = pd.factorize(rows[column].to_numpy().astype(np.int32), sort=True)
    types = dict(enumerate(STORE_TYPES))
    return at, [types.get(int(code), "other") if kind == STORE_TYPE else str(code) for code in codes]


def rows_in_group(rows: pd.DataFrame, kind: str, name: str) -> NDArray[np.bool_]:
    """(n,) which rows belong to a group."""
    if kind == DEPT_GROUP:
        return (rows["dept_id"] // 10 == int(name.split("-")[0]) // 10).to_numpy()
    codes, names = groups_of(rows, kind)
    return codes == names.index(name)


def without_outliers(values: Values, reference: NDArray[np.bool_]) -> Values:
    """(n, V) values clipped to one range of 5% to 95% of the reference's rows below and above it.

    A single series then does not move the mean of its group, while all of them together do.
    """
    clipped = values.copy(order="K")
    for column in range(values.shape[1]):
        held = values[reference & ~np.isnan(values[:, column]), column]
        if len(held):
            low, high = np.quantile(held, [0.05, 0.95])
            clipped[:, column] = np.clip(values[:, column], 2 * low - high, 2 * high - low)
    return clipped


@dataclass(frozen=True, eq=False)
class Weekly:
    """(weeks, G, V) means and shares missing of every group in every origin; the last is the week that is judged."""

    weeks: pd.DatetimeIndex
    mean: Matrix
    missing: Matrix

    @classmethod
    def of(cls, values: Values, at: Places, codes: Places, groups: int, weeks: pd.DatetimeIndex) -> "Weekly":
        """From (n, V) values in week `at` and group `codes`."""
        place = at * groups + codes
        shape = (len(weeks), groups)
        rows = np.bincount(place, minlength=len(weeks) * groups)
        mean, missing = (np.full((*shape, values.shape[1]), np.nan) for _ in range(2))
        for column in range(values.shape[1]):
            held = ~np.isnan(values[:, column])
            if held.all():
                count, total = rows, np.bincount(place, weights=values[:, column], minlength=len(rows))
            else:
                count = np.bincount(place[held], minlength=len(rows))
                total = np.bincount(place[held], weights=values[held, column], minlength=len(rows))
            np.divide(
                total.reshape(shape), count.reshape(shape), out=mean[:, :, column], where=count.reshape(shape) > 0
            )
            lost = 1 - count / np.maximum(rows, 1)
            missing[:, :, column] = np.where(rows > 0, lost, np.nan).reshape(shape)
        return cls(weeks, mean, missing)

    def recent(self) -> "Weekly":
        """The week that is judged and the `HISTORY_WEEKS` origins before it."""
        kept = slice(-HISTORY_WEEKS - 1, None)
        return Weekly(self.weeks[kept], self.mean[kept], self.missing[kept])

    def against_last_season(self) -> "Weekly":
        """The same less the mean of the weeks around 52 weeks before; NaN where there are none."""
        number = week_number(self.weeks)
        mean, missing = (np.full_like(table, np.nan) for table in (self.mean, self.missing))
        for row, week in enumerate(number):
            season = np.abs(number - (week - WEEKS_PER_YEAR)) <= SEASON_WEEKS
            if season.any():
                for change, table in ((mean, self.mean), (missing, self.missing)):
                    held = (~np.isnan(table[season])).sum(axis=0)
                    before = np.nansum(table[season], axis=0) / np.where(held > 0, held, np.nan)
                    change[row] = table[row] - before
        return Weekly(self.weeks, mean, missing).recent()


@dataclass(frozen=True, eq=False)
class Distances:
    """(G, V) distances of each group's week from a reference, and (weeks, G, V) PSI of earlier weeks from it."""

    points: Places
    reference_points: Places
    psi: Matrix
    ks: Matrix
    ks_p: Matrix
    spread: Matrix
    reference_mean: Matrix
    reference_missing: Matrix
    psi_history: Matrix


def distances(
    values: Values, at: Places, codes: Places, groups: int, reference: Places, earlier: Places, last: int
) -> Distances:
    """Week `last` of (n, V) values against the weeks `reference`, group by group; so too the weeks `earlier`.

    `at` (n,) is the week of each row, in order; `reference` and `earlier` are weeks in a row.
    """
    shape = (groups, values.shape[1])
    points, reference_points = (np.zeros(shape, dtype=np.int64) for _ in range(2))
    psi, ks, spread, mean, missing = (np.full(shape, np.nan) for _ in range(5))
    of_weeks = np.full((len(earlier), *shape), np.nan)
    used = np.zeros(last + 1, dtype=bool)
    used[reference] = used[earlier] = used[last] = True
    rows = np.flatnonzero(used[at])
    # By group, then week, column by column: a sample is then one stretch of memory. Small codes sort in linear time.
    order = rows[np.argsort(codes[rows].astype(np.min_scalar_type(groups)), kind="stable")]
    columns, place = values.T[:, order], codes[order] * (last + 1) + at[order]
    gaps = np.isnan(columns)
    for group in range(groups):
        first = group * (last + 1)
        then, before, now = (_stretch(place, first, weeks) for weeks in (reference, earlier, np.array([last])))
        size = then.stop - then.start
        week = place[before] - (first + earlier[0] if len(earlier) else 0)
        for column in range(shape[1]):
            old, new = (_held(columns[column], gaps[column], part) for part in (then, now))
            points[group, column], reference_points[group, column] = len(new), len(old)
            missing[group, column] = 1 - len(old) / size if size else np.nan
            if not len(old):
                continue
            mean[group, column], spread[group, column] = old.mean(dtype=float), old.std(dtype=float)
            if not len(new):
                continue
            ordered, new = np.sort(old), np.sort(new)
            edges = quantile_edges(ordered)
            expected = bin_counts(ordered, edges)
            psi[group, column] = stability_index(expected, bin_counts(new, edges))
            ks[group, column] = ks_distance(ordered, new)
            if len(earlier):
                was, when = _held(columns[column], gaps[column], before), _held(week, gaps[column, before], slice(None))
                counts = _weekly_bin_counts(was, when, len(earlier), edges)
                index = stability_index(expected, counts)
                of_weeks[:, group, column] = np.where(counts.sum(axis=1) > 0, index, np.nan)
    p_value = ks_p_value(ks, reference_points, points)
    return Distances(points, reference_points, psi, ks, p_value, spread, mean, missing, of_weeks)


def _stretch(place: Places, first: int, weeks: Places) -> slice:
    """Where the rows of `weeks` in a row lie, of the group whose weeks are numbered from `first`."""
    if not len(weeks):
        return slice(0, 0)
    start, stop = np.searchsorted(place, [first + weeks[0], first + weeks[-1] + 1])
    return slice(int(start), int(stop))


def _held(values: NDArray[Any], gaps: NDArray[np.bool_], part: slice) -> NDArray[Any]:
    """A part of the values, less those where there is a gap."""
    own, lost = values[part], gaps[part]
    return own[~lost] if lost.any() else own


def _weekly_bin_counts(values: Matrix, week: Places, weeks: int, edges: Matrix) -> Places:
    """(weeks, bins) how many values fall into each bin in each week; a value on an edge belongs to the bin above."""
    bins = len(edges) + 1
    # Comparing with every edge is faster than searching among them: there are nine at most.
    above = np.zeros(len(values), dtype=np.uint8)
    for edge in edges:
        above += (values >= edge).view(np.uint8)
    return np.bincount(week * bins + above, minlength=weeks * bins).reshape(weeks, bins)
