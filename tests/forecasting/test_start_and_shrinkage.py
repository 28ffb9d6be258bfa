"""What a correction starts from and how much of it is believed, learnt from what came."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from demand_assets.forecasting.features import DRIVER_EFFECT, FEATURES
from demand_assets.forecasting.shrinkage import EXPECTED, Shrink, learn_shrink
from demand_assets.forecasting.start import ESTIMATES, SCALED, Start, distances, learn_start
from demand_assets.forecasting.training import TrainingMatrix


def _matrix(seed: int = 0, rows: int = 4_000) -> TrainingMatrix:
    """40 weeks x 25 series x 4 horizons, all features drawn at random around 1."""
    draw = np.random.default_rng(seed)
    X = draw.normal(1.0, 0.2, (rows, len(FEATURES))).astype(np.float32)
    places = {name: place for place, name in enumerate(FEATURES)}
    known = np.repeat(np.arange(40), rows // 40)
    X[:, places["horizon"]] = np.tile(np.arange(1, 5), rows // 4)
    X[:, places["is_holiday"]] = known % 10 == 0
    return TrainingMatrix(X, draw.normal(0, 0.01, rows), np.ones(rows), known.astype(np.int64))


def _moved_by(matrix: TrainingMatrix, weights: dict[str, float]) -> TrainingMatrix:
    share = np.array([weights.get(name, 0.0) for name in ESTIMATES])
    y = matrix.y + distances(matrix.column) @ share
    return TrainingMatrix(matrix.X, y, matrix.weight, matrix.known)


def test_weights_find_the_estimates_that_the_sales_follow() -> None:
    found = dict(
        zip(ESTIMATES, learn_start(_moved_by(_matrix(), {"mean_8": 0.5, "aligned": 0.3})).weights, strict=True)
    )
    # Pulled towards the base.
    assert 0.2 < found["mean_8"] < 0.5
    assert 0.1 < found["aligned"] < 0.3
    assert sum(found.values()) <= 1.0
    assert min(found.values()) >= 0.0


def test_estimates_that_never_help_have_no_weight_and_a_missing_one_is_the_base() -> None:
    matrix = _moved_by(_matrix(), {"mean_8": -0.5})
    assert dict(zip(ESTIMATES, learn_start(matrix).weights, strict=True))["mean_8"] == 0.0
    frame = pd.DataFrame(matrix.X, columns=list(FEATURES)).assign(decomposition=np.nan)
    moves = Start(np.full(len(ESTIMATES), 0.1)).moves(lambda name: frame[name].to_numpy(), len(frame))
    assert (moves[:, SCALED.index("decomposition")] == 0).all()
    np.testing.assert_allclose(
        moves[:, SCALED.index("mean_8")], 0.1 * (frame["mean_8"] - frame["base_scaled"]), atol=1e-7
    )
    assert not Start.none().moves(lambda name: frame[name].to_numpy(), 3).any()


def test_the_effect_of_drivers_moves_the_estimates_that_it_has_not_moved_yet() -> None:
    matrix = _matrix()
    effect = np.linspace(0.5, 2.0, len(matrix), dtype=np.float32)[:, None]
    driven = replace(
        matrix, X=np.hstack([matrix.X, effect]), features=(*FEATURES, DRIVER_EFFECT), y=np.zeros(len(matrix))
    )
    start = Start.from_dict(learn_start(driven).to_dict() | {"mean_8": 0.5, "aligned": 0.5})
    moves = start.moves(driven.column, len(driven))
    base = matrix.column("base_scaled")
    np.testing.assert_allclose(
        moves[:, SCALED.index("mean_8")], 0.5 * (matrix.column("mean_8") * effect[:, 0] - base), atol=1e-6
    )
    np.testing.assert_allclose(moves[:, SCALED.index("aligned")], 0.5 * (matrix.column("aligned") - base), atol=1e-6)
    assert DRIVER_EFFECT in start.inputs


def test_features_that_only_tell_the_week_are_found() -> None:
    matrix = _matrix()
    places = {name: place for place, name in enumerate(FEATURES)}
    for name in ("dept_growth_8", "temperature"):
        matrix.X[:, places[name]] = matrix.known
    matrix.X[:, places["unemployment_change"]] = np.nan
    # It varies in one week of 40.
    matrix.X[:, places["fuel_change"]] = np.where(np.arange(len(matrix)) == 5, 2.0, matrix.known)
    assert {list(FEATURES)[place] for place in matrix.week_names()} == {
        "dept_growth_8", "temperature", "unemployment_change", "fuel_change", "is_holiday"
    }  # fmt: skip


def test_of_a_single_series_no_feature_is_known_to_tell_the_week_alone() -> None:
    matrix = _matrix(rows=160)
    assert len(matrix.week_names()) == 0


def _points(factor: float, weeks: int, noise: float = 0.01, seed: int = 1) -> pd.DataFrame:
    """Corrections of which `factor` would have been right, for 50 series over so many weeks."""
    draw = np.random.default_rng(seed)
    count = 50 * weeks
    scale, residual = draw.uniform(10, 1000, count), draw.normal(0, 0.3, count)
    return pd.DataFrame(
        {
            "target_week": pd.Timestamp("2012-01-06") + pd.to_timedelta(7 * (np.arange(count) % weeks), unit="D"),
            "start": scale,
            "residual": residual,
            "actual": scale * (1 + factor * residual + draw.normal(0, noise, count)),
            "scale": scale,
            "is_holiday": False,
        }
    )


def test_more_weeks_bring_the_factor_from_what_is_expected_to_what_is_true() -> None:
    sizes = np.array([20.0, 900.0])
    few, many = (learn_shrink(_points(0.9, weeks)).of(sizes) for weeks in (2, 200))
    assert (few < many).all()
    assert (few > EXPECTED).all()
    assert many == pytest.approx(0.9, abs=0.05)


def test_a_factor_stays_between_none_and_all_of_a_correction() -> None:
    assert learn_shrink(_points(-2.0, 100)).factors.tolist() == [0.0] * 5
    assert learn_shrink(_points(3.0, 100)).factors.max() <= 1.0
    nothing = _points(1.0, 4).assign(actual=np.nan)
    assert learn_shrink(nothing).of(np.array([1.0])).tolist() == [EXPECTED]
    never = _points(1.0, 4).assign(residual=0.0)
    assert learn_shrink(never).factors == pytest.approx(EXPECTED)


def test_sizes_have_factors_of_their_own_and_survive_json() -> None:
    small, large = _points(0.1, 100), _points(0.9, 100, seed=2)
    both = pd.concat([small[small["scale"] < 300], large[large["scale"] > 500]])
    found = learn_shrink(both)
    assert found.of(np.array([20.0]))[0] < 0.25
    assert found.of(np.array([900.0]))[0] > 0.75
    again = Shrink.from_dict(found.to_dict())
    np.testing.assert_array_equal(again.edges, found.edges)
    np.testing.assert_array_equal(again.factors, found.factors)
