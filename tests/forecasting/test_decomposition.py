"""Season and level of whole panels at once."""

import numpy as np
import pytest

from demand_assets.forecasting.decomposition import _level, _loess, decompose, svd_stl_forecast

ONE = np.zeros(1, dtype=np.int64)


def test_a_pure_season_is_continued() -> None:
    weeks = np.arange(130)
    sales = (500 + 100 * np.sin(2 * np.pi * weeks / 52))[:, None]
    forecast = svd_stl_forecast(sales[:120], ONE, 10)
    assert forecast is not None
    np.testing.assert_allclose(forecast, sales[120:], atol=8)


def test_a_level_shift_is_followed() -> None:
    weeks = np.arange(120)
    sales = (500 + 100 * np.sin(2 * np.pi * weeks / 52) + np.where(weeks >= 110, 200, 0))[:, None]
    season, level = decompose(sales, ONE)
    assert level[0] == pytest.approx(700, rel=0.08)
    assert abs(season[:52].mean()) < 1e-6


def test_under_two_years_there_is_none() -> None:
    assert svd_stl_forecast(np.ones((103, 1)), ONE, 4) is None


def test_a_line_stays_a_line_under_local_regression() -> None:
    line = 3.0 + 0.5 * np.arange(60)
    for window in (21, 79):
        np.testing.assert_allclose(_loess(60, window) @ line, line)


def test_the_level_equals_a_plain_recursion() -> None:
    values = np.random.default_rng(2).normal(100, 10, (40, 3))
    best = []
    for series in values.T:
        tried = []
        for alpha in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98):
            level, error = series[:8].mean(), 0.0
            for value in series:
                error += (value - level) ** 2
                level += alpha * (value - level)
            tried.append((error, level))
        best.append(min(tried)[1])
    np.testing.assert_allclose(_level(values), best)
