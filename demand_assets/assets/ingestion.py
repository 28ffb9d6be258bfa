"""Landing zone -> raw_sales, raw_covariates, stores, holiday_calendar, checked before they are written.

The conditions go on into the SQL store, with what has been delivered of weeks to come.
"""

from collections.abc import Iterator, Mapping, Sequence

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
from demand_assets.assets.outages import retry_on_store_outage
from demand_assets.assets.rows import store_table
from demand_assets.assets.versions import ROWS_KEY, ROWS_METADATA, record_partition_versions
from demand_assets.contract.store import STORE_CONDITIONS
from demand_assets.errors import DemandError
from demand_assets.ingestion.delivery import Delivery
from demand_assets.ingestion.formats import CONDITIONS, SALES, STORES, Kind
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
from demand_assets.planning import (
    LANDINGS_KEY,
    ahead_metadata,
    applied_landings,
    covariates_ahead,
    landings_metadata,
    publishing_recipe,
    read_landings,
)
from demand_assets.provenance import fingerprint
from demand_assets.resources import ForecastStore, Landing

GROUP = "ingestion"
OWNERS = ["team:data-engineering"]


def _delivered(context: dg.AssetExecutionContext, landing: Landing, kind: Kind) -> list[Delivery]:
    """The deliveries of one kind; a file that cannot be read is a failed check on columns and types."""
    try:
        return landing.zone().read_all([kind])
    except DemandError as error:
        refuse(context, CHECKS[kind][0].name, str(error))


def _weekly(
    context: dg.AssetExecutionContext, lake: ParquetLake, deliveries: Sequence[Delivery], keys: Sequence[str]
) -> tuple[pd.DataFrame, Mapping[str, Mapping[str, str]]]:
    """The rows of the run's weeks after `deliveries` were applied, and the metadata of each week's file."""
    table = context.asset_key.to_user_string()
    weeks = run_weeks(context)
    week_keys = [week_key(week) for week in weeks]
    stored = lake.read(table, week_keys)
    existing = deliveries[0].frame.iloc[:0] if stored is None and deliveries else stored
    if existing is None:
        raise dg.Failure(f"{table} has nothing to read: no file of its kind has landed", allow_retries=False)
    merged = merge_week_partitions(existing, applied_landings(lake, table, week_keys), deliveries, keys, weeks=weeks)
    rows = merged.frame.groupby("week").size()
    metadata = {
        week_key(week): {**landings_metadata(landings), ROWS_KEY: str(rows.get(week, 0))}
        for week, landings in merged.landings.items()
    }
    changed = {landing for week in merged.recorded_weeks for landing in merged.landings[week]}
    context.add_asset_metadata(
        {"weeks changed": len(merged.changed_weeks), "landings": landings_markdown(changed)},
        asset_key=context.asset_key,
    )
    if len(weeks) == 1:
        # Over many weeks the hook adds the row counts with the versions: here Dagster would look all weeks up for each.
        context.add_asset_metadata(
            {ROWS_METADATA: len(merged.frame)}, asset_key=context.asset_key, partition_key=week_keys[0]
        )
    return merged.frame, metadata


def _version(frame: pd.DataFrame, metadata: Mapping[str, Mapping[str, str]]) -> dg.DataVersion:
    """Of one week the hash of its rows; of many a hash of what was applied: the hook gives each week its own later."""
    return dg.DataVersion(content_version(frame) if len(metadata) == 1 else fingerprint(metadata))


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
    footer = lake.metadata("stores", [None]).get(None, {})
    if stored is None and not deliveries:
        refuse(context, CHECKS["stores"][0].name, "no stores file has landed; expected one with Store, Type, Size")
    existing = deliveries[0].frame.iloc[:0] if stored is None else stored
    merged = merge_table(existing, read_landings(footer.get(LANDINGS_KEY)), deliveries, STORES.keys)
    yield from check_results(context, check_stores(merged.frame))
    yield dg.MaterializeResult(
        value=LakeTable(merged.frame, {"": landings_metadata(merged.landings)}),
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
    """One row per week: its holidays and their flag. From two years before the landed flags to a year after them."""
    from demand_assets.forecasting.calendar import calendar_from_covariates, calendar_of, calendar_span
    from demand_assets.forecasting.holidays import US

    deliveries = landing.zone().read_all(["conditions"])
    flags = [calendar_from_covariates(delivery.frame) for delivery in deliveries]
    stored = lake.read("holiday_calendar", None)
    frames = flags if stored is None else [stored, *flags]
    if not frames:
        raise dg.Failure("no conditions file has landed; expected one with Store, Date, IsHoliday", allow_retries=False)
    landed = pd.concat([frame[frame["is_landed"]] if "is_landed" in frame else frame for frame in frames])
    # The one form of conditions that is read flags the retail weeks of the US.
    calendar = calendar_of(
        landed[["week", "is_holiday"]], US, *calendar_span(landed["week"].min(), landed["week"].max())
    )
    return dg.MaterializeResult(
        value=calendar,
        data_version=dg.DataVersion(content_version(calendar)),
        metadata={
            "holiday weeks": int(calendar["is_holiday"].sum()),
            "last week": str(calendar["week"].max().date()),
        },
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"csv", "parquet"},
    partitions_def=weeks_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=check_specs("raw_covariates", CHECKS["conditions"]),
    hooks={record_partition_versions},
    metadata={
        PARTITION_COLUMN: "week",
        KEEP_VERSIONS: True,
        "dagster/column_schema": columns_of(CONDITIONS_COLUMNS),
    },
)
def raw_covariates(
    context: dg.AssetExecutionContext, landing: Landing, lake: ParquetLake, stores: pd.DataFrame
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """One row per store and week: weather, fuel, markdowns, CPI, unemployment, and the holiday flag."""
    deliveries = _delivered(context, landing, "conditions")
    _structural(context, deliveries, stores)
    frame, metadata = _weekly(context, lake, deliveries, CONDITIONS.keys)
    yield from check_results(context, check_conditions(frame, stores))
    yield dg.MaterializeResult(value=LakeTable(frame, metadata), data_version=_version(frame, metadata))


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
        "raw_covariates": dg.AssetIn(
            partition_mapping=dg.AllPartitionMapping(),
            metadata={**HISTORY, "columns": ["store_id", "week", "is_holiday"]},
        )
    },
)
def raw_sales(
    context: dg.AssetExecutionContext,
    landing: Landing,
    lake: ParquetLake,
    raw_covariates: pd.DataFrame,
    stores: pd.DataFrame,
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """One row per store, department and week: sales net of returns, so it may be negative."""
    deliveries = _delivered(context, landing, "sales")
    _structural(context, deliveries, stores)
    frame, metadata = _weekly(context, lake, deliveries, SALES.keys)
    first = week_key(run_weeks(context)[0])
    earlier = lake.read("raw_sales", [key for key in lake.partitions("raw_sales") if key < first], PAST_COLUMNS)
    history = pd.DataFrame() if earlier is None else earlier
    yield from check_results(context, check_sales(frame, history, raw_covariates, stores))
    yield dg.MaterializeResult(value=LakeTable(frame, metadata), data_version=_version(frame, metadata))


def published_columns(conditions: pd.DataFrame) -> pd.DataFrame:
    """The columns of `STORE_CONDITIONS` of raw conditions."""
    markdowns = conditions.filter(regex=r"^markdown\d$").sum(axis=1, min_count=1)
    named = conditions.rename(columns={"unemployment_pct": "unemployment"})
    return named.assign(markdown=markdowns)[list(STORE_CONDITIONS.names)]


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"sql", "parquet"},
    partitions_def=weeks_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    metadata={PARTITION_COLUMN: "week", "dagster/column_schema": schema_of(STORE_CONDITIONS)},
)
@retry_on_store_outage
def published_conditions(
    context: dg.AssetExecutionContext,
    landing: Landing,
    lake: ParquetLake,
    store: ForecastStore,
    raw_covariates: pd.DataFrame,
) -> dg.MaterializeResult:
    """One row per store and week in the SQL store: holiday, weather, markdowns, economy; corrected in place.

    With the newest landed week go the weeks after it, as far as they have been delivered.
    """
    from demand_assets.store.publish import publish_conditions

    keys = [week_key(week) for week in run_weeks(context)]
    versions = lake.versions_of("raw_covariates", keys)
    metadata = {key: publishing_recipe(versions[key]).metadata for key in keys}
    table = published_columns(raw_covariates)
    engine = store.engine()
    changed, later = publish_conditions(engine, store_table(table, STORE_CONDITIONS)), 0
    newest = max(lake.partitions("raw_covariates"))
    if newest in metadata:
        ahead = covariates_ahead(_delivered(context, landing, "conditions"), newest)
        if ahead is not None:
            later = publish_conditions(engine, store_table(published_columns(ahead), STORE_CONDITIONS))
        metadata[newest] |= ahead_metadata(ahead)
    return dg.MaterializeResult(
        value=LakeTable(table, metadata), metadata={"rows changed": changed, "rows of later weeks changed": later}
    )
