"""What a member learns from: rows known at the time, each member its share, read in whatever parts."""

import numpy as np
import pandas as pd
import pytest

from demand_assets.forecasting.features import FEATURES
from demand_assets.forecasting.models.base import ModelConfig
from demand_assets.forecasting.training import TrainingMatrix, actuals_of, training_matrix, training_rows
from demand_assets.forecasting.weeks import week_number
from demand_assets.sample import SampleData

AS_OF = pd.Timestamp("2011-07-29")


def test_a_member_learns_scaled_residuals_weighted_by_scale_and_five_times_on_holidays() -> None:
    weeks = pd.DatetimeIndex(["2011-07-15", "2011-07-22", "2011-07-29", "2011-08-05", "2011-07-29"])
    given = {
        "store_id": 1, "dept_id": 2, "horizon": 1, "origin_week": weeks - pd.Timedelta(days=7), "target_week": weeks,
        "scale": [100.0, 10.0, 50.0, 1.0, 1.0], "base": [80.0, 12.0, 40.0, 0.0, 0.0],
        "is_holiday": [0.0, 1.0, 0.0, 0.0, 1.0],
    }  # fmt: skip
    others = {name: np.arange(5.0) + place for place, name in enumerate(FEATURES) if name not in given}
    frame = pd.DataFrame({**given, **others})
    # The fourth target was not known at the time, the last week has no sales.
    actuals = np.array([90.0, 7.0, 40.0, 3.0, np.nan])
    found = training_matrix(frame, actuals, AS_OF, 1.0, 0)
    assert found.y.tolist() == [0.1, -0.5, 0.0]
    assert found.weight.tolist() == [100.0, 50.0, 50.0]
    assert found.known.tolist() == week_number(weeks[:3]).tolist()
    np.testing.assert_array_equal(found.X, frame[list(FEATURES)].iloc[:3].to_numpy(np.float32))


def test_training_uses_only_targets_known_by_then(features: pd.DataFrame, retailer: SampleData) -> None:
    rows = training_rows(features, actuals_of(features, retailer.sales), AS_OF)
    assert features["target_week"].iloc[rows].max() == AS_OF


def test_a_subsample_keeps_every_series_and_horizon(features: pd.DataFrame, retailer: SampleData) -> None:
    actuals = actuals_of(features, retailer.sales)
    whole, half = (features.iloc[training_rows(features, actuals, AS_OF, share)] for share in (1.0, 0.5))
    assert len(half) == pytest.approx(len(whole) / 2, rel=0.05)
    assert set(half["horizon"]) == {1, 2, 3, 4}
    assert len(half[["store_id", "dept_id"]].drop_duplicates()) == len(whole[["store_id", "dept_id"]].drop_duplicates())
    shares = [set(training_rows(features, actuals, AS_OF, 0.5, member)) for member in (0, 1)]
    assert not shares[0] & shares[1]
    assert shares[0] | shares[1] == set(training_rows(features, actuals, AS_OF))
    # A third member of two shares learns from the first one again.
    assert set(training_rows(features, actuals, AS_OF, 0.5, 2)) == shares[0]


def test_rows_read_in_parts_and_cut_back_are_those_of_the_earlier_week(
    features: pd.DataFrame, retailer: SampleData
) -> None:
    newest, earlier = pd.Timestamp("2011-09-02"), pd.Timestamp("2011-07-29")
    actuals = actuals_of(features, retailer.sales)
    half = len(features) // 2
    parts = [
        training_matrix(features.iloc[rows], actuals[rows], newest, 1.0, 0) for rows in (slice(half), slice(half, None))
    ]
    cut = TrainingMatrix.joined(parts).known_by(earlier)
    direct = training_matrix(features, actuals, earlier, 1.0, 0)
    assert 0 < len(cut) < sum(len(part) for part in parts)
    for name in ("X", "y", "weight", "known"):
        np.testing.assert_array_equal(getattr(cut, name), getattr(direct, name))
    assert len(TrainingMatrix.joined([TrainingMatrix.empty()])) == 0


def test_a_larger_table_is_sampled_and_a_smaller_one_left() -> None:
    config = ModelConfig(seed=1, threads=1)
    assert config.bounded(1_000_000, 1_000_000) == config
    assert config.bounded(1_000_001, 1_000_000).subsample == 1 / 2
    fifth = config.model_copy(update={"subsample": 1 / 5})
    assert fifth.bounded(3_000_000, 1_000_000) == fifth


@pytest.mark.parametrize(
    ("rows", "shares"), [(1_000, 2), (149_999, 2), (150_000, 3), (399_999, 7), (400_000, 8), (9_000_000, 9)]
)
def test_a_member_of_a_small_table_learns_from_more_of_it(rows: int, shares: int) -> None:
    config = ModelConfig(seed=1, threads=1, members=4, subsample=1 / 8)
    assert config.bounded(rows, 1_000_000).subsample == 1 / shares


def test_actuals_equal_a_join(features: pd.DataFrame, retailer: SampleData) -> None:
    keys = ["store_id", "dept_id", "target_week"]
    joined = features[keys].merge(retailer.sales.rename(columns={"week": "target_week"}), on=keys, how="left")
    np.testing.assert_array_equal(actuals_of(features, retailer.sales), joined["sales"])
    shuffled = retailer.sales.sample(frac=1, random_state=1)
    np.testing.assert_array_equal(actuals_of(features, shuffled), joined["sales"])
    assert np.isnan(actuals_of(features, retailer.sales.iloc[:0])).all()
