"""Plans in the lake: what had been delivered of later weeks, by the week of the newest sales at the time."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from demand_assets.adapters.arrow_frames import content_version
from demand_assets.adapters.parquet import VERSION_KEY, ParquetLake
from demand_assets.ingestion.ahead import known_ahead, weeks_ahead
from demand_assets.ingestion.dataset import Dataset
from demand_assets.ingestion.delivery import Delivery

if TYPE_CHECKING:
    import pandas as pd

PLANS = "plans_ahead"
# In the newest week's file: the version of what had been delivered of later weeks.
AHEAD_KEY = "weeks_ahead_version"
NOTHING_AHEAD = "none"


def ahead_metadata(ahead: "pd.DataFrame | None") -> dict[str, str]:
    """What the newest week's file keeps of the later weeks that were kept or published with it."""
    return {AHEAD_KEY: NOTHING_AHEAD if ahead is None else content_version(ahead)}


def ahead_is_kept(lake: ParquetLake, deliveries: Sequence[Delivery], newest: str) -> bool:
    """Whether what has been delivered of the weeks after `newest` is published and kept as the plan at it."""
    ahead = weeks_ahead(deliveries, newest)
    published = lake.metadata("published_conditions", [newest]).get(newest, {}).get(AHEAD_KEY)
    kept = lake.metadata(PLANS, [newest]).get(newest, {}).get(AHEAD_KEY, NOTHING_AHEAD)
    found = [ahead_metadata(frame)[AHEAD_KEY] for frame in (ahead.conditions, ahead.plan)]
    return found == [published, kept]


def planned_versions(
    lake: ParquetLake,
    facts: "pd.DataFrame | None",
    covariates: Mapping[str, str],
    of_series: Mapping[str, str],
    horizon_weeks: int,
) -> dict[str, Any]:
    """Origin -> versions of what was planned at it; empty where nothing is known ahead.

    At an origin without a plan of a driver its values in the weeks after it count as planned.
    """
    if facts is None or not (known := Dataset.read(facts)).has_drivers or not covariates:
        return {}
    newest = {"raw_covariates": [max(covariates)], "raw_series_covariates": [max(of_series)] if of_series else []}
    columns = [name for table, keys in newest.items() for name in lake.columns_of(table, keys)]
    drivers = set(known_ahead(known.covariates, columns))
    notes = lake.metadata(PLANS, lake.partitions(PLANS))
    plans = {str(key): note[VERSION_KEY] for key, note in notes.items() if note.get(AHEAD_KEY) != NOTHING_AHEAD}
    keys = sorted(covariates)
    later = {
        key: [[covariates[one], of_series.get(one)] for one in keys[place : place + horizon_weeks]]
        for place, key in enumerate(keys, start=1)
    }
    whole = {key for key in plans if drivers <= set(lake.columns_of(PLANS, [key]))}
    return {key: [plans.get(key), [] if key in whole else later[key]] for key in keys}
