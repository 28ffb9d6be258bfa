"""What-if: the model of the newest vintage on changed plans of its origin, published beside it, not in its place."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from demand_assets.adapters.arrow_frames import content_version
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.registry import ModelRegistry
from demand_assets.assets.forecasting import OVERAGE_KEY, PUBLISHED, UNDERAGE_KEY, forecast_with, totals_of
from demand_assets.assets.outages import retry_on_store_outage
from demand_assets.assets.rows import absent_rows, dataset_of, driver_frames, member_keys, store_table
from demand_assets.contract.store import FORECAST_TOTALS, SCENARIO_KIND
from demand_assets.errors import LakeError, ScenarioError
from demand_assets.forecasting.changes import Plannable, levels_of
from demand_assets.forecasting.drivers import ALL, DriverFrames
from demand_assets.forecasting.features import build_features
from demand_assets.forecasting.panel import SALES_COLUMNS, build_panel
from demand_assets.forecasting.scenarios import money_by_week, values_at, with_changes
from demand_assets.forecasting.weeks import add_weeks, weeks_between
from demand_assets.ingestion.names import is_currency, is_price
from demand_assets.partitions import week_key
from demand_assets.provenance import code_version
from demand_assets.resources import Clock, ForecastStore, OrderCosts

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from demand_assets.forecasting.panel import Panel

SCENARIO = "scenario"


@dataclass(frozen=True)
class Asked:
    """A scenario that is asked for: the text of its CSV of changes, which messages call `source`."""

    name: str
    changes: str
    author: str
    source: str = "changes"


def make_scenario(
    asked: Asked, lake: ParquetLake, registry: ModelRegistry, engine: "Engine", now: datetime
) -> tuple[Mapping[str, Any], bool]:
    """Score and publish a scenario: its row of `scenarios_with_totals`, and whether it is new.

    Model, data, code and order costs are those of the newest vintage, so that a difference is of the changes alone.
    ScenarioError when nothing is published, nothing is known ahead, the changes are wrong or the name is taken;
    LakeError when the data or the code are no longer those of the vintage.
    """
    from demand_assets.store.engine import reading
    from demand_assets.store.publish import VintageRecord
    from demand_assets.store.queries import newest_vintage
    from demand_assets.store.scenarios import ScenarioRecord, publish_scenario, require_name

    with reading(engine) as connection:
        base = newest_vintage(connection)
        if base is None:
            raise ScenarioError("expected a published forecast to change the plans of, got none; run `demand run`")
        require_name(connection, asked.name, base["vintage_id"], asked.changes)
    of_base = _Base.of(lake, base)
    changed, moved = with_changes(asked.changes, of_base.drivers, of_base.origin, of_base.plannable, asked.source)
    features = of_base.features(of_base.drivers)
    if content_version(features) != base["data_version"] or code_version("forecast") != base["code_version"]:
        raise LakeError(
            f"the data or the code are no longer those of the newest forecast, {base['vintage_id']}; "
            "`demand run` publishes one of what there is now"
        )
    features = of_base.features(changed)
    made_with = lake.metadata("published_forecast", [of_base.file])[of_base.file]
    model = registry.version(base["model_version"])
    forecast = forecast_with(
        registry.load(model),
        features,
        OrderCosts(underage=float(made_with[UNDERAGE_KEY]), overage=float(made_with[OVERAGE_KEY])),
        model_version=model.version,
        data_version=content_version(features),
        code=base["code_version"],
    )
    names = ("origin_week", "horizon_weeks", "method", "model_version", "code_version", "unit")
    vintage = VintageRecord(
        **{name: base[name] for name in names},
        data_version=content_version(features),
        published_at=now,
        kind=SCENARIO_KIND,
    )
    record = ScenarioRecord(
        asked.name,
        base["vintage_id"],
        asked.changes,
        _series_of(moved, of_base.plannable),
        asked.author,
        of_base.money(forecast, changed, base["unit"]),
    )
    members = member_keys(lake)
    totals, _ = totals_of(forecast, features, registry, base["horizon_weeks"])
    return publish_scenario(
        engine,
        record,
        vintage,
        store_table(forecast, PUBLISHED, members),
        store_table(totals, FORECAST_TOTALS.without("vintage_id"), members),
    )


@dataclass(frozen=True, eq=False)
class _Base:
    """What the newest vintage was made from."""

    origin: pd.Timestamp
    horizon_weeks: int
    file: str
    published: pd.DataFrame
    inputs: Mapping[str, Any]
    drivers: DriverFrames
    plannable: Plannable

    @classmethod
    def of(cls, lake: ParquetLake, base: Mapping[str, Any]) -> "_Base":
        origin, horizon = pd.Timestamp(base["origin_week"]), int(base["horizon_weeks"])
        file = f"{week_key(origin)}/{base['vintage_id']}"
        drivers = driver_frames(lake, week_key(origin), horizon)
        if drivers is None:
            raise ScenarioError(
                "expected a covariate that is known ahead, got none; demand.toml declares one by known_ahead in "
                "[[covariates]]"
            )
        published = lake.read("published_forecast", [file], ["store_id", "dept_id", "target_week", "forecast"])
        if published is None:
            raise LakeError(
                f"{lake.path('published_forecast', file)}: expected the vintage's file, got none; restore it"
            )
        keys = member_keys(lake)
        plannable = Plannable(
            levels_of(drivers),
            tuple(one.name for one in dataset_of(lake).covariates if not one.known_ahead),
            keys["store_id"],
            keys["dept_id"],
            published[["store_id", "dept_id"]].drop_duplicates(ignore_index=True),
            weeks_between(add_weeks(origin, 1), add_weeks(origin, horizon)),
        )
        return cls(origin, horizon, file, published, _inputs(lake, week_key(origin)), drivers, plannable)

    def features(self, drivers: DriverFrames) -> pd.DataFrame:
        """demand_features of the origin, with these drivers."""
        panel: Panel = build_panel(**self.inputs, horizon_weeks=self.horizon_weeks, drivers=drivers)
        return build_features(panel, [self.origin], self.horizon_weeks)

    def money(self, forecast: pd.DataFrame, changed: DriverFrames, unit: str) -> dict[str, list[float]] | None:
        """Per week the forecasts at their prices; None where amounts are money, or there is not one price."""
        prices = [name for name in self.drivers.names if is_price(name)]
        if is_currency(unit) or len(prices) != 1:
            return None
        before, after = (
            values_at(drivers, self.origin, self.plannable, prices[0]) for drivers in (self.drivers, changed)
        )
        return money_by_week(self.published, forecast, before, after) or None


def _inputs(lake: ParquetLake, newest: str) -> dict[str, Any]:
    """Arguments of `build_panel` from the lake, of the weeks up to `newest`."""
    weekly = {"sales": ("raw_sales", list(SALES_COLUMNS)), "covariates": ("raw_covariates", None)}
    keys = {table: [key for key in lake.partitions(table) if key <= newest] for table, _ in weekly.values()}
    frames = {name: lake.read(table, keys[table], columns) for name, (table, columns) in weekly.items()}
    whole = {"stores": lake.read("stores", None), "calendar": lake.read("holiday_calendar", None)}
    return {**frames, **whole, "absent": absent_rows(lake)}


def _series_of(moved: pd.DataFrame, plannable: Plannable) -> int:
    """How many of the series have a changed value, their own or of their whole store."""
    series = plannable.series
    own = series.merge(moved[["store_id", "dept_id"]].drop_duplicates(), how="left", indicator=True)["_merge"] == "both"
    of_store = series["store_id"].isin(moved.loc[moved["dept_id"] == ALL, "store_id"])
    return int((own.to_numpy() | of_store.to_numpy()).sum())


class ScenarioConfig(dg.Config):
    """A scenario to make: its changes as the text of a CSV, or the path of one; not both."""

    name: str
    changes: str = ""
    path: str = ""
    author: str = "dagster"

    def asked(self) -> Asked:
        """What is asked for; ScenarioError unless either is given, or for a file that cannot be read."""
        if bool(self.changes) == bool(self.path):
            raise ScenarioError("expected either changes (the text of a CSV) or path (of one) in the run config")
        if self.changes:
            return Asked(self.name, self.changes, self.author)
        return Asked(self.name, read_changes_file(Path(self.path)), self.author, Path(self.path).name)


def read_changes_file(path: Path) -> str:
    """The text of a CSV; ScenarioError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: expected a CSV in UTF-8 that can be read, got {error}") from error


@dg.op(name="make_scenario")
@retry_on_store_outage
def scenario_op(
    context: dg.OpExecutionContext,
    config: ScenarioConfig,
    lake: ParquetLake,
    registry: ModelRegistry,
    store: ForecastStore,
    clock: Clock,
) -> None:
    """Publish a scenario of the newest vintage."""
    row, is_new = make_scenario(config.asked(), lake, registry, store.engine(), clock.now())
    context.add_output_metadata(
        {
            "scenario": row["name"],
            "vintage": row["vintage_id"],
            "base vintage": row["base_vintage_id"],
            "new": is_new,
            "series with changed plans": row["series"],
            "forecast": row["forecast"],
            "base forecast": row["base_forecast"],
        }
    )
