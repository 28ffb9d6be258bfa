"""Measures of a group and week are those of its own rows."""

import itertools
import math

import numpy as np
import pandas as pd

from demand_assets.forecasting.weeks import add_weeks, weeks_between
from demand_assets.monitoring.drift_metrics import (
    Weekly,
    department_group,
    distances,
    measured,
    rows_in_group,
    without_outliers,
)
from demand_assets.monitoring.drift_statistics import ks_distance
from tests.monitoring.drift_rows import WEEK, psi


def test_weekly_means_and_changes_are_those_of_each_group_and_week() -> None:
    draw = np.random.default_rng(2)
    weeks = weeks_between(add_weeks(WEEK, -112), WEEK).delete([20, 60])
    groups = 3
    at = np.sort(draw.integers(0, len(weeks), 1500))
    codes = draw.integers(0, groups, len(at))
    values = draw.normal(5.0, 1.0, (len(at), 2))
    values[draw.random(len(at)) < 0.4, 1] = np.nan
    keep = (codes != 2) | (at < 100)  # a group without a row in the newest weeks
    values, at, codes = values[keep], at[keep], codes[keep]
    found = Weekly.of(values, at, codes, groups, weeks)
    changes = found.against_last_season()
    mean, missing = ({} for _ in range(2))
    for place in itertools.product(weeks, range(groups), (0, 1)):
        own = values[(weeks[at] == place[0]) & (codes == place[1]), place[2]]
        held = own[~np.isnan(own)]
        mean[place] = held.mean() if len(held) else math.nan
        missing[place] = 1 - len(held) / len(own) if len(own) else math.nan
    for made, since, plain in ((found, changes, mean), (found, changes, missing)):
        table, change = (made.mean, since.mean) if plain is mean else (made.missing, since.missing)
        np.testing.assert_allclose(table.ravel(), list(plain.values()))
        expected = []
        for week, group, column in itertools.product(weeks[-53:], range(groups), (0, 1)):
            season = [plain.get((add_weeks(week, -52 + away), group, column), math.nan) for away in range(-2, 3)]
            held = [value for value in season if not math.isnan(value)]
            expected.append(plain[week, group, column] - sum(held) / len(held) if held else math.nan)
        np.testing.assert_allclose(change.ravel(), expected, atol=1e-12)
    pd.testing.assert_index_equal(changes.weeks, weeks[-53:])
    np.testing.assert_array_equal(found.recent().mean, found.mean[-53:])


def test_outliers_are_drawn_to_the_range_of_the_reference() -> None:
    reference = np.array([True] * 21 + [False] * 3)
    values = np.append(np.arange(21.0), [-100.0, 100.0, np.nan])
    # 5% and 95% of 0..20 are 1 and 19: one range of 18 more on either side.
    clipped = without_outliers(values[:, None], reference)[:, 0]
    np.testing.assert_array_equal(clipped, [*np.arange(21.0), -17.0, 37.0, np.nan])


def test_rows_of_a_group_are_those_of_its_stores_departments_or_tens_of_departments() -> None:
    rows = pd.DataFrame({"store_id": [1, 1, 2, 2], "dept_id": [9, 10, 19, 20], "store_type": [0, 0, 1, 1]})
    found = {
        (kind, name): rows_in_group(rows, kind, name).tolist()
        for kind, name in (
            ("chain", "all"), ("store_type", "B"), ("store", "1"), ("department", "19"), ("dept_group", "10-19")
        )
    }  # fmt: skip
    assert found == {
        ("chain", "all"): [True, True, True, True],
        ("store_type", "B"): [False, False, True, True],
        ("store", "1"): [True, True, False, False],
        ("department", "19"): [False, False, True, False],
        ("dept_group", "10-19"): [False, True, True, False],
    }


def test_measured_rows_are_one_per_series_with_the_scaled_forecast(features: pd.DataFrame) -> None:
    rows = measured(features, 2 * features["scale"].to_numpy())
    assert len(rows) == len(features[["store_id", "dept_id", "origin_week"]].drop_duplicates())
    assert (rows["prediction"] == 2).all()
    assert [department_group(dept) for dept in (1, 9, 10, 99)] == ["0-9", "0-9", "10-19", "90-99"]


def test_distances_are_those_of_each_sample_by_itself() -> None:
    random = np.random.default_rng(5)
    weeks, groups, count = 9, 3, 900
    at, codes = np.sort(random.integers(0, weeks, count)), random.integers(0, groups, count)
    values = random.normal(size=(count, 4)).round(1).astype(np.float32)
    values[random.random(values.shape) < 0.2] = np.nan
    values[(codes == 1) & (at < 6), 2] = np.nan  # nothing to compare with
    values[(codes == 2) & (at == 3), 0] = np.nan  # a week of the history without a value
    keep = (codes != 0) | (at != 4)  # a week of the history without a row
    values, at, codes = values[keep], at[keep], codes[keep]
    reference, earlier, last = np.arange(3, 7), np.arange(2, 8), weeks - 1
    found = distances(values, at, codes, groups, reference, earlier, last)
    for group, column in np.ndindex(groups, values.shape[1]):
        own = values[codes == group, column], at[codes == group]
        then, now = (own[0][np.isin(own[1], which)] for which in (reference, [last]))
        old, new = then[~np.isnan(then)], now[~np.isnan(now)]
        place = (group, column)
        assert found.points[place] == len(new)
        assert found.reference_points[place] == len(old)
        assert found.reference_missing[place] == 1 - len(old) / len(then)
        np.testing.assert_equal(found.psi[place], psi(old, new))
        np.testing.assert_equal(found.ks[place], ks_distance(np.sort(old), new))
        for position, week in enumerate(earlier):
            held = own[0][own[1] == week]
            np.testing.assert_equal(found.psi_history[position, group, column], psi(old, held[~np.isnan(held)]))
        if len(old):
            assert (found.reference_mean[place], found.spread[place]) == (old.mean(dtype=float), old.std(dtype=float))
