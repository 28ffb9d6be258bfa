"""What the retraining sensor and the alerts look at, from store and lake: realised loss, drift, age of models."""

from typing import TYPE_CHECKING

import pandas as pd

from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.registry import ModelRegistry
from demand_assets.forecasting.baselines import model_rows

if TYPE_CHECKING:
    from demand_assets.monitoring.retraining import Evidence

DRIFT_COLUMNS = ("severity", "group_kind", "group_id", "variable", "week", "reference", "score", "sales_share", "words")
DRIFT_WEEKS = 8


def gather_evidence(
    lake: ParquetLake,
    registry: ModelRegistry,
    ledger: PromotionLedger,
    week: str,
    *,
    is_short: bool = False,
    made_by: tuple[str, str] | None = None,
) -> "Evidence":
    """The evidence at `week`, a week that has features; later weeks are left out.

    `is_short`: history is too short for a model. `made_by`: the versions of the settings and of the code that a model
    would be trained with now; None: not asked.
    """
    from demand_assets.monitoring.retraining import Evidence

    champion = ledger.champion()
    newest, trained = registry.newest(), registry.newest(trained=True)
    other = made_by is not None and trained is not None and (trained.settings, trained.code_version) != made_by
    return Evidence(
        week=pd.Timestamp(week),
        champion=None if champion is None else champion.version,
        champion_as_of=None if champion is None else pd.Timestamp(champion.as_of),
        trained_as_of=None if trained is None else pd.Timestamp(trained.as_of),
        judged_to=None if trained is None else pd.Timestamp(trained.judged_to),
        losses=chain_losses(registry, ledger, week),
        drift=_severities(lake, week),
        untrained="" if champion is None or champion.is_trained else champion.method,
        methods_judged=None if newest is None else pd.Timestamp(newest.as_of),
        is_short=is_short,
        is_changed=other,
    )


def chain_losses(registry: ModelRegistry, ledger: PromotionLedger, week: str = "9999") -> tuple[tuple[str, float], ...]:
    """WMAE of the chain per scored week up to `week`, before the first one that of the first champion's backtest.

    The first champion's, not the present one's: a later promotion must not change the history.
    """
    from demand_assets.forecasting.metrics import score
    from demand_assets.store.engine import reading
    from demand_assets.store.migrations import opened
    from demand_assets.store.queries import realised_wmae

    with opened(ledger.address) as engine, reading(engine) as conn:
        realised = [(f"{row['week']:%Y-%m-%d}", float(row["wmae"])) for row in realised_wmae(conn)]
    realised = [one for one in realised if one[0] <= week]
    first = next((row["to_version"] for row in reversed(ledger.rows()) if row["outcome"] == "promoted"), None)
    tested = None if first is None else registry.backtest_of(registry.version(first))
    if tested is None:
        return tuple(realised)
    by_week = score(model_rows(tested), ["target_week"])
    before = zip(by_week["target_week"].dt.strftime("%Y-%m-%d"), by_week["wmae"].astype(float), strict=True)
    earliest = realised[0][0] if realised else "9999"
    return (*(one for one in before if one[0] < earliest and one[0] <= week), *realised)


def _severities(lake: ParquetLake, week: str) -> tuple[tuple[str, str], ...]:
    from demand_assets.monitoring.drift import drift_verdict

    keys = [key for key in lake.partitions("drift_report") if key <= week][-DRIFT_WEEKS:]
    reports = {key: lake.read("drift_report", [key], DRIFT_COLUMNS) for key in keys}
    return tuple((key, drift_verdict(rows).severity) for key, rows in reports.items() if rows is not None)
