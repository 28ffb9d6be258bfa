"""Landing zone -> dataset, stores, departments: what was understood, and the dimensions; published for people."""

from collections.abc import Iterator, Mapping

import dagster as dg
import pandas as pd

from demand_assets.adapters.arrow_frames import content_version
from demand_assets.adapters.parquet import KEEP_VERSIONS, LakeTable, ParquetLake
from demand_assets.assets.checks import ROWS_SET_ASIDE, check_results, check_specs, rows_table
from demand_assets.assets.describe import columns_from, columns_of, files_markdown, landings_markdown
from demand_assets.assets.outages import retry_on_store_outage
from demand_assets.assets.rows import id_texts, member_keys, members_of, named_holidays, sheet_of
from demand_assets.errors import DemandError
from demand_assets.ingestion.catalogue import CHECKS
from demand_assets.ingestion.context import Context, context_of
from demand_assets.ingestion.dataset import TEXTS, Dataset
from demand_assets.ingestion.ids import ONLY_ID
from demand_assets.ingestion.members import extended_keys, keys_of, merge_members
from demand_assets.ingestion.merge import MergedTable
from demand_assets.ingestion.quality import check_members
from demand_assets.ingestion.schemas import schema_of as columns_in
from demand_assets.ingestion.understanding import Kind
from demand_assets.planning import LANDINGS_KEY, landings_metadata, read_landings
from demand_assets.resources import Clock, ForecastStore, Landing

GROUP = "ingestion"
OWNERS = ["team:data-engineering"]
# Folder of the lake with the rows that were set aside, a CSV per landed file.
QUARANTINE = "quarantine"


def judging_context(landing: Landing, lake: ParquetLake, **new: Mapping[str, int]) -> Context:
    """What the rows are judged in; `new`: keys that the lake does not have yet, by column."""
    spec, screening = landing.zone().contents().understanding.spec, landing.screening()
    return context_of(spec, screening.today, id_texts({**member_keys(lake), **new}), screening.accepted)


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    check_specs=[
        dg.AssetCheckSpec(
            "every_file_is_read",
            asset="dataset",
            description="Every file with sales, covariates or facts is read; one with a wrong value is left out",
        ),
        dg.AssetCheckSpec(
            "no_row_is_set_aside",
            asset="dataset",
            description="No row is wrong by itself: a date in the future, an impossible amount",
        ),
    ],
    metadata={KEEP_VERSIONS: True, "dagster/column_schema": columns_from(TEXTS, "str", week_ends="int64")},
)
def dataset(
    context: dg.AssetExecutionContext, landing: Landing, lake: ParquetLake
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """What the files of the landing zone were understood as: one row of facts, and a table of the files."""
    contents = landing.zone().contents()
    try:
        contents.require_answers()
    except DemandError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    facts = contents.dataset.frame()
    refused = [one.message for one in contents.refused]
    yield dg.AssetCheckResult(
        check_name="every_file_is_read",
        passed=not refused,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(refused) or f"{len(contents.understanding.files)} files",
    )
    wrong = contents.wrong_rows()
    yield dg.AssetCheckResult(
        check_name="no_row_is_set_aside",
        passed=wrong.empty,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(wrong)} rows" if len(wrong) else "none",
        metadata={ROWS_SET_ASIDE: rows_table(wrong)},
    )
    for rows in contents.set_aside:
        name = str(rows["file"].iloc[0])
        kept = name if name.lower().endswith(".csv") else f"{name}.csv"
        lake.write_text(QUARANTINE, kept, sheet_of(rows))
    yield dg.MaterializeResult(
        value=facts,
        data_version=dg.DataVersion(content_version(facts)),
        metadata={
            "files": files_markdown(contents.understanding.files),
            "notes": dg.MetadataValue.md("\n".join(f"- {note}" for note in contents.notes) or "none"),
            "form": contents.understanding.form or "recognised from the files",
            "unit": contents.dataset.unit,
        },
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    # Dataset stops the run where a question is open; ids of both dimensions are shown in findings.
    deps=[dataset, "departments"],
    check_specs=check_specs("stores", CHECKS["stores"]),
    metadata={KEEP_VERSIONS: True},
)
def stores(
    context: dg.AssetExecutionContext, landing: Landing, lake: ParquetLake
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """One row per store: its key, id, name, and static facts. The newest delivery of a store wins."""
    merged = _members(context, landing, lake, "stores", "store_id")
    judged = judging_context(landing, lake, store_id=keys_of(merged.frame, "store_id"))
    yield from check_results(context, check_members("stores", merged.frame, judged))
    yield _materialized("stores", merged)


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    deps=[dataset],
    metadata={KEEP_VERSIONS: True},
)
def departments(context: dg.AssetExecutionContext, landing: Landing, lake: ParquetLake) -> dg.MaterializeResult:
    """One row per department: its key, id, name, and static facts. The newest delivery of a department wins."""
    return _materialized("departments", _members(context, landing, lake, "departments", "dept_id"))


def _members(
    context: dg.AssetExecutionContext, landing: Landing, lake: ParquetLake, kind: Kind, column: str
) -> MergedTable:
    """The dimension table after every delivery: those of its kind, and ids that others bring."""
    try:
        landed = landing.zone().read_all()
    except DemandError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    stored = lake.read(kind, None)
    footer = lake.metadata(kind, [None]).get(None, {})
    keys = extended_keys(stored, landed, column)
    own = [delivery.keyed({column: keys}) for delivery in landed if delivery.kind == kind]
    return merge_members(column, stored, read_landings(footer.get(LANDINGS_KEY)), own, keys)


def _materialized(kind: Kind, merged: MergedTable) -> dg.MaterializeResult:
    return dg.MaterializeResult(
        value=LakeTable(merged.frame, {"": landings_metadata(merged.landings)}),
        data_version=dg.DataVersion(content_version(merged.frame)),
        metadata={
            "dagster/row_count": len(merged.frame),
            "dagster/column_schema": columns_of(columns_in(kind, merged.frame).columns),
            "landings": landings_markdown(merged.landings),
        },
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"sql"},
)
@retry_on_store_outage
def published_dataset(
    store: ForecastStore,
    clock: Clock,
    dataset: pd.DataFrame,
    stores: pd.DataFrame,
    departments: pd.DataFrame,
    holiday_calendar: pd.DataFrame,
) -> dg.MaterializeResult:
    """Unit, weekday, labels, names and facts of stores and departments, names of holidays, in the SQL store."""
    from demand_assets.store.dataset import Dataset as Published
    from demand_assets.store.dataset import publish_dataset, publish_holidays, publish_members

    facts = Dataset.read(dataset)
    published = Published(
        facts.unit,
        facts.week_ends,
        facts.store_label,
        facts.dept_label,
        has_stores=set(stores["id"]) != {ONLY_ID},
        has_departments=set(departments["id"]) != {ONLY_ID},
    )
    changed = publish_dataset(store.engine(), published, clock.now())
    members = publish_members(store.engine(), members_of(stores), members_of(departments), clock.now())
    holidays = publish_holidays(store.engine(), named_holidays(holiday_calendar))
    return dg.MaterializeResult(
        metadata={"facts changed": changed, "members changed": members, "holidays changed": holidays}
    )
