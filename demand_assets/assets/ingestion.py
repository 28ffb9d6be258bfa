"""Landing zone -> raw_sales, raw_conditions, stores, holiday_calendar, checked before they are written.

The conditions go on into the SQL store, with what has been delivered of weeks to come.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

import dagster as dg
import pandas as pd

from demand_assets.adapters.parquet import (
    HISTORY,
    KEEP_VERSIONS,
    PARTITION_COLUMN,
    LakeTable,
    ParquetLake,
    content_version,
)
from demand_assets.assets.checks import check_results, check_specs, refuse
from demand_assets.assets.describe import columns_of, landings_markdown, schema_of
from demand_assets.assets.features import INPUT_NOTE
from demand_assets.assets.outages import outlasting
from demand_assets.assets.rows import store_table
from demand_assets.assets.versions import ROWS_METADATA, ROWS_NOTE, record_partition_versions
from demand_assets.contract.store import STORE_CONDITIONS
from demand_assets.errors import DemandError
from demand_assets.ingestion.delivery import Delivery
from demand_assets.ingestion.formats import CONDITIONS, SALES, STORES, Kind
from demand_assets.ingestion.merge import Landing as LandingRecord
from demand_assets.ingestion.merge import merge_table, merge_week_partitions
from demand_assets.ingestion.quality import (
    CHECKS,
    PAST_COLUMNS,
    check_conditions,
    check_sales,
    check_stores,
    validate_deliveries,
)
from demand_assets.ingestion.schemas import CALENDAR_COLUMNS, CONDITIONS_COLUMNS, SALES_COLUMNS, STORES_COLUMNS
from demand_assets.partitions import run_weeks, week_key, weeks_partitions
from demand_assets.provenance import fingerprint
from demand_assets.resources import ForecastStore, Landing

GROUP = "ingestion"
OWNERS = ["team:data-engineering"]
LANDINGS_NOTE = "landings"
# In the newest week's file: the version of what was published of the weeks after it.
AHEAD_NOTE = "weeks_ahead_version"


def read_landings(note: str | None) -> tuple[LandingRecord, ...]:
    """The landings kept in a partition's footer, oldest first."""
    return tuple(LandingRecord(**record) for record in json.loads(note or "[]"))


def landings_note(landings: Sequence[LandingRecord]) -> dict[str, str]:
    """What a file of the lake keeps of the deliveries laid into it."""
    return {LANDINGS_NOTE: json.dumps([asdict(landing) for landing in landings])}


def applied_landings(
    lake: ParquetLake, table: str, keys: Sequence[str]
) -> dict[pd.Timestamp, tuple[LandingRecord, ...]]:
    """For each week with a file: the deliveries already laid into it."""
    notes = lake.notes(table, keys)
    return {pd.Timestamp(str(key)): read_landings(footer.get(LANDINGS_NOTE)) for key, footer in notes.items()}


def _delivered(context: dg.AssetExecutionContext, landing: Landing, kind: Kind) -> list[Delivery]:
    """The deliveries of one kind; a file that cannot be read is a failed check on columns and types."""
    try:
        return landing.zone().read_all([kind])
    except DemandError as error:
        refuse(context, CHECKS[kind][0].name, str(error))


def _weekly(
    context: dg.AssetExecutionContext, lake: ParquetLake, deliveries: Sequence[Delivery], keys: Sequence[str]
) -> tuple[pd.DataFrame, Mapping[str, Mapping[str, str]]]:
    """The rows of the run's weeks with `deliveries` laid over them, and the notes of each week's file."""
    table = context.asset_key.to_user_string()
    weeks = run_weeks(context)
    week_keys = [week_key(week) for week in weeks]
    stored = lake.read(table, week_keys)
    existing = deliveries[0].frame.iloc[:0] if stored is None and deliveries else stored
    if existing is None:
        raise dg.Failure(f"{table} has nothing to read: no file of its kind has landed", allow_retries=False)
    merged = merge_week_partitions(existing, applied_landings(lake, table, week_keys), deliveries, keys, weeks=weeks)
    rows = merged.frame.groupby("week").size()
    notes = {
        week_key(week): {**landings_note(landings), ROWS_NOTE: str(rows.get(week, 0))}
        for week, landings in merged.landings.items()
    }
    changed = {landing for week in merged.recorded_weeks for landing in merged.landings[week]}
    context.add_asset_metadata(
        {"weeks changed": len(merged.changed_weeks), "landings": landings_markdown(changed)},
        asset_key=context.asset_key,
    )
    if len(weeks) == 1:
        # Of many weeks each gets its own with its own version: Dagster looks all of them up for each that it is told.
        context.add_asset_metadata(
            {ROWS_METADATA: len(merged.frame)}, asset_key=context.asset_key, partition_key=week_keys[0]
        )
    return merged.frame, notes


def _version(frame: pd.DataFrame, notes: Mapping[str, Mapping[str, str]]) -> dg.DataVersion:
    """Of one week the hash of its rows; of many what was laid into them, for each gets that of its own rows later."""
    return dg.DataVersion(content_version(frame) if len(notes) == 1 else fingerprint(notes))


def _structural(context: dg.AssetExecutionContext, deliveries: Sequence[Delivery], stores: pd.DataFrame | None) -> None:
    """Refuse files whose own rows break the contract before anything is merged."""
    for outcome in validate_deliveries(deliveries, stores):
        if not outcome.passed and outcome.severity == "error":
            refuse(context, outcome.name, f"{outcome.file}: {outcome.description}", outcome)


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"csv", "parquet"},
    check_specs=check_specs("stores", CHECKS["stores"]),
    metadata={KEEP_VERSIONS: True, "dagster/column_schema": columns_of(STORES_COLUMNS)},
)
def stores(
    context: dg.AssetExecutionContext, landing: Landing, lake: ParquetLake
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """One row per store: its type (format) and selling area. The newest delivery of a store wins."""
    deliveries = _delivered(context, landing, "stores")
    stored = lake.read("stores", None)
    footer = lake.notes("stores", [None]).get(None, {})
    if stored is None and not deliveries:
        refuse(context, CHECKS["stores"][0].name, "no stores file has landed; expected one with Store, Type, Size")
    existing = deliveries[0].frame.iloc[:0] if stored is None else stored
    merged = merge_table(existing, read_landings(footer.get(LANDINGS_NOTE)), deliveries, STORES.keys)
    yield from check_results(context, check_stores(merged.frame))
    yield dg.MaterializeResult(
        value=LakeTable(merged.frame, {"": landings_note(merged.landings)}),
        data_version=dg.DataVersion(content_version(merged.frame)),
        metadata={"stores": len(merged.frame), "landings": landings_markdown(merged.landings)},
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"csv", "parquet"},
    metadata={KEEP_VERSIONS: True, "dagster/column_schema": columns_of(CALENDAR_COLUMNS)},
)
def holiday_calendar(landing: Landing, lake: ParquetLake) -> dg.MaterializeResult:
    """One row per week, with its holiday flag. Runs past the last sales week: a calendar is known ahead."""
    from demand_assets.forecasting.calendar import calendar_from_conditions

    deliveries = landing.zone().read_all(["conditions"])
    flags = [calendar_from_conditions(delivery.frame) for delivery in deliveries]
    stored = lake.read("holiday_calendar", None)
    frames = flags if stored is None else [stored, *flags]
    if not frames:
        raise dg.Failure("no conditions file has landed; expected one with Store, Date, IsHoliday", allow_retries=False)
    calendar = pd.concat(frames).drop_duplicates("week", keep="last").sort_values("week", ignore_index=True)
    return dg.MaterializeResult(
        value=calendar,
        data_version=dg.DataVersion(content_version(calendar)),
        metadata={"holiday weeks": int(calendar["is_holiday"].sum()), "last week": str(calendar["week"].max().date())},
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"csv", "parquet"},
    partitions_def=weeks_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=check_specs("raw_conditions", CHECKS["conditions"]),
    hooks={record_partition_versions},
    metadata={
        PARTITION_COLUMN: "week",
        KEEP_VERSIONS: True,
        "dagster/column_schema": columns_of(CONDITIONS_COLUMNS),
    },
)
def raw_conditions(
    context: dg.AssetExecutionContext, landing: Landing, lake: ParquetLake, stores: pd.DataFrame
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """One row per store and week: weather, fuel, markdowns, CPI, unemployment, and the holiday flag."""
    deliveries = _delivered(context, landing, "conditions")
    _structural(context, deliveries, stores)
    frame, notes = _weekly(context, lake, deliveries, CONDITIONS.keys)
    yield from check_results(context, check_conditions(frame, stores))
    yield dg.MaterializeResult(value=LakeTable(frame, notes), data_version=_version(frame, notes))


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"csv", "parquet"},
    partitions_def=weeks_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=check_specs("raw_sales", CHECKS["sales"]),
    hooks={record_partition_versions},
    metadata={
        PARTITION_COLUMN: "week",
        KEEP_VERSIONS: True,
        "dagster/column_schema": columns_of(SALES_COLUMNS),
    },
    ins={
        "raw_conditions": dg.AssetIn(
            partition_mapping=dg.AllPartitionMapping(),
            metadata={**HISTORY, "columns": ["store_id", "week", "is_holiday"]},
        )
    },
)
def raw_sales(
    context: dg.AssetExecutionContext,
    landing: Landing,
    lake: ParquetLake,
    raw_conditions: pd.DataFrame,
    stores: pd.DataFrame,
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """One row per store, department and week: sales in USD net of returns, so it may be negative."""
    deliveries = _delivered(context, landing, "sales")
    _structural(context, deliveries, stores)
    frame, notes = _weekly(context, lake, deliveries, SALES.keys)
    first = week_key(run_weeks(context)[0])
    earlier = lake.read("raw_sales", [key for key in lake.partitions("raw_sales") if key < first], PAST_COLUMNS)
    history = pd.DataFrame() if earlier is None else earlier
    yield from check_results(context, check_sales(frame, history, raw_conditions, stores))
    yield dg.MaterializeResult(value=LakeTable(frame, notes), data_version=_version(frame, notes))


def published_columns(conditions: pd.DataFrame) -> pd.DataFrame:
    """The columns of `STORE_CONDITIONS` of raw conditions."""
    markdowns = conditions.filter(regex=r"^markdown\d$").sum(axis=1, min_count=1)
    named = conditions.rename(columns={"unemployment_pct": "unemployment"})
    return named.assign(markdown=markdowns)[list(STORE_CONDITIONS.names)]


def conditions_ahead(deliveries: Sequence[Delivery], newest: str) -> pd.DataFrame | None:
    """Delivered conditions of the weeks after `newest`, of each store and week the newest row; None without any."""
    own = [delivery for delivery in deliveries if delivery.kind == "conditions"]
    later = sorted({week for delivery in own for week in delivery.weeks if week > pd.Timestamp(newest)})
    if not later:
        return None
    weeks = pd.DatetimeIndex(later, name="week")
    return merge_week_partitions(own[0].frame.iloc[:0], {}, own, CONDITIONS.keys, weeks=weeks).frame


def _ahead_version(ahead: pd.DataFrame | None) -> str:
    return "none" if ahead is None else content_version(ahead)


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"sql", "parquet"},
    partitions_def=weeks_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    metadata={PARTITION_COLUMN: "week", "dagster/column_schema": schema_of(STORE_CONDITIONS)},
)
@outlasting
def published_conditions(
    context: dg.AssetExecutionContext,
    landing: Landing,
    lake: ParquetLake,
    store: ForecastStore,
    raw_conditions: pd.DataFrame,
) -> dg.MaterializeResult:
    """One row per store and week in the SQL store: holiday, weather, markdowns, economy; corrected in place.

    With the newest landed week go the weeks after it, as far as they have been delivered.
    """
    from demand_assets.store.publish import publish_conditions

    keys = [week_key(week) for week in run_weeks(context)]
    versions = lake.versions_of("raw_conditions", keys)
    notes = {key: {INPUT_NOTE: versions[key]} for key in keys}
    table = published_columns(raw_conditions)
    engine = store.engine()
    changed, later = publish_conditions(engine, store_table(table, STORE_CONDITIONS)), 0
    newest = max(lake.partitions("raw_conditions"))
    if newest in notes:
        ahead = conditions_ahead(_delivered(context, landing, "conditions"), newest)
        if ahead is not None:
            later = publish_conditions(engine, store_table(published_columns(ahead), STORE_CONDITIONS))
        notes[newest][AHEAD_NOTE] = _ahead_version(ahead)
    return dg.MaterializeResult(
        value=LakeTable(table, notes), metadata={"rows changed": changed, "rows of later weeks changed": later}
    )


def unpublished_conditions(lake: ParquetLake, deliveries: Sequence[Delivery]) -> list[str]:
    """Weeks whose present conditions are not in the store, as after a run that was killed before it got there.

    The newest week also when what has been delivered of the weeks after it is not.
    """
    versions = lake.versions("raw_conditions")
    notes = lake.notes("published_conditions", versions)
    due = {key for key, version in versions.items() if notes.get(key, {}).get(INPUT_NOTE) != version}
    if versions:
        newest = max(versions)
        if notes.get(newest, {}).get(AHEAD_NOTE) != _ahead_version(conditions_ahead(deliveries, newest)):
            due.add(newest)
    return sorted(due)


def pending_weeks(lake: ParquetLake, deliveries: Sequence[Delivery], known: Sequence[str]) -> list[str]:
    """Keys of the weeks into which some delivery has not been laid yet; for a new stores file the newest week."""
    pending: set[str] = set()
    for kind, table in (("sales", "raw_sales"), ("conditions", "raw_conditions")):
        applied = {
            week: {landing.content_hash for landing in landings}
            for week, landings in applied_landings(lake, table, known).items()
        }
        for delivery in deliveries:
            if delivery.kind == kind:
                pending |= {
                    week_key(week)
                    for week in delivery.weeks
                    if delivery.content_hash not in applied.get(week, set()) and week_key(week) in known
                }
    seen = {
        landing.content_hash for landing in read_landings(lake.notes("stores", [None]).get(None, {}).get(LANDINGS_NOTE))
    }
    if any(delivery.kind == "stores" and delivery.content_hash not in seen for delivery in deliveries):
        pending.add(known[-1])
    return sorted(pending)
