"""The gate: which challenger becomes champion."""

from dataclasses import dataclass

import pandas as pd

from demand_assets.forecasting.baselines import SEASONAL_NAIVE
from demand_assets.forecasting.metrics import score
from demand_assets.forecasting.model import MODEL_NAME

_POINT = ["store_id", "dept_id", "origin_week", "target_week"]


@dataclass(frozen=True)
class Decision:
    """Whether to promote, why in plain words, and the WMAEs (USD) it rests on."""

    promote: bool
    reasons: tuple[str, ...]
    figures: dict[str, float]


def _wmae(points: pd.DataFrame, model: str = MODEL_NAME) -> float:
    scores = score(points[points["model"] == model])
    return float(scores["wmae"].iloc[0]) if len(scores) else float("nan")


def decide(
    challenger: pd.DataFrame,
    challenger_as_of: pd.Timestamp,
    champion: pd.DataFrame | None = None,
    champion_as_of: pd.Timestamp | None = None,
) -> Decision:
    """Promote a challenger that beats the seasonal naive baseline and, on the same points, the champion.

    Both arguments are backtest frames. An exact tie with the champion, as equal code gives on equal history, goes to
    the one trained on later weeks; otherwise the champion stays.
    """
    mine, naive = _wmae(challenger), _wmae(challenger, SEASONAL_NAIVE)
    figures = {"challenger_wmae": mine, "seasonal_naive_wmae": naive}
    if not mine < naive:
        return Decision(False, (f"WMAE {mine:,.0f} does not beat seasonal naive's {naive:,.0f}",), figures)
    reasons = [f"WMAE {mine:,.0f} beats seasonal naive's {naive:,.0f} by {1 - mine / naive:.1%}"]
    if champion is None or champion_as_of is None:
        return Decision(True, (*reasons, "no champion yet"), figures)
    shared = champion.loc[champion["model"] == MODEL_NAME, _POINT].merge(
        challenger.loc[challenger["model"] == MODEL_NAME, _POINT], on=_POINT
    )
    if shared.empty:
        return Decision(False, (*reasons, "the champion was never judged on any of the same points"), figures)
    ours, theirs = (_wmae(points.merge(shared, on=_POINT)) for points in (challenger, champion))
    figures |= {"shared_points": float(len(shared)), "shared_challenger_wmae": ours, "champion_wmae": theirs}
    on_shared = f"on {len(shared):,} shared points: challenger {ours:,.1f}, champion {theirs:,.1f}"
    if ours < theirs:
        return Decision(True, (*reasons, f"better {on_shared}"), figures)
    if ours == theirs and challenger_as_of > champion_as_of:
        later = (challenger_as_of - champion_as_of).days // 7
        return Decision(True, (*reasons, f"equal {on_shared}; trained on {later} later weeks"), figures)
    worse = "no better" if ours == theirs else "worse"
    return Decision(False, (*reasons, f"{worse} {on_shared}"), figures)
