"""Distances equal plain ones."""

import numpy as np
import pytest
from scipy import stats

from demand_assets.monitoring.drift_statistics import column_median, ks_distance, ks_p_value, robust_zscore
from tests.monitoring.drift_rows import psi


def _plain_psi(reference: np.ndarray, now: np.ndarray) -> float:
    ordered = sorted(reference)
    edges = sorted({ordered[round(share * (len(ordered) - 1) / 10)] for share in range(1, 10)})
    total = 0.0
    for place in range(len(edges) + 1):
        low = edges[place - 1] if place else -np.inf
        high = edges[place] if place < len(edges) else np.inf
        expected, actual = (sum(low <= value < high for value in sample) for sample in (reference, now))
        e = (expected + 0.5) / (len(reference) + 0.5 * (len(edges) + 1))
        a = (actual + 0.5) / (len(now) + 0.5 * (len(edges) + 1))
        total += (a - e) * np.log(a / e)
    return total


@pytest.mark.parametrize("seed", range(5))
def test_psi_and_ks_equal_plain_ones(seed: int) -> None:
    draw = np.random.default_rng(seed)
    reference, now = draw.integers(0, 12, 80).astype(float), draw.integers(2, 15, 30).astype(float)
    assert psi(reference, now) == pytest.approx(_plain_psi(reference, now))
    expected = stats.ks_2samp(reference, now, method="asymp")
    distance = ks_distance(np.sort(reference), now)
    assert distance == pytest.approx(expected.statistic)
    p_value = ks_p_value(np.array([distance]), np.array([80]), np.array([30]))[0]
    assert p_value == pytest.approx(stats.kstwobign.sf(distance * np.sqrt(80 * 30 / 110)))


def test_psi_is_zero_for_the_same_sample_and_finite_for_a_bin_that_is_empty() -> None:
    sample = np.arange(100.0)
    assert psi(sample, sample) == 0
    assert 2 < psi(sample, sample + 1000) < 10


def test_medians_leave_gaps_out_and_a_robust_z_score_counts_robust_deviations() -> None:
    history = np.array([[1.0, np.nan], [2.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    np.testing.assert_equal(column_median(history), [2.0, np.nan])
    found = robust_zscore(history, np.array([6.0, 1.0]), 0.1)
    assert found.score[0] == pytest.approx(4 / 1.4826)
    assert found.reach[0] == pytest.approx(4 / 1.4826)
    assert found.weeks.tolist() == [3, 0]
