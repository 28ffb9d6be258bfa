"""Frames of the lake on their way into the SQL store and back: integer keys there, text ids here.

A total that spans all stores or departments has the key `ALL` in the lake and no id in the store.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import pandas as pd

from demand_assets.adapters.parquet import ParquetLake
from demand_assets.contract.columns import Table
from demand_assets.contract.spreadsheet import FORMULA_BUT_NO_NUMBER, MARK
from demand_assets.errors import LakeError
from demand_assets.forecasting.absent import AbsentRows
from demand_assets.ingestion.dataset import OUT_OF_STOCK, Dataset
from demand_assets.ingestion.delivery import KEYS, MEMBERS
from demand_assets.ingestion.ids import IdTexts
from demand_assets.ingestion.members import keys_of

if TYPE_CHECKING:
    from datetime import date

    import pyarrow as pa

    from demand_assets.forecasting.drivers import DriverFrames
    from demand_assets.store.dataset import Member

DIMENSIONS = {column: table for table, column in MEMBERS.items()}
# The assets that `member_keys` reads, and those that `absent_rows` reads.
MEMBER_TABLES = tuple(DIMENSIONS.values())
ABSENT_TABLES = (
    "dataset",
    *MEMBER_TABLES,
    dg.AssetDep("raw_series_covariates", partition_mapping=dg.AllPartitionMapping()),
)
Keys = Mapping[str, Mapping[str, int]]


def member_keys(lake: ParquetLake) -> Keys:
    """Column -> text id -> key, of the dimension tables in the lake."""
    return {column: keys_of(lake.read(table, None, [column, "id"]), column) for column, table in DIMENSIONS.items()}


def dataset_of(lake: ParquetLake) -> Dataset:
    """The facts of the data set in the lake; LakeError before a first ingestion."""
    frame = lake.read("dataset", None)
    if frame is None:
        raise LakeError(f"{lake.path('dataset', None)}: expected the facts of the data set, got no file; ingest first")
    return Dataset.read(frame)


def absent_rows(lake: ParquetLake, weeks: Sequence[str] | None = None) -> AbsentRows:
    """What a week without a row of a series means in this data set, and which weeks do not tell demand.

    Of `weeks`, where they are given, the series that were out of stock; else of all.
    """
    facts, table = dataset_of(lake), "raw_series_covariates"
    wanted = lake.partitions(table) if weeks is None else weeks
    out = lake.read(table, wanted, [*KEYS["series_covariates"], OUT_OF_STOCK]) if facts.tells_stock else None
    return facts.absent_rows(member_keys(lake)["store_id"], out)


def driver_frames(
    lake: ParquetLake, newest: str, horizon_weeks: int, since: Mapping[str, str] | None = None
) -> "DriverFrames | None":
    """What origins up to week `newest` can know of the drivers; None where nothing is known ahead, or nothing landed.

    Values are those of weeks up to `horizon_weeks` later, as far as they have ended: at an origin without a plan they
    count as planned. Only columns that are known ahead are read. `since`: table -> the first week of it that is read.
    """
    from demand_assets.ingestion.ahead import PLAN_KEYS, driver_frames_of, known_ahead

    covariates = dataset_of(lake).covariates
    if not any(one.known_ahead for one in covariates):
        return None
    last = f"{pd.Timestamp(newest) + pd.Timedelta(weeks=horizon_weeks):%Y-%m-%d}"
    frames = []
    for table, keys, end in (
        ("raw_covariates", KEYS["covariates"], last),
        ("raw_series_covariates", KEYS["series_covariates"], last),
        ("plans_ahead", PLAN_KEYS, newest),
    ):
        first = (since or {}).get(table, "")
        partitions = [key for key in lake.partitions(table) if first <= key <= end]
        names = known_ahead(covariates, lake.columns_of(table, partitions))
        frames.append(lake.read(table, partitions, [*keys, *names]) if names else None)
    stores, series, plans = (pd.DataFrame() if frame is None else frame for frame in frames)
    return driver_frames_of(covariates, stores, series, plans)


def id_texts(keys: Keys) -> IdTexts:
    """The text ids behind the keys."""
    stores, departments = ({key: text for text, key in keys[column].items()} for column in DIMENSIONS)
    return IdTexts(stores, departments)


def members_of(frame: pd.DataFrame) -> "list[Member]":
    """The rows of a dimension table as the store takes them: a name that is the id is none; no missing attribute."""
    from demand_assets.store.dataset import Member

    facts = frame.drop(columns=[column for column in (*DIMENSIONS, "id", "name") if column in frame])
    rows = facts.to_dict("records") if len(facts.columns) else [{}] * len(facts)
    known = ({str(name): value for name, value in row.items() if pd.notna(value)} for row in rows)
    return [
        Member(one, None if name == one else name, own or None)
        for one, name, own in zip(frame["id"], frame["name"], known, strict=True)
    ]


def named_holidays(calendar: pd.DataFrame) -> "dict[date, str]":
    """Week -> what people call its holidays, of the weeks of a calendar that have any."""
    from demand_assets.forecasting.holidays import spoken

    named = calendar[calendar["holiday"] != ""]
    return dict(zip(named["week"].dt.date, named["holiday"].map(spoken), strict=True))


def store_table(frame: pd.DataFrame, table: Table, keys: Keys) -> "pa.Table":
    """The columns of `table` of a frame that has them, for publishing: ids as text, weeks as dates, null for NaN."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from demand_assets.forecasting.drivers import ALL

    found = pa.Table.from_pandas(frame[list(table.names)], preserve_index=False)
    for place, field in enumerate(found.schema):
        column = found.column(place)
        if pa.types.is_timestamp(field.type):
            found = found.set_column(place, field.name, column.cast(pa.date32()))
        elif field.name in DIMENSIONS:
            if table.column(field.name).nullable:
                column = pc.if_else(pc.equal(column, ALL), None, column)
            # Distinct keys are few, and only they are turned into text.
            codes = column.dictionary_encode().unify_dictionaries().combine_chunks()
            texts = {key: text for text, key in keys[field.name].items()}
            ids = pa.array([texts[key] for key in codes.dictionary.to_pylist()], pa.string())
            found = found.set_column(place, field.name, pa.DictionaryArray.from_arrays(codes.indices, ids))
    return found


def lake_frame(rows: Iterable[Mapping[str, Any]], keys: Keys) -> pd.DataFrame:
    """Rows of the store with the keys that the lake has. KeyError for an id that it does not know."""
    from demand_assets.forecasting.drivers import ALL

    frame = pd.DataFrame(list(rows))
    made = {}
    for column in DIMENSIONS:
        if column in frame.columns:
            # A missing id is that of a total.
            codes, ids = pd.factorize(frame[column])
            known = [*(keys[column][one] for one in ids), ALL]
            made[column] = np.array(known, dtype=np.int32)[codes]
    return frame.assign(**made)


def sheet_of(rows: pd.DataFrame) -> str:
    """Rows as landed, of any columns, as the text of a CSV for people: no cell or heading is run by a spreadsheet."""
    safe = rows.replace(FORMULA_BUT_NO_NUMBER, MARK, regex=True)
    safe.columns = safe.columns.str.replace(FORMULA_BUT_NO_NUMBER, MARK, regex=True)
    # With "\n" the standard library would leave a lone "\r" unquoted, which ends a row for a spreadsheet.
    return safe.to_csv(index=False, lineterminator="\r\n")
