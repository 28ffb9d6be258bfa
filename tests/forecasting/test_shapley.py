"""Shapley values by look-up are TreeSHAP's, as xgboost works them out."""

import itertools
import math

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray

from demand_assets.forecasting.models.xgboost import XGBoost
from demand_assets.forecasting.shapley import DEEPEST, grouped_attributions

FEATURES, GROUPS = 9, 3
GROUP = np.arange(FEATURES) % GROUPS
NAMES = [f"feature {number}" for number in range(FEATURES)]


def _grown(depth: int, rounds: int = 12, **params: object) -> tuple[xgboost.Booster, NDArray[np.float32]]:
    """A forest on rows with missing values, and the rows."""
    random = np.random.default_rng(depth)
    values = random.normal(size=(1500, FEATURES)).astype(np.float32)
    target = values[:, 0] * values[:, 1] + 2 * values[:, 2] + random.normal(size=len(values))
    values[random.random(values.shape) < 0.15] = np.nan
    matrix = xgboost.DMatrix(values, target, weight=random.random(len(values)) + 0.1, feature_names=NAMES)
    objective = {"objective": "reg:pseudohubererror", "max_depth": depth, "nthread": 1, "seed": 1}
    return xgboost.train({**objective, **params}, matrix, rounds), values


def _by_xgboost(booster: xgboost.Booster, values: NDArray[np.float32]) -> NDArray[np.float64]:
    each = booster.predict(xgboost.DMatrix(values, feature_names=NAMES), pred_contribs=True).astype(float)
    return np.column_stack([*(each[:, :-1][:, group == GROUP].sum(axis=1) for group in range(GROUPS)), each[:, -1]])


@pytest.mark.parametrize("depth", [1, 2, 3, 5, 6, 7])
def test_values_are_those_of_xgboost(depth: int) -> None:
    booster, values = _grown(depth)
    forest = XGBoost(booster, 1).forest()
    assert forest is not None
    found = grouped_attributions(forest, values, GROUP, GROUPS)
    np.testing.assert_allclose(found, _by_xgboost(booster, values), rtol=1e-4, atol=2e-6)
    np.testing.assert_allclose(
        found.sum(axis=1), booster.predict(xgboost.DMatrix(values, feature_names=NAMES)), rtol=1e-4, atol=2e-6
    )


def test_trees_that_stop_early_and_features_asked_twice_are_no_exception() -> None:
    booster, values = _grown(6, gamma=4.0, colsample_bytree=0.3, subsample=0.5)
    trees = booster.trees_to_dataframe()
    leaves = trees[trees["Feature"] == "Leaf"].groupby("Tree").size()
    assert leaves.min() < 2**6
    assert leaves.max() > 8
    forest = XGBoost(booster, 1).forest()
    assert forest is not None
    np.testing.assert_allclose(
        grouped_attributions(forest, values, GROUP, GROUPS), _by_xgboost(booster, values), rtol=1e-4, atol=2e-6
    )


def test_a_value_on_the_threshold_goes_right_and_a_missing_one_where_the_tree_says() -> None:
    booster, _ = _grown(4)
    forest = XGBoost(booster, 1).forest()
    assert forest is not None
    rows = np.full((40, FEATURES), np.nan, dtype=np.float32)
    for place, (tree, node) in enumerate(itertools.product(range(10), range(4))):
        if forest.feature[tree, node] >= 0:
            rows[place, forest.feature[tree, node]] = forest.threshold[tree, node]
    assert forest.default_left.any()
    assert not forest.default_left.all()
    np.testing.assert_allclose(
        grouped_attributions(forest, rows, GROUP, GROUPS), _by_xgboost(booster, rows), rtol=1e-4, atol=2e-6
    )


def test_values_are_the_mean_over_all_orders_of_joining() -> None:
    """The definition itself, coalition by coalition, on one tree and a handful of rows."""
    booster, values = _grown(3, rounds=1)
    forest, rows = XGBoost(booster, 1).forest(), values[:6]
    assert forest is not None

    def expected(row: NDArray[np.float32], known: frozenset[int], node: int = 0) -> float:
        if node >= forest.feature.shape[1]:
            return float(forest.leaf[0, node - forest.feature.shape[1]])
        feature = int(forest.feature[0, node])
        share = float(forest.left_share[0, node])
        if feature < 0:
            share = 1.0
        elif feature in known:
            value = row[feature]
            share = float(forest.default_left[0, node] if np.isnan(value) else value < forest.threshold[0, node])
        left, right = (expected(row, known, 2 * node + step) for step in (1, 2))
        return share * left + (1 - share) * right

    asked = sorted(set(forest.feature[forest.feature >= 0].tolist()))
    whole = np.zeros((len(rows), GROUPS))
    for place, row in enumerate(rows):
        for feature in asked:
            others = [other for other in asked if other != feature]
            for size in range(len(others) + 1):
                weight = 1 / (len(asked) * math.comb(len(others), size))
                for chosen in itertools.combinations(others, size):
                    gain = expected(row, frozenset({*chosen, feature})) - expected(row, frozenset(chosen))
                    whole[place, GROUP[feature]] += weight * gain
    found = grouped_attributions(forest, rows, GROUP, GROUPS)
    np.testing.assert_allclose(found[:, :-1], whole, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found[:, -1], forest.start + expected(rows[0], frozenset()), rtol=1e-9)


def test_a_forest_too_deep_for_tables_is_left_to_xgboost() -> None:
    booster, values = _grown(DEEPEST + 2, rounds=2, min_child_weight=0)
    model = XGBoost(booster, 1)
    assert model.forest() is None
    np.testing.assert_allclose(model.attributions(values, GROUP, GROUPS), _by_xgboost(booster, values), rtol=1e-6)
