"""What a scenario changes: a CSV of new values for covariates that are known ahead, checked as a whole.

Columns `covariate` and `change`, and optionally `store_id`, `dept_id` and `week`; an empty cell means all. A change is
a new value (`1.99`), a factor (`*0.5`) or a percentage (`+10%`, `-20%`).
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import pandas as pd

from demand_assets.errors import ScenarioError
from demand_assets.forecasting.drivers import ALL, OF_SERIES, OF_STORE, DriverFrames
from demand_assets.forecasting.weeks import as_week

REQUIRED, OPTIONAL = ("covariate", "change"), ("store_id", "dept_id", "week")
COLUMNS = ("line", "store_id", "dept_id", "week", "covariate", "factor", "value")
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
# Each form of a change, by the group that its number is in.
_CHANGE = rf"^(?:(?P<value>-?{_NUMBER})|\*\s*(?P<factor>{_NUMBER})|(?P<percent>[+-]{_NUMBER})\s*%)$"
_FORMS = "a value such as 1.99, a factor such as *0.5, or a percentage such as -20%"
# Of so many wrong cells each is told; a wrong file has thousands.
_MOST_TOLD = 50
Problem = tuple[int, str]
"""(line of the file, what is wrong in it)."""


@dataclass(frozen=True, eq=False)
class Plannable:
    """What a scenario may change: covariates known ahead, of the series that are forecast, in their target weeks.

    `levels`: covariate -> "store" or "series". `observed`: the other covariates of the data set, for the error.
    `stores` and `departments`: text id -> key. `series`: [store_id, dept_id] keys of the series that are forecast.
    """

    levels: Mapping[str, str]
    observed: Sequence[str]
    stores: Mapping[str, int]
    departments: Mapping[str, int]
    series: pd.DataFrame
    weeks: pd.DatetimeIndex

    def cells(self, level: str) -> pd.DataFrame:
        """[store_id, dept_id, week] of every value of a covariate of that level; the department of a store is `ALL`."""
        keys = self.series[["store_id", "dept_id"]]
        if level == OF_STORE:
            keys = keys[["store_id"]].drop_duplicates().assign(dept_id=np.int32(ALL))
        return keys.merge(pd.DataFrame({"week": self.weeks}), how="cross")


def levels_of(drivers: DriverFrames) -> dict[str, str]:
    """Driver -> `OF_STORE` or `OF_SERIES`: what one value of it is of."""
    return {name: OF_STORE if name in drivers.of_stores.columns else OF_SERIES for name in drivers.names}


def read_changes(text: str, plannable: Plannable, name: str = "changes") -> pd.DataFrame:
    """`COLUMNS` of each line: keys (`ALL` for all), week (NaT for all), and a factor or a value, the other NaN.

    ScenarioError with every wrong line of the file called `name`: its line, column, value and what is expected.
    """
    rows = _rows(text, name)
    found = rows["change"].str.extract(_CHANGE).astype("float64")
    week = pd.to_datetime(rows["week"], format="%Y-%m-%d", errors="coerce")
    changes = pd.DataFrame(
        {
            "line": rows["line"],
            "store_id": _keys(rows["store_id"], plannable.stores),
            "dept_id": _keys(rows["dept_id"], plannable.departments),
            "week": week.astype("datetime64[ns]"),
            "covariate": rows["covariate"],
            "factor": found["factor"].fillna(1 + found["percent"] / 100),
            "value": found["value"],
        },
        columns=list(COLUMNS),
    )
    refuse(
        [
            *_wrong_ids(rows, changes, plannable),
            *_wrong_weeks(rows, plannable),
            *_wrong_values(rows, changes, plannable),
        ],
        name,
    )
    return changes


def refuse(problems: Iterable[Problem], name: str) -> None:
    """ScenarioError naming every problem by its line, unless there is none."""
    told = [f"line {line}, {words}" for line, words in sorted(problems)]
    if told:
        more = f"; and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
        raise ScenarioError(f"{name}: {'; '.join(told[:_MOST_TOLD])}{more}")


def _rows(text: str, name: str) -> pd.DataFrame:
    """The lines as text, each column of `REQUIRED` and `OPTIONAL`, and `line`; empty lines are left out."""
    lines = text.removeprefix("\ufeff")
    head = lines.partition("\n")[0]
    reader = csv.reader(io.StringIO(lines), delimiter=";" if ";" in head and "," not in head else ",")
    cells = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    given = [(line, row) for line, row in cells if any(row)]
    if len(given) < 2:
        raise ScenarioError(f"{name}: expected a header and at least one change, got {len(given)} lines")
    header = given[0][1]
    _check_header(header, name)
    refuse(
        ((at, f"expected {len(header)} cells, got {len(row)}") for at, row in given if len(row) != len(header)), name
    )
    rows = pd.DataFrame([row for _, row in given[1:]], columns=header, dtype=str)
    rows = rows.reindex(columns=[*OPTIONAL, *REQUIRED], fill_value="")
    return rows.assign(line=[line for line, _ in given[1:]])


def _check_header(header: Sequence[str], name: str) -> None:
    known = (*OPTIONAL, *REQUIRED)
    problems = [f"no column {column}" for column in REQUIRED if column not in header]
    problems += [f"unknown column {one!r}{nearest(one, known)}" for one in header if one not in known]
    problems += [f"column {one} twice" for one in known if header.count(one) > 1]
    if problems:
        raise ScenarioError(f"{name}, line 1: {', '.join(problems)}; expected columns of {', '.join(known)}")


def nearest(text: str, known: Iterable[str]) -> str:
    """The known names most like a text, in words; nothing when none is."""
    alike = get_close_matches(text, list(known), n=3)
    return f" (nearest: {', '.join(alike)})" if alike else ""


def _keys(ids: "pd.Series[str]", known: Mapping[str, int]) -> "pd.Series[int]":
    return ids.map({**known, "": ALL}).fillna(ALL).astype("int32")


def _wrong_ids(rows: pd.DataFrame, changes: pd.DataFrame, plannable: Plannable) -> Iterator[Problem]:
    for column, known in (("store_id", plannable.stores), ("dept_id", plannable.departments)):
        wrong = rows[~rows[column].isin([*known, ""])]
        for line, text in zip(wrong["line"], wrong[column], strict=True):
            yield line, f"column {column}, {text!r}: expected an id of the data or nothing{nearest(text, known)}"
    level = rows["covariate"].map(plannable.levels)
    wrong = rows[(level == OF_STORE) & (changes["dept_id"] != ALL)]
    for line, text, driver in zip(wrong["line"], wrong["dept_id"], wrong["covariate"], strict=True):
        yield line, f"column dept_id, {text!r}: expected nothing, as {driver} is a value of a whole store"


def _wrong_weeks(rows: pd.DataFrame, plannable: Plannable) -> Iterator[Problem]:
    weeks = plannable.weeks
    known = {f"{week:%Y-%m-%d}" for week in weeks}
    wrong = rows[~rows["week"].isin([*known, ""])]
    for line, text in zip(wrong["line"], wrong["week"], strict=True):
        yield line, f"column week, {text!r}: {_week_words(text, weeks)}"


def _week_words(text: str, weeks: pd.DatetimeIndex) -> str:
    try:
        as_week(text, int(weeks[0].dayofweek))
    except (ValueError, pd.errors.OutOfBoundsDatetime) as error:
        return str(error)
    return f"expected a target week, {weeks[0]:%Y-%m-%d} to {weeks[-1]:%Y-%m-%d}"


def _wrong_values(rows: pd.DataFrame, changes: pd.DataFrame, plannable: Plannable) -> Iterator[Problem]:
    wrong = rows[~rows["covariate"].isin(list(plannable.levels))]
    for line, text in zip(wrong["line"], wrong["covariate"], strict=True):
        yield line, f"column covariate, {text!r}: {_driver_words(text, plannable)}"
    wrong = rows[changes["factor"].isna() & changes["value"].isna()]
    for line, text in zip(wrong["line"], wrong["change"], strict=True):
        yield line, f"column change, {text!r}: expected {_FORMS}"
    wrong = rows[changes["factor"] < 0]
    for line, text in zip(wrong["line"], wrong["change"], strict=True):
        yield line, f"column change, {text!r}: expected at most -100%"


def _driver_words(text: str, plannable: Plannable) -> str:
    ahead = ", ".join(plannable.levels)
    if text in plannable.observed:
        return f"is known only once its week has ended; known ahead are {ahead}"
    return f"expected a covariate that is known ahead: {ahead}{nearest(text, plannable.levels)}"
