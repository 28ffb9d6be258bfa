"""The gate on registered models: what registry and lake know of challenger and champion, handed to the pure gate."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd

from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.model_card import LearntFrom, learnt_from, model_card
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.registry import ModelRegistry, RegisteredVersion
from demand_assets.errors import LakeError, ModelError
from demand_assets.forecasting.forecaster import Forecaster
from demand_assets.forecasting.metrics import shown
from demand_assets.forecasting.promotion import (
    Decision,
    GatePolicy,
    best_untrained,
    champion_points,
    decide,
    spoken,
    untrained_forecaster,
    untrained_scores,
)
from demand_assets.provenance import fingerprint

if TYPE_CHECKING:
    from demand_assets.store.ledger import PromotionRecord

REQUESTED_BY_TAG = "demand/requested_by"


def judge(
    lake: ParquetLake,
    registry: ModelRegistry,
    challenger: RegisteredVersion,
    champion: RegisteredVersion | None,
    policy: GatePolicy,
) -> Decision:
    """Compare two registered versions on the challenger's backtest; ModelError when it has none."""
    return _judged(lake, registry, backtest_kept(registry, challenger), challenger.as_of, champion, policy)


def backtest_kept(registry: ModelRegistry, version: RegisteredVersion) -> pd.DataFrame:
    """The backtest that a version was registered with; ModelError when there is none."""
    points = registry.backtest_of(version)
    if points is None:
        raise ModelError(f"version {version.version} was registered without a backtest and cannot be judged")
    return points


def _judged(
    lake: ParquetLake,
    registry: ModelRegistry,
    points: pd.DataFrame,
    as_of: str,
    champion: RegisteredVersion | None,
    policy: GatePolicy,
) -> Decision:
    """The gate's decision on backtest `points`. The champion forecasts the features as they are stored now."""
    if champion is None:
        return decide(points, pd.Timestamp(as_of), policy=policy)
    # Of earlier ones its own backtest speaks.
    later = [week for week in points["origin_week"].unique() if week >= pd.Timestamp(champion.as_of)]
    features = lake.read("demand_features", [f"{week:%Y-%m-%d}" for week in later])
    theirs = champion_points(
        _loaded(registry, champion),
        pd.DataFrame({"origin_week": pd.DatetimeIndex([])}) if features is None else features,
        points,
        registry.backtest_of(champion),
    )
    return decide(points, pd.Timestamp(as_of), theirs, pd.Timestamp(champion.as_of), policy)


def _loaded(registry: ModelRegistry, version: RegisteredVersion) -> Forecaster | None:
    """Its forecaster; None where it was trained on other features than this code builds, or its files are gone."""
    try:
        return registry.load(version)
    except ModelError:
        return None


@dataclass(frozen=True)
class Untrained:
    """An untrained method to serve or not, the points that judge it, and what the gate says of it."""

    forecaster: Forecaster
    judged: pd.DataFrame
    decision: Decision


def judge_untrained(
    lake: ParquetLake,
    registry: ModelRegistry,
    challenger: RegisteredVersion,
    champion: RegisteredVersion | None,
    allowed: Collection[str],
    horizon_weeks: int,
    policy: GatePolicy,
) -> Untrained:
    """Which untrained method is to serve instead of the champion, of those `allowed`; or that none is.

    The best serves where there is no champion, none that can be loaded, or one that it beats by the gate's rule. An
    untrained champion that stays gets intervals from newer errors. ModelError when the challenger has no backtest.
    """
    points, as_of = backtest_kept(registry, challenger), pd.Timestamp(challenger.as_of)
    quantiles = registry.load(challenger).config.quantiles
    scores = untrained_scores(points, allowed)
    best = best_untrained(points, allowed)
    ranked = ", ".join(
        f"{spoken(name)} {shown(scores[name])}" for name in sorted(scores, key=lambda name: scores[name])
    )

    def made(method: str, promote: bool, reasons: Sequence[str], figures: Mapping[str, float]) -> Untrained:
        forecaster, judged = untrained_forecaster(method, points, as_of, horizon_weeks, quantiles)
        return Untrained(forecaster, judged, Decision(promote, tuple(reasons), figures))

    _, judged = untrained_forecaster(best, points, as_of, horizon_weeks, quantiles)
    found = _judged(lake, registry, judged, challenger.as_of, champion, policy)
    if champion is None:
        why = f"{spoken(best)} serves until a trained model passes; WMAE of what needs no training: {ranked}"
        return made(best, True, (why,), found.figures)
    if champion.method != best and _loaded(registry, champion) is None:
        why = f"{spoken(best)} serves, since version {champion.version} cannot be loaded by this code; WMAE: {ranked}"
        return made(best, True, (why,), found.figures)
    if champion.method != best and found.promote:
        words = f"{spoken(best)}, which needs no training, takes over from {spoken(champion.method)}"
        return made(best, True, (words, *found.reasons), found.figures)
    if champion.method in scores:
        newer = champion.as_of < challenger.as_of
        why = f"{spoken(champion.method)} serves on" + (", with intervals from newer errors" if newer else "")
        return made(champion.method, newer, (f"{why}; WMAE of what needs no training: {ranked}",), found.figures)
    words = f"{spoken(best)}, the best that needs no training, does not take over: {found.reasons[0]}"
    return made(best, False, (words,), found.figures)


@dataclass(frozen=True)
class Outcome:
    """Whether the challenger is in production now, all that was said of it and of what serves, and its figures."""

    promoted: bool
    reasons: tuple[str, ...]
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Gate:
    """The gate at one moment: what it judges on, by which policy, and in whose name it decides."""

    lake: ParquetLake
    registry: ModelRegistry
    ledger: PromotionLedger
    policy: GatePolicy
    requested_by: str
    now: datetime
    run_id: str

    def judge(self, challenger: RegisteredVersion, allowed: Collection[str], horizon_weeks: int) -> Outcome:
        """Decide about the challenger and, unless it is promoted, about the untrained methods `allowed` by history.

        Each decision is made once and recorded. LakeError when the challenger's week has no features.
        """
        champion = self.ledger.champion()
        if champion is not None and champion.version == challenger.version:
            held = in_production(champion)
            return Outcome(False, held.reasons, held.figures)
        if not challenger.is_trained:
            return self._untrained(challenger, allowed, horizon_weeks)
        from demand_assets.store.ledger import PROMOTED

        decision = judge(self.lake, self.registry, challenger, champion, self.policy)
        record = self._record(challenger, champion, decision)
        if record.outcome == PROMOTED:
            return Outcome(True, record.reasons, decision.figures)
        beside = self._untrained(challenger, allowed, horizon_weeks)
        return Outcome(False, (*record.reasons, *beside.reasons), decision.figures)

    def _untrained(self, challenger: RegisteredVersion, allowed: Collection[str], horizon_weeks: int) -> Outcome:
        from demand_assets.store.ledger import PROMOTED

        champion = self.ledger.champion()
        found = judge_untrained(self.lake, self.registry, challenger, champion, allowed, horizon_weeks, self.policy)
        if not found.decision.promote:
            return Outcome(False, found.decision.reasons, found.decision.figures)
        version = challenger
        if challenger.is_trained or challenger.method != found.forecaster.method:
            data = learnt_from(self.lake, challenger.as_of)
            sample = self._sample(challenger.as_of)
            version = register_untrained(self.registry, found, challenger, sample, data, self.run_id)
        record = self._record(version, champion, found.decision)
        return Outcome(record.outcome == PROMOTED, record.reasons, found.decision.figures)

    def _sample(self, key: str) -> pd.DataFrame:
        rows = self.lake.read("demand_features", [key])
        if rows is None:
            raise LakeError(f"{self.lake.path('demand_features', key)}: expected the features of the week, got no file")
        return rows.head(5)

    def _record(
        self, version: RegisteredVersion, champion: RegisteredVersion | None, decision: Decision
    ) -> "PromotionRecord":
        return self.ledger.decide(
            version, champion, decision, self.requested_by, self.now, decision_key=decision_key(version, champion)
        )


def register_untrained(
    registry: ModelRegistry,
    untrained: Untrained,
    challenger: RegisteredVersion,
    sample: pd.DataFrame,
    data: LearntFrom,
    run_id: str,
) -> RegisteredVersion:
    """An untrained method as a registered version, made from what the challenger was; the same is registered once."""
    made_from = fingerprint([challenger.fingerprint, untrained.forecaster.method])
    tags = {
        "fingerprint": made_from,
        "as_of": challenger.as_of,
        "judged_to": challenger.judged_to,
        "data_version": challenger.data_version,
        "code_version": challenger.code_version,
    }
    return registry.with_fingerprint(made_from) or registered_untrained(
        registry, untrained.forecaster, untrained.judged, tags, sample, data, run_id
    )


def registered_untrained(
    registry: ModelRegistry,
    forecaster: Forecaster,
    judged: pd.DataFrame,
    tags: Mapping[str, str],
    sample: pd.DataFrame,
    data: LearntFrom,
    run_id: str,
) -> RegisteredVersion:
    """A new version of an untrained method, with the WMAE of each that was judged beside it."""
    scores = {**untrained_scores(judged), forecaster.model: untrained_scores(judged)[forecaster.method]}
    return registry.register(
        forecaster,
        dagster_run_id=run_id,
        tags=tags,
        params=forecaster.config.model_dump(),
        metrics={f"backtest_wmae_{name}": wmae for name, wmae in scores.items()},
        figures={},
        sample=sample,
        backtest=judged,
        card=model_card(forecaster, judged, data),
        learnt_from=data.tables,
    )


def decision_key(challenger: RegisteredVersion, champion: RegisteredVersion | None) -> str:
    """Names the decision on one challenger against one champion: the gate decides it once."""
    return fingerprint([challenger.fingerprint, challenger.version, None if champion is None else champion.version])


def in_production(champion: RegisteredVersion) -> Decision:
    """The answer to promoting what is the champion already."""
    return Decision(False, (f"version {champion.version} is in production already",), {})
