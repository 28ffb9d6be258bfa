"""Departments smoothed over their stores."""

import numpy as np
import pytest

from demand_assets.forecasting.smoothing import smooth_departments


def plain(sales: np.ndarray, dept: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """One department after the other, by the singular value decomposition itself."""
    smooth, profiles = np.empty_like(sales), []
    for which in np.unique(dept):
        own = sales[:, dept == which]
        scale = np.maximum(np.abs(np.nan_to_num(np.nanmean(own[-52:], axis=0))), 1.0)
        profiles.append(profile := np.array([np.nansum(row) / max(scale[~np.isnan(row)].sum(), 1.0) for row in own]))
        deviation = np.nan_to_num(own / scale - profile[:, None]) * np.sqrt(scale)
        left, strength, right = np.linalg.svd(deviation, full_matrices=False)
        strength[rank:] = 0.0
        smooth[:, dept == which] = ((left * strength) @ right / np.sqrt(scale) + profile[:, None]) * scale
    return smooth, np.column_stack(profiles)


@pytest.mark.parametrize(("weeks", "stores"), [(60, 5), (20, 30)])
def test_smoothing_equals_a_truncated_decomposition_of_each_department(weeks: int, stores: int) -> None:
    rng = np.random.default_rng(3)
    dept = np.repeat([0, 1], [stores, stores - 2])
    sales = rng.gamma(5.0, 200.0, (weeks, len(dept)))
    sales[rng.random(sales.shape) < 0.1] = np.nan
    sales[:, 1] /= 1e6  # less than a dollar a week
    sales[:, 2] *= -1.0  # returns
    smooth, profile = smooth_departments(sales, dept, rank=2)
    expected, profiles = plain(sales, dept, 2)
    np.testing.assert_allclose(smooth, expected, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(profile, profiles, rtol=1e-10)


def test_departments_by_themselves_are_smoothed_to_the_same_bits_as_in_their_chain() -> None:
    rng = np.random.default_rng(3)
    dept = rng.permutation(np.repeat([0, 1, 2], [12, 5, 3]))
    sales = rng.gamma(5.0, 200.0, (60, len(dept)))
    whole, profile = smooth_departments(sales, dept, rank=4)
    for which in (1, 2):
        own = dept == which
        part, of_part = smooth_departments(sales[:, own], np.zeros(own.sum(), dtype=np.int64), rank=4, width=12)
        np.testing.assert_array_equal(part, whole[:, own])
        np.testing.assert_array_equal(of_part[:, 0], profile[:, which])


def test_a_rank_that_holds_everything_changes_nothing() -> None:
    sales = np.random.default_rng(1).gamma(5.0, 200.0, (30, 4))
    np.testing.assert_allclose(smooth_departments(sales, np.zeros(4, dtype=np.int64), rank=4)[0], sales)


def test_a_missing_week_takes_the_departments_profile() -> None:
    season = 1 + np.sin(np.arange(52.0))[:, None] / 2
    sales = season * np.array([100.0, 300.0])
    sales[10, 0] = np.nan
    smooth, profile = smooth_departments(sales, np.zeros(2, dtype=np.int64), rank=1)
    assert smooth[10, 0] == pytest.approx(season[10, 0] * 100, rel=0.02)
    assert profile[:, 0].mean() == pytest.approx(1.0, rel=0.05)


def test_noise_of_one_store_shrinks() -> None:
    rng = np.random.default_rng(0)
    truth = 1000 * (1 + np.sin(2 * np.pi * np.arange(104) / 52))[:, None] * np.ones(40)
    noisy = truth + rng.normal(0, 300, truth.shape)
    smooth, _ = smooth_departments(noisy, np.zeros(40, dtype=np.int64), rank=2)
    assert np.abs(smooth - truth).mean() < 0.5 * np.abs(noisy - truth).mean()
