"""A severity follows its rules one by one, and says in words what drifted."""

import dataclasses
import itertools
import math
import statistics
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from demand_assets.forecasting.features import FEATURES
from demand_assets.forecasting.weeks import add_weeks, weeks_between
from demand_assets.monitoring.drift_metrics import Distances, Weekly
from demand_assets.monitoring.drift_severity import graded, graded_department_groups, in_words
from tests.monitoring.drift_rows import WEEK

_WINDOWS = [f"{kind}growth_{weeks}" for kind in ("", "dept_", "store_") for weeks in (4, 8, 16)]
_RESIDUALS = [f"residual_{kind}" for kind in ("lag_0", "lag_1", "mean_4", "mean_13")]
_OF_GROUPS = ["dept_residual_mean_4", "store_residual_mean_4"]
_COMPARED = ["temperature_change", "fuel_change", "cpi_change", "unemployment_change"]
_FIXED = ["store_type", "store_size", "department", "weeks_observed"]
# What does not swing with the season, and what another variable told of before.
STEADY = {*_WINDOWS, *_RESIDUALS, *_OF_GROUPS, *_COMPARED, *_FIXED}
LATE = {"lag_1", "lag_2", "lag_3", "lag_4", "lag_7", "lag_12", "residual_lag_1"}


def _median(values: Sequence[float]) -> float:
    held = [value for value in values if not math.isnan(value)]
    return statistics.median(held) if held else math.nan


def _plain_zscore(history: Sequence[float], now: float, least: float) -> tuple[float, float, float, int]:
    """Score, reach, usual value and weeks."""
    held = [value for value in history if not math.isnan(value)]
    usual = _median(held)
    away = [abs(value - usual) for value in held]
    scale = max(1.4826 * _median(away) if away else 0.0, least)
    return (now - usual) / scale, abs(now - usual) / max(scale, *away, 0.0), usual, len(held)


def _plain_grade(
    name: str, cell: tuple[int, int], measures: Distances, weekly: Weekly, sales_share: float, *, season: bool
) -> dict[str, object]:
    """The row of one group and variable, rule by rule."""
    of = {field.name: getattr(measures, field.name)[..., *cell] for field in dataclasses.fields(measures)}
    mean, missing = weekly.mean[:, *cell].tolist(), weekly.missing[:, *cell].tolist()
    spread = of["spread"]
    spread = spread if math.isnan(spread) else max(spread, 0.01 * abs(of["reference_mean"]), 1e-6)
    by_mean = _plain_zscore(mean[:-1], mean[-1], 0.02 * (1.0 if math.isnan(spread) else spread))
    share = (np.nan_to_num(of["reference_missing"]) * of["points"] + 1) / (of["points"] + 2)
    sampling = math.sqrt(share * (1 - share) / (of["points"] + 2))
    by_missing = _plain_zscore(missing[:-1], missing[-1], max(0.005, sampling))
    by_psi = _plain_zscore(of["psi_history"].tolist(), of["psi"], 0.05)
    shift = mean[-1] - (0.0 if season else of["reference_mean"])
    lost = missing[-1] - (0.0 if season else of["reference_missing"])
    compared = sales_share >= 0.005 and of["reference_points"] >= 20
    enough = compared and of["points"] >= 20

    level, by = 0, ""
    judgeable = enough and by_mean[3] >= 12
    score = by_mean[0] if judgeable else math.nan
    for kind, effect, outside, found, floors, judged in (
        ("mean", abs(shift) / spread, abs(by_mean[0]), by_mean, (0.2, 0.5), enough),
        ("missing", lost, by_missing[0], by_missing, (0.03, 0.05), compared),
        ("psi", of["psi"], by_psi[0], by_psi, (1.0, 1.0), enough and not season),
    ):
        reached = 0
        for floor, least_score, least_reach in zip(floors, (6.0, 12.0), (1.2, 2.0), strict=True):
            reached += effect >= floor and outside >= least_score and found[1] > least_reach
        if not judged or found[3] < 12 or (not season and kind != "missing" and name not in STEADY):
            reached = 0
        if name in LATE:
            reached = min(reached, 1)
        if reached > level:
            level, by, score = reached, kind, found[0]
    return {
        "variable": name,
        **{column: of[column] for column in ("points", "reference_points", "psi", "ks", "ks_p")},
        "mean_shift": shift / spread,
        "missing_shift": lost,
        "severity": ("none" if judgeable else "few", "warn", "severe")[level],
        "by": by,
        "score": score,
        "mean_now": mean[-1],
        "mean_usual": by_mean[2],
        "missing_now": missing[-1],
        "missing_usual": by_missing[2],
    }


@pytest.mark.parametrize("seed", range(3))
def test_a_severity_is_that_of_each_group_and_variable_by_itself(seed: int) -> None:
    draw = np.random.default_rng(seed)
    groups, weeks = 12, 15
    variables = [*FEATURES, "prediction"]
    shape = (groups, len(variables))
    history = draw.normal(0.0, 0.03, (weeks, *shape)) * draw.choice([0.0, 0.2, 1.0], shape)
    history[3] *= draw.choice([1.0, 5.0], shape)  # a far week, which the week has to leave behind
    missing = draw.choice([0.0, 0.004, 0.5], shape) + draw.uniform(0.0, 0.002, (weeks, *shape))
    # Twelve of the fourteen weeks before are enough.
    for table in (history, missing):
        table[:-1][draw.random((weeks - 1, *shape)) < 0.1] = np.nan
    history[-1] = draw.choice([-1.0, 1.0], shape) * np.exp(draw.uniform(np.log(0.1), np.log(1.0), shape))
    missing[-1] += draw.choice([-0.4, 0.0, 0.02, 0.04, 0.06, 0.4], shape)  # less may miss than usually, too
    psi_history = draw.uniform(0.0, 0.3, (weeks - 1, *shape)) * draw.choice([0.2, 1.0], shape)
    psi_history += draw.choice([0.0, 5.0], shape, p=[0.8, 0.2])
    psi_history[draw.random(psi_history.shape) < 0.1] = np.nan
    unused = np.zeros(shape)
    measures = Distances(
        points=draw.choice([0, 19, 20, 2000], shape, p=[0.1, 0.1, 0.2, 0.6]),
        reference_points=draw.choice([19, 20, 2000], shape, p=[0.1, 0.2, 0.7]),
        psi=draw.uniform(0.0, 3.0, shape),
        ks=unused,
        ks_p=unused,
        spread=draw.choice([0.0, 0.9, 1.1, np.nan], shape, p=[0.1, 0.4, 0.4, 0.1]),
        reference_mean=draw.choice([0.0, -0.04, -100.0], shape, p=[0.4, 0.4, 0.2]),
        reference_missing=draw.choice([0.0, 0.02, np.nan], shape),
        psi_history=psi_history,
    )
    share = draw.choice([0.0049, 0.005, 0.5], groups, p=[0.1, 0.3, 0.6])
    weekly = Weekly(weeks_between(add_weeks(WEEK, 1 - weeks), WEEK), history, missing)
    for season in (False, True):
        table = graded(variables, measures, weekly, share, season=season)
        expected = pd.DataFrame(
            [
                _plain_grade(name, (group, place), measures, weekly, float(share[group]), season=season)
                for group in range(groups)
                for place, name in enumerate(variables)
            ]
        )
        pd.testing.assert_frame_equal(table[list(expected.columns)], expected, check_dtype=False)
        # Every way to be judged is there.
        reasons = {("none", ""), ("few", ""), *itertools.product(["warn", "severe"], ["mean", "missing"])}
        reasons |= set() if season else {("warn", "psi"), ("severe", "psi")}
        assert set(table[["severity", "by"]].itertuples(index=False, name=None)) == reasons


def _plain_department_group(residual: np.ndarray, points: list[int], mine: list[int]) -> dict[str, object]:
    """One group of departments, numbered as in `residual` (weeks, departments)."""
    judged = [one for one, count in enumerate(points) if count >= 20]
    relative = [[row[one] - _median([row[other] for other in judged]) for one in range(len(row))] for row in residual]
    away, scales = {}, {}
    for one in mine:
        past = [row[one] for row in relative[:-1]]
        away[one] = relative[-1][one] - _median(past)
        scales[one] = max(1.4826 * _median([abs(value - _median(past)) for value in past]), 0.02)
    held = [one for one in mine if one in judged and not math.isnan(away[one])] or mine
    score = sum(min(max(away[one] / scales[one], -4.0), 4.0) for one in held) / len(held)
    shift = statistics.median(away[one] for one in held)
    level = sum(abs(score) >= least for least in (1.0, 2.0)) if abs(shift) >= 0.05 else 0
    return {
        "points": sum(points[one] for one in held),
        "reference_points": len(held) * (len(residual) - 1),
        "mean_shift": shift / statistics.median(scales[one] for one in held),
        "severity": ("none", "warn", "severe")[level] if len(held) >= 4 and len(residual) > 12 else "few",
        "by": "mean" if level else "",
        "score": score,
        "mean_now": statistics.median(residual[-1][one] for one in held),
        "mean_usual": statistics.median(_median([row[one] for row in relative[:-1]]) for one in held),
    }


@pytest.mark.parametrize("weeks", [12, 13, 30])
def test_departments_drift_together_as_plain_medians_say(weeks: int) -> None:
    draw = np.random.default_rng(weeks)
    names = [*range(1, 8), *range(10, 15), *range(20, 24), *range(30, 33), *range(40, 46), 50, *range(60, 66), 100]
    group = np.array(names) // 10
    residual = draw.normal(0.0, 0.03, (weeks, len(names))) * draw.choice([0.1, 1.0, 2.0], len(names))
    residual[-1] += np.array([0.0, -0.045, -0.3, 0.3, 0.06, 0.0, -0.08, 0.0, 0.0, 0.0, 0.5])[group]
    residual[2, 3] = residual[-1, 8] = np.nan  # a week without a value, and a department without one now
    points = np.full(len(names), 20)
    points[[0, 5, names.index(50)]] = 19  # too few series to count; alone in its group, it is still told of
    table = graded_department_groups(residual, points, [str(name) for name in names])
    numbers = sorted(set(group.tolist()))
    expected = pd.DataFrame(
        [_plain_department_group(residual, points.tolist(), np.flatnonzero(group == one).tolist()) for one in numbers]
    )
    pd.testing.assert_frame_equal(table[list(expected.columns)], expected, check_dtype=False)
    assert table["group_id"].tolist() == [f"{ten}0-{ten}9" if ten else "0-9" for ten in numbers]
    assert set(table["group_kind"]) == {"dept_group"}
    assert set(table["variable"]) == {"residual_lag_0"}
    seen = {"few"} if weeks < 13 else {"few", "none", "warn", "severe"}
    assert set(table["severity"]) == seen


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({}, "chain: Newest sales up 50% (1 -> 1.5) against training"),
        (
            {"mean_now": 0.5, "group_kind": "store_type", "group_id": "A"},
            "store type A: Newest sales down 50% (1 -> 0.5)",
        ),
        ({"mean_usual": -1.0, "mean_now": -1.5}, "chain: Newest sales down 50% (-1 -> -1.5) against training"),
        ({"mean_usual": 0.2, "mean_now": 0.4}, "chain: Newest sales up (0.2 -> 0.4) against training"),
        ({"mean_usual": -0.21, "mean_now": 0.0}, "chain: Newest sales up 100% (-0.21 -> 0) against training"),
        ({"group_kind": "dept_group", "group_id": "0-9"}, "departments 0-9: Newest sales up 50%"),
        ({"group_kind": "store", "group_id": "7"}, "store 7: Newest sales up 50%"),
        ({"reference": "last_season", "mean_now": -0.3}, "chain: Newest sales -0.3 on last season (usually +1)"),
        ({"by": "missing"}, "chain: Newest sales missing 25% (usually 5%) against training"),
        (
            {"by": "missing", "reference": "last_season"},
            "chain: Newest sales missing +25% on last season (usually +5%)",
        ),
        ({"by": "psi"}, "chain: Newest sales spread differently (PSI 1.25, KS 0.50) against training"),
    ],
)
def test_what_drifted_is_said_in_words(row: dict[str, object], words: str) -> None:
    usual = {
        "group_kind": "chain", "group_id": "all", "variable": "lag_0", "reference": "training", "by": "mean",
        "mean_now": 1.5, "mean_usual": 1.0, "missing_now": 0.25, "missing_usual": 0.05, "psi": 1.25, "ks": 0.5,
    }  # fmt: skip
    assert in_words({**usual, **row}).startswith(words)
