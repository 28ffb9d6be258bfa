"""build_resources(settings): the only choice of where the parts run."""

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import PrivateAttr

from demand_assets.adapters.alerts import Alerts
from demand_assets.adapters.io_manager import ParquetIOManager
from demand_assets.adapters.lake_rows import LakeRowsManager
from demand_assets.adapters.landing import LandingZone
from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.registry import ModelRegistry
from demand_assets.settings import Settings

if TYPE_CHECKING:
    import sqlalchemy

    from demand_assets.adapters.engine import Engine
    from demand_assets.forecasting.model import ModelConfig
    from demand_assets.forecasting.promotion import GatePolicy
    from demand_assets.forecasting.retraining import RetrainingPolicy


class Landing(dg.ConfigurableResource):
    """The landing zone at `uri`."""

    uri: str

    def zone(self) -> LandingZone:
        """The folder or S3 prefix to list and read."""
        return LandingZone(self.uri)


class ForecastStore(dg.ConfigurableResource):
    """The SQL store at `url`, SQLite or PostgreSQL; `unit` is what the amounts of new vintages count."""

    url: str
    unit: str

    def engine(self) -> "sqlalchemy.Engine":
        """A connected engine whose schema is the one this code expects; StoreError otherwise."""
        from demand_assets.store.migrations import current_engine

        return current_engine(self.url)


class Training(dg.ConfigurableResource):
    """How models are trained and judged; see `Settings` for each field."""

    horizon_weeks: int
    backtest_origins: int
    backtest_step_weeks: int
    backtest_series: int
    training_rows: int
    feature_origins: int
    rounds: int
    members: int
    quantiles: str
    max_depth: int
    learning_rate: float
    seed: int
    device: str
    threads: int

    def config(self) -> "ModelConfig":
        """The validated configuration of one training."""
        from demand_assets.forecasting.model import ModelConfig

        return ModelConfig(
            rounds=self.rounds,
            members=self.members,
            quantiles=tuple(map(float, self.quantiles.split(","))),
            max_depth=self.max_depth,
            learning_rate=self.learning_rate,
            seed=self.seed,
            device=self.device,
            threads=self.threads,
        )


class Compute(dg.ConfigurableResource):
    """Where heavy work runs; see `Settings`. A cluster is opened when it is first used, and closed with the run."""

    kind: str
    scheduler: str
    workers: int
    services: str
    threads: int
    _engine: "Engine | None" = PrivateAttr(default=None)
    _opened: ExitStack = PrivateAttr(default_factory=ExitStack)

    def engine(self, parts: int = 2) -> "Engine":
        """This machine, or the cluster; EngineError when it cannot be reached.

        Work of one part takes as long there as here, so no cluster is opened for it.
        """
        if self._engine is None and parts < 2:
            from demand_assets.adapters.engine import LocalEngine

            return LocalEngine(self.threads)
        if self._engine is None or not self._engine.is_open():
            self._opened.close()
            if self.kind == "local":
                from demand_assets.adapters.engine import LocalEngine

                self._engine = LocalEngine(self.threads)
            else:
                from demand_assets.adapters.cluster import open_cluster

                self._engine, closing = open_cluster(self.scheduler, self.workers, self.threads, self.services)
                self._opened.enter_context(closing)
        return self._engine

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close the cluster, also after a failure."""
        self._opened.close()
        self._engine = None


class PromotionGate(dg.ConfigurableResource):
    """When a challenger is better enough; see `GatePolicy`."""

    margin: float
    significance: float
    max_age_weeks: int

    def policy(self) -> "GatePolicy":
        """The gate's policy."""
        from demand_assets.forecasting.promotion import GatePolicy

        return GatePolicy(margin=self.margin, significance=self.significance, max_age_weeks=self.max_age_weeks)


class RetrainingRules(dg.ConfigurableResource):
    """When to train anew; see `RetrainingPolicy`."""

    max_age_weeks: int
    cooldown_weeks: int

    def policy(self) -> "RetrainingPolicy":
        """The policy of the retraining sensor."""
        from demand_assets.forecasting.retraining import RetrainingPolicy

        return RetrainingPolicy(max_age_weeks=self.max_age_weeks, cooldown_weeks=self.cooldown_weeks)


class OrderCosts(dg.ConfigurableResource):
    """What a unit too few (`underage`) and one too many (`overage`) cost; their ratio sets the service level."""

    underage: float
    overage: float


class Clock(dg.ConfigurableResource):
    """The time of publication; `fixed_at` (ISO 8601) makes a run repeatable to the byte."""

    fixed_at: str = ""

    def now(self) -> datetime:
        """The present, in UTC."""
        return datetime.fromisoformat(self.fixed_at).astimezone(UTC) if self.fixed_at else datetime.now(UTC)


def build_training(settings: Settings) -> Training:
    """How these settings train and judge models."""
    return Training(
        horizon_weeks=settings.horizon_weeks,
        backtest_origins=settings.backtest_origins,
        backtest_step_weeks=settings.backtest_step_weeks,
        backtest_series=settings.backtest_series,
        training_rows=settings.training_rows,
        feature_origins=settings.feature_origins,
        rounds=settings.rounds,
        members=settings.members,
        quantiles=settings.quantiles,
        max_depth=settings.max_depth,
        learning_rate=settings.learning_rate,
        seed=settings.seed,
        device=settings.device,
        threads=settings.threads,
    )


def build_compute(settings: Settings) -> Compute:
    """Where these settings run heavy work."""
    return Compute(
        kind=settings.engine,
        scheduler=settings.dask_scheduler,
        workers=settings.dask_workers,
        services=settings.dask_services,
        threads=settings.threads,
    )


def build_alerts(settings: Settings) -> Alerts:
    """Where these settings send alerts."""
    return Alerts(
        store_url=settings.store,
        sns_topic_arn=settings.alert_sns_topic,
        metrics_namespace=settings.metrics_namespace,
    )


def build_resources(settings: Settings) -> Mapping[str, Any]:
    """The resources of every asset, for this deployment. Opens nothing: connections are made when first used."""
    lake = ParquetLake(uri=settings.lake, places=settings.lake_places)
    models = {
        "tracking_uri": settings.tracking,
        "artifact_uri": settings.artifacts,
        "model_name": settings.model_name,
    }
    return {
        "landing": Landing(uri=settings.landing),
        "lake": lake,
        "io_manager": ParquetIOManager(lake=lake),
        "registry": ModelRegistry(**models),
        "ledger": PromotionLedger(store_url=settings.store, **models),
        "promotion_gate": PromotionGate(
            margin=settings.promotion_margin,
            significance=settings.promotion_significance,
            max_age_weeks=settings.max_model_age_weeks,
        ),
        "retraining": RetrainingRules(
            max_age_weeks=settings.max_model_age_weeks, cooldown_weeks=settings.retraining_cooldown_weeks
        ),
        "store": ForecastStore(url=settings.store, unit=settings.unit),
        "training": build_training(settings),
        "compute": build_compute(settings),
        "lake_rows": LakeRowsManager(lake=lake),
        "order_costs": OrderCosts(underage=settings.underage_cost, overage=settings.overage_cost),
        "clock": Clock(fixed_at=settings.clock),
        "alerts": build_alerts(settings),
    }
