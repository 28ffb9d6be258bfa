"""What decides a result. Each is kept in the footer of the result's file, so that the planner finds what is due.

A recipe is everything that decides a result: the versions of its inputs, the code, the configuration. A result is up to
date exactly when its file names the version of its present recipe.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from demand_assets.adapters.arrow_frames import content_version
from demand_assets.adapters.parquet import VERSION_KEY, ParquetLake
from demand_assets.adapters.plans import AHEAD_KEY, PLANS, planned_versions
from demand_assets.contract.store import FORECAST_ACCURACY, FORECAST_EXCEPTIONS
from demand_assets.forecasting.weeks import add_weeks
from demand_assets.ingestion.dataset import Dataset
from demand_assets.origins import comparable_origins, features_up_to
from demand_assets.partitions import week_key
from demand_assets.provenance import code_version, fingerprint
from demand_assets.resources import OrderCosts, Training

if TYPE_CHECKING:
    from demand_assets.adapters.registry import RegisteredVersion

# Made of a week's sales and of what was forecast for it.
SCORED_TABLES = {table.name: table for table in (FORECAST_ACCURACY, FORECAST_EXCEPTIONS)}

# Made of a backtest, an origin a file: what vintages say of the origins before the first that was published.
PAST_FORECASTS = "past_forecasts"

# What features are made of; which flags have landed changes with every week.
FLAGS = ("week", "is_holiday", "holiday")

# Metadata in the footer of a file of the lake.
RECIPE_KEY = "recipe"
VINTAGE_KEY = "vintage"
HORIZON_KEY = "horizon_weeks"
# Weeks whose worst drift a report's page shows, its own among them.
WEEKS_SHOWN = 26


@dataclass(frozen=True)
class Recipe:
    """All that decides a result, as JSON-like values; `code` is empty where code does not count."""

    inputs: Mapping[str, Any]
    code: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Hash of the recipe, 16 hex digits."""
        return fingerprint(asdict(self))

    @property
    def metadata(self) -> dict[str, str]:
        """What the file of the result keeps of the recipe."""
        return {RECIPE_KEY: self.version}


def outdated(lake: ParquetLake, table: str, wanted: Mapping[str, Recipe]) -> list[str]:
    """Of the `wanted` partitions of a table those that are missing or were made by another recipe, sorted."""
    metadata = lake.metadata(table, wanted)
    return sorted(key for key, recipe in wanted.items() if metadata.get(key, {}).get(RECIPE_KEY) != recipe.version)


def reusable(lake: ParquetLake, table: str, key: str, recipe: Recipe) -> pd.DataFrame | None:
    """The stored partition if it was made by this recipe."""
    return None if outdated(lake, table, {key: recipe}) else lake.read(table, [key])


def feature_recipes(lake: ParquetLake, horizon_weeks: int) -> dict[str, Recipe]:
    """Recipe of the features of each landed week, in order. It covers that week and all weeks before it."""
    sales, covariates, of_series = map(lake.versions, ("raw_sales", "raw_covariates", "raw_series_covariates"))
    calendar = lake.read("holiday_calendar", None, FLAGS)
    whole: dict[str, str | None] = {
        "stores": lake.metadata("stores", [None]).get(None, {}).get(VERSION_KEY),
        "holiday_calendar": None if calendar is None else content_version(calendar),
    }
    facts = lake.read("dataset", None)
    if facts is not None:
        whole |= {name: str(facts.iloc[0][name]) for name in ("missing", "closed")}
    planned = planned_versions(lake, facts, covariates, of_series, horizon_weeks)
    recipes: dict[str, Recipe] = {}
    before = fingerprint(whole)
    for key in sorted(sales):
        inputs = {"before": before, "week": key, "sales": sales[key], "covariates": covariates.get(key)}
        inputs |= {"of series": of_series[key]} if key in of_series else {}
        recipe = Recipe(inputs, code_version("features"), {"horizon_weeks": horizon_weeks})
        before = recipe.version
        # What was planned at an origin is no input of the origins after it.
        recipes[key] = replace(recipe, inputs=inputs | {"planned": planned.get(key)}) if planned else recipe
    return recipes


def training_recipe(lake: ParquetLake, training: Training, as_of: str) -> Recipe:
    """Recipe of the backtest and the model as of a week."""
    metadata = lake.metadata("demand_features", features_up_to(lake, training, as_of))
    return Recipe(
        {"as_of": as_of, "features": {str(key): note.get(RECIPE_KEY) for key, note in metadata.items()}},
        code_version("training"),
        # Threads decide how fast, not what.
        {**training.model_dump(exclude={"threads"}), **training.config().model_dump(exclude={"threads"})},
    )


def training_settings(training: Training) -> str:
    """Version of the settings that a model is trained with."""
    settings = training.config().model_dump(exclude={"threads"})
    return fingerprint({**settings, "model": training.model, "horizon_weeks": training.horizon_weeks})


def champion_recipe(champion: "RegisteredVersion", features_version: str, result: str) -> Recipe:
    """Recipe of the champion's predictions (`result` "drift") or "attributions" at one origin."""
    inputs = {"features": features_version, "champion": _made_by(champion)}
    return Recipe(inputs, code_version(result))


def forecast_recipe(lake: ParquetLake, champion: "RegisteredVersion", key: str, costs: OrderCosts) -> Recipe:
    """Recipe of the champion's forecast at one origin, with the quantities to order."""
    inputs = {"features": lake.versions_of("demand_features", [key]), "champion": _made_by(champion)}
    return Recipe(inputs, code_version("forecast"), {"underage": costs.underage, "overage": costs.overage})


def totals_recipe(lake: ParquetLake, key: str, horizon_weeks: int) -> Recipe:
    """Recipe of the totals of the forecast at one origin. The forecast names the model whose backtest they use."""
    inputs = {"forecast": lake.versions_of("weekly_forecast", [key])}
    return Recipe(inputs, code_version("totals"), {"horizon_weeks": horizon_weeks})


@dataclass(frozen=True)
class DriftInputs:
    """What the drift report of a week reads: its features, those of the `origins` before it, and the reports `shown`.

    `features` is the version of each of these origins and of the week.
    """

    origins: Sequence[str]
    features: Mapping[str, str]
    shown: Sequence[str]

    @classmethod
    def of(cls, lake: ParquetLake, key: str) -> "DriftInputs":
        """What the lake holds of them now."""
        from demand_assets.monitoring.drift import PAST_WEEKS

        earliest = week_key(add_weeks(pd.Timestamp(key), -PAST_WEEKS))
        origins = [origin for origin in lake.partitions("demand_features") if earliest <= origin < key]
        if comparable_origins(lake, [key]):
            origins = comparable_origins(lake, origins)
        shown = [one for one in lake.partitions("drift_report") if one < key][-WEEKS_SHOWN + 1 :]
        return cls(origins, lake.versions_of("demand_features", [*origins, key]), shown)


def drift_recipe(lake: ParquetLake, champion: "RegisteredVersion", key: str, read: DriftInputs) -> Recipe:
    """Recipe of the drift report of a week."""
    inputs = {
        "features": read.features,
        "forecast": lake.versions_of("weekly_forecast", [key]),
        "champion": _made_by(champion),
        "weeks before": lake.versions_of("drift_report", read.shown),
    }
    return Recipe(inputs, code_version("drift"))


def _made_by(champion: "RegisteredVersion") -> list[str]:
    return [champion.version, champion.fingerprint]


def scoring_recipes(lake: ParquetLake, table: str, keys: Iterable[str]) -> dict[str, Recipe]:
    """Recipe of each landed week of `keys` in one of `SCORED_TABLES`.

    It covers the week's sales, what says that series were out of stock, the vintages that `past_forecasts` made after
    the sales had landed, and the columns of the table.
    """
    wanted = list(keys)
    sales, past, facts = lake.versions_of("raw_sales", wanted), past_vintages(lake), lake.read("dataset", None)
    tells_stock = facts is not None and Dataset.read(facts).tells_stock
    of_series = lake.versions_of("raw_series_covariates", wanted) if tells_stock else {}
    config = {"columns": list(SCORED_TABLES[table].names)}
    return {
        key: Recipe(
            {"sales": sales[key]}
            | ({"of series": of_series[key]} if key in of_series else {})
            | ({"past forecasts": past[key]} if key in past else {}),
            config=config,
        )
        for key in wanted
        if key in sales
    }


def past_vintages(lake: ParquetLake) -> dict[str, list[str]]:
    """Week -> vintages of `past_forecasts` that forecast it, in order of origin."""
    notes = lake.metadata(PAST_FORECASTS, lake.partitions(PAST_FORECASTS))
    found: dict[str, list[str]] = {}
    for origin, note in notes.items():
        for ahead in range(1, int(note[HORIZON_KEY]) + 1):
            found.setdefault(week_key(add_weeks(pd.Timestamp(str(origin)), ahead)), []).append(note[VINTAGE_KEY])
    return found


def publishing_recipe(covariates_version: str) -> Recipe:
    """Recipe of a week's published covariates."""
    return Recipe({"covariates": covariates_version})


# Weeks to the newest sales that charts of a series can show.
CHARTED_WEEKS = 156


def charted_weeks(lake: ParquetLake) -> list[str]:
    """The newest weeks with sales, as many as charts can show, in order."""
    return lake.partitions("raw_sales")[-CHARTED_WEEKS:]


def drivers_recipe(lake: ParquetLake) -> Recipe | None:
    """Recipe of the published drivers: their values in the charted weeks, and what is planned; None before sales."""
    weeks, facts = charted_weeks(lake), lake.read("dataset", None)
    if not weeks or facts is None:
        return None
    newest = weeks[-1]
    versions = {table: lake.versions(table) for table in ("raw_covariates", "raw_series_covariates")}
    tables = {table: {key: held[key] for key in weeks if key in held} for table, held in versions.items()}
    # Of the conditions of weeks ahead that were published with the newest week.
    ahead = lake.metadata("published_conditions", [newest]).get(newest, {}).get(AHEAD_KEY)
    planned = {PLANS: lake.versions_of(PLANS, [newest]), "ahead": ahead, "covariates": str(facts.iloc[0]["covariates"])}
    return Recipe({"weeks": weeks, **tables, **planned})
