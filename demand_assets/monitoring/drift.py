"""Drift of one week: every feature and the prediction, per group, against the model's training and last season.

A week is measured on its rows of horizon 1, one per series. Groups are the chain, store types, departments, stores, and
groups of departments. `drift_metrics` measures, `drift_severity` judges, this module makes the report and its verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from demand_assets.contract.words import variable_word
from demand_assets.forecasting.calendar import names_of, weeks_back
from demand_assets.forecasting.features import OF_CALENDAR
from demand_assets.forecasting.weeks import WEEKS_PER_YEAR, add_weeks, week_number
from demand_assets.monitoring.drift_metrics import (
    CHAIN,
    DEPARTMENT,
    DEPT_GROUP,
    HISTORY_WEEKS,
    LAST_SEASON,
    PREDICTION,
    SEASON_WEEKS,
    STORE,
    STORE_TYPE,
    TRAINING,
    Unit,
    Weekly,
    department_group,
    distances,
    drift_classes,
    groups_of,
    matrix_of,
    rows_of,
    units,
    without_outliers,
)
from demand_assets.monitoring.drift_severity import (
    FEW,
    NONE,
    SEVERE,
    WARN,
    graded,
    graded_department_groups,
    in_words,
)

# Columns of rows by name, in the order of the rows.
Read = Callable[[Sequence[str]], pd.DataFrame]
ROW_KEYS = ("store_id", "dept_id", "origin_week")
KEYS = ("week", "reference", "group_kind", "group_id", "variable")
# Share of sales in groups with a severe drift from which the week is severe: single stores differ in most weeks.
ALARM_SHARE = 0.05
# Earlier origins that a report can use: its history, and what lay a year before each week of it.
PAST_WEEKS = HISTORY_WEEKS + WEEKS_PER_YEAR + SEASON_WEEKS

REPORT_COLUMNS: Mapping[str, str] = {
    "week": "Origin week that was judged",
    "reference": "training (52 origins the champion learnt from) or last_season (origins 50 to 54 weeks before)",
    "group_kind": "chain, store_type, dept_group, department or store",
    "group_id": "Which of that kind",
    "variable": "Name of the feature, or prediction (forecast over scale)",
    "kind": "feature, prediction or calendar",
    "points": "Series with a value, now",
    "reference_points": "Values in the reference",
    "psi": "Population stability index, bins fixed on the reference",
    "ks": "Kolmogorov-Smirnov distance",
    "ks_p": "Its p-value; not judged by",
    "mean_shift": "Mean now less the reference's, in standard deviations of the reference",
    "missing_shift": "Share missing now less the reference's",
    "severity": "none, warn or severe; few: too few points or weeks to judge",
    "score": "How far the effect lies outside its own history, robust standard deviations",
    "mean_now": "Mean now; of last_season the change against it",
    "mean_usual": "Median of the same over the weeks of the history",
    "sales_share": "Share of the chain's mean weekly sales that the group has",
    "by": "Effect that the severity rests on: mean, missing, psi, flag; empty where nothing drifted",
    "words": "What drifted, in words; empty where nothing did",
}


@dataclass(frozen=True)
class DriftVerdict:
    """A week's drift in short: worst severity, all that drifted and the severe part of it in words, worst first.

    `sales_share` is the part of the chain's sales that the groups with a severe drift have, 0 to 1.
    """

    severity: str
    named: tuple[str, ...]
    severe: tuple[str, ...]
    sales_share: float


@dataclass(frozen=True, eq=False)
class JudgedWeek:
    """The week of a report, the last origin the champion learnt from, and each group's share of sales.

    `shares` has, by kind of group, each group's share of the chain's mean weekly sales.
    """

    week: pd.Timestamp
    as_of: pd.Timestamp
    shares: Mapping[str, pd.Series[float]]

    @classmethod
    def of(cls, now: pd.DataFrame, as_of: pd.Timestamp) -> JudgedWeek:
        """From the week's rows: [store_id, dept_id, origin_week, scale, store_type]. ValueError for two weeks."""
        found = now["origin_week"].unique()
        if len(found) != 1:
            raise ValueError(f"expected rows of one week, got those of {len(found)}")
        shares = {kind: _sales_shares(now, kind) for kind in (CHAIN, STORE_TYPE, DEPARTMENT, STORE)}
        return cls(pd.Timestamp(found[0]), as_of, shares)


def drift_report(
    now: pd.DataFrame, past: pd.DataFrame, as_of: pd.Timestamp, targets: pd.DataFrame, calendar: pd.DataFrame
) -> pd.DataFrame:
    """One row per reference x group x variable of a week, `REPORT_COLUMNS`.

    `now` and `past` are rows of the week and of earlier origins (the `PAST_WEEKS` before it, as far as they
    exist), in order of origin; `as_of` is the last origin the champion learnt from; `targets` are [target_week,
    is_holiday] of the week's features; `calendar` is the retailer's, of `calendar_of`. ValueError when `now` is not of
    one week or `past` not all earlier.
    """
    judged = JudgedWeek.of(now, as_of)
    if (past["origin_week"] >= judged.week).any():
        raise ValueError(f"expected a past before {judged.week:%Y-%m-%d}, got later rows in it")
    rows = pd.concat([past, now], ignore_index=True)
    part = block_report(lambda columns: rows[list(columns)], judged, units(rows.columns))
    return joined_report([part], judged, flags_of(rows), targets, calendar)


def blocks_of(rows: int, most_values: int, columns: Iterable[str] = ()) -> list[tuple[Unit, ...]]:
    """All variables in as few blocks as hold at most `most_values` values of `rows` rows, or one variable each.

    `columns` are those of demand_features, where it has features of drivers.
    """
    most = max(1, most_values // max(rows, 1))
    parts = [
        replace(unit, variables=unit.variables[first : first + most])
        for unit in units(columns)
        for first in range(0, len(unit.variables), most)
    ]
    blocks: list[list[Unit]] = []
    held = 0
    for part in parts:
        if not blocks or held + len(part.variables) > most:
            blocks.append([])
            held = 0
        blocks[-1].append(part)
        held += len(part.variables)
    return [tuple(block) for block in blocks]


def block_report(read: Read, judged: JudgedWeek, block: Sequence[Unit]) -> pd.DataFrame:
    """The report's rows about the variables of some units; only their columns are in memory.

    `read` gives columns of the rows of the past and the judged week, in order of origin.
    """
    columns = dict.fromkeys([*ROW_KEYS, "store_type", *(name for unit in block for name in unit.variables)])
    rows = read(list(columns))
    parts = [part for unit in block for part in _of_unit(unit, rows_of(unit, rows), judged)]
    report = pd.concat(parts, ignore_index=True).assign(week=judged.week)
    calendar = report["variable"].isin([name for name, drift in drift_classes().items() if drift.of == OF_CALENDAR])
    report["kind"] = np.select([calendar, report["variable"] == PREDICTION], ["calendar", "prediction"], "feature")
    # Calendar facts differ from week to week by nature; they are held against the calendar itself instead.
    report.loc[calendar, "by"] = ""
    report.loc[calendar & (report["severity"] != FEW), "severity"] = NONE
    drifted = report["severity"].isin([WARN, SEVERE])
    report["words"] = ""
    report.loc[drifted, "words"] = [
        in_words({str(name): value for name, value in row.items()}) for row in report[drifted].to_dict("records")
    ]
    return report[list(REPORT_COLUMNS)]


def joined_report(
    parts: Iterable[pd.DataFrame],
    judged: JudgedWeek,
    flags: pd.Series[bool],
    targets: pd.DataFrame,
    calendar: pd.DataFrame,
) -> pd.DataFrame:
    """The report of all `block_report`s; `flags` are those of the past and the week, the others as above."""
    report = pd.concat(parts, ignore_index=True)
    for variable, words in lost_flags(judged.week, flags, targets, calendar).items():
        told = (report["variable"] == variable).to_numpy() & (report["reference"] == TRAINING).to_numpy()
        for column, value in (("severity", SEVERE), ("by", "flag"), ("words", words)):
            report.loc[told, column] = value
    return report.sort_values(list(KEYS), ignore_index=True)


def flags_of(rows: pd.DataFrame) -> pd.Series[bool]:
    """Whether each origin was flagged as a holiday week."""
    return rows.groupby("origin_week")["origin_is_holiday"].max() > 0


def _of_unit(unit: Unit, rows: pd.DataFrame, judged: JudgedWeek) -> Iterator[pd.DataFrame]:
    week, as_of, shares = judged.week, judged.as_of, judged.shares
    # Rows come in order of origin, so that the first seen is the earliest.
    at, origins = pd.factorize(rows["origin_week"])
    weeks = pd.DatetimeIndex(origins)
    last = len(weeks) - 1
    number = week_number(weeks)
    references = {
        TRAINING: np.flatnonzero((weeks <= as_of) & (weeks < week))[-HISTORY_WEEKS:],
        LAST_SEASON: np.flatnonzero(np.abs(number - number[-1] + WEEKS_PER_YEAR) <= SEASON_WEEKS),
    }
    history = {TRAINING: np.arange(max(last - HISTORY_WEEKS, 0), last), LAST_SEASON: np.arange(0)}
    values = matrix_of(rows, unit.variables)
    # Stores are sums over many series already, and a feed that changes its unit is no outlier.
    clipped = values if unit.key == ("store_id",) else without_outliers(values, at < last)
    for kind in unit.kinds:
        codes, names = groups_of(rows, kind)
        weekly = Weekly.of(clipped, at, codes, len(names), weeks)
        share = np.asarray(shares[kind].reindex(names).fillna(0.0), dtype=np.float64)
        for reference, places in references.items():
            season = reference == LAST_SEASON
            metrics = distances(values, at, codes, len(names), places, history[reference], last)
            changes = weekly.against_last_season() if season else weekly.recent()
            yield graded(unit.variables, metrics, changes, share, season=season).assign(
                reference=reference,
                group_kind=kind,
                group_id=np.repeat(names, len(unit.variables)),
                sales_share=np.repeat(share, len(unit.variables)),
            )
        if kind == DEPARTMENT and "residual_lag_0" in unit.variables:
            residual = unit.variables.index("residual_lag_0")
            points = np.bincount(codes[(at == last) & ~np.isnan(values[:, residual])], minlength=len(names))
            together = graded_department_groups(weekly.recent().mean[:, :, residual], points, names)
            of_group = (
                shares[DEPARTMENT].groupby([department_group(int(name)) for name in shares[DEPARTMENT].index]).sum()
            )
            yield together.assign(reference=TRAINING, sales_share=together["group_id"].map(of_group))


def _sales_shares(now: pd.DataFrame, kind: str) -> pd.Series[float]:
    """Share of the chain's mean weekly sales by name of group."""
    codes, names = groups_of(now, kind)
    scale = now["scale"].to_numpy()
    return pd.Series(np.bincount(codes, weights=scale, minlength=len(names)) / scale.sum(), index=names)


def lost_flags(
    week: pd.Timestamp, flags: pd.Series[bool], targets: pd.DataFrame, calendar: pd.DataFrame
) -> dict[str, str]:
    """Variable -> words, for holiday weeks without their flag.

    A week should be flagged when its counterpart last year was (`flags` has earlier origins and the week itself), or
    when the calendar names a holiday in it and at least half of the earlier weeks with a named one were flagged.
    """
    before = flags[flags.index < week]
    ruled = np.array([bool(names) for names in names_of(pd.DatetimeIndex(before.index), calendar)], dtype=bool)
    follows_rule = bool(ruled.any() and before[ruled].mean() >= 0.5)
    ahead = targets.groupby("target_week")["is_holiday"].max() > 0
    judged = pd.concat([flags[flags.index == week], ahead])
    dates = pd.DatetimeIndex(judged.index)
    named = names_of(dates, calendar)
    found: dict[str, list[str]] = {}
    for date, flagged, names, back in zip(dates, judged, named, weeks_back(dates, calendar), strict=True):
        was = bool(before.get(add_weeks(date, -round(back)), False))
        if flagged or not (was or (follows_rule and names)):
            continue
        name = names[0].replace("_", " ") if names else "a holiday last year"
        variable = "origin_is_holiday" if date == week else "is_holiday"
        found.setdefault(variable, []).append(f"week {date:%Y-%m-%d} ({name})")
    return {
        name: f"chain: {variable_word(name).name} lost its flag in {', '.join(said)}" for name, said in found.items()
    }


def drift_verdict(rows: pd.DataFrame) -> DriftVerdict:
    """The verdict over one week's report.

    Drift already reported for the chain is not repeated for its stores and departments, nor drift of a department group
    for its departments. A variable that drifted against both references is named once.
    """
    found = rows[rows["severity"].isin([WARN, SEVERE])]
    order = found.assign(
        rank=found["severity"].map({SEVERE: 0, WARN: 1}),
        width=found["group_kind"].map({CHAIN: 0, STORE_TYPE: 1, DEPT_GROUP: 2, DEPARTMENT: 3, STORE: 3}),
        size=-found["score"].abs(),
    ).sort_values(["rank", "width", "size", *KEYS])
    said: set[tuple[str, str, str]] = set()
    kept: list[int] = []
    for place, kind, group, variable in order[["group_kind", "group_id", "variable"]].itertuples(name=None):
        wider = [(CHAIN, "all"), (kind, group)]
        if kind == DEPARTMENT:
            wider.append((DEPT_GROUP, department_group(int(group))))
        if not said & {(*one, variable) for one in wider}:
            said.add((kind, group, variable))
            kept.append(place)
    named = order.loc[kept]
    severe = named[named["severity"] == SEVERE]
    # Kinds of groups overlap, so the widest kind counts.
    touched = severe.drop_duplicates(["group_kind", "group_id"]).groupby("group_kind")["sales_share"].sum()
    share = min(float(touched.max()), 1.0) if len(severe) else 0.0
    return DriftVerdict(
        severity=SEVERE if share >= ALARM_SHARE else WARN if len(named) else NONE,
        named=tuple(named["words"]),
        severe=tuple(severe["words"]),
        sales_share=share,
    )
