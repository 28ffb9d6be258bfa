"""build_resources(settings): the only choice of where the parts run."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import PrivateAttr, ValidationError

from demand_assets.adapters.alerts import Alerts
from demand_assets.adapters.events import Events
from demand_assets.adapters.hidden_values import StoreResource, unshown
from demand_assets.adapters.io_manager import ParquetIOManager
from demand_assets.adapters.landing import LandingZone
from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.notices import require_known
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.registry import ModelRegistry
from demand_assets.adapters.table_refs import TableRefManager
from demand_assets.compute import DaskWorkers, ThisMachine, open_cluster
from demand_assets.errors import ModelError, SettingsError
from demand_assets.ingestion.dataspec import Accept
from demand_assets.ingestion.screening import Screening
from demand_assets.settings import PREFIX, Settings

if TYPE_CHECKING:
    import sqlalchemy

    from demand_assets.forecasting.models.base import ModelConfig
    from demand_assets.forecasting.ports import Workers
    from demand_assets.forecasting.promotion import GatePolicy
    from demand_assets.monitoring.retraining import RetrainingPolicy


class Landing(StoreResource):
    """The landing zone at `uri`; findings that were accepted are in the store at `store_url`."""

    uri: str
    store_url: str
    bad_rows: str

    def zone(self) -> LandingZone:
        """The folder or S3 prefix to list and read."""
        return LandingZone(self.uri, self.screening())

    def screening(self) -> Screening:
        """How its files are screened today."""
        return Screening(datetime.now(UTC).date(), tuple(self._accepted()), self.bad_rows == "quarantine")

    def _accepted(self) -> "Iterator[Accept]":
        from demand_assets.store.acceptances import accepted_findings
        from demand_assets.store.engine import is_to_come
        from demand_assets.store.migrations import opened

        # Before there is a store nothing has been accepted.
        if not is_to_come(self.address):
            with opened(self.address) as engine:
                found = accepted_findings(engine)
            for one in found:
                yield Accept(week=one["week"], check=one["check_name"], reason=one["reason"])


class ForecastStore(StoreResource):
    """The SQL store of forecasts."""

    _engine: "sqlalchemy.Engine | None" = PrivateAttr(default=None)

    def engine(self) -> "sqlalchemy.Engine":
        """A connected engine whose schema is the one this code expects, until the run ends; StoreError otherwise."""
        from demand_assets.store.migrations import current_engine

        if self._engine is None:
            self._engine = current_engine(self.address)
        return self._engine

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close its connections: with the last one SQLite brings everything into the one file."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


class Training(dg.ConfigurableResource):
    """How models are trained and judged; see `Settings` for each field."""

    horizon_weeks: int
    backtest_origins: int
    backtest_step_weeks: int
    backtest_series: int
    training_rows: int
    feature_origins: int
    model: str
    model_settings: str
    quantiles: str
    seed: int
    threads: int

    def config(self) -> "ModelConfig":
        """The validated configuration of one training; SettingsError naming what is wrong."""
        from demand_assets.forecasting.models import configured

        shared = {"quantiles": self.quantiles.split(","), "seed": self.seed, "threads": self.threads}
        try:
            return configured(self.model, {**shared, **json.loads(self.model_settings)})
        except ModelError as error:
            raise SettingsError(f"DEMAND_MODEL is {self.model!r}: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"]))
            raise SettingsError(f"DEMAND_MODEL_SETTINGS, {name} is {first['input']!r}: {first['msg']}") from error


class Compute(dg.ConfigurableResource):
    """Where heavy work runs; see `Settings`. A cluster is opened when it is first used, and closed with the run."""

    kind: str
    scheduler: str
    workers: int
    services: str
    threads: int
    _cluster: DaskWorkers | None = PrivateAttr(default=None)
    _opened: ExitStack = PrivateAttr(default_factory=ExitStack)

    def workers_for(self, parts: int = 2) -> "Workers":
        """Who does work of so many parts: this machine, or the cluster; EngineError when it cannot be reached.

        Work of one part takes as long there as here, so no cluster is opened for it.
        """
        if self.kind == "local" or (self._cluster is None and parts < 2):
            return ThisMachine(self.threads)
        if self._cluster is None or not self._cluster.is_open:
            self._opened.close()
            self._cluster, closing = open_cluster(self.scheduler, self.workers, self.threads, self.services)
            self._opened.enter_context(closing)
        return self._cluster

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close the cluster, also after a failure."""
        self._opened.close()
        self._cluster = None


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
        from demand_assets.monitoring.retraining import RetrainingPolicy

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
        model=settings.model,
        model_settings=settings.model_settings,
        quantiles=settings.quantiles,
        seed=settings.seed,
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
    """Where these settings send alerts; SettingsError for an address that Apprise cannot read."""
    require_known(settings.alert_urls, f"{PREFIX}ALERT_URLS")
    return Alerts(
        store_url=_store(settings),
        sns_topic_arn=settings.alert_sns_topic,
        metrics_namespace=settings.metrics_namespace,
        addresses=unshown("ALERT_URLS", settings.alert_urls),
    )


def build_events(settings: Settings) -> Events:
    """Whom these settings tell of published vintages."""
    return Events(
        store_url=_store(settings),
        public_url=settings.public_url,
        webhooks=unshown("EVENT_URLS", settings.event_urls),
        secret=unshown("EVENT_SECRET", settings.event_secret),
        sns_topic_arn=settings.event_sns_topic,
        addresses=unshown("ALERT_URLS", settings.alert_urls),
        locale=settings.locale,
    )


def _store(settings: Settings) -> str:
    return unshown("STORE_URL", settings.store)


def build_resources(settings: Settings) -> Mapping[str, Any]:
    """The resources of every asset, for this deployment. Opens nothing: connections are made when first used."""
    lake = ParquetLake(uri=settings.lake, table_uris=settings.table_uris)
    models = {
        "tracking_uri": settings.tracking,
        "artifact_uri": settings.artifacts,
        "model_name": settings.model_name,
    }
    return {
        "landing": Landing(uri=settings.landing, store_url=_store(settings), bad_rows=settings.bad_rows),
        "lake": lake,
        "io_manager": ParquetIOManager(lake=lake),
        "registry": ModelRegistry(**models),
        "ledger": PromotionLedger(store_url=_store(settings), **models),
        "promotion_gate": PromotionGate(
            margin=settings.promotion_margin,
            significance=settings.promotion_significance,
            max_age_weeks=settings.max_model_age_weeks,
        ),
        "retraining": RetrainingRules(
            max_age_weeks=settings.max_model_age_weeks, cooldown_weeks=settings.retraining_cooldown_weeks
        ),
        "store": ForecastStore(store_url=_store(settings)),
        "training": build_training(settings),
        "compute": build_compute(settings),
        "table_refs": TableRefManager(lake=lake),
        "order_costs": OrderCosts(underage=settings.underage_cost, overage=settings.overage_cost),
        "clock": Clock(fixed_at=settings.clock),
        "alerts": build_alerts(settings),
        "events": build_events(settings),
    }
