"""Frames of the lake on their way into the SQL store and back: integers as ids there, text here.

A total that spans all stores or departments has the id `ALL` in the lake and none in the store.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from demand_assets.contract.columns import Table

if TYPE_CHECKING:
    import pyarrow as pa

_LEVELS = {"store_id": "store", "dept_id": "department"}


def store_table(frame: pd.DataFrame, table: Table) -> "pa.Table":
    """The columns of `table` of a frame that has them, for publishing: ids as text, weeks as dates, null for NaN."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pa.Table.from_pandas(frame[list(table.names)], preserve_index=False)
    for place, field in enumerate(found.schema):
        column = found.column(place)
        if pa.types.is_timestamp(field.type):
            found = found.set_column(place, field.name, column.cast(pa.date32()))
        elif field.name in _LEVELS:
            if "level" in table.names:
                column = pc.if_else(pc.equal(found["level"], _LEVELS[field.name]), column, None)
            # Distinct ids are few, and only they are turned into text.
            codes = column.dictionary_encode().unify_dictionaries().combine_chunks()
            ids = pa.DictionaryArray.from_arrays(codes.indices, codes.dictionary.cast(pa.string()))
            found = found.set_column(place, field.name, ids)
    return found


def lake_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows of the store with the ids that the lake has; ValueError for an id that is no integer."""
    from demand_assets.forecasting.totals import ALL

    frame = pd.DataFrame(list(rows))
    ids = [name for name in _LEVELS if name in frame.columns]
    return frame.assign(**{name: frame[name].fillna(str(ALL)).astype("int32") for name in ids})
