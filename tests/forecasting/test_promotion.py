"""The gate, on points made by hand: 20 departments, one store, one origin."""

from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from demand_assets.errors import ModelError
from demand_assets.forecasting.forecaster import fit
from demand_assets.forecasting.intervals import QUANTILES
from demand_assets.forecasting.models.xgboost import XGBoostConfig
from demand_assets.forecasting.promotion import (
    GatePolicy,
    best_untrained,
    champion_points,
    decide,
    untrained_forecaster,
)
from demand_assets.sample import SampleData

WEEK, LATER = pd.Timestamp("2012-02-03"), pd.Timestamp("2012-02-10")
ORIGIN, TARGET = pd.Timestamp("2012-01-06"), pd.Timestamp("2012-01-13")
DEPTS = np.arange(1, 21)


def points(model: str, error: object, holiday: bool = False, origin: pd.Timestamp = ORIGIN) -> pd.DataFrame:
    """Forecasts of 1,000 that are off by `error` (one for all, or one per department), up and down in turn."""
    off = np.broadcast_to(np.asarray(error, dtype=float), DEPTS.shape) * np.where(DEPTS % 2, 1, -1)
    return pd.DataFrame(
        {
            "store_id": 1, "dept_id": DEPTS, "origin_week": origin, "target_week": TARGET, "horizon": 1,
            "model": model, "forecast": 1000.0 + off, "actual": 1000.0, "is_holiday": holiday,
            "p10": np.where(DEPTS <= 16, 900.0, 1001.0), "p50": 1000.0, "p90": 1100.0,
        }
    )  # fmt: skip


def challenger(error: object, naive: object = 90.0, holiday: bool = False) -> pd.DataFrame:
    return pd.concat([points("xgboost", error, holiday), points("seasonal_naive", naive, holiday)])


def test_a_model_worse_than_seasonal_naive_is_refused() -> None:
    decision = decide(challenger(50.0, naive=40.0), WEEK)
    assert not decision.promote
    assert decision.reasons[0] == "WMAE 50.00 does not beat seasonal naive's 40.00"
    equal = decide(challenger(40.0, naive=40.0), WEEK)
    assert not equal.promote
    assert equal.figures["seasonal_naive_p"] == 0.5


def test_the_first_model_that_beats_every_untrained_method_is_promoted_with_every_figure() -> None:
    worse, unknown = points("moving_average", 120.0), challenger(7.0, naive=7.0).assign(actual=np.nan)
    decision = decide(pd.concat([challenger(30.0), worse, unknown]), WEEK)
    assert decision.promote
    assert decision.reasons == (
        "WMAE 30.00 beats seasonal naive's 90.00 by 66.7% (p = 0.000)",
        "no champion yet",
        "no holiday week among the targets",
        "bias +0.0% of mean sales, 5.0% allowed",
        "p10 to p90 hold 80%, 60% to 95% allowed",
    )
    assert decision.figures == {
        "challenger_wmae": 30.0, "seasonal_naive_wmae": 90.0, "seasonal_naive_p": 0.0, "moving_average_wmae": 120.0,
        "bias_share": 0.0, "coverage": 0.8,
    }  # fmt: skip


@pytest.mark.parametrize("better", ["moving_average", "base"])
def test_a_model_is_refused_where_any_untrained_method_is_as_good(better: str) -> None:
    decision = decide(pd.concat([challenger(30.0), points(better, 30.0)]), WEEK)
    assert not decision.promote
    assert decision.reasons[0] == f"WMAE 30.00 does not beat {better.replace('_', ' ')}'s 30.00"


def test_the_best_untrained_method_is_the_one_with_the_lowest_error_of_those_that_history_allows() -> None:
    tested = pd.concat([challenger(9.0), points("base", 20.0), points("last_value", 30.0)])
    assert best_untrained(tested) == "base"
    assert best_untrained(tested, ["last_value", "moving_average"]) == "last_value"
    with pytest.raises(ModelError, match="none of svd_stl was judged"):
        best_untrained(tested, ["svd_stl"])


def test_an_untrained_method_has_intervals_of_its_own_errors_and_few_count_on_both_sides() -> None:
    forecaster, judged = untrained_forecaster("base", points("base", 50.0).assign(scale=1000.0), WEEK, 4, QUANTILES)
    assert (forecaster.model, forecaster.method) == ("baseline", "base")
    assert judged["model"].unique().tolist() == ["baseline", "base"]
    band = forecaster.calibration.intervals(np.array([10.0]), np.array([100.0]), np.array([4]), np.array([0]))
    assert {name: float(value[0]) for name, value in band.items()} == {"p10": 5.0, "p50": 10.0, "p90": 15.0}


def test_an_untrained_method_takes_over_from_a_champion_that_it_beats() -> None:
    judged = pd.concat([points("baseline", 30.0), points("base", 30.0), points("seasonal_naive", 50.0)])
    better = decide(judged, LATER, points("xgboost", 40.0), WEEK)
    assert better.promote
    assert better.reasons[0] == "WMAE 30.00 without any training"
    assert not decide(judged, LATER, points("xgboost", 30.1), WEEK).promote


def test_only_origins_at_which_both_differ_are_compared() -> None:
    later = pd.Timestamp("2012-02-03")
    naive = [points("seasonal_naive", 90.0), points("seasonal_naive", 90.0, origin=later)]
    mine = pd.concat([points("xgboost", 40.0), points("xgboost", 30.0, origin=later), *naive])
    theirs = pd.concat([points("xgboost", 40.0), points("xgboost", 50.0, origin=later)])
    found = decide(mine, LATER, theirs, WEEK)
    assert found.promote
    assert "better on 20 shared points 30.0 against the champion's 50.0 (+40.00%), p = 0.000" in found.reasons


def test_where_nothing_tells_them_apart_yet_the_gate_says_so() -> None:
    found = decide(challenger(30.0), LATER, points("xgboost", 30.0), WEEK)
    assert not found.promote
    assert found.reasons[0] == (
        "there is no point yet at which it and the champion differ: all 20 they share were forecast alike; "
        "one of an origin from 2012-02-03 on is needed"
    )
    assert found.figures["shared_points"] == 0.0


def test_a_model_without_a_known_actual_is_refused() -> None:
    decision = decide(challenger(1.0).assign(actual=np.nan), WEEK)
    assert not decision.promote
    assert decision.reasons == ("it was never judged: its backtest has no point with an actual",)
    assert decision.figures == {}


def _scattered(model: str, seed: int, size: float) -> pd.DataFrame:
    """Forecasts of most of 3 stores x 4 departments at 3 origins for 2 targets, of which the second is a holiday."""
    draw = np.random.default_rng(seed)
    keys = pd.MultiIndex.from_product(
        [[1, 2, 3], [1, 2, 3, 4], pd.date_range(ORIGIN, periods=3, freq="28D"), [1, 2]],
        names=["store_id", "dept_id", "origin_week", "horizon"],
    ).to_frame(index=False)
    keys = keys[keys.index % 5 != 3]
    return keys.assign(
        target_week=keys["origin_week"] + pd.to_timedelta(7 * keys["horizon"], unit="D"),
        model=model, forecast=1000.0 + draw.normal(0.0, size, len(keys)), actual=1000.0,
        is_holiday=keys["horizon"] == 2, p10=900.0, p50=1000.0, p90=1100.0,
    )  # fmt: skip


def test_a_difference_is_judged_by_its_sums_per_department_and_origin() -> None:
    mine, theirs = _scattered("xgboost", 1, 95.0), _scattered("xgboost", 2, 110.0)
    # Points of the champion's are in another order: pairs are matched by their keys.
    decision = decide(
        pd.concat([mine, _scattered("seasonal_naive", 3, 400.0)]), LATER, theirs.sample(frac=1, random_state=4), WEEK
    )
    gains: dict[tuple[int, pd.Timestamp], float] = defaultdict(float)
    ours, other, weights = 0.0, 0.0, 0.0
    for own, reference in zip(mine.itertuples(), theirs.itertuples(), strict=True):
        weight = 5.0 if own.is_holiday else 1.0
        errors = weight * abs(own.forecast - 1000.0), weight * abs(reference.forecast - 1000.0)
        gains[own.dept_id, own.origin_week] += errors[1] - errors[0]
        ours, other, weights = ours + errors[0], other + errors[1], weights + weight
    assert len(gains) == 12
    p_value = stats.ttest_1samp(list(gains.values()), 0.0, alternative="greater").pvalue
    assert 0.001 < p_value < 0.9
    assert decision.figures["champion_p"] == pytest.approx(p_value, abs=1e-6)
    assert decision.figures["shared_challenger_wmae"] == pytest.approx(ours / weights, abs=1e-6)
    assert decision.figures["champion_wmae"] == pytest.approx(other / weights, abs=1e-6)


def test_a_champion_is_compared_on_shared_points_only() -> None:
    # Elsewhere both are biased, on holidays too.
    later, earlier = pd.Timestamp("2012-02-03"), pd.Timestamp("2011-01-07")
    own = points("xgboost", 50.0, holiday=True, origin=later).assign(forecast=1050.0)
    naive = points("seasonal_naive", 90.0, holiday=True, origin=later)
    other = points("xgboost", 1.0, holiday=True, origin=earlier).assign(forecast=1001.0)
    mine = pd.concat([challenger(30.0, holiday=True), own, naive])
    decision = decide(mine, LATER, pd.concat([points("xgboost", 40.0, holiday=True), other]), WEEK)
    assert decision.promote
    assert decision.figures == {
        "challenger_wmae": 40.0, "seasonal_naive_wmae": 90.0, "seasonal_naive_p": 0.0, "shared_points": 20.0,
        "shared_challenger_wmae": 30.0, "champion_wmae": 40.0, "gain_over_champion": 0.25, "champion_p": 0.0,
        "champion_age_weeks": 1.0, "holiday_wmae": 30.0, "holiday_reference_wmae": 40.0, "bias_share": 0.0,
        "champion_bias_share": 0.0, "coverage": 0.8,
    }  # fmt: skip
    assert decision.reasons[1] == "better on 20 shared points 30.0 against the champion's 40.0 (+25.00%), p = 0.000"


@pytest.mark.parametrize(
    ("mine", "theirs", "promoted", "words"),
    [
        (30.0, 40.0, True, "better on 20 shared points"),
        (30.0, 20.0, False, "worse on 20 shared points"),
        (30.0, -30.0, False, "no better on 20 shared points"),
        (
            30.0,
            30.1,
            False,
            "hardly better on 20 shared points 30.0 against the champion's 30.1 (+0.33%); a margin of 0.5% is needed",
        ),
        (np.where(DEPTS == 1, 1.0, 41.0), 40.0, False, "it may be chance"),
    ],
)
def test_a_champion_is_beaten_by_a_margin_and_no_chance_or_stays(
    mine: object, theirs: object, promoted: bool, words: str
) -> None:
    decision = decide(challenger(mine), LATER, points("xgboost", theirs), WEEK)
    assert decision.promote is promoted
    assert words in "; ".join(decision.reasons)


@pytest.mark.parametrize(("theirs", "promoted"), [(40.0, True), (39.5, False)])
def test_a_gain_of_the_margin_is_enough(theirs: float, promoted: bool) -> None:
    decision = decide(challenger(30.0), LATER, points("xgboost", theirs), WEEK, GatePolicy(margin=0.25))
    assert decision.promote is promoted


def test_the_least_margin_is_half_a_percent() -> None:
    promoted = [
        decide(challenger(30.0), LATER, points("xgboost", theirs), WEEK).promote for theirs in (30.125, 30.15625)
    ]
    assert promoted == [False, True]


# Some of the 20 departments gain 10, the others lose as much: of 14 gains t is 1.90, of 13 it is 1.37, and a
# one-sided p of 5% with 19 degrees of freedom begins at 1.73.
@pytest.mark.parametrize(("gains", "promoted"), [(14, True), (13, False)])
def test_a_difference_with_a_p_value_above_five_percent_may_be_chance(gains: int, promoted: bool) -> None:
    mine = np.repeat([30.0, 50.0], [gains, 20 - gains])
    decision = decide(challenger(mine), LATER, points("xgboost", 40.0), WEEK, GatePolicy(bias_limit=1.0))
    assert (decision.figures["champion_p"] <= 0.05) is promoted
    assert decision.promote is promoted


@pytest.mark.parametrize(("weeks", "promoted"), [(25, False), (26, True)])
def test_an_old_champion_gives_way_to_an_equal_one(weeks: int, promoted: bool) -> None:
    newer = WEEK + pd.Timedelta(weeks=weeks)
    assert decide(challenger(30.0), newer, points("xgboost", 30.0), WEEK).promote is promoted


def test_an_old_champion_does_not_give_way_to_a_worse_one() -> None:
    newer = WEEK + pd.Timedelta(weeks=60)
    assert not decide(challenger(30.0), newer, points("xgboost", 29.0), WEEK).promote
    # A loss of exactly the margin is one: 50 is a quarter more than 40.
    assert not decide(challenger(50.0), newer, points("xgboost", 40.0), WEEK, GatePolicy(margin=0.25)).promote
    assert decide(challenger(49.5), newer, points("xgboost", 40.0), WEEK, GatePolicy(margin=0.25)).promote


def test_worse_holidays_are_refused_however_good_the_rest() -> None:
    other = pd.Timestamp("2012-01-13")
    mine = pd.concat([challenger(10.0), points("xgboost", 40.0, holiday=True, origin=other)])
    naive = points("seasonal_naive", 90.0, holiday=True, origin=other)
    theirs = pd.concat([points("xgboost", 80.0), points("xgboost", 30.0, holiday=True, origin=other)])
    decision = decide(pd.concat([mine, naive]), LATER, theirs, WEEK, GatePolicy(significance=0.99, margin=-1.0))
    assert not decision.promote
    assert decision.reasons[0] == "holiday weeks 40.00 against 30.00 of the champion"
    assert (decision.figures["holiday_wmae"], decision.figures["holiday_reference_wmae"]) == (40.0, 30.0)


@pytest.mark.parametrize(("error", "promoted"), [(42.0, True), (42.125, False)])
def test_holidays_may_be_a_twentieth_worse(error: float, promoted: bool) -> None:
    other = pd.Timestamp("2012-01-13")
    mine = pd.concat([challenger(10.0), points("xgboost", error, holiday=True, origin=other)])
    naive = points("seasonal_naive", 40.0, holiday=True, origin=other)
    assert decide(pd.concat([mine, naive]), WEEK).promote is promoted


# A forecast that is too low empties shelves, one that is too high fills stores: both are a bias.
@pytest.mark.parametrize("sign", [1, -1])
def test_a_bias_is_refused_unless_the_champion_has_a_larger_one(sign: int) -> None:
    mine = challenger(0.0).assign(
        forecast=lambda p: np.where(p["model"] == "xgboost", 1000.0 + sign * 80.0, 1000.0 + sign * 200.0)
    )
    unbiased, more_biased = (
        points("xgboost", 85.0),
        points("xgboost", 0.0).assign(forecast=1000.0 + sign * 100.0),
    )
    for refused in (decide(mine, LATER, unbiased, WEEK), decide(mine, WEEK)):
        assert not refused.promote
        assert refused.reasons[0] == f"bias {sign * 8:+d}.0% of mean sales, 5.0% allowed"
    accepted = decide(mine, LATER, more_biased, WEEK)
    assert accepted.promote
    assert accepted.figures["champion_bias_share"] == sign * 0.1


@pytest.mark.parametrize(("bias", "promoted"), [(50.0, True), (50.5, False)])
def test_a_bias_of_a_twentieth_of_sales_is_allowed(bias: float, promoted: bool) -> None:
    mine = challenger(0.0).assign(forecast=lambda p: np.where(p["model"] == "xgboost", 1000.0 + bias, 1200.0))
    assert decide(mine, WEEK).promote is promoted
    # Of a mean of -1,000, as of a department of returns, the same share.
    returns = mine.assign(
        actual=-1000.0, forecast=mine["forecast"] - 2000.0, p10=np.where(mine["dept_id"] < 17, -1e9, 0)
    )
    assert decide(returns, WEEK).promote is promoted


def test_intervals_that_hold_too_little_are_refused() -> None:
    decision = decide(challenger(30.0).assign(p10=999.5, p90=999.9), WEEK)
    assert not decision.promote
    assert decision.reasons[0] == "p10 to p90 hold 0%, 60% to 95% allowed"


@pytest.mark.parametrize(("held", "promoted"), [(11, False), (12, True), (19, True), (20, False)])
def test_intervals_must_hold_60_to_95_percent_of_actuals(held: int, promoted: bool) -> None:
    # An actual of 1,000 on either edge of its interval is within it.
    inside = challenger(30.0)["dept_id"] <= held
    low = challenger(30.0).assign(p10=np.where(inside, 1000.0, 1001.0), p90=1100.0)
    high = challenger(30.0).assign(p10=900.0, p90=np.where(inside, 1000.0, 999.0))
    assert [decide(points, WEEK).promote for points in (low, high)] == [promoted, promoted]


def test_points_without_an_interval_say_nothing_of_coverage() -> None:
    early = pd.Timestamp("2011-12-09")
    without = points("xgboost", 30.0, origin=early).assign(p10=1000.0, p90=1000.0)
    naive = points("seasonal_naive", 90.0, origin=early)
    assert decide(pd.concat([challenger(30.0), without, naive]), WEEK).figures["coverage"] == 0.8


def test_without_intervals_coverage_is_not_judged() -> None:
    decision = decide(challenger(30.0).assign(p10=1000.0, p90=1000.0), WEEK)
    assert decision.promote
    assert "coverage" not in decision.figures


def test_a_champion_that_cannot_be_compared_does_not_keep_its_place() -> None:
    decision = decide(challenger(30.0), LATER, points("xgboost", 1.0, origin=pd.Timestamp("2011-01-07")), WEEK)
    assert decision.promote
    assert "the champion has no forecast of the same points" in decision.reasons


def test_the_champion_forecasts_later_origins_itself_and_earlier_ones_by_its_backtest(
    features: pd.DataFrame, retailer: SampleData
) -> None:
    as_of, early = pd.Timestamp("2011-07-29"), pd.Timestamp("2011-07-01")
    champion = fit(features, retailer.sales, as_of, XGBoostConfig(rounds=3, members=1, seed=3, threads=1))
    rows = features[features["origin_week"].isin([early, as_of])]
    keys = ["store_id", "dept_id", "origin_week", "target_week", "horizon"]
    wanted = rows[keys].assign(model="xgboost", actual=1.0, is_holiday=False)
    stored = rows[keys].assign(model="xgboost", forecast=7.0, p10=6.0, p50=7.0, p90=8.0)
    found = champion_points(champion, rows, wanted, stored)
    assert len(found) == len(wanted)
    assert found.loc[found["origin_week"] == early, "forecast"].eq(7.0).all()
    own = champion.predict(rows[rows["origin_week"] == as_of])["forecast"].to_numpy()
    assert found.loc[found["origin_week"] == as_of, "forecast"].to_numpy().tolist() == own.tolist()


def test_without_a_champion_to_run_its_stored_backtest_speaks_for_every_origin() -> None:
    mine = pd.concat([challenger(30.0, holiday=True), points("xgboost", 20.0, origin=WEEK)])
    stored = pd.concat(
        [
            points("xgboost", 5.0).assign(actual=7.0).iloc[:3],
            points("seasonal_naive", 1.0),
            points("xgboost", 5.0, origin=LATER),
        ]
    )
    found = champion_points(None, mine, mine, stored)
    expected = points("xgboost", 5.0, holiday=True).iloc[:3]
    pd.testing.assert_frame_equal(found[expected.columns], expected)
    assert champion_points(None, mine, mine, None).empty
