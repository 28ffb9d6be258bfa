"""The gate on registered models: what registry and lake know of challenger and champion, handed to the pure gate."""

import pandas as pd

from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.registry import ModelRegistry, RegisteredVersion
from demand_assets.errors import ModelError
from demand_assets.forecasting.promotion import Decision, GatePolicy, champion_points, decide
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


def decision_key(challenger: RegisteredVersion, champion: RegisteredVersion | None) -> str:
    """Names the decision on one challenger against one champion: the gate decides it once."""
    return fingerprint([challenger.fingerprint, challenger.version, None if champion is None else champion.version])


def in_production(champion: RegisteredVersion) -> Decision:
    """The answer to promoting what is the champion already."""
    return Decision(False, (f"version {champion.version} is in production already",), {})
