"""The gate on registered models: what registry and lake know of challenger and champion, handed to the pure gate."""

import pandas as pd

from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.registry import ModelRegistry, RegisteredVersion
from demand_assets.errors import ModelError
from demand_assets.forecasting.metrics import shown
from demand_assets.forecasting.promotion import Decision, GatePolicy, best_baseline, champion_points, decide
from demand_assets.provenance import fingerprint

REQUESTED_BY_TAG = "demand/requested_by"


def judge(
    lake: ParquetLake,
    registry: ModelRegistry,
    challenger: RegisteredVersion,
    champion: RegisteredVersion | None,
    policy: GatePolicy,
) -> Decision:
    """Compare two registered versions on the challenger's backtest; ModelError when it has none.

    The champion forecasts the features as they are stored now at each origin since it was trained.
    """
    points = registry.backtest_of(challenger)
    if points is None:
        raise ModelError(f"version {challenger.version} was registered without a backtest and cannot be judged")
    if champion is None:
        return decide(points, pd.Timestamp(challenger.as_of), policy=policy)
    # Of earlier ones its own backtest speaks.
    later = [week for week in points["origin_week"].unique() if week >= pd.Timestamp(champion.as_of)]
    features = lake.read("demand_features", [f"{week:%Y-%m-%d}" for week in later])
    try:
        model = registry.load(champion)
    except ModelError:
        # Trained on other features than this code builds: its own backtest is all that speaks for it.
        model = None
    theirs = champion_points(
        model,
        pd.DataFrame({"origin_week": pd.DatetimeIndex([])}) if features is None else features,
        points,
        registry.backtest_of(champion),
    )
    return decide(points, pd.Timestamp(challenger.as_of), theirs, pd.Timestamp(champion.as_of), policy)


def stand_in(
    registry: ModelRegistry, challenger: RegisteredVersion, horizon_weeks: int, sample: pd.DataFrame, run_id: str
) -> tuple[RegisteredVersion, Decision]:
    """The best baseline of a refused challenger's backtest as a registered version, and why it serves.

    Without it there would be no forecast until a model passes the gate. ModelError when the challenger has no backtest.
    """
    points = registry.backtest_of(challenger)
    if points is None:
        raise ModelError(f"version {challenger.version} was registered without a backtest; train it again")
    quantiles = registry.load(challenger).config.quantiles
    forecaster, judged = best_baseline(points, pd.Timestamp(challenger.as_of), horizon_weeks, quantiles)
    start = forecaster.config.starts_from
    made_from = fingerprint([challenger.fingerprint, start])
    decision = decide(judged, pd.Timestamp(challenger.as_of))
    version = registry.with_fingerprint(made_from) or registry.register(
        forecaster,
        dagster_run_id=run_id,
        tags={
            "fingerprint": made_from,
            "as_of": challenger.as_of,
            "judged_to": challenger.judged_to,
            "data_version": challenger.data_version,
            "code_version": challenger.code_version,
            "horizon_weeks": str(horizon_weeks),
        },
        params={**forecaster.config.model_dump(), "horizon_weeks": horizon_weeks},
        metrics={"backtest_wmae_baseline": decision.figures["challenger_wmae"]},
        figures={},
        sample=sample,
        backtest=judged,
    )
    wmae = decision.figures["challenger_wmae"]
    reason = (
        f"no model has passed the gate yet; {start} is the best baseline, WMAE {shown(wmae)}, and serves until one does"
    )
    return version, Decision(True, (reason,), decision.figures)


def decision_key(challenger: RegisteredVersion, champion: RegisteredVersion | None) -> str:
    """Names the decision on one challenger against one champion: the gate decides it once."""
    return fingerprint([challenger.fingerprint, challenger.version, None if champion is None else champion.version])


def in_production(champion: RegisteredVersion) -> Decision:
    """The answer to promoting what is the champion already."""
    return Decision(False, (f"version {champion.version} is in production already",), {})
