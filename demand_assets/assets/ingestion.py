"""Landing zone -> holiday_calendar, raw_covariates, raw_series_covariates, raw_sales, checked before they are written.

What has been delivered of weeks to come is the plan of the newest week. Covariates of stores go on into the SQL store.
"""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg
import numpy as np
import pandas as pd

from demand_assets.adapters.arrow_frames import content_version
from demand_assets.adapters.parquet import HISTORY, KEEP_VERSIONS, PARTITION_COLUMN, LakeTable, ParquetLake
from demand_assets.adapters.plans import PLANS, ahead_metadata
from demand_assets.assets.checks import ROWS_SET_ASIDE, check_results, check_specs, refuse, rows_table
from demand_assets.assets.dataset import GROUP, OWNERS, judging_context
from demand_assets.assets.describe import columns_of, landings_markdown, schema_of
from demand_assets.assets.outages import retry_on_store_outage
from demand_assets.assets.rows import MEMBER_TABLES, member_keys, store_table
from demand_assets.assets.versions import ROWS_METADATA, record_partition_versions
from demand_assets.contract.store import STORE_CONDITIONS
from demand_assets.errors import DemandError
from demand_assets.ingestion.ahead import weeks_ahead
from demand_assets.ingestion.assemble import calendar_with
from demand_assets.ingestion.catalogue import CHECKS
from demand_assets.ingestion.columnwise import merge_columnwise
from demand_assets.ingestion.context import Context
from demand_assets.ingestion.coverage import landed_flags, with_facts, with_selling_stores, with_values
from demand_assets.ingestion.dataset import Dataset
from demand_assets.ingestion.delivery import KEYS, Delivery
from demand_assets.ingestion.members import keys_of
from demand_assets.ingestion.outcome import CheckOutcome
from demand_assets.ingestion.quality import PAST_COLUMNS, check_covariates, check_sales
from demand_assets.ingestion.schemas import CALENDAR_COLUMNS, SALES_COLUMNS
from demand_assets.ingestion.schemas import schema_of as columns_in
from demand_assets.ingestion.screening import without_impossible
from demand_assets.ingestion.understanding import COVARIATES, Kind
from demand_assets.landed_weeks import ROWS_KEY, landed_weeks
from demand_assets.partitions import run_weeks, week_key, weeks_partitions
from demand_assets.planning import accepted_metadata, applied_landings, keyed, landings_metadata
from demand_assets.provenance import fingerprint
from demand_assets.recipes import publishing_recipe
from demand_assets.resources import ForecastStore, Landing

_NO_COVARIATES = pd.DataFrame(
    {
        "store_id": np.empty(0, np.int32),
        "week": np.empty(0, "datetime64[ns]"),
        "is_holiday": np.empty(0, bool),
    }
)


def delivered(
    context: dg.AssetExecutionContext, landing: Landing, kinds: Sequence[Kind], keys: Mapping[str, Mapping[str, int]]
) -> list[Delivery]:
    """The deliveries of these kinds with keys for ids. Files that cannot be read have been named by `dataset`."""
    try:
        return [delivery.keyed(keys) for delivery in landing.zone().read_all(kinds)]
    except DemandError as error:
        refuse(context, CHECKS[kinds[0]][0].name, str(error))
    except KeyError as error:
        raise dg.Failure(
            f"id {error} is in a file that landed while this run was reading; run again", allow_retries=True
        ) from error


def _keys_in(stores: pd.DataFrame, departments: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Column -> text id -> key, of the dimension tables."""
    return {"store_id": keys_of(stores, "store_id"), "dept_id": keys_of(departments, "dept_id")}


def _weekly(
    context: dg.AssetExecutionContext,
    lake: ParquetLake,
    deliveries: Sequence[Delivery],
    keys: Sequence[str],
    nothing: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, dict[str, dict[str, str]]]:
    """The rows of the run's weeks after `deliveries` were applied, and the metadata of each week's file."""
    table = context.asset_key.to_user_string()
    weeks = run_weeks(context)
    week_keys = [week_key(week) for week in weeks]
    held = sorted(set(lake.partitions(table)) & set(week_keys))
    stored = lake.read(table, held, lake.columns_of(table, held)) if held else None
    if stored is None and not deliveries:
        stored = nothing
    if stored is None and not deliveries:
        raise dg.Failure(f"{table} has nothing to read: no file of its kind has landed", allow_retries=False)
    merged = merge_columnwise(stored, applied_landings(lake, table, week_keys), deliveries, keys, weeks=weeks)
    metadata = {week_key(week): landings_metadata(landings) for week, landings in merged.landings.items()}
    # A file may do the same to several weeks: each counts.
    changed = [landing for week in merged.recorded_weeks for landing in merged.landings[week]]
    context.add_asset_metadata(
        {"weeks changed": len(merged.changed_weeks), "landings": landings_markdown(changed)},
        asset_key=context.asset_key,
    )
    return merged.frame, metadata


def _require_sales(
    context: dg.AssetExecutionContext, lake: ParquetLake, deliveries: Sequence[Delivery], judged: Context
) -> None:
    """Failure naming the asked weeks that no sales have: a partition is never written without a row."""
    landed = landed_weeks(lake, deliveries, judged).keys
    if without := [key for key in map(week_key, run_weeks(context)) if key not in landed]:
        raise dg.Failure(
            f"expected sales of every week that is asked for, got none that pass for {', '.join(without)}; land sales "
            "of it, or remove the partition with `demand repair`",
            allow_retries=False,
        )


def _rows_noted(
    context: dg.AssetExecutionContext, frame: pd.DataFrame, metadata: dict[str, dict[str, str]]
) -> dict[str, dict[str, str]]:
    """The metadata with the number of rows of each week."""
    rows = frame.groupby("week").size()
    if len(metadata) == 1:
        # Over many weeks the hook adds the row counts with the versions: here Dagster would look all weeks up for each.
        context.add_asset_metadata(
            {ROWS_METADATA: len(frame)}, asset_key=context.asset_key, partition_key=next(iter(metadata))
        )
    return {key: {**kept, ROWS_KEY: str(rows.get(pd.Timestamp(key), 0))} for key, kept in metadata.items()}


def _version(frame: pd.DataFrame, metadata: Mapping[str, Mapping[str, str]]) -> dg.DataVersion:
    """Of one week the hash of its rows; of many a hash of what was applied: the hook gives each week its own later."""
    return dg.DataVersion(content_version(frame) if len(metadata) == 1 else fingerprint(metadata))


def _keys_of_weeks(deliveries: Sequence[Delivery]) -> list[str]:
    return sorted({week_key(week) for delivery in deliveries for week in delivery.weeks})


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    deps=[*MEMBER_TABLES, dg.AssetDep("raw_covariates", partition_mapping=dg.AllPartitionMapping())],
    metadata={KEEP_VERSIONS: True, "dagster/column_schema": columns_of(CALENDAR_COLUMNS)},
)
def holiday_calendar(landing: Landing, lake: ParquetLake, dataset: pd.DataFrame) -> dg.MaterializeResult:
    """One row per week: its holiday flag and the holidays in it. Runs past the last sales week: it is known ahead."""
    facts = Dataset.read(dataset)
    deliveries = keyed(landing.zone().read_all(["sales", "covariates"]), lake)
    # A file may bring one store of a week whose others are stored.
    told = lake.read("raw_covariates", _keys_of_weeks(deliveries), ["store_id", "week", "is_holiday"])
    frames = [*([] if told is None else [told]), *(delivery.frame for delivery in deliveries)]
    flags = landed_flags(frames, by_store=facts.holidays.by_store)
    stored = lake.read("holiday_calendar", None)
    if stored is not None:
        flags = pd.concat([stored.loc[stored["is_landed"], ["week", "is_holiday"]], flags])
    calendar = calendar_with(flags, facts)
    landed = calendar[calendar["is_landed"]]
    return dg.MaterializeResult(
        value=calendar,
        data_version=dg.DataVersion(content_version(calendar)),
        metadata={
            "holiday weeks": int(landed["is_holiday"].sum()),
            "last landed week": str(landed["week"].max().date()),
        },
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    partitions_def=weeks_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=check_specs("raw_covariates", CHECKS["covariates"]),
    hooks={record_partition_versions},
    metadata={
        PARTITION_COLUMN: "week",
        KEEP_VERSIONS: True,
    },
)
def raw_covariates(
    context: dg.AssetExecutionContext,
    landing: Landing,
    lake: ParquetLake,
    stores: pd.DataFrame,
    departments: pd.DataFrame,
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """One row per store and week: its covariates as delivered, and the holiday flag.

    A store that sells without covariates has a row with the flag alone. Of raw_sales, which is made from this, the
    weeks that are there and the sales before the run are read: no dependency says so, which would be a circle.
    """
    keys = _keys_in(stores, departments)
    deliveries = delivered(context, landing, ["covariates", "sales"], keys)
    judged = judging_context(landing, lake)
    _require_sales(context, lake, deliveries, judged)
    own = [delivery for delivery in deliveries if delivery.kind == "covariates"]
    frame, metadata = _weekly(context, lake, own, KEYS["covariates"], _NO_COVARIATES)
    sold = [delivery.frame for delivery in deliveries if delivery.kind == "sales"]
    frame = with_selling_stores(frame, sold, run_weeks(context))
    newest = max([*lake.partitions("raw_sales"), *metadata])
    ahead = weeks_ahead(own, newest).conditions if newest in metadata else None
    yield from check_results(context, check_covariates(frame, with_facts(stores), judged, ahead=ahead))
    metadata = _rows_noted(context, frame, metadata)
    yield dg.MaterializeResult(
        value=LakeTable(frame, metadata),
        data_version=_version(frame, metadata),
        metadata={"dagster/column_schema": columns_of(columns_in("covariates", frame).columns)},
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
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
    departments: pd.DataFrame,
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """One row per store, department and week: sales net of returns, so it may be negative."""
    keys = _keys_in(stores, departments)
    judged = judging_context(landing, lake)
    first = week_key(run_weeks(context)[0])
    earlier = lake.read("raw_sales", [key for key in lake.partitions("raw_sales") if key < first], PAST_COLUMNS)
    history = pd.DataFrame() if earlier is None else earlier
    # The zone has been screened; what is impossible beside stored sales of files that are gone shows only here.
    deliveries = delivered(context, landing, ["sales"], keys)
    _require_sales(context, lake, deliveries, judged)
    screened = [without_impossible(one, judged, history) for one in deliveries]
    frame, metadata = _weekly(context, lake, [delivery for delivery, _ in screened], KEYS["sales"])
    metadata = {key: kept | accepted_metadata(judged.accepted, pd.Timestamp(key)) for key, kept in metadata.items()}
    impossible = pd.concat([rows for _, rows in screened]) if screened else pd.DataFrame()
    if len(impossible):
        located = landing.zone().located(impossible)
        context.add_asset_metadata({ROWS_SET_ASIDE: rows_table(located)}, asset_key=context.asset_key)
    covered = with_values(raw_covariates)
    yield from check_results(context, check_sales(frame, history, covered, with_facts(stores), judged))
    metadata = _rows_noted(context, frame, metadata)
    yield dg.MaterializeResult(value=LakeTable(frame, metadata), data_version=_version(frame, metadata))


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    partitions_def=weeks_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=check_specs("raw_series_covariates", CHECKS["series_covariates"]),
    hooks={record_partition_versions},
    metadata={PARTITION_COLUMN: "week", KEEP_VERSIONS: True},
)
def raw_series_covariates(
    context: dg.AssetExecutionContext,
    landing: Landing,
    lake: ParquetLake,
    stores: pd.DataFrame,
    departments: pd.DataFrame,
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """One row per store, department and week: price, promotion and other covariates of series, as delivered.

    A week without any has no file.
    """
    keys = _keys_in(stores, departments)
    own = delivered(context, landing, ["series_covariates"], keys)
    held = set(lake.partitions("raw_series_covariates"))
    weeks = run_weeks(context)
    covered = held & {week_key(week) for week in weeks} or any(weeks.isin(one.weeks).any() for one in own)
    if not covered:
        none = "no covariates of series have landed for these weeks"
        outcomes = [CheckOutcome(spec.name, True, spec.severity, none, {}) for spec in CHECKS["series_covariates"]]
        yield from check_results(context, outcomes)
        yield dg.MaterializeResult(value=LakeTable(pd.DataFrame(), only=()), data_version=dg.DataVersion("none"))
        return
    frame, metadata = _weekly(context, lake, own, KEYS["series_covariates"])
    judged = judging_context(landing, lake)
    yield from check_results(context, check_covariates(frame, with_facts(stores), judged, kind="series_covariates"))
    metadata = _rows_noted(context, frame, metadata)
    yield dg.MaterializeResult(
        value=LakeTable(frame, metadata, only=held | {week_key(week) for week in frame["week"].unique()}),
        data_version=_version(frame, metadata),
        metadata={"dagster/column_schema": columns_of(columns_in("series_covariates", frame).columns)},
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    partitions_def=weeks_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[raw_sales],
    metadata={PARTITION_COLUMN: "origin_week", KEEP_VERSIONS: True},
)
def plans_ahead(
    context: dg.AssetExecutionContext,
    landing: Landing,
    lake: ParquetLake,
    stores: pd.DataFrame,
    departments: pd.DataFrame,
) -> dg.MaterializeResult:
    """One row per store, department (0: the whole store) and later week: what is known ahead, as planned at the origin.

    Only the week of the newest sales gets a plan, all that has been delivered of later weeks; older plans stay.
    """
    keys = _keys_in(stores, departments)
    newest, kept = max(lake.partitions("raw_sales")), lake.partitions(PLANS)
    plan: pd.DataFrame | None = None
    metadata: dict[str, str] = {}
    if newest in {week_key(week) for week in run_weeks(context)}:
        plan = weeks_ahead(delivered(context, landing, COVARIATES, keys), newest).plan
        metadata = ahead_metadata(plan)
        if plan is None and newest in kept:
            # The files that told the plan are gone; the version before this one keeps it.
            stored = lake.read(PLANS, [newest])
            plan = None if stored is None else stored.iloc[:0]
    return dg.MaterializeResult(
        value=LakeTable(
            pd.DataFrame() if plan is None else plan, {newest: metadata}, only=() if plan is None else (newest,)
        ),
        data_version=dg.DataVersion("none" if plan is None else content_version(plan)),
        metadata={"origin": newest, "rows planned": 0 if plan is None else len(plan)},
    )


def published_columns(covariates: pd.DataFrame) -> pd.DataFrame:
    """The columns of `STORE_CONDITIONS` of raw covariates; NaN for those that the retailer does not have."""
    named = covariates.rename(columns={"unemployment_pct": "unemployment"})
    return named.reindex(columns=list(STORE_CONDITIONS.names))


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"sql", "parquet"},
    partitions_def=weeks_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[*MEMBER_TABLES],
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
    """One row per store and week in the SQL store: holiday, weather, economy; corrected in place.

    With the newest landed week go the weeks after it, as far as they have been delivered.
    """
    from demand_assets.store.publish import publish_conditions

    keys = [week_key(week) for week in run_weeks(context)]
    versions = lake.versions_of("raw_covariates", keys)
    metadata = {key: publishing_recipe(versions[key]).metadata for key in keys}
    members = member_keys(lake)
    table = published_columns(raw_covariates)
    engine = store.engine()
    changed, later = publish_conditions(engine, store_table(table, STORE_CONDITIONS, members)), 0
    newest = max(lake.partitions("raw_covariates"))
    if newest in metadata:
        ahead = weeks_ahead(delivered(context, landing, ["covariates"], members), newest).conditions
        if ahead is not None:
            later = publish_conditions(engine, store_table(published_columns(ahead), STORE_CONDITIONS, members))
        metadata[newest] |= ahead_metadata(ahead)
    return dg.MaterializeResult(
        value=LakeTable(table, metadata), metadata={"rows changed": changed, "rows of later weeks changed": later}
    )
