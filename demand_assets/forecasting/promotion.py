"""The gate: which method becomes champion, a trained model or one that needs no training.

Challenger, champion and untrained methods are compared on the same points: the same series, origins and targets. A
difference from the champion must be large enough to matter (a margin) and too regular to be chance (a paired t-test);
guards keep a better mean from hiding worse holidays, a bias, or intervals that do not mean what they say.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.errors import ModelError
from demand_assets.forecasting.baselines import SEASONAL_NAIVE, UNTRAINED, model_in, model_rows
from demand_assets.forecasting.forecaster import Forecaster
from demand_assets.forecasting.intervals import calibrate
from demand_assets.forecasting.metrics import HOLIDAY_WEIGHT, bias, shown, wmae
from demand_assets.forecasting.models.baseline import Baseline, BaselineConfig

POINT = ["store_id", "dept_id", "origin_week", "target_week"]
# With fewer errors their mean is as likely chance as bias, and each counts on both sides of the forecast.
FEW_ERRORS = 50


@dataclass(frozen=True)
class GatePolicy:
    """When a challenger is better enough. Shares are of 1; ages in weeks between the weeks two models were trained in.

    `margin`: by how much its WMAE must be below the champion's. `significance`: largest p-value of that difference.
    `max_age_weeks`: from then on a champion gives way to a challenger that is no worse by more than the margin.
    `holiday_slack`: by how much holiday weeks may be worse. `bias_limit`: largest mean error, of mean sales.
    `coverage`: within which share of actuals p10..p90 must hold.
    """

    margin: float = 0.005
    significance: float = 0.05
    max_age_weeks: int = 26
    holiday_slack: float = 0.05
    bias_limit: float = 0.05
    coverage: tuple[float, float] = (0.6, 0.95)


@dataclass(frozen=True)
class Decision:
    """Whether to promote, why in plain words (what speaks against it first), and the figures it rests on."""

    promote: bool
    reasons: tuple[str, ...]
    figures: Mapping[str, float]


@dataclass
class _Case:
    """What was found for and against a challenger so far."""

    against: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    def weigh(self, passed: bool, words: str) -> None:
        (self.found if passed else self.against).append(words)


def champion_points(
    champion: Forecaster | None, features: pd.DataFrame, challenger: pd.DataFrame, stored: pd.DataFrame | None
) -> pd.DataFrame:
    """Backtest points of the champion at the challenger's points, their actuals and flags.

    At origins from its own training week on it forecasts `features` (rows of demand_features) as it would have then;
    at earlier ones, which it was trained on, its `stored` backtest speaks. Points it has no forecast for are left out.
    """
    wanted = model_rows(challenger)[[*POINT, "model", "horizon", "actual", "is_holiday"]]
    parts: list[pd.DataFrame] = []
    columns = [*POINT, "forecast", "p10", "p50", "p90"]
    if champion is not None:
        later = features[features["origin_week"] >= champion.as_of]
        if len(later):
            parts.append(champion.predict(later)[columns])
    if stored is not None:
        own = model_rows(stored)
        if champion is not None:
            own = own[own["origin_week"] < champion.as_of]
        parts.append(own[columns])
    forecast = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    return wanted.merge(forecast, on=POINT, how="inner")


def decide(
    challenger: pd.DataFrame,
    challenger_as_of: pd.Timestamp,
    champion: pd.DataFrame | None = None,
    champion_as_of: pd.Timestamp | None = None,
    policy: GatePolicy | None = None,
) -> Decision:
    """Promote a challenger that beats every untrained method and the champion on shared points and passes every guard.

    Both frames are backtest points; None as champion: there is none. Only origins count at which challenger and
    champion differ: a champion's forecasts of the origins before it was trained are those of the challenger where both
    have the same settings. A champion without a shared point cannot be compared, as when the code no longer builds its
    features.
    """
    policy = policy or GatePolicy()
    case = _Case()
    known = challenger[challenger["actual"].notna()]
    mine = model_rows(known)
    if mine.empty:
        return Decision(False, ("it was never judged: its backtest has no point with an actual",), {})
    _against_untrained(case, known)
    theirs = None if champion is None else champion[champion["actual"].notna()]
    shared = None if theirs is None else theirs[POINT].merge(mine, on=POINT)
    if theirs is None or shared is None or shared.empty or champion_as_of is None:
        case.found.append("no champion yet" if champion is None else "the champion has no forecast of the same points")
        # Not the best method's: of several one is lucky in the few holiday weeks there are.
        _guard_holidays(case, mine, known[known["model"] == SEASONAL_NAIVE], spoken(SEASONAL_NAIVE), policy)
        _guard_bias(case, mine, None, policy)
    else:
        reference = shared[POINT].merge(theirs, on=POINT)
        age = (challenger_as_of - champion_as_of).days // 7
        apart = _told_apart(shared, reference)
        if apart.any():
            shared, reference = shared[apart], reference[apart]
            _against_champion(case, shared, reference, age, policy)
        else:
            _no_difference(case, shared, champion_as_of, age, policy)
        _guard_holidays(case, shared, reference, "the champion", policy)
        _guard_bias(case, shared, reference, policy)
    _guard_coverage(case, mine, policy)
    figures = {name: round(float(value), 6) for name, value in case.figures.items()}
    return Decision(not case.against, (*case.against, *case.found), figures)


def best_untrained(points: pd.DataFrame, allowed: Collection[str] = tuple(UNTRAINED)) -> str:
    """Of the `allowed` untrained methods the one with the lowest WMAE in a backtest's `points`.

    ModelError when none of them has a point with an actual.
    """
    scores = untrained_scores(points, allowed)
    if not scores:
        raise ModelError(f"none of {', '.join(allowed)} was judged: the backtest has no point with an actual")
    return min(scores, key=lambda name: scores[name])


def untrained_scores(points: pd.DataFrame, allowed: Collection[str] = tuple(UNTRAINED)) -> dict[str, float]:
    """WMAE of each of the `allowed` untrained methods that has a point with an actual."""
    known = points[points["actual"].notna()]
    scored = {name: known[known["model"] == name] for name in UNTRAINED if name in allowed}
    return {name: _wmae(rows) for name, rows in scored.items() if len(rows)}


def untrained_forecaster(
    method: str, points: pd.DataFrame, as_of: pd.Timestamp, horizon_weeks: int, quantiles: tuple[float, ...]
) -> tuple[Forecaster, pd.DataFrame]:
    """An untrained method as a forecaster, and the points of a backtest that judge it.

    Its intervals come from its own errors.
    """
    own = points[points["model"] == method].assign(model=Baseline.name)
    forecaster = Forecaster(
        members=(Baseline(),),
        # Nothing is drawn and nothing is computed side by side.
        config=BaselineConfig(start=method, quantiles=quantiles, seed=0, threads=1),
        as_of=as_of,
        calibration=calibrate(_on_both_sides(own), horizon_weeks, quantiles),
        rows=0,
    )
    return forecaster, pd.concat([own, points[points["model"].isin(list(UNTRAINED))]], ignore_index=True)


def spoken(method: str) -> str:
    """A method's name in a sentence."""
    return method.replace("_", " ")


def _on_both_sides(points: pd.DataFrame) -> pd.DataFrame:
    """The points, and where their errors are few the same errors with the other sign."""
    known = points[points["actual"].notna()]
    if len(known) >= FEW_ERRORS:
        return points
    return pd.concat([known, known.assign(actual=2 * known["forecast"] - known["actual"])], ignore_index=True)


def _wmae(points: pd.DataFrame) -> float:
    return wmae(points["actual"], points["forecast"], points["is_holiday"])


def _paired(mine: pd.DataFrame, theirs: pd.DataFrame) -> tuple[float, float, float]:
    """WMAE of both on points in both, and the one-sided p-value that mine is truly lower.

    Errors of one department at one origin move together, so a pair of sums of theirs is one observation.
    """
    columns = ["forecast", "actual", "is_holiday"]
    both = mine[[*POINT, *columns]].merge(theirs[[*POINT, "forecast"]], on=POINT, suffixes=("", "_theirs"))
    weight = np.where(both["is_holiday"].to_numpy(dtype=bool), HOLIDAY_WEIGHT, 1.0)
    actual = both["actual"].to_numpy()
    ours, other = (weight * np.abs(both[name].to_numpy() - actual) for name in ("forecast", "forecast_theirs"))
    gain = both[["dept_id", "origin_week"]].assign(gain=other - ours).groupby(["dept_id", "origin_week"])["gain"].sum()
    total = weight.sum()
    if len(gain) < 2 or gain.to_numpy().std() == 0:
        p_value = 0.5 if ours.sum() == other.sum() else float(ours.sum() > other.sum())
    else:
        # scipy.stats takes half a second to import, which a module that definitions load must not.
        from scipy.stats import ttest_1samp

        p_value = float(ttest_1samp(gain.to_numpy(), 0.0, alternative="greater").pvalue)
    return float(ours.sum() / total), float(other.sum() / total), p_value


def _against_untrained(case: _Case, known: pd.DataFrame) -> None:
    """Weigh the challenger against the best untrained method."""
    mine = model_rows(known)
    scores = untrained_scores(known)
    best = best_untrained(known)
    ours, rival, p_value = _paired(mine, known[known["model"] == best])
    case.figures |= {"challenger_wmae": ours, f"{best}_p": p_value}
    case.figures |= {f"{name}_wmae": value for name, value in scores.items()}
    if model_in(known) == Baseline.name:
        case.found.append(f"WMAE {shown(ours)} without any training")
    elif not ours < rival:
        case.against.append(f"WMAE {shown(ours)} does not beat {spoken(best)}'s {shown(rival)}")
    else:
        # A small retailer's points are too few for a proof.
        case.found.append(
            f"WMAE {shown(ours)} beats {spoken(best)}'s {shown(rival)} by {1 - ours / rival:.1%} (p = {p_value:.3f})"
        )


def _told_apart(mine: pd.DataFrame, theirs: pd.DataFrame) -> NDArray[np.bool_]:
    """(n,) whether the two differ at the origin of each of the shared points, which come in the same order."""
    differs = mine["forecast"].to_numpy() != theirs["forecast"].to_numpy()
    return mine["origin_week"].isin(mine.loc[differs, "origin_week"].unique()).to_numpy()


def _no_difference(
    case: _Case, shared: pd.DataFrame, champion_as_of: pd.Timestamp, age_weeks: int, policy: GatePolicy
) -> None:
    case.figures |= {"shared_points": 0.0, "champion_age_weeks": float(age_weeks)}
    words = (
        f"there is no point yet at which it and the champion differ: all {len(shared):,} they share were forecast "
        f"alike; one of an origin from {champion_as_of:%Y-%m-%d} on is needed"
    )
    if age_weeks >= policy.max_age_weeks:
        case.found.append(f"{words}; but the champion is {age_weeks} weeks old, {policy.max_age_weeks} are allowed")
    else:
        case.against.append(words)


def _against_champion(
    case: _Case, mine: pd.DataFrame, theirs: pd.DataFrame, age_weeks: int, policy: GatePolicy
) -> None:
    ours, other, p_value = _paired(mine, theirs)
    gain = 1 - ours / other if other else 0.0
    case.figures |= {
        "shared_points": float(len(mine)),
        "shared_challenger_wmae": ours,
        "champion_wmae": other,
        "gain_over_champion": gain,
        "champion_p": p_value,
        "champion_age_weeks": float(age_weeks),
    }
    words = f"on {len(mine):,} shared points {ours:,.1f} against the champion's {other:,.1f} ({gain:+.2%})"
    if gain >= policy.margin and p_value <= policy.significance:
        case.found.append(f"better {words}, p = {p_value:.3f}")
    elif age_weeks >= policy.max_age_weeks and gain > -policy.margin:
        case.found.append(
            f"no worse {words}; the champion is {age_weeks} weeks old, {policy.max_age_weeks} are allowed"
        )
    elif gain < policy.margin:
        need = f"a margin of {policy.margin:.1%} is needed"
        case.against.append(f"{'worse' if gain < 0 else 'no better' if gain == 0 else 'hardly better'} {words}; {need}")
    else:
        case.against.append(f"better {words}, but it may be chance: p = {p_value:.3f}, at most {policy.significance:g}")


def _guard_holidays(case: _Case, mine: pd.DataFrame, theirs: pd.DataFrame, name: str, policy: GatePolicy) -> None:
    ours, other = (points[points["is_holiday"].astype(bool)] for points in (mine, theirs))
    if ours.empty or other.empty:
        case.found.append("no holiday week among the targets")
        return
    own, reference = _wmae(ours), _wmae(other)
    case.figures |= {"holiday_wmae": own, "holiday_reference_wmae": reference}
    passed = own <= reference * (1 + policy.holiday_slack)
    case.weigh(passed, f"holiday weeks {shown(own)} against {shown(reference)} of {name}")


def _guard_bias(case: _Case, mine: pd.DataFrame, theirs: pd.DataFrame | None, policy: GatePolicy) -> None:
    level = max(abs(float(mine["actual"].mean())), 1.0)
    own = bias(mine["actual"], mine["forecast"]) / level
    allowed = policy.bias_limit
    case.figures["bias_share"] = own
    if theirs is not None:
        other = bias(theirs["actual"], theirs["forecast"]) / level
        case.figures["champion_bias_share"] = other
        # Where everything is biased, as after a shift of level, the less biased model is still the better one.
        allowed = max(allowed, abs(other))
    case.weigh(abs(own) <= allowed, f"bias {own:+.1%} of mean sales, {allowed:.1%} allowed")


def _guard_coverage(case: _Case, mine: pd.DataFrame, policy: GatePolicy) -> None:
    judged = mine[mine["p10"] < mine["p90"]]
    if judged.empty:
        case.found.append("too few origins to judge its intervals")
        return
    inside = judged["actual"].between(judged["p10"], judged["p90"])
    share = float(inside.mean())
    case.figures["coverage"] = share
    low, high = policy.coverage
    case.weigh(low <= share <= high, f"p10 to p90 hold {share:.0%}, {low:.0%} to {high:.0%} allowed")
