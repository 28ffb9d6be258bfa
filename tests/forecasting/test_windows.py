"""Windows by running sums equal windows taken one by one."""

import numpy as np
import pandas as pd
import pytest

from demand_assets.forecasting.windows import running, window, window_statistics, windows


@pytest.fixture
def values() -> np.ndarray:
    random = np.random.default_rng(5)
    values = random.normal(1000.0, 300.0, (30, 7))
    values[random.random(values.shape) < 0.3] = np.nan
    values[:12, 2] = np.nan
    return values


@pytest.mark.parametrize("threads", [1, 3])
def test_means_and_deviations_are_those_of_pandas(values: np.ndarray, threads: int) -> None:
    means, deviations = window_statistics(values, (4, 8, 40), (13,), threads)
    frame = pd.DataFrame(values)
    for weeks in (4, 8, 40):
        np.testing.assert_allclose(means[weeks], frame.rolling(weeks, min_periods=1).mean(), rtol=1e-10)
    np.testing.assert_allclose(deviations[13], frame.rolling(13, min_periods=1).std(ddof=0), rtol=1e-6, atol=1e-3)
    assert list(means) == [4, 8, 40]
    assert list(deviations) == [13]


def test_many_columns_are_worked_on_in_parts(values: np.ndarray) -> None:
    wide = np.tile(values, (1, 200))
    means, deviations = window_statistics(wide, (4,), (13,), threads=2)
    np.testing.assert_array_equal(means[4], np.tile(window_statistics(values, (4,), ())[0][4], (1, 200)))
    np.testing.assert_array_equal(deviations[13], np.tile(window_statistics(values, (), (13,))[1][13], (1, 200)))


def test_a_window_without_a_value_has_a_positive_nan(values: np.ndarray) -> None:
    missing = window_statistics(values, (4,), ())[0][4][5, 2]
    assert np.isnan(missing)
    assert not np.signbit(missing)


def test_a_window_of_all_rows_is_the_one_of_that_row(values: np.ndarray) -> None:
    sums = running(np.nan_to_num(values))
    for row in (0, 3, 29):
        np.testing.assert_array_equal(windows(sums, 8)[row], window(sums, row, 8))
    np.testing.assert_array_equal(window(sums, 10, 4, ending=2), window(sums, 8, 4))


def test_a_constant_has_no_deviation_and_never_the_root_of_less_than_nothing() -> None:
    # Of rounded sums, the mean square of a constant is often a trifle less than its squared mean.
    constant = np.tile(np.random.default_rng(3).uniform(0.0, 1e5, 200), (60, 1))
    deviations = window_statistics(constant, (), (13, 52))[1]
    for weeks in (13, 52):
        np.testing.assert_allclose(deviations[weeks], 0.0, atol=0.1)


def test_a_window_that_ends_before_the_first_row_holds_nothing(values: np.ndarray) -> None:
    sums = running(np.nan_to_num(values))
    for row, ending in ((0, 1), (0, 2), (1, 4)):
        np.testing.assert_array_equal(window(sums, row, 4, ending), np.zeros(values.shape[1]))
    np.testing.assert_array_equal(window(sums, 2, 4, ending=1), sums[2])


def test_statistics_have_the_type_that_was_asked_for(values: np.ndarray) -> None:
    means, deviations = window_statistics(values, (4,), (13,), dtype=np.float32)
    assert (means[4].dtype, deviations[13].dtype) == (np.float32, np.float32)
    exact = window_statistics(values, (4,), (13,))
    np.testing.assert_allclose(means[4], exact[0][4], rtol=1e-6)
    np.testing.assert_allclose(deviations[13], exact[1][13], rtol=1e-6)
