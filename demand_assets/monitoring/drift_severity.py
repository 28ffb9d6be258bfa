"""Severity of a drift, by the size of an effect and by its robust z-score in its own history.

A drift needs both. The effect must reach a floor, and it must lie outside everything that the weeks of its own history
did. A p-value decides nothing: with thousands of series every week differs from every other "significantly".
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.contract.words import variable_word
from demand_assets.monitoring.drift_metrics import (
    CHAIN,
    DEPT_GROUP,
    LAST_SEASON,
    STORE_TYPE,
    Distances,
    Weekly,
    department_group,
    drift_classes,
)
from demand_assets.monitoring.drift_statistics import column_median, robust_zscore

Matrix = NDArray[np.float64]
NONE, WARN, SEVERE, FEW = "none", "warn", "severe", "few"
LEAST_POINTS = 20  # series with a value, in the week and in the reference
LEAST_WEEKS = 12  # weeks of history
LEAST_SALES_SHARE = 0.005  # of the chain's mean weekly sales
# Floors of effects and of robust z-scores, (warn, severe). Mean shifts are in standard deviations of the reference.
MEAN_FLOOR = (0.2, 0.5)
MISSING_FLOOR = (0.03, 0.05)
PSI_FLOOR = (1.0, 1.0)
SCORE = (6.0, 12.0)
# Distance over the farthest week of the history.
REACH = (1.2, 2.0)
# A history may be still, but never so still that a trifle stands out: least robust standard deviations.
LEAST_MEAN_SCALE = 0.02
LEAST_MISSING_SCALE = 0.005
LEAST_PSI_SCALE = 0.05
# Mean score of the departments of a group, each no more than the limit; needs a few departments to be a mean of.
GROUP_SCORE = (1.0, 2.0)
SCORE_LIMIT = 4.0
LEAST_DEPARTMENTS = 4
LEAST_GROUP_SHIFT = 0.05  # of the mean weekly sales


def graded(
    variables: Sequence[str], metrics: Distances, weekly: Weekly, sales_share: Matrix, *, season: bool
) -> pd.DataFrame:
    """One row per group x variable, in that order: effects, severity, and what it rests on.

    `weekly` is what the history is taken from: weekly means, or with `season` their changes against last season. A
    variable that swings with the season is no more than a warning against anything but last season.
    """
    spread = np.maximum(metrics.spread, np.maximum(0.01 * np.abs(metrics.reference_mean), 1e-6))
    if season:
        shift, missing = weekly.mean[-1], weekly.missing[-1]
    else:
        shift = weekly.mean[-1] - metrics.reference_mean
        missing = weekly.missing[-1] - metrics.reference_missing
    of_mean = robust_zscore(weekly.mean[:-1], weekly.mean[-1], LEAST_MEAN_SCALE * np.nan_to_num(spread, nan=1.0))
    # One series more or less is a large share of a small group: never below the sampling error of a share.
    points = metrics.points + 2
    share = (np.nan_to_num(metrics.reference_missing) * metrics.points + 1) / points
    sampling = np.sqrt(share * (1 - share) / points)
    of_missing = robust_zscore(weekly.missing[:-1], weekly.missing[-1], np.maximum(LEAST_MISSING_SCALE, sampling))
    of_psi = robust_zscore(metrics.psi_history, metrics.psi, LEAST_PSI_SCALE)
    large = (sales_share >= LEAST_SALES_SHARE)[:, None]
    enough = large & (metrics.points >= LEAST_POINTS) & (metrics.reference_points >= LEAST_POINTS)
    level = np.zeros(shift.shape, dtype=np.int64)
    by = np.full(shift.shape, "", dtype=object)
    score = np.where(enough & (of_mean.weeks >= LEAST_WEEKS), of_mean.score, np.nan)
    classes = drift_classes(variables)
    delayed = np.array([classes[name].delayed for name in variables])
    seasonal = np.array([classes[name].seasonal for name in variables])
    for name, effect, found, floors, judged in (
        ("mean", np.abs(shift) / spread, of_mean, MEAN_FLOOR, enough),
        # Values that begin to come are news, not a loss.
        ("missing", missing, of_missing, MISSING_FLOOR, large & (metrics.reference_points >= LEAST_POINTS)),
        ("psi", metrics.psi, of_psi, PSI_FLOOR, enough),
    ):
        if name == "psi" and season:
            continue
        outside = found.score if name != "mean" else np.abs(found.score)
        reached = sum(
            (effect >= floors[step]) & (outside >= SCORE[step]) & (found.reach > REACH[step]) for step in (0, 1)
        )
        reached = np.where(judged & (found.weeks >= LEAST_WEEKS), reached, 0)
        if not season and name != "missing":
            reached = np.where(seasonal[None, :], 0, reached)
        reached = np.where(delayed[None, :], np.minimum(reached, 1), reached)
        more = reached > level
        level, by, score = np.where(more, reached, level), np.where(more, name, by), np.where(more, found.score, score)
    judgeable = enough & (of_mean.weeks >= LEAST_WEEKS)
    severity = np.array([NONE, WARN, SEVERE])[level]
    severity = np.where(~judgeable & (level == 0), FEW, severity)
    groups = shift.shape[0]
    flat = {
        "points": metrics.points, "reference_points": metrics.reference_points, "psi": metrics.psi,
        "ks": metrics.ks, "ks_p": metrics.ks_p, "mean_shift": shift / spread, "missing_shift": missing,
        "severity": severity, "by": by, "score": score, "mean_now": weekly.mean[-1], "mean_usual": of_mean.usual,
        "missing_now": weekly.missing[-1], "missing_usual": of_missing.usual,
    }  # fmt: skip
    return pd.DataFrame(
        {"variable": np.tile(variables, groups), **{name: table.ravel() for name, table in flat.items()}}
    )


def graded_department_groups(residual: Matrix, points: NDArray[np.int64], names: list[str]) -> pd.DataFrame:
    """One row per department group: whether its departments left their usual sales together.

    `residual` (weeks, departments) are weekly means of `residual_lag_0`, the last of the week itself, which holds
    `points` series. A department's score is its distance to the chain's median, as a robust z-score in its own
    history; a group's score is the mean of them.
    """
    held = points >= LEAST_POINTS
    relative = residual - column_median(np.where(held, residual, np.nan).T)[:, None]
    history = relative[:-1]
    usual = column_median(history)
    scale = np.maximum(1.4826 * column_median(np.abs(history - usual)), LEAST_MEAN_SCALE)
    scores = np.clip((relative - usual) / scale, -SCORE_LIMIT, SCORE_LIMIT)
    of_group = np.array([department_group(int(name)) for name in names])
    rows = []
    for group in sorted(set(of_group), key=lambda name: int(name.split("-")[0])):
        mine = held & (of_group == group) & ~np.isnan(scores[-1])
        if not mine.any():
            mine = of_group == group
        score = float(scores[-1, mine].mean())
        shift = float(np.median((relative - usual)[-1, mine]))
        reached = sum(abs(score) >= least for least in GROUP_SCORE) if abs(shift) >= LEAST_GROUP_SHIFT else 0
        judgeable = mine.sum() >= LEAST_DEPARTMENTS and len(history) >= LEAST_WEEKS
        rows.append(
            {
                "variable": "residual_lag_0",
                "group_kind": DEPT_GROUP,
                "group_id": group,
                "points": int(points[mine].sum()),
                "reference_points": int(len(history) * mine.sum()),
                "mean_shift": shift / float(np.median(scale[mine])),
                "severity": (NONE, WARN, SEVERE)[reached] if judgeable else FEW,
                "by": "mean" if reached else "",
                "score": score,
                "mean_now": float(np.median(residual[-1, mine])),
                "mean_usual": float(np.median(usual[mine])),
            }
        )
    return pd.DataFrame(rows)


def in_words(row: Mapping[str, Any]) -> str:
    """What drifted, as `department 5: Newest sales up 16% (0.92 -> 1.07) against training`."""
    group = {CHAIN: "chain", STORE_TYPE: "store type", DEPT_GROUP: "departments"}.get(
        row["group_kind"], row["group_kind"]
    )
    where = group if row["group_kind"] == CHAIN else f"{group} {row['group_id']}"
    variable = variable_word(row["variable"]).name
    against = "last season" if row["reference"] == LAST_SEASON else "training"
    match row["by"]:
        case "missing":
            if row["reference"] == LAST_SEASON:
                now, usual = row["missing_now"], row["missing_usual"]
                return f"{where}: {variable} missing {now:+.0%} on last season (usually {usual:+.0%})"
            change = f"missing {row['missing_now']:.0%} (usually {row['missing_usual']:.0%})"
        case "psi":
            change = f"spread differently (PSI {row['psi']:.2f}, KS {row['ks']:.2f})"
        case _ if row["reference"] == LAST_SEASON:
            return f"{where}: {variable} {row['mean_now']:+.2g} on last season (usually {row['mean_usual']:+.2g})"
        case _:
            way = "up" if row["mean_now"] > row["mean_usual"] else "down"
            change = f"{way} {_amount(row['mean_usual'], row['mean_now'])}"
    return f"{where}: {variable} {change} against {against}"


def _amount(usual: float, now: float) -> str:
    """`10% (0.92 -> 1.01)`; without the share where the usual value is too near zero to divide by."""
    values = f"{usual:.3g} -> {now:.3g}"
    return f"{abs(now / usual - 1):.0%} ({values})" if abs(usual) > 0.2 else f"({values})"
