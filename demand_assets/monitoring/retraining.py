"""When to train anew: degraded loss, severe and persistent drift, age, or another set-up; else never in a cool-down.

Loss is what users feel, so it decides first. Drift alone is seldom a reason: features drift with every season, and most
of it costs nothing. A retrained model still has to pass the gate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import pandas as pd

from demand_assets.monitoring.drift_severity import SEVERE
from demand_assets.monitoring.realised import loss_history

FIRST, LOSS, DRIFT, AGE = "first model", "loss", "drift", "age"
SHORT, CHANGED = "short history", "set-up"


@dataclass(frozen=True)
class RetrainingPolicy:
    """`max_age_weeks`, `cooldown_weeks`: see `Settings`. Loss must be out of band, and drift severe, for some weeks.

    Those are weeks in a row, the newest included: one bad week is news, not a change.
    """

    max_age_weeks: int = 26
    cooldown_weeks: int = 4
    loss_weeks: int = 2
    drift_weeks: int = 3


@dataclass(frozen=True)
class Evidence:
    """What is known at `week`, the newest one with features.

    `losses`: (week, WMAE), oldest first, of the forecasts in production; before there were any, of the
    champion's backtest. `drift`: (week, severity), oldest first. `trained_as_of`: the week the newest model of all was
    trained in, promoted or not; `judged_to`: the newest origin its gate saw. None: there is no model.
    `untrained`: the method in production if it needs no training; `methods_judged`: the week that methods of any kind
    were last judged in. `is_short`: history is too short for a model; `is_changed`: the newest model was trained with
    other settings or code than there are now.
    """

    week: pd.Timestamp
    champion: str | None = None
    champion_as_of: pd.Timestamp | None = None
    trained_as_of: pd.Timestamp | None = None
    judged_to: pd.Timestamp | None = None
    losses: tuple[tuple[str, float], ...] = ()
    drift: tuple[tuple[str, str], ...] = ()
    untrained: str = ""
    methods_judged: pd.Timestamp | None = None
    is_short: bool = False
    is_changed: bool = False

    def described(self) -> Mapping[str, Any]:
        """Plain values, for a version of the evidence."""
        return {
            "week": f"{self.week:%Y-%m-%d}",
            "champion": self.champion,
            "trained_as_of": None if self.trained_as_of is None else f"{self.trained_as_of:%Y-%m-%d}",
            "judged_to": None if self.judged_to is None else f"{self.judged_to:%Y-%m-%d}",
            "losses": [[week, round(loss, 6)] for week, loss in self.losses],
            "drift": [list(one) for one in self.drift],
            "set-up": [self.is_short, self.is_changed],
        }


@dataclass(frozen=True)
class Retraining:
    """Whether to retrain, what for (one of the six above, or nothing), and why or why not in words."""

    act: bool
    trigger: str
    words: str


@dataclass(frozen=True)
class LossState:
    """The newest scored week, its WMAE, the band of the weeks before it, how many weeks in a row are above."""

    week: str
    wmae: float
    centre: float
    upper: float
    weeks_above: int

    @property
    def degraded(self) -> bool:
        """Whether the newest week is above its band."""
        return self.weeks_above > 0


def loss_state(losses: Sequence[tuple[str, float]]) -> LossState | None:
    """Where the newest loss lies against the band of its own history; None while there are too few weeks for one."""
    if not losses:
        return None
    judged = loss_history(pd.DataFrame(losses, columns=["week", "wmae"]))
    newest = judged.iloc[-1]
    if pd.isna(newest["upper"]):
        return None
    # A comparison with NaN is false: weeks without a band are not above it.
    above = (judged["wmae"] > judged["upper"]).to_numpy()[::-1]
    weeks_above = len(above) if above.all() else int(above.argmin())
    return LossState(newest["week"], newest["wmae"], newest["centre"], newest["upper"], weeks_above)


def severe_weeks(drift: Sequence[tuple[str, str]]) -> int:
    """How many of the newest reports in a row are severe."""
    return len(list(takewhile(lambda report: report[1] == SEVERE, reversed(drift))))


def unanswered_loss(evidence: Evidence, policy: RetrainingPolicy) -> str:
    """Since when loss had been out of band when the newest model was trained, if that model answered nothing; else "".

    A model trained soon after a change is judged at origins before it, where what it learnt is of no use, and is
    refused. It takes another, once origins lie after the change, to find out whether a new model would be better; by
    then loss may well be back in its band, since features adapt too.
    """
    if evidence.trained_as_of is None or evidence.judged_to is None or evidence.champion_as_of is None:
        return ""
    if evidence.champion_as_of >= evidence.trained_as_of:
        return ""
    then = [one for one in evidence.losses if pd.Timestamp(one[0]) <= evidence.trained_as_of]
    state = loss_state(then)
    if state is None or state.weeks_above < policy.loss_weeks:
        return ""
    since = then[-state.weeks_above][0]
    return since if evidence.judged_to < pd.Timestamp(since) else ""


def decide_retraining(evidence: Evidence, policy: RetrainingPolicy) -> Retraining:
    """What to do about `evidence`; every answer says why."""
    if evidence.is_short:
        return _of_short_history(evidence)
    if evidence.trained_as_of is None and (evidence.champion_as_of is None or evidence.untrained):
        return Retraining(True, FIRST, f"no model was trained yet; the first is trained as of {evidence.week:%Y-%m-%d}")
    if evidence.is_changed:
        return Retraining(True, CHANGED, "the newest model was trained with other settings or code")
    trigger, words = _trigger(evidence, policy)
    if trigger and evidence.trained_as_of is not None:
        since = (evidence.week - evidence.trained_as_of).days // 7
        # In the week of a training its own evidence stands still; it was acted on.
        if since < max(policy.cooldown_weeks, 1):
            cooling = f"a model was trained {since} weeks ago and {policy.cooldown_weeks} must pass"
            return Retraining(False, "", f"{words}; but {cooling}")
    return Retraining(bool(trigger), trigger, words)


def _of_short_history(evidence: Evidence) -> Retraining:
    """Methods without training are judged anew each week: it costs seconds, and each week is news of a short history."""
    if evidence.methods_judged is not None and evidence.methods_judged >= evidence.week:
        return Retraining(
            False, "", f"history is too short for a model; methods were judged as of {evidence.week:%Y-%m-%d}"
        )
    return Retraining(True, SHORT, "history is too short for a model; the methods that it allows are judged anew")


def _trigger(evidence: Evidence, policy: RetrainingPolicy) -> tuple[str, str]:
    loss, severe = loss_state(evidence.losses), severe_weeks(evidence.drift)
    said: list[str] = []
    if loss is None:
        said.append(f"{len(evidence.losses)} scored weeks are too few for a band of loss")
    else:
        compared = f"WMAE {loss.wmae:,.0f} of week {loss.week} is {'above' if loss.degraded else 'within'} its band"
        said.append(f"{compared}, which ends at {loss.upper:,.0f} (median {loss.centre:,.0f})")
        if loss.weeks_above >= policy.loss_weeks:
            return LOSS, f"{said[-1]}, for {loss.weeks_above} weeks now"
    since = unanswered_loss(evidence, policy)
    if since:
        refused = f"the model trained as of {evidence.trained_as_of:%Y-%m-%d} was refused"
        return (
            LOSS,
            f"{said[-1]}; {refused}, judged up to {evidence.judged_to:%Y-%m-%d}, before loss rose in {since}",
        )
    if severe >= policy.drift_weeks:
        return DRIFT, f"drift has been severe for {severe} weeks, {policy.drift_weeks} are enough"
    newest = evidence.drift[-1][1] if evidence.drift else "not reported"
    said.append(f"drift is {newest}" + (f" for {severe} of {policy.drift_weeks} weeks" if severe else ""))
    if evidence.untrained:
        return (
            AGE,
            f"{evidence.untrained} is in production, which needs no training: the gate refused every model so far",
        )
    if evidence.champion_as_of is None:
        return AGE, "no model is in production: the gate refused every challenger so far"
    age = (evidence.week - evidence.champion_as_of).days // 7
    if age >= policy.max_age_weeks:
        return AGE, f"the champion is {age} weeks old, {policy.max_age_weeks} are allowed"
    said.append(f"the champion is {age} of {policy.max_age_weeks} weeks old")
    return "", "; ".join(said)
