"""Season and level of whole panels at once."""

import numpy as np
import pytest

from demand_assets.forecasting.decomposition import _level, _loess, _season, decompose

ONE = np.zeros(1, dtype=np.int64)


def test_a_pure_season_is_continued() -> None:
    weeks = np.arange(130)
    sales = (500 + 100 * np.sin(2 * np.pi * weeks / 52))[:, None]
    season, level = decompose(sales[:120], ONE)
    np.testing.assert_allclose(level + season[np.arange(120, 130) % 52], sales[120:], atol=8)


def test_a_level_shift_is_followed() -> None:
    weeks = np.arange(120)
    sales = (500 + 100 * np.sin(2 * np.pi * weeks / 52) + np.where(weeks >= 110, 200, 0))[:, None]
    season, level = decompose(sales, ONE)
    assert level[0] == pytest.approx(700, rel=0.08)
    assert abs(season[:52].mean()) < 1e-6


def _plain_loess(values: np.ndarray, window: int) -> np.ndarray:
    """A line through each point's nearest weeks, by least squares with tricube weights."""
    time = np.arange(len(values), dtype=float)
    found = []
    for now in time:
        distance = abs(time - now)
        reach = sorted(distance)[min(window, len(time)) - 1] * max(window / len(time), 1.0)
        weight = np.clip(1 - (distance / (reach + 1)) ** 3, 0, None) ** 3
        found.append(np.polyval(np.polyfit(time, values, 1, w=np.sqrt(weight)), now))
    return np.array(found)


@pytest.mark.parametrize(("weeks", "window"), [(60, 21), (60, 79), (130, 79)])
def test_local_regression_equals_a_fit_of_each_point_by_itself(weeks: int, window: int) -> None:
    values = np.random.default_rng(weeks).normal(100.0, 10.0, weeks)
    np.testing.assert_allclose(_loess(weeks, window) @ values, _plain_loess(values, window))


@pytest.mark.parametrize("weeks", [60, 110])
def test_a_season_equals_two_plain_passes_of_trend_and_means_by_week_of_the_year(weeks: int) -> None:
    values = np.random.default_rng(weeks).normal(1000.0, 100.0, weeks)
    season = np.zeros(weeks)
    for _ in range(2):
        without_trend = values - _plain_loess(values - season, 79)
        year = np.array([without_trend[phase::52].mean() for phase in range(52)])
        season = np.resize(year - year.mean(), weeks)
    np.testing.assert_allclose(_season(values[:, None])[:, 0], season)


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
