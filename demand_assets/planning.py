"""What is due and why. The `demand` command, the sensors, the schedule and reuse inside assets all ask here.

What decides a result is its recipe (`recipes`); a result whose file names another one is due.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from demand_assets.adapters.evidence import gather_evidence
from demand_assets.adapters.manifests import MANIFEST_KEY
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.plans import ahead_is_kept
from demand_assets.ingestion.dataspec import Accept
from demand_assets.ingestion.delivery import MEMBERS, Delivery
from demand_assets.ingestion.members import extended_keys
from demand_assets.ingestion.merge import Landing
from demand_assets.ingestion.screening import BESIDE_STORED
from demand_assets.ingestion.understanding import COVARIATES, Kind
from demand_assets.origins import judged_origins, wanted_origins
from demand_assets.partitions import key_ranges, week_key
from demand_assets.provenance import code_version, fingerprint
from demand_assets.recipes import (
    RECIPE_KEY,
    SCORED_TABLES,
    DriftInputs,
    Recipe,
    champion_recipe,
    drift_recipe,
    drivers_recipe,
    feature_recipes,
    forecast_recipe,
    outdated,
    past_vintages,
    publishing_recipe,
    scoring_recipes,
    totals_recipe,
    training_settings,
)
from demand_assets.resources import OrderCosts, Training

if TYPE_CHECKING:
    from demand_assets.adapters.ledger import PromotionLedger
    from demand_assets.adapters.registry import ModelRegistry, RegisteredVersion
    from demand_assets.monitoring.retraining import RetrainingPolicy

INGEST, BUILD_FEATURES, TRAIN_AND_FORECAST, WEEKLY = "ingest", "build_features", "train_and_forecast", "weekly"
FORECAST, SCORE = "forecast", "score"

# Kind of a delivery -> table of its weeks.
WEEKLY_TABLES: Mapping[Kind, str] = {
    "sales": "raw_sales",
    "covariates": "raw_covariates",
    "series_covariates": "raw_series_covariates",
}
# Metadata in the footer of a file of the lake.
LANDINGS_KEY = "landings"
ACCEPTED_KEY = "accepted"
# Starting a run takes as long as this many weeks of it, so stretches of weeks this close to each other share a run.
WEEKS_PER_RUN_START = 13


def read_landings(text: str | None) -> tuple[Landing, ...]:
    """The landings kept in a partition's footer, oldest first."""
    return tuple(Landing(**record) for record in json.loads(text or "[]"))


def landings_metadata(landings: Sequence[Landing]) -> dict[str, str]:
    """What a file of the lake keeps of the deliveries applied to it."""
    return {LANDINGS_KEY: json.dumps([asdict(landing) for landing in landings])}


def applied_landings(lake: ParquetLake, table: str, keys: Sequence[str]) -> dict[pd.Timestamp, tuple[Landing, ...]]:
    """For each week with a file: the deliveries already applied to it."""
    metadata = lake.metadata(table, keys)
    return {pd.Timestamp(str(key)): read_landings(footer.get(LANDINGS_KEY)) for key, footer in metadata.items()}


def keyed(landed: Sequence[Delivery], lake: ParquetLake) -> list[Delivery]:
    """The deliveries with keys for ids: those that the lake has, and new ones for ids that are new."""
    keys = {
        column: extended_keys(lake.read(table, None, [column, "id"]), landed, column)
        for table, column in MEMBERS.items()
    }
    return [delivery.keyed(keys) for delivery in landed]


@dataclass(frozen=True)
class PlannedRun:
    """One run of `job` over the weeks from `first` to `last`. `key` names the evidence; each key is run once."""

    job: str
    first: str
    last: str
    key: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """The runs that are due, in order of time; `reason` says why, or why none is."""

    runs: tuple[PlannedRun, ...]
    reason: str


def _runs(job: str, due: Mapping[str, Any], known: Sequence[str], reason: str) -> Plan:
    """Runs of `job` over the weeks in `due` (week -> evidence). Weeks that are not registered are left out."""
    wanted = {key: due[key] for key in sorted(due) if key in set(known)}
    runs = []
    for first, last in key_ranges(wanted, known, WEEKS_PER_RUN_START):
        evidence = fingerprint({key: value for key, value in wanted.items() if first <= key <= last})
        runs.append(PlannedRun(job, first, last, f"{first}:{last}:{evidence}", reason))
    return Plan(tuple(runs), reason)


def plan_landing(lake: ParquetLake, deliveries: Sequence[Delivery], known: Sequence[str]) -> Plan:
    """Ingestion of the weeks to which some delivery has not been applied yet.

    A new file of stores or departments belongs to the newest week. So do unpublished conditions of later weeks.
    """
    due = _undelivered(lake, deliveries, known)
    files = sorted({name for names in due.values() for name in names.values()})
    return _runs(INGEST, due, known, f"new: {', '.join(files)}" if files else "no file covers a week that lacks it")


def accepted_metadata(accepted: Iterable[Accept], week: pd.Timestamp) -> dict[str, str]:
    """What a week's file of sales keeps of the findings that were accepted for it; nothing without any."""
    found = sorted([one.check, one.reason] for one in accepted if pd.Timestamp(one.week) == week)
    return {ACCEPTED_KEY: fingerprint(found)} if found else {}


def unjudged_weeks(lake: ParquetLake, accepted: Sequence[Accept]) -> list[str]:
    """Landed weeks with findings that were accepted since their rows were judged."""
    keys = sorted({f"{one.week:%Y-%m-%d}" for one in accepted})
    held = lake.metadata("raw_sales", keys)
    return [
        str(key)
        for key, footer in held.items()
        if footer.get(ACCEPTED_KEY) != accepted_metadata(accepted, pd.Timestamp(str(key))).get(ACCEPTED_KEY)
    ]


def plan_ingestion(
    lake: ParquetLake, deliveries: Sequence[Delivery], known: Sequence[str], accepted: Sequence[Accept] = ()
) -> Plan:
    """`plan_landing`, the weeks that a killed run stored but did not score or publish, and those to judge again."""
    due: dict[str, Any] = _undelivered(lake, deliveries, known)
    due |= dict.fromkeys(set(unjudged_weeks(lake, accepted)) - set(due), "accepted")
    due |= dict.fromkeys({*unscored_weeks(lake), *unpublished_weeks(lake, deliveries)} - set(due), "unfinished")
    reason = f"{len(due)} weeks have new files or accepted findings, or were landed without being scored and published"
    return _runs(INGEST, due, known, reason if due else "nothing new has landed")


def _undelivered(lake: ParquetLake, deliveries: Sequence[Delivery], known: Sequence[str]) -> dict[str, dict[str, str]]:
    """Week -> content hash and name of each delivery that it lacks."""
    due: dict[str, dict[str, str]] = {}
    for kind, table in WEEKLY_TABLES.items():
        applied = {
            # What stored sales let in of a delivery is not known here, and makes it no other delivery.
            week_key(week): {landing.content_hash.partition(BESIDE_STORED)[0] for landing in landings}
            for week, landings in applied_landings(lake, table, known).items()
        }
        for delivery in (one for one in deliveries if one.kind == kind):
            for key in {week_key(week) for week in delivery.weeks} & set(known):
                if delivery.content_hash not in applied.get(key, ()):
                    due.setdefault(key, {})[delivery.content_hash] = delivery.file.name
    with_newest: list[Delivery] = []
    for kind in MEMBERS:
        whole = lake.metadata(kind, [None]).get(None, {})
        seen = {landing.content_hash for landing in read_landings(whole.get(LANDINGS_KEY))}
        with_newest += [one for one in deliveries if one.kind == kind and one.content_hash not in seen]
    if known and not ahead_is_kept(lake, deliveries, known[-1]):
        with_newest += [one for one in deliveries if one.kind in COVARIATES and week_key(max(one.weeks)) > known[-1]]
    for delivery in with_newest if known else ():
        due.setdefault(known[-1], {})[delivery.content_hash] = delivery.file.name
    return due


def unpublished_weeks(lake: ParquetLake, deliveries: Sequence[Delivery]) -> list[str]:
    """Weeks whose present conditions are not in the store.

    The newest week also when what has been delivered of the weeks after it is not published or kept, or the drivers in
    the store are not the present ones.
    """
    versions = lake.versions("raw_covariates")
    wanted = {key: publishing_recipe(version) for key, version in versions.items()}
    due = set(outdated(lake, "published_conditions", wanted))
    drivers = drivers_recipe(lake)
    kept = lake.metadata("published_drivers", [None]).get(None, {})
    is_old = drivers is not None and kept.get(RECIPE_KEY) != drivers.version
    if versions and (is_old or not ahead_is_kept(lake, deliveries, max(versions))):
        due.add(max(versions))
    return sorted(due)


def unscored_weeks(lake: ParquetLake) -> list[str]:
    """Weeks whose present sales have not been scored, by all vintages that forecast them."""
    landed = lake.partitions("raw_sales")
    due: set[str] = set()
    for table in SCORED_TABLES:
        due |= set(outdated(lake, table, scoring_recipes(lake, table, landed)))
    return sorted(due)


def plan_scoring(lake: ParquetLake, known: Sequence[str]) -> Plan:
    """Scores of the weeks that `past_forecasts` forecast after their sales had landed."""
    past = past_vintages(lake)
    due = {key: past[key] for key in unscored_weeks(lake) if key in past}
    reason = f"{len(due)} weeks have forecasts of the backtest that are not scored yet"
    return _runs(SCORE, due, known, reason if due else "every week is scored")


def stale_origins(lake: ParquetLake, training: Training) -> list[str]:
    """Of the newest origins those whose features are missing, outdated, or name no manifest of their inputs."""
    return sorted(_stale_recipes(lake, training))


def _stale_recipes(lake: ParquetLake, training: Training) -> dict[str, Recipe]:
    """Origin -> its present recipe, of `stale_origins`."""
    recipes = feature_recipes(lake, training.horizon_weeks)
    if not recipes:
        return {}
    wanted = {key: recipes[key] for key in wanted_origins(recipes, training)}
    metadata = lake.metadata("demand_features", wanted)
    unnamed = {key for key in wanted if MANIFEST_KEY not in metadata.get(key, {})}
    return {key: wanted[key] for key in {*outdated(lake, "demand_features", wanted), *unnamed}}


def plan_features(lake: ParquetLake, training: Training, known: Sequence[str]) -> Plan:
    """Features of the origins that are missing or were made from other data, code or settings."""
    due = {key: recipe.version for key, recipe in _stale_recipes(lake, training).items()}
    reason = f"{len(due)} origins were made from other data, code or settings, or not yet"
    return _runs(BUILD_FEATURES, due, known, reason if due else "features are up to date with the data")


def plan_week(lake: ParquetLake, ledger: "PromotionLedger", known: Sequence[str], due_by: date) -> Plan:
    """The weekly job of the newest landed week, unless it is forecast already or there is no model yet."""
    landed = lake.versions("raw_sales")
    if not landed:
        return Plan((), "no week of sales has landed yet")
    newest = max(landed)
    if newest not in known:
        return Plan((), f"week {newest} is in the lake but not registered; run the landing zone sensor first")
    if ledger.champion() is None:
        return Plan((), "no model is in production yet; the retraining sensor trains the first one")
    if newest in {key.split("/")[0] for key in lake.partitions("published_forecast", nested=True)}:
        waiting = f"the delivery due by {due_by:%Y-%m-%d} has not landed"
        return Plan((), f"the newest landed week, {newest}, is forecast already; {waiting}")
    reason = f"week {newest} has landed and is not forecast"
    return Plan((PlannedRun(WEEKLY, newest, newest, f"{newest}:{landed[newest]}", reason),), reason)


def plan_forecast(
    lake: ParquetLake,
    champion: "RegisteredVersion",
    newest: "Mapping[str, Any] | None",
    costs: OrderCosts,
    week: str,
    horizon_weeks: int,
) -> Plan:
    """Forecast and publication of `week`, unless all that they give is there: in the lake, and as a vintage.

    `newest`: the vintage of the store that was published last, of `store.queries.newest_vintage`.
    """

    def missing() -> list[str]:
        made = {"weekly_forecast": forecast_recipe(lake, champion, week, costs)}
        if not outdated(lake, "weekly_forecast", {week: made["weekly_forecast"]}):
            features = lake.versions_of("demand_features", [week])[week]
            made["forecast_totals"] = totals_recipe(lake, week, horizon_weeks)
            made["forecast_attributions"] = champion_recipe(champion, features, "attributions")
            made["drift_report"] = drift_recipe(lake, champion, week, DriftInputs.of(lake, week))
        tables = [table for table, recipe in made.items() if outdated(lake, table, {week: recipe})]
        vintage = None if newest is None else f"{week}/{newest['vintage_id']}"
        forecast = lake.versions_of("weekly_forecast", [week]).get(week)
        if vintage is None or lake.versions_of("published_forecast", [vintage]) != {vintage: forecast}:
            tables.append("published_forecast")
        return tables

    try:
        due = missing()
    except (OSError, pa.ArrowInvalid) as error:
        # A damaged file: the run writes it anew, or says what is in its way.
        due = [f"a file that cannot be read ({error})"]
    if not due:
        return Plan((), f"week {week} is forecast and published from these data, settings and code")
    reason = f"due of week {week}: {', '.join(due)}"
    return Plan((PlannedRun(FORECAST, week, week, f"{week}:{fingerprint(due)}", reason),), reason)


def plan_training(
    lake: ParquetLake,
    registry: "ModelRegistry",
    ledger: "PromotionLedger",
    training: Training,
    policy: "RetrainingPolicy",
    known: Sequence[str],
    under_way: str | None,
) -> Plan:
    """Training as of the newest week with features, when loss, drift, age or another set-up ask for it.

    `under_way`: id of a training run that has not ended. The evidence is judged as a whole each time, so that what
    arrives during a cool-down or another training is not lost.
    """
    from demand_assets.monitoring.retraining import decide_retraining

    built = [key for key in lake.partitions("demand_features") if key in set(known)]
    if not built:
        return Plan((), "no week has features yet")
    week = built[-1]
    if set(stale_origins(lake, training)) & set(known):
        return Plan((), f"features are being rebuilt; week {week} is judged when they are there")
    if under_way is not None:
        return Plan((), f"run {under_way} is training already; the evidence is judged when it has ended")
    evidence = gather_evidence(
        lake,
        registry,
        ledger,
        week,
        is_short=not judged_origins(lake, training, week),
        made_by=(training_settings(training), code_version("training")),
    )
    decision = decide_retraining(evidence, policy)
    if not decision.act:
        return Plan((), f"no retraining: {decision.words}")
    key = f"{decision.trigger}:{week}:{fingerprint(evidence.described())}"
    reason = f"{decision.trigger}: {decision.words}"
    return Plan((PlannedRun(TRAIN_AND_FORECAST, week, week, key, reason),), reason)
