"""The dimension tables stores and departments: keys, ids, names and static facts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from demand_assets.ingestion.delivery import Delivery
from demand_assets.ingestion.ids import with_keys
from demand_assets.ingestion.merge import Landing, MergedTable, merge_table


def keys_of(members: pd.DataFrame | None, column: str) -> dict[str, int]:
    """Id -> key of a table of members; empty without one."""
    return {} if members is None else dict(zip(members["id"], members[column].tolist(), strict=True))


def extended_keys(members: pd.DataFrame | None, deliveries: Iterable[Delivery], column: str) -> dict[str, int]:
    """`keys_of`, and a key of every further id that the deliveries bring."""
    return with_keys(keys_of(members, column), [one for delivery in deliveries for one in delivery.present(column)])


def merge_members(
    column: str,
    existing: pd.DataFrame | None,
    applied: Sequence[Landing],
    deliveries: Sequence[Delivery],
    keys: Mapping[str, int],
) -> MergedTable:
    """The members with `keys`, sorted by key: key `column`, id, name, and their facts; the newest delivery wins.

    `deliveries` are keyed, of one kind, in landing order. A member that none of them has is known by its id alone.
    """
    skeleton = pd.DataFrame({column: np.fromiter(keys.values(), np.int32, len(keys)), "id": list(keys)})
    frames = [delivery.frame for delivery in deliveries]
    held = [] if existing is None else [existing.drop(columns="id")]
    columns = list(dict.fromkeys([column, "name", *(name for frame in [*held, *frames] for name in frame.columns)]))
    aligned = [replace(one, frame=_with(one.frame, columns)) for one in deliveries]
    stored = _with(held[0], columns) if held else pd.DataFrame(columns=columns)
    merged = merge_table(stored, applied, aligned, (column,)) if aligned else None
    facts = stored if merged is None else merged.frame
    frame = skeleton.merge(facts, on=column, how="left") if len(facts) else skeleton.reindex(columns=["id", *columns])
    # A key twice in one file stays twice, for the check on keys to find.
    frame = frame.sort_values(column, kind="stable", ignore_index=True)
    frame = frame.assign(name=frame["name"].astype(object).where(frame["name"].notna(), frame["id"]))
    frame = frame[[column, "id", "name", *(name for name in columns if name not in (column, "name"))]]
    changed = existing is None or not frame.equals(existing)
    if merged is None:
        return MergedTable(frame, tuple(applied), changed=changed, recorded=False)
    return MergedTable(frame, merged.landings, changed=changed, recorded=merged.recorded)


def _with(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    return frame.reindex(columns=list(columns))
