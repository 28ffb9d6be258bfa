"""The gate, on points made by hand: 20 departments, one store, one origin."""

import numpy as np
import pandas as pd
import pytest

from demand_assets.forecasting.model import ModelConfig, fit
from demand_assets.forecasting.promotion import GatePolicy, champion_points, decide
from demand_assets.sample import SampleData

WEEK, LATER = pd.Timestamp("2012-02-03"), pd.Timestamp("2012-02-10")
ORIGIN, TARGET = pd.Timestamp("2012-01-06"), pd.Timestamp("2012-01-13")
DEPTS = np.arange(1, 21)


def points(model: str, error: object, holiday: bool = False, origin: pd.Timestamp = ORIGIN) -> pd.DataFrame:
    """Forecasts of 1,000 USD that are off by `error` (one for all, or one per department), up and down in turn."""
    off = np.broadcast_to(np.asarray(error, dtype=float), DEPTS.shape) * np.where(DEPTS % 2, 1, -1)
    return pd.DataFrame(
        {
            "store_id": 1, "dept_id": DEPTS, "origin_week": origin, "target_week": TARGET, "horizon": 1,
            "model": model, "forecast_usd": 1000.0 + off, "actual_usd": 1000.0, "is_holiday": holiday,
            "p10_usd": np.where(DEPTS <= 16, 900.0, 1001.0), "p50_usd": 1000.0, "p90_usd": 1100.0,
        }
    )  # fmt: skip


def challenger(error: object, naive: object = 90.0, holiday: bool = False) -> pd.DataFrame:
    return pd.concat([points("xgboost", error, holiday), points("seasonal_naive", naive, holiday)])


def test_a_model_worse_than_seasonal_naive_is_refused() -> None:
    decision = decide(challenger(50.0, naive=40.0), WEEK)
    assert not decision.promote
    assert decision.reasons[0] == "WMAE 50 does not beat seasonal naive's 40"


def test_the_first_model_that_beats_naive_is_promoted_with_every_figure() -> None:
    decision = decide(challenger(30.0), WEEK)
    assert decision.promote
    assert decision.figures == {
        "challenger_wmae": 30.0, "seasonal_naive_wmae": 90.0, "seasonal_naive_p": 0.0, "bias_share": 0.0,
        "coverage": 0.8,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("mine", "theirs", "promoted", "words"),
    [
        (30.0, 40.0, True, "better on 20 shared points"),
        (30.0, 20.0, False, "worse on 20 shared points"),
        (30.0, 30.0, False, "no better on 20 shared points"),
        (30.0, 30.1, False, "hardly better on 20 shared points"),
        (np.where(DEPTS == 1, 1.0, 41.0), 40.0, False, "it may be chance"),
    ],
)
def test_a_champion_is_beaten_by_a_margin_and_no_chance_or_stays(
    mine: object, theirs: object, promoted: bool, words: str
) -> None:
    decision = decide(challenger(mine), LATER, points("xgboost", theirs), WEEK)
    assert decision.promote is promoted
    assert words in "; ".join(decision.reasons)


@pytest.mark.parametrize(("weeks", "promoted"), [(25, False), (26, True)])
def test_an_old_champion_gives_way_to_an_equal_one(weeks: int, promoted: bool) -> None:
    newer = WEEK + pd.Timedelta(weeks=weeks)
    assert decide(challenger(30.0), newer, points("xgboost", 30.0), WEEK).promote is promoted


def test_an_old_champion_does_not_give_way_to_a_worse_one() -> None:
    newer = WEEK + pd.Timedelta(weeks=60)
    assert not decide(challenger(30.0), newer, points("xgboost", 29.0), WEEK).promote


def test_worse_holidays_are_refused_however_good_the_rest() -> None:
    other = pd.Timestamp("2012-01-13")
    mine = pd.concat([challenger(10.0), points("xgboost", 40.0, holiday=True, origin=other)])
    naive = points("seasonal_naive", 90.0, holiday=True, origin=other)
    theirs = pd.concat([points("xgboost", 80.0), points("xgboost", 30.0, holiday=True, origin=other)])
    decision = decide(pd.concat([mine, naive]), LATER, theirs, WEEK, GatePolicy(significance=0.99, margin=-1.0))
    assert not decision.promote
    assert decision.reasons[0] == "holiday weeks 40 against 30 of the champion"


def test_a_bias_is_refused_unless_the_champion_has_a_larger_one() -> None:
    mine = challenger(0.0).assign(forecast_usd=lambda p: np.where(p["model"] == "xgboost", 1080.0, 1200.0))
    unbiased, more_biased = points("xgboost", 85.0), points("xgboost", 0.0).assign(forecast_usd=1100.0)
    refused = decide(mine, LATER, unbiased, WEEK)
    assert not refused.promote
    assert refused.reasons[0] == "bias +8.0% of mean sales, 5.0% allowed"
    assert decide(mine, LATER, more_biased, WEEK).promote


def test_intervals_that_hold_too_little_are_refused() -> None:
    decision = decide(challenger(30.0).assign(p10_usd=999.5, p90_usd=999.9), WEEK)
    assert not decision.promote
    assert decision.reasons[0] == "p10 to p90 hold 0%, 60% to 95% allowed"


def test_without_intervals_coverage_is_not_judged() -> None:
    decision = decide(challenger(30.0).assign(p10_usd=1000.0, p90_usd=1000.0), WEEK)
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
    champion = fit(features, retailer.sales, as_of, ModelConfig(rounds=3, members=1, seed=3, threads=1))
    rows = features[features["origin_week"].isin([early, as_of])]
    keys = ["store_id", "dept_id", "origin_week", "target_week", "horizon"]
    wanted = rows[keys].assign(model="xgboost", actual_usd=1.0, is_holiday=False)
    stored = rows[keys].assign(model="xgboost", forecast_usd=7.0, p10_usd=6.0, p50_usd=7.0, p90_usd=8.0)
    found = champion_points(champion, rows, wanted, stored)
    assert len(found) == len(wanted)
    assert found.loc[found["origin_week"] == early, "forecast_usd"].eq(7.0).all()
    own = champion.predict(rows[rows["origin_week"] == as_of])["forecast_usd"].to_numpy()
    assert found.loc[found["origin_week"] == as_of, "forecast_usd"].to_numpy().tolist() == own.tolist()
