"""What-if: the plans of one origin with some values changed. Nothing else of what was known at the origin moves."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from demand_assets.errors import ScenarioError
from demand_assets.forecasting.changes import Plannable, Problem, read_changes, refuse
from demand_assets.forecasting.drivers import ALL, DriverFrames

_CELL = ["store_id", "dept_id", "week", "covariate"]
_ROW = ["store_id", "dept_id", "week"]


def with_changes(
    text: str, drivers: DriverFrames, origin: pd.Timestamp, plannable: Plannable, name: str = "changes"
) -> tuple[DriverFrames, pd.DataFrame]:
    """The drivers with the plans of `origin` as the CSV `text` changes them, and the values that are changed.

    The second is [store_id, dept_id, week, covariate, before, after]. `before` is what was planned, else the newest
    value at the origin, as a price stands until it is changed; NaN where there never was one. A factor is of it. Of
    several lines that name one value the last counts. ScenarioError as for `read_changes`; for a line that names no
    series that is forecast, or a factor of values none of which is known; and when nothing changes.
    """
    changes = read_changes(text, plannable, name)
    cells = _expanded(changes, plannable)
    refuse(_of_no_series(changes, cells), name)
    plan = planned(drivers, origin, plannable.weeks)
    # The last line that names a value counts, so that an exception can follow a rule.
    cells = cells.sort_values("line", kind="stable").drop_duplicates(_CELL, keep="last")
    cells["planned"] = _before(cells, plan)
    cells["before"] = cells["planned"].fillna(_newest(cells, drivers, origin))
    cells["after"] = cells["value"].fillna(cells["factor"] * cells["before"])
    refuse(_of_nothing(cells), name)
    moved = cells[cells["after"].notna() & (cells["after"] != cells["planned"])]
    if moved.empty:
        raise ScenarioError(f"{name}: expected a change, got values that are planned already")
    moved = moved[[*_CELL, "before", "after"]].sort_values(_CELL, ignore_index=True)
    return replace(drivers, plans=_plans(drivers, origin, plan, moved)), moved


def values_at(drivers: DriverFrames, origin: pd.Timestamp, plannable: Plannable, covariate: str) -> pd.DataFrame:
    """[store_id, dept_id, week, value] of a driver in the target weeks: planned, else the newest; NaN for neither."""
    cells = plannable.cells(plannable.levels[covariate]).assign(covariate=covariate)
    before = _before(cells, planned(drivers, origin, plannable.weeks))
    return cells[_ROW].assign(value=before.fillna(_newest(cells, drivers, origin)))


def money_by_week(
    base: pd.DataFrame, made: pd.DataFrame, before: pd.DataFrame, after: pd.DataFrame
) -> dict[str, list[float]]:
    """ISO week -> [base, scenario]: forecasts at their prices, of the series that have a price in both.

    `base` and `made` are [store_id, dept_id, target_week, forecast], `before` and `after` those of `values_at`.
    """
    keys = ["store_id", "dept_id", "target_week"]
    both = base[[*keys, "forecast"]].merge(made[[*keys, "forecast"]], on=keys, suffixes=("_base", "_made"))
    for name, prices in (("before", before), ("after", after)):
        # A price of a whole store is that of each of its series.
        on = keys if (prices["dept_id"] != ALL).any() else ["store_id", "target_week"]
        known = prices.rename(columns={"week": "target_week", "value": name})
        both = both.merge(known[[*on, name]], on=on, how="left")
    priced = both.dropna(subset=["before", "after"])
    sums = (
        priced.assign(base=priced["forecast_base"] * priced["before"], made=priced["forecast_made"] * priced["after"])
        .groupby("target_week")[["base", "made"]]
        .sum()
    )
    return {f"{week:%Y-%m-%d}": [float(was), float(now)] for week, was, now in sums.itertuples()}


def planned(drivers: DriverFrames, origin: pd.Timestamp, weeks: pd.DatetimeIndex) -> pd.DataFrame:
    """[store_id, dept_id, week, covariate, value] of what was planned at `origin` for `weeks`, where anything was.

    Of a driver without a plan at that origin the values of those weeks count, as for a forecast.
    """
    own = drivers.plans[drivers.plans["origin_week"] == origin]
    plan = _long(own, drivers)
    values = pd.concat([_long(frame, drivers) for frame in _values(drivers)], ignore_index=True)
    unplanned = values[~values["covariate"].isin(plan["covariate"])]
    stated = pd.concat([plan, unplanned], ignore_index=True)
    return stated[stated["week"].isin(weeks)].reset_index(drop=True)


def _values(drivers: DriverFrames) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The values of stores and of series, with the same keys."""
    return drivers.of_stores.assign(dept_id=np.int32(ALL)), drivers.of_series


def _before(cells: pd.DataFrame, plan: pd.DataFrame) -> "pd.Series[float]":
    """What was planned for each cell: its own value, else that of its whole store."""
    own = cells[_CELL].merge(plan, on=_CELL, how="left")["value"]
    of_store = cells[_CELL].assign(dept_id=np.int32(ALL)).merge(plan, on=_CELL, how="left")["value"]
    return own.fillna(of_store).set_axis(cells.index)


def _long(frame: pd.DataFrame, drivers: DriverFrames) -> pd.DataFrame:
    names = [name for name in drivers.names if name in frame.columns]
    long = frame.melt(_ROW, names, var_name="covariate", value_name="value")
    return long[long["value"].notna()]


def _expanded(changes: pd.DataFrame, plannable: Plannable) -> pd.DataFrame:
    """Each line with every cell it names: `_CELL`, line, factor, value."""
    parts = []
    level = changes["covariate"].map(plannable.levels)
    given = pd.DataFrame({"store_id": changes["store_id"] != ALL, "dept_id": changes["dept_id"] != ALL})
    given["week"] = changes["week"].notna()
    # A group per way of leaving columns empty, not per line.
    for (of, *has), lines in changes.groupby([level, *(given[name] for name in _ROW)]):
        on = [name for name, is_given in zip(_ROW, has, strict=True) if is_given]
        narrow = lines[[*on, "line", "covariate", "factor", "value"]]
        cells = plannable.cells(str(of))
        parts.append(narrow.merge(cells, on=on) if on else narrow.merge(cells, how="cross"))
    return pd.concat(parts, ignore_index=True)


def _of_no_series(changes: pd.DataFrame, cells: pd.DataFrame) -> Iterator[Problem]:
    for line in changes.loc[~changes["line"].isin(cells["line"]), "line"]:
        yield line, "columns store_id, dept_id: expected a series that is forecast, got none"


def _newest(cells: pd.DataFrame, drivers: DriverFrames, origin: pd.Timestamp) -> "pd.Series[float]":
    """The newest stated value at the origin of the driver of each cell; NaN where there never was one."""
    known = [_long(frame[frame["week"] <= origin], drivers) for frame in _values(drivers)]
    keys = ["store_id", "dept_id", "covariate"]
    newest = pd.concat(known, ignore_index=True).sort_values("week").drop_duplicates(keys, keep="last")
    return cells[keys].merge(newest[[*keys, "value"]], on=keys, how="left")["value"].set_axis(cells.index)


def _of_nothing(cells: pd.DataFrame) -> Iterator[Problem]:
    """Lines of which no value is known to take a share of; of another line those that are known change."""
    known = cells.loc[cells["after"].notna(), "line"]
    unknown = cells[~cells["line"].isin(known)].drop_duplicates("line")
    for line, name in zip(unknown["line"], unknown["covariate"], strict=True):
        yield line, f"column change: expected a value, as no {name} is planned or known to take a share of"


def _plans(drivers: DriverFrames, origin: pd.Timestamp, plan: pd.DataFrame, moved: pd.DataFrame) -> pd.DataFrame:
    """The plans of all origins, that of `origin` with the moved cells."""
    changed = pd.concat([plan, moved[[*_CELL, "after"]].rename(columns={"after": "value"})], ignore_index=True)
    last = changed.drop_duplicates(_CELL, keep="last")
    stated = last.set_index([*_ROW, "covariate"])["value"]
    wide = stated.unstack("covariate").reindex(columns=list(drivers.names))  # noqa: PD010
    own = wide.rename_axis(columns=None).reset_index().assign(origin_week=origin)[[*drivers.plans.columns]]
    others = drivers.plans[drivers.plans["origin_week"] != origin]
    return pd.concat([others, own], ignore_index=True) if len(others) else own
